"""Fit a law of rows: mode, curvature and NUTS, and the tree that is saved."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import jax
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_attributes import attributes_of, resolved
from bayeslaw.fitting.fit_file import MEMBERS, OPTIONAL_GROUPS
from bayeslaw.fitting.given_rows import rows_of
from bayeslaw.fitting.row_posterior import row_posterior
from bayeslaw.fitting.tree import build_prior_tree, build_tree
from bayeslaw.fitting.usual_noise import usual_noise
from bayeslaw.laws import DiversityLaw, Law, PowerLaw
from bayeslaw.likelihood.compiled import stopwatch
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.pools.gains import models_of_pools
from bayeslaw.posterior.draws_memory import check_room
from bayeslaw.posterior.kept_draws import Checkpoint
from bayeslaw.posterior.samplers import AUTO
from bayeslaw.posterior.sampling_plan import USUAL_PLAN, SamplingPlan
from bayeslaw.posterior.solution import draw_posterior
from bayeslaw.progress import progress_bar

PREPARING = "working out what the rows share"
FOLLOWING = "working out what follows from the draws"


def fit_rows(
    checkpoint: Checkpoint,
    law: Law,
    data: xr.Dataset,
    *,
    noise: Noise | None,
    draws: int,
    chains: int,
    seed: int,
    parameters: str,
    progress: bool | None,
    sampler: str = AUTO,
    plan: SamplingPlan = USUAL_PLAN,
) -> xr.DataTree:
    """Fit a law of rows to a table.

    Parameters
    ----------
    checkpoint
        Where draws are kept while the fit goes on; it has begun.
    law, data, noise, draws, chains, seed, parameters, progress, sampler
        As in `bayeslaw.fit`.
    plan
        How long chains adapt, towards which acceptance, and how they are thinned.

    Returns
    -------
    xarray.DataTree
        As `bayeslaw.fitting.tree.build_tree` builds it.

    Raises
    ------
    InputError
        If the law cannot be fitted to this table, or draws would take more memory than there is.
    """
    observations = law.observe(data, parameters=parameters)
    settings: dict[str, Any] = {"draws": draws, "chains": chains, "seed": seed}
    with jax.enable_x64(True):
        model = resolved(LawModel(law, noise or usual_noise(law, observations), observations))
        with stopwatch() as watch:
            with progress_bar(PREPARING, None, shown=progress):
                posterior = row_posterior(model)
            check_room(draws, chains, thin=plan.thin, coordinates=len(posterior.start), rows=len(model.response))
            made: dict[str, Any] = {"progress": progress, "sampler": sampler, "plan": plan, "checkpoint": checkpoint}
            solution = draw_posterior(posterior, rows_of(model), **made, **settings)
        attrs = attributes_of(model, data, parameters) | {
            "settings": json.dumps(solution.settings | settings | {"thin": plan.thin})
        }
        with progress_bar(FOLLOWING, None, shown=progress):
            tree = build_tree(model, solution.draws, seed=seed, attrs=attrs)
    seconds = watch.total - watch.compiling + checkpoint.seconds_before
    tree["sample_stats"].attrs |= {"sampling_time": seconds, "compile_time": watch.compiling}
    return tree


def fit_gains(
    checkpoint: Checkpoint, law: DiversityLaw, data: xr.Dataset, *, noise: Noise | None, **choices: Any
) -> xr.DataTree:
    """Fit a diversity law, and beside it the power law of its pools' members; arguments as of `fit_rows`."""
    tree = fit_rows(checkpoint, law, data, noise=noise, **choices)
    # Without three sizes of models there is no law of them, and members must have been scored.
    with contextlib.suppress(InputError):
        choices["parameters"] = "total"
        members = fit_rows(checkpoint.within(MEMBERS), PowerLaw(), models_of_pools(data), noise=None, **choices)
        tree[MEMBERS] = members.filter(lambda node: node.name not in OPTIONAL_GROUPS)
    return tree


def prior_of_rows(
    law: Law, data: xr.Dataset, *, noise: Noise | None, draws: int, seed: int, parameters: str
) -> xr.DataTree:
    """Draw a law of rows from its prior; as `bayeslaw.prior_predictive`, without the losses of the rows."""
    observations = law.observe(data, parameters=parameters)
    with jax.enable_x64(True):
        model = resolved(LawModel(law, noise or usual_noise(law, observations), observations))
        attrs = attributes_of(model, data, parameters) | {"settings": json.dumps({"draws": draws, "seed": seed})}
        return build_prior_tree(model, draws=draws, seed=seed, attrs=attrs)


def numpyro_model(law: Law, data: xr.Dataset, *, noise: Noise | None, parameters: str) -> Callable[..., None]:
    """Write a law of rows as a NumPyro model; as `bayeslaw.numpyro_model`."""
    observations = law.observe(data, parameters=parameters)
    return LawModel(law, noise or usual_noise(law, observations), observations)
