"""A Sphinx extension that mends what every page of the theme carries.

Thebe, which nothing here uses, is set up twice, which browsers refuse, and would come from another
host; and the theme is told to follow the reader's own choice of light or dark.
"""

from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this: mend each page before it is written."""

    def mend(_app: Any, _name: str, _template: str, context: dict[str, Any], _tree: Any) -> None:
        context["default_mode"] = "auto"
        context["script_files"] = [
            script
            for script in context["script_files"]
            if "thebe" not in f"{script.filename} {script.attributes.get('body', '')}".lower()
        ]

    app.connect("html-page-context", mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
