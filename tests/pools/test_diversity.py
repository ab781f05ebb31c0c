"""Numbers that say how different the members of pools are."""

import numpy as np
import pytest
from pool_tables import loss_table, random_table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.pools.diversity_numbers import (
    DIVERSITY_NUMBERS,
    OF_MEMBERS,
    DiversityNumber,
    decorrelation,
    effective_number,
    family_parameters,
    residual_correlation,
    win_entropy,
)
from bayeslaw.pools.gains import diversity_columns


def test_effective_families_of_known_shares():
    members = np.array([[0, -1, -1], [0, 1, -1], [0, 2, -1], [0, 2, 3]])
    sums = family_parameters(members, np.array([0, 0, 1, 2]), np.array([1.0, 3.0, 1.0, 2.0]))
    np.testing.assert_array_equal(sums, [[1, 0, 0], [4, 0, 0], [1, 1, 0], [1, 1, 2]])
    np.testing.assert_allclose(effective_number(sums), [1, 1, 2, np.exp(1.5 * np.log(2))])


def test_win_entropy():
    members = np.array([[0, -1], [0, 1], [1, 2], [0, 2]])
    shares = np.array([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.25, 0.75]])
    expected = [np.nan, 0, np.log(2), -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))]
    np.testing.assert_allclose(win_entropy(members, shares), expected)


def test_correlation_is_that_of_numpy_after_removing_the_samples_mean():
    table = random_table(1300, 5)
    nll = table["nll"].to_numpy()
    expected = np.corrcoef((nll - nll.mean(axis=1, keepdims=True)).T)
    np.testing.assert_allclose(residual_correlation(table), expected, atol=1e-12)


def test_weights_count_as_copies():
    generator = np.random.default_rng(0)
    rates, copies = generator.gamma(2, 1, (40, 4)), generator.integers(1, 6, 40)
    weighted = residual_correlation(loss_table(rates * copies[:, None], sizes=copies))
    np.testing.assert_allclose(weighted, residual_correlation(loss_table(np.repeat(rates, copies, axis=0))), atol=1e-12)


def test_decorrelation_is_one_minus_the_mean_over_pairs():
    correlation = np.array([[1, 0.5, -0.2], [0.5, 1, 0.1], [-0.2, 0.1, 1]])
    members = np.array([[0, -1, -1], [0, 1, -1], [1, 2, -1], [0, 1, 2]])
    np.testing.assert_allclose(decorrelation(members, correlation), [np.nan, 0.5, 0.9, 1 - 0.4 / 3])


def test_copies_of_a_model_are_fully_correlated():
    nll = np.random.default_rng(0).gamma(2, 1, (200, 4))
    nll[:, 1] = nll[:, 0]
    correlation = residual_correlation(loss_table(nll))
    assert decorrelation(np.array([[0, 1]]), correlation) == pytest.approx(0)
    assert decorrelation(np.array([[0, 2]]), correlation) > 0.5


def test_a_model_that_never_departs_from_the_mean_has_no_correlation():
    base = np.random.default_rng(0).gamma(2, 1, 50)
    correlation = residual_correlation(loss_table(np.stack([base, base + 1, base + 3], axis=1)))
    assert np.isnan(correlation).all()


def test_tables_of_whole_models_are_refused():
    table = random_table(5, 2).assign_attrs(kind="models")
    with pytest.raises(InputError, match="one loss per model"):
        residual_correlation(table)


def test_a_new_number_is_one_entry(monkeypatch):
    largest = DiversityNumber(
        "largest_share",
        "the share of the largest family",
        lambda pools: pools.by_family.max(axis=1) / pools.by_family.sum(axis=1),
        of_members=True,
    )
    monkeypatch.setitem(DIVERSITY_NUMBERS, "largest_share", largest)
    losses = bl.load_dataset("zoo", unit="document").isel(lm=slice(0, 5), sample=slice(0, 40))
    pools = bl.make_pools(losses, max_size=2)
    several = pools["size"].to_numpy() > 1
    found = pools["largest_share"].to_numpy()
    assert np.isnan(found[~several]).all()
    members = pools["member"].to_numpy()[several]
    parameters, family = pools["lm_parameters"].to_numpy()[members], pools["family"].to_numpy()[members]
    expected = np.where(family[:, 0] == family[:, 1], 1.0, parameters.max(axis=1) / parameters.sum(axis=1))
    np.testing.assert_allclose(found[several], expected)
    assert list(diversity_columns(pools.isel(pool=several), ["largest_share"])) == ["largest_share"]


def test_what_members_tell_is_what_the_table_of_pools_says():
    losses = bl.load_dataset("zoo", unit="document").isel(sample=slice(0, 40))
    pools = bl.make_pools(losses, max_size=3, limit=60)
    pools = pools.isel(pool=pools["size"].to_numpy() > 1)
    bare = pools.drop_vars(OF_MEMBERS)
    for name, values in diversity_columns(bare, OF_MEMBERS).items():
        np.testing.assert_allclose(values, pools[name].to_numpy())
    assert set(DIVERSITY_NUMBERS) <= set(map(str, pools.data_vars))
