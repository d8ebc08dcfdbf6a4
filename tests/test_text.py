"""relviz._text: whatever text a file brings is shown, and does nothing where it is shown."""

import io
import pickle
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib import pyplot as plt

from relviz import audio
from relviz._errors import MissingExtraError, MissingFileError, ParameterError
from relviz._text import code, drawn, markdown, printable

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</td></table><script>alert(1)</script>",
    "a | b | c",
    "*a* _b_ **c** `d` ~~e~~",
    "[a](javascript:alert(1)) ![b](http://evil.example/x.png)",
    "see http://evil.example/ and mailto:a@evil.example",
    "&lt;b&gt; &amp; &#60;",
    "`` a ` b",
    "$x^2$ and $$y$$ {sub}`z` {{ name }}",
    "line\n\n# one\n- more",
    "\\`\\*\\",
    "\x1b[2J\x07\u202egnp.exe\u2028\ud800",
)

SAYS = MarkdownIt("gfm-like", {"html": True, "linkify": True})


def tags(text: str) -> list[str]:
    """What a renderer of GitHub's Markdown makes of text in a cell, but for the table itself."""
    html = SAYS.render(f"| a | b |\n|---|---|\n| x {text} | y |")
    assert html.count("<td>") == 2 and html.count("<tr>") == 2, html
    return re.findall(r"<(?!/?(?:table|thead|tbody|tr|th|td)\b)[^>]*>", html)


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_shows_any_text_and_does_nothing(text: str) -> None:
    assert tags(markdown(text)) == []
    assert set(tags(code(text))) <= {"<code>", "</code>"}


def test_what_would_be_drawn_without_it() -> None:
    assert [bool(tags(HOSTILE[i])) for i in (0, 1, 3, 4, 5)] == [True] * 5


@example(".ax:")  # a host's name, with the letter before it
@given(st.text("<>&\"'`*_[](){}|~$@:/!\\#-+. ax=\n\t1", max_size=40))
def test_markdown_gives_back_the_text(text: str) -> None:
    (token,) = SAYS.parseInline(f"x{markdown(text)}x")
    children = token.children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children) == f"x{printable(text)}x"


@pytest.mark.slow
@given(st.text(max_size=20))
def test_printable_is_one_line_that_anything_can_print(text: str) -> None:
    shown = printable(text)
    assert shown.encode("utf-8").decode("utf-8") == shown
    assert len(shown.splitlines()) <= 1 and "\x1b" not in shown
    assert printable(shown) == shown


def test_printable_leaves_words_of_any_script() -> None:
    for text in ("naïve", "日本語", "Ελληνικά", "a\u00a0b", "e\u0301"):
        assert printable(text) == text


@pytest.mark.parametrize("kind", [ParameterError, MissingFileError, MissingExtraError])
def test_a_refusal_sends_nothing_to_a_terminal(kind: type[Exception]) -> None:
    error = kind("no network in \x1b]0;owned\x07.wav: \u202e")
    assert str(error) == r"no network in \x1b]0;owned\x07.wav: \u202e"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert audio.shown("a\x1b[1m.wav") == r"a\x1b[1m.wav"


@pytest.mark.parametrize("text", ["$a$", "$\\frac{1}{0$", "a$b", "\\$a$", "x^2_3", *HOSTILE])
def test_a_figure_shows_dollars(text: str) -> None:
    figure, axes = plt.subplots()
    try:
        title = axes.set_title(drawn(text))
        assert not title._preprocess_math(title.get_text())[1]
        figure.savefig(io.BytesIO(), format="png")
    finally:
        plt.close(figure)
