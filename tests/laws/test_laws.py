"""Laws: their equations, what they accept, how they are written down, and what tables they take."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import numpyro.distributions as dist
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import SIZES, family_table, models_table, rows

from bayeslaw.errors import InputError
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import (
    LAWS,
    BrokenPowerLaw,
    ChinchillaLaw,
    CollaborationLaw,
    DiversityLaw,
    Law,
    PowerLaw,
    law_from_specification,
)
from bayeslaw.laws.base import POOLING
from bayeslaw.laws.priors import parse_prior
from bayeslaw.losses.sizes import count_label
from bayeslaw.simulation.simulated_pools import simulate_pools
from bayeslaw.simulation.tables import simulate_losses


def softplus(n, size, width):
    """Return the logarithm of 1 + (n / size) ^ (1 / width), which may be beyond the largest number."""
    return np.logaddexp(0, np.log(n / size) / width)


@dataclass(frozen=True)
class Case:
    """A law, its closed form in numpy, and the table that it is for."""

    law: type[Law]
    formula: Callable[..., Any]
    group: str = "family"

    def observations(self, **changes):
        return rows(group=self.group, table="pools" if self.group == "regime" else "models", **changes)


CASES = [
    Case(PowerLaw, lambda n, floor, a, p: floor + a / n**p),
    Case(ChinchillaLaw, lambda n, d, floor, a, p, b, q: floor + a / n**p + b / d**q),
    Case(CollaborationLaw, lambda n, floor, a, p: floor + a / n**p, group="regime"),
    Case(
        BrokenPowerLaw,
        lambda n, floor, a, p, change, size, width: (
            floor + a / n**p * np.exp(-change * width * softplus(n, size, width))
        ),
    ),
]
EVERY_LAW = pytest.mark.parametrize("case", CASES, ids=lambda case: case.law.name)
budgets = st.floats(1e-4, 1e4)
values = st.floats(1e-3, 10)


def log_normals(case):
    return {name: f"LogNormal({-0.1 * i}, 0.{i + 2})" for i, name in enumerate(case.law.parameter_names)}


def test_every_law_is_tested():
    # Parameters and covariates of the diversity law depend on what it is asked for, and the joint law has no
    # rows: they have tests of their own.
    assert {case.law.name: case.law for case in CASES} | {"diversity": DiversityLaw, "joint": JointLaw} == LAWS


@EVERY_LAW
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_the_function_is_the_closed_form(case, data):
    covariates = [data.draw(budgets) for _ in case.law.covariates]
    parameters = {name: data.draw(values) for name in case.law.parameter_names}
    with jax.enable_x64(True):
        ours = float(case.law.function(*covariates, **parameters))
    assert ours == pytest.approx(case.formula(*covariates, *parameters.values()), rel=1e-10)


@EVERY_LAW
def test_roles_of_the_parameters_are_those_of_the_equation(case):
    """An exponent is what its covariate's influence vanishes with; an amplitude is a slope of one at the reference."""
    law, at = case.law, dict.fromkeys(case.law.covariates, 2.0)
    base = {name: 0.5 + 0.1 * i for i, name in enumerate(law.parameter_names)}
    assert set(law.exponents) == set(law.covariates)
    with jax.enable_x64(True):
        for covariate, exponents in law.exponents.items():
            flat = base | dict.fromkeys(exponents, 0.0)
            one, other = (law.function(**{**at, covariate: budget}, **flat) for budget in (2.0, 5.0))
            assert float(one) == pytest.approx(float(other))
        for amplitude, (covariate, exponent) in law.amplitudes.items():
            assert exponent in law.exponents[covariate]
            raised = base | {amplitude: base[amplitude] + 1}
            there = {**at, covariate: 1.0}
            assert float(law.function(**there, **raised) - law.function(**there, **base)) == pytest.approx(1)
        assert float(law.function(**at, **(base | {"floor": 1.5})) - law.function(**at, **(base | {"floor": 0.5}))) == 1


def test_the_function_broadcasts_over_draws_and_rows():
    mean = PowerLaw.function(jnp.ones(4), floor=jnp.ones((3, 1)), amplitude=2.0, exponent=0.3)
    assert mean.shape == (3, 4)


def test_a_law_whose_priors_are_not_its_parameters_is_refused():
    @dataclass(frozen=True)
    class Crooked(PowerLaw):
        curvature: Any = None
        name: ClassVar[str] = "crooked"

    with pytest.raises(TypeError, match="curvature"):
        Crooked()


def test_covariates_and_parameters_are_read_off_the_signature():
    @dataclass(frozen=True)
    class Flat(PowerLaw):
        name: ClassVar[str] = "flat"
        function: ClassVar[Any] = staticmethod(lambda tokens, *, floor, amplitude, exponent: tokens)

    assert Flat.covariates == ("tokens",)
    assert Flat().parameter_names == ("floor", "amplitude", "exponent")
    assert PowerLaw.covariates == ("parameters",)
    assert ChinchillaLaw.covariates == ("parameters", "training_tokens")


@EVERY_LAW
def test_specification_builds_the_same_law(case):
    names = case.law.parameter_names
    pooling = {name: POOLING[i % 3] for i, name in enumerate(names)}
    given_all = case.law(pooling=pooling, spread={names[0]: "HalfNormal(0.2)"}, **log_normals(case))
    for law in (case.law(), case.law(pooling="separate"), given_all):
        copy = law_from_specification(json.loads(json.dumps(law.specification)))
        assert type(copy) is case.law
        assert copy == law
        assert str(copy) == str(law)
    assert given_all != case.law(pooling=pooling, **log_normals(case))


def test_the_specification_of_a_law_by_name_alone_has_its_defaults():
    assert law_from_specification({"law": "power"}) == PowerLaw()
    assert law_from_specification({"law": "chinchilla", "priors": None, "pooling": None}) == ChinchillaLaw()
    assert dict(ChinchillaLaw().pooling)["floor"] == "complete"
    assert dict(PowerLaw(pooling={"floor": "separate"}).pooling) == {
        "floor": "separate",
        "amplitude": "partial",
        "exponent": "partial",
    }


def test_priors_of_sites_reach_parameters_and_spreads():
    law = law_from_specification(
        {"law": "power", "priors": {"floor": "HalfNormal(2)", "exponent_spread": "HalfNormal(1)"}}
    )
    assert law == PowerLaw(floor=dist.HalfNormal(2.0), spread={"exponent": dist.HalfNormal(1.0)})
    floor, amplitude, exponent = law.parameters(rows())
    assert str(floor.prior) == "HalfNormal(scale=2)"
    assert str(exponent.spread) == "HalfNormal(scale=1)"
    assert str(amplitude.spread) == "LogNormal(loc=-1.204, scale=0.5)"


@EVERY_LAW
def test_a_negative_prior_is_for_signed_parameters_alone(case):
    for name in case.law.parameter_names:
        if name in case.law.signed:
            parameter = next(
                p for p in case.law(**{name: "Normal(0, 1)"}).parameters(case.observations()) if p.name == name
            )
            assert not parameter.positive
        else:
            with pytest.raises(InputError, match=rf"{name}.*below zero"):
                case.law(**{name: "Normal(1, 0.1)"})
        with pytest.raises(InputError, match=rf"{name}_spread.*below zero"):
            case.law(spread={name: "Normal(1, 0.1)"})


@pytest.mark.parametrize(
    ("specification", "said"),
    [
        ({"law": "powr"}, "use 'power'"),
        ({}, "law None is not known"),
        ({"law": "power", "priors": {"flor": "HalfNormal(1)"}}, "use 'floor'"),
        ({"law": "power", "priors": {"parameter_exponent": "HalfNormal(1)"}}, "the law power has no prior"),
        ({"law": "power", "priors": {"pooling": "HalfNormal(1)"}}, "the law power has no prior"),
        ({"law": "power", "priors": {1: "HalfNormal(1)"}}, "the law power has no prior"),
        ({"law": "power", "priors": {"floor_spred": "HalfNormal(1)"}}, "use 'floor_spread'"),
        ({"law": "power", "pooling": "none"}, "pooling of floor 'none' is not known"),
        ({"law": "power", "pooling": {"exponnt": "partial"}}, "use 'exponent'"),
        ({"law": "power", "pooling": {"exponent": "Partial"}}, "use 'partial'"),
        ({"law": "power", "pooling": {"exponent": None}}, "pooling of exponent"),
        ({"law": "power", "pooling": 3}, "pooling is 3"),
        ({"law": "power", "pooling": ["partial"]}, "pooling is ['partial']"),
    ],
)
def test_an_unusable_specification_is_refused(specification, said):
    with pytest.raises(InputError, match=re.escape(said)):
        law_from_specification(specification)


def test_a_prior_that_the_pooling_leaves_without_use_is_refused():
    with pytest.raises(InputError, match="exponent_spread"):
        PowerLaw(pooling={"exponent": "complete"}, spread={"exponent": "HalfNormal(1)"})


def test_an_unknown_prior_in_python_is_refused():
    with pytest.raises(TypeError, match="slope"):
        PowerLaw(slope=dist.Normal(0.0, 1.0))  # pyright: ignore[reportCallIssue]
    with pytest.raises(InputError, match="use 'exponent'"):
        PowerLaw(spread={"exponents": "HalfNormal(1)"})


@EVERY_LAW
def test_a_printed_law_shows_equation_priors_and_grouping(case):
    names, observations = case.law.parameter_names, case.observations()
    pooling = {name: POOLING[i % 3] for i, name in enumerate(names)}
    law = case.law(pooling=pooling, **log_normals(case))
    bare, described = str(law), law.describe(observations)
    for text in (bare, described):
        assert case.law.equation in text
        assert case.law.__name__ in text
    assert f"N0 = {count_label(observations.reference['parameters'])}" in described
    for name in names:
        prior, group = str(getattr(law, name)), case.group
        assert f"  {name} ~ {prior}" in bare
        if pooling[name] == "complete":
            assert f"\n  {name} ~ {prior}" in described
            assert re.search(rf"{name} ~ .*\[one value\]", bare)
        elif pooling[name] == "separate":
            assert f"\n  {name}[{group}] ~ {prior}" in described
            assert re.search(rf"{name} ~ .*\[separate over {group}\]", bare)
        else:
            assert f"\n  {name}_population ~ {prior}" in described
            assert f"\n  log {name}[{group}] ~ Normal(log {name}_population, {name}_spread)" in described
            assert re.search(rf"{name} ~ .*\[partial over {group}, spread ~ LogNormal\(.*\)\]", bare)


def test_a_printed_law_of_any_sign_varies_without_a_logarithm():
    described = PowerLaw(exponent="Normal(0, 1)").describe(rows())
    assert "\n  exponent[family] ~ Normal(exponent_population, exponent_spread)" in described
    assert "exponent_spread ~ LogNormal(loc=-2.303, scale=0.5)" in described


@EVERY_LAW
def test_default_priors_follow_the_unit_of_the_loss(case):
    observations = case.observations()
    larger = replace(observations, loss=1000 * observations.loss)
    one, other = (case.law().default_priors(each) for each in (observations, larger))
    assert set(one) == set(case.law.parameter_names)
    for name in one:
        if name == "floor":
            assert one[name].relative
            assert one[name] == other[name]
            continue
        wanted = 1000.0 if "amplitude" in name else 1.0
        medians = [np.exp(dict(priors[name].arguments)["loc"]) for priors in (one, other)]
        assert medians[1] / medians[0] == pytest.approx(wanted, rel=1e-3)


def test_default_priors_are_as_documented():
    priors = PowerLaw().default_priors(rows())
    with jax.enable_x64(True):
        ends = {
            name: np.asarray(prior.distribution().icdf(np.array([0.025, 0.5, 0.975])))
            for name, prior in priors.items()
            if not prior.relative
        }
    loss = rows().loss
    assert priors["floor"] == parse_prior("floor", "Share(1, 1)", relative=True)
    np.testing.assert_allclose(ends["amplitude"] / np.median(loss), [0.038, 0.4, 4.2], rtol=0.03)
    np.testing.assert_allclose(ends["exponent"], [0.11, 0.3, 0.8], rtol=0.03)


def test_a_law_with_all_of_its_priors_does_not_look_at_the_rows():
    law = PowerLaw(floor="HalfNormal(1)", amplitude="HalfNormal(1)", exponent="Normal(0, 1)")
    empty = replace(rows(), loss=np.zeros(0))
    assert [str(parameter.prior) for parameter in law.parameters(empty)][2] == "Normal(loc=0, scale=1)"
    with pytest.raises(ValueError, match="zero-size array"):
        PowerLaw().parameters(empty)


def test_losses_of_zero_leave_proper_priors():
    priors = PowerLaw().default_priors(replace(rows(), loss=np.array([0.0] * 8 + [2.0])))
    assert all(np.isfinite(dict(prior.arguments)["loc"]) for prior in priors.values() if not prior.relative)


def test_the_reference_is_the_geometric_mean():
    observations = PowerLaw().observe(family_table())
    assert observations.reference["parameters"] == pytest.approx(np.exp(np.log(family_table()["parameters"]).mean()))


def test_the_counts_of_parameters_are_chosen_by_name():
    table = family_table(non_embedding_parameters=np.tile(SIZES, 3) * 0.8)
    chosen = PowerLaw().observe(table, parameters="non-embedding").covariates["parameters"]
    np.testing.assert_allclose(chosen, np.tile(SIZES, 3) * 0.8)
    with pytest.raises(InputError, match=r"active parameters of .* are not known"):
        PowerLaw().observe(table, parameters="active")
    with pytest.raises(InputError, match="use 'total'"):
        PowerLaw().observe(table, parameters="totl")


def three(parameters, **columns):
    return models_table([3.0, 2.0, 1.8], parameters, ["a", "b", "c"], **columns)


def one_family():
    pools = simulate_pools(families=2)
    alone = pools["family"] == pools["family"][0]
    members = pools["member"].to_numpy()
    inside = np.where(members >= 0, alone.to_numpy()[members], True).all(axis=1)
    return pools.isel(pool=inside).assign(family=("lm", np.full(pools.sizes["lm"], "alder")))


def test_training_tokens_that_a_law_does_not_take_are_a_fact():
    tokens = np.geomspace(2e9, 3e11, 24)
    table = family_table(training_tokens=tokens)
    assert PowerLaw().observe(table).facts["unused_tokens"] == "2B to 300B"
    assert "unused_tokens" not in ChinchillaLaw().observe(table).facts
    assert "unused_tokens" not in PowerLaw().observe(family_table(training_tokens=np.full(24, 2e9))).facts
    assert "unused_tokens" not in PowerLaw().observe(family_table()).facts


@pytest.mark.parametrize(
    ("law", "make", "said"),
    [
        (PowerLaw(), lambda: three([1e9, 1e9, 1e9]), "all rows have the same parameters, 1B"),
        (PowerLaw(), lambda: three([1e9, 1e9, 2e9]), "2 different values of parameters"),
        (ChinchillaLaw(), lambda: three([1e9, 2e9, 4e9]), "no training_tokens"),
        (
            ChinchillaLaw(),
            lambda: three([1e9, 2e9, 4e9], training_tokens=[1e9, 1e9, 1e9]),
            "all rows have the same training_tokens",
        ),
        (ChinchillaLaw(), simulate_pools, "no training_tokens"),
        (CollaborationLaw(), family_table, "a table of models"),
        (CollaborationLaw(), lambda: simulate_losses(samples=20, clusters=5), "a table of losses"),
        (CollaborationLaw(), one_family, "all of one family"),
        (PowerLaw(), simulate_pools, "no single family"),
        (PowerLaw(), lambda: family_table().assign_attrs(kind="words"), "kind of table 'words'"),
        (PowerLaw(), lambda: family_table().drop_attrs(), "kind of table"),
        (CollaborationLaw(), lambda: simulate_pools().assign_attrs(parameters_kind="active"), None),
    ],
)
def test_tables_that_a_law_cannot_be_fitted_to_are_refused(law, make, said):
    if said is None:
        assert len(law.observe(make()).loss) == 171
        with pytest.raises(InputError, match="made with active parameters"):
            law.observe(make(), parameters="non-embedding")
        return
    with pytest.raises(InputError, match=re.escape(said)):
        law.observe(make())


def test_a_nonpositive_size_is_refused_by_the_model_name():
    table = family_table()
    table["parameters"] = table["parameters"].where(np.arange(24) != 4, 0)
    with pytest.raises(InputError, match="not positive: alder-4"):
        PowerLaw().observe(table)


def test_a_pool_twice_in_the_table_is_refused():
    pools = simulate_pools()
    with pytest.raises(InputError, match="2 times"):
        CollaborationLaw().observe(pools.isel(pool=[0, *range(40)]))


def test_an_unknown_regime_is_refused():
    pools = simulate_pools()
    pools["regime"][3] = "mixed"
    with pytest.raises(InputError, match="regime 'mixed'"):
        CollaborationLaw().observe(pools)


def test_one_power_law_of_all_pools_needs_no_family():
    observations = PowerLaw(pooling="complete").observe(simulate_pools())
    assert "family" not in observations.groups
    assert observations.facts["overlapping"] is True


def test_the_facts_of_pools_are_recorded():
    pools = simulate_pools(max_size=2)
    shares = np.zeros((pools.sizes["pool"], pools.sizes["lm"]))
    member, size = pools["member"].to_numpy(), pools["size"].to_numpy()
    for row, members in enumerate(member):
        held = members[members >= 0]
        shares[row, held] = [1.0] if len(held) == 1 else [0.9, 0.1]
    pools["win_share"] = (("pool", "lm"), shares)
    facts = CollaborationLaw().observe(pools.assign_attrs(samples=300, clusters=12)).facts
    assert (facts["samples"], facts["clusters"], facts["families"]) == (300, 12, 3)
    correlation = np.corrcoef(np.log(pools["parameters"]), size)[0, 1]
    assert facts["size_budget_correlation"] == pytest.approx(correlation)
    pairs = size == 2
    mean = [shares[pairs & (member == lm).any(axis=1), lm].mean() for lm in range(pools.sizes["lm"])]
    assert facts["largest_winner"] == pools["lm"].to_numpy()[np.argmax(mean)]
    assert facts["largest_winner_share"] == pytest.approx(max(mean))
