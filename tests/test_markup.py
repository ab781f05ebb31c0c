"""HTML in which nothing from outside is markup."""

import pandas as pd
import pytest

from bayeslaw.findings import Finding
from bayeslaw.markup import Html, cell_text, element, escaped, folded, frame_table, joined, listing, table

EVIL = "<img src=x onerror=alert(1)>\"'&\x1b[2J\u202e"


def test_every_way_in_escapes():
    for html in (
        escaped(EVIL),
        element("p", EVIL),
        joined([EVIL]),
        listing([EVIL]),
        folded(EVIL, EVIL),
        table([EVIL], [[EVIL]], caption=EVIL),
        frame_table(pd.DataFrame({EVIL: [EVIL]}, index=pd.Index([EVIL], name=EVIL)), caption=EVIL),
        Finding("rhat", "error", EVIL, EVIL)._repr_html_(),
    ):
        assert isinstance(html, Html)
        assert "<img" not in html
        assert "\x1b" not in html
        assert "\u202e" not in html
        assert "&lt;img src=x onerror=alert(1)&gt;&quot;&#x27;&amp;\\x1b[2J" in html


def test_html_is_not_escaped_twice():
    assert element("p", element("b", "a < b")) == "<p><b>a &lt; b</b></p>"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (float("nan"), ""), (1 / 3, "0.3333"), (7, "7"), (("a", "b"), "a, b"), (True, "True"), (pd.NA, "")],
)
def test_cells(value, text):
    assert cell_text(value) == text


def test_an_index_is_shown_where_it_names_rows():
    assert "power" in frame_table(pd.DataFrame({"elpd": [1.0]}, index=["power"]))
    assert frame_table(pd.DataFrame({"elpd": [1.0]})).count("<td") == 1
