"""Modes, the curvature there, and modes under flat priors."""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from posteriors import rows_filled
from scipy import optimize
from tables import FLOORS, family_table, rows

from bayeslaw.errors import InputError
from bayeslaw.fitting.point_fit import maximum_likelihood
from bayeslaw.laws import ChinchillaLaw, CollaborationLaw, Law, PowerLaw
from bayeslaw.laws.priors import parse_prior
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.losses.model_frames import models_from_frame
from bayeslaw.posterior.mode import minimize
from bayeslaw.simulation.simulated_pools import simulate_pools
from bayeslaw.simulation.tables import simulate_chinchilla

FREE = ("floor", "amplitude", "exponent")


@dataclass(frozen=True)
class LineLaw(Law):
    """A law that is linear in its parameters, so that its posterior is known."""

    pooling: Any = "complete"
    level: Any = "Normal(0, 10)"
    slope: Any = "Normal(0, 10)"

    name: ClassVar[str] = "line"
    equation: ClassVar[str] = "level + slope * log(N / N0)"
    group: ClassVar[str] = "family"
    function: ClassVar[Any] = staticmethod(lambda parameters, *, level, slope: level + slope * jnp.log(parameters))
    signed: ClassVar[Any] = ("level", "slope")

    def default_priors(self, observations):
        return {name: parse_prior(name, "Normal(0, 10)") for name in ("level", "slope")}


def posterior(law, noise, data):
    return rows_filled(LawModel(law, noise, law.observe(data)))


def test_the_covariance_of_a_linear_law_is_exact():
    table = family_table(noise=0.1)
    law, scale = LineLaw(), 0.1
    with jax.enable_x64(True):
        target = posterior(law, Noise(scale=f"LogNormal({np.log(scale)}, 0.0001)"), table)
        mode = target.mode(starts=2, seed=0)
        factor = target.factor(mode)
    budget = np.log(table["parameters"].to_numpy())
    design = np.stack([np.ones(24), budget - budget.mean()], axis=1)
    precision = design.T @ design / scale**2 + np.eye(2) / 100
    # Coordinates in alphabetical order: level, noise_scale, slope.
    covariance = (factor @ factor.T)[np.ix_([0, 2], [0, 2])]
    np.testing.assert_allclose(covariance, np.linalg.inv(precision), rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(
        mode[[0, 2]], np.linalg.solve(precision, design.T @ table["loss"].to_numpy() / scale**2), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("law", "noise"),
    [
        pytest.param(PowerLaw(), Noise(), marks=pytest.mark.slow),
        (PowerLaw(pooling="complete"), Noise(response="log_loss")),
        pytest.param(
            PowerLaw(pooling="complete"), Noise(distribution="student_t", response="log_loss"), marks=pytest.mark.slow
        ),
    ],
    ids=["partial", "complete", "student_t"],
)
def test_the_gradient_vanishes_at_the_mode_and_the_curvature_is_near_the_hessian(law, noise):
    with jax.enable_x64(True):
        target = posterior(law, noise, family_table(one_law=True, sizes=np.geomspace(5e7, 1e11, 30)))
        mode = jnp.asarray(target.mode(starts=3, seed=0))
        gradient = np.asarray(jax.jit(jax.grad(target.potential))(mode))
        hessian = np.asarray(jax.jit(jax.hessian(target.potential))(mode))
        factor = target.factor(np.asarray(mode))
        potential = jax.jit(target.potential)
        elsewhere, lowest = (
            [float(potential(mode + shift)) for shift in 0.01 * np.eye(len(mode))],
            float(potential(mode)),
        )
    covariance = factor @ factor.T
    np.testing.assert_allclose(np.sqrt(gradient @ covariance @ gradient), 0, atol=1e-3)
    assert min(elsewhere) > lowest
    # Whitened, the Hessian is near the identity: expected information instead of observed.
    spread = np.linalg.eigvalsh(factor.T @ hessian @ factor)
    assert spread.min() > 0.3
    assert spread.max() < 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("distribution", "response"),
    [
        pytest.param("normal", "log_loss", marks=pytest.mark.slow),
        ("student_t", "loss"),
        pytest.param("laplace", "loss", marks=pytest.mark.slow),
    ],
)
def test_the_covariance_is_positive_definite(distribution, response):
    law = CollaborationLaw()
    with jax.enable_x64(True):
        target = posterior(
            law, Noise(distribution=distribution, response=response), simulate_pools(max_size=2, limit=20)
        )
        factor = target.factor(target.start + 0.5)
    assert np.isfinite(factor).all()
    assert np.linalg.eigvalsh(factor @ factor.T).min() > 0


def test_the_best_of_several_ends_is_kept():
    def two_wells(x, _):
        return jnp.sum((x**2 - 1) ** 2 + 0.3 * x)

    with jax.enable_x64(True):
        assert minimize(two_wells, np.array([[1.0], [-1.2]])) == pytest.approx(-1.036, abs=1e-2)
        assert minimize(two_wells, np.array([[-1.0], [1.2]])) == pytest.approx(-1.036, abs=1e-2)


def test_a_start_where_the_function_is_not_finite_is_left_behind():
    with jax.enable_x64(True):
        found = minimize(lambda x, _: jnp.sum((x - 3) ** 2 + 0 * jnp.log(x)), np.array([[-1.0], [2.0]]))
    assert found == pytest.approx(3)


def power_curve(parameters, floor, amplitude, exponent):
    return floor + amplitude * (parameters / np.exp(np.log(parameters).mean())) ** -exponent


def test_flat_prior_modes_are_least_squares():
    table = family_table(noise=0.05, one_law=True)
    parameters, loss = (table[name].to_numpy() for name in ("parameters", "loss"))
    found = maximum_likelihood(PowerLaw(pooling="complete"), table)
    best = optimize.least_squares(lambda x: power_curve(parameters, *x) - loss, [1, 1, 0.2], xtol=1e-12, ftol=1e-12)
    np.testing.assert_allclose([found[name] for name in FREE], best.x, rtol=1e-3)
    assert float(found["noise_scale"]) == pytest.approx(np.sqrt(2 * best.cost / 24), rel=1e-4)
    assert found["reference"]["parameters"] == pytest.approx(np.exp(np.log(parameters).mean()))


@pytest.mark.slow
def test_flat_prior_modes_of_separate_families_are_least_squares_of_each():
    table = family_table(noise=0.02)
    found = maximum_likelihood(PowerLaw(pooling="separate"), table)
    reference, squares = found["reference"]["parameters"], 0.0
    for index, family in enumerate(sorted(FLOORS)):
        own = table.isel(lm=table["family"].to_numpy() == family)
        size, loss = own["parameters"].to_numpy() / reference, own["loss"].to_numpy()
        best = optimize.least_squares(lambda x, s=size, y=loss: x[0] + x[1] * s ** -x[2] - y, [1, 1, 0.2], xtol=1e-12)
        np.testing.assert_allclose([found[name][index] for name in FREE], best.x, rtol=5e-3)
        squares += 2 * best.cost
    assert float(found["noise_scale"]) == pytest.approx(np.sqrt(squares / 24), rel=1e-4)


def chinchilla_curve(table, found, x):
    size, tokens = (table[name].to_numpy() / found["reference"][name] for name in ("parameters", "training_tokens"))
    return x[0] + x[1] * size ** -x[2] + x[3] * tokens ** -x[4]


CHINCHILLA = ("floor", "parameter_amplitude", "parameter_exponent", "token_amplitude", "token_exponent")


def test_flat_prior_modes_of_the_chinchilla_law_are_least_squares_of_logs():
    table = models_from_frame(simulate_chinchilla(points=150))
    found = maximum_likelihood(ChinchillaLaw(), table, noise=Noise(response="log_loss"))
    ours = np.array([found[name] for name in CHINCHILLA])
    best = optimize.least_squares(
        lambda x: np.log(chinchilla_curve(table, found, x)) - np.log(table["loss"].to_numpy()),
        [1.8, 0.3, 0.3, 0.3, 0.3],
        xtol=1e-14,
        ftol=1e-14,
    )
    np.testing.assert_allclose(ours, best.x, rtol=1e-3)


@pytest.mark.parametrize(
    "errors", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["plain", "standard-errors"]
)
def test_flat_prior_modes_of_laplace_noise_stand_on_the_kinks(errors):
    """The exact likelihood, kinks and all, cannot be raised by moving a little anywhere."""
    rng = np.random.default_rng(2)
    columns = {"standard_error": rng.choice([0.001, 0.2], 24)} if errors else {}
    table = family_table(noise=0.05, one_law=True, **columns)
    parameters, loss = (table[name].to_numpy() for name in ("parameters", "loss"))
    error = columns.get("standard_error", 0.0)

    def negative(x):
        scale = np.sqrt(np.exp(2 * x[3]) + error**2)
        return (np.abs(power_curve(parameters, *x[:3]) - loss) / scale + np.log(2 * scale)).sum()

    found = maximum_likelihood(PowerLaw(pooling="complete"), table, noise=Noise(distribution="laplace"))
    ours = np.array([*(float(found[name]) for name in FREE), np.log(float(found["noise_scale"]))])
    starts = [np.array([1.4, 0.7, 0.3, -3.0]) + 0.1 * rng.standard_normal(4) for _ in range(6)]
    options = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 20000, "maxfev": 20000}
    ends = [optimize.minimize(negative, start, method="Nelder-Mead", options=options) for start in starts]
    assert negative(ours) < min(end.fun for end in ends) + 1e-3
    if not errors:
        residual = np.abs(power_curve(parameters, *ours[:3]) - loss)
        assert (np.sort(residual)[:3] < 1e-3).all(), "three parameters run through three rows"
        assert np.exp(ours[3]) == pytest.approx(residual.mean(), rel=1e-3)


def test_flat_priors_say_nothing_of_spreads():
    with pytest.raises(InputError, match="partially pooled"):
        maximum_likelihood(PowerLaw(), family_table())


def test_the_mode_under_priors_lies_between_prior_and_data():
    """A prior as strong as the data pulls the exponent half of the way, on the log scale."""
    table = family_table(noise=0.05, one_law=True)
    flat = np.log(float(maximum_likelihood(PowerLaw(pooling="complete"), table)["exponent"]))
    found = []
    for width in (0.01, 5.0):
        law = PowerLaw(pooling="complete", floor="LogNormal(0.4, 0.01)", exponent=f"LogNormal(-0.5, {width})")
        with jax.enable_x64(True):
            target = posterior(law, Noise(), table)
            values = target.values(jnp.asarray(target.mode(starts=2, seed=0)))[0]
        found.append(np.log(float(values["exponent"])))
    assert found[0] == pytest.approx(-0.5, abs=0.05)
    assert abs(found[1] - flat) < 0.2


def test_rows_without_groups_have_a_mode_too():
    with jax.enable_x64(True):
        target = rows_filled(LawModel(PowerLaw(pooling="complete"), Noise(), rows(count=3, errors=False)))
        assert np.isfinite(target.mode(starts=2, seed=1)).all()
