"""What a law predicts of the models and families left out of its fit."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from brute import brute_posterior
from forms import in_gate
from posteriors import rows_filled
from scipy import stats
from tables import TINY_MEDIANS, rows, tiny_table

from bayeslaw.comparison.averages import bridge, error_of_sum, log_average, smoothed_log_weights
from bayeslaw.comparison.densities import compile_densities, keep_rows, kept_log_likelihood
from bayeslaw.comparison.k_folds import k_fold
from bayeslaw.comparison.left_out import FoldScore, LeftOut, leave_out, score_fold
from bayeslaw.comparison.left_out_folds import make_folds, row_members
from bayeslaw.comparison.refits import COPIES, LawRefits, with_new_groups
from bayeslaw.errors import InputError
from bayeslaw.laws import CollaborationLaw, PowerLaw
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise


def brute(response):
    table = tiny_table()
    parameters, loss = (table[name].to_numpy() for name in ("parameters", "loss"))
    return brute_posterior(parameters, loss, TINY_MEDIANS, logarithm=response == "log_loss")


# The averages.


def conjugate(y, *, error=0.1, dimensions=1, draws=4000, seed=0):
    """Log densities of y ~ Normal(theta, error), theta ~ Normal(0, 1), at draws without and given y, and the truth."""
    rng = np.random.default_rng(seed)
    precision = 1 + error**-2
    prior = rng.standard_normal((draws, dimensions))
    posterior = y * error**-2 / precision + rng.standard_normal((draws, dimensions)) / np.sqrt(precision)
    density = lambda theta: stats.norm(theta, error).logpdf(y).sum(axis=1)  # noqa: E731
    return density(prior), density(posterior), dimensions * stats.norm(0, np.hypot(1, error)).logpdf(y)


def test_the_bridge_finds_a_known_density_better_than_plain_averages():
    found = [conjugate(1.0, error=0.2, dimensions=4, seed=seed) for seed in range(40)]
    truth = found[0][2]
    bridged = np.array([bridge(without, given) for without, given, _ in found])
    plain = np.array([log_average(without[:, None]).value[0] for without, _, _ in found])
    error = np.sqrt(np.mean((bridged[:, 0] - truth) ** 2))
    assert error < 0.25
    assert np.sqrt(np.mean((plain - truth) ** 2)) > 2 * error
    assert bridged[:, 1].mean() == pytest.approx(error, rel=0.35)


def test_the_bridge_says_that_draws_do_not_overlap():
    without, given, _ = conjugate(9.0)
    assert bridge(without, given)[1] >= 1


@pytest.mark.parametrize("y", [0.0, 2.0])
def test_the_error_of_the_bridge_is_that_of_repetitions(y):
    found = np.array([bridge(*conjugate(y, draws=500, seed=seed)[:2]) for seed in range(200)])
    assert found[:, 0].mean() == pytest.approx(conjugate(y)[2], abs=0.03)
    assert found[:, 1].mean() == pytest.approx(found[:, 0].std(), rel=0.2)


def test_copies_of_draws_say_nothing_new():
    without, given, _ = conjugate(1.0, draws=500)
    repeated = bridge(np.repeat(without, 7), given, copies=7)
    np.testing.assert_allclose(repeated, bridge(without, given), rtol=1e-8)
    average = log_average(np.repeat(without, 7)[:, None], copies=7)
    np.testing.assert_allclose(average.error, log_average(without[:, None]).error)


def test_the_error_of_a_sum_of_log_averages_is_that_of_repetitions():
    rng = np.random.default_rng(1)
    mixing = np.array([[1.0, 0.6], [0.0, 0.5]])
    found = [log_average(rng.standard_normal((400, 2)) @ mixing * 0.5) for _ in range(400)]
    sums = [each.value.sum() for each in found]
    assert np.mean([each.error for each in found]) == pytest.approx(np.std(sums), rel=0.12)


def test_smoothed_weights_know_when_they_fail():
    without, given, _ = conjugate(0.5, error=1.0)
    log_weights, pareto_k = smoothed_log_weights(-given)
    assert pareto_k < 0.7
    assert np.exp(log_weights).sum() == pytest.approx(1)
    assert smoothed_log_weights(-conjugate(5.0)[1])[1] > 0.4
    assert smoothed_log_weights(np.zeros(100))[1] == float("-inf")
    assert smoothed_log_weights(without * 0)[0] == pytest.approx(-np.log(len(without)))


def test_the_error_over_folds_needs_folds():
    assert error_of_sum(np.array([1.0, 3.0])) == pytest.approx(2.0)
    assert np.isnan(error_of_sum(np.array([1.0])))
    assert np.isnan(error_of_sum(np.array([1.0, -np.inf])))


def test_no_draw_that_comes_near_is_an_infinite_error():
    found = log_average(np.array([[0.0, -np.inf], [1.0, -np.inf]]))
    assert found.value[1] == -np.inf
    assert found.error == np.inf
    assert found.value[0] == pytest.approx(np.log((1 + np.e) / 2))


# Densities of rows left out.


def pool_rows(count=12, *, seed=0):
    """Return rows of pools that share members and sampling error."""
    rng = np.random.default_rng(seed)
    membership = np.arange(4) != np.arange(count)[:, None] % 4
    shares = rng.dirichlet(np.ones(4), count) * membership
    return replace(
        rows(count=count, group="regime", errors=False, tokens=False, table="pools"),
        shares=shares / shares.sum(axis=1, keepdims=True),
        membership=membership,
        members=("a", "b", "c", "d"),
        sampling_factor=0.05 * rng.standard_normal((count, 2)),
        sampling_remainder=np.full(count, 1e-4),
        facts={"table": "pools", "overlapping": True, "families": 2},
    )


def one_draw(groups):
    values = {"floor": 1.4, "amplitude": 1.3, "exponent": 0.3}
    grouped = {name: np.full(groups, value) * np.linspace(0.9, 1.1, groups) for name, value in values.items()}
    return grouped | {"noise_scale": np.linspace(0.04, 0.08, groups), "member_scale": np.array(0.07)}


@pytest.mark.parametrize("response", ["loss", "log_loss"])
def test_rows_that_share_errors_are_conditioned_as_a_dense_normal(response):
    model = LawModel(CollaborationLaw(), Noise(response=response), pool_rows())
    values, held = one_draw(3), np.arange(12) % 5 == 0
    with jax.enable_x64(True):
        location, shared = np.asarray(model.location(values)), model.dependence
        variance = np.asarray(model.variance(values))[model.group_index]
        factor = np.asarray(shared.scaled_loadings(values["member_scale"]))
        draws = {name: np.asarray(value)[None] for name, value in values.items()}
        found = compile_densities(model)(draws, held)
        kept = float(kept_log_likelihood(model, jax.tree.map(jnp.asarray, values), keep_rows(model, held)))
    covariance = np.diag(variance) + factor @ factor.T
    inside = covariance[np.ix_(~held, ~held)]
    y = model.response
    assert kept == pytest.approx(stats.multivariate_normal(location[~held], inside).logpdf(y[~held]), rel=1e-9)
    gain = covariance[np.ix_(held, ~held)] @ np.linalg.inv(inside)
    mean = location[held] + gain @ (y - location)[~held]
    spread = covariance[np.ix_(held, held)] - gain @ covariance[np.ix_(~held, held)]
    jacobian = -y[held] if response == "log_loss" else np.zeros(held.sum())
    joint = stats.multivariate_normal(mean, spread).logpdf(y[held]) + jacobian.sum()
    each = stats.norm(mean, np.sqrt(np.diag(spread))).logpdf(y[held]) + jacobian
    assert found.joint[0] == pytest.approx(joint, rel=1e-9)
    np.testing.assert_allclose(found.rows[0], each, rtol=1e-9)


def test_independent_rows_are_taken_one_by_one():
    model = LawModel(CollaborationLaw(), Noise(dependence="independent"), pool_rows())
    values, held = {k: v for k, v in one_draw(3).items() if k != "member_scale"}, np.arange(12) < 4
    with jax.enable_x64(True):
        found = compile_densities(model)({name: np.asarray(value)[None] for name, value in values.items()}, held)
        each = np.asarray(model.log_likelihood(values))
    np.testing.assert_allclose(found.rows[0], each[held])
    assert found.joint[0] == pytest.approx(each[held].sum())


# Refits.


@pytest.fixture(scope="module")
def refitted(tiny_log_fit):
    """Return every row left out of a law of log losses, and the exact densities of the losses."""
    return leave_out(tiny_log_fit, seed=1, draws=400, chains=2), brute("log_loss").elpd


def test_exact_refits_find_the_exact_densities(refitted):
    found, exact = refitted
    assert [fold.rows for fold in found.folds] == [1] * 8
    assert {fold.method for fold in found.folds} == {"exact"}
    np.testing.assert_allclose(found.scores(), exact, atol=0.12)
    assert found.elpd == pytest.approx(exact.sum(), abs=0.25)
    assert found.standard_error == pytest.approx(np.sqrt(8) * exact.std(ddof=1), rel=0.1)
    np.testing.assert_array_equal(found.scores(joint=True), found.scores())
    assert not found.warnings


class OwnDraws:
    """Refits that may not be asked for; what the rows left out are scored by is the fit's own draws."""

    def __init__(self, fitted):
        self.refits = LawRefits(fitted.model, fitted.values())

    def all_rows(self, held):
        return self.refits.all_rows(held)

    def left_out(self, held, *, seed):
        raise KeyError(int(held.argmax()))


def test_weights_agree_with_the_exact_densities_where_they_are_reliable(tiny_log_fit):
    exact, refits, good = brute("log_loss").elpd, OwnDraws(tiny_log_fit), 0
    for number, fold in enumerate(make_folds(tiny_log_fit, "model")):
        _, pareto_k = smoothed_log_weights(-refits.all_rows(fold.held).joint)
        if pareto_k > 0.5:
            with pytest.raises(KeyError, match=str(number)):
                score_fold(refits, fold, method="weights", seed=0)
            continue
        found = score_fold(refits, fold, method="weights", seed=0)
        assert (found.method, found.pareto_k, found.joint) == ("weights", pareto_k, pytest.approx(found.elpd))
        assert found.elpd == pytest.approx(exact[number], abs=0.12)
        good += 1
    assert good >= 4


@pytest.mark.parametrize("dependence", in_gate(["independent"], ["shared", "independent"]))
def test_a_refit_samples_the_posterior_of_the_other_rows(dependence):
    observations = pool_rows(15)
    model = LawModel(CollaborationLaw(), Noise(dependence=dependence), observations)
    held = np.arange(15) % 4 == 0
    with jax.enable_x64(True):
        refits = LawRefits(model, {})
        target, posterior = rows_filled(model), refits.posterior_of_kept
        positions = target.start + 0.1 * np.random.default_rng(0).standard_normal((3, len(target.start)))
        for position in jnp.asarray(positions):
            values, _ = target.values(position)
            location, own = model.location(values), model.scale(values, model.group_index) ** 2
            covariance = jnp.diag(jnp.asarray(own))
            if dependence == "shared":
                factor = model.dependence.scaled_loadings(values["member_scale"])
                covariance = jnp.diag(own + observations.sampling_remainder) + factor @ factor.T
            inside = stats.multivariate_normal(location[~held], covariance[np.ix_(~held, ~held)])
            expected = -(inside.logpdf(model.response[~held]) + target.log_prior(position))
            assert float(posterior.potential(position, (target.data, keep_rows(model, held)))) == pytest.approx(
                float(expected), rel=1e-8
            )


# Groups without rows.


def test_a_group_left_out_is_drawn_from_the_population(partial_fit):
    model, values = partial_fit.model, partial_fit.values()
    held = model.group_index == 1
    drawn, copies = with_new_groups(model, values, held, seed=0)
    assert copies == COPIES
    for name in ("floor", "amplitude", "exponent"):
        assert drawn[name].shape == (COPIES * len(values[name]), 3)
        np.testing.assert_array_equal(drawn[name][::COPIES, [0, 2]], values[name][:, [0, 2]])
        population, spread = drawn[f"{name}_population"], drawn[f"{name}_spread"]
        standard = (np.log(drawn[name][:, 1]) - np.log(population)) / spread
        assert stats.kstest(standard[::5], "norm").pvalue > 1e-3
    same, copies = with_new_groups(model, values, np.arange(24) == 3, seed=0)
    assert copies == 1
    assert same["floor"] is values["floor"]


def test_groups_that_share_nothing_say_nothing_of_a_new_one():
    model = LawModel(PowerLaw(pooling="separate"), Noise(), rows())
    values = {name: np.ones((5, 3)) for name in ("floor", "amplitude", "exponent")} | {"noise_scale": np.ones(5)}
    with pytest.raises(InputError, match="separate in every group"):
        with_new_groups(model, values, model.group_index == 1, seed=0)


def test_a_new_group_scatters_like_a_known_one():
    model = LawModel(CollaborationLaw(), Noise(dependence="independent"), rows(group="regime", tokens=False))
    law = {name: np.ones((200, 3)) for name in ("floor", "amplitude", "exponent")}
    law |= {f"{name}_{what}": np.ones(200) for name in law for what in ("population", "spread")}
    values = law | {"noise_scale": np.tile([1.0, 5.0, 9.0], (200, 1))}
    drawn, _ = with_new_groups(model, values, model.group_index == 1, seed=0)
    assert set(np.unique(drawn["noise_scale"][:, 1])) == {1.0, 9.0}
    assert 0.45 < (drawn["noise_scale"][:, 1] == 1).mean() < 0.55


# Folds.


def stand_in(labels, *, families=None, row="pool", sizes=None):
    labels = np.array(labels)
    observations = SimpleNamespace(
        labels=labels,
        row_dimension=row,
        covariates={"parameters": np.arange(len(labels)) + 1.0 if sizes is None else np.array(sizes)},
        groups={"family": np.array(families)} if row == "lm" else {},
        members=(),
    )
    attrs = {} if families is None or row == "lm" else {"families": families}
    return SimpleNamespace(observations=observations, tree=SimpleNamespace(attrs=attrs))


POOLS = ["a", "b", "c", "d", "a + b", "a + c", "c + d"]
FAMILIES = '{"a": "x", "b": "x", "c": "y", "d": "z"}'


def test_a_pool_is_left_out_with_each_of_its_members():
    folds = {fold.name: fold.held for fold in make_folds(stand_in(POOLS, families=FAMILIES), "model")}
    assert list(folds) == ["a", "b", "c", "d"]
    np.testing.assert_array_equal(folds["a"], [1, 0, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(folds["d"], [0, 0, 0, 1, 0, 0, 1])


def test_a_pool_is_left_out_with_each_of_its_families():
    folds = {fold.name: fold.held for fold in make_folds(stand_in(POOLS, families=FAMILIES), "family")}
    np.testing.assert_array_equal(folds["x"], [1, 1, 0, 0, 1, 1, 0])
    np.testing.assert_array_equal(folds["y"], [0, 0, 1, 0, 0, 1, 1])
    assert sum(held.sum() for held in folds.values()) == 4 + 3 + 2


def test_folds_that_cannot_be_made_are_refused():
    with pytest.raises(InputError, match="does not tell the families"):
        make_folds(stand_in(POOLS), "family")
    assert len(make_folds(stand_in(POOLS), "model")) == 4
    with pytest.raises(InputError, match="'size' is not known"):
        make_folds(stand_in(POOLS), "size")
    with pytest.raises(InputError, match="every row is of the family 'x'"):
        make_folds(stand_in(list("abcd"), families=["x"] * 4, row="lm"), "family")
    with pytest.raises(InputError, match="without the family 'x' the rows have 2 different values"):
        make_folds(stand_in(list("abcd"), families=list("xxyy"), row="lm"), "family")
    with pytest.raises(InputError, match="member 'e', which is no model"):
        make_folds(stand_in([*POOLS, "a + e"], families=FAMILIES), "model")


def test_single_models_may_have_a_plus_in_their_names():
    assert row_members(stand_in(["a + b"]).observations, {"a + b": "x"}) == ({"a + b"},)


def test_choices_are_checked(tiny_fit):
    for wrong in ({"by": "row"}, {"method": "guess"}, {"draws": 3}, {"chains": 0}, {"seed": -1}):
        with pytest.raises(InputError):
            leave_out(tiny_fit, **wrong)


# Reports.


def fold(name, **changes):
    values = {"rows": 2, "elpd": 1.0, "elpd_error": 0.1, "joint": 0.5, "joint_error": 0.1, "method": "exact"}
    values |= {"pareto_k": float("nan"), "rhat": 1.0, "divergences": 0, "densities": np.array([0.4, 0.6])}
    return FoldScore(name=name, **(values | changes))


def test_what_cannot_be_relied_on_is_named():
    assert LeftOut((fold("a"), fold("b")), "model", "nats").warnings == ()
    found = LeftOut((fold("a", joint_error=2.0), fold("b", rhat=1.2), fold("c", divergences=4)), "model", "nats")
    unmixed, rough = found.warnings
    assert "without b, c" in unmixed
    assert "1.200, 4 divergences" in unmixed
    assert rough.startswith("The joint density of a rests")
    weighed = (fold("a", method="weights", pareto_k=0.2), fold("b", pareto_k=0.9), fold("c", pareto_k=0.6))
    assert LeftOut(weighed, "model", "nats").warnings[0].startswith("2 of 3 folds were refitted")
    many = LeftOut(tuple(fold(name, elpd_error=1.0, joint_error=1.0) for name in "abcde"), "model", "nats")
    assert many.warnings[0].startswith("The elpd and joint density of a, b, c and 2 others rests")
    assert list(many.table.index) == list("abcde")
    assert "densities" not in many.table


# K-fold through ArviZ.


@pytest.mark.slow
def test_k_fold_leaves_out_rows_as_we_do(tiny_fit):
    exact = brute("loss").elpd
    found = k_fold(tiny_fit, folds=8, draws=400, chains=2)
    assert found.kind == "loo_kfold"
    np.testing.assert_allclose(np.asarray(found.elpd_i), exact, atol=0.2)
    assert 0 < float(found.p) < 8


def test_k_fold_is_for_independent_rows(tiny_fit):
    with pytest.raises(InputError, match="pools that share models"):
        k_fold(SimpleNamespace(observations=pool_rows()))
    with pytest.raises(InputError, match="at most the 8 rows"):
        k_fold(tiny_fit, folds=9)
    with pytest.raises(InputError, match="by 'model'"):
        k_fold(tiny_fit, by="model")
