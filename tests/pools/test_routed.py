"""Routers: what the right feature reaches, what a useless one does, and what is refused."""

import numpy as np
import pandas as pd
import pytest
from forms import in_gate
from pool_tables import loss_table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.pools.feature_basis import MOST_COLUMNS, feature_basis
from bayeslaw.pools.text_features import BUCKETS, text_columns

SAMPLES = 600


def table_and_feature(seed=0, **others):
    """Two members, each better on half of the samples by as much as a feature says."""
    generator = np.random.default_rng(seed)
    feature = generator.normal(size=SAMPLES)
    hard = generator.gamma(4, 1, SAMPLES)
    nll = np.column_stack([hard + np.maximum(feature, 0), hard + np.maximum(-feature, 0)])
    return loss_table(nll, **others), pd.DataFrame({"x": feature})


def lost(table, rule, features=None, members=("m0", "m1")):
    return bl.combine(table, list(members), rule=rule, features=features).to_numpy()


def test_the_right_feature_reaches_the_oracle():
    table, features = table_and_feature()
    routed, oracle, best = (lost(table, rule, features) for rule in ("routed", "oracle", "best"))
    # Where the members differ by next to nothing either may be taken.
    np.testing.assert_allclose(routed, oracle, atol=0.05)
    assert routed.mean() < oracle.mean() + 0.01 < best.mean() - 0.2
    found = bl.attainability(table, ["m0", "m1"], rules="routed", features=features)["routed"]
    assert found.value > 0.97


def test_a_step_in_the_middle_is_seen_as_a_slope_is():
    generator = np.random.default_rng(1)
    feature = generator.uniform(-1, 1, SAMPLES)
    middle = np.abs(feature) < 0.5
    nll = 2 + generator.gamma(2, 0.1, (SAMPLES, 2)) + np.column_stack([middle, ~middle])
    table, features = loss_table(nll), pd.DataFrame({"x": feature})
    assert lost(table, "routed", features).mean() < lost(table, "best").mean() - 0.35


@pytest.mark.parametrize("seed", range(4))
def test_a_useless_feature_does_not_beat_best_and_costs_little(seed):
    generator = np.random.default_rng(seed)
    nll = 2 + generator.gamma(2, 0.3, (SAMPLES, 3)) + [0, 0.2, 0.3]
    table, features = loss_table(nll), pd.DataFrame(generator.normal(size=(SAMPLES, 5))).add_prefix("x")
    routed, best = (lost(table, rule, features, ["m0", "m1", "m2"]).mean() for rule in ("routed", "best"))
    assert best - 0.005 < routed < best + 0.03
    shown = bl.attainability(table, ["m0", "m1", "m2"], rules="routed", features=features, draws=200)["routed"]
    assert shown.difference.upper > 0


def test_the_table_s_own_columns_are_known_and_tokens_are_the_members_own():
    table, features = table_and_feature()
    side = np.where(features["x"] > 0, "up", "down")
    with_domain = table.assign(domain=("sample", side.astype(object)))
    assert lost(with_domain, "routed").mean() == pytest.approx(lost(table, "oracle").mean(), abs=1e-9)
    tokens = np.column_stack([np.where(features["x"] > 0, 9, 3), np.full(SAMPLES, 5)])
    by_tokens = table.assign(tokens=(("sample", "lm"), tokens))
    assert lost(by_tokens, "routed").mean() == pytest.approx(lost(table, "oracle").mean(), abs=1e-9)
    with pytest.raises(InputError, match="nothing is known of the samples"):
        lost(table, "routed")
    constant = table.assign(domain=("sample", np.full(SAMPLES, "one", dtype=object)))
    with pytest.raises(InputError, match="nothing is known of the samples"):
        lost(constant, "routed")


def test_texts_are_features():
    table, features = table_and_feature()
    texts = np.where(features["x"] > 0, "def function(self):", "Once upon a time there was")
    frame = pd.DataFrame({"text": [f"{text} {number}" for number, text in enumerate(texts)]})
    assert lost(table, "routed", frame).mean() == pytest.approx(lost(table, "oracle").mean(), abs=0.01)


def test_features_are_matched_by_name():
    table, features = table_and_feature()
    named = features.assign(sample=table["sample"].to_numpy()).sample(frac=1, random_state=0)
    extra = pd.DataFrame({"x": [0.5], "sample": ["unknown"]})
    expected = lost(table, "routed", features)
    np.testing.assert_array_equal(lost(table, "routed", pd.concat([named, extra])), expected)


def test_files_of_features_are_read(tmp_path):
    table, features = table_and_feature()
    named = features.assign(sample=table["sample"].to_numpy())
    named.to_csv(tmp_path / "f.csv", index=False)
    named.to_parquet(tmp_path / "f.parquet")
    expected = lost(table, "routed", features)
    for name in ("f.csv", "f.parquet"):
        np.testing.assert_array_equal(lost(table, "routed", tmp_path / name), expected)
    (tmp_path / "bad.parquet").write_text("no Parquet")
    with pytest.raises(InputError, match="no readable Parquet file"):
        lost(table, "routed", tmp_path / "bad.parquet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.assign(y=1.0), "column 'y' of the features is 1 on every sample"),
        (lambda frame: frame.assign(y=frame["x"].where(frame.index > 3)), "'y' of the features is missing on 4 of 600"),
        (lambda frame: frame.assign(y=np.where(frame.index == 7, np.inf, 0)), "missing on 1 of 600"),
        (lambda frame: frame.assign(y="red"), "holds .*which is no number"),
        (lambda frame: frame.iloc[:-1], "have 599 rows, and the table has 600"),
        (
            lambda frame: frame.assign(sample=[f"s{i}" for i in range(599)] + ["t"]),
            "lack 1 of 600 samples, such as 's5",
        ),
        (lambda frame: frame.assign(sample="s1"), "name the sample 's1' twice"),
        (lambda frame: pd.DataFrame({"sample": [f"s{i}" for i in range(600)]}), "no column but names"),
    ],
)
def test_features_that_cannot_be_used_are_refused(change, message):
    table, features = table_and_feature()
    with pytest.raises(InputError, match=message):
        lost(table, "routed", change(features))


def test_a_feature_computed_from_losses_is_told():
    table, features = table_and_feature(sizes=np.random.default_rng(2).integers(50, 2000, SAMPLES))
    # Losses of long texts go with their length, and the length was not computed from them.
    table["nll"] = table["nll"] * table["bytes"]
    lengths = table["bytes"].to_numpy()
    honest = features.assign(length=lengths, words=lengths / 6 + np.random.default_rng(3).normal(size=SAMPLES))
    found = bl.attainability(table, ["m0", "m1"], rules="routed", features=honest, draws=20)
    assert found.findings == ()
    nll = table["nll"].to_numpy()
    for leak in (nll[:, 0], -nll[:, 1] / lengths, nll[:, 0] + lengths):
        with pytest.warns(bl.LossTableWarning, match="'leak' goes with the loss of m.*likely computed from losses"):
            bl.combine(table, ["m0", "m1"], rule="routed", features=honest.assign(leak=leak))


def test_many_columns_are_projected_and_few_are_bent():
    generator = np.random.default_rng(0)
    column = generator.normal(size=100)
    assert feature_basis([column], []).shape == (100, 4)
    assert feature_basis([(column > 0).astype(float)], []).shape == (100, 1)
    wide = feature_basis(list(generator.normal(size=(300, 400))), [])
    assert wide.shape == (400, MOST_COLUMNS)
    np.testing.assert_allclose(np.corrcoef(wide.T), np.eye(MOST_COLUMNS), atol=1e-8)


def test_texts_are_described_alike_wherever_they_stand():
    numbers, shares = text_columns(["abc abc", "abc abc", "", "Ünï 12", "\ud800"])
    for column in (*numbers.values(), *shares.values()):
        assert column[0] == column[1]
        assert np.isfinite(column).all()
    assert 1 < len(shares) <= BUCKETS
    squares = sum(column[0] ** 2 for column in shares.values())
    assert squares == pytest.approx(1)
    assert numbers["text digits"].tolist() == pytest.approx([0, 0, 0, 2 / 8, 0])


@pytest.mark.parametrize("rule", in_gate(["routed"], ["routed", "cascade", "cascade_by_feature"]))
def test_rules_that_look_at_more_than_losses_are_refused_where_losses_are_drawn(rule, file_of_fit):
    losses = bl.load_dataset("zoo", unit="document")
    calls = [
        lambda: bl.make_pools(losses, rule=rule),
        lambda: bl.pools_of(losses, [["zoo-gpt2-15k"]], rule=rule),
        lambda: bl.advantage(losses, rule=rule),
        lambda: bl.predict(file_of_fit("quick_joint"), {"members": ["7e9:alder"]}, rule=rule),
        lambda: bl.pool_check(file_of_fit("quick_joint"), rule=rule),
    ]
    for call in calls:
        with pytest.raises(InputError, match=r"looks at .* here losses are all there is"):
            call()
