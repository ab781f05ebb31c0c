"""Densities and replicates of rows are made when they are asked for, and whoever needs them is told how."""

import arviz_plots
import arviz_stats
import jax
import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from quick_fits import quick_fits
from tables import family_table

from bayeslaw.errors import InputError
from bayeslaw.fitting import row_groups
from bayeslaw.fitting.fit_file import OPTIONAL_GROUPS, ROW_GROUPS
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fits import fit
from bayeslaw.laws import CollaborationLaw, PowerLaw
from bayeslaw.likelihood import many_draws
from bayeslaw.likelihood.noise import MEMBER_SCALE
from bayeslaw.pools.pool_losses import make_pools
from bayeslaw.simulation.tables import simulate_losses

OTHERS = tuple(name for name in OPTIONAL_GROUPS if name not in ROW_GROUPS)


def with_rows(fit):
    return fit.with_log_likelihood().with_replicates()


@pytest.fixture(scope="module")
def dependent():
    """Fit pools that share members and samples."""
    losses = simulate_losses(families=2, sizes=4, samples=300, clusters=30)
    with quick_fits():
        return fit(CollaborationLaw(), make_pools(losses, max_size=2), draws=400, chains=2, seed=3)


@pytest.mark.parametrize("name", ["tiny_log", "partial", "collaboration", "quick_joint"])
def test_groups_are_made_as_the_fit_has_them(read_fit, name):
    whole = read_fit(name)
    slim = whole.keep(OTHERS)
    assert not set(ROW_GROUPS) & set(slim.tree.children)
    made = with_rows(slim).tree
    # The prior predictive of pools that share errors has fresh effects at the draw of the prior.
    for group in ("log_likelihood", "posterior_predictive", *(["prior_predictive"] if "joint" in name else [])):
        there, again = whole.tree[group].dataset, made[group].dataset
        assert again[whole.noise.response].dtype == np.float32
        assert again.sizes == there.sizes
        for variable in again.data_vars:
            np.testing.assert_allclose(again[variable], there[variable], rtol=1e-6)
    assert made["posterior"].dataset.equals(whole.tree["posterior"].dataset)
    assert made.attrs == whole.tree.attrs


def test_the_same_fit_gives_the_same_numbers_saved_or_not(dependent, tmp_path):
    dependent.keep(OTHERS).save(tmp_path / "slim.nc")
    loaded = with_rows(load_fit(tmp_path / "slim.nc")).tree
    for group in ROW_GROUPS:
        assert loaded[group].dataset.equals(with_rows(dependent).tree[group].dataset)


def test_what_is_not_asked_for_is_not_made(tiny_fit):
    slim = tiny_fit.keep(OTHERS)
    made = [{*each.tree.children} & {*ROW_GROUPS} for each in (slim.with_log_likelihood(), slim.with_replicates())]
    assert made == [{"log_likelihood"}, {"posterior_predictive", "prior_predictive"}]


def test_a_fit_holds_what_is_asked_for_or_small(monkeypatch):
    with quick_fits():
        small = fit(PowerLaw(), family_table(), draws=60, chains=1)
        monkeypatch.setattr(row_groups, "SMALL_BYTES", 4 * 24 * (2 * 60 + 1000) - 1)
        large = fit(PowerLaw(), family_table(), draws=60, chains=1)
        named = fit(PowerLaw(), family_table(), draws=60, chains=1, keep=["log_likelihood"])
        bare = fit(PowerLaw(), family_table(), draws=60, chains=1, keep=())
        with pytest.raises(InputError, match="use 'prior'"):
            fit(PowerLaw(), family_table(), keep=["priors"])
    held = [set(each.tree.children) & set(OPTIONAL_GROUPS) for each in (small, large, named, bare)]
    assert held == [set(OPTIONAL_GROUPS), set(OTHERS), {"log_likelihood"}, set()]
    assert set(with_rows(large).tree.children) >= set(OPTIONAL_GROUPS)
    # Without the draws of the prior there is nothing to make its predictions of.
    assert "prior_predictive" not in with_rows(bare).tree.children


def test_parts_of_draws_are_put_together_as_they_are(dependent, monkeypatch):
    whole = with_rows(dependent.keep(OTHERS)).tree
    # Neither 800 draws nor 1000 of the prior are a multiple of 7.
    rows, effects = dependent.model.dependence.loadings.shape
    monkeypatch.setattr(row_groups, "CELLS_AT_ONCE", 7 * (rows + effects**2))
    parts = with_rows(dependent.keep(OTHERS)).tree
    for group in ROW_GROUPS:
        # Which densities take double precision is decided for a part; those of single precision differ by its rounding.
        absolute = 2e-6 if group == "log_likelihood" else 0
        found, wanted = parts[group].dataset["loss"], whole[group].dataset["loss"]
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=absolute)


def test_densities_and_replicates_are_those_of_one_draw_after_the_other(dependent, monkeypatch):
    # Several blocks of rows too.
    monkeypatch.setattr(many_draws, "ROWS_AT_ONCE", 5)
    model, values = dependent.model, dependent.values()
    tree = with_rows(dependent.keep(OTHERS)).tree
    dense, drawn = (
        tree[name]["loss"].to_numpy().reshape(800, -1) for name in ("log_likelihood", "posterior_predictive")
    )
    off = []
    with jax.enable_x64(True):
        for draw in range(0, 800, 8):
            one = {name: values[name][draw] for name in model.needed_sites}
            np.testing.assert_allclose(dense[draw], np.asarray(model.log_likelihood(one)), rtol=2e-5, atol=1e-5)
            variance = np.asarray(model.variance(one))
            shared = np.asarray(model.dependence.scaled_loadings(one[MEMBER_SCALE]))
            core = np.eye(shared.shape[1]) + (shared / variance[model.group_index][:, None]).T @ shared
            residual = model.response - np.asarray(model.location(one))
            common = shared @ np.linalg.solve(core, shared.T @ (residual / variance[model.group_index]))
            covariance = shared @ np.linalg.solve(core, shared.T) + np.diag(variance[model.group_index])
            deviation = drawn[draw] - np.asarray(model.location(one)) - common
            off.append(deviation @ np.linalg.solve(covariance, deviation) / len(deviation))
    assert np.mean(off) == pytest.approx(1, abs=0.06)


def test_rows_drawn_from_the_prior_scatter_as_the_prior_says(dependent):
    model, prior = dependent.model, dependent.values("prior")
    drawn = with_rows(dependent).tree["prior_predictive"]["loss"].to_numpy()[0]
    ratio = []
    with jax.enable_x64(True):
        for draw, rows in enumerate(drawn[:400]):
            values = {name: prior[name][draw] for name in model.needed_sites}
            shared = np.asarray(model.dependence.scaled_loadings(values[MEMBER_SCALE]))
            variance = np.asarray(model.variance(values))[model.group_index] + (shared**2).sum(axis=1)
            location = np.asarray(model.location(values))
            # Losses of thousands of nats are not held to the hundredths that they scatter by.
            if location.max() < 100:
                ratio.append(np.mean((rows - location) ** 2 / variance))
    assert len(ratio) > 300
    # Rows of a draw are wrong together, so that the mean over draws has an error of a few hundredths.
    assert np.mean(ratio) == pytest.approx(1, abs=0.12)


def figure(name, **arguments):
    return lambda tree: getattr(arviz_plots, name)(tree, backend="matplotlib", **arguments)


NEEDS_ROWS = {
    "loo": arviz_stats.loo,
    "loo_pit": arviz_stats.loo_pit,
    "loo_score": lambda tree: arviz_stats.loo_score(tree, kind="crps"),
    "compare": lambda tree: arviz_stats.compare({"one": tree, "other": tree}),
    "psense_summary": arviz_stats.psense_summary,
    "plot_ppc_dist": figure("plot_ppc_dist"),
    "plot_prior_ppc": figure("plot_ppc_dist", group="prior_predictive"),
    "plot_lm": figure("plot_lm", x="parameters", y="loss"),
    "plot_loo_pit": figure("plot_loo_pit"),
}
NEEDS_NONE = {
    "summary": arviz_stats.summary,
    "rhat": arviz_stats.rhat,
    "plot_forest": figure("plot_forest"),
    "plot_energy": figure("plot_energy"),
    "plot_prior_posterior": figure("plot_prior_posterior", var_names=["exponent"]),
}


@pytest.fixture
def no_window():
    with matplotlib.rc_context():
        matplotlib.use("agg")
        yield
        plt.close("all")


@pytest.mark.usefixtures("no_window")
@pytest.mark.parametrize("name", NEEDS_ROWS)
def test_arviz_says_how_a_group_is_had(tiny_fit, name):
    with pytest.raises(InputError, match=r"with_log_likelihood\(\)\.tree.*with_replicates\(\)\.tree.*--keep"):
        NEEDS_ROWS[name](tiny_fit.keep(OTHERS).tree)


@pytest.mark.usefixtures("no_window")
@pytest.mark.parametrize("name", NEEDS_NONE)
def test_what_needs_no_group_takes_the_slim_tree(tiny_fit, name):
    assert NEEDS_NONE[name](tiny_fit.keep(OTHERS).tree) is not None


def test_a_slim_tree_is_else_a_tree_as_any_other(tiny_fit):
    tree = tiny_fit.keep(OTHERS).tree
    assert "log_likelihood" not in tree.children
    assert tree.get("log_likelihood") is None
    with pytest.raises(AttributeError):
        _ = tree.nothing
    with pytest.raises(KeyError):
        _ = tree["nothing"]
    added = tree.assign({"log_likelihood": tiny_fit.tree["log_likelihood"]})
    assert added["log_likelihood/loss"].equals(added.log_likelihood["loss"])
