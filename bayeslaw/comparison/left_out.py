"""How well a law predicts the models, or families of models, that are left out of its fit."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import xarray as xr
from arviz_stats.utils import ELPDData, ELPDDataLOOKFold

from bayeslaw.comparison.averages import bridge, error_of_sum, log_average, smoothed_log_weights
from bayeslaw.comparison.left_out_folds import LEFT_OUT, Fold, make_folds
from bayeslaw.errors import check_whole
from bayeslaw.fitting.fit_argument import a_fit
from bayeslaw.fitting.fits import Fit
from bayeslaw.fitting.sampling_choices import FEWEST_DRAWS, MOST_CHAINS, MOST_DRAWS
from bayeslaw.inputs.arguments import (
    LARGEST_SEED,
    Converter,
    a_choice,
    a_flag,
    a_seed,
    a_whole_number,
    accepts,
    optional,
)
from bayeslaw.laws.kinds import kind_of
from bayeslaw.laws.results import Densities, Refits
from bayeslaw.posterior.retries import rhat_limit
from bayeslaw.progress import progress_bar

METHODS = ("exact", "weights")
REFITS: Mapping[str, Converter] = {
    "method": a_choice(METHODS),
    "draws": a_whole_number(lowest=1, highest=MOST_DRAWS, suggested=500),
    "chains": a_whole_number(lowest=1, highest=MOST_CHAINS, suggested=4),
    "seed": a_seed,
    "progress": optional(a_flag),
}
"""What functions that refit are given."""
# Beyond it the weights' variance is infinite, and so is the error of what they average: refits differed from the usual
# limit of 0.7 by several of its reported errors.
PARETO_LIMIT = 0.5
# Above what makes a refit run again: the score of a fold hardly feels a little less.
RHAT_ACCEPTED = 1.02
ERROR_LIMIT = 0.5


def refits_of(fit: Fit, *, draws: int, chains: int) -> Refits:
    """Return what refits a fitted law without some of its rows; `draws` and `chains` are of the refits."""
    return kind_of(fit.law).refits(fit, draws=draws, chains=chains)


@dataclass(frozen=True)
class FoldScore:
    """Log predictive densities of the losses of one fold, given the rows that are not in it.

    Parameters
    ----------
    name
        The model or family left out.
    rows
        How many rows were left out.
    elpd
        Sum of the log densities of these rows, each by itself.
    elpd_error
        Monte Carlo standard error of `elpd`.
    joint
        Log density of these rows together.
    joint_error
        Monte Carlo standard error of `joint`.
    method
        ``"exact"``, a refit, or ``"weights"``.
    pareto_k
        Of the importance weights; NaN where none were asked for.
    rhat, divergences
        Of the refit.
    densities
        Log density of each row left out, shape ``[held row]``.
    """

    name: str
    rows: int
    elpd: float
    elpd_error: float
    joint: float
    joint_error: float
    method: str
    pareto_k: float
    rhat: float
    divergences: int
    densities: np.ndarray


@dataclass(frozen=True)
class LeftOut:
    """Log predictive densities of everything that was left out.

    Parameters
    ----------
    folds
        One entry a model or family.
    by
        ``"model"`` or ``"family"``.
    unit
        Unit of the loss.
    draws
        How many draws each refit has, of all chains; 0 where that is not known.
    """

    folds: tuple[FoldScore, ...]
    by: str
    unit: str
    draws: int = 0

    @property
    def table(self) -> pd.DataFrame:
        """One row a fold, indexed by the model or family left out; columns as in `FoldScore`."""
        records = [{name: value for name, value in asdict(f).items() if name != "densities"} for f in self.folds]
        return pd.DataFrame(records).rename(columns={"name": self.by}).set_index(self.by)

    def scores(self, *, joint: bool = False) -> np.ndarray:
        """Log densities, shape ``[fold]``: sums over rows, or of all rows of a fold together."""
        return np.array([fold.joint if joint else fold.elpd for fold in self.folds])

    @property
    def elpd(self) -> float:
        """Sum of the log densities of the rows left out, each row by itself."""
        return float(self.scores().sum())

    @property
    def standard_error(self) -> float:
        """Standard error of `elpd` over folds."""
        return error_of_sum(self.scores())

    @property
    def joint(self) -> float:
        """Sum over folds of the log density of all rows of the fold together."""
        return float(self.scores(joint=True).sum())

    @property
    def joint_standard_error(self) -> float:
        """Standard error of `joint` over folds."""
        return error_of_sum(self.scores(joint=True))

    @property
    def elpd_data(self) -> ELPDData:
        """The scores as ArviZ has them, for `arviz_stats.compare`: a data point is a fold, its score the fold's `elpd`.

        Effective numbers of parameters are not known (NaN).
        """
        folds = [fold.name for fold in self.folds]
        return ELPDDataLOOKFold(
            elpd=self.elpd,
            se=self.standard_error,
            p=float("nan"),
            n_samples=self.draws,
            n_data_points=len(folds),
            scale="log",
            warning=bool(_rough(self.folds)),
            good_k=float("nan"),
            elpd_i=xr.DataArray(self.scores(), coords={self.by: folds}, name="elpd_i"),
            n_folds=len(folds),
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences to read before the table."""
        notes = []
        refitted = [fold for fold in self.folds if fold.method == "exact" and fold.pareto_k > PARETO_LIMIT]
        if refitted:
            notes.append(
                f"{len(refitted)} of {len(self.folds)} folds were refitted, since importance weights are unreliable "
                f"there (Pareto k above {PARETO_LIMIT})."
            )
        limit = max(RHAT_ACCEPTED, rhat_limit(self.draws, 1) if self.draws else 0.0)
        unmixed = [fold for fold in self.folds if fold.rhat > limit or fold.divergences]
        if unmixed:
            notes.append(
                f"The refits without {_names(unmixed)} did not mix well (R-hat up to "
                f"{max(fold.rhat for fold in unmixed):.3f}, {sum(fold.divergences for fold in unmixed)} divergences); "
                "use more draws, or tighter priors."
            )
        for what, rough in _rough(self.folds).items():
            notes.append(
                f"The {what} of {_names(rough)} rests on few draws that come near what was left out (Monte Carlo error "
                f"above {ERROR_LIMIT}): read it as very low, not as a number."
            )
        return tuple(notes)


@accepts(fit=a_fit, by=a_choice(LEFT_OUT), **REFITS)
def leave_out(
    fit: Fit,
    *,
    by: str = "model",
    method: str = "exact",
    draws: int = 500,
    chains: int = 4,
    seed: int = 0,
    progress: bool | None = None,
) -> LeftOut:
    """Leave out one model, or one family of models, after the other, and predict what was left out.

    Of a table of models a fold is a row or the rows of a family. Of pools it is every pool that holds the model, or any
    model of the family: what is left says nothing of it, which leaving out single pools cannot achieve. The law's
    priors and reference budget stay those of the whole table. A family left out is a new one, drawn from the
    population; so is a regime of which no pool is left.

    Densities are given the rows kept. Where rows share errors these tell of them: the rows left out are then normal
    given the kept at each draw of the parameters, with what is known of the texts drawn and of the members' effects.
    How rows share them (`bayeslaw.likelihood.dependence`) is taken from the whole table, as if it were known. The
    joint law's rows are its models, whose mean losses are predicted by a refit of its curve to the other
    models.

    Two scores come of each fold. ``elpd``, the sum over rows, judges predictions of one pool at a time, which is what
    `bayeslaw.predict` makes; laws are ranked by it and stacked on it. It counts one mistake many times, since pools
    that share the model left out are wrong together. ``joint`` judges all rows of a fold at once, as the law's
    covariance of the rows has it, and so counts each mistake once and rewards a law that knows how its mistakes go
    together; where rows are independent given the law, they are wrong together through its parameters alone. Standard
    errors are over folds, not rows; folds of pools overlap, so they are rough.

    Parameters
    ----------
    fit
        A fit, of all rows.
    by
        ``"model"`` or ``"family"``.
    method
        ``"exact"``: refit without each fold; ``"weights"``: weigh the fit's own draws by one over the density of the
        rows left out, smoothed (PSIS; Vehtari et al. 2024), where Pareto k is at most 0.5, and refit where it is not;
        the table says which. Draws of the joint law cannot be weighed (see `JointRefits`): it is refitted always.
    draws, chains
        Of the refits: draws kept per chain, and number of chains.
    seed
        Seed of the refits.
    progress
        Whether to show progress in a terminal or a notebook; None for notebooks only. Where none is shown the logger
        ``bayeslaw.progress`` is told how far work is.

    Returns
    -------
    LeftOut
        Log predictive densities of the loss, whatever the response.

    Raises
    ------
    InputError
        If a choice or number is out of range, there are fewer than two folds, a fold leaves too few sizes, or its group
        is new and the law's parameters are separate in every group.

    Examples
    --------
    With a fit of models of five families:

    >>> import bayeslaw as bl
    >>> found = bl.leave_out(fit, by="family", draws=50, chains=2)
    >>> len(found.table), found.by
    (5, 'family')
    """
    check_whole("draws", draws, lowest=FEWEST_DRAWS, suggested=500)
    check_whole("chains", chains, lowest=1, suggested=4)
    folds = make_folds(fit, by)
    with progress_bar("refitting", len(folds), shown=progress) as advance:
        refits = refits_of(fit, draws=draws, chains=chains)
        scores = []
        for number, fold in enumerate(folds):
            scores.append(score_fold(refits, fold, method=method, seed=(seed + number) % (LARGEST_SEED + 1)))
            advance(1)
    return LeftOut(tuple(scores), by, fit.unit, draws * chains)


def score_fold(refits: Refits, fold: Fold, *, method: str, seed: int) -> FoldScore:
    """Score what one fold leaves out, for any law that offers `Refits`.

    Parameters
    ----------
    refits
        The law's refits.
    fold
        The fold.
    method
        As in `leave_out`.
    seed
        Seed of the refit.

    Returns
    -------
    FoldScore
        The scores. Of a refit `joint` is bridged between its draws and those of the fit to all rows, and so is the
        density of a single row; where the latter are of no use, both are plain averages over the refit's draws.
    """
    known, pareto_k = refits.all_rows(fold.held), float("nan")
    if method == "weights" and known is not None:
        log_weights, pareto_k = smoothed_log_weights(-known.joint)
        if pareto_k <= PARETO_LIMIT:
            rows, joint = log_average(known.rows, log_weights), log_average(known.joint[:, None], log_weights)
            scores = rows.value, rows.error, float(joint.value[0]), joint.error
            return _score(fold, scores, "weights", pareto_k, known)
    found = refits.left_out(fold.held, seed=seed)
    rows = log_average(found.rows, copies=found.copies)
    if known is None:
        plain = log_average(found.joint[:, None], copies=found.copies)
        return _score(fold, (rows.value, rows.error, float(plain.value[0]), plain.error), "exact", pareto_k, found)
    joint, error = bridge(found.joint, known.joint, copies=found.copies)
    scores = (rows.value, rows.error, joint, error) if len(rows.value) > 1 else (np.array([joint]), error, joint, error)
    return _score(fold, scores, "exact", pareto_k, found)


def _score(
    fold: Fold, scores: tuple[np.ndarray, float, float, float], method: str, pareto_k: float, source: Densities
) -> FoldScore:
    densities, elpd_error, joint, joint_error = scores
    return FoldScore(
        name=fold.name,
        rows=len(densities),
        elpd=float(densities.sum()),
        elpd_error=elpd_error,
        joint=joint,
        joint_error=joint_error,
        method=method,
        pareto_k=pareto_k,
        rhat=source.rhat,
        divergences=source.divergences,
        densities=densities,
    )


def _rough(folds: Sequence[FoldScore]) -> dict[str, list[FoldScore]]:
    """Folds of which a score has a large Monte Carlo error, by the score's name."""
    sums = [fold for fold in folds if not fold.elpd_error <= ERROR_LIMIT]
    joint = [fold for fold in folds if not fold.joint_error <= ERROR_LIMIT]
    named = {"elpd and joint density": sums} if sums == joint else {"elpd": sums, "joint density": joint}
    return {what: rough for what, rough in named.items() if rough}


def _names(folds: Sequence[FoldScore]) -> str:
    shown = ", ".join(fold.name for fold in folds[:3])
    return shown if len(folds) <= 3 else f"{shown} and {len(folds) - 3} others"
