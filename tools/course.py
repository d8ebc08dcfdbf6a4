"""Build the teaching kit into _build/course: slides, handouts, quizzes, assignments, data, reports.

    python tools/course.py

Sources are in book/teaching. Figures, their descriptions and all numbers come from the chapters as
the book executed them (`make book` comes first); the sounds of the vote and the two sample reports
are computed here. What students may see is copied to _build/html/teaching, beside the book's pages.
"""

from __future__ import annotations

import base64
import html
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import soundfile
import yaml
from jupyter_cache import get_cache
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin
from PIL import Image

from tools import rendered
from tools.executed import CACHE, glued

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "book" / "teaching"
BUILD = ROOT / "_build"
OUT = BUILD / "course"
SITE = BUILD / "html" / "teaching"
BOOK = "../../html/book/"  # from a page of OUT; in SITE the folder html falls away
PRIVATE = ("grading", "keys")  # of OUT: not for the public site
REPORTS = ("borne_out", "refuted")

# --- the executed book ---------------------------------------------------------------------------


def chapters() -> dict[str, Path]:
    """Return the chapters' notebooks by number, such as "08"."""
    found = ROOT.glob("book/*/[0-9][0-9]_*.ipynb")
    return {path.name[:2]: path for path in sorted(found, key=lambda path: path.name)}


def executed(number: str) -> nbformat.NotebookNode:
    """Return a chapter with the outputs that the book's build gave it."""
    path = chapters()[number]
    try:
        return _executed(path)
    except KeyError:
        name = path.relative_to(ROOT)
        sys.exit(f"{name} was not executed as it is now: run `make book` first.")


@cache
def _executed(path: Path) -> nbformat.NotebookNode:
    return get_cache(CACHE).merge_match_into_file(str(path))[1]


@cache
def numbers(number: str) -> dict[str, Any]:
    """Return the values that a chapter has set into its text, by name."""
    return glued(executed(number))


@cache
def figures(number: str) -> dict[str, dict[str, str]]:
    """Write a chapter's figures into OUT; return file, alt text and caption of each by name."""
    found = {}
    for cell in executed(number).cells:
        shown = cell.metadata.get("mystnb", {})
        if "figure" not in shown:
            continue
        name = shown["figure"]["name"]
        for data in (o["data"] for o in cell.outputs if "data" in o):
            for mime, ending in (("image/svg+xml", "svg"), ("image/png", "png")):
                if mime in data:
                    file = OUT / "figures" / f"{name}.{ending}"
                    file.parent.mkdir(parents=True, exist_ok=True)
                    raw = data[mime]
                    file.write_bytes(raw.encode() if ending == "svg" else base64.b64decode(raw))
                    found[name] = {
                        "file": f"../figures/{file.name}",
                        "alt": shown["image"]["alt"],
                        "caption": shown["figure"]["caption"],
                        "shape": shape(file),
                    }
                    break
    return found


def shape(file: Path) -> str:
    """Return whether a figure is "tall", to stand beside a slide's title, or "wide", below it."""
    if file.suffix == ".svg":
        size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', file.read_text())
        width, height = float(size[1]), float(size[2])
    else:
        width, height = Image.open(file).size
    return "tall" if height > 0.7 * width else "wide"


def set_numbers(text: str, values: Callable[[str], Any]) -> str:
    """Put the values in the place of {glue:text}`name:format`."""

    def one(match: re.Match) -> str:
        name, _, form = match[1].partition(":")
        return format(values(name), form)

    return re.sub(r"\{glue:text\}`([^`]+)`", one, text)


def of_chapters(name: str) -> Any:
    """Return the value called "08/trained-gbp-f0": chapter and name."""
    number, _, name = name.partition("/")
    return numbers(number)[name]


# --- from Markdown to pages ----------------------------------------------------------------------

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin)
MARKDOWN.add_render_rule(
    "math_inline", lambda self, t, i, o, e: rf"\({html.escape(t[i].content)}\)"
)
MARKDOWN.add_render_rule(
    "math_block", lambda self, t, i, o, e: rf"<p>\[{html.escape(t[i].content)}\]</p>"
)
MARKDOWN.add_render_rule(
    "math_block_label", lambda self, t, i, o, e: rf"<p>\[{html.escape(t[i].content)}\]</p>"
)


def numbered(match: re.Match[str]) -> str:
    """Return an equation's number in the book, with the word where the sentence lacks it."""
    before, name = match[1] or "", match[2]
    word = "equation " if before and "quation" not in before else ""
    return f"{before}{word}({rendered.book().equations[name]})"


def plain(text: str) -> str:
    """Return a chapter's Markdown without what only the book itself can resolve."""
    text = re.sub(r"\s*\{cite:p\}`[^`]*`", "", text)
    text = re.sub(r"\{cite:t\}`([^`]*)`", lambda m: rendered.cited(m[1]), text)
    text = re.sub(r"(\b(?:[Ee]quation|[Bb]y|[Ii]n|here) )?\{eq\}`([^`]*)`", numbered, text)
    text = re.sub(r"\{numref\}`fig-(\d\d)-[^`]*`", "the figure", text)
    text = re.sub(r"\{ref\}`sec-(\d\d)-[^`]*`", lambda m: f"chapter {int(m[1])}", text)
    text = re.sub(r"\[\]\(sec-(\d\d)-[^)]*\)", lambda m: f"chapter {int(m[1])}", text)
    text = re.sub(r"\[\]\([^)]*?(\d\d)_[^)]*\)", lambda m: f"chapter {int(m[1])}", text)
    text = re.sub(r"\[\]\((?:\.\./)*(?:appendix/)?([^)]*?)\.(?:ipynb|md)\)", r"the page *\1*", text)
    return re.sub(r"\[([^\]]+)\]\((?!http)[^)]*\.(?:ipynb|md)[^)]*\)", r"\1", text)


def formulas() -> dict[str, Any]:
    """Return how MathJax is set up in the book: its parts, and the TeX macros."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    return config["sphinx"]["config"]["mathjax3_config"]


def page(title: str, body: str, *, kind: str = "page", scripts: str = "") -> str:
    """Return a whole page."""
    tex = json.dumps(formulas())
    maths = (
        f"<script>window.MathJax = {tex};</script>\n"
        '<script defer src="../vendor/mathjax/startup.js"></script>\n'
        if r"\(" in body or r"\[" in body
        else ""
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n"
        + (
            '<link rel="stylesheet" href="../vendor/reveal.js/reset.css">\n'
            '<link rel="stylesheet" href="../vendor/reveal.js/reveal.css">\n'
            if kind == "deck"
            else ""
        )
        + f'<link rel="stylesheet" href="../course.css">\n{maths}</head>\n'
        f'<body class="{kind}">\n{body}\n{scripts}</body>\n</html>\n'
    )


# --- lectures ------------------------------------------------------------------------------------


def slides(source: str) -> list[tuple[str, int, str]]:
    """Take a lecture apart: what each slide shows, its minutes, what to say.

    Slides are parted by a line `---`; a line `Note (5 min):` begins the notes.
    """
    found = []
    for part in re.split(r"^---$", source, flags=re.MULTILINE):
        shown, minutes, said = re.split(r"^Note \((\d+) min\):", part, flags=re.MULTILINE)
        found.append((shown.strip(), int(minutes), said.strip()))
    return found


def with_figures(text: str) -> str:
    """Put the book's figures in the place of ![](fig-08-glance), and its pages behind links."""

    def one(match: re.Match) -> str:
        shown = figures(match[1][4:6])[match[1]]
        alt = html.escape(plain(shown["alt"]))
        return f'<img class="{shown["shape"]}" src="{shown["file"]}" alt="{alt}">'

    text = re.sub(r"!\[\]\((fig-\d\d-[\w-]+)\)", one, text)
    return text.replace("](book:", f"]({BOOK}")


def deck(path: Path) -> str:
    """Return a lecture as a page of slides."""
    parts = slides(set_numbers(path.read_text(), of_chapters))
    sections = "\n".join(
        f"<section>\n{MARKDOWN.render(with_figures(shown))}"
        f'<aside class="notes"><p>{minutes} min</p>\n'
        f"{MARKDOWN.render(with_figures(said))}</aside>\n</section>"
        for shown, minutes, said in parts
    )
    title = parts[0][0].splitlines()[0].lstrip("# ")
    body = f'<main><div class="reveal"><div class="slides">\n{sections}\n</div></div></main>'
    scripts = (
        '<script src="../vendor/reveal.js/reveal.js"></script>\n'
        '<script src="../vendor/reveal.js/plugin/notes.js"></script>\n'
        "<script>Reveal.initialize({width: 1280, height: 720, margin: 0.03, hash: true, "
        "center: false, transition: 'none', slideNumber: 'c/t', plugins: [RevealNotes]});"
        "</script>\n"
    )
    return page(title, body, kind="deck", scripts=scripts)


# --- handouts ------------------------------------------------------------------------------------


def part(text: str, begin: str, end: str) -> str:
    """Return what stands between two patterns."""
    return re.split(end, re.split(begin, text, maxsplit=1)[1], maxsplit=1)[0].strip()


def handout(number: str, shown: list[str]) -> str:
    """Return a chapter on two pages: goals and figures; what it found, and what to try."""
    cells = [c.source for c in executed(number).cells if c.cell_type == "markdown"]
    text = plain(set_numbers("\n\n".join(cells), lambda name: numbers(number)[name]))
    title = re.search(r"^# (.*)$", text, re.MULTILINE)[1]
    question = re.search(r"^# .*\n+\*\*(.*?)\*\*", text)[1]
    goals = part(text, r"\*\*Goals\.\*\*", r"\n\|")
    summary = part(text, r"\n## Summary", r"\n## ")
    limits = re.findall(
        r"^\*\*(.+?)\*\*", part(text, r"\n## What [^\n]*does not show", r"\n##"), re.MULTILINE
    )
    pictures = "".join(
        f'<figure><img src="{f["file"]}" alt="{html.escape(plain(f["alt"]))}">'
        f"<figcaption>{MARKDOWN.renderInline(plain(f['caption']))}</figcaption></figure>"
        for f in (figures(number)[name] for name in shown)
    )
    tasks = re.findall(r"^### \d+ ([^\n]*[★])\n+(.+?)\n\n:::", text, re.MULTILINE | re.DOTALL)
    asked = "".join(
        f"<li><p><b>{i} {html.escape(name)}</b> {MARKDOWN.renderInline(' '.join(what.split()))}"
        '</p><div class="lines">' + "<i></i>" * 30 + "</div></li>"
        for i, (name, what) in enumerate(tasks[:2], 1)
    )
    shown_limits = "".join(f"<li>{MARKDOWN.renderInline(limit)}</li>" for limit in limits)
    body = (
        f'<main><section class="sheet">\n<h1>{html.escape(title)}</h1>\n'
        f'<p class="question">{MARKDOWN.renderInline(question)}</p>\n'
        f"<h2>Goals</h2>\n{MARKDOWN.render(goals)}\n"
        f'<div class="pictures">{pictures}</div></section>\n'
        f'<section class="sheet">\n<h2>What the chapter finds</h2>\n{MARKDOWN.render(summary)}'
        f"<h2>What it does not show</h2>\n<ul>{shown_limits}</ul>\n"
        f'<h2>On paper</h2>\n<ol class="tasks">{asked}</ol></section></main>'
    )
    return page(f"{title}: handout", body, kind="handout")


def answers() -> str:
    """Return every exercise of the book with its answer, for who marks."""
    parts = ["# Answers to the exercises\n\nThe code of each solution is in its chapter.\n"]
    for number in chapters():
        cells = [c.source for c in executed(number).cells if c.cell_type == "markdown"]
        text = plain(set_numbers("\n\n".join(cells), lambda n, k=number: numbers(k)[n]))
        parts.append(f"\n## {re.search(r'^# (.*)$', text, re.MULTILINE)[1]}\n")
        pattern = r"^### (\d+ [^\n]*★)\n.*?\n:::\{dropdown\} Answer\n(.*?)\n:::"
        for name, answer in re.findall(pattern, text, re.MULTILINE | re.DOTALL):
            parts.append(f"\n### {name}\n\n{answer}\n")
    return page("Answers to the exercises", f"<main>{MARKDOWN.render(''.join(parts))}</main>")


def print_pdf(source: Path) -> None:
    """Print a page to a PDF beside it, by Chromium where there is one."""
    sys.path.insert(0, str(ROOT))
    from tools import browser

    program = browser.find()
    if program is None:
        print(f"No Chromium: {source.name} stays a page to print from a browser.")
        return
    command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command += ["--virtual-time-budget=20000", f"--print-to-pdf={source.with_suffix('.pdf')}"]
    subprocess.run([*command, source.as_uri()], check=True, stderr=subprocess.DEVNULL)


# --- quizzes -------------------------------------------------------------------------------------


def quiz(path: Path, key: bool = False) -> str:
    """Return a quiz of jupyterquiz's format as a page that answers by itself, or its key."""
    week = path.stem.removeprefix("week")
    title = f"Quiz, week {week}" + (": key" if key else "")
    parts = [f"<main><h1>{title}</h1>"]
    if not key:
        parts.append("<p>Choose an answer; the page says at once whether it is right, and why.</p>")
    for i, asked in enumerate(json.loads(path.read_text()), 1):
        legend = f"{i}. {MARKDOWN.renderInline(asked['question'])}"
        if key:
            right = next(a for a in asked["answers"] if a["correct"])
            parts.append(
                f"<h2>{legend}</h2><p><b>{MARKDOWN.renderInline(right['answer'])}</b></p>"
                f"<p>{MARKDOWN.renderInline(right['feedback'])}</p>"
            )
            continue
        lines = "".join(
            f'<label><input type="radio" name="q{i}" data-correct="{str(a["correct"]).lower()}" '
            f'data-feedback="{html.escape(MARKDOWN.renderInline(a["feedback"]))}"> '
            f"<span>{MARKDOWN.renderInline(a['answer'])}</span></label>"
            for a in asked["answers"]
        )
        parts.append(
            f'<fieldset><legend>{legend}</legend>{lines}<p class="said" role="status"></p>'
            "</fieldset>"
        )
    if not key:
        parts.append('<p id="score" role="status"></p>')
    scripts = "" if key else '<script src="../quiz.js"></script>\n'
    return page(title, "\n".join([*parts, "</main>"]), kind="quiz", scripts=scripts)


# --- the blind vote ------------------------------------------------------------------------------

VOTES = (
    ("She had your dark suit in greasy wash water all year.", "Female1"),
    ("We saw a bowl of soup on the old stone wall.", "Male1"),
)


def vote() -> tuple[str, str]:
    """Compute the sounds of the blind vote; return its page and its key.

    Synthetic speech, so that the page may be published; all sounds are equally loud.
    """
    import relviz
    from relviz import networks
    from relviz.corpora import synthetic

    trained = relviz.load("phones")
    nets = {"trained": trained, "untrained": networks.build(networks.PHONE_CNN, 40, seed=0)}
    folder = OUT / "vote"
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(20190915)
    rounds, key = [], []
    for i, (text, voice) in enumerate(VOTES, 1):
        wave = synthetic.sentence(text, voice).wave
        names = list(order.permutation(list(nets)))
        sounds = {"x": wave}
        for letter, name in zip("ab", names, strict=True):
            sounds[letter] = relviz.relevance_signal(nets[name], wave)
        for letter, sound in sounds.items():
            level = 0.05 * sound / np.sqrt(np.mean(np.square(sound)))
            file = folder / f"{i}{letter}.wav"
            soundfile.write(file, np.clip(level, -1, 1), 16000, subtype="PCM_16")
        rounds.append(
            f"<section data-round><h2>Round {i}</h2><p>The recording says: “{text}”</p>"
            + "".join(
                f'<p><label for="s{i}{k}">{label}</label> <audio id="s{i}{k}" controls loop '
                f'preload="none" src="../vote/{i}{k}.wav"></audio></p>'
                for k, label in (("x", "Recording"), ("a", "Signal A"), ("b", "Signal B"))
            )
            + f"<fieldset><legend>Which of the two comes from a network that knows speech?</legend>"
            f'<label><input type="radio" name="v{i}"> <span>A</span></label>'
            f'<label><input type="radio" name="v{i}"> <span>B</span></label>'
            f'<label><input type="radio" name="v{i}"> <span>I cannot tell</span></label>'
            "</fieldset></section>"
        )
        key.append(f"<p>Round {i}: A is {names[0]}, B is {names[1]}.</p>")
    body = (
        "<main><h1>Which network knows speech?</h1>"
        "<p>Each round has a sentence of a speech synthesiser and two relevance signals of it, A "
        "and B. One network was trained to tell phones apart. The other has the same shape, and "
        "its weights are random numbers. All sounds are equally loud. Listen, vote, and keep "
        f"your vote on paper.</p>{''.join(rounds)}</main>"
    )
    scripts = '<script src="../vote.js"></script>\n'
    told = (
        "<main><h1>The vote: key</h1>" + "".join(key) + "<p>Trained: the library's phone network. "
        "Untrained: the same architecture, seed 0. Guided backpropagation, windows 97 samples "
        "apart, both scaled to one RMS. Open the key only after the controls of chapter 8.</p>"
        "</main>"
    )
    first = page("Which network knows speech?", body, scripts=scripts)
    return first, page("The vote: key", told)


# --- assignments ---------------------------------------------------------------------------------


def on_colab() -> nbformat.NotebookNode:
    """Return the cell of a chapter that installs the library where a notebook has to do so."""
    first = nbformat.read(next(iter(chapters().values())), as_version=4)
    return next(cell for cell in first.cells if "google.colab" in cell.source)


RUN = """\
**To run this page** you need Python 3.11 to 3.13. On Colab, run the next cell. On a machine of your
own, a few lines in a shell install the library with all it needs (minutes, and some GB) and open
the page:

```bash
python3 -m venv relviz-course
relviz-course/bin/pip install "relviz[book] @ git+https://github.com/relviz/relviz@{commit}"
relviz-course/bin/pip install jupyterlab==4.6.6
relviz-course/bin/jupyter lab {week}.ipynb
```

Hand in the file under the name that it has."""


def how_to_run(week: str) -> nbformat.NotebookNode:
    """Return the cell that says where an assignment runs."""
    commit = re.search(r'commit = "([0-9a-f]{40})"', on_colab().source)
    assert commit is not None
    cell = nbformat.v4.new_markdown_cell(RUN.format(week=week, commit=commit[1]))
    cell["id"] = f"{week}-run"
    return cell


def assignment(path: Path) -> nbformat.NotebookNode:
    """Return an assignment as the notebook that nbgrader takes for its source.

    The source is Python in cells: `# %% [markdown]`, `# %%`, `# %% solution NAME` and
    `# %% tests NAME POINTS`. Solutions and hidden tests stand between nbgrader's own marks.
    """
    cells = []
    for block in re.split(r"^# %%", path.read_text(), flags=re.MULTILINE)[1:]:
        head, _, text = block.partition("\n")
        words = head.split()
        if words[:1] == ["[markdown]"]:
            text = "\n".join(line.removeprefix("#").removeprefix(" ") for line in text.split("\n"))
            cells.append(nbformat.v4.new_markdown_cell(text.strip()))
        else:
            cell = nbformat.v4.new_code_cell(text.strip())
            if words:
                tests = words[0] == "tests"
                cell.metadata["nbgrader"] = {
                    "schema_version": 3,
                    "grade_id": words[1],
                    "grade": tests,
                    "solution": not tests,
                    "locked": tests,
                    "task": False,
                } | ({"points": int(words[2])} if tests else {})
            cells.append(cell)
        cells[-1]["id"] = f"{path.stem}-{len(cells):02d}"
    cells[1:1] = [how_to_run(path.stem), on_colab()]  # below the title
    about = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    return nbformat.v4.new_notebook(cells=cells, metadata=about)


def grader(folder: Path) -> Any:
    """Return nbgrader's interface to a course in a folder."""
    from nbgrader.apps import NbGraderAPI
    from traitlets.config import Config

    # nbgrader calls alembic by its name
    here = str(Path(sys.executable).parent)
    if here not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = here + os.pathsep + os.environ["PATH"]
    config = Config()
    config.CourseDirectory.root = str(folder)
    config.CourseDirectory.course_id = "relviz"
    config.ExecutePreprocessor.timeout = 300
    return NbGraderAPI(config=config)


def release(folder: Path) -> list[Path]:
    """Make the students' notebooks in an nbgrader course folder; return their paths."""
    api, made = grader(folder), []
    for path in sorted((SOURCES / "assignments").glob("*.py")):
        source = folder / "source" / path.stem / f"{path.stem}.ipynb"
        source.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(assignment(path), source)
        done = api.generate_assignment(path.stem)
        if not done["success"]:
            sys.exit(f"nbgrader could not make {path.name}:\n{done['log']}")
        made.append(folder / "release" / path.stem / f"{path.stem}.ipynb")
    return made


# --- reports -------------------------------------------------------------------------------------


def report(name: str, measured: dict[str, Any]) -> str:
    """Return a sample report with the numbers that its script measured."""
    text = set_numbers((SOURCES / "reports" / f"{name}.md").read_text(), measured.__getitem__)
    title = text.splitlines()[0].lstrip("# ")
    return page(title, f"<main>{MARKDOWN.render(text)}</main>")


# --- data ----------------------------------------------------------------------------------------


def data(file: Path) -> str:
    """Write the data set of synthetic vowels as an archive; return what to call it."""
    from relviz.corpora import lesson

    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        top = lesson.write(Path(folder) / file.stem)
        shutil.make_archive(str(file.with_suffix("")), "zip", folder, file.stem)
        return f"{(top / 'README.md').read_text().splitlines()[0].lstrip('# ')}, {lesson.LICENCE}"


# --- all of it -----------------------------------------------------------------------------------


def write(place: str, text: str) -> Path:
    """Write a page of the kit."""
    path = OUT / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def index(made: dict[str, list[tuple[str, str]]]) -> str:
    """Return the page that leads to all others."""
    parts = ["<main><h1>Teaching kit</h1>"]
    for heading, entries in made.items():
        items = "".join(f'<li><a href="../{to}">{html.escape(t)}</a></li>' for t, to in entries)
        parts.append(f"<h2>{heading}</h2><ul>{items}</ul>")
    return page("Teaching kit", "\n".join([*parts, "</main>"]))


def main() -> None:
    """Build the kit."""
    if any((OUT / "grading" / "submitted").glob("*")):
        sys.exit(
            f"{OUT / 'grading'} holds work of students, which building anew would delete: "
            "move that folder elsewhere first."
        )
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    for name in ("course.css", "quiz.js", "vote.js"):
        shutil.copy(SOURCES / name, OUT)
    for name in ("reveal.js", "mathjax"):
        shutil.copytree(BUILD / "assets" / "vendor" / name, OUT / "vendor" / name)
    made: dict[str, list[tuple[str, str]]] = {}

    def add(heading: str, title: str, place: str, text: str) -> Path:
        made.setdefault(heading, []).append((title, place))
        return write(place, text)

    for path in sorted((SOURCES / "lectures").glob("*.md")):
        title = path.read_text().splitlines()[0].lstrip("# ")
        add("Lectures", title, f"lectures/{path.stem}.html", deck(path))
    first, key = vote()
    add("Blind vote", "Which network knows speech?", "quizzes/vote.html", first)
    write("keys/vote.html", key)
    for path in sorted((SOURCES / "quizzes").glob("*.json")):
        title = f"Week {path.stem[-1]}"
        add("Quizzes", title, f"quizzes/{path.stem}.html", quiz(path))
        write(f"keys/{path.stem}.html", quiz(path, key=True))
    for path in release(OUT / "grading"):
        (OUT / "assignments").mkdir(exist_ok=True)
        shutil.copy(path, OUT / "assignments")
        title = f"Week {path.stem[-1]}"
        made.setdefault("Assignments", []).append((title, f"assignments/{path.name}"))
    for number, shown in yaml.safe_load((SOURCES / "handouts.yml").read_text()).items():
        title = f"Chapter {int(number)}"
        print_pdf(add("Handouts", title, f"handouts/{number}.html", handout(number, shown)))
    title = data(OUT / "data" / "vowels.zip")
    made["Data to share"] = [(title, "data/vowels.zip")]
    measured = runpy.run_path(str(SOURCES / "reports" / "measure.py"))["measure"]()
    for name in REPORTS:
        title = (SOURCES / "reports" / f"{name}.md").read_text().splitlines()[0].lstrip("# ")
        add("Sample reports, marked", title, f"reports/{name}.html", report(name, measured))
    write("keys/answers.html", answers())
    write("pages/index.html", index(made))
    shutil.rmtree(SITE, ignore_errors=True)
    shutil.copytree(OUT, SITE, ignore=shutil.ignore_patterns(*PRIVATE))
    for path in SITE.rglob("*.html"):
        path.write_text(path.read_text().replace(BOOK, "../../book/"))
    print(f"The teaching kit is built: {OUT / 'pages' / 'index.html'}")


if __name__ == "__main__":
    main()
