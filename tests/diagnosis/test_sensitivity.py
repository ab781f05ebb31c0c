"""Power-scaling sensitivity: held to a closed form, and said in sentences."""

import json

import arviz_base
import jax
import numpy as np
import pytest
from forms import FORMS
from numpyro import distributions as dist
from numpyro import handlers
from quick_fits import quick_fits
from scipy import stats
from tables import SIZES, models_table, power
from test_diagnose import codes, found
from typer.testing import CliRunner

from bayeslaw.cli import app
from bayeslaw.diagnosis.checks import check, errors, trusted
from bayeslaw.diagnosis.scaled_predictions import LIMIT, moved, prediction_sensitivity
from bayeslaw.diagnosis.sensitivity import THRESHOLD, sensitivity
from bayeslaw.fitting.fits import fit
from bayeslaw.laws import PowerLaw
from bayeslaw.laws.kinds import kind_of
from bayeslaw.likelihood.noise import Noise


@pytest.fixture(scope="module", params=FORMS)
def conflicting(request):
    """Return a fit whose prior wants a floor of 1.2 where the data, which leave no doubt, say 1.5."""
    loss = power(SIZES, 1.5, 1.4, 0.3) + 0.003 * np.random.default_rng(0).standard_normal(len(SIZES))
    law = PowerLaw(pooling="complete", floor=dist.LogNormal(np.log(1.2), 0.02), exponent=dist.LogNormal(-1.2, 0.02))
    noise = Noise(scale=dist.LogNormal(np.log(0.003), 0.1))
    with quick_fits(request.param):
        return fit(law, models_table(loss, SIZES, ["alder"] * len(SIZES)), noise=noise, draws=500, chains=2)


def test_a_prior_at_odds_with_the_data_is_found(conflicting):
    table = sensitivity(conflicting)
    assert set(table.index) == {"floor", "amplitude", "exponent", "noise_scale"}
    assert (table.loc["floor"] > THRESHOLD).all()
    finding = found(conflicting, "prior-data-conflict")
    assert finding.severity == "warning"
    predictions = prediction_sensitivity(conflicting)
    within = predictions.loc[~predictions["beyond"], "prior"].max()
    assert within > LIMIT
    assert f"by some {within:.0%} of its width" in finding.message
    assert trusted(check(conflicting)) == (not errors(conflicting))


def test_a_fit_that_the_data_decide_has_no_finding(partial_fit):
    assert not {"prior-sensitive", "prior-data-conflict"} & set(codes(partial_fit))
    table = sensitivity(partial_fit)
    assert (table["likelihood"] > table["prior"]).all()


def test_only_priors_with_fixed_arguments_are_scaled(partial_fit):
    """Scaling the groups' distribution too would count what the groups learn from each other as prior."""
    log_prior = partial_fit.tree["log_prior"].to_dataset()
    groups_moved = log_prior.assign(floor=log_prior["floor"] + 100 * partial_fit.tree["posterior"]["floor"])
    tree = partial_fit.tree.copy()
    tree["log_prior"] = type(tree)(groups_moved)
    again = sensitivity(type(partial_fit)(tree))
    np.testing.assert_allclose(again.to_numpy(), sensitivity(partial_fit).to_numpy())


def test_the_likelihood_is_that_of_the_rows_together(partial_fit, tiny_log_fit):
    for fitted in (partial_fit, tiny_log_fit):
        joint, model, values = kind_of(fitted.law).log_likelihood(fitted), fitted.model, fitted.values()
        for draw in (0, 77):
            with jax.enable_x64(True):
                sites = {name: values[name][draw] for name in values if not name.endswith("_1e9")}
                trace = handlers.trace(handlers.substitute(handlers.seed(model, 0), sites)).get_trace()
                row = trace[model.noise.response]
                assert joint[draw] == pytest.approx(float(row["fn"].log_prob(row["value"]).sum()), rel=1e-9)


def test_the_factor_law_is_scaled_as_a_whole(joint_fit):
    joint = joint_fit.tree["sample_stats"]["joint_log_likelihood"].to_numpy().ravel()
    np.testing.assert_allclose(kind_of(joint_fit.law).log_likelihood(joint_fit), joint, rtol=1e-6)
    table = sensitivity(joint_fit)
    assert {f"exponent[{family}]" for family in joint_fit.model.groups} < set(table.index)
    assert "model_spread" in table.index
    assert np.isfinite(table.to_numpy()).all()


def test_weights_are_those_of_a_closed_form():
    """A normal mean: raising the prior to a power shifts the posterior by a known amount, and the sensitivity grows."""
    from arviz_stats.psense import psense

    rng = np.random.default_rng(1)
    found = []
    for centre in (0.0, 4.0):
        # One observation at 0 with unit variance and a prior of variance 1 around the centre.
        draws = stats.norm(centre / 2, np.sqrt(0.5)).rvs((4, 1000), random_state=rng)
        tree = arviz_base.from_dict(
            {
                "posterior": {"mean": draws},
                "log_prior": {"mean": stats.norm(centre, 1).logpdf(draws)},
                "log_likelihood": {"y": stats.norm(draws, 1).logpdf(0.0)[..., None]},
            }
        )
        found.append([float(psense(tree, group=group)["mean"]) for group in ("prior", "likelihood")])
    (calm, _), (torn, torn_likelihood) = found
    assert torn > 3 * calm
    assert torn_likelihood == pytest.approx(torn, rel=0.2)


def doubled_shift(prior_centre, power, *, of_prior):
    """Share of the 90 % band's width by which it moves for each doubling: prior normal, one observation at 0."""

    def mean_and_ends(prior_power, likelihood_power):
        precision = prior_power + likelihood_power
        mean, deviation = prior_power * prior_centre / precision, precision**-0.5
        return mean + deviation * np.array([0.0, *stats.norm.ppf([0.05, 0.95])])

    before = mean_and_ends(1, 1)
    after = mean_and_ends(power, 1) if of_prior else mean_and_ends(1, power)
    return np.abs(after - before).max() / np.ptp(before[1:]) / abs(np.log2(power))


@pytest.mark.parametrize("of_prior", [True, False])
@pytest.mark.parametrize("centre", [0.0, 2.0])
def test_bands_move_as_a_closed_form_says(centre, of_prior):
    draws = stats.norm(centre / 2, np.sqrt(0.5)).rvs(40_000, random_state=np.random.default_rng(2))
    density = stats.norm(centre if of_prior else 0.0, 1).logpdf(draws)
    expected = max(doubled_shift(centre, power, of_prior=of_prior) for power in (0.8, 1.25))
    # The unit of what is predicted makes no difference.
    np.testing.assert_allclose(moved(np.stack([draws, 5 + 2 * draws], axis=1), density), expected, rtol=0.1)


def test_what_the_density_says_nothing_of_does_not_move():
    rng = np.random.default_rng(3)
    assert moved(rng.standard_normal((20_000, 3)), rng.standard_normal(20_000)).max() < 0.05
    assert (moved(rng.standard_normal((100, 3)), np.zeros(100)) == 0).all()


def test_priors_of_the_joint_law_are_scaled_block_by_block(joint_fit):
    table = prediction_sensitivity(joint_fit)
    assert set(table["part"]) == {"curve", "correlations", "deviations"}
    pools = table["where"].str.startswith("the pool")
    # Correlations and deviations have no say in what a single model loses.
    assert set(table.loc[~pools, "part"]) == {"curve"}
    assert (table["part"][pools].to_numpy() == ["curve", "correlations", "deviations"]).all()
    assert np.isfinite(table[["prior", "likelihood"]].to_numpy()).all()
    assert table.loc[~pools, "beyond"].sum() == len(joint_fit.model.groups)


def test_what_scatters_families_of_the_joint_law_is_no_prior(joint_fit):
    """Offsets of families and models have fixed densities, and stand for the distribution around the population."""
    tree = joint_fit.tree.copy()
    log_prior = tree["log_prior"].to_dataset()
    tree["log_prior"] = type(tree)(log_prior.assign(floor_offset=log_prior["floor_offset"] * 50))
    again = prediction_sensitivity(type(joint_fit)(tree))
    np.testing.assert_allclose(again["prior"], prediction_sensitivity(joint_fit)["prior"])


def test_there_are_two_lines_at_most(conflicting, joint_fit, partial_fit):
    for fitted in (conflicting, joint_fit, partial_fit):
        assert len({"prior-sensitive", "prior-data-conflict"} & set(codes(fitted))) == len(
            [code for code in codes(fitted) if code.startswith("prior-")]
        )


def test_a_fit_without_its_log_prior_says_so(partial_fit):
    small = partial_fit.keep(["prior"])
    assert found(small, "no-log-prior").severity == "info"
    assert "no-log-prior" not in codes(partial_fit)


def test_check_shows_it(conflicting, tmp_path):
    conflicting.keep(["prior", "log_prior"]).save(tmp_path / "f.nc")
    result = CliRunner().invoke(app, ["check", str(tmp_path / "f.nc"), "--json"])
    record = json.loads(result.stdout)
    assert "prior-data-conflict" in {finding["code"] for finding in record["findings"]}
    plain = CliRunner().invoke(app, ["check", str(tmp_path / "f.nc")])
    assert "prior and data may disagree" in plain.stdout
    assert "power-scaling sensitivity" not in plain.stdout
    told = CliRunner().invoke(app, ["check", str(tmp_path / "f.nc"), "--details"]).stdout
    for row in [*record["sensitivity"]["predictions"], *record["sensitivity"]["parameters"]]:
        assert row.get("where", row.get("parameter")) in told
