"""Mend what the theme and its extensions write into every page: an extension of Sphinx.

tests/book/test_browser.py looks at every page with axe-core and listens to the browser's console;
each line below answers one complaint. Most work on the finished pages, because no one template
writes all of it, and none is a script, so that a page is right before any script has run.
"""

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


def finish(app: Any, error: Exception | None) -> None:
    """Mend every page that was written."""
    if error is None and app.builder.format == "html":
        for path in Path(app.outdir).rglob("*.html"):
            path.write_text(mend(path.read_text("utf-8")), "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
