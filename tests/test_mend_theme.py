"""tools/mend_theme.py: each mend, on markup as the theme writes it."""

import base64
import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).resolve().parent.parent
spec = importlib.util.spec_from_file_location("mend_theme", ROOT / "tools" / "mend_theme.py")
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)

CASES = {
    '<summary aria-label="Toggle hidden content">': "<summary>",
    '<button class="btn search-button-field a" title="Search" aria-label="Search" id="x">': (
        '<button class="btn search-button-field a" title="Search" id="x">'
    ),
    '<i class="theme-switch fa-sun" data-mode="light" title="Light"></i>': (
        '<i class="theme-switch fa-sun" data-mode="light"></i>'
    ),
    '<div class="citation" id="id1" role="doc-biblioentry">': (
        '<div class="citation" id="id1" role="listitem">'
    ),
    "<tr><th></th><th>a</th></tr>": "<tr><td></td><th>a</th></tr>",
    '<th class="head"><p></p></th>': '<td class="head"></td>',
    '<div class="sidebar-primary-item">\n <a class="navbar-brand logo">': (
        '<div class="sidebar-primary-item" role="banner">\n <a class="navbar-brand logo">'
    ),
    '<header id="pst-header" class="bd-header">\n </header>': (
        '<header id="pst-header" class="bd-header" hidden>\n </header>'
    ),
    'mode = localStorage.getItem("mode") || "";': 'mode = localStorage.getItem("mode") || "auto";',
    'theme = localStorage.getItem("theme") || "";': (
        'theme = localStorage.getItem("theme") || '
        '(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");'
    ),
    '<dd><em class="sig-param"><span>x</span></em>,</dd>': (
        '<div class="sig-line"><em class="sig-param"><span>x</span></em>,</div>'
    ),
    '<dl>\n<div class="sig-line">': '<div>\n<div class="sig-line">',
    '</dl>\n\n<span class="sig-paren">)</span>': '</div>\n\n<span class="sig-paren">)</span>',
    '<b>\n  <script defer src="../_static/scripts/fontawesome.js?digest=5"></script>\n</b>': (
        "<b>\n</b>"
    ),
    '<link rel="preload" as="script" href="../_static/scripts/fontawesome.js?digest=5" />': "",
    '<i class="fab fa-github">': '<i class="fa-solid fa-code-branch">',
    '<img alt="" src="../_images/a.png" />': '<img loading="lazy" alt="" src="../_images/a.png" />',
}


@pytest.mark.parametrize(("before", "after"), CASES.items())
def test_mends_once(before, after):
    assert tool.mend(before) == after
    assert tool.mend(after) == after


def test_every_mend_has_a_case():
    assert len(CASES) == len(tool.MENDS)


@pytest.mark.parametrize(
    "html",
    [
        '<header id="pst-header" class="bd-header"><nav></nav></header>',
        '<div class="sidebar-primary-item"><nav>',
        '<button class="other" aria-label="Search">',
        "<th>a</th>",
        "<dl><dd>a</dd></dl>",
    ],
)
def test_leaves_the_rest_alone(html):
    assert tool.mend(html) == html


def test_takes_thebe_out():
    def script(filename, **attributes):
        return SimpleNamespace(filename=filename, attributes=attributes)

    kept = [script("_static/book.js"), script("", body="let a = 1")]
    thebe = [script("_static/sphinx-thebe.js"), script("", body='const THEBE_JS_URL = "..."')]
    state = script("", type="application/vnd.jupyter.widget-state+json", body='{"data": "xTheBEa"}')
    kept.append(state)  # by chance
    context = {"script_files": [*kept, *thebe]}
    tool.without_thebe(None, "", "", context, None)
    assert context["script_files"] == kept


@pytest.mark.parametrize(
    ("body", "stays"),
    [('<div class="math notranslate">x</div>', True), ("<p>no formula</p>", False), (None, False)],
)
def test_mathjax_is_for_pages_with_formulas(body, stays):
    def script(filename, **attributes):
        return SimpleNamespace(filename=filename, attributes=attributes)

    kept = [script("_static/book.js"), script("", type="application/json", body='"mathjax"')]
    mathjax = [script("vendor/mathjax/tex.js"), script("", body="window.MathJax = {}")]
    context = {"script_files": [*kept, *mathjax], "body": body}
    tool.without_mathjax(None, "", "", context, None)
    assert context["script_files"] == (kept + mathjax if stays else kept)


def test_only_the_front_page_has_one_column():
    for page, one in (("book/index", True), ("book/live", False)):
        context = {"meta": None}
        tool.in_one_column(None, page, "", context, None)
        assert ("html_theme.sidebar_secondary.remove" in (context["meta"] or {})) == one


WAVE = base64.b64encode(b"RIFF, a sound").decode()
PLAYER = f"""<audio aria-label="a" controls="controls" >
 <source src="data:audio/wav;base64,{WAVE}" type="audio/wav" />"""


def test_sounds_go_into_files_that_load_when_played(tmp_path):
    page = tmp_path / "book" / "method" / "a.html"
    html = tool.lighten(PLAYER + PLAYER, page, tmp_path)
    (file,) = (tmp_path / "_sounds").iterdir()
    assert file.read_bytes() == b"RIFF, a sound"
    assert html.count(f'<source src="../../_sounds/{file.name}" type="audio/wav" />') == 2
    assert html.count('preload="none" controls="controls"') == 2 and "base64" not in html
    assert tool.lighten(html, page, tmp_path) == html


def test_the_vote_keeps_its_sounds(tmp_path):
    html = f'<section class="relviz-vote">{PLAYER}</section>'
    assert tool.lighten(html, tmp_path / "index.html", tmp_path) == html


BEGINS = '<script type="application/vnd.jupyter.widget-state+json">'


def view(name: str) -> str:
    kind = "application/vnd.jupyter.widget-view+json"
    return f'<script type="{kind}">{{"model_id": "{name}"}}</script>'


def test_explorers_data_go_into_a_script_without_bars_of_progress(tmp_path):
    page = tmp_path / "live.html"
    page.touch()
    explorer = {"state": {"_esm": "</b> \\ \u201cee\u201d"}, "buffers": []}
    saved = {"state": {"a": explorer, "bar": {"state": {"value": 21.0}}}, "version_major": 2}
    html = f"{view('bar')}{view('a')}{BEGINS}{json.dumps(saved)}</script>"
    template = '<template data-explorers="live.explorers.js"></template>'
    assert tool.lighten(html, page, tmp_path) == view("a") + template
    code = (tmp_path / "live.explorers.js").read_text("utf-8")
    literal = code.partition("textContent: ")[2].rpartition("}));")[0]
    assert json.loads(json.loads(literal)) == {"state": {"a": explorer}}


def test_a_page_of_bars_alone_has_no_explorers(tmp_path):
    saved = {"state": {"bar": {"state": {"value": 21.0}}}}
    html = f"<i></i>{view('bar')}{BEGINS}{json.dumps(saved)}</script>"
    assert tool.lighten(html, tmp_path / "11.html", tmp_path) == "<i></i>"
    assert not (tmp_path / "11.explorers.js").exists()


def test_only_icons_that_are_used_stay_in_the_style_sheet():
    one, two = '.fa-0:before{content:"\\30 "}', '.fa-sun:before,.fa-day:before{content:"\\f185"}'
    css = f"a{{b:c}}{one}{two}.fa-sun{{color:red}}"
    assert tool.used_icons(css, {"fa-day"}) == f"a{{b:c}}{two}.fa-sun{{color:red}}"
    assert tool.used_icons(css, set()) == "a{b:c}.fa-sun{color:red}"
