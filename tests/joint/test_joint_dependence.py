"""The dependence between models of the joint law, against plain matrices."""

from collections.abc import Iterator

import jax
import numpy as np
import pytest
from forms import few_or_many
from hypothesis import given, settings
from hypothesis import strategies as st
from joint_cases import small_model, some_values
from scipy import stats

from bayeslaw.joint.correlation_density import correlation_log_density
from bayeslaw.joint.dependence_at_draws import DependenceAtDraws
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.links import SMOOTH_LINKS, choose_link
from bayeslaw.joint.model_dependence import ModelDependence


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def model() -> JointModel:
    return small_model()


def plain_structure(dependence: ModelDependence, values: dict[str, np.ndarray]) -> np.ndarray:
    own = 1 / (
        1
        + np.exp(
            -(
                values["own_level"]
                + values["own_slope"] * dependence.quality
                + values["own_spread"] * values["own_offset"]
            )
        )
    )
    count = len(own)
    result = np.eye(count)
    for i in range(count):
        for j in range(count):
            if i != j:
                far = abs(dependence.quality[i] - dependence.quality[j]) / values["length"]
                result[i, j] = np.sqrt((1 - own[i]) * (1 - own[j])) * np.exp(-(far ** values["roughness"]))
                if dependence.family[i] != dependence.family[j]:
                    result[i, j] *= 1 - values["family_difference"]
    return result


def at_draws(dependence: ModelDependence, values: dict[str, np.ndarray], count: int = 1) -> DependenceAtDraws:
    """The dependence at some values, the same at every draw."""
    return DependenceAtDraws(dependence, {name: np.repeat(value[None], count, 0) for name, value in values.items()})


def test_structure_is_the_product_that_its_docstring_states(model: JointModel) -> None:
    values = some_values(model)
    np.testing.assert_allclose(
        model.dependence.structure(values), plain_structure(model.dependence, values), rtol=1e-10
    )


@few_or_many(15, 100)
def test_structure_is_positive_semidefinite(examples) -> None:
    @settings(max_examples=examples, deadline=None)
    @given(
        # Of one length, so that what is computed is compiled once.
        qualities=st.lists(st.floats(-4, 4), min_size=6, max_size=6),
        length=st.floats(0.2, 50),
        roughness=st.floats(1, 2),
        difference=st.floats(0, 1),
        own=st.floats(0.01, 0.9),
    )
    def check(qualities: list[float], length: float, roughness: float, difference: float, own: float) -> None:
        count = len(qualities)
        dependence = ModelDependence(
            np.array(qualities), np.arange(count) % 2, np.eye(count), np.zeros(count), effective_samples=100
        )
        values = {"length": length, "roughness": roughness, "family_difference": difference, "own_level": 0.0}
        values |= {"own_slope": 0.0, "own_spread": 1.0, "own_offset": np.full(count, np.log(own / (1 - own)))}
        with jax.enable_x64(True):
            matrix = np.asarray(dependence.structure(values))
        assert np.linalg.eigvalsh(matrix).min() > -1e-9
        assert np.allclose(np.diag(matrix), 1)
        assert (np.abs(matrix) <= 1 + 1e-12).all()

    check()


def test_density_is_that_of_correlations_and_of_deviations(model: JointModel) -> None:
    dependence, count = model.dependence, len(model.table.mean)
    for seed in (0, 1):
        values = some_values(model, seed)
        spare = 1 / (1 / values["structure_freedom"] + 1 / dependence.effective_samples)
        correlations = correlation_log_density(
            dependence.correlation, plain_structure(dependence, values), count + 1 + spare
        )
        mean = np.full(count, dependence.log_deviation.mean())
        covariance = (
            4.0
            + 0.25 * np.outer(dependence.quality, dependence.quality)
            + values["deviation_family_spread"] ** 2 * np.equal.outer(dependence.family, dependence.family)
            + values["deviation_spread"] ** 2 * np.eye(count)
        )
        deviations = stats.multivariate_normal(mean, covariance).logpdf(dependence.log_deviation)
        assert float(dependence.log_likelihood(values)) == pytest.approx(float(correlations) + deviations, rel=1e-7)


def test_new_columns_are_conditioned_on_those_seen(model: JointModel) -> None:
    dependence, values = model.dependence, some_values(model)
    quality, family, offset = np.array([-0.4, 0.9]), np.array([0, 2]), np.array([0.3, -0.2])
    count = len(dependence.quality)
    together = ModelDependence(
        np.concatenate([dependence.quality, quality]),
        np.concatenate([dependence.family, family]),
        np.eye(count + 2),
        np.zeros(count + 2),
        effective_samples=100,
    )
    joint = plain_structure(together, values | {"own_offset": np.concatenate([values["own_offset"], offset])})
    gain = joint[count:, :count] @ np.linalg.inv(joint[:count, :count])
    ((weights,), (factor,)) = at_draws(dependence, values).conditional(quality[None], family, offset[None])
    np.testing.assert_allclose(weights, gain, rtol=1e-7, atol=1e-9)
    left = joint[count:, count:] - gain @ joint[:count, count:]
    np.testing.assert_allclose(np.asarray(factor) @ np.asarray(factor).T, left, rtol=1e-6, atol=1e-8)


def test_new_correlations_scatter_as_parts_of_a_wishart_matrix_given_the_rest(model: JointModel) -> None:
    dependence, values = model.dependence, some_values(model) | {"structure_freedom": np.asarray(11.0)}
    count, own = len(dependence.quality), 12.0
    quality, offset = np.array([[-0.4, 0.9]]), np.array([[0.3, -0.2]])
    given = at_draws(dependence, values).conditional(quality, np.array([0, 2]), offset)
    many = [each.repeat(20_000, axis=0) for each in given]
    weights, factor = at_draws(dependence, values, 20_000).scattered(*many, np.random.default_rng(0))
    expected, left = given[0][0], given[1][0] @ given[1][0].T
    off = weights - expected
    wanted = np.einsum("ab,ij->aibj", left, np.linalg.inv(dependence.correlation)) / (count + own)
    found = np.einsum("nai,nbj->aibj", off, off) / len(off)
    scale = np.sqrt(np.einsum("aiai->ai", wanted))
    bound = 5 * np.einsum("ai,bj->aibj", scale, scale) * np.sqrt(2 / len(off))
    assert (np.abs(found - wanted) < bound).all()
    assert (np.abs(off.mean(axis=0)) < 5 * scale / np.sqrt(len(off))).all()
    covariances = factor @ factor.transpose(0, 2, 1) * (count + own)
    # Variances of a Wishart matrix with freedom f: f (s_ij ** 2 + s_ii s_jj).
    spread = own * (left**2 + np.outer(np.diag(left), np.diag(left)))
    assert (np.abs(covariances.mean(axis=0) - own * left) < 5 * np.sqrt(spread / len(off))).all()
    np.testing.assert_allclose(covariances.var(axis=0), spread, rtol=0.1)


@pytest.mark.parametrize("name", SMOOTH_LINKS)
def test_links_lead_there_and_back(name: str) -> None:
    link, losses = SMOOTH_LINKS[name], np.geomspace(1e-4, 30, 50)
    latent = np.asarray(link.latent(losses))
    assert (np.diff(latent) > 0).all()
    np.testing.assert_allclose(link.value(latent), losses, rtol=1e-9)
    np.testing.assert_allclose(link.array_latent(losses), latent, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(link.array_value(latent), losses, rtol=1e-9)
    np.testing.assert_allclose(np.log(link.array_slope(losses)), -np.asarray(link.log_slope(losses)), atol=1e-12)
    assert link.array_value(latent.astype(np.float32)).dtype == np.float32
    steps = np.asarray(link.latent(losses * (1 + 1e-6))) - latent
    np.testing.assert_allclose(np.exp(link.log_slope(losses)), steps / (losses * 1e-6), rtol=1e-3)


@pytest.mark.parametrize("name", SMOOTH_LINKS)
def test_the_data_choose_the_link_under_which_they_are_normal(name: str) -> None:
    generator = np.random.default_rng(0)
    centre = 20.0 if name == "identity" else 0.5
    latent = centre + generator.normal(size=(4000, 1)) + 0.4 * generator.normal(size=(4000, 4))
    assert choose_link(np.asarray(SMOOTH_LINKS[name].value(latent))) == name
