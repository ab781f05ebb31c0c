"""Pages in Chromium: nothing runs or is asked for that is not theirs, tables sort, and everybody can read them."""

import os
import shutil
from functools import cached_property
from pathlib import Path

import pytest
from forms import in_gate
from hostile_names import hostile_losses, hostile_models
from house import REPOSITORY
from quick_fits import quick_fits

import bayeslaw as bl

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: see .ci/browser")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
AXE = Path(os.environ.get("AXE_CORE") or REPOSITORY / "node_modules" / "axe-core" / "axe.min.js")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: see .ci/browser")
NARROW, WIDE = 360, 1440
SCHEMES = ("light", "dark")
OTHER_VISITS = tuple(pytest.param(*visit, marks=pytest.mark.slow) for visit in ((NARROW, "dark"), (WIDE, "light")))


@pytest.fixture(scope="module")
def browser():
    # The sandbox of Chromium does not start for the user root.
    options = ["--no-sandbox"] if os.geteuid() == 0 else []
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=options)
        yield opened
        opened.close()


class Pages:
    """Pages of what has hostile names: of a fit, a table and two fits; each is written when it is first opened."""

    def __init__(self, folder):
        self.folder = folder

    @cached_property
    def fit(self):
        with quick_fits():
            return bl.fit("power", hostile_models(), draws=100, chains=2)

    def __truediv__(self, file):
        path = self.folder / file
        if not path.exists():
            of = {"fit": lambda: self.fit, "table": hostile_losses, "beside": lambda: [self.fit, self.fit]}
            bl.report(of[path.stem](), path)
        return path


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return Pages(tmp_path_factory.mktemp("pages"))


class Visit:
    """A page that was opened, with what it asked for and what its console says."""

    def __init__(self, browser, path, **options):
        self.context = browser.new_context(**options)
        self.page, self.asked, self.said = self.context.new_page(), [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(path.as_uri())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.context.close()


@pytest.mark.parametrize("name", in_gate({"fit", "table"}, ["fit", "table", "beside"]))
def test_nothing_runs_or_is_asked_for(name, browser, pages):
    with Visit(browser, pages / f"{name}.html") as visit:
        for hit in visit.page.locator(".hit").all()[:20]:
            hit.dispatch_event("mouseover")
        for button in visit.page.locator("th button").all():
            button.click()
        assert visit.page.evaluate("window.bad") is None
        assert visit.page.evaluate("document.scripts.length") == 1
        assert visit.asked == [(pages / f"{name}.html").as_uri()]
        assert visit.said == []
        # What matplotlib and this package write is drawn: no style was refused.
        fills = visit.page.evaluate("[...document.querySelectorAll('svg path')].map(p => getComputedStyle(p).fill)")
        assert len(set(fills)) > 2


def test_a_script_that_is_not_the_pages_own_does_not_run(browser, pages, tmp_path):
    broken = (pages / "fit.html").read_text().replace("</main>", "</main><script>window.bad=1</script>")
    (tmp_path / "broken.html").write_text(broken)
    with Visit(browser, tmp_path / "broken.html") as visit:
        assert visit.page.evaluate("window.bad") is None
        assert any("Content Security Policy" in text for text in visit.said)


@pytest.mark.parametrize("names", [("fit", "table"), pytest.param(("beside",), marks=pytest.mark.slow)], ids="-".join)
@pytest.mark.parametrize(("width", "scheme"), [(NARROW, "light"), (WIDE, "dark"), *OTHER_VISITS])
def test_a_page_never_scrolls_sideways(width, scheme, names, browser, pages):
    for name in names:
        options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
        with Visit(browser, pages / f"{name}.html", **options) as visit:
            assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
            ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (ground == "rgb(255, 255, 255)") == (scheme == "light")


def column(page, table, place):
    return page.evaluate(
        "([t, c]) => [...document.querySelectorAll('table')[t].tBodies[0].rows].map(r => r.cells[c].textContent)",
        [table, place],
    )


def test_tables_sort_by_keys_and_stand_without_a_script(browser, pages):
    with Visit(browser, pages / "table.html") as visit:
        head = visit.page.locator("table").first.locator("th button", has_text="mean loss")
        before = column(visit.page, 0, 3)
        for order, sign in (("ascending", 1), ("descending", -1)):
            head.focus()
            visit.page.keyboard.press("Enter")
            assert head.locator("..").get_attribute("aria-sort") == order
            losses = [sign * float(text) for text in column(visit.page, 0, 3)]
            assert losses == sorted(losses)
        assert sorted(column(visit.page, 0, 3)) == sorted(before)
    with Visit(browser, pages / "table.html", java_script_enabled=False) as visit:
        assert visit.page.locator("th button").count() == 0
        assert visit.page.locator("table").first.locator("tbody tr").count() == 6
        assert visit.page.locator("svg.picture").first.is_visible()


def test_a_page_prints(browser, pages):
    with Visit(browser, pages / "fit.html", color_scheme="dark") as visit:
        visit.page.emulate_media(media="print", color_scheme="dark")
        assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert not visit.page.locator("nav").is_visible()
        assert visit.page.pdf(format="A4").startswith(b"%PDF")


def violations(browser, path, **options):
    # The policy of a page forbids the script that looks at it.
    with Visit(browser, path, bypass_csp=True, **options) as visit:
        visit.page.evaluate(AXE.read_text(encoding="utf-8"))
        found = visit.page.evaluate("axe.run(document)")
        assert len(found["passes"]) > 10
        return {each["id"]: [node["html"] for node in each["nodes"]] for each in found["violations"]}


@pytest.mark.slow
@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: see .ci/browser")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["fit", "table", "beside"])
def test_axe_finds_nothing(name, scheme, browser, pages):
    for width in (NARROW, WIDE):
        options = {"viewport": {"width": width, "height": 900}, "color_scheme": scheme}
        assert violations(browser, pages / f"{name}.html", **options) == {}


@pytest.mark.slow
@pytest.mark.skipif(not AXE.is_file(), reason="axe-core is not installed: see .ci/browser")
def test_axe_finds_what_is_wrong(browser, pages, tmp_path):
    pale = (
        (pages / "fit.html").read_text().replace("--muted: #55555c", "--muted: #bbbbbb").replace("lang=", "data-lang=")
    )
    (tmp_path / "pale.html").write_text(pale)
    assert {"color-contrast", "html-has-lang"} <= set(violations(browser, tmp_path / "pale.html", color_scheme="light"))
