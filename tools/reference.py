"""What Sphinx's autodoc does not do by itself for the library reference: an extension of it.

A signature shows types as the source has them (`ArrayLike`, not the union that stands behind it),
and a name leads to where relviz documents it, though a docstring may name it as a reader imports it
(`relviz.relevance`) or as its module does (`Target`).
"""

from __future__ import annotations

import inspect
import pkgutil
from typing import Any

from sphinx.util.inspect import stringify_signature


def as_written(_app: Any, what: str, _name: str, member: Any, *_: Any) -> tuple[str, str] | None:
    """Return a function's or class's arguments and what it returns, no type evaluated."""
    if what not in ("class", "function", "method"):
        return None
    given = inspect.signature(member)
    first = next(iter(given.parameters), None)
    if what == "method" and first in ("self", "cls"):
        given = given.replace(parameters=list(given.parameters.values())[1:])
    returns = given.return_annotation
    text = stringify_signature(given, show_return_annotation=False)
    known = what != "class" and returns not in (given.empty, None, "None")
    return text, str(returns) if known else ""


def without_fields(_app: Any, _what: str, _name: str, member: Any, *_: Any) -> bool | None:
    """Leave out what Python says of a named tuple's fields; its docstring says more."""
    return str(getattr(member, "__doc__", "")).startswith("Alias for field number") or None


def as_prose(_app: Any, what: str, _name: str, _o: Any, _x: Any, lines: list[str]) -> None:
    """Put an empty comment first, as napoleon takes a constant's first line for "type: text"."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]


def documented(module: str | None, name: str, names: list[str]) -> str | None:
    """Return which of the documented `names` is the object that `module` knows as `name`."""
    last = name.rpartition(".")[2]
    for full in (name, f"{module}.{name}"):
        try:
            meant = pkgutil.resolve_name(full)
        except (AttributeError, ImportError, ValueError):
            continue
        for other in names:
            if other.rpartition(".")[2] == last and pkgutil.resolve_name(other) is meant:
                return other
    return None


def follow(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Resolve a reference that Sphinx does not find, where relviz documents its object."""
    if node.get("refdomain") != "py":
        return None
    domain = env.get_domain("py")
    ours = [name for name in domain.objects if name.startswith("relviz.")]
    found = documented(node.get("py:module"), node["reftarget"], ours)
    if found is None:
        return None
    at = node.get("refdoc", env.docname)
    return domain.resolve_xref(env, at, app.builder, "obj", found, node, content)


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this."""
    app.connect("autodoc-process-signature", as_written)
    app.connect("autodoc-skip-member", without_fields)
    app.connect("autodoc-process-docstring", as_prose, priority=400)
    app.connect("missing-reference", follow)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
