"""Several laws as one prediction: weights by what each predicts of the models left out, and the mixture they make."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.comparison.left_out import REFITS, LeftOut, leave_out
from bayeslaw.comparison.left_out_folds import LEFT_OUT
from bayeslaw.comparison.same_rows import check_same_rows
from bayeslaw.comparison.stacking_weights import fold_weights, share_draws
from bayeslaw.errors import InputError
from bayeslaw.fitting.fit_argument import fits_by_name
from bayeslaw.fitting.fits import Fit
from bayeslaw.inputs.arguments import (
    a_choice,
    a_level,
    a_number,
    accepts,
    an_instance,
    as_given,
    by_name,
    check_fields,
    optional,
)
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.results import Predicted
from bayeslaw.markup import Html, table
from bayeslaw.prediction.band_table import band_table
from bayeslaw.prediction.predictions import CHOICES, mean_is_infinite, predicted
from bayeslaw.prediction.targets import read_frame


@dataclass(frozen=True)
class Stack:
    """Fits of the same rows that predict together.

    Parameters
    ----------
    fits
        The fits by name.
    weights
        Weight of each in the mixture, without unit; not negative, and they add up to one.

    Raises
    ------
    InputError
        If the fits are not of the same rows, or the weights are no such numbers.
    """

    fits: Mapping[str, Fit]
    weights: Mapping[str, float]

    def __post_init__(self) -> None:
        weight = a_number(accepted="a weight of at least zero", suggested=0.5)
        weights = by_name(weight, accepted="a mapping from names to weights", fix="make it with bayeslaw.stack")
        check_fields(self, fits=fits_by_name, weights=weights)
        check_same_rows(self.fits)
        numbers = np.array([self.weights.get(name, np.nan) for name in self.fits], dtype=float)
        if set(self.weights) != set(self.fits) or not (numbers >= 0).all() or abs(numbers.sum() - 1) > 1e-6:
            raise InputError(
                f"the weights are {dict(self.weights)!r}",
                f"a weight of at least zero for each of {', '.join(self.fits)}, which add up to one",
                "make the stack with bayeslaw.stack",
            )

    @property
    def unit(self) -> str:
        """Unit of the loss."""
        return next(iter(self.fits.values())).unit

    def __repr__(self) -> str:
        return f"<Stack of {len(self.fits)} fits of losses in {excerpt(self.unit)}>"

    def _repr_html_(self) -> Html:
        rows = [(name, fit.law.name, f"{self.weights[name]:.3f}") for name, fit in self.fits.items()]
        return table(
            ("fit", "law", "weight"), rows, caption=f"stack of fits of losses in {self.unit}", left=("fit", "law")
        )

    @accepts(self=as_given, interval=a_level, **CHOICES)
    def predict(
        self,
        at: Mapping[str, Any] | pd.DataFrame,
        *,
        kind: str = "new",
        samples: str | None = None,
        rule: str | None = None,
        interval: float = 0.9,
        seed: int = 0,
    ) -> pd.DataFrame:
        """Predict losses with bands of the mixture.

        Parameters
        ----------
        at, kind, samples, rule, interval, seed
            As in `bayeslaw.predict`, but that new pools are on the same samples by all laws where `samples` is None.
            A column that only some of the laws take, such as ``regime``, goes to these, and so does a rule.

        Returns
        -------
        pandas.DataFrame
            As `bayeslaw.predict` returns it; `extrapolation` is the largest over the laws.

        Raises
        ------
        InputError
            As `bayeslaw.predict`, and where the laws would predict at different targets.
        """
        drawn = self._drawn(at, kind=kind, samples=samples, rule=rule, seed=seed)
        used = [fit for name, fit in self.fits.items() if self.weights[name] > 0]
        infinite = any(mean_is_infinite(fit, kind) for fit in used)
        mixed = self._mixed(drawn, seed=seed)
        return band_table(mixed, kind=kind, level=interval, unit=self.unit, infinite_mean=infinite)

    @accepts(self=as_given, **CHOICES)
    def predict_draws(
        self,
        at: Mapping[str, Any] | pd.DataFrame,
        *,
        kind: str = "new",
        samples: str | None = None,
        rule: str | None = None,
        seed: int = 0,
    ) -> xr.DataArray:
        """Draw losses from the mixture.

        Parameters
        ----------
        at, kind, samples, rule, seed
            As in `predict`.

        Returns
        -------
        xarray.DataArray
            Losses in `unit` on ``chain`` (one), ``draw`` and ``target``. Every draw is a draw of one law at all
            targets; the share of each law's draws is its weight.

        Raises
        ------
        InputError
            As `predict`.
        """
        drawn = self._drawn(at, kind=kind, samples=samples, rule=rule, seed=seed)
        mixed = self._mixed(drawn, seed=seed)
        coords = {str(name): ("target", column.to_numpy()) for name, column in mixed.targets.items()}
        attrs = {"unit": self.unit, "kind": kind, "samples": mixed.samples}
        return xr.DataArray(mixed.draws, dims=("chain", "draw", "target"), coords=coords, name="loss", attrs=attrs)

    def _mixed(self, drawn: Sequence[Predicted], *, seed: int) -> Predicted:
        """Share the draws of the mixture, one chain of them, among those of the laws."""
        arrays = [each.draws.reshape(-1, len(each.targets)) for each in drawn]
        count = min(map(len, arrays))
        law = share_draws(np.array([self.weights[name] for name in self.fits]), count, seed=seed)
        mixed = np.stack([arrays[which][index * len(arrays[which]) // count] for index, which in enumerate(law)])
        furthest = np.max([each.extrapolation for each in drawn], axis=0)
        return Predicted(_targets(drawn), mixed[None], np.arange(count), drawn[0].samples, furthest)

    def _drawn(
        self,
        at: Mapping[str, Any] | pd.DataFrame,
        *,
        kind: str,
        samples: str | None,
        rule: str | None,
        seed: int,
    ) -> list[Predicted]:
        """Draw from every law."""
        if samples is None and kind == "new":
            samples = "same"
        asked = {name: rule if kind_of(fit.law).takes_rule() else None for name, fit in self.fits.items()}
        if rule is not None and not any(asked.values()):
            raise InputError(
                f"the rule {rule!r} was given, and no law of the stack is the joint law",
                "a rule for a stack with the joint law",
                "leave out the rule: these laws predict the rule of the pools that they were fitted to",
            )
        drawn = [
            predicted(fit, self._of(name, at), kind=kind, samples=samples, rule=asked[name], seed=seed)
            for name, fit in self.fits.items()
        ]
        self._check_targets(at, drawn)
        return drawn

    def _of(self, name: str, at: Mapping[str, Any] | pd.DataFrame) -> dict[str, Any]:
        """Leave out columns that are for other laws of the stack."""
        accepted = {other: set(kind_of(fit.law).columns(fit.law)) for other, fit in self.fits.items()}
        others = set().union(*accepted.values()) - accepted[name]
        return {str(column): at[column] for column in at if column not in others}

    def _check_targets(self, at: Mapping[str, Any] | pd.DataFrame, drawn: Sequence[Predicted]) -> None:
        lengths = {name: len(each.targets) for name, each in zip(self.fits, drawn, strict=True)}
        groups = sorted({fit.law.group for fit in self.fits.values() if fit.model.groups})
        apart = len(groups) > 1 and max(lengths.values()) > len(read_frame(at))
        if len(set(lengths.values())) > 1 or apart:
            raise InputError(
                "the laws predict at different targets: " + ", ".join(f"{n}: {rows}" for n, rows in lengths.items()),
                f"targets that name the {' and the '.join(groups)}",
                f"add a column {groups[0]}",
            )

    def __str__(self) -> str:
        return "\n".join(f"{self.weights[name]:.3f}  {name}: {fit.law.name}" for name, fit in self.fits.items())


def _targets(drawn: Sequence[Predicted]) -> pd.DataFrame:
    """Put together what the laws say of the targets, that of the law that says most first."""
    result = max((each.targets for each in drawn), key=lambda targets: len(targets.columns)).copy()
    for each in drawn:
        for name in each.targets.columns.difference(result.columns, sort=False):
            result[name] = each.targets[name].to_numpy()
    return result


_left_out = by_name(
    an_instance(LeftOut, accepted="what bayeslaw.leave_out returns", fix="leave out left_out to compute it"),
    accepted="a mapping from names to what bayeslaw.leave_out returns",
    fix="leave out left_out to compute it",
)


@accepts(fits=fits_by_name, left_out=optional(_left_out), by=a_choice(LEFT_OUT), **REFITS)
def stack(
    fits: Mapping[str, Fit],
    left_out: Mapping[str, LeftOut] | None = None,
    *,
    by: str = "model",
    method: str = "exact",
    draws: int = 500,
    chains: int = 4,
    seed: int = 0,
    progress: bool | None = None,
) -> Stack:
    """Stack laws into one prediction (Yao, Vehtari, Simpson and Gelman 2018).

    The weights maximise the log density that the mixture of the laws gives to what was left out: the mean over the rows
    of a fold of ``log sum_k weight[k] density[k, row]``, summed over folds, so that every model or family counts once,
    however many pools hold it. Densities are those of single rows, since `Stack.predict` predicts single ones.

    Parameters
    ----------
    fits
        Two or more fits of the same rows by name.
    left_out
        What each predicts of the models or families left out, as `leave_out` gives it; computed where None.
    by, method, draws, chains, seed, progress
        As in `leave_out`.

    Returns
    -------
    Stack
        The fits with their weights.

    Raises
    ------
    InputError
        If there are fewer than two fits, they are not of the same rows, or something else was left out for one of them.

    Examples
    --------
    With fits of the same 40 models, and what they predicted of families left out:

    >>> import bayeslaw as bl
    >>> left_out = bl.leave_out(fit, by="family", draws=50, chains=2)
    >>> stack = bl.stack({"power": fit, "same": fit}, {"power": left_out, "same": left_out})
    >>> round(sum(stack.weights.values()), 6)
    1.0
    """
    check_same_rows(fits)
    if left_out is None:
        options: dict[str, Any] = {"draws": draws, "chains": chains, "seed": seed, "progress": progress}
        left_out = {name: leave_out(fit, by=by, method=method, **options) for name, fit in fits.items()}
    return Stack(fits, dict(zip(fits, fold_weights([left_out[name] for name in _named(fits, left_out)]), strict=True)))


def _named(fits: Mapping[str, Fit], left_out: Mapping[str, LeftOut]) -> list[str]:
    missing = [name for name in fits if name not in left_out]
    if missing:
        raise InputError(
            f"nothing was left out of {missing[0]}",
            "what was left out of every fit",
            "leave out left_out to compute it",
        )
    return list(fits)
