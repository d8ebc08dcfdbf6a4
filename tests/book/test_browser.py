"""The built pages in a browser: whole without any other host, and usable by everybody.

Needs `_build/html`: run `make pages`, which builds the book first. Every page is opened over http,
where it is weighed, and as a file, where chapters are printed; axe-core looks at each in both
themes, on a laptop's and on a phone's width.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.support.wait import WebDriverWait

from tests.book import test_print, test_weight
from tests.book.toc import ROOT, pages
from tests.test_plots import luminance
from tools import browser, terms

HTML = ROOT / "_build" / "html"
AXE = ROOT / "_build" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
PAGES = [*pages(), "search", "genindex"]
WIDTHS = (1280, 360)  # the narrow one last: see still()
HERE = ("data:", "blob:")  # besides the site itself: what a page holds or makes

# formulas are typeset, and the explorers stand where the page has room for them
READY = """
const done = arguments[1];
const explorers = () => document.querySelectorAll('.relviz').length >= arguments[0];
const wait = () => {
  if (document.readyState === 'complete' && explorers())
    return void Promise.resolve(window.MathJax?.startup?.promise).then(() => done());
  // they come when one is near; again and again, as a page that is still loading may scroll back
  document.querySelector('script[type="application/vnd.jupyter.widget-view+json"]')
    ?.parentElement.scrollIntoView();
  setTimeout(wait, 50);
};
wait();
"""
# formulas that stayed TeX or show an error instead
RAW = """
const bad = (m) => !m.querySelector('mjx-container') || m.querySelector('mjx-merror');
return [...document.querySelectorAll('.math')].filter(bad).map((m) => m.textContent);
"""
# What is folded is looked at too. Colours change at once: half-way, axe would see neither theme.
OPEN = """
for (const folded of document.querySelectorAll('details')) folded.open = true;
document.head.append(Object.assign(document.createElement('style'),
  {textContent: '*, ::before, ::after { transition: none !important; animation: none !important }'}
));
"""
# how much there is to press
SEEN = """
return [...document.querySelectorAll('a, input')].filter((a) =>
  a.checkVisibility({visibilityProperty: true}) && a.getBoundingClientRect().right > 0 &&
  a.getBoundingClientRect().left < innerWidth).length;
"""
# How words look: all that decides which colours axe-core finds for them.
LOOKS = """
const backdrops = new Map([[null, '']]);
const backdrop = (element) => {
  if (!backdrops.has(element)) {
    const own = getComputedStyle(element).backgroundColor;
    backdrops.set(element, own === 'rgba(0, 0, 0, 0)' ? backdrop(element.parentElement) : own);
  }
  return backdrops.get(element);
};
const look = (word) => {
  const above = word.parentElement, block = word.closest('div'), style = getComputedStyle(word);
  const size = parseFloat(style.fontSize);  // large letters may be fainter, bold ones sooner
  return [word.tagName, word.className, word.style.cssText, above.tagName, above.className,
    block?.className, word.textContent.trim().length > 1, style.color, size >= 24, size >= 18.6,
    style.fontWeight, style.fontStyle, style.textDecorationLine, style.opacity,
    getComputedStyle(above).color, backdrop(word)].join('|');
};
"""
# Of words that look alike, as in program text, one is enough: axe-core takes long for each, and
# pages have thousands. The others become text of what holds them, and are looked at as such. A
# single character stands for no longer words, as axe-core does not judge its colours.
ALIKE = f"""{LOOKS}
const bare = ':not([id], [role], [tabindex], [aria-hidden], .relviz *, :has(*))';
const words = document.querySelectorAll(`span${{bare}}, em${{bare}}, strong${{bare}}`);
const looks = new Set();
// all looks before any change, or each would make the browser style the page anew
for (const [word, its] of [...words].map((word) => [word, look(word)])) {{
  if (looks.has(its)) word.replaceWith(word.textContent);
  looks.add(its);
}}
"""
# Colours are judged for each look that a page did not have before, at another width or in another
# theme: by the first, the middle and the last that has it, as of what is half hidden axe-core says
# nothing. All other rules are for the whole page; in the dark nothing else changes.
JUDGE = f"""{LOOKS}
const [theme, done] = arguments;
document.documentElement.dataset.theme = theme;
const colours = {{'color-contrast': '[data-fresh]', 'link-in-text-block': 'a[href][data-fresh]'}};
axe.configure({{rules: Object.entries(colours).map(([id, selector]) => ({{id, selector}}))}});
const fresh = () => {{
  const found = new Map(), seen = window.judgedLooks ??= new Set();
  for (const element of document.body.querySelectorAll('*')) {{
    const words = [...element.childNodes].some((n) => n.nodeType === n.TEXT_NODE && n.data.trim());
    if (!(words || element.matches('input, select, textarea'))) continue;
    const {{left, right}} = element.getBoundingClientRect();
    if (right <= 0 || left >= innerWidth) continue;  // a phone may bring it in
    if (!element.checkVisibility({{visibilityProperty: true}})) continue;
    const its = look(element);
    if (seen.has(its)) continue;
    if (!found.has(its)) found.set(its, []);
    found.get(its).push(element);
  }}
  found.forEach((_, its) => seen.add(its));
  const some = [...found.values()].flatMap((all) => [all[0], all[all.length >> 1], all.at(-1)]);
  return [...new Set(some)];
}};
const line = (v, n) => `${{v.id}} (${{v.impact}}): ${{n.target}} ${{n.html.slice(0, 99)}}`;
const all = async () => {{
  const words = fresh();
  if (theme === 'dark' && !words.length) return [];
  for (const word of words) word.dataset.fresh = '';
  const only = theme === 'dark' ? {{runOnly: Object.keys(colours)}} : {{}};
  const {{violations}} = await axe.run(document, {{resultTypes: ['violations'], ...only}});
  for (const word of words) delete word.dataset.fresh;
  return violations.flatMap((v) => v.nodes.map((n) => line(v, n)));
}};
requestAnimationFrame(() => all().then(done, (error) => done([String(error)])));
"""


@pytest.fixture(scope="module")
def http() -> Iterator[str]:
    """The book's address on a server of its own."""
    with browser.serve(HTML) as address:
        yield address


@pytest.fixture(scope="module", params=["http", "file"])
def site(request) -> str:
    """The book's address: on a server, or as files."""
    return HTML.as_uri() if request.param == "file" else request.getfixturevalue("http")


@pytest.fixture(params=PAGES)
def name(request) -> str:
    return request.param


def visit(chrome: webdriver.Chrome, address: str, explorers: int = 0) -> None:
    """Open a page, with nothing of the page before left in the logs."""
    browser.resize(chrome, WIDTHS[0])
    chrome.get("about:blank")
    for log in ("browser", "performance"):
        chrome.get_log(log)
    chrome.get(address)
    chrome.execute_async_script(READY, explorers)


def explorers(name: str) -> int:
    """Return how many widgets a page shows."""
    return (HTML / f"{name}.html").read_text("utf-8").count("application/vnd.jupyter.widget-view")


def foreign(chrome: webdriver.Chrome, site: str, events: Sequence[dict] = ()) -> list[str]:
    """Return the addresses that were asked for and are not the site's, answered or not.

    events: what the browser has told already.
    """
    about = {"Network.requestWillBeSent", "Network.webSocketCreated"}
    asked = [
        event["params"].get("request", event["params"])["url"]
        for event in [*events, *test_weight.told(chrome)]
        if event["method"] in about
    ]
    assert asked
    return [url for url in asked if not url.startswith((f"{site}/", *HERE))]


def still(chrome: webdriver.Chrome) -> None:
    """Wait until the theme has made reachable by keyboard what scrolls at a new width."""
    chrome.execute_async_script("setTimeout(arguments[0], 450)")


def sideways(chrome: webdriver.Chrome) -> int:
    """Return by how many pixels a page is wider than the window."""
    page = "document.documentElement"
    return chrome.execute_script(f"return {page}.scrollWidth - {page}.clientWidth")


def violations(chrome: webdriver.Chrome, theme: str = "light") -> list[str]:
    """Return what axe-core finds on the page, of any impact.

    In the dark, of colours only. Words that look alike become one before.
    """
    if not chrome.execute_script("return 'axe' in window"):
        chrome.execute_script(AXE.read_text("utf-8"))
        chrome.execute_script(ALIKE)
    found: list[str] = chrome.execute_async_script(JUDGE, theme)
    return found


def test_stands_alone_as_a_file_and_on_paper(chrome, name):
    visit(chrome, f"{HTML.as_uri()}/{name}.html")
    if re.search(r"/\d\d_", name):  # a chapter, printed by one who came near to no explorer
        sheets, faults = test_print.printed(chrome)
        assert not faults
        assert 4 < sheets <= test_print.MOST
        browser.resize(chrome, WIDTHS[0])
    chrome.execute_async_script(READY, explorers(name))
    assert not chrome.execute_script(RAW)
    assert not foreign(chrome, HTML.as_uri())
    assert not browser.complaints(chrome)


def test_is_light_stands_alone_and_is_usable_by_everybody(chrome, http, name):
    address = f"{http}/{name}.html"
    chrome.get_log("browser")
    events = test_weight.visit(chrome, address)
    assert not test_weight.too_heavy(address, events)
    chrome.execute_async_script(READY, explorers(name))
    assert not chrome.execute_script(RAW)
    assert not foreign(chrome, http, events)
    chrome.execute_script(OPEN)
    found = {}
    for width in WIDTHS:
        browser.resize(chrome, width)
        still(chrome)
        found[width, "wider than the window by"] = sideways(chrome)
        for theme in ("light", "dark"):
            found[width, theme] = violations(chrome, theme)
    assert not {where: what for where, what in found.items() if what}
    assert not browser.complaints(chrome)


@pytest.mark.parametrize(
    ("width", "button"),
    [
        (360, ".primary-toggle"),
        (360, ".secondary-toggle"),
        (360, ".search-button__button:not(.search-button-field)"),
        (1280, ".search-button-field"),
        (1280, ".dropdown-launch-buttons button"),
    ],
)
def test_what_a_button_opens_is_usable_by_everybody(chrome, http, width, button):
    visit(chrome, f"{http}/{PAGES[1]}.html")
    chrome.execute_script(OPEN)
    browser.resize(chrome, width)
    before = chrome.execute_script(SEEN)
    chrome.find_element(
        "css selector", f".bd-header-article {button}, .sidebar-primary-item {button}"
    ).click()
    WebDriverWait(chrome, 5).until(lambda c: c.execute_script(SEEN) != before)
    still(chrome)
    assert not violations(chrome) + violations(chrome, "dark")


def test_search_finds_what_the_book_is_about(chrome, site):
    visit(chrome, f"{site}/search.html?q=relevance")
    WebDriverWait(chrome, 20).until(
        lambda c: len(c.find_elements("css selector", "#search-results li a")) > 5
    )
    assert not foreign(chrome, site)
    assert not browser.complaints(chrome)


def test_a_word_that_was_searched_for_can_be_read_where_it_is_marked(chrome, http):
    visit(chrome, f"{http}/{PAGES[1]}.html?highlight=relevance")
    chrome.execute_script(OPEN)
    assert len(chrome.find_elements("css selector", "a .highlighted")) > 1
    assert not violations(chrome) + violations(chrome, "dark")


def test_the_search_quotes_a_module(chrome, http):
    """Its anchor has a dot, which in a selector means something else."""
    visit(chrome, f"{http}/search.html?q=relevance")
    page = "<main role='main'>all<section id='module-relviz.spectral'>its own</section></main>"
    said = "return Search.htmlToText(arguments[0], '#module-relviz.spectral')"
    assert chrome.execute_script(said, page) == "its own"
    assert not browser.complaints(chrome)


def test_what_goes_on_beyond_a_phones_edge_fades_until_one_is_there(chrome, http):
    visit(chrome, f"{http}/book/case-studies/08_american_english_vowels.html")
    many = "return document.querySelectorAll('.relviz-more').length"
    assert not chrome.execute_script(many)
    browser.resize(chrome, 360)
    WebDriverWait(chrome, 5).until(lambda c: c.execute_script(many) > 2)
    chrome.execute_script(
        "for (const wide of document.querySelectorAll('.relviz-more')) wide.scrollLeft = 9999"
    )
    WebDriverWait(chrome, 5).until(lambda c: not c.execute_script(many))


# the first result for each of the words that are asked for
FIRST = """
const first = (words) => {
  history.replaceState(null, '', `?q=${encodeURIComponent(words)}`);
  const [docname, , anchor] = Search._performSearch(...Search._parseQuery(words)).at(-1);
  return [docname, anchor !== ''];
};
return arguments[0].map(first);
"""


def test_search_finds_the_page_that_introduces_a_term_first(chrome, http):
    """For every term of the glossary, its abbreviation, and a plural."""
    wanted = terms.places()
    wanted |= {f"{name}s": wanted[name] for name in ("formant", "relevance signal")}
    visit(chrome, f"{http}/search.html?q=relevance")
    found = chrome.execute_script(FIRST, list(wanted))
    assert not [
        (term, page)
        for (term, (there, label)), (page, anchored) in zip(wanted.items(), found, strict=True)
        if page != there or (label and not anchored)
    ]
    assert len(wanted) > 120


def test_what_is_shown_of_a_term_leads_to_its_section(chrome, site):
    visit(chrome, f"{site}/search.html?q=formant+contrast")
    first = "#search-results li:first-child a"
    WebDriverWait(chrome, 20).until(lambda c: c.find_elements("css selector", first))
    link = chrome.find_element("css selector", first).get_attribute("href")
    assert "08_american_english_vowels.html" in link
    visit(chrome, link)
    at = "return document.querySelector(':target #sec-08-contrast') !== null"
    assert chrome.execute_script(at)
    assert not browser.complaints(chrome)


# For each rule of the book's own style that asks `:has`, of how many elements it is asked.
ASKED = """
const sheet = [...document.styleSheets].find((s) => s.href?.includes('book.css'));
const rules = (group) => [...group.cssRules].flatMap((r) => r.selectorText ? [r] : rules(r));
const asking = rules(sheet).map((r) => r.selectorText).filter((s) => s.includes(':has('));
const asked = (s) => s.replace(/:not\\(:has\\([^()]*\\)\\)|:has\\([^()]*\\)/g, '');
return asking.map((s) => [s, document.querySelectorAll(asked(s)).length]);
"""


def test_the_longest_page_is_soon_laid_out_at_another_width(chrome, http):
    """There Chromium looks through the page again for each element of which a rule asks `:has`."""
    visit(chrome, f"{http}/book/appendix/api.html")
    assert chrome.execute_script("return document.querySelectorAll('p').length") > 1000
    found = chrome.execute_script(ASKED)
    assert len(found) > 3
    assert not [(rule, many) for rule, many in found if many > 20]


def test_mathematics_was_there_to_be_typeset(chrome, http):
    """Without a formula on any page, the test above would prove nothing."""
    visit(chrome, f"{http}/book/appendix/notation.html")
    assert len(chrome.find_elements("css selector", ".math mjx-container")) > 10


def test_one_faint_word_of_a_program_is_seen_among_many(chrome, tmp_path: Path):
    words = ["<span class='k'>def </span>"] * 3
    words += [f"<span class='n'>{word}</span>" for word in ("f", "name", "name", "name")]
    page = "<!doctype html><title>code</title><style>.n {{ color: {} }}</style><pre>{}</pre>"
    faint = "<span class='n' style='color: #eee'>another</span>"
    for name, colour, more, wrong in (
        ("fine", "#333", "", 0),
        ("kind", "#eee", "", 1),
        ("one", "#333", faint, 1),
    ):
        (tmp_path / f"{name}.html").write_text(page.format(colour, "".join([*words, more])))
        visit(chrome, f"{tmp_path.as_uri()}/{name}.html")
        text = chrome.find_element("css selector", "pre").text
        found = violations(chrome)
        assert sum(line.startswith("color-contrast") for line in found) == wrong, (name, found)
        assert chrome.find_element("css selector", "pre").text == text
        assert len(chrome.find_elements("css selector", "pre span")) == 3 + bool(more)


def test_a_word_is_not_like_another_before_another_ground(chrome, tmp_path: Path):
    word = "<span class='n'>name</span>"
    (tmp_path / "page.html").write_text(
        "<!doctype html><title>code</title><style>pre { color: #eee } .n { color: #333 }</style>"
        f"<pre>{word}</pre><pre style='background: #222'>{word}{word}</pre>"
    )
    visit(chrome, f"{tmp_path.as_uri()}/page.html")
    assert [line for line in violations(chrome) if "color-contrast" in line and "name" in line]
    assert len(chrome.find_elements("css selector", "pre span")) == 2


def test_a_colour_that_only_a_phone_or_the_dark_has_is_seen(chrome, tmp_path: Path):
    fine = "body { background: #fff; color: #333 } .fold { display: none }"
    fine += " .far { position: absolute; left: -9999px }"
    narrow = (
        "@media (max-width: 400px) { .words { color: #eee } .fold { display: block } "
        ".far { position: static } }"
    )
    dark = "[data-theme=dark] .dark { color: #eee }"
    (tmp_path / "page.html").write_text(
        f"<!doctype html><title>colours</title><style>{fine} {narrow} {dark}</style>"
        "<main><h1>colours</h1><p class='words'>narrow</p><p class='dark'>at night</p>"
        "<p class='fold' style='color: #ddd'>folded</p>"
        "<p class='far' style='color: #ccc'>far</p></main>"
    )
    visit(chrome, f"{tmp_path.as_uri()}/page.html")
    found = {}
    for width in WIDTHS:
        browser.resize(chrome, width)
        for theme in ("light", "dark"):
            found[width, theme] = re.findall(r">([\w ]+)<", " ".join(violations(chrome, theme)))
    assert found == {
        (1280, "light"): [],
        (1280, "dark"): ["at night"],
        (360, "light"): ["narrow", "folded", "far"],
        (360, "dark"): [],  # each is told once
    }


def test_what_is_wrong_would_be_seen(chrome, tmp_path: Path):
    (tmp_path / "wrong.html").write_text(
        "<!doctype html><title>wrong</title><div style='width: 2000px'>wide</div>"
        "<p style='color: #777; background: #888'>faint</p><p class='math'>\\(x\\)</p>"
        "<img src='https://relviz.invalid/picture.png'><script>console.error('alas')</script>"
    )
    visit(chrome, f"{tmp_path.as_uri()}/wrong.html")
    assert chrome.execute_script(RAW) == ["\\(x\\)"]
    assert foreign(chrome, tmp_path.as_uri()) == ["https://relviz.invalid/picture.png"]
    assert any("alas" in message for message in browser.complaints(chrome))
    assert sideways(chrome) > 500
    rules = {re.match(r"[\w-]+", line)[0] for line in violations(chrome)}
    assert {"image-alt", "color-contrast", "html-has-lang"} <= rules


@pytest.mark.parametrize("under_the_mouse", [False, True])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_way_back_to_the_top_can_be_read(chrome, http, theme, under_the_mouse):
    """By its own colours: axe-core often cannot tell, as it floats above the text."""
    visit(chrome, f"{http}/{PAGES[1]}.html")
    chrome.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
    for domain in ("DOM", "CSS"):
        chrome.execute_cdp_cmd(f"{domain}.enable", {})
    page = chrome.execute_cdp_cmd("DOM.getDocument", {})["root"]["nodeId"]
    asked = {"nodeId": page, "selector": "#pst-back-to-top"}
    node = chrome.execute_cdp_cmd("DOM.querySelector", asked)["nodeId"]
    forced = ["hover"] if under_the_mouse else []
    state = {"nodeId": node, "forcedPseudoClasses": forced}
    chrome.execute_cdp_cmd("CSS.forcePseudoState", state)
    said = "const style = getComputedStyle(document.querySelector('#pst-back-to-top'));"
    found = chrome.execute_script(said + "return [style.color, style.backgroundColor]")
    for domain in ("CSS", "DOM"):
        chrome.execute_cdp_cmd(f"{domain}.disable", {})
    parts = [[int(part) / 255 for part in re.findall(r"\d+", each)[:3]] for each in found]
    low, high = sorted(luminance(colour) + 0.05 for colour in parts)
    assert high / low > 4.5, found
