"""Coordinates: their Jacobians, that they are one to one, and that the density sampled is the model's."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from clouds import made_model
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.flatten_util import ravel_pytree
from numpyro.infer.util import log_density
from posteriors import rows_filled
from tables import rows

from bayeslaw.fitting.law_coordinates import Coordinates, levels_to_logs, start_of, token_levels_to_logs
from bayeslaw.laws import ChinchillaLaw, CollaborationLaw, PowerLaw
from bayeslaw.laws.priors import parse_prior
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.posterior.coordinates import constrain, unconstrained_centre

MIXED = {"floor": "partial", "amplitude": "complete", "exponent": "separate"}
STUDENT = Noise(distribution="student_t", response="log_loss", scale="Uniform(0.01, 0.5)", by_group=True)
# Name, law, noise, and whether levels are sampled.
MODELS = {
    "partial": (PowerLaw(), Noise(), True),
    "complete": (PowerLaw(pooling="complete"), Noise(distribution="laplace"), True),
    "separate": (PowerLaw(pooling="separate"), Noise(by_group=True), True),
    "mixed": (PowerLaw(pooling=MIXED), STUDENT, False),
    "any-sign": (PowerLaw(exponent="Normal(0.3, 0.2)"), Noise(), False),
    "bounded": (PowerLaw(floor="Uniform(0.5, 2)", exponent="Beta(2, 3)"), Noise(), False),
    "bounded-separate": (PowerLaw(pooling="separate", floor="TruncatedNormal(1, 1, 0.2, 3)"), STUDENT, False),
    "above-zero": (
        PowerLaw(floor="HalfCauchy(1)", amplitude="InverseGamma(1, 1)", exponent="Weibull(0.3, 2)"),
        Noise(),
        True,
    ),
    "bounded-spread": (PowerLaw(spread={"floor": "Uniform(0.01, 1)"}), Noise(), True),
    "bounded-spread-plain": (
        PowerLaw(pooling={"amplitude": "complete"}, spread={"floor": "Beta(2, 3)"}),
        Noise(),
        False,
    ),
    "spread-at-zero": (PowerLaw(spread={"exponent": "HalfNormal(0.3)"}), Noise(), True),
    "spread-at-zero-plain": (PowerLaw(exponent="Normal(0.3, 0.2)", spread={"floor": "Gamma(1, 2)"}), Noise(), False),
    "chinchilla": (ChinchillaLaw(), Noise(), False),
    "chinchilla-partial": (ChinchillaLaw(pooling={"floor": "partial"}), STUDENT, False),
    "regimes": (CollaborationLaw(), Noise(), True),
}


# Those of the gate: levels of several groups, bounds on both sides, two exponents.
FEW = ("partial", "bounded", "chinchilla-partial")


LEVELS = jax.jit(
    lambda levels, low, high: (
        levels_to_logs(levels, low, high),
        jax.jacfwd(lambda x: levels_to_logs(x, low, high)[0])(levels),
    )
)


def build(name):
    law, noise, _ = MODELS[name]
    group = law.group
    return LawModel(law, noise, rows(group=group, errors=False, table="pools" if group == "regime" else "models"))


def scattered(target, seed, width=0.4):
    return target.start + width * np.random.default_rng(seed).standard_normal(len(target.start))


@settings(deadline=None)
@given(
    high_level=st.floats(-3, 3),
    drop=st.floats(-8, 5),
    share=st.floats(-6, 6),
    low=st.floats(-4, 0),
    width=st.floats(0.1, 8),
)
def test_levels_are_losses_at_the_two_budgets(high_level, drop, share, low, width):
    levels, high = np.array([high_level, drop, share]), low + width
    with jax.enable_x64(True):
        (logs, log_determinant), jacobian = LEVELS(levels, low, high)
    floor, amplitude, exponent = np.exp(np.asarray(logs))
    loss_high, loss_low = (floor + amplitude * np.exp(-exponent * x) for x in (high, low))
    assert np.log(loss_high) == pytest.approx(high_level, abs=1e-8)
    assert loss_low == pytest.approx(loss_high + np.exp(drop), rel=1e-8)
    assert floor / loss_high == pytest.approx(1 / (1 + np.exp(-share)), rel=1e-8)
    assert float(log_determinant) == pytest.approx(np.linalg.slogdet(np.asarray(jacobian))[1], abs=1e-6)


def test_the_determinant_of_levels_is_that_of_finite_differences():
    levels, low, high, step = np.array([0.4, -0.3, 0.8]), -2.0, 1.5, 1e-6
    with jax.enable_x64(True):
        at = lambda x: np.asarray(levels_to_logs(jnp.asarray(x), low, high)[0])  # noqa: E731
        columns = [(at(levels + step * unit) - at(levels - step * unit)) / (2 * step) for unit in np.eye(3)]
        ours = float(levels_to_logs(jnp.asarray(levels), low, high)[1])
    assert ours == pytest.approx(np.linalg.slogdet(np.array(columns))[1], abs=1e-8)


@pytest.mark.parametrize("seed", range(4))
def test_levels_of_parameters_and_tokens_are_losses_at_the_two_budgets(seed):
    rng = np.random.default_rng(seed)
    levels, low = rng.standard_normal(5), rng.uniform(-3, 0, 2)
    high = low + rng.uniform(0.5, 5, 2)
    with jax.enable_x64(True):
        logs, log_determinant = token_levels_to_logs(jnp.asarray(levels), low, high)
        jacobian = jax.jacfwd(lambda x: token_levels_to_logs(x, low, high)[0])(jnp.asarray(levels))
    floor, a, p, b, q = np.exp(np.asarray(logs))
    parts = np.array([[a * np.exp(-p * at[0]), b * np.exp(-q * at[1])] for at in (low, high)])
    losses = floor + parts.sum(axis=1)
    assert np.log(losses[1]) == pytest.approx(levels[0])
    assert np.log(losses[0] - losses[1]) == pytest.approx(levels[1])
    np.testing.assert_allclose(np.log(parts[1] / floor), levels[2:4])
    drops = parts[0] - parts[1]
    assert np.log(drops[0] / drops[1]) == pytest.approx(levels[4])
    assert float(log_determinant) == pytest.approx(np.linalg.slogdet(np.asarray(jacobian))[1], abs=1e-8)


def test_levels_of_parameters_and_tokens_are_mapped_group_by_group():
    rng = np.random.default_rng(0)
    levels, low = rng.standard_normal((3, 5)), rng.uniform(-3, 0, (2, 3))
    high = low + rng.uniform(0.5, 5, (2, 3))
    with jax.enable_x64(True):
        logs, determinants = token_levels_to_logs(jnp.asarray(levels), low, high)
        for group in range(3):
            one, determinant = token_levels_to_logs(jnp.asarray(levels[group]), low[:, group], high[:, group])
            np.testing.assert_allclose(logs[group], one)
            assert float(determinants[group]) == pytest.approx(float(determinant))


def test_levels_of_many_groups_are_mapped_one_by_one():
    levels = np.random.default_rng(0).standard_normal((3, 3))
    low, high = np.array([-1.0, -2.0, 0.0]), np.array([1.0, 0.5, 3.0])
    with jax.enable_x64(True):
        logs, determinants = levels_to_logs(jnp.asarray(levels), low, high)
        for group in range(3):
            one, determinant = levels_to_logs(jnp.asarray(levels[group]), low[group], high[group])
            np.testing.assert_allclose(logs[group], one)
            assert float(determinants[group]) == pytest.approx(float(determinant))


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=() if name in FEW else pytest.mark.slow) for name in MODELS]
)
def at(request):
    """Return a name, its model and posterior, and all there is to know of a position, compiled once."""
    model = build(request.param)
    with jax.enable_x64(True):
        target = rows_filled(model)

    @jax.jit
    def everything(position):
        values, determinant = target.values(position)
        potential, gradient = jax.value_and_grad(target.potential)(position)
        return SimpleNamespace(
            values=values,
            determinant=determinant,
            potential=potential,
            gradient=gradient,
            jacobian=jax.jacfwd(lambda x: ravel_pytree(target.values(x)[0])[0])(position),
            prior=target.log_prior(position),
            likelihood=model.log_likelihood(values).sum(),
            density=log_density(model, (), {}, values)[0],
            mean=model.mean(values, model.covariates, model.group_index),
        ).__dict__

    def evaluate(position):
        with jax.enable_x64(True):
            return SimpleNamespace(**jax.tree.map(np.asarray, everything(jnp.asarray(position))))

    return request.param, model, target, evaluate


def test_levels_are_used_where_they_can_be(at):
    name, model, *_ = at
    assert Coordinates(model).uses_levels is MODELS[name][2]


def test_the_log_determinant_is_that_of_the_jacobian(at):
    _, _, target, evaluate = at
    for seed in range(5):
        found = evaluate(scattered(target, seed))
        assert found.jacobian.shape == (len(target.start),) * 2, "as many sites as coordinates"
        assert np.linalg.matrix_rank(found.jacobian) == len(target.start)
        assert found.determinant == pytest.approx(np.linalg.slogdet(found.jacobian)[1], abs=1e-8)


def test_the_potential_is_the_model_and_the_determinant(at):
    _, _, target, evaluate = at
    for seed in range(5):
        found = evaluate(scattered(target, seed))
        assert found.potential == pytest.approx(-found.density - found.determinant, rel=1e-10)
        assert found.prior + found.likelihood == pytest.approx(-found.potential, rel=1e-10)


def test_every_position_is_in_the_priors_support(at):
    _, model, target, evaluate = at
    for seed in range(20):
        drawn = evaluate(scattered(target, seed, width=2.0)).values
        assert set(drawn) == {*model.sites, *(p.name for p in model.parameters)}
        for site, prior in model.sites.items():
            assert (drawn[site] >= prior.support[0]).all(), site
            assert (drawn[site] <= prior.support[1]).all(), site
        assert all(drawn[p.name].shape == ((3,) if p.grouped else ()) for p in model.parameters)


def test_the_start_is_finite_and_near_the_data(at):
    _, model, target, evaluate = at
    found = evaluate(target.start)
    assert np.isfinite(found.potential)
    assert np.isfinite(found.gradient).all()
    ratio = found.mean / model.observations.loss
    assert ratio.min() > 0.2
    assert ratio.max() < 5


@pytest.mark.parametrize(
    ("law", "response"),
    [
        (CollaborationLaw(), "loss"),
        (CollaborationLaw(pooling="separate"), "log_loss"),
        (PowerLaw(pooling="complete"), "loss"),
    ],
    ids=["partial", "separate-log", "complete"],
)
def test_compression_leaves_the_potential_as_it_is(law, response):
    model = made_model(law, Noise(response=response), group=law.group, groups=3)
    assert model.compressed is not None
    with jax.enable_x64(True):
        target = rows_filled(model)
        whole = jax.jit(lambda x: -(log_density(model, (), {}, target.values(x)[0])[0] + target.values(x)[1]))
        potential = jax.jit(target.potential)
        positions = [jnp.asarray(scattered(target, seed)) for seed in range(15)]
        apart = [float(potential(position)) - float(whole(position)) for position in positions]
        sizes = [abs(float(whole(position))) for position in positions]
    np.testing.assert_allclose(np.array(apart) - apart[0], 0, atol=1e-6 + 1e-12 * max(sizes))


@pytest.mark.parametrize(
    "text",
    [
        "LogNormal(-1, 2)",
        "Normal(3, 1)",
        "Uniform(1, 4)",
        "Beta(2, 3)",
        "HalfNormal(2)",
        "TruncatedNormal(1, 1, high=2)",
    ],
)
def test_constraining_is_one_to_one_and_its_determinant_right(text):
    prior = parse_prior("exponent", text)
    with jax.enable_x64(True):
        free = jnp.linspace(-3, 3, 7)
        value, total = constrain(prior, free)
        slopes = jax.vmap(jax.grad(lambda x: constrain(prior, x)[0]))(free)
    monotone = np.diff(np.asarray(value))
    assert (monotone > 0).all() or (monotone < 0).all()
    assert float(total) == pytest.approx(np.log(np.abs(np.asarray(slopes))).sum())


@pytest.mark.parametrize(
    ("text", "centre"),
    [
        ("LogNormal(-1, 2)", np.exp(-1)),
        ("Normal(3, 1)", 3),
        ("Cauchy(2, 1)", 2),
        ("StudentT(1, 2, 1)", 2),
        ("Laplace(1, 1)", 1),
        ("Uniform(1, 4)", 2.5),
        ("Beta(2, 3)", 0.4),
        ("Gamma(3, 2)", 1.5),
        ("Exponential(4)", 0.25),
        ("HalfCauchy(2)", 2),
        ("InverseGamma(1, 3)", 1.5),
        ("InverseGamma(3, 4)", 1),
        ("LogUniform(1, 2.718281828)", 1.718281828),
    ],
)
def test_the_centre_of_a_prior_is_inside_it(text, centre):
    prior = parse_prior("exponent", text)
    with jax.enable_x64(True):
        assert float(constrain(prior, jnp.asarray(unconstrained_centre(prior)))[0]) == pytest.approx(centre, rel=1e-6)


def test_budgets_are_those_of_each_group_and_as_wide_as_all_rows_for_lone_ones():
    model = build("partial")
    low, high = model.budget_range
    log_budget = np.log(model.covariates["parameters"])
    for group in range(3):
        own = log_budget[model.group_index == group]
        assert (low[group], high[group]) == (own.min(), own.max())
    lone = LawModel(PowerLaw(), Noise(), rows(count=3, errors=False))
    low, high = lone.budget_range
    of_rows = np.log(lone.covariates["parameters"])
    np.testing.assert_allclose(high, of_rows[np.argsort(lone.group_index)])
    np.testing.assert_allclose(high - low, np.ptp(of_rows))


@pytest.mark.parametrize("response", ["loss", "log_loss"])
@pytest.mark.parametrize("pooling", ["partial", "separate", "complete"])
def test_levels_are_distances_from_the_data_in_units_of_the_noise(pooling, response):
    """At no distance the law meets each group at its ends; a unit moves the loss at the top by about the noise."""
    group = {"partial": "family", "separate": "family", "complete": "all"}[pooling]
    model = LawModel(PowerLaw(pooling=pooling), Noise(response=response), rows(count=12, errors=False))
    with jax.enable_x64(True):
        target = rows_filled(model)
        small = jax.jit(lambda position: target.values(position)[0])
        start = dict(zip(names_of(model), split(model, target.start), strict=True))
        moved = {name: np.array(array) for name, array in start.items()}
        start["noise_scale"] = moved["noise_scale"] = np.array(np.log(1e-3))
        moved["levels"][..., 0] += 1.0
        at_data, above = (small(jnp.asarray(joined(position))) for position in (start, moved))
        means = [np.asarray(model.mean(values, model.covariates, model.group_index)) for values in (at_data, above)]
    loss, budget = model.observations.loss, model.covariates["parameters"]
    for number in range(1 if group == "all" else len(model.groups)):
        own = np.flatnonzero((model.group_index == number) | (group == "all"))
        top, bottom = own[budget[own].argmax()], own[budget[own].argmin()]
        np.testing.assert_allclose(means[0][[top, bottom]], loss[[top, bottom]], rtol=1e-6)
        unit = 1e-3 * (loss[top] if response == "log_loss" else 1.0)
        assert means[1][top] - means[0][top] == pytest.approx(unit, rel=0.01)


def names_of(model):
    return sorted(start_of(model))


def split(model, position):
    shapes = [np.shape(array) for _, array in sorted(start_of(model).items())]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(position, ends), shapes, strict=True)]


def joined(position):
    return np.concatenate([np.ravel(position[name]) for name in sorted(position)])
