"""Mend and lighten what the theme and its extensions write: an extension of Sphinx.

tests/book/test_browser.py looks at every page with axe-core and listens to the browser's console;
each line below answers one complaint. Most work on the finished pages, because no one template
writes all of it, and none is a script, so that a page is right before any script has run.
"""

import base64
import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

MENDS = [
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # Buttons and folded cells must be called what can be read on them.
        (r' aria-label="Toggle hidden content"', ""),
        (r'(<button class="btn search-button-field [^>]*?) aria-label="Search"', r"\1"),
        # the picture's title comes to stand in the button, where it is taken for its text
        (r'(<i class="theme-switch [^>]*?) title="[^"]*"', r"\1"),
        # An item of a list has to say so; the role that it has is deprecated.
        (r'(<div class="citation"[^>]*?) role="doc-biblioentry"', r'\1 role="listitem"'),
        # The corner of a table is no heading of anything.
        (r"<th></th>", "<td></td>"),
        (r'<th class="head"><p></p></th>', '<td class="head"></td>'),
        # The book's name above the contents would belong to no part of the page; it takes the
        # place of the theme's own header, which is empty.
        (r'<div class="sidebar-primary-item">(?=\s*<a class="navbar-brand)',
         '<div class="sidebar-primary-item" role="banner">'),
        (r'(<header id="pst-header" class="[^"]*")>(?=\s*</header>)', r"\1 hidden>"),
        # Before a reader chose a theme, its name is empty, which is an error and has no colours.
        # The theme's option default_mode would leave readers without scripts without colours.
        (r'(localStorage.getItem\("mode"\) \|\| )""', r'\1"auto"'),
        (r'(localStorage.getItem\("theme"\) \|\| )""',
         r'\1(matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")'),
        # A long signature's lines are no list of definitions: nothing in it is defined.
        (r'<dd>(<em class="sig-param">.*</em>,)</dd>', r'<div class="sig-line">\1</div>'),
        (r'<dl>(?=\s*<div class="sig-line">)', "<div>"),
        (r'</dl>(?=\s*<span class="sig-paren">)', "</div>"),
        # One and a half megabytes that draw icons which the theme's own style sheet draws, too.
        (r'\s*<script defer src="[^"]*/fontawesome\.js[^"]*"></script>', ""),
        (r'\s*<link rel="preload" as="script" href="[^"]*/fontawesome\.js[^"]*" />', ""),
        # A font for one icon.
        (r'"fab fa-github', '"fa-solid fa-code-branch'),
        # Pictures come when one is near.
        (r'<img (?=[^>]*src="[^"]*_images/)(?![^>]*loading=)', '<img loading="lazy" '),
    )
]  # fmt: skip


def mend(html: str) -> str:
    """Return a page with all mends made; a page that was mended before stays as it is."""
    for pattern, replacement in MENDS:
        html = pattern.sub(replacement, html)
    return html


def without_thebe(_app: Any, _page: str, _template: str, context: dict[str, Any], _: Any) -> None:
    """Take Thebe out: not used here, from another host, and set up twice, which browsers refuse."""
    context["script_files"] = [
        script
        for script in context["script_files"]
        # an explorer's state is data, in whose letters any word may turn up
        if "json" in (script.attributes.get("type") or "")
        or "thebe" not in f"{script.filename} {script.attributes.get('body', '')}".lower()
    ]


def without_mathjax(_app: Any, _page: str, _template: str, context: dict[str, Any], _: Any) -> None:
    """Take MathJax out of pages that have no formula: Jupyter Book puts it into all."""
    if 'class="math' not in (context.get("body") or ""):
        context["script_files"] = [
            script
            for script in context["script_files"]
            if "json" in (script.attributes.get("type") or "")
            or "mathjax" not in f"{script.filename} {script.attributes.get('body', '')}".lower()
        ]


def in_one_column(app: Any, page: str, _template: str, context: dict[str, Any], _: Any) -> None:
    """Give the front page the room of its contents, of which the left side has enough."""
    if page == "book/index":
        context["meta"] = (context.get("meta") or {}) | {"html_theme.sidebar_secondary.remove": ""}


def without_idle_spans(
    _app: Any, page: str, _template: str, context: dict[str, Any], _doctree: Any
) -> None:
    """Take marks of words, names, commas and spaces of code out of the reference: a quarter."""
    if page == "book/appendix/api":
        body = context.get("body") or ""
        for _ in range(2):  # they stand in each other
            body = re.sub(r'<span class="(?:[npw]|pre)">([^<]*)</span>', r"\1", body)
        context["body"] = body


SEARCH = re.compile(
    r'\s*<script src="[^"]*(?:searchtools|language_data|searchindex)\.js[^"]*"></script>'
)
"""What only the page of the search needs; the theme has it on every page."""

SOUND = re.compile(
    r'controls="controls"([^>]*>\s*)<source src="data:audio/wav;base64,([^"]*)"', re.DOTALL
)
STATE = re.compile(
    r'<script type="application/vnd\.jupyter\.widget-state\+json">(.*?)</script>', re.DOTALL
)
VIEW = re.compile(r'<script type="application/vnd\.jupyter\.widget-view\+json">(.*?)</script>')
AGAIN = """document.currentScript.after(Object.assign(document.createElement("script"), {
  type: "application/vnd.jupyter.widget-state+json", textContent: %s}));
"""
"""Puts an explorer's data into the page, over http and from file://, when it is loaded."""


def lighten(html: str, page: Path, top: Path) -> str:
    """Return a page without its sounds and its explorers' data, which go into files beside it.

    They are loaded when somebody plays or comes near them. The front page keeps its sounds: a page
    that is a file may decode no other, and its vote does.
    """

    def sound(match: re.Match[str]) -> str:
        wave = base64.b64decode(match[2])
        file = top / "_sounds" / f"{hashlib.sha256(wave).hexdigest()[:20]}.wav"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(wave)
        address = os.path.relpath(file, page.parent)
        return f'preload="none" controls="controls"{match[1]}<source src="{address}"'

    # bars that told of progress are widgets, too, and nothing to look at any more
    found = STATE.search(html)
    saved = json.loads(found[1])["state"] if found else {}
    explorers = {name: each for name, each in saved.items() if "_esm" in each["state"]}

    def view(match: re.Match[str]) -> str:
        return match[0] if json.loads(match[1])["model_id"] in explorers else ""

    def state(_match: re.Match[str]) -> str:
        if not explorers:
            return ""
        file = page.with_suffix(".explorers.js")
        file.write_text(AGAIN % json.dumps(json.dumps({"state": explorers})), "utf-8")
        return f'<template data-explorers="{file.name}"></template>'

    if 'class="relviz-vote"' not in html:
        html = SOUND.sub(sound, html)
    return STATE.sub(state, VIEW.sub(view, html))


ICON = re.compile(r'(?<=\})(?:\.fa-[\w-]+:before,?)+\{content:"[^"]*"\}')
"""A rule that says which letter of the font an icon is: the theme has all there are."""


def used_icons(css: str, used: set[str]) -> str:
    """Return a style sheet without the icons that nothing uses."""

    def kept(match: re.Match[str]) -> str:
        return match[0] if used & set(re.findall(r"\.(fa-[\w-]+):", match[0])) else ""

    return ICON.sub(kept, css)


def finish(app: Any, error: Exception | None) -> None:
    """Mend and lighten every page that was written."""
    if error is None and app.builder.format == "html":
        top = Path(app.outdir)
        for unused in (top / "_static" / "scripts").glob("fontawesome.js*"):
            unused.unlink()
        icons: set[str] = set()
        for path in top.rglob("*.html"):
            html = lighten(mend(path.read_text("utf-8")), path, top)
            if path.name != "search.html":
                html = SEARCH.sub("", html)
            path.write_text(html, "utf-8")
            icons |= set(re.findall(r"fa-[\w-]+", html))
        for script in (top / "_static").glob("**/*.js"):
            if "vendor" in script.parts:
                continue
            icons |= set(re.findall(r"fa-[\w-]+", script.read_text("utf-8")))
        for style in (top / "_static" / "styles").glob("pydata*.css"):
            style.write_text(used_icons(style.read_text("utf-8"), icons), "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    for change in (without_thebe, without_mathjax, in_one_column, without_idle_spans):
        app.connect("html-page-context", change, priority=900)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
