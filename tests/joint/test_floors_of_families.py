"""How far floors of families differ from each other: by a share of what is left to gain, or by themselves."""

import numpy as np
import pytest
from joint_cases import small_losses, small_model, some_values

from bayeslaw.errors import InputError
from bayeslaw.joint.curve import Curve, Models
from bayeslaw.joint.curve_gradient import CurveGradient
from bayeslaw.joint.joint_model import BY_FAMILY, FAMILY_SCALE, STANDARD, JointModel
from bayeslaw.joint.joint_table import joint_table
from bayeslaw.joint.law import CURVE_SITES, JointLaw
from bayeslaw.laws.registry import law_from_specification
from bayeslaw.posterior.free_coordinates import ManyPositions, free_sites
from bayeslaw.posterior.hamiltonian import sample_in_step
from bayeslaw.posterior.many_modes import begin_at_mode


def learned_model() -> JointModel:
    table = joint_table(small_losses(), link=None, parameters="total")
    return JointModel(JointLaw(floors="learned").resolved(table.link.name), table)


def test_the_deviation_of_floors_lies_between_that_of_the_rest_and_their_own():
    curve, share, spread = small_model().curve, np.array([0.2, 0.8]), np.array([0.1, 0.3])
    values = {"floor_share": share, "floor_spread": spread}
    own, shrunk, half = (curve.floor_deviation(values | {"floor_shrinkage": np.full(2, s)}) for s in (0.0, 1.0, 0.5))
    np.testing.assert_allclose(own, spread)
    np.testing.assert_allclose(shrunk, spread * (1 - share))
    np.testing.assert_allclose(half, (own + shrunk) / 2)
    np.testing.assert_allclose(curve.floor_deviation(values), shrunk)


def test_floors_that_are_shrunk_are_those_of_a_shrinkage_of_one():
    learned, shrunk = learned_model(), small_model()
    assert set(learned.sites) - set(shrunk.sites) == {"floor_shrinkage"}
    values = some_values(learned) | {"floor_shrinkage": np.asarray(1.0)}
    at_draws = {name: value[None] for name, value in values.items()}
    without = {name: value for name, value in at_draws.items() if name != "floor_shrinkage"}
    full, held = (CurveGradient(model.curve) for model in (learned, shrunk))
    np.testing.assert_array_equal(full.log_likelihood(at_draws)[0], held.log_likelihood(without)[0])
    assert "floor_shrinkage" not in held.log_likelihood(without)[1]


@pytest.mark.parametrize(("own", "expected"), [(False, "shrunk"), pytest.param(True, "own", marks=pytest.mark.slow)])
def test_the_data_tell_floors_of_their_own_from_shared_ones(own, expected):
    """Six families whose curves come near their floors, which differ or do not."""
    rng, floors = np.random.default_rng(1), np.exp(0.2 * np.array([-1.2, -0.6, 0.1, 0.4, 0.7, 1.1]) * own)
    sizes, families = np.tile(np.geomspace(1e7, 1e10, 6), 6), np.repeat(np.arange(6), 6)
    mean = floors[families] * (2.0 + (sizes / 1e8) ** -0.5) * np.exp(0.002 * rng.standard_normal(36))
    curve = CurveGradient(Curve(Models(np.log(sizes / 3e8), families), mean, (0.3, 0.2), 6))
    priors = {name: prior for name, prior in JointLaw(floors="learned").priors.items() if name in CURVE_SITES}
    priors |= {"family_scale": FAMILY_SCALE, "floor_offset": STANDARD}
    shapes = [(name, (6,) if name in BY_FAMILY else ()) for name in priors]
    density = ManyPositions(free_sites(priors, shapes), curve.log_likelihood)
    mode, factor = begin_at_mode(density, np.zeros(len(CURVE_SITES) + 12), starts=2, seed=0)
    steps = {"draws": 100, "warmup": 150, "chains": 4, "seed": 0, "target_accept": 0.9}
    values = density.values(np.concatenate(sample_in_step(density, mode.position, factor, **steps).position))
    deviation = curve.curve.floor_deviation(values)
    middle = np.median(deviation)
    assert middle > 0.1 if expected == "own" else middle < 0.05


def test_a_law_says_how_floors_differ_and_is_built_again():
    for law in (JointLaw(), JointLaw(floors="learned"), JointLaw(floors="learned", floor_shrinkage="Beta(2, 1)")):
        assert law_from_specification(law.specification) == law
    assert "floor_shrinkage" in str(JointLaw(floors="learned"))
    assert "floor_shrinkage" not in str(JointLaw())


def test_what_cannot_go_together_is_refused():
    with pytest.raises(InputError, match="floors"):
        JointLaw(floors="apart")
    with pytest.raises(InputError, match="floor_shrinkage is given with floors 'shrunk'"):
        JointLaw(floor_shrinkage="Beta(1, 1)")
    with pytest.raises(InputError, match=r"Beta\(1, 1\)"):
        JointLaw(floors="learned", floor_shrinkage="LogNormal(0, 1)")
