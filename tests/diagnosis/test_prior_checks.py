"""What is said of a prior: quantiles and shares that are those of its draws."""

import json

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from tables import family_table, tiny_table
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.sizes import count_label


@pytest.fixture(scope="module")
def tree():
    return bl.prior_predictive("power", family_table(), draws=200)


@pytest.mark.parametrize("interval", [0.5, 0.9])
def test_shares_of_rows_are_counted_against_the_quantiles_of_their_own_losses(tree, interval):
    found = bl.prior_check(tree, interval=interval)
    drawn = tree["prior_predictive"]["loss"].to_numpy()[0].astype(float)
    observed = tree["observed_data"]["loss"].to_numpy()
    ranks = (drawn < observed).mean(axis=0)
    inside = ((ranks > (1 - interval) / 2) & (ranks < (1 + interval) / 2)).mean()
    assert found.inside == pytest.approx(inside, abs=2 / len(observed))
    assert found.below == pytest.approx((ranks < (1 - interval) / 2).mean(), abs=2 / len(observed))
    assert found.inside + found.below + found.above == pytest.approx(1)
    assert (found.rows, found.draws, found.interval) == (len(observed), 200, interval)


def test_a_prior_far_from_the_data_is_seen():
    low = bl.PowerLaw(floor="LogNormal(-6, 0.1)", amplitude="LogNormal(-6, 0.1)", pooling="complete")
    tree = bl.prior_predictive(low, tiny_table(), noise=bl.Noise(scale="LogNormal(-6, 0.1)"), draws=100)
    found = bl.prior_check(tree)
    assert (found.inside, found.below, found.above) == (0.0, 0.0, 1.0)


def test_expected_losses_are_told_at_three_budgets_of_each_group(tree):
    found = bl.prior_check(tree)
    families = tree["constant_data"]["lm_family"].to_numpy()
    sizes = tree["constant_data"]["parameters"].to_numpy()
    assert len(found.expected) == 3 * len(set(families))
    for family in set(families):
        told = [each for each in found.expected if each.group == family]
        assert [told[0].parameters, told[-1].parameters] == [
            sizes[families == family].min(),
            sizes[families == family].max(),
        ]
    for each in found.expected:
        assert each.lower < each.median < each.upper
        assert each.training_tokens is None
        assert each.observed == pytest.approx(float(tree["observed_data"]["loss"].sel(lm=each.row)))


def test_noise_is_in_the_losses_of_rows_and_not_in_the_law():
    loud = bl.PowerLaw(floor="LogNormal(0, 0.01)", amplitude="LogNormal(0, 0.01)", exponent="Normal(0.3, 0.001)",
                       pooling="complete")  # fmt: skip
    tree = bl.prior_predictive(loud, tiny_table(), noise=bl.Noise(scale="LogNormal(2, 0.01)"), draws=300)
    found = bl.prior_check(tree)
    widths = tree["prior_predictive"]["loss"].quantile([0.05, 0.95], ("chain", "draw")).diff("quantile")
    assert float(widths.min()) > 15
    assert max(each.upper - each.lower for each in found.expected) < 1


def test_a_check_prints_what_the_command_prints():
    found = bl.prior_check(bl.prior_predictive(bl.PowerLaw(pooling="complete"), tiny_table(), draws=100))
    text = str(found)
    first, last = found.sentences
    assert first in text
    assert text.endswith(last)
    each = found.expected[0]
    assert f"{count_label(each.parameters)} {loss_text(each.lower)} {loss_text(each.median)}" in " ".join(text.split())
    assert len(repr(found)) < 100
    assert "<table" in found._repr_html_()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prior")
    table = family_table(one_law=True)
    table[["family", "parameters", "loss"]].to_dataframe().to_csv(folder / "whole.csv", index_label="model")
    (folder / "law.yaml").write_text("law: power\npriors:\n  exponent: {between: [0.1, 0.6], mass: 0.8}\n")

    def fit(*options):
        command = ["fit", folder / "whole.csv", "--config", folder / "law.yaml", "--draws", "100", *options]
        return CliRunner().invoke(app, list(map(str, command)))

    return folder, fit


def test_the_command_tells_what_the_prior_says_and_writes_no_fit(run):
    folder, fit = run
    picture = folder / "prior.png"
    done = fit("--prior-only", "--picture", picture, "--csv", folder / "rows.csv")
    assert done.exit_code == 0, done.output
    assert "90 % equal-tailed intervals of 100 draws of the prior" in done.stdout
    assert "inside the 90 % interval of the prior predictive" in done.stdout
    assert "exponent_population ~ LogNormal(loc=-1.407" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"wrote {picture}" in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["law.yaml", "prior.png", "rows.csv", "whole.csv"]


def test_json_is_the_check_and_nothing_else(run):
    folder, fit = run
    done = fit("--prior-only", "--json", "--quiet", "--interval", "0.5")
    assert done.stderr == ""
    found = json.loads(done.stdout)
    law = bl.PowerLaw(exponent=bl.between(0.1, 0.6, mass=0.8))
    data = bl.read_losses(folder / "whole.csv")
    by_hand = bl.prior_check(bl.prior_predictive(law, data, draws=100), interval=0.5)
    assert found == json.loads(json.dumps(by_hand.to_dict()))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--prior-only", "--out", "f.nc"], "--out is given with --prior-only"),
        (["--picture", "p.png", "--out", "f.nc"], "--picture is given without --prior-only"),
        ([], "--out is missing"),
        (["--prior-only", "--picture", "p.bmp"], "bmp"),
        (["--prior-only", "--interval", "90"], "interval"),
        (["--prior-only", "--csv", "-", "--json"], "JSON and CSV"),
    ],
)
def test_what_goes_not_together_is_refused_before_work(run, options, says):
    folder, fit = run
    before = sorted(path.name for path in folder.iterdir())
    done = fit(*options)
    assert done.exit_code == 2
    assert says in done.stderr
    assert sorted(path.name for path in folder.iterdir()) == before


def test_a_picture_replaces_no_input(run):
    folder, fit = run
    table = folder / "whole.csv"
    content = table.read_bytes()
    assert fit("--prior-only", "--picture", table).exit_code == 2
    assert table.read_bytes() == content


def test_the_picture_has_a_panel_a_group_and_the_points(tree):
    figure = bl.plot_prior_predictive(tree, interval=0.8)
    families = sorted(set(tree["constant_data"]["lm_family"].to_numpy()))
    assert [ax.get_title(loc="left") for ax in figure.axes] == families
    for ax, family in zip(figure.axes, families, strict=True):
        losses = tree["observed_data"]["loss"].to_numpy()[tree["constant_data"]["lm_family"].to_numpy() == family]
        points = ax.collections[-1].get_offsets()
        np.testing.assert_allclose(np.sort(np.asarray(points)[:, 1]), np.sort(losses))
        low, high = ax.get_ylim()
        assert low < losses.min() < losses.max() < high
    assert "80 %" in figure.get_suptitle()


def test_a_picture_of_one_panel_holds_its_title():
    tree = bl.prior_predictive(bl.PowerLaw(pooling="complete"), tiny_table(), draws=100)
    figure = bl.plot_prior_predictive(tree)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    title = figure._suptitle.get_window_extent(canvas.get_renderer())
    assert 0 <= title.x0 < title.x1 <= figure.bbox.width


def test_the_same_tree_gives_the_same_picture(tree, tmp_path):
    for name in ("one.svg", "other.svg"):
        bl.save_prior_predictive(tree, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "other.svg").read_bytes()
