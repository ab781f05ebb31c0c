"""Scores of right and wrong answers: refused by links of losses, and drawn by a link of their own."""

import numpy as np
import pytest
import xarray as xr
from scipy import special

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.joint_table import joint_table
from bayeslaw.joint.latent_losses import ScoredLatent
from bayeslaw.joint.law import JointLaw
from bayeslaw.joint.links import LINKS, SMOOTH_LINKS, choose_link, positive_losses, suited_link
from bayeslaw.joint.new_columns import NewColumns
from bayeslaw.joint.sample_scales import scales_at_mean

SEEN, NEW = 10, 2
OWN, LENGTH, DIFFERENCE = 0.15, 6.0, 0.1


def score_table(samples: int, seed: int = 0, *, equal: float | None = None) -> xr.Dataset:
    """Return scores of twelve models of two families, the last two larger, of the structure of the joint law.

    Latent losses have correlations of that structure, with the constants above, or all the one given.
    """
    generator, count = np.random.default_rng(seed), SEEN + NEW
    sizes, family = np.repeat(1e8 * 4.0 ** np.arange(count // 2), 2), np.arange(count) % 2
    wrong = (0.2 + 0.55 * (sizes / 1e8) ** -0.3) * np.where(family == 0, 1.0, 1.1)
    logs = np.log(wrong)
    quality = (logs - logs[:SEEN].mean()) / logs[:SEEN].std()
    correlation = (1 - OWN) * np.exp(-np.abs(quality[:, None] - quality) / LENGTH)
    correlation = correlation * np.where(family[:, None] == family, 1.0, 1 - DIFFERENCE)
    if equal is not None:
        correlation = np.full((count, count), equal)
    np.fill_diagonal(correlation, 1.0)
    latent = generator.standard_normal((samples, count)) @ np.linalg.cholesky(correlation).T
    names = [f"m{number}" for number in range(count)]
    return xr.Dataset(
        {
            "nll": (("sample", "lm"), (latent + special.ndtri(wrong) > 0).astype(float)),
            "family": ("lm", [f"family-{number}" for number in family]),
            "parameters": ("lm", sizes),
        },
        coords={"sample": [f"s{number}" for number in range(samples)], "lm": names},
        attrs={"kind": "losses", "unit": "item", "missing": "{}", "source": "simulated"},
    )


def seen_of(losses: xr.Dataset) -> xr.Dataset:
    return losses.isel(lm=slice(SEEN))


@pytest.mark.parametrize("name", SMOOTH_LINKS)
def test_links_of_losses_refuse_scores_and_name_the_one_that_does_not(name: str) -> None:
    with pytest.raises(InputError, match="right and wrong") as caught:
        joint_table(seen_of(score_table(100)), link=name, parameters="total")
    assert "probit" in caught.value.fix


def test_the_link_of_scores_refuses_losses() -> None:
    losses = bl.simulate_losses(families=2, sizes=2, samples=60, clusters=20)
    with pytest.raises(InputError, match="not every loss is 0 or 1"):
        joint_table(losses, link="probit", parameters="total")


def test_scores_with_bytes_are_refused_and_another_law_is_recommended() -> None:
    losses = seen_of(score_table(100))
    assert isinstance(bl.recommend(losses).law, JointLaw)
    weighted = losses.assign(bytes=("sample", np.full(100, 50.0)))
    with pytest.raises(InputError, match="bytes"):
        joint_table(weighted, link=None, parameters="total")
    assert isinstance(bl.recommend(weighted).law, bl.PowerLaw)


def test_scores_choose_their_link_and_their_latent_losses_have_the_true_correlations() -> None:
    """With true correlations of 0.2 they are found, and not taken for zero."""
    table = joint_table(seen_of(score_table(4000, equal=0.2)), link=None, parameters="total")
    assert isinstance(table.latents, ScoredLatent)
    assert table.link is LINKS["probit"]
    pairs = np.triu_indices(SEEN, 1)
    assert table.correlation[pairs].mean() == pytest.approx(0.2, abs=0.02)
    assert table.correlation[pairs].std() < 2 * np.sqrt(table.latents.tetrachoric.variance[pairs].mean())
    np.testing.assert_array_equal(table.latent_deviation, 1.0)
    np.testing.assert_allclose(special.ndtr(table.latent_mean), table.mean)
    # A sample of scores tells less of correlations than one of losses would.
    assert 0.1 < table.effective_samples / 4000 < 0.6


def test_latent_losses_are_drawn_given_all_scores_of_a_sample() -> None:
    """Their expected values are those of normal draws that happen to have the same scores."""
    correlation = np.array([[1.0, 0.8, 0.3], [0.8, 1.0, 0.5], [0.3, 0.5, 1.0]])
    generator = np.random.default_rng(0)
    mean = np.array([-0.5, 0.2, 0.9])
    values = generator.standard_normal((40_000, 3)) @ np.linalg.cholesky(correlation).T
    latent = ScoredLatent((values + mean > 0).astype(float))
    np.testing.assert_allclose(latent.correlation, correlation, atol=0.03)
    drawn = list(latent.draws(np.repeat(correlation[None], 4, axis=0), np.random.default_rng(1)))[-1]
    assert (((drawn + latent.mean) > 0) == (latent.scores > 0)).all()
    np.testing.assert_allclose(np.corrcoef(drawn.T), correlation, atol=0.02)
    pattern = latent.scores @ [1, 2, 4]
    for number in range(8):
        same = pattern == number
        error = 4 * values[same].std(axis=0) * np.sqrt(2 / same.sum())
        assert (np.abs(drawn[same].mean(axis=0) - values[same].mean(axis=0)) < error + 0.01).all()


def test_a_given_share_of_samples_is_wrong_and_they_are_those_of_largest_latent_losses() -> None:
    latent = np.random.default_rng(0).standard_normal((3, 200)).astype(np.float32)
    share, wanted = np.full(200, 1 / 200, dtype=np.float32), np.array([0.25, 0.0, 1.0])
    losses = LINKS["probit"].with_means(latent, wanted, share, np.zeros(3))
    np.testing.assert_allclose(losses.mean(axis=1), wanted)
    assert latent[0][losses[0] == 1].min() > latent[0][losses[0] == 0].max()


class GivenMeans(NewColumns):
    """New columns whose mean losses are known, so that what is tested is the dependence."""

    given: np.ndarray

    def draw_means(self, values, generator):
        return np.tile(self.given, (len(values["length"]), 1))


def true_values(model: JointModel, draws: int) -> dict[str, np.ndarray]:
    """Return every site at the truth of `score_table`, and the curve's anywhere."""
    truth = {"length": LENGTH, "roughness": 1.0, "family_difference": DIFFERENCE, "structure_freedom": 1e6}
    truth |= {"own_level": special.logit(OWN), "own_slope": 0.0, "own_spread": 1e-6, "own_offset": 0.0}
    return {name: np.full((draws, *shape), truth.get(name, 0.1)) for name, shape in model.shapes.items()}


@pytest.mark.slow
def test_oracles_of_new_and_seen_models_are_those_of_the_truth() -> None:
    """Over tables the pools' error rates drawn scatter around those that the new models really have."""
    pools = [(10, 11), (8, 10), (0, 10), (8, 9, 10, 11)]
    off = []
    for seed in range(12):
        losses = score_table(1500, seed)
        table = joint_table(seen_of(losses), link=None, parameters="total")
        model, scores = JointModel(JointLaw().resolved("probit"), table), losses["nll"].to_numpy().T
        values = true_values(model, 12)
        sizes = np.log(losses["parameters"].to_numpy()[SEEN:] / table.reference)
        columns = GivenMeans(model, scales_at_mean(model, values), sizes, np.array([0, 1]))
        object.__setattr__(columns, "given", scores[SEEN:].mean(axis=1))
        drawn = []
        for new, means in columns.draw(values, np.random.default_rng(seed)):
            assert set(np.unique(new)) == {0.0, 1.0}
            np.testing.assert_allclose(new.mean(axis=1), means, atol=0.5 / 1500)
            every = np.concatenate([scores[:SEEN], new])
            drawn.append([every[list(pool)].min(axis=0).mean() for pool in pools])
        off.append(np.mean(drawn, axis=0) - [scores[list(pool)].min(axis=0).mean() for pool in pools])
    off = np.array(off)
    error = off.std(axis=0, ddof=1) / np.sqrt(len(off))
    assert (np.abs(off.mean(axis=0)) < 3.5 * error).all()
    # Independent errors of the models would make the first 0.09 and not 0.18.
    assert (error < 0.003).all()


@pytest.mark.slow
def test_a_fit_of_scores_finds_the_structure_and_predicts_pools() -> None:
    losses = score_table(2000, 3)
    fitted = bl.fit(bl.JointLaw(), seen_of(losses), draws=300, chains=2, seed=0, progress=False)
    posterior = fitted.tree["posterior"].dataset
    for name, truth in (("length", LENGTH), ("family_difference", DIFFERENCE), ("own_level", special.logit(OWN))):
        draws = posterior[name].to_numpy().ravel()
        assert np.quantile(draws, 0.005) < truth < np.quantile(draws, 0.995), name
    large = losses["parameters"].to_numpy()[SEEN]
    pools = ["m0,m9", f"m8,{large:g}:family-0", f"{large:g}:family-0,{large:g}:family-1"]
    found = bl.predict(fitted, {"members": pools}, samples="same", interval=0.99)
    scores = losses["nll"].to_numpy().T
    truth = [scores[list(pool)].min(axis=0).mean() for pool in ((0, 9), (8, 10), (10, 11))]
    assert found["mean"].to_numpy()[0] == pytest.approx(truth[0])
    lower, upper = (found[name].to_numpy()[1:] for name in ("lower", "upper"))
    assert (lower < truth[1:]).all()
    assert (truth[1:] < upper).all()
    assert (upper - lower).max() < 0.2
    assert (bl.pool_check(fitted, max_size=3)["tail"].to_numpy() > 0.001).all()


def test_zeros_take_half_of_their_models_smallest_loss_and_small_losses_stay() -> None:
    losses = np.array([[0.0, 1e-7], [0.02, 0.5], [0.3, 2.0]])
    np.testing.assert_array_equal(positive_losses(losses), [[0.01, 1e-7], [0.02, 0.5], [0.3, 2.0]])
    with pytest.raises(InputError, match=r"a loss of -1"):
        positive_losses(losses - 1)
    with pytest.raises(InputError, match="every loss of a model is zero"):
        positive_losses(losses * [0, 1])


def test_many_zeros_leave_the_link_that_needs_no_logarithm() -> None:
    losses = np.random.default_rng(0).gamma(2, 1, (200, 3))
    losses[:40, 0] = 0
    assert choose_link(losses) == "identity"
    with pytest.raises(InputError, match="20% of the losses of a model are zero"):
        suited_link("softplus", losses)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_a_model_of_one_score_alone_is_refused_by_name(score: float) -> None:
    losses = seen_of(score_table(60))
    nll = losses["nll"].to_numpy().copy()
    nll[:, 3] = score
    with pytest.raises(InputError, match=f"m3 has the score {score:.0f} on every sample") as caught:
        joint_table(losses.assign(nll=(("sample", "lm"), nll)), link=None, parameters="total")
    assert "leave out m3" in caught.value.fix
    # Also where only the samples that are looked at have one score.
    for link in ("probit", None):
        with pytest.raises(InputError, match="1 of the models have the same score") as caught:
            suited_link(link, nll)
        assert caught.value.fix == "leave out those models"


def test_scores_in_other_units_are_refused_with_what_to_write() -> None:
    losses = seen_of(score_table(60))
    percent = losses.assign(nll=100 * losses["nll"])
    with pytest.raises(InputError, match="0 or 100"):
        joint_table(percent, link=None, parameters="total")
    assert isinstance(bl.recommend(percent).law, bl.PowerLaw)
