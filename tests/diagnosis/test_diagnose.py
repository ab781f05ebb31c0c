"""Findings, each provoked, and claims as probabilities."""

import json

import arviz_stats
import numpy as np
import pytest
import xarray as xr
from forms import in_gate
from joint_cases import small_losses

from bayeslaw.diagnosis.checks import check, check_record, trusted
from bayeslaw.diagnosis.sampling_diagnostics import diagnostics, sampling_findings
from bayeslaw.findings import Finding
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.joint.law import JointLaw
from bayeslaw.laws import CollaborationLaw
from bayeslaw.likelihood.noise import Noise
from bayeslaw.posterior.retries import rhat_limit

SAMPLING = {"one-chain", "rhat", "ess", "divergences", "bfmi", "tree-depth"}


def doctored(fit, group=None, change=None, **attrs):
    """Return a fit whose group was changed by a function of its dataset, and whose attributes are others."""
    tree = fit.tree.copy(deep=True)
    if group is not None:
        tree[group] = xr.DataTree(change(tree[group].to_dataset()))
    tree.attrs = {**tree.attrs, **attrs}
    return Fit(tree)


def with_facts(fit, **facts):
    old = json.loads(fit.tree.attrs["facts"])
    return doctored(fit, facts=json.dumps({**old, **facts}))


def codes(fit):
    return [finding.code for finding in check(fit)]


def found(fit, code):
    (finding,) = [finding for finding in check(fit) if finding.code == code]
    assert finding.message.endswith(".")
    assert finding.remedy
    return finding


def test_a_good_fit_has_no_finding_of_the_sampler(partial_fit, collaboration_fit):
    for good in (partial_fit, collaboration_fit):
        assert not SAMPLING & set(codes(good))
        assert trusted(check(good))
    assert codes(partial_fit) == []


def test_figures_are_those_of_arviz(collaboration_fit):
    figures, tree = diagnostics(collaboration_fit), collaboration_fit.tree
    table = arviz_stats.summary(tree, round_to="none", kind="diagnostics").astype(float)
    assert figures.rhat_max == pytest.approx(table["r_hat"].max())
    assert figures.ess_bulk_min == pytest.approx(table["ess_bulk"].min())
    assert figures.ess_tail_min == pytest.approx(table["ess_tail"].min())
    assert figures.bfmi_min == pytest.approx(float(np.min(arviz_stats.bfmi(tree)["energy"])), rel=0.01)
    assert figures.divergences == 0


def test_a_chain_elsewhere_is_an_error(partial_fit):
    def move(posterior):
        posterior["floor"] = posterior["floor"] + 0.1 * (posterior["chain"] == 1)
        return posterior

    bad = doctored(partial_fit, "posterior", move)
    finding = found(bad, "rhat")
    assert finding.severity == "error"
    assert f"{diagnostics(bad).rhat_max:.3f}" in finding.message
    assert not trusted(check(bad))
    assert codes(bad)[0] in ("rhat", "ess")


@pytest.mark.parametrize(("kept", "flagged"), [(250, False), (1000, True)])
def test_chains_agree_by_the_rule_that_fits_stop_at(partial_fit, kept, flagged):
    """The same R-hat of 1.02 may be chance among 250 draws of four chains, and is not among 1,000."""
    rng = np.random.default_rng(0)

    def shift(posterior):
        values = rng.standard_normal((4, kept))
        values -= values.mean(axis=1, keepdims=True)
        values += np.array([-1.0, -0.3, 0.3, 1.0])[:, None] * np.sqrt(0.04)
        floors = np.repeat((10 + values)[..., None], posterior.sizes["family"], axis=2)
        few = posterior.isel(chain=np.resize(np.arange(posterior.sizes["chain"]), 4), draw=slice(kept))
        few = few.assign_coords(chain=np.arange(4))
        return few.assign(floor=few["floor"].copy(data=floors))

    made = doctored(partial_fit, "posterior", shift)
    figures = diagnostics(made)
    assert 1.01 < figures.rhat_max < 1.02
    assert figures.rhat_limit == rhat_limit(kept, 4)
    assert ("rhat" in [finding.code for finding in sampling_findings(made, figures)]) is flagged


def test_one_chain_is_an_error(partial_fit):
    def first(group):
        return group.isel(chain=[0])

    tree = partial_fit.tree.copy(deep=True)
    for name in ("posterior", "sample_stats"):
        tree[name] = xr.DataTree(first(tree[name].to_dataset()))
    alone = Fit(tree)
    assert found(alone, "one-chain").severity == "error"
    assert "R-hat needs two" in found(alone, "one-chain").message
    assert "rhat" not in codes(alone)
    assert np.isnan(diagnostics(alone).rhat_max)


def test_few_effective_draws_are_an_error(partial_fit):
    def repeat(posterior):
        slow = posterior["exponent_spread"].copy(
            data=np.repeat(posterior["exponent_spread"].to_numpy()[:, ::50], 50, axis=1)
        )
        return posterior.assign(exponent_spread=slow)

    bad = doctored(partial_fit, "posterior", repeat)
    finding = found(bad, "ess")
    figures = diagnostics(bad)
    assert f"only {min(figures.ess_bulk_min, figures.ess_tail_min):.0f} independent" in finding.message
    assert finding.severity == "error"


def statistic(name, values):
    def change(statistics):
        return statistics.assign({name: statistics[name].copy(data=values(statistics[name].to_numpy()))})

    return change


def test_divergences_are_counted(partial_fit):
    bad = doctored(
        partial_fit, "sample_stats", statistic("diverging", lambda v: np.arange(v.size).reshape(v.shape) < 3)
    )
    assert found(bad, "divergences").message.startswith("3 trajectories")
    assert not trusted(check(bad))


def test_slow_energies_are_warned_about(partial_fit):
    walk = statistic("energy", lambda v: np.cumsum(np.random.default_rng(0).standard_normal(v.shape), axis=1))
    bad = doctored(partial_fit, "sample_stats", walk)
    assert found(bad, "bfmi").severity == "warning"
    assert trusted(check(bad))


@pytest.mark.parametrize(("share", "warned"), [(0.005, False), (0.05, True)])
def test_deep_trees_are_warned_about(partial_fit, share, warned):
    deep = statistic("reached_max_treedepth", lambda v: np.arange(v.size).reshape(v.shape) < share * v.size)
    assert ("tree-depth" in codes(doctored(partial_fit, "sample_stats", deep))) is warned


def test_a_floor_that_the_prior_decides_is_warned_about(partial_fit):
    prior = partial_fit.values("prior")

    def forget(posterior):
        shape = posterior["floor"].shape
        index = np.arange(shape[0] * shape[1]) % len(prior["floor"])
        floor = posterior["floor"].to_numpy().copy()
        floor[:, :, 1] = prior["floor"][index, 1].reshape(shape[:2])
        return posterior.assign(floor=posterior["floor"].copy(data=floor))

    finding = found(doctored(partial_fit, "posterior", forget), "floor-prior")
    assert finding.severity == "warning"
    assert "floor of birch by only" in finding.message


def test_an_exponent_that_the_prior_decides_is_warned_about(few_rows_fit):
    messages = [finding.message for finding in check(few_rows_fit) if finding.code == "exponent-prior"]
    posterior, prior = (np.log(few_rows_fit.values(group)["exponent"]).std(0) for group in ("posterior", "prior"))
    weak = [name for name, share in zip(few_rows_fit.model.groups, 1 - posterior / prior, strict=True) if share < 0.3]
    assert [name for name in few_rows_fit.model.groups if any(name in message for message in messages)] == weak


@pytest.mark.parametrize(("narrowed", "warned"), [(0.25, True), (0.35, False)])
def test_what_data_add_is_the_share_of_the_deviation(tiny_fit, narrowed, warned):
    """The posterior is made the prior, drawn together on the log scale by a given share."""
    logs = np.log(np.resize(tiny_fit.values("prior")["exponent"], (4, 1000)))
    draws = np.exp(logs.mean() + (1 - narrowed) * (logs - logs.mean()))
    made = doctored(tiny_fit, "posterior", lambda posterior: posterior.assign(exponent=(("chain", "draw"), draws)))
    assert ("exponent-prior" in codes(made)) is warned
    if warned:
        assert "narrow the exponent by only 25%" in found(made, "exponent-prior").message


@pytest.mark.parametrize("name", in_gate({"tiny", "collaboration"}, ["tiny", "collaboration", "chinchilla"]))
def test_exponents_that_data_decide_are_not_warned_about(name, request):
    assert "exponent-prior" not in codes(request.getfixturevalue(f"{name}_fit"))


def test_few_sizes_are_named_by_group(few_rows_fit, tiny_fit):
    (message,) = [finding.message for finding in check(few_rows_fit) if finding.code == "few-sizes"]
    assert "alder 4, birch 2, cedar 1." in message
    assert "few-sizes" not in codes(tiny_fit)


def test_pools_that_overlap_are_warned_about_where_rows_are_independent(collaboration_fit, tiny_fit):
    noise = json.loads(collaboration_fit.tree.attrs["noise"]) | {"dependence": "independent", "member_scale": None}
    independent = doctored(collaboration_fit, noise=json.dumps(noise))
    assert found(independent, "overlapping-pools").severity == "warning"
    assert "overlapping-pools" not in codes(collaboration_fit)
    assert "overlapping-pools" not in codes(tiny_fit)


@pytest.mark.slow
def test_a_fit_of_independent_pools_is_warned_about(small_pools):
    independent = fit(CollaborationLaw(), small_pools, noise=Noise(dependence="independent"), draws=100, chains=2)
    assert found(independent, "overlapping-pools").severity == "warning"


@pytest.mark.parametrize(
    ("fact", "value", "code", "said"),
    [
        ("clusters", 19, "few-clusters", "19 clusters"),
        ("size_budget_correlation", 0.91, "collinear-size", "0.91"),
        ("largest_winner_share", 0.96, "one-winner", "big wins 96.0%"),
    ],
)
def test_facts_of_the_table_are_warned_about(collaboration_fit, fact, value, code, said):
    plain = with_facts(collaboration_fit, largest_winner="big")
    assert code not in codes(plain)
    at_limit = {"clusters": 20, "size_budget_correlation": 0.9, "largest_winner_share": 0.95}[fact]
    assert code not in codes(with_facts(plain, **{fact: at_limit}))
    bad = with_facts(plain, **{fact: value})
    assert said in found(bad, code).message


def test_training_tokens_that_the_law_does_not_take_are_named(collaboration_fit, tiny_fit):
    assert "unused-tokens" not in codes(collaboration_fit)
    assert "unused-tokens" not in codes(tiny_fit)
    told = found(with_facts(collaboration_fit, unused_tokens="1e+09 to 2e+12"), "unused-tokens")
    assert told.severity == "info"
    assert "trained on 1e+09 to 2e+12 tokens, and the collaboration law does not look at them" in told.message


def test_the_joint_law_says_that_it_does_not_look_at_training_tokens():
    losses = small_losses()
    tokens = np.geomspace(1e9, 2e12, losses.sizes["lm"])
    short = fit(JointLaw(), losses.assign(training_tokens=("lm", tokens)), draws=50, chains=1)
    assert "trained on 1B to 2T tokens" in found(short, "unused-tokens").message


def test_errors_come_first(few_rows_fit):
    bad = doctored(few_rows_fit, "sample_stats", statistic("diverging", np.ones_like))
    severities = [finding.severity for finding in check(bad)]
    assert severities == sorted(severities, key=["error", "warning", "info"].index)
    assert severities[0] == "error"
    assert "warning" in severities


def test_trust_is_the_absence_of_errors():
    assert trusted([])
    assert trusted([Finding("a", "warning", "", ""), Finding("b", "info", "", "")])
    assert not trusted([Finding("a", "warning", "", ""), Finding("b", "error", "", "")])


def test_a_fit_without_its_prior_is_said_to_be_one(collaboration_fit):
    small = collaboration_fit.keep([])
    record = check_record(small)
    assert record["claims"] == []
    assert not {"floor-prior", "exponent-prior"} & {finding["code"] for finding in record["findings"]}
    assert found(small, "no-prior").severity == "info"
    assert "no-prior" not in codes(collaboration_fit)


def test_the_record_is_plain(collaboration_fit):
    record = json.loads(json.dumps(check_record(collaboration_fit)))
    assert set(record) == {"trusted", "findings", "claims", "diagnostics", "sensitivity"}
    assert record["trusted"] is True
    assert set(record["sensitivity"]["predictions"][0]) == {"part", "where", "beyond", "prior", "likelihood"}
    assert set(record["sensitivity"]["parameters"][0]) == {"parameter", "prior", "likelihood"}
    assert set(record["findings"][0]) == {"code", "severity", "message", "remedy"}
    assert set(record["claims"][0]) >= {"claim", "probability", "unit"}
    figures = {"rhat_max", "rhat_limit", "ess_bulk_min", "ess_tail_min", "divergences", "bfmi_min"}
    assert set(record["diagnostics"]) == figures
