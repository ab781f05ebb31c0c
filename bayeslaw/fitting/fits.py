"""Fit a law: mode, preconditioner, NUTS, and the result that is saved and loaded."""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_file import MEMBERS, OPTIONAL_GROUPS, ROW_GROUPS, optional_groups, write_fit
from bayeslaw.fitting.row_groups import held_by_default, with_row_groups
from bayeslaw.fitting.sampling_choices import checked_choices
from bayeslaw.fitting.slim_tree import slim
from bayeslaw.fitting.tree import MEMBER, ROW_ARRAYS
from bayeslaw.inputs.arguments import (
    a_choice,
    a_flag,
    a_path,
    a_seed,
    accepts,
    an_instance,
    as_given,
    check_fields,
    optional,
)
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.laws.argument import a_law
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.observations import Observations
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.laws.registry import law_from_specification
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise, noise_from_specification
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.losses.parameter_counts import PARAMETER_COUNTS
from bayeslaw.losses.table_arguments import any_table
from bayeslaw.posterior.identity import identity_of
from bayeslaw.posterior.kept_draws import Checkpoint
from bayeslaw.posterior.samplers import AUTO, SAMPLERS
from bayeslaw.posterior.sampling_plan import SamplingPlan
from bayeslaw.progress import progress_bar

SAMPLER_NAMES = (AUTO, *SAMPLERS)
MOST_OF_UNIT = 60
a_noise = an_instance(Noise, accepted="noise, or None", fix="write noise=bayeslaw.Noise()")
a_count_of_parameters = a_choice(PARAMETER_COUNTS)


@dataclass(frozen=True)
class Fit:
    """A fitted law: one DataTree that holds all that is needed to inspect it and to predict.

    Parameters
    ----------
    tree
        Draws, prior and data, as `bayeslaw.fitting.tree.build_tree` builds it; ArviZ functions take it. Those that need
        densities or replicates of each row take that of `with_log_likelihood` or `with_replicates`, and say so.
    """

    tree: xr.DataTree

    def __post_init__(self) -> None:
        tree = an_instance(xr.DataTree, accepted="the tree of a fit", fix="read a saved fit with bayeslaw.load_fit")
        check_fields(self, tree=tree)
        # Trees of a prior stand for fits where their law and rows are asked for.
        if not {"posterior", "prior"} & set(self.tree.children):
            fix = "read a saved fit with bayeslaw.load_fit"
            raise InputError("the tree has no group posterior", "the tree of a fit", fix)
        object.__setattr__(self, "tree", slim(self.tree))

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
            loss=RESPONSES[self.noise.response].to_loss(response),
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

    def with_log_likelihood(self) -> "Fit":
        """Make the log density of each row at each draw, which leave-one-out and the comparison of fits are made of.

        It is made of the draws that the fit keeps, and is the same each time. A fit of many rows does not hold it by
        itself: it takes four bytes a row and draw.

        Returns
        -------
        Fit
            The same fit, whose tree has the group ``log_likelihood``.

        Examples
        --------
        >>> import arviz as az, bayeslaw as bl
        >>> fit = bl.fit("power", bl.load_dataset("zoo", unit="document"))  # doctest: +SKIP
        >>> az.loo(fit.with_log_likelihood().tree)  # doctest: +SKIP
        """
        return self.with_groups(["log_likelihood"])

    def with_replicates(self) -> "Fit":
        """Make replicates of each row at each draw, which predictive checks are made of; else as `with_log_likelihood`.

        Returns
        -------
        Fit
            The same fit, whose tree has the group ``posterior_predictive``, and ``prior_predictive`` where it keeps its
            prior.

        Examples
        --------
        >>> import arviz as az, bayeslaw as bl
        >>> fit = bl.fit("power", bl.load_dataset("zoo", unit="document"))  # doctest: +SKIP
        >>> az.plot_ppc_dist(fit.with_replicates().tree)  # doctest: +SKIP
        >>> az.loo_pit(fit.with_log_likelihood().with_replicates().tree)  # doctest: +SKIP
        """
        return self.with_groups([name for name in ROW_GROUPS if name != "log_likelihood"])

    def with_groups(self, groups: Iterable[str]) -> "Fit":
        """Make those groups by row that the fit does not hold, as `with_log_likelihood` and `with_replicates` do."""
        return Fit(with_row_groups(self, [name for name in groups if name in ROW_GROUPS]))

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

    @cached_property
    def _sampling_errors(self) -> tuple[str, ...]:
        """Codes of what forbids to use the draws."""
        return tuple(finding.code for finding in kind_of(self.law).sampling_errors(self))

    def __repr__(self) -> str:
        sizes, errors = self.tree["posterior"].sizes, self._sampling_errors
        verdict = f"not to be trusted: {', '.join(errors)}" if errors else "sampler in order"
        unit = excerpt(self.unit, MOST_OF_UNIT)
        return (
            f"<Fit of the {self.law.name} law to {len(self.observations.loss)} rows in {unit}, "
            f"{sizes['chain']} chains of {sizes['draw']} draws, {verdict}>"
        )

    def _repr_html_(self) -> str:
        return kind_of(self.law).html(self)

    def __str__(self) -> str:
        sizes = self.tree["posterior"].sizes
        return f"{self.model}\n  {sizes['chain']} chains of {sizes['draw']} draws, {len(self.observations.loss)} rows"


def model_of_rows(fit: Fit) -> LawModel:
    """Put a law of rows, its noise and its rows together again."""
    return LawModel(fit.law, fit.noise, fit.observations)


@accepts(
    law=a_law,
    data=any_table,
    noise=optional(a_noise),
    draws=as_given,
    chains=as_given,
    seed=a_seed,
    parameters=a_count_of_parameters,
    progress=optional(a_flag),
    sampler=a_choice(SAMPLER_NAMES),
    warmup=as_given,
    target_acceptance=as_given,
    thin=as_given,
    checkpoint=optional(a_path),
    keep=optional(optional_groups),
)
def fit(
    law: AnyLaw,
    data: xr.Dataset,
    *,
    noise: Noise | None = None,
    draws: int = 1000,
    chains: int = 4,
    seed: int = 0,
    parameters: str = "total",
    progress: bool | None = None,
    sampler: str = "auto",
    warmup: int | None = None,
    target_acceptance: float | None = None,
    thin: int = 1,
    checkpoint: str | PathLike[str] | None = None,
    keep: Iterable[str] | None = None,
) -> Fit:
    """Fit a law to a table by Hamiltonian Monte Carlo.

    The sampler starts from the mode and moves in coordinates preconditioned there. Where chains disagree (R-hat above
    `bayeslaw.posterior.retries.rhat_limit`) or trajectories diverge, it runs again with smaller steps and a longer
    adaptation, at most twice.

    Parameters
    ----------
    law
        The law, such as `CollaborationLaw` for pools or `JointLaw` for losses on samples, or its name.
    data
        A dataset of losses, of whole models, or of pools, or its path.
    noise
        Noise of the rows around the law; where None normal on the loss (on the log loss where losses of single models
        span much and the rows say so, see `bayeslaw.fitting.usual_noise.usual_noise`), and pools share sampling error
        and members.
    draws, chains
        Draws kept per chain, and number of chains.
    seed
        Seed; the same seed gives the same draws on one platform.
    parameters
        Which count of parameters is the budget: ``"total"``, ``"non-embedding"`` or ``"active"``.
    progress
        Whether to show progress in a terminal or a notebook; None for notebooks only. Where none is shown the logger
        ``bayeslaw.progress`` is told how far work is.
    sampler
        ``"hmc"``: trajectories of all chains in step, where gradients of the law are worked out by hand, as of the
        joint law. ``"nuts"``: NUTS, for every law. ``"auto"``: the first of them that the law allows.
    warmup
        Draws that each chain adapts on before those it keeps, at least 20. Where None the sampler's own number: 500 of
        NUTS, 400 of ``"hmc"``, 1000 of NUTS for the joint law. Where it runs again it adapts longer, never shorter than
        this.
    target_acceptance
        Acceptance probability that step sizes are adapted to, inside (0, 1); the larger, the smaller the steps. Where
        None the sampler's own: 0.9, or 0.98 of NUTS for the joint law. Where it runs again never less than this.
    thin
        Of so many successive draws one is kept: chains make ``thin * draws`` draws. Divergences of draws that are not
        kept count as those of the next one kept.
    checkpoint
        A folder in which draws are kept while the fit goes on. The same call goes on from them, to the very same draws;
        of another law, table or number it begins anew. The folder stays until you remove it.
    keep
        Which optional groups the fit has, of ``prior, prior_predictive, posterior_predictive, log_likelihood,
        log_prior``. None for all of them, without the densities and replicates of each row (the middle three) where
        these exceed 5 MB together: `Fit.with_log_likelihood` and `Fit.with_replicates` make them when they are wanted.

    Returns
    -------
    Fit
        The fit. That of a diversity law also holds the power law of its pools' members, fitted with the same choices.

    Raises
    ------
    InputError
        If the law cannot be fitted to this table, a number is out of range or would take more memory than there is, or
        another process is at work in the checkpoint.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> fit = bl.fit("power", bl.load_dataset("zoo", unit="document"), draws=200, chains=2, seed=1)
    >>> fit.law.name, dict(fit.tree["posterior"].sizes)
    ('power', {'chain': 2, 'draw': 200, 'family': 4})
    """
    kept = Checkpoint(checkpoint, logging.getLogger(__name__).warning)
    choices = {"draws": draws, "chains": chains, "seed": seed, "parameters": parameters}
    choices |= {"progress": progress, "sampler": sampler}
    choices |= {"warmup": warmup, "target_acceptance": target_acceptance, "thin": thin}
    with kept.locked():
        return fit_with(kept, law, data, noise=noise, keep=keep, **choices)


def fit_with(
    checkpoint: Checkpoint,
    law: AnyLaw,
    data: xr.Dataset,
    *,
    noise: Noise | None,
    keep: Iterable[str] | None = None,
    **choices: Any,
) -> Fit:
    """Fit a law as `fit` does, with draws kept in a checkpoint that is locked.

    Parameters
    ----------
    checkpoint
        Where draws are kept.
    law, data, noise, keep, **choices
        As in `fit`, all of them.

    Returns
    -------
    Fit
        The fit.

    Raises
    ------
    InputError
        As `fit` does.
    """
    choices = checked_choices(**choices)
    if checkpoint.path is not None:
        settings = {name: choice for name, choice in choices.items() if name != "progress"}
        checkpoint.begin(identity_of(law.specification, None if noise is None else noise.specification, data, settings))
    plan = SamplingPlan(*(choices.pop(name) for name in ("warmup", "target_acceptance", "thin")))
    fitted = Fit(kind_of(law).sample(checkpoint, law, data, noise=noise, plan=plan, **choices))
    kept = held_by_default(fitted) if keep is None else list(keep)
    with progress_bar("densities and replicates of rows", None, shown=choices["progress"]):
        return fitted.with_groups(kept).keep(kept)
