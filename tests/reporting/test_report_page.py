"""Pages of fits and tables: what they say, that nothing in them is from elsewhere, and what they may replace."""

import base64
import hashlib
import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hostile_names import HOSTILE, hostile_losses, hostile_models
from quick_fits import quick_fits
from score_runs import command
from tables import family_table

import bayeslaw as bl
from bayeslaw.laws.registry import LAWS
from bayeslaw.pools.pool_losses import write_pools
from bayeslaw.reporting.common_predictions import common_predictions, rows_left_out
from bayeslaw.reporting.fewer_draws import fewer_draws
from bayeslaw.reporting.page_document import is_report
from bayeslaw.reporting.page_provenance import digest_of
from bayeslaw.reporting.quick_crossovers import quick_crossovers
from bayeslaw.reporting.summary_text import parameter_texts

OF_FIT = ("question", "answer", "data", "law", "bands", "decision", "trust", "provenance")
OF_TABLE = ("question", "answer", "data", "decision", "trust", "provenance")
VOID = {"meta", "link", "br", "img"}
MEGABYTES = 1e6


class Page(HTMLParser):
    """What a page is made of; tags that do not close each other in order are an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.open, self.found, self.within = text, [], [], {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.within.setdefault(self.open[-1] if self.open else "", []).append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.found if name == tag]

    def ids(self):
        return [attributes["id"] for _, attributes in self.found if "id" in attributes]

    def words(self):
        return " ".join(" ".join(part) for tag, part in self.within.items() if tag not in ("style", "script"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """Return a function that makes a page of what it is given, and reads it."""
    folder = tmp_path_factory.mktemp("pages")

    def make(of: Any, **choices: Any) -> Page:
        bl.report(of, folder / "page.html", **choices)
        return Page((folder / "page.html").read_text(encoding="utf-8"))

    return make


@pytest.fixture(scope="module")
def of_pools(page, collaboration_fit):
    return page(collaboration_fit)


@pytest.fixture(scope="module")
def of_power(page, power_fit):
    return page(power_fit)


@pytest.fixture(scope="module")
def hostile_fit():
    with quick_fits():
        return bl.fit("power", hostile_models(), draws=100, chains=2)


def check_alone(page: Page) -> None:
    """Check that nothing of a page comes from elsewhere, and that its policy allows what is in it and nothing more."""
    (policy,) = [meta["content"] for meta in page.all("meta") if meta.get("http-equiv") == "Content-Security-Policy"]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page.text, re.S)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[f"{tag}-src"] == f"'sha256-{digest}'"
        assert page.all(tag) == [{}]
    assert page.found.index(("meta", {"http-equiv": "Content-Security-Policy", "content": policy})) < 4
    for tag, attributes in page.found:
        assert not {name for name in attributes if name.startswith("on") or name in ("style", "srcset", "action")}
        for name in ("src", "href", "data", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert "url(" not in page.text.replace("url(#", "")
    assert "@import" not in page.text
    assert len(page.ids()) == len(set(page.ids()))
    pointed = set(re.findall(r'(?:href="|url\()#([^")]+)', page.text))
    assert pointed <= set(page.ids())


def headings(page: Page) -> list[int]:
    return [int(tag[1]) for tag, _ in page.found if re.fullmatch("h[1-6]", tag)]


def sections(page: Page) -> list[str]:
    return [attributes["id"] for attributes in page.all("section")]


def test_a_page_of_pools_has_all_parts(of_pools, collaboration_fit):
    check_alone(of_pools)
    assert sections(of_pools) == list(OF_FIT)
    assert headings(of_pools) == [1] + [2] * len(OF_FIT)
    words, told = of_pools.words(), bl.summary(collaboration_fit)
    for sentence in (*told.crossover, *told.trust, "Trusted: no check found an error."):
        assert sentence in words
    for each, texts in zip(told.parameters, parameter_texts(told.parameters), strict=True):
        assert f'data-value="{each.mean!r}">{texts[0]}</td>' in of_pools.text
    assert "Posterior means and 90 % equal-tailed intervals" in words
    pictures = [svg["aria-label"] for svg in of_pools.all("svg")]
    assert len(pictures) == len(of_pools.all("figure")) == 5
    assert all(svg["role"] == "img" for svg in of_pools.all("svg"))


def test_bands_of_a_page_are_those_of_predict(of_pools, collaboration_fit):
    largest = float(
        collaboration_fit.observations.covariates["parameters"][collaboration_fit.model.group_index == 2].max()
    )
    group = str(collaboration_fit.model.groups[2])
    at = {"parameters": [10 * largest], "regime": [group]}
    row = bl.predict(collaboration_fit, at, kind="mean").iloc[0]
    for name in ("median", "lower", "upper"):
        assert f'data-value="{float(row[name])!r}"' in of_pools.text


def test_tables_are_told_to_screen_readers(of_pools):
    assert len(of_pools.all("table")) == len(of_pools.all("caption")) >= 6
    assert all(head["scope"] in ("col", "row") for head in of_pools.all("th"))
    boxes = [box for box in of_pools.all("div") if box.get("class") == "box"]
    assert all(box["tabindex"] == "0" and box["aria-label"] for box in boxes)
    # Buttons that do nothing without a script are made by it.
    assert of_pools.all("button") == []


def test_pictures_tell_values(of_pools, collaboration_fit):
    titles = of_pools.within["title"]
    labels = collaboration_fit.observations.labels.astype(str)
    assert any(str(labels[0]) in title for title in titles)
    assert any(re.search(r"law \d.*; interval of the law \d.* to \d", title) for title in titles)
    assert any("P(pool better)" in title for title in titles)


def test_the_same_fit_gives_the_same_page(page, of_power, power_fit):
    assert page(power_fit).text == of_power.text


def test_the_level_is_what_was_asked_for(page, power_fit):
    narrow = page(power_fit, interval=0.5)
    assert "50 % equal-tailed intervals" in narrow.words()
    assert "90 %" not in narrow.words().replace("ends of a 90 % interval", "")


KINDS_OF_FITS = ("power", "quick_chinchilla", "quick_joint", "quick_few_rows")


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS_OF_FITS)
def test_every_kind_of_fit_has_a_page(name, page, of_power, read_fit):
    found = of_power if name == "power" else page(read_fit(name))
    check_alone(found)
    assert sections(found) == list(OF_FIT)
    assert len(found.all("svg")) >= 3
    assert ("does not tell when a pool pays" in found.words()) == (name != "quick_joint")


@pytest.mark.slow
def test_a_diversity_law_has_a_page(page, tmp_path):
    losses = bl.simulate_losses(samples=200, clusters=40, families=3, sizes=4, seed=2)
    with quick_fits():
        fit = bl.fit("diversity", bl.make_pools(losses, max_size=2), draws=100, chains=2)
    found = page(fit)
    check_alone(found)
    assert sections(found) == list(OF_FIT)
    assert "best member loss" in found.words()


@dataclass(frozen=True)
class BentLaw(bl.Law):
    """A user's own law, of a covariate of its own."""

    level: Any = None
    slope: Any = None

    name = "bent"
    equation = "level - slope * log(parameters) + 0 * temperature </code><script>"
    function = staticmethod(lambda parameters, temperature, *, level, slope: level - slope * jnp.log(parameters))
    covariates = ("parameters", "temperature")

    def default_priors(self, observations):
        """Scale the priors to the mean loss."""
        middle = float(observations.loss.mean())
        return {"level": f"LogNormal({np.log(middle)}, 0.5)", "slope": f"LogNormal({np.log(0.1 * middle)}, 0.5)"}


@pytest.mark.slow
def test_a_law_of_ones_own_has_a_page(page, monkeypatch):
    monkeypatch.setattr(LAWS, "_loaded", {**LAWS._loaded})
    bl.register_law(BentLaw)
    table = family_table(one_law=True, noise=0.02).assign(temperature=("lm", np.linspace(1, 2, 24)))
    with quick_fits():
        fit = bl.fit(BentLaw(pooling="complete"), table, draws=100, chains=2)
    found = page(fit)
    check_alone(found)
    assert sections(found) == list(OF_FIT)
    assert "No picture here" in found.words()
    assert "temperature" in found.words()


def test_a_page_of_a_table(page):
    losses = bl.load_dataset("zoo").isel(lm=slice(0, 5))
    found = page(losses)
    check_alone(found)
    assert sections(found) == list(OF_TABLE)
    chosen = bl.choose(losses, max_size=3)
    for sentence in chosen.sentences:
        assert sentence in found.words()
    assert digest_of({"table": losses}) in found.words()


def test_a_page_of_whole_models_says_that_no_pool_is_chosen(page):
    found = page(family_table())
    check_alone(found)
    assert sections(found) == list(OF_TABLE)
    assert "no losses on samples" in found.words()


def test_a_page_of_pools_before_a_fit(page, small_pools):
    found = page(small_pools)
    check_alone(found)
    assert "No law was fitted to these pools" in found.words()


@pytest.mark.slow
def test_two_fits_are_beside_each_other(page, power_fit, read_fit):
    found = page([power_fit, read_fit("quick_joint")])
    check_alone(found)
    assert sections(found) == ["part1-beside", *(f"part{part}-{name}" for part in (2, 3) for name in OF_FIT)]
    assert headings(found)[:3] == [1, 2, 3]
    assert "How well they predict rows left out is not told: they were not fitted to the same rows" in found.words()


def test_fits_of_the_same_rows_are_compared_by_what_they_predict(page, read_fit):
    """By bands at the same budgets, and by densities of rows left out, as the functions of these names give them."""
    fits = {"fit 1": read_fit("tiny"), "fit 2": read_fit("tiny_log")}
    found = page([*fits.values()])
    assert "All were fitted to the same rows" in found.words()
    largest = float(fits["fit 1"].observations.covariates["parameters"].max())
    for fit in fits.values():
        told = bl.predict(fit, {"parameters": [largest, 10 * largest]})
        for name in ("median", "lower", "upper"):
            assert all(f'data-value="{float(value)!r}"' in found.text for value in told[name])
    caption = "What one new model is predicted to lose, in"
    assert sum(caption in text for text in found.within["caption"]) == 1
    table = bl.compare(fits).table
    for name in ("elpd", "elpd_diff", "dse"):
        assert all(f'data-value="{float(value)!r}"' in found.text for value in table[name])


@pytest.mark.parametrize(
    ("names", "why"),
    [
        (("tiny", "quick_chinchilla"), "do not take the same budgets"),
        (("power", "collaboration"), "one is of models, another of pools"),
    ],
)
def test_what_cannot_be_set_side_by_side_is_not(names, why, read_fit):
    fits = {name: read_fit(name) for name in names}
    told = common_predictions(fits, interval=0.9, seed=0)
    assert isinstance(told, str)
    assert why in told or "units" in told
    assert rows_left_out(fits) == "they were not fitted to the same rows"


def test_predictions_are_at_budgets_that_all_fits_have_seen(read_fit):
    fit = read_fit("power")
    told = common_predictions({"a": fit, "b": fit}, interval=0.5, seed=0)
    first = str(fit.model.groups[0])
    assert told["fit"].tolist()[:2] == ["a", "b"]
    seen = float(fit.observations.covariates["parameters"][fit.model.group_index == 0].max())
    rows = told[told["group"] == first]
    assert rows["parameters"].tolist() == [seen, seen, 10 * seen, 10 * seen]
    assert rows["median"].iloc[0] == rows["median"].iloc[1] > rows["median"].iloc[2]


def test_joint_fits_have_their_decision(page, read_fit):
    fit = read_fit("quick_joint")
    found, told = page(fit), quick_crossovers(fit, interval=0.9, most_losses=1e12)
    assert told is not None
    assert {row["regime"].split(",")[-1].strip() for row in told.rows.to_dict(orient="records")} <= {
        "2 members",
        "best pool",
    }
    for sentence in told.sentences:
        assert sentence in found.words()
    assert "probabilities are known to 0.035" in told.sentences[-1]
    assert "No claims: the joint law makes none; bayeslaw when says when a pool is better." in found.words()
    assert f"means over {fit.model.table.nll.shape[1]:,} samples" in found.words()
    assert quick_crossovers(fit, interval=0.9, most_losses=0) is None


def test_names_are_shown_and_never_markup(page, hostile_fit):
    beside = page([hostile_fit, hostile_fit.keep(("prior",))])
    assert "All were fitted to the same rows" in beside.words()
    for found in (page(hostile_losses()), beside):
        check_alone(found)
        assert len(found.all("script")) == 1
        assert not found.all("img")
        assert "\u202e" not in found.text
        assert "\u2066" not in found.text
        for name in HOSTILE[:5]:
            assert name in found.words()


@pytest.mark.slow
def test_a_page_of_thousands_of_pools_is_small(page):
    pools = bl.simulate_pools(families=4, sizes=6, max_size=3, seed=1)
    assert pools.sizes["pool"] == 2324
    with quick_fits():
        fit = bl.fit("collaboration", pools, draws=100, chains=2)
    found = page(fit)
    check_alone(found)
    assert len(found.text.encode()) < 1 * MEGABYTES
    assert any(re.fullmatch(r"\d+ rows", title) for title in found.within["title"])


def test_a_page_replaces_pages_of_ours_alone(tmp_path, power_file):
    out = tmp_path / "page.html"
    out.write_text("<html>mine</html>")
    refused = command("report", power_file, "--out", out)
    assert refused.exit_code == 2
    assert "a file of another kind is there" in refused.stderr
    assert out.read_text() == "<html>mine</html>"
    out.unlink()
    assert command("report", power_file, "--out", out).exit_code == 0
    assert is_report(out)
    assert command("report", power_file, "--out", out, "--interval", 0.8, "--quiet").exit_code == 0
    assert f"bayeslaw report {power_file} --out {out} --interval 0.8" in Page(out.read_text()).words()
    assert hashlib.sha256(power_file.read_bytes()).hexdigest() in out.read_text()
    assert [each.name for each in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.slow
def test_a_page_of_a_table_by_the_command(tmp_path, small_pools):
    out = tmp_path / "page.html"
    done = command("report", "zoo", "--unit", "document", "--out", out)
    assert done.exit_code == 0, done.output
    assert "bayeslaw report zoo --out" in (words := Page(out.read_text()).words())
    assert "--unit document" in words
    write_pools(small_pools, tmp_path / "pools")
    assert command("report", tmp_path / "pools", "--out", out).exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.nc", "--out", "page.html"], "there is no fit"),
        (["missing.csv", "--out", "page.html"], "there is no such file"),
        (["FIT", "--out", "page.pdf"], "no page can be written"),
        (["FIT", "zoo", "--out", "page.html"], "not all are of fits"),
        (["FIT", "--out", "page.html", "--unit", "word"], "--unit is given with a fit"),
        (["FIT", "--out", "page.html", "--interval", "1"], "the interval is 1"),
        (["FIT", "--out", "page.html", "--seed", "-1"], "seed is -1"),
        (["FIT"] * 5 + ["--out", "page.html"], "named twice"),
    ],
)
def test_what_makes_no_page_is_refused(arguments, said, power_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = command("report", *(str(power_file) if each == "FIT" else each for each in arguments))
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_values_that_are_no_report_are_refused(power_fit, tmp_path):
    for wrong in (7, [], [power_fit, 7], [power_fit, family_table()], [power_fit] * 2, [power_fit] * 5):
        with pytest.raises(bl.InputError):
            bl.report(wrong, tmp_path / "page.html")


def test_fewer_draws_predict_nearly_alike(power_fit):
    few = fewer_draws(power_fit, 500)
    sizes = few.tree["posterior"].sizes
    assert sizes["chain"] * sizes["draw"] == 500
    at = {"parameters": [1e10], "family": [str(power_fit.model.groups[0])]}
    whole, part = (bl.predict(fit, at, kind="mean").iloc[0] for fit in (power_fit, few))
    assert part["median"] == pytest.approx(whole["median"], rel=0.01)
    assert part["median"] != whole["median"]
    assert fewer_draws(few, 500) is few


def test_digests_tell_values_apart(small_pools):
    other = small_pools.assign(loss=small_pools["loss"] + 1e-9)
    assert digest_of({"table": small_pools}) == digest_of({"table": small_pools.copy(deep=True)})
    assert digest_of({"table": small_pools}) != digest_of({"table": other})
