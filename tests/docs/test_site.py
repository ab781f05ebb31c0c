"""The site as it is built, its code run, without a network."""

import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from importlib.util import find_spec
from urllib.parse import unquote, urlsplit

import pytest
from house import REPOSITORY

NEEDED = (
    *("sphinx", "pydata_sphinx_theme", "numpydoc", "myst_nb", "jupyter_cache", "sphinx_design", "sphinx_copybutton"),
    *("sphinxcontrib", "ipykernel"),
)
ABSENT = [name for name in NEEDED if find_spec(name) is None]
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
NOWHERE = "http://127.0.0.1:9"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(ABSENT), reason=f"not installed (group docs): {', '.join(ABSENT)}"),
]


class Page(HTMLParser):
    """What a page links to, what can be linked to in it, and the classes of its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.terms: list[str] = []
        self.targets: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.targets |= {found[name] for name in ("id", "name") if name in found}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
            if "glossary-term" in found.get("class", ""):
                self.terms.append(found["href"].split("#")[1])
        if tag in ("img", "script") and found.get("src"):
            self.links.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site") / "html"
    environment = os.environ | dict.fromkeys(PROXIES, NOWHERE)
    # What users have, not what makes tests quick.
    environment.pop("JAX_DISABLE_MOST_OPTIMIZATIONS", None)
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-n", "-W", "--keep-going", "-q", "docs", str(out)],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    files = [page for page in out.rglob("*.html") if "_static" not in page.parts]
    return {page.relative_to(out).as_posix(): Page(page.read_text()) for page in files}, out


def test_links_lead_to_what_is_there(site):
    pages, out = site
    broken = []
    for name, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (out / name).parent / unquote(parts.path) if parts.path else out / name
            place = target.resolve()
            if not place.exists():
                broken.append((name, link))
            elif parts.fragment and place.suffix == ".html":
                other = pages[place.relative_to(out.resolve()).as_posix()]
                if unquote(parts.fragment) not in {*other.targets, ""}:
                    broken.append((name, link))
    assert broken == []


def test_a_term_is_a_link_once_a_page(site):
    pages, _ = site
    for name, page in pages.items():
        assert max(Counter(page.terms).values(), default=0) <= 1, name
    for name in ("index", "tutorials/own_csv", "guide/choosing", "evidence/bands"):
        assert len(pages[f"{name}.html"].terms) > 5, name


def test_pages_show_what_their_code_gave(site):
    pages, out = site
    front = (out / "index.html").read_text()
    assert "Heterogeneous pools are expected to lose less" in re.sub(r"\s+", " ", front)
    assert "law.png" in front
    for name in ("gallery", "tutorials/buyer", "tutorials/bayesian"):
        pictures = sum("_images/" in link for link in pages[f"{name}.html"].links)
        cells = (REPOSITORY / "docs" / f"{name}.md").read_text().count(".plot_")
        assert pictures >= cells, (name, pictures)
    commands = (out / "reference" / "commands.html").read_text()
    assert "bayeslaw attainability" in commands
    assert "Usage: bayeslaw choose" in commands


def test_nothing_of_other_machines_and_no_traceback_is_in_a_page(site):
    _, out = site
    for page in out.rglob("*.html"):
        if "_modules" in page.parts:
            continue
        text = page.read_text()
        assert "Traceback (most recent call last)" not in text, page
        assert "output stderr" not in text, page
        assert str(REPOSITORY) not in text, page
        assert str(out.parent) not in text, page
