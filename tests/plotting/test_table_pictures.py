"""Pictures of tables and of what a fit predicts: what is drawn, with hostile names, and without compiling twice."""

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import bayeslaw as bl
from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit
from bayeslaw.plotting.diversity_plot import correlation_words
from bayeslaw.plotting.kernel_density import kernel_density
from bayeslaw.plotting.pictures import PLOTLY, plot_posterior, save_plot
from bayeslaw.plotting.pool_size_plot import attained_words
from bayeslaw.plotting.posterior_pictures import dependent, numbers_of
from bayeslaw.plotting.predicted_plot import predicted_rows
from bayeslaw.plotting.prior_panels import number_window
from bayeslaw.plotting.size_marks import size_marks
from bayeslaw.pools.losses_by_size import losses_by_size

HOSTILE = (r"$\bad{$", "[/red]", "<b>")


def words(figure):
    return " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))


def line(ax, name):
    (drawn,) = [each for each in ax.lines if each.get_label() == f"_{name}"]
    return drawn


@pytest.fixture(scope="module")
def losses():
    return bl.simulate_losses(samples=120, clusters=30, families=3, sizes=3, seed=4)


@pytest.fixture(scope="module")
def pools(losses):
    return bl.make_pools(losses, max_size=3)


@pytest.fixture(scope="module")
def hostile(losses):
    renamed = losses.copy()
    names = [f"{HOSTILE[place % 3]}{place}" for place in range(losses.sizes["lm"])]
    families = np.array([HOSTILE[sorted(set(losses["family"].values)).index(name)] for name in losses["family"].values])
    return renamed.assign_coords(lm=names).assign(family=("lm", families))


def test_losses_by_size_are_means_over_pools_of_each_rule(losses, pools):
    table = losses_by_size(losses, max_size=3)
    assert set(table["rule"]) == {"best", "mixture", "oracle"}
    row = table.query("rule == 'oracle' and regime == 'heterogeneous' and size == 2").iloc[0]
    chosen = (pools["size"] == 2) & (pools["regime"] == "heterogeneous")
    assert row["loss"] == pytest.approx(float(pools["loss"].where(chosen, drop=True).mean()))
    assert row["pools"] == int(chosen.sum())
    single = table.query("size == 1")
    assert single["loss"].nunique() <= 2
    assert (
        table.query("rule == 'best'")["loss"].to_numpy() >= table.query("rule == 'oracle'")["loss"].to_numpy()
    ).all()
    with pytest.raises(InputError, match="not known"):
        losses_by_size(losses, rules=["oracel"])


def test_pool_sizes_are_drawn_from_best_to_oracle(losses):
    table = losses_by_size(losses, max_size=3)
    figure = bl.plot_pool_sizes(losses, max_size=3)
    assert len(figure.axes) == 2
    for ax, regime in zip(figure.axes, ("homogeneous", "heterogeneous"), strict=True):
        for rule in ("best", "mixture", "oracle"):
            expected = table[(table["rule"] == rule) & (table["regime"] == regime)]["loss"]
            np.testing.assert_allclose(line(ax, rule).get_ydata(), expected)
    styles = {(line(ax, rule).get_linestyle(), line(ax, rule).get_marker()) for rule in ("best", "mixture", "oracle")}
    assert len(styles) == 3
    assert table["unit"].iloc[0] in words(figure)
    assert "oracle (not attainable)" in words(figure)


@pytest.mark.parametrize(
    ("losses_of", "told"),
    [
        ({"best": 3.0, "mixture": 2.5, "oracle": 2.0}, "mixture attains 50% of the gain"),
        ({"best": 3.0, "mixture": 3.5, "oracle": 2.0}, "mixture loses more than the best"),
        ({"best": 3.0, "mixture": 2.999, "oracle": 2.99}, "the oracle gains under 1%"),
    ],
)
def test_shares_are_told_where_there_is_a_gain(losses_of, told):
    rows = [{"rule": rule, "regime": "heterogeneous", "size": 3, "loss": loss} for rule, loss in losses_of.items()]
    assert told in attained_words(pd.DataFrame(rows))


def test_gains_are_drawn_against_diversity(pools):
    figure = bl.plot_diversity(pools, numbers=["decorrelation", "win_entropy"])
    assert [ax.get_xlabel() for ax in figure.axes] == ["1 − correlation", "win entropy (nats)"]
    several = pools["size"].values > 1
    drawn = np.vstack([each.get_offsets() for each in figure.axes[0].collections])
    expected = np.column_stack([pools["decorrelation"].values[several], pools["gain"].values[several]])
    np.testing.assert_allclose(np.sort(drawn, axis=0), np.sort(expected, axis=0))
    with pytest.raises(InputError, match="not known"):
        bl.plot_diversity(pools, numbers=["variety"])


def test_a_table_of_losses_has_no_diversity(losses):
    with pytest.raises(InputError, match="a table of pools"):
        bl.plot_diversity(losses)


def test_correlations_are_told_by_size_too():
    values, sizes = np.array([1.0, 2, 3, 1, 2, 3]), np.array([2, 2, 2, 3, 3, 3])
    assert correlation_words(values, np.array([1.0, 2, 3, 6, 5, 4]), sizes) == "r = 0.00; by size 1.00, −1.00"
    assert correlation_words(values, np.ones(6), sizes) == "r = –; by size –, –"


def test_matched_budgets_are_drawn_in_their_parts(losses):
    found = bl.advantage(losses, max_size=3, tolerance=1, draws=100)
    assert [parts.size for parts in found.parts] == ["all", 2, 3]
    ax = Figure().subplots()
    assert bl.plot_matched(found, ax=ax) is ax.figure
    for parts in found.parts:
        for part in ("total", "better_partners", "diversity"):
            ends = line(ax, f"{part} {parts.size}").get_xdata()
            assert tuple(ends) == (getattr(parts, part).lower, getattr(parts, part).upper)
    assert found.unit in ax.get_xlabel()


def test_co_failure_is_drawn_with_its_interval(losses):
    names = [str(name) for name in losses["lm"].values[:3]]
    ax = bl.plot_co_failure(losses, members=names, interval=0.8).axes[0]
    drawn, best = line(ax, "pool"), line(ax, "best")
    found = bl.co_failure(losses, names, thresholds=drawn.get_xdata().tolist(), interval=0.8)
    np.testing.assert_allclose(drawn.get_ydata(), found["probability"])
    assert (best.get_ydata() >= drawn.get_ydata()).all()
    assert drawn.get_linestyle() != best.get_linestyle()
    with pytest.raises(InputError, match="nobody"):
        bl.plot_co_failure(losses, members=["nobody"])


def test_hostile_names_are_drawn_as_they_are(hostile):
    names = [str(name) for name in hostile["lm"].values[:3]]
    figure = bl.plot_co_failure(hostile, members=names)
    figure.canvas.draw()
    assert all(name in words(figure).replace("\n", " ") for name in names)


def test_hostile_families_have_their_panels(power_fit):
    old = power_fit.model.groups
    tree = power_fit.tree.copy()
    for group in ("posterior", "prior", "log_prior"):
        if group in tree.children:
            tree[group] = tree[group].to_dataset().assign_coords(family=[*HOSTILE, *old[3:]])
    data = tree["constant_data"].to_dataset()
    renamed = dict(zip(old, [*HOSTILE, *old[3:]], strict=True))
    (column,) = [name for name in data if str(name).endswith("_family")]
    data[column] = (data[column].dims, np.array([renamed[str(name)] for name in data[column].values]))
    tree["constant_data"] = data
    figure = bl.plot_law(Fit(tree))
    figure.canvas.draw()
    titles = {ax.get_title(loc="left") for ax in figure.axes}
    assert set(HOSTILE) <= titles
    assert not any(text.get_parse_math() for text in figure.findobj(matplotlib.text.Text) if "$" in text.get_text())


def test_observed_lie_against_what_was_predicted(collaboration_fit):
    rows = predicted_rows(collaboration_fit, None, 0.9)
    np.testing.assert_allclose(rows["observed"], collaboration_fit.observations.loss)
    assert (rows["extrapolation"] == 0).all()
    inside = ((rows["observed"] >= rows["lower"]) & (rows["observed"] <= rows["upper"])).sum()
    assert inside > 0.8 * len(rows)
    figure = bl.plot_predicted(collaboration_fit)
    assert f"{inside:,} of {len(rows):,} inside ({inside / len(rows):.0%})" in words(figure).replace("\n", " ")
    assert "rows that the fit has seen" in words(figure).replace("\n", " ")
    assert collaboration_fit.unit in words(figure)


def test_larger_models_are_predicted_by_how_far_they_lie(power_fit):
    fitted = power_fit.observations.covariates["parameters"]
    other = bl.simulate_losses(
        samples=40, clusters=10, families=2, sizes=4, parameters=(fitted.min(), 1e4 * fitted.max())
    )
    rows = predicted_rows(power_fit, other, 0.9)
    assert rows["extrapolation"].max() > 1
    figure = bl.plot_predicted(power_fit, other)
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles[0] == "inside the data"
    assert "over one range beyond" in titles
    with pytest.raises(InputError, match="have no single family"):
        bl.plot_predicted(power_fit, bl.make_pools(other, max_size=2))
    with pytest.raises(InputError, match="losses of models in nats per word"):
        bl.plot_predicted(power_fit, other.assign_attrs(unit="word"))


def test_prior_and_posterior_predictive_stand_beside_the_rows_of_each_regime(collaboration_fit):
    figure = bl.plot_predictive(collaboration_fit)
    groups = collaboration_fit.model.groups
    assert len([ax for ax in figure.axes if ax.get_title(loc="left")]) == len(groups)
    for place, ax in enumerate(figure.axes[: len(groups)]):
        rows = line(ax, "rows").get_xdata()
        own = collaboration_fit.observations.loss[collaboration_fit.model.group_index == place]
        np.testing.assert_allclose(np.sort(rows), np.sort(own))
        low, high = ax.get_xlim()
        assert low < own.min() <= own.max() < high
        assert {"_prior", "_posterior"} <= {each.get_label() for each in ax.collections}


def test_the_forest_has_a_panel_a_unit(collaboration_fit):
    figure = bl.plot_forest(collaboration_fit, interval=0.8)
    assert [ax.get_xlabel() for ax in figure.axes] == [f"loss ({collaboration_fit.unit})", "exponents (no unit)"]
    values = collaboration_fit.values()
    for ax, name in zip(figure.axes, ("floor", "exponent"), strict=True):
        for place, group in enumerate(collaboration_fit.model.groups):
            expected = np.quantile(values[name][:, place], [0.1, 0.9])
            np.testing.assert_allclose(line(ax, f"{name} {group}").get_xdata(), expected)
    assert "80 % equal-tailed intervals, thick 40 %" in words(figure)


def test_densities_integrate_to_one():
    draws = np.random.default_rng(0).normal(size=(2, 500))
    grid = np.linspace(-6, 6, 400)
    density = kernel_density(draws, grid)
    np.testing.assert_allclose(np.trapezoid(density, grid, axis=1), 1, atol=1e-3)
    assert density[0, 200] == pytest.approx(0.4, abs=0.06)


def test_the_window_holds_the_posterior_and_not_all_of_a_wide_prior():
    generator = np.random.default_rng(0)
    low, high = number_window(generator.normal(size=4000) * 1000, generator.normal(size=4000))
    assert -14 < low < -3
    assert 3 < high < 14


def test_pairs_are_of_the_numbers_that_depend_on_each_other(collaboration_fit):
    rows = numbers_of(collaboration_fit, "posterior")
    chosen = dependent(rows, 2)
    strength = np.abs(np.corrcoef([np.argsort(np.argsort(row.draws)) for row in rows])) - np.eye(len(rows))
    one, other = np.unravel_index(strength.argmax(), strength.shape)
    assert [row.parameter for row in chosen] == [rows[place].parameter for place in sorted((int(one), int(other)))]
    assert len(dependent(rows, 4)) == 4


def test_replicates_have_a_legend_and_differ_without_colour(collaboration_fit):
    ax = plot_posterior(collaboration_fit, "ppc").axes[0]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["50 replicated tables", "observed rows"]
    assert ax.lines[0].get_linestyle() != ax.lines[-1].get_linestyle()
    assert f"({collaboration_fit.unit})" in ax.get_xlabel()


def test_sizes_of_pools_differ_in_grey():
    from bayeslaw.plotting.plot_style import lightness

    marks = list(size_marks(np.arange(1, 9)).values())
    assert len({mark.marker for mark in marks}) == 5
    shades = [lightness(mark.colour) for mark in marks[:5]]
    assert (np.diff(shades) < -5).all()
    assert marks[4].label == marks[7].label == "5 members or more"


def test_pools_of_the_joint_law_are_drawn_observed_against_predicted(joint_fit):
    figure = bl.plot_law(joint_fit)
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.get_title(loc="left")]
    assert titles[:2] == ["2 members", "3 members"]
    family = joint_fit.model.groups[0]
    more = bl.plot_law(joint_fit, groups=[family])
    assert family in [ax.get_title(loc="left") for ax in more.axes]
    points = sum(
        len(each.get_offsets())
        for ax in figure.axes
        for each in ax.collections
        if str(each.get_label()).startswith("_points")
    )
    assert points == bl.pool_check(joint_fit, draws=20)["pools"].sum()


def compiled_again(draw):
    """Count the programs that JAX compiles when a picture is drawn a second time."""
    import jax

    draw()
    counted = []

    def count(name, *_, **__):
        if "backend_compile" in name:
            counted.append(name)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        draw()
    finally:
        jax.monitoring.unregister_event_duration_listener(count)
    return len(counted)


@pytest.mark.slow
def test_a_picture_drawn_again_compiles_nothing(joint_fit, collaboration_fit):
    assert compiled_again(lambda: bl.plot_law(joint_fit, groups=[joint_fit.model.groups[0], "new"])) == 0
    assert compiled_again(lambda: bl.plot_law(collaboration_fit)) == 0


def test_what_plotly_cannot_draw_is_refused(collaboration_fit, tmp_path, monkeypatch):
    from bayeslaw.plotting import pictures

    with pytest.raises(InputError, match="law has no form for plotly"):
        save_plot(collaboration_fit, tmp_path / "f.html", backend="plotly")
    monkeypatch.setattr(pictures, "find_spec", lambda name: "there")
    with pytest.raises(InputError, match="no picture can be written to"):
        save_plot(collaboration_fit, tmp_path / "f.png", what="forest", backend="plotly")
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="plotly and webcolors are not installed"):
        save_plot(collaboration_fit, tmp_path / "f.html", what="forest", backend="plotly")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["forest", "pair", "prior_posterior", "ppc", "trace"])
def test_plotly_draws_what_arviz_has(collaboration_fit, tmp_path, what):
    for package in PLOTLY:
        pytest.importorskip(package, reason=f"{package} is not installed")
    save_plot(collaboration_fit, tmp_path / "f.html", what=what, backend="plotly")
    assert "<html" in (tmp_path / "f.html").read_text()[:2000].lower()


@pytest.mark.parametrize(
    ("what", "extra"), [("pool_sizes", ["--max-size", "2"]), ("matched", ["--max-size", "2"]), ("co_failure", [])]
)
def test_command_draws_tables(losses, tmp_path, what, extra):
    bl.write_losses(losses, tmp_path / "table")
    out = tmp_path / "f.png"
    result = CliRunner().invoke(app, ["plot", str(tmp_path / "table"), "--what", what, "--out", str(out), *extra])
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(b"\x89PNG")


def test_command_draws_pools(pools, tmp_path):
    bl.write_pools(pools, tmp_path / "pools")
    out = tmp_path / "f.svg"
    given = ["plot", str(tmp_path / "pools"), "--what", "diversity", "--out", str(out), "--width", "3.3"]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    assert 'width="237.6pt"' in out.read_text()
    result = CliRunner().invoke(app, ["plot", str(tmp_path / "pools"), "--what", "matched", "--out", str(out)])
    assert result.exit_code == 2
    assert "was given pools" in result.output


@pytest.mark.parametrize(
    "arguments",
    [
        ["--group", "alder", "--what", "forest"],
        ["--members", "a,b"],
        ["--max-size", "3"],
        ["--width", "1"],
        ["--width", "1e6"],
        ["--width", "1", "--what", "when"],
        ["--against", "nowhere.csv"],
        ["--backend", "plotly"],
        ["--against", "nowhere.csv", "--what", "predicted"],
    ],
)
def test_command_refuses_options_that_a_picture_lacks(power_file, tmp_path, arguments):
    result = CliRunner().invoke(app, ["plot", str(power_file), "--out", str(tmp_path / "f.png"), *arguments])
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []
