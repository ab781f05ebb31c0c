"""Which sampler a law has, and what a fit says of the blocks it was sampled in."""

import numpy as np
import pytest
from arviz_stats.sampling_diagnostics import ess
from joint_cases import small_losses
from scipy import stats
from tables import tiny_table
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fits import fit
from bayeslaw.fitting.joint_posterior import BLOCKS, log_likelihood_at
from bayeslaw.fitting.joint_tree import model_of_fit
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import PowerLaw


def test_statistics_of_blocks_are_in_a_group_of_their_own(file_of_fit):
    tree = load_fit(file_of_fit("quick_joint")).tree
    blocks, whole = tree["sample_stats_blocks"].dataset, tree["sample_stats"].dataset
    assert list(blocks["block"].to_numpy()) == list(BLOCKS)
    assert all(set(array.dims) == {"chain", "draw"} for array in whole.data_vars.values())
    np.testing.assert_allclose(blocks["lp"].sum("block"), whole["lp"])
    np.testing.assert_allclose(blocks["energy"].sum("block"), whole["energy"])
    np.testing.assert_array_equal(blocks["n_steps"].max("block"), whole["n_steps"])
    np.testing.assert_array_equal(blocks["diverging"].any("block"), whole["diverging"])
    assert int(blocks["divergences"].sum()) == 0
    assert float(blocks["r_hat_max"].max()) < 1.1
    assert float(blocks["ess_bulk_min"].min()) > 10
    assert float(blocks["ess_tail_min"].min()) > 10


@pytest.mark.parametrize("sampler", ["hmc", pytest.param("nuts", marks=pytest.mark.slow)])
def test_the_likelihood_of_draws_is_what_the_densities_give(sampler, file_of_fit):
    """It is kept from sampling, without the prior and the maps from free coordinates."""
    hmc = sampler == "hmc"
    fitted = load_fit(file_of_fit("quick_joint")) if hmc else fit(JointLaw(), small_losses(), draws=50, sampler=sampler)
    model = model_of_fit(fitted)
    expected = log_likelihood_at(model, {name: fitted.values()[name] for name in model.sites})
    found = fitted.tree["sample_stats"]["joint_log_likelihood"].to_numpy().ravel()
    np.testing.assert_allclose(found, expected, rtol=1e-7)


def share_below(draws, bound):
    """Share of draws, [chain, draw], up to a bound, and its standard error."""
    below = (draws <= bound).astype(float)
    return below.mean(), np.sqrt(below.var() / ess(below, method="mean"))


@pytest.mark.slow
def test_both_samplers_draw_from_the_same_posterior():
    """Shares below common quantiles, which no tail makes erratic, within Monte Carlo error of all of them together."""
    usual, nuts = (
        fit(JointLaw(), small_losses(), seed=seed, draws=2000, sampler=name).tree["posterior"]
        for seed, name in enumerate(("hmc", "nuts"))
    )
    errors = []
    for name in (site for part in BLOCKS.values() for site in part.sites if site in usual):
        ours, theirs = (group[name].to_numpy().reshape(*group[name].shape[:2], -1) for group in (usual, nuts))
        for index in range(ours.shape[-1]):
            one, other = ours[..., index], theirs[..., index]
            for bound in np.quantile(np.concatenate([one, other]), [0.05, 0.25, 0.5, 0.75, 0.95]):
                (share, error), (second, again) = share_below(one, bound), share_below(other, bound)
                errors.append((share - second) / np.hypot(error, again))
    assert np.abs(errors).max() < stats.norm.ppf(1 - 0.005 / len(errors))
    # As large as chance has them, too: draws that scatter more or less would show here first.
    assert np.sqrt(np.mean(np.square(errors))) < 1.4


def test_a_law_without_gradients_by_hand_is_sampled_by_nuts():
    with pytest.raises(InputError, match="'hmc' needs gradients by hand"):
        fit(PowerLaw(), tiny_table(), draws=50, sampler="hmc")
    with pytest.raises(InputError, match="sampler"):
        fit(PowerLaw(), tiny_table(), draws=50, sampler="gibbs")


def test_the_command_refuses_a_sampler_that_is_not(tmp_path):
    out = tmp_path / "fit.nc"
    result = CliRunner().invoke(app, ["fit", "zoo", "--sampler", "gibbs", "--out", str(out)])
    assert result.exit_code == 2
    assert "gibbs" in result.output
    # Before the table is read, and a law for it said.
    assert "law" not in result.output.split("gibbs")[0]
    assert not out.exists()
