"""Fit a law of rows: mode, curvature and NUTS, and the tree that is saved."""

import contextlib
import json
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fit_attributes import attributes_of, resolved
from bayeslaw.fit_file import MEMBERS, OPTIONAL_GROUPS
from bayeslaw.gains import models_of_pools
from bayeslaw.laws import DiversityLaw, Law, PowerLaw
from bayeslaw.model import LawModel
from bayeslaw.noise import Noise
from bayeslaw.sampling.checkpoint import Checkpoint
from bayeslaw.sampling.compiled import stopwatch
from bayeslaw.sampling.identity import kept_start
from bayeslaw.sampling.mode import find_mode, make_target, preconditioner
from bayeslaw.sampling.room import check_room
from bayeslaw.sampling.trusted import sample_until_trusted
from bayeslaw.tree import build_tree

MODE_STARTS = 4


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
    progress: bool,
) -> xr.DataTree:
    """Fit a law of rows to a table.

    Parameters
    ----------
    checkpoint
        Where draws are kept while the fit goes on; it has begun.
    law, data, noise, draws, chains, seed, parameters, progress
        As in `bayeslaw.fit`.

    Returns
    -------
    xarray.DataTree
        As `bayeslaw.tree.build_tree` builds it.

    Raises
    ------
    InputError
        If the law cannot be fitted to this table, or draws would take more memory than there is.
    """
    observations = law.observe(data, parameters=parameters)
    settings: dict[str, Any] = {"draws": draws, "chains": chains, "seed": seed}
    with jax.enable_x64(True):
        model = resolved(LawModel(law, noise or Noise(), observations))
        with stopwatch() as watch:
            target = make_target(model)
            check_room(draws, chains, coordinates=len(target.start), rows=len(model.response))

            def start() -> tuple[np.ndarray, np.ndarray]:
                mode = find_mode(target, starts=MODE_STARTS, seed=seed)
                return mode, preconditioner(target, mode)

            mode, factor = kept_start(checkpoint, target.potential, start)
            drawn, sampler = sample_until_trusted(
                target, mode, factor, progress=progress, checkpoint=checkpoint, **settings
            )
        attrs = attributes_of(model, data, parameters) | {"settings": json.dumps(sampler | settings)}
        tree = build_tree(target, drawn, seed=seed, attrs=attrs)
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


def numpyro_model(law: Law, data: xr.Dataset, *, noise: Noise | None, parameters: str) -> Callable[..., None]:
    """Write a law of rows as a NumPyro model; as `bayeslaw.numpyro_model`."""
    return LawModel(law, noise or Noise(), law.observe(data, parameters=parameters))
