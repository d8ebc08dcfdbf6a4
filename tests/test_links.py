"""tools/links.py: what counts as a link, and what counts as broken, against a server of our own."""

import importlib.util
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parent.parent / "tools" / "links.py"
spec = importlib.util.spec_from_file_location("links", TOOL)
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)


class Handler(BaseHTTPRequestHandler):
    """/here answers, /gone is 404, /wall refuses scripts, /headless knows only GET, /far moves."""

    def do_HEAD(self):
        self.answer(500 if self.path == "/headless" else None)

    def do_GET(self):
        self.answer(None)

    def answer(self, status):
        known = {"/here": 200, "/headless": 200, "/wall": 403, "/far": 302, "/lost": 302}
        self.send_response(status or known.get(self.path, 404))
        if self.path in ("/far", "/lost"):
            self.send_header("Location", "/here" if self.path == "/far" else "/gone")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("see https://a.org/x.", {"https://a.org/x"}),
        ("[a](https://a.org/x) and <http://b.org>", {"https://a.org/x", "http://b.org"}),
        ("[https://a.org](https://b.org/y)", {"https://a.org", "https://b.org/y"}),
        ("(https://en.org/wiki/F_(x))", {"https://en.org/wiki/F_(x)"}),
        ("**https://a.org/x**, `https://b.org/z`", {"https://a.org/x", "https://b.org/z"}),
        ("https://a.org/?q=1&r=2#top", {"https://a.org/?q=1&r=2#top"}),
        ("http://localhost:8000 and ftp://a.org and [b](../c.md)", set()),
    ],
)
def test_finds_the_links_of_a_page(tmp_path, text, expected):
    page = tmp_path / "page.md"
    page.write_text(text)
    assert tool.links(page) == expected


def test_reads_the_prose_of_a_notebook_and_not_its_code(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["see\n", "https://a.org/x"]},
        {"cell_type": "code", "source": ["url = 'https://b.org'"]},
    ]
    path = tmp_path / "page.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    assert tool.links(path) == {"https://a.org/x"}


def test_reads_dois_and_addresses_of_a_bibliography(tmp_path):
    path = tmp_path / "a.bib"
    path.write_text(
        '@article{a,\n  doi   = {10.1/x_(y)},\n}\n@misc{b,\n  DOI = "10.2/z"\n}\n'
        "@misc{c,\n  url = {https://a.org/1},\n}\n"
    )
    assert tool.links(path) == {
        "https://doi.org/10.1/x_(y)",
        "https://doi.org/10.2/z",
        "https://a.org/1",
    }


def test_the_book_has_links_that_look_like_links():
    found = set().union(*map(tool.links, tool.sources([tool.ROOT / "book"])))
    assert "https://doi.org/10.21437/Interspeech.2019-2341" in found
    assert not {link for link in found if link[-1] in ").,;]}*" and link.count("(") == 0}


@pytest.mark.parametrize("page", ["here", "headless", "wall", "far"])
def test_a_link_that_leads_somewhere_has_no_fault(server, page):
    assert tool.fault(f"{server}/{page}") is None


@pytest.mark.parametrize("page", ["gone", "lost"])
def test_a_missing_page_is_a_fault(server, page):
    assert tool.fault(f"{server}/{page}") == "status 404"


def test_a_server_that_is_not_there_is_a_fault():
    assert tool.fault("http://127.0.0.1:9/", tries=1) == "ConnectionError"


def test_prints_one_line_for_each_broken_link(tmp_path, server, capsys, monkeypatch):
    monkeypatch.setattr(tool, "NO_PAGES", ())
    (tmp_path / "a.md").write_text(f"{server}/here {server}/gone")
    (tmp_path / "b.md").write_text(f"[x]({server}/gone)")
    assert tool.main([str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert out == f"{server}/gone  status 404  in a.md, b.md\n"
    assert err == "2 links, 1 broken\n"


@pytest.mark.slow
def test_is_content_with_good_links_and_refuses_what_is_not_there(tmp_path, server, capsys):
    (tmp_path / "a.md").write_text("nothing here")
    assert tool.main([str(tmp_path)]) == 0
    assert tool.main([str(tmp_path / "none")]) == 2
    assert "not there" in capsys.readouterr().err
