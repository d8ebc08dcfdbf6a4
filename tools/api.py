"""The library reference of the book, from the docstrings of relviz: a small extension of Sphinx.

In a Markdown page, a line `<!-- api: relviz.signals -->` becomes the reference of that module: what
its docstring says, and the signature and docstring of every public function, class and constant
that it defines, in the order of the source. relviz's docstrings are plain prose, which Sphinx's own
autodoc would read as reStructuredText; here they become Markdown, with nothing in them interpreted
but `code`.
"""

import ast
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

MARK = re.compile(r"^<!-- api: ([\w.]+) -->$", re.MULTILINE)
SPECIAL = re.compile(r"([\\*_\[\]<>$|{}~^#])")
WIDTH = 76  # letters that fit beside the table of contents
# what begins an item of its own, besides the name of a parameter
OPENINGS = ("Returns", "Raises", "Warns", "Source")


def escape(text: str) -> str:
    """Take their meaning from Markdown's signs, except in `code`."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(p if i % 2 else SPECIAL.sub(r"\\\1", p) for i, p in enumerate(parts))


def markdown(docstring: str, names: tuple[str, ...] = ()) -> str:
    """Turn a docstring into Markdown: paragraphs, with items for the parameters called `names`."""
    opening = re.compile(
        rf"(?:(?:{'|'.join(names) or '$.'})(?:, [\w ]+)*:|(?:{'|'.join(OPENINGS)})\b)"
    )
    blocks = []
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        lines = block.splitlines()
        if all(line.startswith("    ") for line in lines):
            blocks.append("```text\n" + "\n".join(line[4:] for line in lines) + "\n```")
            continue
        items: list[str] = []
        for line in lines:
            begins = bool(opening.match(line))
            if begins or not items:
                items.append("- " * begins + escape(line.strip()))
            else:
                items[-1] += " " + escape(line.strip())
        blocks.append("\n".join(part if part.startswith("- ") else f"{part}\n" for part in items))
    return "\n\n".join(block.strip("\n") for block in blocks)


def signature(name: str, member: Any) -> str:
    """Write `name(...)` with types, on one line or with a line for each parameter."""
    try:
        given = inspect.signature(member)
    except (TypeError, ValueError):
        return name
    parts: list[str] = []
    for each in given.parameters.values():
        star = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
        if each.kind is each.KEYWORD_ONLY and not any(part.startswith("*") for part in parts):
            parts.append("*")
        typed = "" if each.annotation is each.empty else f": {plain(each.annotation)}"
        default = "" if each.default is each.empty else f" = {plain(each.default, repr)}"
        parts.append(f"{star}{each.name}{typed}{default}")
    end = given.return_annotation
    returns = "" if end in (given.empty, None, "None") else f" -> {plain(end)}"
    short = f"{name}({', '.join(parts)}){returns}"
    if len(short) <= WIDTH:
        return short
    return f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){returns}"


def plain(value: Any, write: Callable[[Any], str] = str) -> str:
    """Write a type or a default without addresses and modules' names."""
    return str(getattr(value, "__name__", None) or write(value))


def parameters(member: Any) -> tuple[str, ...]:
    """Return the names of what a function or class takes; none where Python does not know them."""
    try:
        return tuple(inspect.signature(member).parameters)
    except ValueError:  # an exception's own class, for one
        return ()


def members(module: ModuleType) -> Iterator[tuple[str, Any, str]]:
    """Yield (name, object, docstring) of what a module defines and documents, in order."""
    body = ast.parse(inspect.getsource(module)).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            name, text = node.name, ast.get_docstring(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            name = target.id if isinstance(target, ast.Name) else "_"
            said = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            text = str(after.value.value) if said else None  # type: ignore[union-attr]
        else:
            continue
        if text and not name.startswith("_"):
            yield name, getattr(module, name), text


def methods(member: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that a class itself defines and documents."""
    for name, value in vars(member).items():
        ours = isinstance(value, property) or inspect.isfunction(value)
        if ours and value.__doc__ and not name.startswith("_"):
            yield name, value


def reference(name: str) -> str:
    """Return the reference of a module as Markdown."""
    module = importlib.import_module(name)
    parts = [markdown(module.__doc__ or "")]
    for title, member, text in members(module):
        parts.append(f"### {escape(title)}")
        if inspect.isclass(member) or inspect.isfunction(member):
            parts.append(f"```python\n{signature(title, member)}\n```")
            parts.append(markdown(text, parameters(member)))
        else:
            parts.append(markdown(text))
        for method, value in methods(member) if inspect.isclass(member) else ():
            head = method if isinstance(value, property) else signature(method, value)
            parts.append(f"```python\n{title}.{head}\n```")
            parts.append(markdown(value.__doc__))
    return "\n\n".join(parts)


def fill(text: str) -> str:
    """Put the references where a page asks for them."""
    return MARK.sub(lambda found: reference(found[1]), text)


def setup(app: Any) -> dict[str, bool]:
    """Sphinx calls this: fill every page when it is read."""

    def read(_app: Any, _name: str, source: list[str]) -> None:
        if MARK.search(source[0]):
            source[0] = fill(source[0])

    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
