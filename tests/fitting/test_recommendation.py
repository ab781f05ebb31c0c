"""Laws of whole models are chosen by how well they predict the largest models of the table from the others."""

import numpy as np
import pytest
from scipy.stats import norm
from tables import models_table, power

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.fitting.held_out_models import normal_crps, scores
from bayeslaw.fitting.least_squares import fit_point
from bayeslaw.laws import ChinchillaLaw, PowerLaw

SIZES = np.geomspace(3e7, 3e9, 9)
FAMILIES = ("alder", "birch", "cedar", "dogwood")


def table(*, of_tokens, of_family, seed=0):
    """Return four families whose losses fall with sizes, with training tokens or not, and differ by a factor or not."""
    rng = np.random.default_rng(seed)
    losses, tokens = [], []
    for number in range(len(FAMILIES)):
        own = 20 * SIZES * np.exp(rng.uniform(-1.5, 1.5, len(SIZES)))
        mean = power(SIZES, 1.6, 0.5, 0.3) + of_tokens * 0.3 * (own / 1e10) ** -0.4
        losses.append(mean * (1 + of_family * 0.1 * number) * np.exp(0.004 * rng.standard_normal(len(SIZES))))
        tokens.append(own)
    families = np.repeat(FAMILIES, len(SIZES))
    return models_table(
        np.concatenate(losses), np.tile(SIZES, len(FAMILIES)), families, training_tokens=np.concatenate(tokens)
    )


@pytest.mark.parametrize(
    ("of_tokens", "of_family", "name", "pooling"),
    [
        (False, True, "power", "partial"),
        (True, False, "chinchilla", "complete"),
        (True, True, "chinchilla", "partial"),
    ],
)
def test_tokens_and_families_are_taken_in_where_they_tell(of_tokens, of_family, name, pooling):
    found = bl.recommend(table(of_tokens=of_tokens, of_family=of_family))
    assert found.law.name == name
    assert set(found.law.pooling_by_parameter.values()) == {pooling}
    assert "CRPS" in found.reason


def test_families_of_few_models_have_no_law_of_tokens_each():
    data = table(of_tokens=True, of_family=True)
    few = data.isel(lm=np.flatnonzero(data["parameters"].to_numpy() <= SIZES[2]))
    found = bl.recommend(few)
    assert found.law.name == "power" or set(found.law.pooling_by_parameter.values()) == {"complete"}


def test_a_point_fit_finds_its_law():
    mean = power(SIZES, 1.6, 0.5, 0.3)
    rows = PowerLaw(pooling="complete").observe(models_table(mean, SIZES, ["alder"] * len(SIZES)))
    found = fit_point(PowerLaw(pooling="complete"), rows, "loss", penalised=False)
    np.testing.assert_allclose(found.residuals, 0, atol=1e-6)
    further = found.predict({"parameters": np.array([1e11])}, np.array(["alder"]))
    np.testing.assert_allclose(further, power(1e11, 1.6, 0.5, 0.3), rtol=1e-4)


def test_families_differ_by_a_factor():
    mean = np.concatenate([power(SIZES, 1.6, 0.5, 0.3), 1.3 * power(SIZES, 1.6, 0.5, 0.3)])
    rows = PowerLaw().observe(models_table(mean, np.tile(SIZES, 2), np.repeat(["alder", "birch"], len(SIZES))))
    found = fit_point(PowerLaw(), rows, "log_loss", penalised=False)
    assert np.exp(found.position[0]) == pytest.approx(1.3, rel=1e-4)
    one, other, new = found.predict({"parameters": np.full(3, 1e8)}, np.array(["alder", "birch", "unseen"]))
    assert other == pytest.approx(1.3 * one, rel=1e-4)
    assert new == pytest.approx(np.sqrt(1.3) * one, rel=1e-4)


def test_scores_are_of_the_models_held_out():
    data = table(of_tokens=False, of_family=False)
    sizes = data["parameters"].to_numpy()
    worse = data.assign(loss=data["loss"] + 0.5 * (sizes >= SIZES[-4]))
    laws = {"power": PowerLaw(pooling="complete")}
    good, bad = (scores(laws, each, parameters="total")["power"] for each in (data, worse))
    assert good < 0.01
    assert bad > 0.3
    # Five models do not tell five parameters.
    assert scores({"chinchilla": ChinchillaLaw()}, data.isel(lm=slice(0, 5)), parameters="total") == {}


def test_the_score_is_the_integral_of_squared_differences():
    grid = np.linspace(-30, 30, 600_001)
    distribution = norm.cdf(grid, 1.0, 2.0)
    expected = np.trapezoid((distribution - (grid >= 2.5)) ** 2, grid)
    assert normal_crps(np.array([1.0]), 2.0, [2.5])[0] == pytest.approx(expected, rel=1e-4)


def test_where_no_law_can_be_fitted_that_is_said():
    data = models_table(np.array([2.0, 1.9]), np.array([1e8, 1e9]), ["alder", "alder"])
    with pytest.raises(InputError, match="2 different values of parameters"):
        bl.recommend(data)
