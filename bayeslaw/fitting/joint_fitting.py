"""Fit the joint law: its three blocks are sampled apart, by gradients that are worked out by hand."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_attributes import common_attributes
from bayeslaw.fitting.joint_posterior import joint_data, joint_posterior
from bayeslaw.fitting.joint_tree import build_joint_prior_tree, build_joint_tree
from bayeslaw.joint.joint_model import JointModel
from bayeslaw.joint.joint_table import JointTable, joint_table
from bayeslaw.joint.law import JointLaw
from bayeslaw.joint.numpyro_form import numpyro_form
from bayeslaw.laws.observations import unused_tokens
from bayeslaw.likelihood.compiled import stopwatch
from bayeslaw.likelihood.noise import Noise
from bayeslaw.posterior.draws_memory import check_room
from bayeslaw.posterior.kept_draws import NOTHING_KEPT, Checkpoint
from bayeslaw.posterior.samplers import AUTO
from bayeslaw.posterior.sampling_plan import USUAL_PLAN, SamplingPlan
from bayeslaw.posterior.solution import draw_posterior
from bayeslaw.progress import progress_bar

FOLLOWING = "working out what follows from the draws"
NO_FACTS: Mapping[str, Any] = MappingProxyType({})
ATTEMPTS = {"nuts": ((1000, 0.98), (2000, 0.995), (2000, 0.999))}
"""NUTS in coordinates that the curvature at one place gives needs small steps where offsets and their scale meet."""


def fit_joint_law(
    law: JointLaw,
    data: xr.Dataset,
    *,
    draws: int,
    chains: int,
    seed: int,
    parameters: str,
    progress: bool | None,
    sampler: str = AUTO,
    plan: SamplingPlan = USUAL_PLAN,
    attrs: dict[str, Any],
    checkpoint: Checkpoint = NOTHING_KEPT,
) -> xr.DataTree:
    """Fit the joint law to a loss table.

    Parameters
    ----------
    law
        The law.
    data
        A loss table with losses on samples.
    draws, chains, seed, parameters, progress, sampler
        As in `bayeslaw.fit`.
    plan
        How long chains adapt, towards which acceptance, and how they are thinned.
    attrs
        Attributes of the tree besides those of law and table.
    checkpoint
        Where draws are kept while the fit goes on; it has begun.

    Returns
    -------
    xarray.DataTree
        As `build_joint_tree` builds it.

    Raises
    ------
    InputError
        If the law cannot be fitted to this table; see `bayeslaw.joint.joint_table.joint_table`.
    """
    table = joint_table(data, link=law.link, parameters=parameters, seed=seed)
    with jax.enable_x64(True), stopwatch() as watch:
        model = JointModel(law.resolved(table.link.name), table)
        posterior = joint_posterior(model)
        check_room(draws, chains, thin=plan.thin, coordinates=len(posterior.start), rows=len(table.mean))
        choices: dict[str, Any] = {"draws": draws, "chains": chains, "seed": seed}
        made: dict[str, Any] = {"progress": progress, "sampler": sampler, "plan": plan, "checkpoint": checkpoint}
        solution = draw_posterior(posterior, joint_data(model), attempts=ATTEMPTS, **made, **choices)
        table_attributes = table_attrs(model.law, table, unused_tokens(data)) | {
            "settings": json.dumps(solution.settings | choices | {"thin": plan.thin})
        }
        with progress_bar(FOLLOWING, None, shown=progress):
            tree = build_joint_tree(model, solution.draws, seed=seed, attrs=attrs | table_attributes)
    seconds = watch.total - watch.compiling + checkpoint.seconds_before
    tree["sample_stats"].attrs |= {"sampling_time": seconds, "compile_time": watch.compiling}
    return tree


def fit_joint(
    checkpoint: Checkpoint, law: JointLaw, data: xr.Dataset, *, noise: Noise | None, **choices: Any
) -> xr.DataTree:
    """Fit the joint law; arguments as of `bayeslaw.fitting.row_fitting.fit_rows`.

    Raises
    ------
    InputError
        If noise is given, and as `fit_joint_law`.
    """
    _check_no_noise(noise)
    attrs = common_attributes(Noise(), data, choices["parameters"])
    return fit_joint_law(law, data, attrs=attrs, checkpoint=checkpoint, **choices)


def prior_of_models(
    law: JointLaw, data: xr.Dataset, *, noise: Noise | None, draws: int, seed: int, parameters: str
) -> xr.DataTree:
    """Draw the joint law from its prior; as `bayeslaw.prior_predictive`, without the losses of the models."""
    _check_no_noise(noise)
    table = joint_table(data, link=law.link, parameters=parameters, seed=seed)
    with jax.enable_x64(True):
        model = JointModel(law.resolved(table.link.name), table)
        settings = {"settings": json.dumps({"draws": draws, "seed": seed})}
        attrs = common_attributes(Noise(), data, parameters) | table_attrs(model.law, table, unused_tokens(data))
        return build_joint_prior_tree(model, draws=draws, seed=seed, attrs=attrs | settings)


def numpyro_model(law: JointLaw, data: xr.Dataset, *, noise: Noise | None, parameters: str) -> Callable[..., None]:
    """Write the joint law as a NumPyro model; as `bayeslaw.numpyro_model`."""
    _check_no_noise(noise)
    table = joint_table(data, link=law.link, parameters=parameters)
    return numpyro_form(JointModel(law.resolved(table.link.name), table))


def no_maximum_likelihood(law: JointLaw, data: xr.Dataset, **choices: Any) -> dict[str, Any]:
    """Refuse a point fit; arguments as of `bayeslaw.maximum_likelihood`.

    Raises
    ------
    InputError
        Always: what decides a pool's loss is integrated out, or is known by its prior's scale.
    """
    del data, choices
    raise InputError(f"the law is the {law.name} law", "a law of rows", "use another law, such as power")


def _check_no_noise(noise: Noise | None) -> None:
    if noise is not None:
        raise InputError(
            "the joint law was given noise", "no noise: its noise is part of the law", "leave out the noise"
        )


def table_attrs(law: JointLaw, table: JointTable, more_facts: Mapping[str, Any] = NO_FACTS) -> dict[str, Any]:
    """Attributes of a tree that say which law was fitted to which table; its facts are those given and its own."""
    facts = {
        **more_facts,
        "overlapping": False,
        "table": "losses",
        "samples": len(table.weights),
        "clusters": len(np.unique(table.clusters)),
    }
    return {
        "law": json.dumps(law.specification),
        "unit": table.unit,
        "row_dimension": "lm",
        "reference": json.dumps({"parameters": table.reference}),
        "facts": json.dumps(facts),
        "loss_scale": table.scale,
        "design_effect": table.design_effect,
    }
