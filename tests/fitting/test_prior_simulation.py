"""Priors before a fit: draws and losses of the rows, for every law, the same that a fit keeps."""

from dataclasses import dataclass
from typing import Any

import arviz as az
import jax.numpy as jnp
import numpy as np
import pytest
from forms import in_gate
from joint_cases import small_losses
from known_gains import pools_of_known_gain
from quick_fits import quick_fits
from scipy.stats import spearmanr
from tables import family_table, tiny_table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.fitting import prior_simulation
from bayeslaw.fitting.prior_simulation import stands_for_fit
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.registry import LAWS
from bayeslaw.losses.model_frames import models_from_frame
from bayeslaw.simulation.simulated_pools import simulate_pools
from bayeslaw.simulation.tables import simulate_chinchilla

TABLES = {
    "power": family_table,
    "broken_power": family_table,
    "chinchilla": lambda: models_from_frame(simulate_chinchilla(points=40)),
    "collaboration": simulate_pools,
    "diversity": pools_of_known_gain,
    "joint": small_losses,
}


def test_every_law_has_a_table_here():
    assert set(TABLES) == set(LAWS)


def expected(tree, rows):
    """The law's own losses at the draws of the prior, [draw, row]."""
    fit = stands_for_fit(tree)
    return kind_of(fit.law).expected_losses(fit, np.asarray(rows), group="prior")


@pytest.mark.parametrize("name", in_gate({"power", "joint"}, TABLES))
def test_every_law_is_drawn_beside_its_table(name):
    tree = bl.prior_predictive(name, TABLES[name](), draws=60, seed=1)
    assert {"prior", "prior_predictive", "observed_data", "constant_data"} == set(tree.children)
    row = tree.attrs["row_dimension"]
    (response,) = tree["observed_data"].data_vars
    assert tree["prior_predictive"][response].dims == ("chain", "draw", row)
    assert dict(tree["prior"].sizes)["draw"] == 60
    drawn = tree["prior_predictive"][response].to_numpy()[0]
    assert np.isfinite(drawn).all()
    rows = np.arange(min(5, drawn.shape[1]))
    assert expected(tree, rows).shape == (60, len(rows))
    checked = bl.prior_check(tree)
    assert checked.inside + checked.below + checked.above == pytest.approx(1)
    assert len(bl.plot_prior_predictive(tree).axes) >= 1


@pytest.mark.parametrize("name", in_gate({"power", "collaboration"}, sorted(set(TABLES) - {"joint"})))
def test_losses_of_rows_scatter_around_the_law_of_the_same_draw(name):
    tree = bl.prior_predictive(name, TABLES[name](), draws=60, seed=1)
    (response,) = tree["observed_data"].data_vars
    drawn, rows = tree["prior_predictive"][response].to_numpy()[0], np.arange(5)
    for own, losses in zip(expected(tree, rows).T, drawn.T[rows], strict=True):
        assert spearmanr(own, losses).statistic > 0.7


def test_lines_of_the_joint_law_are_about_the_middle_of_its_losses():
    # What is integrated out is drawn for lines and for losses apart.
    tree = bl.prior_predictive("joint", small_losses(), draws=4000, seed=1, keep=["prior", "prior_predictive"])
    losses = np.median(tree["prior_predictive"]["loss"].to_numpy()[0], axis=0)
    lines = np.median(expected(tree, np.arange(len(losses))), axis=0)
    np.testing.assert_allclose(lines, losses, rtol=0.08)
    assert np.ptp(np.log(losses)) > 0.3


def log_law(parameters, *, level, slope):
    """Evaluate a loss that falls with the logarithm of the parameters."""
    return level - slope * jnp.log(parameters)


@dataclass(frozen=True)
class FallingLaw(bl.Law):
    """``loss = level - slope log(N / N0)``."""

    level: Any = None
    slope: Any = None

    name = "falling"
    equation = "level - slope * log(N / N0)"
    function = staticmethod(log_law)
    signed = ("slope",)

    def default_priors(self, observations):
        """Scale the priors to the mean loss."""
        middle = float(observations.loss.mean())
        return {"level": f"HalfNormal({2 * middle})", "slope": f"Normal(0, {middle / 5})"}


def test_a_law_of_the_user_is_drawn_too(monkeypatch):
    monkeypatch.setattr(LAWS, "_loaded", {**LAWS._loaded})
    bl.register_law(FallingLaw)
    tree = bl.prior_predictive(FallingLaw(pooling="complete"), family_table(), draws=60)
    values = {name: tree["prior"][name].to_numpy()[0] for name in ("level", "slope")}
    sizes = tree["constant_data"]["parameters"].to_numpy()
    log_size = np.log(sizes / np.exp(np.log(sizes).mean()))
    by_hand = values["level"] - values["slope"] * log_size[3]
    np.testing.assert_allclose(expected(tree, [3])[:, 0], by_hand, rtol=1e-6)
    assert bl.prior_check(tree).law == "falling"


def test_the_law_of_a_row_is_that_of_its_family_and_budget():
    tree = bl.prior_predictive("power", family_table(), draws=60)
    prior, sizes = tree["prior"].dataset.isel(chain=0), tree["constant_data"]["parameters"].to_numpy()
    families = tree["constant_data"]["lm_family"].to_numpy()
    for row in (0, 7, len(sizes) - 1):
        of = prior.sel(family=families[row])
        ratio = sizes[row] / np.exp(np.log(sizes).mean())
        by_hand = of["floor"] + of["amplitude"] * ratio ** -of["exponent"]
        np.testing.assert_allclose(expected(tree, [row])[:, 0], by_hand, rtol=1e-6)


@pytest.mark.slow
def test_draws_are_those_that_a_fit_keeps_as_its_prior():
    with quick_fits():
        fit = bl.fit("power", tiny_table(), draws=60, chains=2, seed=5)
    tree = bl.prior_predictive("power", tiny_table(), seed=5)
    xr_equal = fit.tree["prior"].dataset.identical(tree["prior"].dataset)
    assert xr_equal or all(
        np.array_equal(fit.tree["prior"][name], tree["prior"][name]) for name in fit.tree["prior"].data_vars
    )
    np.testing.assert_array_equal(fit.tree["prior_predictive"]["loss"], tree["prior_predictive"]["loss"])
    other = bl.prior_predictive("power", tiny_table(), seed=6)
    assert not np.array_equal(other["prior"]["exponent"], tree["prior"]["exponent"])


def test_arviz_takes_the_tree():
    tree = bl.prior_predictive("power", tiny_table(), draws=100)
    assert len(az.summary(tree, group="prior", kind="stats")) > 2


def test_what_is_large_is_left_out_and_made_when_it_is_needed(monkeypatch):
    monkeypatch.setattr(prior_simulation, "SMALL_BYTES", 100)
    slim = bl.prior_predictive("power", tiny_table(), draws=60)
    assert "prior_predictive" not in slim.children
    with pytest.raises(InputError, match=r"bayeslaw\.prior_predictive"):
        _ = slim["prior_predictive"]
    kept = bl.prior_predictive("power", tiny_table(), draws=60, keep=["prior", "prior_predictive"])
    np.testing.assert_array_equal(
        kept["prior_predictive"]["loss"], prior_simulation.with_prior_predictive(slim)["prior_predictive"]["loss"]
    )
    assert bl.prior_check(slim) == bl.prior_check(kept)


@pytest.mark.slow
def test_wider_priors_give_wider_losses():
    narrow, wide = (
        bl.prior_predictive(
            bl.PowerLaw(pooling="complete", exponent=bl.between(*ends)), tiny_table(), draws=300, keep=["prior"]
        )
        for ends in ((0.29, 0.31), (0.05, 1.5))
    )
    smallest = int(np.argmin(wide["constant_data"]["parameters"].to_numpy()))
    spreads = [np.subtract(*np.quantile(np.log(expected(tree, [smallest])), [0.95, 0.05])) for tree in (narrow, wide)]
    assert spreads[0] < spreads[1]
    inside = np.quantile(wide["prior"]["exponent"], [0.05, 0.95])
    np.testing.assert_allclose(inside, [0.05, 1.5], rtol=0.35)


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"keep": ["posterior"]}, "posterior"),
        ({"keep": ["log_prior"]}, "log_prior"),
        ({"draws": 0}, "draws"),
        ({"seed": -1}, "seed"),
        ({"parameters": "all"}, "all"),
    ],
)
def test_what_cannot_be_drawn_is_refused(choices, says):
    with pytest.raises(InputError, match=says):
        bl.prior_predictive("power", tiny_table(), **choices)


def test_the_joint_law_takes_no_noise_here_either():
    with pytest.raises(InputError, match="noise"):
        bl.prior_predictive("joint", small_losses(), noise=bl.Noise())


def test_a_tree_of_a_prior_is_no_fit_and_a_fit_no_tree_of_a_prior(file_of_fit):
    fit = bl.load_fit(file_of_fit("tiny"))
    for take in (bl.prior_check, bl.plot_prior_predictive):
        with pytest.raises(InputError, match="prior_predictive"):
            take(fit.tree)
    tree = bl.prior_predictive("power", tiny_table(), draws=60)
    with pytest.raises(InputError, match="no fit"):
        bl.check(stands_for_fit(tree))
