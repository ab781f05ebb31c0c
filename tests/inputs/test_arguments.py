"""Every public function, with wrong values in the place of each argument in turn: refused in a sentence."""

import inspect
import itertools
import math
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import pytest
import xarray as xr

import bayeslaw as bl
from bayeslaw.calibration.ranks import envelope
from bayeslaw.errors import InputError

# What is made by functions, not by users: it holds what it is given.
RECORDS = {
    *(
        "Advantage",
        "Attainabilities",
        "Attainability",
        "Calibration",
        "Claim",
        "Comparison",
        "Diagnostics",
        "Finding",
        "LeftOut",
    ),
    *("LossReport", "LossTableWarning", "Recommendation", "InputError", "Law", "TruthCoverage"),
    *("Choice", "Choices", "FrontPool", "Crossovers", "NextScores", "PriorCheck", "ExpectedLoss"),
    *("Summary", "ParameterSummary"),
}


class ReachedError(Exception):
    """The work of a function began, since nothing was wrong with its arguments."""


class Odd:
    """Is nothing that any function takes."""

    def __repr__(self) -> str:
        return "odd"


# No argument of any function takes these, but for what registers a class.
NEVER = {"inf", "nan", "complex", "bytes", "[None]", "{1: 2}", "odd", "class", "function", "date", "objects"}
WRONG: dict[str, Any] = {
    "None": None,
    "True": True,
    "3.5": 3.5,
    "nan": math.nan,
    "inf": math.inf,
    "-1": -1,
    "0": 0,
    "2**70": 2**70,
    "complex": 1j,
    "'no such thing'": "no such thing",
    "''": "",
    "'7'": "7",
    "NUL": "a\0b",
    "bytes": b"x",
    "[]": [],
    "[1, 2]": [1, 2],
    "[None]": [None],
    "[[1]]": [["a"], 1],
    "{}": {},
    "{1: 2}": {1: 2},
    "{'a': None}": {"a": None},
    "set": {"a"},
    "odd": Odd(),
    "class": bl.PowerLaw,
    "function": len,
    "array": np.arange(3),
    "matrix": np.ones((2, 2)),
    "objects": np.array([None, "a"], dtype=object),
    "date": np.datetime64("2026-01-01"),
    "empty frame": pd.DataFrame(),
    "frame": pd.DataFrame({"a": [1.0, 2.0]}),
    "series": pd.Series([1.0, 2.0]),
    "empty dataset": xr.Dataset(),
    "dataset": xr.Dataset({"a": ("x", [1.0])}, attrs={"kind": "losses"}),
    "odd kind": xr.Dataset({"nll": ("x", [1.0])}, attrs={"kind": ["losses"]}),
    "array of xarray": xr.DataArray([1.0, 2.0], dims="x"),
    "tree": xr.DataTree(),
    "law": bl.PowerLaw(),
    "noise": bl.Noise(),
    "prior": dist.Normal(0, 1),
}


# Kinds of mistakes: the gate looks at these, the slow tier at all others.
FEW = {"None", "3.5", "nan", "-1", "'no such thing'", "''", "bytes", "[1, 2]", "{1: 2}", "odd", "objects", "dataset"}


def small_calibration() -> bl.Calibration:
    """Return what four simulations of one quantity might have found."""
    values = pd.DataFrame({"floor": [0.1, 0.4, 0.6, 0.9]})
    return bl.Calibration(
        law="power",
        unit="nats per sample",
        simulations=4,
        failed=0,
        divergent=0,
        slow=0,
        ranked_draws=99,
        values=values,
        ranks=(100 * values).astype(int),
        envelope=envelope(4, 0.95),
        rank_table=pd.DataFrame({"quantity": ["floor"], "inside": [True]}),
        coverage=pd.DataFrame(),
        seconds=1.0,
    )


def right(folder, fits) -> dict[str, tuple[Callable[..., Any], dict[str, Any]]]:
    """Return every public callable with arguments that are right."""
    losses = bl.simulate_losses(families=2, sizes=3, samples=40, clusters=10)
    pools, fit, joint = bl.simulate_pools(), fits("collaboration"), fits("quick_joint")
    models = pd.DataFrame({"model": ["a", "b"], "family": "f", "parameters": [1e8, 1e9]})
    whole, wide = models.assign(loss=[2.0, 1.5]), pd.DataFrame({"a": [1.0, 2.0], "b": [1.0, 1.5]})
    names = losses["lm"].to_numpy().tolist()[:2]
    refit = {"draws": 50, "chains": 1, "seed": 0}
    choice = {"kind": "new", "samples": "same", "rule": None, "seed": 0}
    both = {"one": fit, "other": fit}
    stack = bl.Stack(both, {"one": 0.5, "other": 0.5})
    bl.write_losses(losses, folder / "losses")
    bl.write_pools(pools, folder / "pools")
    parameters = {"parameters": "total"}
    choices = bl.choose(losses, max_size=2, draws=20)
    prior = bl.prior_predictive("power", losses, draws=50)
    attained = bl.attainability(losses, names, rules=["mixture"], draws=5)
    formed, drawn_into = bl.make_pools(losses, max_size=2), {"ax": None, "figure": None}
    calibration = small_calibration()
    arguments: dict[str, dict[str, Any]] = {
        "BrokenPowerLaw": dict.fromkeys(bl.BrokenPowerLaw.parameter_names),
        "ChinchillaLaw": dict.fromkeys(bl.ChinchillaLaw.parameter_names),
        "ChinchillaTruth": {"floor": 2.0, "noise": 0.005, "token_exponent": 0.3},
        "CollaborationLaw": {"floor": None, "amplitude": None, "exponent": None, "pooling": "partial", "spread": {}},
        "CompletionsServer": {
            "url": "http://localhost:1/v1",
            "style": "auto",
            "timeout": 1.0,
            "retries": 0,
            "pause": 1.0,
            "concurrency": 1,
        },
        "DiversityLaw": {"growth": None, "pooling": "complete", "spread": {}, "diversity": ("families",)},
        "JointLaw": {"link": None, "exponent": None, "length": None},
        "Fit": {"tree": fit.tree},
        "Noise": {
            "distribution": "normal",
            "response": "loss",
            "standard_errors": None,
            "scale": None,
            "degrees_of_freedom": None,
            "by_group": None,
            "dependence": None,
            "member_scale": None,
        },
        "PowerLaw": {"floor": None, "exponent": None, "pooling": "partial", "spread": {}},
        "PowerTruth": {"floor": 1.5, "amplitude": 1.5, "exponent": 0.3},
        "ServedTexts": {"names": ["a"], "texts": ["b"], "domains": None, "clusters": None},
        "Stack": {"fits": both, "weights": {"one": 0.5, "other": 0.5}},
        "Truth": {"law": bl.PowerTruth(), "family_spread": 0.1, "cluster_share": 0.2},
        "advantage": {
            "losses": losses,
            "rule": "oracle",
            "max_size": 2,
            **parameters,
            "tolerance": 1.0,
            "interval": 0.9,
            "draws": 5,
            "seed": 0,
        },
        "attainability": {
            "losses": losses,
            "members": names,
            "rules": ["mixture"],
            "interval": 0.9,
            "draws": 5,
            "seed": 0,
            "token_losses": None,
            "features": None,
        },
        "between": {"low": 0.1, "high": 0.6, "mass": 0.9},
        "calibrate": {
            "law": "power",
            "data": None,
            "noise": None,
            "simulations": 10,
            "seed": 0,
            "journal": None,
            "progress": False,
        },
        "check": {"fit": fit},
        "choose": {
            "losses": losses,
            "candidates": None,
            "max_parameters": 1e12,
            "max_price": None,
            "max_active": None,
            "max_size": 2,
            "require": (),
            "exclude": (),
            "rule": "mixture",
            "cost": "parameters",
            "top": 2,
            "interval": 0.9,
            "draws": 20,
            "seed": 0,
            "level": None,
        },
        "cascade_costs": {"losses": losses, "members": names, "seed": 0},
        "claims": {"fit": fit, "budgets": [1e9, "7B"], "independent_rows": False},
        "clustered_standard_error": {"values": np.arange(3), "weights": np.ones(3), "clusters": np.array(list("aab"))},
        "co_failure": {"losses": losses, "members": names, "thresholds": [1.0], "interval": 0.9},
        "combine": {
            "losses": losses,
            "members": names,
            "rule": "oracle",
            "seed": 0,
            "token_losses": None,
            "features": None,
        },
        "compare": {"fits": both, "by": None, "method": "exact", **refit, "progress": False},
        "diagnostics": {"fit": fit},
        "fit": {
            "law": "power",
            "data": losses,
            "noise": None,
            **refit,
            **parameters,
            "progress": False,
            "sampler": "auto",
            "warmup": None,
            "target_acceptance": None,
            "thin": 1,
            "checkpoint": None,
            "keep": None,
        },
        "k_fold": {"fit": fits("power"), "folds": 3, "by": None, **refit},
        "leave_out": {"fit": fit, "by": "model", "method": "exact", **refit, "progress": False},
        "list_datasets": {},
        "load_dataset": {"name": "zoo", "unit": None},
        "load_fit": {"path": folder / "none.nc", "keep": ()},
        "loss_report": {"losses": losses},
        "loss_unit": {"losses": losses},
        "losses_from_completions": {
            "server": bl.CompletionsServer("http://localhost:1/v1", retries=0),
            "texts": bl.ServedTexts(["a"], ["b"]),
            "names": ["m"],
            "models": models,
            "journal": None,
            "prefix": "",
            "allow_unscored": False,
            "quiet": True,
        },
        "losses_from_frames": {
            "losses": wide,
            "models": models,
            "unit": "word",
            "cluster": None,
            "sample": None,
            "describe": (),
            "missing": "error",
            "metric": "nll",
        },
        "losses_from_harness": {
            "runs": [folder],
            "models": models,
            "tasks": (),
            "repeats": "error",
            "missing": "error",
            "score": None,
        },
        "make_pools": {
            "losses": losses,
            "rule": "oracle",
            "max_size": 2,
            "limit": None,
            "design": "all",
            **parameters,
            "tolerance": 0.1,
            "seed": 0,
            "token_losses": None,
        },
        "maximum_likelihood": {"law": bl.PowerLaw(pooling="complete"), "data": losses, "noise": None, **parameters},
        "next_scores": {
            "fit": joint,
            "candidates": None,
            "samples": 10,
            "max_parameters": None,
            "max_size": 1,
            "rule": None,
            "draws": 50,
            "seed": 0,
        },
        "numpyro_model": {"law": bl.PowerLaw(), "data": losses, "noise": None, **parameters},
        "mean_losses": {"losses": losses},
        "models_from_frame": {"frame": whole, "unit": None, "missing": "error"},
        "plot_claims": {"fit": fit, "figure": None},
        "plot_co_failure": {"losses": losses, "members": names, "interval": 0.9, **drawn_into},
        "plot_diversity": {"pools": formed, "numbers": ("decorrelation",), "figure": None},
        "plot_forest": {"fit": fit, "interval": 0.9, "figure": None},
        "plot_matched": {"found": bl.advantage(losses, max_size=2, tolerance=9, draws=10), **drawn_into},
        "plot_pareto": {"choices": choices, **drawn_into},
        "plot_law": {
            "fit": fit,
            "interval": 0.9,
            "kinds": ("mean",),
            "beyond": 10.0,
            "groups": None,
            **drawn_into,
        },
        "plot_pool_sizes": {"losses": losses, "rules": None, "max_size": 2, "figure": None},
        "plot_posterior": {"fit": fit, "what": "forest", "interval": 0.9, "backend": "matplotlib"},
        "plot_predicted": {"fit": fit, "data": None, "interval": 0.9, "figure": None},
        "plot_predictive": {"fit": fit, "interval": 0.9, "figure": None},
        "plot_ranks": {"calibration": calibration, "figure": None},
        "pool_check": {"fit": joint, "rule": "oracle", "max_size": 2, "interval": 0.9, "draws": 20, "seed": 0},
        "pools_of": {"losses": losses, "members": [names], "rule": "oracle", **parameters, "seed": 0},
        "plot_attainability": {"found": attained, **drawn_into},
        "plot_prior_predictive": {"tree": prior, "interval": 0.9},
        "plot_when": {"fit": fit, "interval": 0.9, "regimes": None, **drawn_into},
        "predict": {"fit": fit, "at": {"parameters": [7e9]}, **choice, "interval": 0.9, "versus": None},
        "predict_draws": {"fit": fit, "at": [7e9], **choice},
        "prior_check": {"tree": prior, "interval": 0.9},
        "prior_predictive": {
            "law": "power",
            "data": losses,
            "noise": None,
            "draws": 50,
            "seed": 0,
            **parameters,
            "keep": None,
        },
        "read_losses": {
            "path": folder / "losses",
            "models": None,
            "unit": None,
            "cluster": None,
            "sample": None,
            "describe": (),
            "missing": "error",
            "metric": None,
        },
        "read_pools": {"folder": folder / "pools"},
        "read_token_losses": {"folder": folder / "losses", "models": None, "tokenizer": None},
        "recommend": {"data": losses, **parameters},
        "register_law": {"law": bl.PowerLaw},
        "report": {"of": fit, "out": folder / "page.html", "interval": 0.9, "seed": 0, "command": ""},
        "sample_weights": {"losses": losses},
        "save_attainability": {"found": attained, "path": folder / "rules.png", "width": None},
        "save_pareto": {"choices": choices, "path": folder / "front.png", "width": None},
        "save_plot": {
            "fit": fit,
            "path": folder / "f.png",
            "what": "law",
            "interval": 0.9,
            "groups": None,
            "width": None,
            "backend": "matplotlib",
        },
        "save_prior_predictive": {"tree": prior, "path": folder / "prior.png", "interval": 0.9},
        "simulate_chinchilla": {"points": 5, "truth": None, "seed": 0},
        "simulate_losses": {
            "families": 2,
            "sizes": 2,
            "samples": 5,
            "clusters": 2,
            "parameters": (1e8, 1e9),
            "with_bytes": False,
            "truth": None,
            "seed": 0,
        },
        "simulate_pools": {
            "regimes": None,
            "families": 2,
            "sizes": 2,
            "max_size": 2,
            "noise": 0.01,
            "limit": None,
            "seed": 0,
        },
        "stack": {"fits": both, "left_out": None, "by": "model", "method": "exact", **refit, "progress": False},
        "summary": {"fit": fit, "interval": 0.9},
        "truth_coverage": {
            "law": "power",
            "truth": {"floor": 1.5, "amplitude": 0.5, "exponent": 0.3},
            "data": None,
            "noise": None,
            "simulations": 10,
            "seed": 0,
            "journal": None,
            "progress": False,
        },
        "when": {
            "fit": fit,
            "rule": None,
            "budgets": [1e9],
            "beyond": 10.0,
            "sizes": None,
            "regimes": None,
            "kind": "mean",
            "interval": 0.9,
            "seed": 0,
        },
        "win_shares": {"losses": losses},
        "write_losses": {"dataset": losses, "folder": folder / "new"},
        "write_pools": {"pools": pools, "folder": folder / "new"},
    }
    public = {name: (getattr(bl, name), own) for name, own in arguments.items()}
    methods = {
        "Fit.values": (fit.values, {"group": "posterior"}),
        "Fit.keep": (fit.keep, {"groups": ()}),
        "Fit.save": (fit.save, {"path": folder / "f.nc"}),
        "Stack.predict": (stack.predict, {"at": {"parameters": 7e9}, **choice, "interval": 0.9}),
        "Stack.predict_draws": (stack.predict_draws, {"at": 7e9, **choice}),
    }
    return public | methods


# Where the work of a function begins that takes long.
WORK = (
    ("bayeslaw.fitting.row_fitting", "row_posterior"),
    ("bayeslaw.fitting.row_fitting", "build_prior_tree"),
    ("bayeslaw.fitting.point_fit", "flat_prior_mode"),
    ("bayeslaw.fitting.joint_fitting", "fit_joint_law"),
    ("bayeslaw.calibration.calibrations", "run_simulations"),
    ("bayeslaw.comparison.comparisons", "_loo"),
    ("bayeslaw.comparison.left_out", "refits_of"),
    ("bayeslaw.comparison.k_folds", "loo_kfold"),
    ("bayeslaw.plotting.claims_plot", "_draw_claim"),
    ("bayeslaw.plotting.co_failure_plot", "co_failure"),
    ("bayeslaw.plotting.diversity_plot", "draw_by_size"),
    ("bayeslaw.plotting.forest_plot", "_draw_panel"),
    ("bayeslaw.plotting.law_scene", "law_curve"),
    ("bayeslaw.plotting.matched_plot", "one_panel"),
    ("bayeslaw.plotting.pool_size_plot", "losses_by_size"),
    ("bayeslaw.plotting.posterior_pictures", "numbers_of"),
    ("bayeslaw.plotting.predicted_plot", "predicted_rows"),
    ("bayeslaw.plotting.predictive_plot", "_losses"),
    ("bayeslaw.plotting.rank_plot", "_panel"),
    # What imports a function comes before what has it: else it would keep what stands in for it here.
    ("bayeslaw.decision.regime_advantages", "law_draws"),
    ("bayeslaw.diagnosis.row_residuals", "law_draws"),
    ("bayeslaw.plotting.row_curves", "law_draws"),
    ("bayeslaw.prediction.row_prediction", "law_draws"),
    ("bayeslaw.diagnosis.joint_pool_check", "check_pools"),
    ("bayeslaw.decision.joint_scores", "draw_pools"),
    ("bayeslaw.sources.completions", "first_score"),
)


def reach(*args: object, **kwargs: object) -> None:
    raise ReachedError


@pytest.fixture(scope="module")
def known(tmp_path_factory, read_fit):
    return right(tmp_path_factory.mktemp("arguments"), read_fit)


@pytest.fixture
def calls(known, tmp_path, monkeypatch):
    for module, name in WORK:
        monkeypatch.setattr(import_module(module), name, reach)
    monkeypatch.chdir(tmp_path)
    return known


def test_every_public_callable_is_looked_at(calls):
    assert {name for name in calls if "." not in name} == set(bl.__all__) - RECORDS
    for name in set(bl.__all__) - RECORDS:
        function = getattr(bl, name)
        if inspect.isfunction(function):
            assert set(calls[name][1]) == set(inspect.signature(function).parameters), name


def outcome(call: Callable[[], Any]) -> str:
    """Return how a call ends: refused in a sentence, begun, done, or in another error."""
    try:
        call()
    except InputError as error:
        return "refused" if all((error.problem, error.accepted, error.fix)) else "half a sentence"
    except ReachedError:
        return "begun"
    except Exception as error:
        return repr(error)
    return "done"


@pytest.mark.parametrize("labels", [FEW, pytest.param(set(WRONG) - FEW, marks=pytest.mark.slow)], ids=["few", "others"])
def test_a_wrong_argument_is_refused_in_a_sentence(calls, labels):
    faults = []
    for name, (function, arguments) in calls.items():
        for argument, label in itertools.product(arguments, sorted(labels)):
            ends = outcome(partial(function, **{**arguments, argument: WRONG[label]}))
            never = label in NEVER and (name, label) != ("register_law", "class")
            if ends not in (("refused",) if never else ("refused", "begun", "done")):
                faults.append(f"{name}({argument}={label}): {ends:.99}")
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("number", [np.int64(3), np.int32(3), np.array(3), np.uint8(3)])
def test_whole_numbers_of_numpy_are_numbers(number):
    assert bl.simulate_chinchilla(points=number, seed=number).equals(bl.simulate_chinchilla(points=3, seed=3))


def test_levels_and_counts_of_numpy_are_numbers(tiny_fit):
    plain = bl.predict(tiny_fit, {"parameters": 7e9}, interval=0.5)
    for at in ([7e9], 7e9, np.float64(7e9), np.array([7e9]), "7B", ["7e9"], {"parameters": "7,000,000,000"}):
        assert bl.predict(tiny_fit, at, interval=np.float32(0.5)).equals(plain)


def test_paths_and_names_stand_for_what_they_name(tiny_fit, tmp_path, monkeypatch):
    tiny_fit.save(tmp_path / "f.nc")
    (tmp_path / "at.csv").write_text("parameters\n7B\n")
    plain = bl.predict(tiny_fit, [7e9])
    assert bl.predict(tmp_path / "f.nc", str(tmp_path / "at.csv")).equals(plain)
    bl.write_losses(bl.simulate_losses(families=2, sizes=3, samples=40, clusters=10), tmp_path / "losses")
    bl.write_pools(bl.make_pools(tmp_path / "losses", max_size=2), tmp_path / "pools")
    assert bl.recommend(str(tmp_path / "pools")).law == bl.CollaborationLaw()
    seen = []
    monkeypatch.setattr(
        sys.modules["bayeslaw.fitting.row_fitting"], "row_posterior", lambda model: seen.append(model) or reach()
    )
    for law, data in (("power", "losses"), ("collaboration", "pools")):
        with pytest.raises(ReachedError):
            bl.fit(law, tmp_path / data)
    assert [model.law.name for model in seen] == ["power", "collaboration"]
    with pytest.raises(InputError, match="use 'power'"):
        bl.fit("powr", tmp_path / "losses")


def test_a_frame_is_no_table_and_the_message_says_what_makes_one_of_it():
    with pytest.raises(InputError, match="models_from_frame"):
        bl.fit(bl.PowerLaw(), pd.DataFrame({"loss": [1.0]}))
