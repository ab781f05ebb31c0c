"""Every public function has examples, and they do what they say."""

import doctest
import inspect
import re

import numpy as np
import pytest
from quick_fits import quick_fits

import bayeslaw
import inference
from bayeslaw.datasets.load import find_dataset
from bayeslaw.laws.registry import LAWS

FUNCTIONS = [
    (package, name)
    for package in (bayeslaw, inference)
    for name in package.__all__
    if inspect.isfunction(getattr(package, name))
]
NEED_A_SERVER_OR_FILES = {"losses_from_completions", "losses_from_harness", "read_token_losses"}
"""Of these no example can be run here, but for the import."""
FITS = {"fit": "power", "pools_fit": "collaboration", "joint_fit": "quick_joint"}
"""What examples call fits that they do not make, and which of the shared ones stand for them."""


SLOW = {
    *("k_fold", "stack", "leave_out", "compare", "calibrate", "truth_coverage", "claims", "maximum_likelihood"),
    *("predict_draws", "next_scores", "pool_check", "prior_check", "report"),
    *("save_pareto", "save_prior_predictive", "save_attainability", "save_plot"),
    *("plot_attainability", "plot_claims", "plot_forest", "plot_law", "plot_matched", "plot_pareto", "plot_posterior"),
    *("plot_predicted", "plot_predictive", "plot_prior_predictive", "plot_ranks", "plot_when"),
    *("run", "ensemble_score", "token_log_probabilities"),
}
"""What takes long, and works out again what another example or tests of the function do: run in the slow tier."""


def examples_of(package, name) -> doctest.DocTest:
    text = inspect.getdoc(getattr(package, name)) or ""
    assert re.search(r"^Examples\n-+\n", text, re.M), f"{name} has no Examples section"
    return doctest.DocTestParser().get_doctest(text, {}, name, None, None)


@pytest.mark.parametrize(
    ("package", "name"),
    [pytest.param(*each, marks=pytest.mark.slow if each[1] in SLOW else ()) for each in FUNCTIONS],
    ids=[f"{p.__name__}.{n}" for p, n in FUNCTIONS],
)
def test_examples_run(package, name, read_fit, tmp_path, monkeypatch):
    examples = examples_of(package, name)
    run = [each for each in examples.examples if doctest.SKIP not in each.options and "import" not in each.source]
    assert run or name in NEED_A_SERVER_OR_FILES
    source = "".join(each.source for each in examples.examples)
    for called, fit in FITS.items():
        if re.search(rf"\b{called}\b", source):
            examples.globs[called] = read_fit(fit)
    if re.search(r"\bcheckpoint\b", source):
        examples.globs["checkpoint"] = find_dataset("zoo").checkpoints[0]
    # Examples write into the working directory, and register laws.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(LAWS, "_loaded", {**LAWS._loaded})
    said: list[str] = []
    with quick_fits(), np.printoptions(legacy=False):
        result = doctest.DocTestRunner(verbose=False).run(examples, out=said.append)
    assert result.failed == 0, "".join(said)


def test_a_wrong_example_is_seen():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner(verbose=False).run(wrong, out=lambda text: None).failed == 1
