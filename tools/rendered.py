"""Write the book's notebooks for Jupyter and Colab, which know nothing of MyST, into notebooks/.

    python tools/rendered.py        after `make book`

The notebooks in book/ are the sources; whoever opens one outside the book sees roles and directives
in the place of numbers, references and boxes. These copies have the same code, and text in which
all of that is plain Markdown; the rockets above the pages open them. What must come from an
execution, the numbers, is taken from the book's build and kept in each copy's metadata, so that
text can be made anew without executing anything where only the text has changed.
"""

from __future__ import annotations

import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import yaml
from jupyter_cache import get_cache
from nbformat import NotebookNode, v4
from pybtex.backends.markdown import Backend
from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.style.formatting.plain import Style

from tools.executed import CACHE, glued

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "notebooks"
SITE = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Documentation"]
KEPT = "relviz"  # in a copy's metadata: its page, and the numbers of its text

LABEL = r"[\w:-]+"
ROLE = re.compile(r"\{([a-z]+(?::[a-z]+)?)\}`([^`]+)`")
LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(((?!<?https?:)[^()\s]+)\)")
TARGET = re.compile(rf"^\(({LABEL})\)=[ ]*\n", re.MULTILINE)
EQUATION = re.compile(rf"\$\$(.+?)\$\$ \(({LABEL})\)", re.DOTALL)
FENCE = re.compile(r"(:{3,}|`{3,})\{([a-z-]+)\}[ ]*(.*)")
BLOCK = re.compile(r"(^```.*?^```[ ]*$)", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(`[^`\n]+`)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
SHUT = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
SHUT_OUTPUT = {"hide-output", "hide-cell", "remove-output", "remove-cell"}


# --- what the pages say of each other ------------------------------------------------------------


def pages() -> dict[str, list[str]]:
    """Return the pages of the book, such as "book/live", by the parts that hold them."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    parts = {part["caption"]: [c["file"] for c in part["chapters"]] for part in toc["parts"]}
    return {"": [toc["root"]], **parts}


def notebooks() -> list[str]:
    """Return the pages that are notebooks."""
    found = [page for part in pages().values() for page in part]
    return [page for page in found if source(page).suffix == ".ipynb"]


def source(page: str) -> Path:
    """Return the file that a page is made from."""
    (found,) = (p for end in (".ipynb", ".md") if (p := ROOT / f"{page}{end}").is_file())
    return found


@dataclass
class Book:
    """What a reference may name, numbered in the order of the pages, as Sphinx does."""

    figures: dict[str, int] = field(default_factory=dict)
    equations: dict[str, int] = field(default_factory=dict)
    sections: dict[str, tuple[str, str]] = field(default_factory=dict)  # page, title
    titles: dict[str, str] = field(default_factory=dict)
    works: BibliographyData = field(default_factory=BibliographyData)
    macros: dict[str, Any] = field(default_factory=dict)


@cache
def book() -> Book:
    """Read the sources of all pages."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    macros = config["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]
    works = parse_file(str(ROOT / config["bibtex_bibfiles"][0]))
    found = Book(works=works, macros=macros)
    for page in (page for part in pages().values() for page in part):
        path = source(page)
        texts = [path.read_text()]
        if path.suffix == ".ipynb":
            cells = nbformat.read(path, as_version=4).cells
            texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
            for cell in cells:
                if figure := cell.metadata.get("mystnb", {}).get("figure"):
                    found.figures[figure["name"]] = len(found.figures) + 1
        for text in texts:
            if heading := HEADING.search(text):
                found.titles.setdefault(page, heading[1])
            for target in TARGET.finditer(text):
                if heading := HEADING.match(text, target.end()):
                    found.sections[target[1]] = (page, heading[1])
            for equation in EQUATION.finditer(text):
                found.equations[equation[2]] = len(found.equations) + 1
    return found


# --- from MyST to Markdown -----------------------------------------------------------------------

Number = Callable[[str], str]
"""From what stands in {glue:text}`...` to what the page shows there."""


@dataclass
class Page:
    """Turns the text of one page into plain Markdown."""

    name: str
    number: Number
    cited: list[str] = field(default_factory=list)

    def text(self, myst: str) -> str:
        """Return a cell's text without any MyST."""
        return "\n".join(self._blocks(myst.splitlines()))

    def inline(self, myst: str) -> str:
        """Return text that has no directives; code in it stays as it is."""
        blocks = BLOCK.split(myst)
        for i, text in enumerate(blocks[::2]):
            # a role's content stands between backquotes, so roles come before code
            text = ROLE.sub(self._role, TARGET.sub("", _terms(_tagged(text))))
            spans = SPAN.split(text)
            macros = book().macros
            spans[::2] = [LINK.sub(self._link, _expand(span, macros)) for span in spans[::2]]
            blocks[2 * i] = "".join(spans)
        return "".join(blocks)

    def _blocks(self, lines: list[str]) -> Iterator[str]:
        """Yield lines; a directive becomes what says the same without it."""
        plain: list[str] = []
        rest = iter(lines)
        for line in rest:
            if match := FENCE.fullmatch(line):
                yield from self._plain(plain)
                plain, inside = [], []
                for each in rest:
                    if each.strip() == match[1]:
                        break
                    inside.append(each)
                yield from self._directive(match[2], match[3], inside)
            else:
                plain.append(line)
                if line.startswith("```"):  # code, which stays as it is
                    for each in rest:
                        plain.append(each)
                        if each.startswith("```"):
                            break
        yield from self._plain(plain)

    def _plain(self, lines: list[str]) -> list[str]:
        return self.inline("\n".join(lines)).split("\n") if lines else []

    def _directive(self, name: str, title: str, inside: list[str]) -> Iterator[str]:
        while inside and re.match(r":[a-z-]+:", inside[0]):
            inside = inside[1:]
        match name:
            case "container":
                yield from self._blocks(inside)
            case "dropdown":
                yield from ("<details>", f"<summary>{self.inline(title)}</summary>", "")
                yield from self._blocks(inside)
                yield from ("", "</details>")
            case "note" | "admonition":
                yield f"> **{self.inline(title) or name.capitalize()}**"
                yield ">"
                for line in self._blocks(inside):
                    yield f"> {line}".rstrip()
            case "bibliography":
                for entry in _formatted(self.cited):
                    yield f"- {entry}"
            case "tableofcontents":
                for part, names in list(pages().items())[1:]:
                    yield from (f"**{part}**", "")
                    yield from (f"- [{book().titles[each]}]({address(each)})" for each in names)
                    yield ""
            case _:
                raise ValueError(f"{self.name} uses {{{name}}}: say in tools/rendered.py how.")

    def _role(self, match: re.Match[str]) -> str:
        name, content = match[1], match[2]
        match name:
            case "glue:text":
                return self.number(content)
            case "numref":
                return f"Fig. {book().figures[content]}"
            case "eq":
                return f"({book().equations[content]})"
            case "ref":
                return self._to("", content)
            case "cite:t" | "cite:p":
                keys = [key.strip() for key in content.split(",")]
                self.cited += keys
                entries = [book().works.entries[key] for key in keys]
                if name == "cite:t":
                    return ", ".join(_linked(e, "{} ({})") for e in entries)
                return f"({'; '.join(_linked(e, '{}, {}') for e in entries)})"
        raise ValueError(f"{self.name} uses {{{name}}}`...`: say in tools/rendered.py how.")

    def _link(self, match: re.Match[str]) -> str:
        return self._to(match[1], match[2])

    def _to(self, text: str, target: str) -> str:
        """Link to another page, or to a label, on the site: Colab has no other notebook at hand."""
        path, _, anchor = target.partition("#")
        if not path:
            return f"[{text}]({address(self.name)}#{anchor})"
        if path in book().sections:
            page, title = book().sections[path]
            return f"[{text or title}]({address(page)}#{path})"
        folder = (ROOT / self.name).parent
        page = (folder / path).resolve().relative_to(ROOT).with_suffix("").as_posix()
        title = book().titles[page]
        return f"[{text or title}]({address(page)}{'#' if anchor else ''}{anchor})"


def address(page: str) -> str:
    """Return where a page is on the site."""
    return f"{SITE}{page}.html"


def _tagged(text: str) -> str:
    """Put an equation's number where TeX has it."""
    return EQUATION.sub(lambda m: f"$$ {m[1].strip()} \\tag{{{book().equations[m[2]]}}} $$", text)


def _terms(text: str) -> str:
    """Write a list of definitions as paragraphs."""
    return re.sub(r"^(\S[^\n]*)\n: ", r"**\1**: ", text, flags=re.MULTILINE)


def _expand(text: str, macros: dict[str, Any]) -> str:
    """Expand the book's own TeX macros, which other pages do not have."""
    names = "|".join(sorted(macros, key=len, reverse=True))
    while match := re.search(rf"\\({names})(?![A-Za-z])", text):
        macro = macros[match[1]]
        body, count = (macro, 0) if isinstance(macro, str) else macro
        end = match.end()
        for i in range(1, count + 1):
            argument, end = _argument(text, end)
            before, _, after = body.partition(f"#{i}")
            body = _beside(_beside(before, argument), after)
        # a bar would end a table's cell
        body = body.replace(r"\left|", r"\left\lvert ").replace(r"\right|", r"\right\rvert")
        if body.startswith(r"\left"):
            body = f"{{{body}}}"
        text = _beside(_beside(text[: match.start()], body), text[end:])
    return text


def _beside(before: str, after: str) -> str:
    """Put two pieces of TeX together; a command must not run into the next letter."""
    apart = re.search(r"\\[A-Za-z]+$", before) and after[:1].isalpha()
    return f"{before} {after}" if apart else before + after


def _argument(text: str, start: int) -> tuple[str, int]:
    """Return a macro's next argument, without its braces, and where it ends."""
    start += len(text[start:]) - len(text[start:].lstrip())
    if text[start] != "{":
        match = re.compile(r"\\[A-Za-z]+|\\.|.").match(text, start)
        assert match
        return match[0], match.end()
    depth = 0
    for end in range(start, len(text)):
        depth += (text[end] == "{") - (text[end] == "}")
        if not depth:
            return text[start + 1 : end], end + 1
    raise ValueError(f"A brace is not closed: {text[start : start + 40]!r}")


def _named(entry: Entry, form: str) -> str:
    """Return a work by its authors and year."""
    people = entry.persons.get("author") or entry.persons["editor"]
    last = ["".join(str(part) for part in p.rich_prelast_names + p.rich_last_names) for p in people]
    who = last[0] if len(last) == 1 else " and ".join(last) if len(last) == 2 else ""
    return form.format(who or f"{last[0]} et al.", entry.fields["year"])


def cited(keys: str) -> str:
    """Return works, named by their keys with commas between, as a sentence has them."""
    entries = [book().works.entries[key.strip()] for key in keys.split(",")]
    return ", ".join(_named(entry, "{} ({})") for entry in entries)


def _linked(entry: Entry, form: str) -> str:
    """Return a work by its authors and year, a link where it has an address."""
    text = _named(entry, form)
    if doi := entry.fields.get("doi"):
        return f"[{text}](<https://doi.org/{doi}>)"
    return f"[{text}](<{entry.fields['url']}>)" if "url" in entry.fields else text


def _formatted(keys: list[str]) -> list[str]:
    """Return works as a list of references."""
    entries = [book().works.entries[key] for key in dict.fromkeys(keys)]
    style = Style()
    texts = [each.text.render(Backend()) for each in style.format_entries(style.sort(entries))]
    # it escapes what stands for itself within a line
    return [re.sub(r"\\([-._()])", r"\1", " ".join(text.split())) for text in texts]


# --- notebooks -----------------------------------------------------------------------------------

ABOUT = (
    "> **A copy to run.** Its text is that of [{title}]({address}), with the numbers of the book's "
    "own build, and it is made from `{source}`: what you want to change for good, change there. "
    "Run it from its top. It uses the recordings that it finds, and synthetic speech where there "
    "are none; then what a cell gives here may differ from what the text says."
)


def render(notebook: NotebookNode, page: str, number: Number) -> NotebookNode:
    """Return a notebook whose text any Jupyter shows; its code is the source's."""
    used: dict[str, str] = {}

    def kept(content: str) -> str:
        used[content] = number(content)
        return used[content]

    writer = Page(page, kept)
    where = {
        "title": book().titles[page],
        "address": address(page),
        "source": source(page).relative_to(ROOT).as_posix(),
    }
    cells = [v4.new_markdown_cell(ABOUT.format(**where), id="about-this-copy")]
    # a page's list of works names those that stand anywhere on it
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            text = re.sub(r"^```\{bibliography\}.*?^```$", "", cell.source, flags=re.M | re.S)
            writer.text(text)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cells.append(v4.new_markdown_cell(writer.text(cell.source), id=cell.id))
            continue
        copy = v4.new_code_cell(
            cell.source, id=cell.id, execution_count=cell.execution_count, outputs=cell.outputs
        )
        tags = set(cell.metadata.get("tags", ()))
        if tags:
            copy.metadata["tags"] = list(cell.metadata.tags)
        shut = {"source_hidden": tags & SHUT, "outputs_hidden": tags & SHUT_OUTPUT}
        if any(shut.values()):
            copy.metadata["jupyter"] = {name: True for name, by in shut.items() if by}
        if tags & SHUT:
            copy.metadata["cellView"] = "form"  # Colab's word for it
        cells.append(copy)
        if figure := cell.metadata.get("mystnb", {}).get("figure"):
            caption = (
                f"**Fig. {book().figures[figure['name']]}** {writer.inline(figure['caption'])}"
            )
            cells.append(v4.new_markdown_cell(caption, id=f"{cell.id[:56]}-caption"))
    made = v4.new_notebook(cells=cells, metadata=notebook.metadata)
    made.metadata[KEPT] = {"page": page, "numbers": dict(sorted(used.items()))}
    nbformat.validate(made)
    return made


def computed(notebook: NotebookNode) -> list[str]:
    """Return the code that a notebook's numbers come from: all but what installs on Colab."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return [source for source in code if "google.colab" not in source]


def numbers_kept(path: Path) -> Number:
    """Return the numbers that a copy has."""
    kept = nbformat.read(path, as_version=4).metadata[KEPT]["numbers"]
    return lambda content: kept[content]


def numbers_executed(notebook: NotebookNode) -> Number:
    """Return the numbers of an executed notebook.

    Raises KeyError where the book's build has not executed it as it is.
    """
    values = glued(get_cache(CACHE).merge_match_into_notebook(notebook)[1])

    def number(content: str) -> str:
        name, _, form = content.partition(":")
        return format(values[name], form)

    return number


def write(top: Path, *, executed: bool = False) -> None:
    """Write the copies below a folder; exit where a page's numbers are not known.

    executed: take numbers from the build alone, not from the copies that are kept.
    """
    for page in notebooks():
        notebook = nbformat.read(source(page), as_version=4)
        old = OUT / f"{page}.ipynb"
        try:
            number = numbers_executed(notebook)
        except KeyError:
            # the same code gave what the copy has
            same = not executed and old.is_file()
            if not same or computed(nbformat.read(old, as_version=4)) != computed(notebook):
                sys.exit(f"{page}.ipynb was not executed as it is now: run `make book` first.")
            number = numbers_kept(old)
        made = render(notebook, page, number)
        path = top / f"{page}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(made, path)


def tables() -> list[Path]:
    """Return the tables that notebooks read from beside themselves."""
    return sorted((ROOT / "book").rglob("*.csv"))


def main() -> None:
    """Write notebooks/."""
    write(OUT)
    wanted = {OUT / f"{page}.ipynb" for page in notebooks()}
    for path in tables():
        copy = OUT / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        wanted.add(copy)
    for path in OUT.rglob("*"):
        if path.is_file() and path not in wanted and ".ipynb_checkpoints" not in path.parts:
            path.unlink()
    print(f"{len(notebooks())} notebooks to run are in {OUT}")


if __name__ == "__main__":
    main()
