"""The joint law's curve of single models, against plain numerical integration and dense normal distributions."""

from collections.abc import Iterator
from functools import cache

import jax
import numpy as np
import pytest
from joint_cases import small_model, some_values
from scipy import integrate, stats

from bayeslaw.joint.curve import DRIFT_LENGTH, LEVEL_DEVIATION, Models
from bayeslaw.joint.joint_model import JointModel


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def model() -> JointModel:
    return small_model()


def test_floor_and_amplitude_have_no_prior_of_the_exponent(model):
    """They follow from other sites and the losses seen; the draws of their priors are as in the curve's equation."""
    parameters = {parameter.name: parameter for parameter in model.parameters}
    assert parameters["exponent"].prior == model.law.priors["exponent"]
    for name in ("floor", "amplitude"):
        assert parameters[name].prior is None
        assert parameters[name].support == (0.0, np.inf)


@cache
def drift_covariance(x: float, y: float) -> float:
    """Covariance of the integrals from 0 to x and to y of a unit Ornstein-Uhlenbeck process, by quadrature."""
    inner = integrate.dblquad(lambda s, t: np.exp(-abs(s - t) / DRIFT_LENGTH), 0, abs(x), 0, abs(y))[0]
    outer = integrate.dblquad(lambda s, t: np.exp(-abs(s + t) / DRIFT_LENGTH), 0, abs(x), 0, abs(y))[0]
    return inner if x * y > 0 else -outer


def plain_covariance(model: JointModel, values: dict[str, np.ndarray]) -> np.ndarray:
    """Covariance of the log loss above the floor of the models seen, term by term."""
    x, family = model.models.log_size, model.models.family
    deviation = model.curve.exponent[1]
    result = np.empty((len(x), len(x)))
    for i in range(len(x)):
        for j in range(len(x)):
            same = family[i] == family[j]
            drift = values["exponent_drift"] ** 2 * drift_covariance(*sorted((x[i], x[j])))
            result[i, j] = LEVEL_DEVIATION**2 + deviation**2 * x[i] * x[j] + drift * (1.0 if same else 0.5)
            if same:
                result[i, j] += values["amplitude_spread"] ** 2 * values["family_scale"][family[i]]
                result[i, j] += values["exponent_spread"] ** 2 * x[i] * x[j]
            if i == j:
                result[i, j] += values["model_spread"] ** 2
    return result


def plain_floors(model: JointModel, values: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Floors as quantiles of truncated normals of their logarithm, and the log probability of no truncation."""
    centre = np.log(values["floor_share"] * model.curve.lowest)
    spread = values["floor_spread"] * (1 - values.get("floor_shrinkage", 1.0) * values["floor_share"])
    bound = (np.log(model.curve.lowest_of_family) - centre) / spread
    place = stats.norm.cdf(values["floor_offset"])
    logs = [stats.truncnorm(-np.inf, b, loc=centre, scale=spread).ppf(p) for b, p in zip(bound, place, strict=True)]
    return np.exp(logs), float(stats.norm.logcdf(bound).sum())


def test_floors_are_truncated_log_normal_below_every_loss_of_their_family(model: JointModel) -> None:
    for seed in range(4):
        values = some_values(model, seed)
        floors, weight = model.curve.floors(values)
        plain, plain_weight = plain_floors(model, values)
        np.testing.assert_allclose(floors, plain, rtol=1e-6)
        assert float(weight) == pytest.approx(plain_weight, rel=1e-6, abs=1e-9)
        assert (np.asarray(floors)[model.models.family] < model.curve.loss).all()


def test_density_of_the_mean_losses_is_that_of_a_dense_normal(model: JointModel) -> None:
    values = some_values(model)
    floors, weight = plain_floors(model, values)
    above = np.log(model.curve.loss - floors[model.models.family])
    mean = np.log(0.5 * model.curve.lowest) - model.curve.exponent[0] * model.models.log_size
    dense = stats.multivariate_normal(mean, plain_covariance(model, values) + 1e-9 * np.eye(len(mean)))
    expected = dense.logpdf(above) - above.sum() + weight
    assert float(model.curve.log_likelihood(values)) == pytest.approx(expected, rel=1e-6)


def test_pointwise_density_is_what_a_model_adds_to_the_others(model: JointModel) -> None:
    values = some_values(model)
    floors, _ = plain_floors(model, values)
    above = np.log(model.curve.loss - floors[model.models.family])
    mean = np.log(0.5 * model.curve.lowest) - model.curve.exponent[0] * model.models.log_size
    covariance = plain_covariance(model, values) + 1e-9 * np.eye(len(mean))
    whole = stats.multivariate_normal(mean, covariance).logpdf(above)
    for left in range(len(mean)):
        rest = np.delete(np.arange(len(mean)), left)
        others = stats.multivariate_normal(mean[rest], covariance[np.ix_(rest, rest)]).logpdf(above[rest])
        assert float(model.curve.pointwise(values)[left]) == pytest.approx(whole - others - above[left], rel=1e-5)


def draws(model: JointModel, values: dict[str, np.ndarray], new: Models, count: int, own_part: bool) -> np.ndarray:
    def one(key: jax.Array) -> jax.Array:
        noise = {
            "model": jax.random.normal(key, (len(new.log_size),)),
            "floor": np.zeros(0),
            "scale": np.zeros(0),
        }
        return model.curve.draw(values, new, noise, own_part=own_part)

    keys = jax.random.split(jax.random.PRNGKey(5), count)
    return np.asarray(jax.jit(lambda each: jax.lax.map(one, each))(keys))


def test_new_models_follow_the_conditional_normal(model: JointModel) -> None:
    values = some_values(model)
    seen = model.models
    new = Models(np.array([1.5, 3.0]), np.array([0, 0]))
    both = JointModel(model.law, model.table)
    both.__dict__["models"] = Models(
        np.concatenate([seen.log_size, new.log_size]), np.concatenate([seen.family, new.family])
    )
    covariance, count = plain_covariance(both, values), len(seen.log_size)
    floors, _ = plain_floors(model, values)
    above = np.log(model.curve.loss - floors[seen.family])
    gain = covariance[count:, :count] @ np.linalg.inv(covariance[:count, :count])
    level = np.log(0.5 * model.curve.lowest)
    mean = level - 0.3 * new.log_size + gain @ (above - level + 0.3 * seen.log_size)
    spread = covariance[count:, count:] - gain @ covariance[:count, count:]
    drawn = np.log(draws(model, values, new, 4000, own_part=True) - floors[0])
    np.testing.assert_allclose(drawn.mean(axis=0), mean, atol=5 * np.sqrt(np.diag(spread).max() / 4000))
    np.testing.assert_allclose(np.cov(drawn.T), spread, rtol=0.12, atol=1e-5)


def test_a_model_without_a_part_of_its_own_is_narrower(model: JointModel) -> None:
    values = some_values(model) | {"model_spread": np.asarray(0.3)}
    new = Models(np.array([1.5]), np.array([1]))
    with_own, without = (np.log(draws(model, values, new, 2000, own_part=own)).std() for own in (True, False))
    assert with_own > without > 0


def test_uncertainty_grows_with_the_distance_extrapolated(model: JointModel) -> None:
    values = some_values(model) | {"exponent_drift": np.asarray(0.1)}
    new = Models(model.models.log_size.max() + np.array([0.5, 2.0, 5.0]), np.zeros(3, int))
    spread = np.log(draws(model, values, new, 2000, own_part=False)).std(axis=0)
    assert spread[0] < spread[1] < spread[2]
