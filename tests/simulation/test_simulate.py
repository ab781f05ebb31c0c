import json

import numpy as np
import pytest

from bayeslaw.errors import InputError
from bayeslaw.simulation.simulated_pools import simulate_pools
from bayeslaw.simulation.tables import simulate_chinchilla, simulate_losses
from bayeslaw.simulation.truth import ChinchillaTruth, PowerTruth, Truth


def recorded_law(table, family):
    return json.loads(table.attrs["truth"])["families"][family]


def expected_losses(table):
    """The law evaluated from the recorded numbers alone."""
    values = []
    for family, n in zip(table["family"].values, table["parameters"].values, strict=True):
        law = recorded_law(table, family)
        values.append(law["floor"] + law["amplitude"] * (1e9 / n) ** law["exponent"])
    return np.array(values)


def test_mean_losses_follow_the_recorded_law_within_standard_error():
    table = simulate_losses(samples=4000, clusters=200, seed=3)
    ratio = table["nll"].values / expected_losses(table)
    by_cluster = ratio.reshape(200, 20, -1).mean(1)
    error = by_cluster.std(0, ddof=1) / np.sqrt(200)
    z = (ratio.mean(0) - 1) / error
    assert np.all(np.abs(z) < 3.5)
    # Sharp enough that a loss 15 % off would be seen.
    assert np.all(error < 0.04)


def test_recorded_expected_losses_are_the_law():
    table = simulate_losses(samples=10, clusters=5)
    recorded = json.loads(table.attrs["truth"])["losses"]
    np.testing.assert_allclose([recorded[m] for m in table["lm"].values], expected_losses(table), rtol=1e-12)


def test_without_any_spread_every_sample_has_its_mean_loss():
    still = Truth(family_spread=0, difficulty=0, family_part=0, own_part=0)
    table = simulate_losses(samples=7, clusters=7, truth=still)
    law = PowerTruth()
    np.testing.assert_allclose(
        table["nll"].values, np.broadcast_to(law.mean(table["parameters"].values), (7, 18)), rtol=1e-12
    )


def test_log_losses_have_the_stated_structure():
    truth = Truth(difficulty=0.6, family_part=0.4, own_part=0.3)
    table = simulate_losses(samples=20000, clusters=20000, truth=truth, seed=1)
    covariance = np.cov(np.log(table["nll"].values), rowvar=False)
    family = table["family"].values
    same = family[:, None] == family[None, :]
    expected = 0.6**2 + 0.4**2 * same + 0.3**2 * np.eye(len(family))
    np.testing.assert_allclose(covariance, expected, atol=0.03)


def test_clusters_share_difficulty():
    truth = Truth(cluster_share=0.5, family_part=0, own_part=0)
    table = simulate_losses(samples=20000, clusters=2000, truth=truth, seed=1)
    assert len(np.unique(table["cluster"].values)) == 2000
    # Ten consecutive samples make a cluster: the intraclass correlation of log losses is the share.
    z = np.log(table["nll"].values[:, 0]).reshape(2000, 10)
    assert np.unique(table["cluster"].values.reshape(2000, 10)[5]).size == 1
    within = z.var(1, ddof=1).mean()
    between = z.mean(1).var(ddof=1) - within / 10
    assert between / (between + within) == pytest.approx(0.5, abs=0.04)


def test_with_bytes_the_weighted_mean_is_in_bits_per_byte():
    table = simulate_losses(samples=6000, clusters=6000, with_bytes=True, seed=2)
    bits = table["nll"].values.sum(0) / np.log(2) / table["bytes"].values.sum()
    assert json.loads(table.attrs["truth"])["loss_unit"] == "bits per byte"
    np.testing.assert_allclose(bits, expected_losses(table), rtol=0.08)


def test_losses_have_the_form_of_a_loss_table():
    table = simulate_losses(families=2, sizes=4, samples=50, clusters=5)
    assert table.attrs["kind"] == "losses"
    assert table.attrs["unit"] == "sample"
    assert table["nll"].dims == ("sample", "lm")
    assert table["nll"].shape == (50, 8)
    assert table["nll"].dtype == np.float64
    assert (table["nll"] > 0).all()
    assert len(set(table["lm"].values)) == 8
    assert len(set(table["family"].values)) == 2
    assert len(set(table["parameters"].values)) == 8


def test_sizes_are_evenly_spaced_on_a_log_scale():
    table = simulate_losses(families=1, sizes=6, samples=10, clusters=5, parameters=(1e8, 1e10))
    steps = np.diff(np.log10(table["parameters"].values))
    np.testing.assert_allclose(steps, 2 / 5, atol=0.01)


@pytest.mark.parametrize("simulate", [simulate_losses, simulate_pools])
def test_seed_decides_everything(simulate):
    assert simulate(seed=4).identical(simulate(seed=4))
    variable = "nll" if simulate is simulate_losses else "loss"
    assert not np.array_equal(simulate(seed=4)[variable].values, simulate(seed=5)[variable].values)


def test_pools_without_noise_lie_on_the_law_of_their_regime():
    laws = {"single": PowerTruth(floor=3), "homogeneous": PowerTruth(floor=2), "heterogeneous": PowerTruth(floor=1)}
    pools = simulate_pools(laws, noise=0, max_size=3)
    assert pools.sizes["pool"] == 18 + 153 + 816
    floors = {"single": 3, "homogeneous": 2, "heterogeneous": 1}
    floor = np.array([floors[r] for r in pools["regime"].values])
    expected = floor + 1.5 * (pools["parameters"].values / 1e9) ** -0.3
    np.testing.assert_allclose(pools["loss"].values, expected, rtol=1e-12)


def test_pool_variables_agree_with_their_members():
    pools = simulate_pools(families=2, sizes=3, max_size=2, seed=1)
    for p in range(pools.sizes["pool"]):
        row = pools.isel(pool=p)
        members = [m for m in row["member"].values if m >= 0]
        names = pools["lm"].values[members]
        families = {name.split("-")[0] for name in names}
        assert families == set(pools["family"].values[members])
        assert row["pool"].item() == " + ".join(names)
        assert row["parameters"].item() == pools["lm_parameters"].values[members].sum()
        assert row["size"].item() == len(members)
        assert row["families"].item() == len(families)
        regime = "single" if len(members) == 1 else "homogeneous" if len(families) == 1 else "heterogeneous"
        assert row["regime"].item() == regime


def test_pool_noise_has_the_stated_size_and_is_recorded():
    noisy, still = simulate_pools(noise=0.05, max_size=3, seed=2), simulate_pools(noise=0, max_size=3, seed=2)
    z = (noisy["loss"].values - still["loss"].values) / 0.05
    assert np.std(z) == pytest.approx(1, abs=0.08)
    assert abs(np.mean(z)) < 3.5 / np.sqrt(len(z))
    assert (noisy["standard_error"] == 0.05).all()
    assert json.loads(noisy.attrs["truth"])["noise"] == 0.05


def test_pools_can_be_limited_to_some_of_each_regime():
    pools = simulate_pools(max_size=4, limit=40)
    regimes, counts = np.unique(pools["regime"].values, return_counts=True)
    assert dict(zip(regimes, counts, strict=True)) == {"single": 18, "homogeneous": 40, "heterogeneous": 40}


def test_chinchilla_points_scatter_around_the_law():
    truth = ChinchillaTruth(noise=0.02)
    points = simulate_chinchilla(points=3000, truth=truth, seed=1)
    assert list(points.columns) == ["model", "family", "parameters", "training_tokens", "loss"]
    assert points["model"].is_unique
    mean = 2.0 + 0.4 * (points["parameters"] / 1e9) ** -0.4 + 0.5 * (points["training_tokens"] / 1e10) ** -0.3
    z = np.log(points["loss"] / mean) / 0.02
    assert np.std(z) == pytest.approx(1, abs=0.05)
    assert abs(np.mean(z)) < 3.5 / np.sqrt(3000)
    assert json.loads(points.attrs["truth"])["floor"] == 2.0
    assert points.equals(simulate_chinchilla(points=3000, truth=truth, seed=1))


@pytest.mark.parametrize(
    ("call", "problem"),
    [
        (lambda: simulate_losses(families=0), "families 0"),
        (lambda: simulate_losses(samples=1), "samples 1"),
        (lambda: simulate_losses(samples=5, clusters=6), "6 clusters for 5 samples"),
        (lambda: simulate_losses(parameters=(1e9, 1e8)), "parameters"),
        (lambda: simulate_pools({"together": PowerTruth()}), "regime 'together'"),
        (lambda: simulate_pools(max_size=1), "no homogeneous pool"),
        (lambda: simulate_pools(noise=-1), "noise -1"),
        (lambda: simulate_chinchilla(points=0), "points 0"),
        (lambda: PowerTruth(exponent=0), "exponent 0"),
        (lambda: ChinchillaTruth(token_amplitude=float("nan")), "token_amplitude nan"),
        (lambda: Truth(own_part=-1), "own_part -1"),
        (lambda: Truth(cluster_share=2), "cluster_share 2"),
    ],
)
def test_impossible_requests_are_refused(call, problem):
    with pytest.raises(InputError, match=problem):
        call()


def test_no_law_of_any_regime_is_not_all_of_them():
    with pytest.raises(InputError, match="regimes is empty"):
        simulate_pools({})
