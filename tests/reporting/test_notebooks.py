"""What a notebook shows: short reprs, and HTML whose numbers are those of the object."""

import re

import pytest

import bayeslaw as bl
from bayeslaw.findings import Finding

ZOO = ("zoo-gpt2-1.5m", "zoo-llama-1.5m")
MOST = 300


@pytest.fixture(scope="module")
def zoo():
    return bl.load_dataset("zoo", unit="document")


@pytest.fixture(scope="module")
def shown(collaboration_fit, tiny_fit, zoo):
    return {
        "fit": collaboration_fit,
        "summary": bl.summary(tiny_fit),
        "comparison": bl.compare({"a": tiny_fit, "b": tiny_fit}),
        "stack": bl.Stack({"a": tiny_fit, "b": tiny_fit}, {"a": 0.75, "b": 0.25}),
        "crossovers": bl.when(collaboration_fit),
        "choices": bl.choose(zoo, max_size=2),
        "attainabilities": bl.attainability(zoo, ZOO, rules=["oracle", "mixture"]),
        "report": bl.loss_report(zoo),
    }


@pytest.mark.parametrize(
    "name", ["fit", "summary", "comparison", "stack", "crossovers", "choices", "attainabilities", "report"]
)
def test_a_repr_is_short_and_a_notebook_has_a_table(name, shown):
    assert len(repr(shown[name])) < MOST
    assert "\n" not in repr(shown[name])
    html = shown[name]._repr_html_()
    assert "<table>" in html
    assert html.count("<table>") == html.count("</table>")


def test_the_repr_of_a_fit_says_what_it_is(collaboration_fit):
    words = "<Fit of the collaboration law to 171 rows in nats per sample, 2 chains of 1000 draws, sampler in order>"
    assert repr(collaboration_fit) == words


def test_the_repr_of_a_fit_says_that_it_is_not_to_be_trusted(tiny_fit):
    tree = tiny_fit.tree.copy(deep=True)
    tree["sample_stats"]["diverging"][:] = True
    assert "not to be trusted: divergences" in repr(bl.Fit(tree))
    assert "Not to be trusted: divergences." in bl.Fit(tree)._repr_html_()


def test_numbers_are_those_of_the_object(shown, collaboration_fit):
    exponent = collaboration_fit.tree["posterior"]["exponent"].sel(regime="single").mean().item()
    html = shown["fit"]._repr_html_()
    (told,) = re.findall(r">exponent</td><td[^>]*>single</td><td[^>]*>([\d.]+)</td>", html)
    assert len(told) >= 5
    assert float(told) == pytest.approx(exponent, abs=10.0 ** -len(told.split(".")[1]))
    assert ">0.750</td>" in shown["stack"]._repr_html_()
    assert f">{shown['crossovers'].rows['advantage'].iloc[0]:.4f}</td>" in shown["crossovers"]._repr_html_()
    assert shown["choices"].sentences[0].split(" it is")[0] in shown["choices"]._repr_html_()


def test_names_are_escaped(tiny_fit):
    stack = bl.Stack({"<b>a</b>": tiny_fit, "other": tiny_fit}, {"<b>a</b>": 1.0, "other": 0.0})
    assert "<b>" not in stack._repr_html_()
    assert "&lt;b&gt;a&lt;/b&gt;" in stack._repr_html_()


@pytest.mark.parametrize("law", [bl.PowerLaw(), bl.JointLaw()])
def test_a_law_shows_its_priors(law):
    assert law._repr_html_().startswith(f"<pre>{type(law).__name__}")
    assert "exponent ~ " in law._repr_html_()


def test_a_finding_shows_its_remedy():
    html = Finding("rhat", "error", "Chains disagree.", "fit again")._repr_html_()
    assert html == "<p><strong>error rhat</strong>: Chains disagree.<br>remedy: fit again</p>"
