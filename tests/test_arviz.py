"""Every function of ArviZ that the documentation names takes the tree of a saved fit."""

import arviz_plots
import arviz_stats
import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from scipy import stats

FITS = ("collaboration", "power", "chinchilla")
DRAWN = {
    "plot_trace_dist": {},
    "plot_forest": {},
    "plot_ppc_dist": {},
    "plot_prior_posterior": {},
    "plot_pair": {"var_names": ["floor"]},
    "plot_lm": {"x": "parameters"},
    "plot_rank": {"var_names": ["floor"]},
    "plot_energy": {},
    "plot_ess": {"var_names": ["floor"]},
    "plot_dist": {},
    "plot_ridge": {},
}
# Plots of the gate: of draws, of their statistics, of new rows, and of rows over their covariates.
FEW = ("plot_forest", "plot_energy", "plot_ppc_dist", "plot_lm")
# What it warns of is true of a few models by family, and no fault of the tree.
PARETO = "ignore:Estimated shape parameter of Pareto distribution:UserWarning"


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=() if name == "power" else pytest.mark.slow) for name in FITS]
)
def fitted(request, read_fit):
    # As the sampler leaves it, which `chinchilla_fit` is not.
    return read_fit(request.param)


@pytest.fixture(autouse=True)
def no_window():
    with matplotlib.rc_context():
        matplotlib.use("agg")
        yield
        plt.close("all")


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FEW else pytest.mark.slow) for n in DRAWN])
def test_plots_take_the_tree(fitted, name):
    arguments = dict(DRAWN[name])
    if name == "plot_lm":
        arguments["y"] = fitted.noise.response
    collection = getattr(arviz_plots, name)(fitted.tree, backend="matplotlib", **arguments)
    figure = collection.viz["figure"].item()
    figure.canvas.draw()
    assert any(ax.has_data() for ax in figure.axes)


def test_summary_names_every_parameter_and_group(fitted):
    table = arviz_stats.summary(fitted.tree, round_to="none")
    for parameter in fitted.model.parameters:
        labels = (
            [f"{parameter.name}[{group}]" for group in fitted.model.groups] if parameter.grouped else [parameter.name]
        )
        draws = fitted.values()[parameter.name].reshape(-1, len(labels))
        np.testing.assert_allclose(table.loc[labels, "mean"].astype(float), draws.mean(axis=0), rtol=1e-10)
    assert (table["r_hat"].astype(float) < 1.02).all()


def test_diagnostics_take_the_tree(fitted):
    assert set(arviz_stats.rhat(fitted.tree).data_vars) == set(fitted.tree["posterior"].data_vars)
    assert float(arviz_stats.ess(fitted.tree)["floor"].min()) > 100
    assert float(np.min(arviz_stats.bfmi(fitted.tree)["energy"])) > 0.3


@pytest.mark.filterwarnings(PARETO)
def test_loo_is_over_the_rows(fitted):
    result = arviz_stats.loo(fitted.tree, pointwise=True)
    assert result.n_data_points == len(fitted.observations.loss)
    assert np.isfinite(result.elpd)
    probability = arviz_stats.loo_pit(fitted.tree)[fitted.noise.response].to_numpy()
    assert probability.shape == fitted.observations.loss.shape
    assert 0 <= probability.min() <= probability.max() <= 1


@pytest.mark.filterwarnings(PARETO)
def test_compare_prefers_neither_of_two_equal_fits(fitted):
    table = arviz_stats.compare({"one": fitted.tree, "other": fitted.tree})
    assert table["elpd_diff"].abs().max() == 0


def test_prior_sensitivity_has_a_row_a_parameter(fitted):
    table = arviz_stats.psense_summary(fitted.tree)
    assert len(table) == sum(array[0].size for array in fitted.values().values())
    assert (table[["prior", "likelihood"]].astype(float) >= 0).all(axis=None)


def test_log_likelihood_is_that_of_the_law(power_fit):
    tree, rows = power_fit.tree, power_fit.observations
    group = power_fit.model.group_index
    draw = {name: array[0, 5].to_numpy() for name, array in tree["posterior"].data_vars.items()}
    draw = {name: value[group] if value.ndim else value for name, value in draw.items()}
    size = rows.covariates["parameters"] / 1e9
    mean = draw["floor"] + draw["amplitude_1e9"] * size ** -draw["exponent"]
    wanted = stats.norm(mean, draw["noise_scale"]).logpdf(rows.loss)
    np.testing.assert_allclose(tree["log_likelihood"]["loss"][0, 5], wanted, rtol=1e-4, atol=1e-4)


def test_log_likelihood_of_log_losses_is_student(chinchilla_fit):
    tree, rows = chinchilla_fit.tree, chinchilla_fit.observations
    draw = {name: float(array[1, 7]) for name, array in tree["posterior"].data_vars.items()}
    mean = draw["floor"]
    for short, name in (("parameter", "parameters"), ("token", "training_tokens")):
        mean = mean + draw[f"{short}_amplitude_1e9"] * (rows.covariates[name] / 1e9) ** -draw[f"{short}_exponent"]
    wanted = stats.t(draw["degrees_of_freedom"], np.log(mean), draw["noise_scale"]).logpdf(np.log(rows.loss))
    np.testing.assert_allclose(tree["log_likelihood"]["log_loss"][1, 7], wanted, rtol=1e-4, atol=1e-4)
