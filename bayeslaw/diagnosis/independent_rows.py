"""The same law with its rows taken as independent, to see how much of a claim is decided by how rows are taken."""

from __future__ import annotations

import json
from dataclasses import replace

import jax

from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.given_rows import rows_of
from bayeslaw.fitting.row_posterior import row_posterior
from bayeslaw.fitting.tree import build_tree
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import DEPENDENCE_NAMES
from bayeslaw.posterior.solution import draw_posterior


def fit_of_independent_rows(fit: Fit) -> Fit:
    """Fit a law of rows again, with the same priors, draws, chains and seed, as if its rows were independent.

    Parameters
    ----------
    fit
        A fit of a law of rows.

    Returns
    -------
    Fit
        The new fit, or the given one where its rows are independent already.
    """
    if fit.model.dependence is None:
        return fit
    noise = replace(fit.noise, dependence=DEPENDENCE_NAMES[False], member_scale=None)
    sizes, seed = fit.tree["posterior"].sizes, json.loads(fit.tree.attrs.get("settings", "{}")).get("seed", 0)
    model = LawModel(fit.law, noise, fit.observations)
    with jax.enable_x64(True):
        solution = draw_posterior(
            row_posterior(model), rows_of(model), draws=sizes["draw"], chains=sizes["chain"], seed=seed
        )
        attrs = {**fit.tree.attrs, "noise": json.dumps(noise.specification)}
        return Fit(build_tree(model, solution.draws, seed=seed, attrs=attrs))
