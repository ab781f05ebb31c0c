"""Claims: each names what it compares, and its probability is the share of the draws of just that."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from quick_fits import quick_fits
from scipy import stats

from bayeslaw.diagnosis.claim_probabilities import PAIRS, claim_differences, claims
from bayeslaw.diagnosis.claim_quantities import QUANTITIES, usual_budgets
from bayeslaw.diagnosis.independent_rows import fit_of_independent_rows
from bayeslaw.diagnosis.left_out_families import LeftOutFamilies, left_out_families
from bayeslaw.errors import InputError
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.laws import CollaborationLaw
from bayeslaw.pools.pool_losses import make_pools
from bayeslaw.simulation.tables import simulate_losses


def power_law(size, floor, amplitude, exponent):
    return floor + amplitude * size**-exponent


def column(fitted: Fit, group: str, name: str, regime: str) -> np.ndarray:
    return fitted.tree[group].dataset[name].sel(regime=regime).to_numpy().ravel()


def by_hand(fitted: Fit, group: str, quantity: str, regime: str, budget: float | None) -> np.ndarray:
    """Return draws of a quantity of ``floor + amplitude (N / N0) ^ -exponent`` by its closed form."""
    floor, amplitude, exponent = (column(fitted, group, name, regime) for name in ("floor", "amplitude", "exponent"))
    above = amplitude * ((budget or 1) / fitted.observations.reference["parameters"]) ** -exponent
    return {"floor": floor, "exponent": exponent, "loss": floor + above, "slope": exponent * above}[quantity]


def test_probabilities_are_shares_of_draws_of_what_the_claim_names(collaboration_fit):
    stated = claims(collaboration_fit, budgets=[2e9, "1e11", 5e13])
    assert len(stated) == len(PAIRS) * (2 + 2 * 3)
    for claim in stated:
        shares = []
        for group in ("posterior", "prior"):
            values = [
                by_hand(collaboration_fit, group, claim.quantity, r, claim.budget)
                for r in (claim.larger, claim.smaller)
            ]
            shares.append(np.mean(values[0] > values[1]))
        assert (claim.probability, claim.prior_probability) == pytest.approx(tuple(shares), abs=1e-9)
        assert claim.prior_probability == pytest.approx(0.5, abs=0.08)


def with_draws(fitted: Fit, **values: dict[str, float]) -> Fit:
    """Put draws that hardly scatter in the place of those of a fit."""
    tree = fitted.tree.copy(deep=True)
    posterior, rng = tree["posterior"].to_dataset(), np.random.default_rng(0)
    for name, by_regime in values.items():
        for regime, value in by_regime.items():
            scatter = 1 + 1e-4 * rng.standard_normal(posterior[name].sel(regime=regime).shape)
            posterior[name].loc[{"regime": regime}] = value * scatter
    tree["posterior"] = xr.DataTree(posterior)
    return Fit(tree)


def test_a_larger_exponent_is_no_faster_fall(collaboration_fit):
    """Slopes of exponents .2 and .5 with one amplitude cross where .2 x^-.2 = .5 x^-.5: at x = 2.5^(1/.3)."""
    same = dict.fromkeys(("single", "homogeneous", "heterogeneous"), 1.0)
    exponents = {"single": 0.2, "homogeneous": 0.2, "heterogeneous": 0.5}
    doctored = with_draws(collaboration_fit, amplitude=same, floor=same, exponent=exponents)
    crossing = collaboration_fit.observations.reference["parameters"] * 2.5 ** (1 / 0.3)
    found = {
        (c.quantity, c.budget): c
        for c in claims(doctored, budgets=[crossing / 1.1, 1.1 * crossing])
        if c.larger == "heterogeneous" and c.smaller == "single"
    }
    assert found["exponent", None].probability == 1
    assert found["slope", crossing / 1.1].probability == 1
    assert found["slope", 1.1 * crossing].probability == 0


def test_faster_is_said_of_slopes_alone_and_every_budget_is_named(collaboration_fit):
    unit = collaboration_fit.unit
    for claim in claims(collaboration_fit):
        assert ("faster" in claim.claim) == (claim.quantity == "slope")
        assert ("exponent is larger" in claim.claim) == (claim.quantity == "exponent")
        assert (claim.budget is not None) == (claim.quantity in ("slope", "loss"))
        assert (" at " in claim.claim) == (claim.budget is not None)
        assert unit in claim.unit
        assert ("per unit of log parameters" in claim.unit) == (claim.quantity in ("slope", "exponent"))
        # The smaller floor and the smaller loss are the heterogeneous pools', the larger exponent and slope too.
        better = claim.smaller if QUANTITIES[claim.quantity].falling else claim.larger
        assert better == "heterogeneous"


def test_the_truth_is_what_the_paper_says(collaboration_fit):
    for claim in claims(collaboration_fit):
        if claim.budget is None:
            # The truth has floors that fall and exponents that rise with the variety of members.
            assert claim.probability > 0.99, claim.claim


def test_usual_budgets_are_readable_and_inside_but_for_the_last(collaboration_fit):
    *inside, beyond = usual_budgets(collaboration_fit)
    observed, index = collaboration_fit.observations.covariates["parameters"], collaboration_fit.model.group_index
    assert inside == sorted(inside)
    assert len(inside) == 3
    for group in range(3):
        own = observed[index == group]
        assert own.min() <= inside[0]
        assert inside[-1] <= own.max()
    assert beyond == pytest.approx(10 * observed.max(), rel=0.5)
    for budget in (*inside, beyond):
        assert float(f"{budget:.0e}") == budget
    for claim in claims(collaboration_fit):
        assert (claim.extrapolation > 0) == (claim.budget == beyond)


def test_a_law_without_regimes_makes_no_claim(power_fit):
    assert claims(power_fit) == ()


def test_claims_are_of_regimes_that_were_seen(collaboration_fit):
    seen = np.flatnonzero(collaboration_fit.observations.groups["regime"] != "homogeneous")
    regimes = [name != "homogeneous" for name in collaboration_fit.model.groups]
    two = Fit(collaboration_fit.tree.isel(pool=seen, regime=np.flatnonzero(regimes)))
    stated = claims(two, budgets=[1e10])
    assert [claim.quantity for claim in stated] == ["exponent", "slope", "loss", "floor"]
    assert {claim.larger for claim in stated} | {claim.smaller for claim in stated} == {"single", "heterogeneous"}


@pytest.mark.slow
def test_claims_are_of_quantities_that_differ_by_regime(small_pools):
    pools = small_pools.isel(pool=small_pools["regime"].to_numpy() != "homogeneous")
    one_floor = fit(CollaborationLaw(pooling={"floor": "complete"}), pools, draws=200, chains=1)
    assert [claim.quantity for claim in claims(one_floor, budgets=[1e10])] == ["exponent", "slope", "loss"]


def test_differences_are_by_name(collaboration_fit):
    (claim,) = [c for c in claims(collaboration_fit) if (c.quantity, c.larger) == ("floor", "homogeneous")]
    floor = collaboration_fit.tree["posterior"].dataset["floor"]
    by_name = (floor.sel(regime="homogeneous") - floor.sel(regime="heterogeneous")).to_numpy().ravel()
    np.testing.assert_array_equal(claim_differences(collaboration_fit, claim), by_name)


def test_claims_need_the_prior(collaboration_fit):
    with pytest.raises(InputError, match="without its prior"):
        claims(collaboration_fit.keep([]))


@pytest.mark.parametrize("wrong", [[], [-1e9], "many", {"a": 1}, [0]])
def test_budgets_that_are_none_are_refused(collaboration_fit, wrong: Any):
    with pytest.raises(InputError, match="budgets"):
        claims(collaboration_fit, budgets=wrong)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    values = np.array([1.0, 2.0, 4.0, 7.0])
    without = [np.delete(values, family).mean() for family in range(4)]
    left_out = LeftOutFamilies(("a", "b", "c", "d"), {})
    estimate, deviation = left_out.jackknife(np.array([values.mean(), *without]))
    assert estimate == values.mean()
    assert deviation == pytest.approx(values.std(ddof=1) / 2)


def test_families_widen_a_probability_where_they_differ_more_than_the_posterior_knows():
    draws = np.random.default_rng(0).normal(1.0, 0.5, 20_000)
    many = LeftOutFamilies(tuple(map(str, range(2000))), {})
    assert many.probability(draws, 0.3) == np.mean(draws > 0)
    # With many families the sum of two normal errors, whose deviation is the jackknife's.
    assert many.probability(draws, 2.0) == pytest.approx(stats.norm.cdf(1 / 2), abs=0.01)
    few = LeftOutFamilies(("a", "b", "c"), {})
    assert 0.5 < few.probability(draws, 2.0) < many.probability(draws, 2.0)


@pytest.fixture(scope="module")
def of_families() -> Fit:
    """Return a fit of 300 pools of four families, after few draws."""
    pools = make_pools(simulate_losses(families=4, sizes=5, samples=120, clusters=30, seed=3), max_size=3, limit=300)
    with quick_fits(quick=True):
        return fit(CollaborationLaw(), pools, draws=100, chains=1)


def test_least_squares_without_each_family_is_that_of_scipy(of_families):
    from scipy.optimize import curve_fit

    found = left_out_families(of_families)
    assert found is not None
    assert len(found.families) == 4
    family_of, observations = json.loads(of_families.tree.attrs["families"]), of_families.observations
    assert observations.membership is not None
    size = observations.covariates["parameters"] / observations.reference["parameters"]
    column = of_families.model.groups.index("heterogeneous")
    for row, left_out in enumerate((None, *found.families)):
        members = np.array([family_of[name] == left_out for name in observations.members])
        own = (observations.groups["regime"] == "heterogeneous") & ~observations.membership[:, members].any(axis=1)
        wanted = curve_fit(power_law, size[own], observations.loss[own], [1.0, 1.0, 0.3], maxfev=20_000)[0]
        values = [found.values[name][row, column] for name in ("floor", "amplitude", "exponent")]
        grid = np.geomspace(size[own].min(), size[own].max(), 9)
        np.testing.assert_allclose(power_law(grid, *values), power_law(grid, *wanted), rtol=2e-3)


def test_claims_say_what_families_and_independent_rows_make_of_them(of_families):
    with quick_fits(quick=True):
        stated = claims(of_families, budgets=[1e10], independent_rows=True)
    independent = fit_of_independent_rows(of_families)
    assert independent.model.dependence is None
    assert independent.tree["posterior"].sizes == of_families.tree["posterior"].sizes
    for claim in stated:
        for value in (claim.families_probability, claim.independent_probability):
            assert value is not None
            assert 0 <= value <= 1
        assert claim.jackknife_deviation is not None
        assert claim.jackknife_deviation > 0
        assert claim.least_squares is not None
    # Without being asked, no law is fitted again.
    assert all(claim.independent_probability is None for claim in claims(of_families))
    assert [replace(c, independent_probability=None) for c in stated] == list(claims(of_families, budgets=[1e10]))
