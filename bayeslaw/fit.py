"""Fit a law: mode, preconditioner, NUTS, and the result that is saved and loaded."""

import contextlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from os import PathLike
from typing import Any

import jax
import numpy as np
import xarray as xr

from bayeslaw.arguments import (
    a_choice,
    a_flag,
    a_path,
    a_seed,
    a_whole_number,
    accepts,
    an_instance,
    as_given,
    check_fields,
    optional,
)
from bayeslaw.errors import InputError, check_whole
from bayeslaw.factor.fitting import fit_factor
from bayeslaw.fit_checks import check_fit
from bayeslaw.fit_file import (
    FIT_FORMAT,
    FIT_FORMAT_VERSION,
    MEMBERS,
    OPTIONAL_GROUPS,
    optional_groups,
    read_fit,
    write_fit,
)
from bayeslaw.gains import models_of_pools
from bayeslaw.laws import DiversityLaw, Law, PowerLaw, law_from_specification
from bayeslaw.laws.argument import a_law, a_law_of_rows
from bayeslaw.laws.base import POPULATION
from bayeslaw.laws.factor import FactorLaw
from bayeslaw.laws.kinds import kind_of
from bayeslaw.model import LawModel
from bayeslaw.noise import MEMBER_SCALE, NOISE_SCALE, Noise, noise_from_specification
from bayeslaw.observations import Observations
from bayeslaw.parameter_counts import PARAMETER_COUNTS
from bayeslaw.sampling.compiled import stopwatch
from bayeslaw.sampling.mode import find_mode, flat_prior_mode, make_target, preconditioner
from bayeslaw.sampling.trusted import sample_until_trusted
from bayeslaw.tables.arguments import any_table
from bayeslaw.tree import MEMBER, ROW_ARRAYS, build_tree

MODE_STARTS = 4
FEWEST_DRAWS = 50
MOST_DRAWS, MOST_CHAINS = 1_000_000, 1_000
a_noise = an_instance(Noise, accepted="noise, or None", fix="write noise=bayeslaw.Noise()")
a_count_of_parameters = a_choice(PARAMETER_COUNTS)


@dataclass(frozen=True)
class Fit:
    """A fitted law: one DataTree that holds all that is needed to inspect it and to predict.

    Parameters
    ----------
    tree
        Draws, prior, predictions and data, as built by `bayeslaw.tree.build_tree`; every ArviZ function takes it.
    """

    tree: xr.DataTree

    def __post_init__(self) -> None:
        tree = an_instance(xr.DataTree, accepted="the tree of a fit", fix="read a saved fit with bayeslaw.load_fit")
        check_fields(self, tree=tree)

    @cached_property
    def law(self) -> Any:
        """The law, every prior filled in."""
        return law_from_specification(json.loads(self.tree.attrs["law"]))

    @cached_property
    def noise(self) -> Noise:
        """The noise, every prior filled in."""
        return noise_from_specification(json.loads(self.tree.attrs["noise"]))

    @cached_property
    def observations(self) -> Observations:
        """The rows fitted."""
        data, row = self.tree["constant_data"].dataset, str(self.tree.attrs["row_dimension"])
        response = self.tree["observed_data"][self.noise.response].to_numpy()
        return Observations(
            loss=np.exp(response) if self.noise.response == "log_loss" else response,
            covariates={name: data[name].to_numpy() for name in self.law.covariates},
            labels=data[row].to_numpy(),
            row_dimension=row,
            unit=self.unit,
            groups={
                str(name).removeprefix(f"{row}_"): data[name].to_numpy().astype(str)
                for name in data
                if str(name).startswith(f"{row}_")
            },
            **{name: data[name].to_numpy() for name in ROW_ARRAYS if name in data},
            members=tuple(map(str, data[MEMBER].to_numpy())) if MEMBER in data.coords else (),
            facts=json.loads(self.tree.attrs["facts"]),
        )

    @cached_property
    def model(self) -> Any:
        """The law with what it was fitted to: a `LawModel` of its rows, or what else a kind of law makes of a table."""
        return kind_of(self.law).model(self)

    @cached_property
    def members(self) -> "Fit | None":
        """The power law of single models, fitted along with a diversity law to tell what its pools' members lose."""
        return Fit(self.tree.children[MEMBERS]) if MEMBERS in self.tree.children else None

    @property
    def unit(self) -> str:
        """Unit of the loss."""
        return str(self.tree.attrs["unit"])

    @property
    def parameters_kind(self) -> str:
        """Which count of parameters the budgets are: total, non-embedding or active."""
        return str(self.tree.attrs["parameters_kind"])

    @accepts(self=as_given, group=a_choice(("posterior", "prior")))
    def values(self, group: str = "posterior") -> dict[str, np.ndarray]:
        """Draws of every variable with chains joined.

        Parameters
        ----------
        group
            ``"posterior"`` or ``"prior"``.

        Returns
        -------
        dict
            Arrays of shape ``[draw]`` or ``[draw, group]``.

        Raises
        ------
        InputError
            If the fit was saved without that group.
        """
        if group not in self.tree.children:
            raise InputError(
                f"this fit was saved without its {group}", "a fit that keeps it", f"fit again with --keep {group}"
            )
        arrays = {str(name): array.to_numpy() for name, array in self.tree[group].data_vars.items()}
        return {name: array.reshape(-1, *array.shape[2:]) for name, array in arrays.items()}

    @accepts(self=as_given, groups=optional_groups)
    def keep(self, groups: Iterable[str]) -> "Fit":
        """Leave out the optional groups that are not named, to make the file smaller.

        Parameters
        ----------
        groups
            Those of ``prior, prior_predictive, posterior_predictive, log_likelihood, log_prior`` to keep.

        Returns
        -------
        Fit
            A fit with the same draws, which predicts the same.
        """
        left_out = set(OPTIONAL_GROUPS) - set(groups)
        return Fit(self.tree.filter(lambda node: node.name not in left_out))

    @accepts(self=as_given, path=a_path)
    def save(self, path: str | PathLike[str]) -> None:
        """Write the fit to one netCDF file, or to a Zarr folder where the path ends in ``.zarr``.

        Parameters
        ----------
        path
            Where to; replaced atomically.

        Raises
        ------
        InputError
            If the output cannot be written.
        """
        write_fit(self.tree, path)

    def __str__(self) -> str:
        sizes = self.tree["posterior"].sizes
        return f"{self.model}\n  {sizes['chain']} chains of {sizes['draw']} draws, {len(self.observations.loss)} rows"


def model_of_rows(fit: Fit) -> LawModel:
    """Put a law of rows, its noise and its rows together again."""
    return LawModel(fit.law, fit.noise, fit.observations)


@accepts(path=a_path, keep=optional_groups)
def load_fit(path: str | PathLike[str], *, keep: Iterable[str] = OPTIONAL_GROUPS) -> Fit:
    """Read a saved fit.

    Parameters
    ----------
    path
        A netCDF file or Zarr folder written by `Fit.save`.
    keep
        Which of the optional groups to read; predictions need none of them.

    Returns
    -------
    Fit
        The fit; its predictions are those of the fit that was saved.

    Raises
    ------
    InputError
        If the file is missing, truncated, damaged, not a fit, or of a format version that cannot be read, or if what it
        holds does not go together.
    """
    loaded = Fit(read_fit(path, keep=keep))
    check_fit(loaded, str(path))
    return loaded


@accepts(
    law=a_law,
    data=any_table,
    noise=optional(a_noise),
    draws=a_whole_number(lowest=0, highest=MOST_DRAWS, suggested=1000),
    chains=a_whole_number(lowest=0, highest=MOST_CHAINS, suggested=4),
    seed=a_seed,
    parameters=a_count_of_parameters,
    progress=a_flag,
)
def fit(
    law: Law | FactorLaw,
    data: xr.Dataset,
    *,
    noise: Noise | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = 0,
    parameters: str = "total",
    progress: bool = False,
) -> Fit:
    """Fit a law to a table by NUTS.

    The sampler starts from the mode and moves in coordinates preconditioned there. Where chains disagree (R-hat above
    1.01) or trajectories diverge, it runs again with smaller steps and a longer adaptation, at most twice.

    Parameters
    ----------
    law
        The law, such as `CollaborationLaw` for pools or `FactorLaw` for losses on samples, or its name.
    data
        A dataset of losses, of whole models, or of pools, or its path.
    noise
        Noise of the rows around the law; where None normal on the loss, and pools share sampling error and members.
    draws, chains
        Draws kept per chain, and number of chains.
    seed
        Seed; the same seed gives the same draws on one platform.
    parameters
        Which count of parameters is the budget: ``"total"``, ``"non-embedding"`` or ``"active"``.
    progress
        Whether to show progress on standard error, if that is a terminal.

    Returns
    -------
    Fit
        The fit. That of a diversity law also holds the power law of its pools' members, fitted with the same choices.

    Raises
    ------
    InputError
        If the law cannot be fitted to this table, or a number is out of range.
    """
    check_whole("draws", draws, lowest=FEWEST_DRAWS, suggested=1000)
    check_whole("chains", chains, lowest=1, suggested=4)
    if isinstance(law, FactorLaw):
        if noise is not None:
            raise InputError(
                "the factor law was given noise", "no noise: its noise is part of the law", "leave out the noise"
            )
        choices = {"draws": draws, "chains": chains, "seed": seed, "parameters": parameters, "progress": progress}
        return Fit(fit_factor(law, data, attrs=_common_attrs(Noise(), data, parameters), **choices))
    observations = law.observe(data, parameters=parameters)
    with jax.enable_x64(True):
        model = LawModel(law, noise or Noise(), observations)
        model = _resolved(model)
        with stopwatch() as watch:
            target = make_target(model)
            mode = find_mode(target, starts=MODE_STARTS, seed=seed)
            factor = preconditioner(target, mode)
            drawn, settings = sample_until_trusted(
                target, mode, factor, draws=draws, chains=chains, seed=seed, progress=progress
            )
        settings |= {"draws": draws, "chains": chains, "seed": seed}
        attrs = _attrs(model, data, parameters) | {"settings": json.dumps(settings)}
        tree = build_tree(target, drawn, seed=seed, attrs=attrs)
        tree["sample_stats"].attrs |= {"sampling_time": watch.total - watch.compiling, "compile_time": watch.compiling}
    if isinstance(law, DiversityLaw):
        # Without three sizes of models there is no law of them, and members must have been scored.
        with contextlib.suppress(InputError):
            choices = {"draws": draws, "chains": chains, "seed": seed, "progress": progress}
            tree[MEMBERS] = fit(PowerLaw(), models_of_pools(data), **choices).keep(()).tree
    return Fit(tree)


@accepts(law=a_law_of_rows, data=any_table, noise=optional(a_noise), parameters=a_count_of_parameters)
def maximum_likelihood(
    law: Law, data: xr.Dataset, *, noise: Noise | None = None, parameters: str = "total"
) -> dict[str, Any]:
    """Maximise the likelihood of a law under flat priors: a point fit, to compare with published ones.

    Parameters
    ----------
    law
        The law; its pooling must be ``"complete"`` or ``"separate"``.
    data, parameters
        As in `fit`.
    noise
        Noise of the rows around the law; where None normal on the loss and independent, as published fits have it.

    Returns
    -------
    dict
        Value of every parameter and noise site at the mode; amplitudes at the reference budget, which ``reference``
        gives by covariate.

    Raises
    ------
    InputError
        If the law cannot be fitted to this table, or a parameter is partially pooled.
    """
    if "partial" in law.pooling_by_parameter.values():
        raise InputError("the law is partially pooled", "pooling 'complete' or 'separate'", "use pooling='complete'")
    observations = law.observe(data, parameters=parameters)
    with jax.enable_x64(True):
        mode = flat_prior_mode(LawModel(law, noise or Noise(dependence="independent"), observations))
    return {**mode, "reference": observations.reference}


def _resolved(model: LawModel) -> LawModel:
    """Fill in every default prior, so that a saved fit says what it used whatever later defaults are."""
    priors = {
        name.removesuffix(POPULATION): prior for name, prior in model.sites.items() if name not in model.noise_priors
    }
    law = type(model.law).from_specification({**model.law.specification, "priors": priors})
    noise = Noise(
        **{
            **{name: getattr(model.noise, name) for name in Noise.__dataclass_fields__},
            "scale": model.noise_priors[NOISE_SCALE],
            "degrees_of_freedom": model.noise_priors.get("degrees_of_freedom"),
            "by_group": model.noise_by_group,
            "dependence": "independent" if model.dependence is None else "shared",
            "member_scale": model.noise_priors.get(MEMBER_SCALE),
        }
    )
    return LawModel(law, noise, model.observations)


def _attrs(model: LawModel, data: xr.Dataset, parameters: str) -> dict[str, Any]:
    kind = str(data.attrs.get("parameters_kind", parameters)) if data.attrs.get("kind") == "pools" else parameters
    return {
        "law": json.dumps(model.law.specification),
        "unit": model.observations.unit,
        "row_dimension": model.observations.row_dimension,
        "reference": json.dumps(model.observations.reference),
        "facts": json.dumps(dict(model.observations.facts)),
        "families": json.dumps(_families(data)),
    } | _common_attrs(model.noise, data, kind)


def _common_attrs(noise: Noise, data: xr.Dataset, parameters: str) -> dict[str, Any]:
    packages = ("bayeslaw", "jax", "numpyro", "arviz", "xarray", "numpy")
    return {
        "format": FIT_FORMAT,
        "format_version": FIT_FORMAT_VERSION,
        "noise": json.dumps(noise.specification),
        "parameters_kind": parameters,
        "source": str(data.attrs.get("source", "")),
        "versions": json.dumps({name: version(name) for name in packages}),
    }


def _families(data: xr.Dataset) -> dict[str, str]:
    """Family of every model of the table, by which whole families are left out."""
    return dict(zip(data["lm"].to_numpy().astype(str), data["family"].to_numpy().astype(str), strict=True))
