"""The models of the zoo behave like language models."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import bayeslaw as bl
from bayeslaw.datasets.load import DATASETS

FAMILIES = ("gpt2", "gpt_neox", "llama", "qwen3")
MOST_INVERSIONS = 1
SIGNED_EXPONENT = "Normal(0, 0.5)"
CONTEXT = 256


@pytest.fixture(scope="module")
def training():
    return pd.read_csv(DATASETS["zoo"].training)


@pytest.fixture(scope="module")
def zoo():
    return bl.load_dataset("zoo")


def last_looks(training, family):
    looks = training[training.family == family].sort_values(["parameters", "tokens"])
    return looks.groupby("parameters", sort=True).tail(1)


def test_every_model_of_the_table_has_a_training_record(training, zoo):
    recorded = training.groupby("model").parameters.first()
    assert set(recorded.index) == set(zoo["lm"].to_numpy())
    assert (recorded.loc[zoo["lm"].to_numpy()].to_numpy() == zoo["parameters"].to_numpy()).all()
    budget = training.groupby("model").tokens.max()
    assert budget.nunique() == 1
    assert (budget.loc[zoo["lm"].to_numpy()].to_numpy() == zoo["training_tokens"].to_numpy()).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_validation_loss_falls_with_size_and_in_training(training, family):
    last = last_looks(training, family)
    assert len(last) >= 6
    assert last.parameters.iloc[-1] / last.parameters.iloc[0] > 90
    validation = last.filter(like="validation_").mean(axis=1).to_numpy()
    assert (np.diff(validation) >= 0).sum() <= MOST_INVERSIONS
    for _, looks in training[training.family == family].groupby("model"):
        losses = looks.sort_values("tokens").filter(like="validation_").mean(axis=1).to_numpy()
        assert losses[-1] < 0.95 * losses[0]


@pytest.mark.parametrize("unit", DATASETS["zoo"].units)
@pytest.mark.parametrize("family", FAMILIES)
def test_loss_falls_with_size(family, unit):
    losses = bl.load_dataset("zoo", unit=unit)
    own = losses.isel(lm=np.flatnonzero(losses["family"].to_numpy() == family))
    size, loss = np.log(own["parameters"].to_numpy()), np.log(bl.mean_losses(own)["loss"].to_numpy())
    line = stats.linregress(size, loss)
    assert line.slope + stats.t.ppf(0.975, len(size) - 2) * line.stderr < 0


@pytest.mark.slow
def test_exponents_are_positive_whatever_sign_the_prior_allows(zoo):
    law = bl.PowerLaw(exponent=SIGNED_EXPONENT, pooling="separate")
    fitted = bl.fit(law, zoo, draws=500, seed=0, progress=False)
    assert fitted.model.groups == FAMILIES
    assert ((fitted.values()["exponent"] > 0).mean(axis=0) > 0.95).all()
