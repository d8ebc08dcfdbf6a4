"""The notebooks that Binder and Colab open: plain text, the sources' code, up to date.

Nothing here needs the built book; tests/book/test_pages.py holds the same against its pages.
"""

import re
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell

from tests.book.toc import ROOT
from tools import rendered

# what Jupyter and Colab would show as it stands
RAW = re.compile(
    r"\{[a-z:]+\}`"  # a role
    r"|^ *(?::{3,}|`{3,}\{)"  # a directive
    r"|^\([\w:-]+\)=|\$\$ \("  # a label
    r"|^: |^:[a-z-]+: "  # a definition, an option
    r"|\{\{ *\w+ *\}\}|^%|^\+\+\+"  # a substitution, a comment, a break
    r"|\]\((?!https?:|<https?:)|\[\]\(",  # a link within the book
    re.MULTILINE,
)
MACRO = re.compile(rf"\\(?:{'|'.join(rendered.book().macros)})(?![A-Za-z])")


@pytest.fixture(params=rendered.notebooks())
def page(request) -> str:
    return request.param


def source(page: str) -> nbformat.NotebookNode:
    return nbformat.read(rendered.source(page), as_version=4)


def copy(page: str) -> nbformat.NotebookNode:
    path = rendered.OUT / f"{page}.ipynb"
    assert path.is_file(), "run: make rendered"
    return nbformat.read(path, as_version=4)


def prose(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


@pytest.mark.parametrize(
    "raw",
    [
        "{glue:text}`a`",
        "in {eq}`eq-a`",
        ":::{note}",
        "- a\n  :::{note}",
        "```{bibliography}",
        "(sec-a)=",
        "$$ (eq-a)",
        "Term\n: what",
        ":class: tip",
        "{{ a }}",
        "% to do",
        "[](a.ipynb)",
        "[a](../b.md)",
        "[](https://a.org)",
    ],
)
def test_what_is_raw_is_seen(raw):
    assert RAW.search(raw)


@pytest.mark.parametrize(
    "plain",
    ["[a](https://b.org)", "```bash\nls\n```", "$x(t)=1$", "at 5 %, `a`", "$$ x \\tag{1} $$"],
)
def test_what_is_plain_is_not(plain):
    assert not RAW.search(plain)


def test_there_is_a_copy_of_every_notebook_and_table_and_nothing_else():
    there = {path for path in rendered.OUT.rglob("*") if path.is_file()}
    there = {path for path in there if ".ipynb_checkpoints" not in path.parts}
    wanted = {rendered.OUT / f"{page}.ipynb" for page in rendered.notebooks()}
    tables = {rendered.OUT / path.relative_to(ROOT): path for path in rendered.tables()}
    assert there == wanted | set(tables), "run: make rendered"
    for path, original in tables.items():
        assert path.read_text() == original.read_text()


def test_text_is_plain(page):
    for text in prose(copy(page)):
        # what stands in code is meant so
        bare = re.sub(r"(?s)^```\w*\n.*?^```$|`[^`\n]*`(?!`)", "code", text, flags=re.MULTILINE)
        assert not RAW.search(bare), text
        assert not re.search(r"\{[a-z:]+\}`", text), text
        assert not MACRO.search(text), text


def test_code_is_the_sources(page):
    """Each cell of it, with what it printed."""
    pairs = zip(
        [cell for cell in source(page).cells if cell.cell_type == "code"],
        [cell for cell in copy(page).cells if cell.cell_type == "code"],
        strict=True,
    )
    for one, other in pairs:
        assert (one.id, one.source, one.outputs) == (other.id, other.source, other.outputs)


def test_text_is_up_to_date(page):
    """Numbers aside, which come from an execution: it is what would be written now."""
    number = rendered.numbers_kept(rendered.OUT / f"{page}.ipynb")
    try:
        made = rendered.render(source(page), page, number)
    except KeyError as missing:
        pytest.fail(f"the copy has no number {missing}: run make rendered")
    assert prose(made) == prose(copy(page)), "run: make rendered"
    assert made == copy(page)


def test_numbers_are_numbers(page):
    """Each that is kept stands in the text, and none is what a format gives to a mistake."""
    kept = copy(page).metadata[rendered.KEPT]["numbers"]
    assert set(kept) == set(re.findall(r"\{glue:text\}`([^`]+)`", "\n".join(prose(source(page)))))
    whole = "\n".join(prose(copy(page)))
    for name, text in kept.items():
        assert text in whole and text.strip() and "nan" not in text.split(), name


def test_says_what_it_is_and_where_the_page_is(page):
    first = copy(page).cells[0].source
    assert f"]({rendered.SITE}{page}.html)" in first and f"`{page}.ipynb`" in first
    assert len(copy(page).cells) > len(source(page).cells)


def test_folded_cells_are_folded(page):
    for cell in copy(page).cells:
        tags = set(cell.metadata.get("tags", ()))
        folded = cell.metadata.get("jupyter", {})
        assert bool(tags & rendered.SHUT) == folded.get("source_hidden", False)
        assert bool(tags & rendered.SHUT_OUTPUT) == folded.get("outputs_hidden", False)


def test_every_figure_has_its_caption_below(page):
    cells = copy(page).cells
    of = {cell.id: cell.metadata.get("mystnb", {}).get("figure") for cell in source(page).cells}
    for cell, after in pairwise(cells):
        if figure := of.get(cell.id):
            number = rendered.book().figures[figure["name"]]
            assert after.source.startswith(f"**Fig. {number}** ")


PAGE = "book/method/05_spectral_relevance"
CASES = {
    "{glue:text}`a:.1f` of it": "<a:.1f> of it",
    "see {numref}`fig-05-map`": "see Fig. FIG",
    "{eq}`eq-05-dft` says": "(EQ) says",
    "(sec-x)=\n## Title": "## Title",
    "{ref}`sec-05-map`": "[The map of a vowel]"
    "(SITE/book/method/05_spectral_relevance.html#sec-05-map)",
    "[](sec-04-average)": "[Shift the window, and the images turn]"
    "(SITE/book/method/04_relevance_signals.html#sec-04-average)",
    "[here](../live.ipynb)": "[here](SITE/book/live.html)",
    "[](../appendix/notation.md)": "[Notation](SITE/book/appendix/notation.html)",
    "[a](#b)": "[a](SITE/book/method/05_spectral_relevance.html#b)",
    "[a](https://b.org) and `x[0](y)`": "[a](https://b.org) and `x[0](y)`",
    "{cite:t}`wirtinger1927` did": "[Wirtinger (1927)](<https://doi.org/10.1007/BF01447872>) did",
    "so {cite:p}`muckenhirn2019,wirtinger1927`": "so ([Muckenhirn et al., 2019]"
    "(<https://doi.org/10.21437/Interspeech.2019-2341>); "
    "[Wirtinger, 1927](<https://doi.org/10.1007/BF01447872>))",
    ":::{note}\na {glue:text}`b`\n\nc\n:::": "> **Note**\n>\n> a <b>\n>\n> c",
    ":::{admonition} Try it\n:class: tip\n- a\n:::": "> **Try it**\n>\n> - a",
    "x\n\n:::{dropdown} Answer\n$x$ is {eq}`eq-05-dft`.\n:::": "x\n\n<details>\n"
    "<summary>Answer</summary>\n\n$x$ is (EQ).\n\n</details>",
    ":::{container} relviz-credit\na\n:::": "a",
    "Online\n: The rocket.\n\nHere\n: That.": "**Online**: The rocket.\n\n**Here**: That.",
    "```bash\n# {eq}`x`\n: \n```": "```bash\n# {eq}`x`\n: \n```",
    r"$\abs{g}$, $\abs G$": r"${\left\lvert g\right\rvert}$, ${\left\lvert G\right\rvert}$",
    r"$\norm{\conj{x}y}$": r"${\left\lVert x^{*}y\right\rVert}$",
    r"$\partial\conj X\dft\{f\}$": r"$\partial X^{*}\operatorname{DFT}\{f\}$",
    r"$\pd{y}{x_{n}}$ in $\R$": r"$\frac{\partial y}{\partial x_{n}}$ in $\mathbb{R}$",
    "$$\nx\n$$ (eq-05-dft)": "$$ x \\tag{EQ} $$",
}


@pytest.mark.parametrize(("myst", "plain"), CASES.items())
def test_myst_becomes_markdown(myst, plain):
    number = str(rendered.book().figures["fig-05-map"])
    plain = plain.replace("SITE/", rendered.SITE).replace("FIG", number)
    plain = plain.replace("EQ", str(rendered.book().equations["eq-05-dft"]))
    assert rendered.Page(PAGE, lambda content: f"<{content}>").text(myst) == plain


def test_works_that_a_page_names_are_listed_once_in_order():
    writer = rendered.Page(PAGE, str)
    writer.text("{cite:p}`wirtinger1927,muckenhirn2019` and {cite:t}`wirtinger1927`")
    listed = writer.text("```{bibliography}\n:filter: docname in docnames\n```").splitlines()
    assert [line[:10] for line in listed] == ["- Hannah M", "- Wilhelm "]
    assert "[doi:10.1007/BF01447872](https://doi.org/10.1007/BF01447872)" in listed[1]


def test_contents_name_every_page():
    listed = rendered.Page("book/index", str).text("```{tableofcontents}\n```")
    for part in list(rendered.pages().values())[1:]:
        assert all(f"]({rendered.SITE}{page}.html)" in listed for page in part)


@pytest.mark.parametrize(
    ("myst", "named"), [("{term}`a`", r"\{term\}`...`"), (":::{tab-set}\n:::", r"\{tab-set\}")]
)
def test_what_nobody_has_taught_it_is_refused(myst, named):
    with pytest.raises(
        ValueError, match=f"^book/live uses {named}: say in tools/rendered.py how.$"
    ):
        rendered.Page("book/live", str).text(myst)


def test_a_brace_that_is_not_closed_is_refused():
    with pytest.raises(ValueError, match=r"^A brace is not closed: '\{x\$'$"):
        rendered.Page("book/live", str).text(r"$\abs{x$")


@pytest.fixture
def alone(monkeypatch, tmp_path) -> Path:
    """No executed book, and a place for copies with one page's."""
    monkeypatch.setattr(rendered, "CACHE", tmp_path / "none")
    monkeypatch.setattr(rendered, "notebooks", lambda: ["book/live"])
    monkeypatch.setattr(rendered, "OUT", tmp_path / "kept")
    path = tmp_path / "kept" / "book" / "live.ipynb"
    path.parent.mkdir(parents=True)
    nbformat.write(rendered.render(source("book/live"), "book/live", "<{}>".format), path)
    return path


def test_text_is_made_anew_without_an_execution(alone, tmp_path):
    rendered.write(tmp_path / "new")
    made = nbformat.read(tmp_path / "new" / "book" / "live.ipynb", as_version=4)
    assert made == nbformat.read(alone, as_version=4)
    assert "<accuracy:.0%>" in "\n".join(prose(made))


def test_numbers_of_other_code_are_refused(alone, tmp_path):
    old = nbformat.read(alone, as_version=4)
    old.cells[-2].source += "\nprint()"
    nbformat.write(old, alone)
    said = r"^book/live\.ipynb was not executed as it is now: run `make book` first\.$"
    with pytest.raises(SystemExit, match=said):
        rendered.write(tmp_path / "new")


def test_the_build_takes_no_kept_numbers(alone, tmp_path):
    with pytest.raises(SystemExit, match="was not executed as it is now"):
        rendered.write(tmp_path / "new", executed=True)


def test_on_colab_the_first_cell_installs_a_commit_and_lets_widgets_run(page, monkeypatch):
    """As Colab would run it, with its module and pip's, git's and cd's calls written down."""
    cell = next(cell for cell in copy(page).cells if cell.cell_type == "code")
    called: list[str] = []
    module = ModuleType("google.colab")
    manager = SimpleNamespace(enable_custom_widget_manager=lambda: called.append("widgets"))
    monkeypatch.setitem(sys.modules, "google", ModuleType("google"))
    monkeypatch.setitem(sys.modules, "google.colab", module)
    module.output = manager
    shell = InteractiveShell()
    for name in ("pip", "cd"):
        shell.register_magic_function(
            lambda line, name=name: called.append(f"{name} {line}"), magic_name=name
        )
    shell.system = lambda line: called.append(shell.var_expand(line))
    shell.run_cell(shell.transform_cell(cell.source)).raise_error()
    assert called[0] == "widgets"
    commit = shell.user_ns["commit"]
    assert re.fullmatch("[0-9a-f]{40}", commit)
    address = rf"git\+https://github\.com/relviz/relviz@{commit}"
    extras = "book(,train|,cluster)?"
    assert re.fullmatch(rf'pip install -q "relviz\[{extras}\] @ {address}"', called[1])
    reads = any(".csv" in c.source for c in copy(page).cells if c.cell_type == "code")
    assert (f"git checkout -q {commit}" in called) == reads
