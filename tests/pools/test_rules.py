"""Rules of combination: what is fast says what the definition says, and one entry is all that a new rule needs."""

import itertools

import numpy as np
import pytest

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.pools.evaluate import evaluate_pools
from bayeslaw.pools.folds import assign_folds
from bayeslaw.pools.known import Known
from bayeslaw.pools.pool_parts import lexicographic, make_parts
from bayeslaw.pools.pool_table import PoolTable
from bayeslaw.pools.repeated_means import PoolMeans
from bayeslaw.pools.rule_functions import one_by_one
from bayeslaw.pools.rules import RULES, Rule, find_rule, rule_names
from bayeslaw.pools.sample_features import Features
from bayeslaw.pools.token_rules import combine_tokens

MODELS, SAMPLES = 5, 60
WORST_MEMBER = one_by_one(lambda nll, folds: nll.max(axis=1), lambda nll, folds: nll == nll.max(axis=1, keepdims=True))


def table_of(seed=0, clusters=12):
    generator = np.random.default_rng(seed)
    nll = generator.gamma(4.0, 1.0, (SAMPLES, 1)) * generator.lognormal(0, 0.3, (SAMPLES, MODELS))
    weights = generator.integers(1, 9, SAMPLES).astype(float)
    pools = [pool for size in (1, 2, 3) for pool in itertools.combinations(range(MODELS), size)]
    members = np.array([[*pool, -1, -1][:3] for pool in pools])[generator.permutation(len(pools))]
    numbers = np.concatenate([np.arange(clusters), generator.integers(clusters, size=SAMPLES - clusters)])
    return PoolTable(nll, members, weights, numbers, seed=seed)


@pytest.mark.parametrize("clusters", [12, SAMPLES])
@pytest.mark.parametrize("rule", rule_names(on_tokens=False, of_losses=True))
def test_many_pools_at_once_are_evaluated_as_one_by_one(rule, clusters):
    table, functions = table_of(clusters=clusters), RULES[rule].functions
    fast = functions.evaluate(table)
    plain = one_by_one(functions.losses, functions.gradients).evaluate(table)
    for name in ("loss", "standard_error", "best", "shares"):
        np.testing.assert_allclose(getattr(fast, name), getattr(plain, name), rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(fast.factor @ fast.factor.T, plain.factor @ plain.factor.T, rtol=1e-6, atol=1e-9)
    if not RULES[rule].cross_fitted:
        np.testing.assert_allclose(fast.independent, plain.independent, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(fast.comonotone, plain.comonotone, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("rule", rule_names(on_tokens=False, of_losses=True))
def test_sums_are_those_of_the_losses(rule):
    table, functions = table_of(seed=1), RULES[rule].functions
    pools, _ = lexicographic(table.members)
    parts = make_parts(pools, MODELS)
    plain = one_by_one(functions.losses, functions.gradients)
    sums = (each.sums(table.nll.T, parts, table.folds) for each in (functions, plain))
    np.testing.assert_allclose(*sums, rtol=1e-6)


@pytest.mark.parametrize("rule", rule_names(of_losses=True))
def test_gradients_are_derivatives_of_the_losses(rule):
    nll, folds = table_of(seed=2).nll, assign_folds(np.arange(SAMPLES), 2)
    functions, step = RULES[rule].functions, 1e-6
    found = functions.gradients(nll, folds)
    for member, fold in itertools.product(range(MODELS), range(folds.max() + 1)):
        # What is chosen for a fold does not see it, so that moving the losses of one fold moves no choice for it.
        inside, moved = folds == fold, np.zeros_like(nll)
        moved[inside, member] = step
        slope = (functions.losses(nll + moved, folds) - functions.losses(nll - moved, folds)) / (2 * step)
        np.testing.assert_allclose(found[inside, member], slope[inside], atol=1e-6)


@pytest.mark.parametrize("rule", rule_names(cross_fitted=True))
def test_what_is_chosen_for_a_fold_does_not_see_it(rule):
    generator = np.random.default_rng(3)
    nll, feature = table_of(seed=3).nll, generator.normal(size=SAMPLES)
    features = Features({"x": feature, "y": generator.normal(size=SAMPLES)}, {})
    functions = RULES[rule].functions_of(Known(np.ones(SAMPLES), np.arange(1.0, MODELS + 1), features, features))
    # A feature that tells who is best, so that routers are not the best member alone.
    nll = nll + 0.5 * np.abs(feature[:, None] - np.linspace(-1, 1, MODELS))
    folds = assign_folds(np.arange(SAMPLES), 3)
    before, moved = functions.losses(nll, folds), 0
    for fold in range(folds.max() + 1):
        inside = np.flatnonzero(folds == fold)
        changed, others = inside[::2], inside[1::2]
        other = nll.copy()
        other[changed] = nll[changed][:, ::-1] + generator.normal(0, 3, (len(changed), MODELS))
        after = functions.losses(other, folds)
        np.testing.assert_allclose(after[others], before[others], rtol=1e-9)
        elsewhere = folds != fold
        moved += not np.allclose(after[elsewhere], before[elsewhere], rtol=1e-9)
    assert moved


def test_a_new_rule_is_one_entry(monkeypatch):
    monkeypatch.setitem(RULES, "worst", Rule("worst", "the highest loss", f"{__name__}:WORST_MEMBER", attainable=False))
    losses = bl.load_dataset("zoo", unit="document").isel(lm=slice(0, 4), sample=slice(0, 40))
    names = [str(name) for name in losses["lm"].to_numpy()]
    pools = bl.make_pools(losses, rule="worst", max_size=2)
    nll, weights = losses["nll"].to_numpy(), losses["bytes"].to_numpy()
    expected = nll[:, :2].max(axis=1).sum() / weights.sum() / np.log(2)
    assert pools.attrs["rule"] == "worst"
    np.testing.assert_allclose(pools["loss"].sel(pool=f"{names[0]} + {names[1]}"), expected)
    np.testing.assert_allclose(bl.combine(losses, names[:2], rule="worst"), nll[:, :2].max(axis=1))
    share = bl.attainability(losses, names[:2], rules="worst", draws=50)["worst"]
    assert share.rule_loss == pytest.approx(expected)
    means = PoolMeans(np.array([[0, 1]]), 4, np.arange(40), "worst")
    np.testing.assert_allclose(means(nll.T, 1.0), nll[:, :2].max(axis=1).sum())


def test_a_rule_that_is_not_known_is_an_error_at_every_depth():
    table, losses = table_of(), bl.load_dataset("zoo", unit="document")
    names = [str(name) for name in losses["lm"].to_numpy()[:2]]
    layout = {"weights": table.weights, "clusters": table.clusters}
    calls = [
        lambda: find_rule("orcale"),
        lambda: evaluate_pools(table.nll, table.members, rule="orcale", **layout),
        lambda: PoolMeans(table.members, MODELS, table.clusters, "orcale"),
        lambda: combine_tokens(losses, names, rule="orcale", token_losses=None),
        lambda: bl.combine(losses, names, rule="orcale"),
        lambda: bl.make_pools(losses, rule="orcale"),
        lambda: bl.pools_of(losses, [names], rule="orcale"),
        lambda: bl.advantage(losses, rule="orcale"),
    ]
    for call in calls:
        with pytest.raises(InputError, match="'orcale' is not known"):
            call()


def test_rules_of_tokens_are_asked_for_where_tokens_are():
    with pytest.raises(InputError, match="'token_oracle' is not known"):
        PoolMeans(np.array([[0, 1]]), 2, np.arange(3), "token_oracle")
    with pytest.raises(InputError, match="'oracle' is not known"):
        combine_tokens(bl.load_dataset("zoo", unit="document"), [], rule="oracle", token_losses=None)
    with pytest.raises(ValueError, match="cannot choose by folds"):
        Rule("both", "", "", attainable=True, cross_fitted=True, on_tokens=True)
