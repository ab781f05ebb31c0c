"""Which sampler a law has, and what a fit says of the blocks it was sampled in."""

import numpy as np
import pytest
from joint_cases import small_losses
from tables import tiny_table
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_reading import load_fit
from bayeslaw.fitting.fits import fit
from bayeslaw.fitting.joint_posterior import BLOCKS
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


@pytest.mark.slow
def test_both_samplers_draw_from_the_same_posterior():
    usual, nuts = (fit(JointLaw(), small_losses(), seed=5, sampler=name) for name in ("hmc", "nuts"))
    for name in usual.model.sites:
        ours, theirs = usual.values()[name], nuts.values()[name]
        ours, theirs = (np.log(each) if (ours > 0).all() else each for each in (ours, theirs))
        # Four times the error of a mean of some eight hundred independent draws.
        np.testing.assert_allclose(ours.mean(axis=0), theirs.mean(axis=0), atol=0.2 * theirs.std(axis=0).max())
        np.testing.assert_allclose(np.log(ours.std(axis=0)), np.log(theirs.std(axis=0)), atol=0.15)


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
    assert not out.exists()
