"""tools/mend_theme.py: each mend, on markup as the theme writes it."""

import importlib.util
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
