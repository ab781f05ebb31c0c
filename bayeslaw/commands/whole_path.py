"""The whole path from texts to predictions, on models, texts and losses that come with the package."""

import shlex
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.commands.claims_table import probability_text
from bayeslaw.datasets.load import find_dataset, load_dataset
from bayeslaw.datasets.rescored import join_losses, largest_difference
from bayeslaw.errors import InputError, check_whole
from bayeslaw.fitting.fit_file import check_fit_output
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.fitting.sampling_choices import FEWEST_DRAWS
from bayeslaw.inputs.arguments import a_seed
from bayeslaw.inputs.output_paths import check_output_file, check_output_folder, is_scored_table
from bayeslaw.laws import CollaborationLaw
from bayeslaw.losses.folders import write_losses
from bayeslaw.losses.loss_text import loss_text
from bayeslaw.losses.readers import read_losses
from bayeslaw.losses.sizes import count_label
from bayeslaw.losses.statistics import loss_unit, mean_losses
from bayeslaw.losses.table_warnings import loss_warnings
from bayeslaw.plotting.pictures import save_plot
from bayeslaw.plotting.plot_style import is_picture
from bayeslaw.pools.pool_losses import make_pools, write_pools
from bayeslaw.pools.regimes import REGIMES
from bayeslaw.prediction.predictions import predict
from bayeslaw.reporting.fit_chapter import Asked, FitReport
from bayeslaw.reporting.page_document import check_page, document, write_document
from bayeslaw.reporting.reports import LEAD
from bayeslaw.reporting.summaries import Summary, summary
from bayeslaw.storage import atomic_file

DATASET = "zoo"
MAX_SIZE = 3
BUDGET_FACTORS = (1, 10, 100)
FILES = ("scored", "losses", "pools", "fit.nc", "predictions.csv", "law.png", "claims.png", "page.html")


class Score(Protocol):
    """Scores texts under models into a folder, as ``bayeslaw score`` does."""

    def __call__(self, checkpoints: dict[Path, str], texts: Path, out: Path) -> None:
        """Score.

        Parameters
        ----------
        checkpoints
            Folders of the models, with the family of each.
        texts
            File of the texts.
        out
            Folder of the loss table.
        """
        ...


def run_demo(
    out: Path, say: Callable[[str], None], *, score: Score, draws: int = 1000, seed: int = 0, progress: bool = False
) -> Fit:
    """Score texts, join their losses to a larger table, form pools, fit the collaboration law and predict.

    Parameters
    ----------
    out
        The folder that everything is written into; made where missing. Files of an earlier demo in it are replaced.
    say
        Called with each sentence of what is done and found.
    score
        Scores texts under models.
    draws
        Draws kept per chain.
    seed
        Seed of the draws.
    progress
        Whether to show progress.

    Returns
    -------
    Fit
        The fit.

    Raises
    ------
    InputError
        If the folder holds other things, or cannot be written, a number is out of range, or the losses scored are not
        those that come with the package.
    """
    _check_folder(out)
    check_whole("draws", draws, lowest=FEWEST_DRAWS, suggested=1000)
    a_seed("seed", seed)
    losses = _score_and_join(out, say, score)
    write_losses(losses, out / "losses")
    pools = make_pools(losses, rule="oracle", max_size=MAX_SIZE, seed=seed)
    write_pools(pools, out / "pools")
    say(
        f"\nTheir {pools.sizes['pool']:,} pools of up to {MAX_SIZE} models get the loss of an oracle that knows the "
        "best member for\nevery document: a bound on what a pool can do, not what it does. The law fitted to them:\n"
    )
    fitted = fit(CollaborationLaw(), pools, draws=draws, seed=seed, progress=progress)
    fitted.save(out / "fit.nc")
    say(str(fitted))
    found = summary(fitted)
    _say_findings(found, say)
    largest = float(pools["parameters"].max())
    predictions = _predict(fitted, largest, seed)
    with atomic_file(out / "predictions.csv", replaceable=_are_predictions) as path:
        predictions.to_csv(path, index=False)
    _say_predictions(predictions, largest, say)
    save_plot(fitted, out / "law.png", what="law")
    save_plot(fitted, out / "claims.png", what="claims")
    asked = Asked(found.interval, seed, shlex.join(["bayeslaw", "demo", "--out", str(out)]))
    chapter = FitReport(fitted, out / "fit.nc", "fit", asked, known=found).chapter()
    write_document(document(chapter.title, LEAD, [chapter]), out / "page.html")
    say(f"\nWrote {', '.join(FILES)} into {out}.")
    return fitted


def _score_and_join(out: Path, say: Callable[[str], None], score: Score) -> xr.Dataset:
    dataset, shipped = find_dataset(DATASET), load_dataset(DATASET)
    families = dict(zip(shipped["lm"].to_numpy().tolist(), shipped["family"].to_numpy().tolist(), strict=True))
    checkpoints = {folder: families[folder.name] for folder in dataset.checkpoints}
    say(
        f"The package comes with {len(checkpoints)} small language models of {len(set(checkpoints.values()))} families "
        "and some texts that none of them was\ntrained on. The losses of these texts, one text a sample:\n"
    )
    shutil.rmtree(out / "scored", ignore_errors=True)
    start = time.monotonic()
    score(checkpoints, dataset.texts, out / "scored")
    seconds, scored = time.monotonic() - start, read_losses(out / "scored")
    joined = join_losses(shipped, scored)
    say(
        f"\nThe losses of {scored.sizes['sample']} texts under {scored.sizes['lm']} models, scored in {seconds:.0f} s, "
        f"are within {largest_difference(shipped, scored):.1g} nats per token of\nthose that come with the package."
    )
    _say_table(joined, say)
    return joined


def _say_table(losses: xr.Dataset, say: Callable[[str], None]) -> None:
    means, sizes = mean_losses(losses)["loss"].to_numpy(), losses["parameters"].to_numpy()
    domains, families = (len(np.unique(losses[name])) for name in ("domain", "family"))
    say(
        f"They take their places in the package's table: {losses.sizes['sample']:,} documents of {domains} domains "
        f"under {losses.sizes['lm']} models of {families} families,\n"
        f"of {count_label(sizes.min())} to {count_label(sizes.max())} parameters and with mean losses of "
        f"{loss_text(means.max())} to {loss_text(means.min())} {loss_unit(losses)}."
    )
    for warning in loss_warnings(losses):
        say(str(warning))


def _check_folder(out: Path) -> None:
    accepted, fix = "a new or empty folder, or one of an earlier demo", "name another folder with --out"
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file", accepted, fix)
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in FILES) if out.is_dir() else []
    if foreign:
        raise InputError(f"{str(out)!r} holds {foreign[0]!r}", accepted, fix)
    check_fit_output(out / "fit.nc")
    # Removed before it is scored again: what is not ours there is refused.
    check_output_folder(out / "scored", "losses", replaceable=is_scored_table)
    check_output_folder(out / "losses", "losses")
    check_output_folder(out / "pools", "pools")
    check_output_file(out / "predictions.csv", replaceable=_are_predictions)
    for name in ("law.png", "claims.png"):
        check_output_file(out / name, replaceable=is_picture)
    check_page(out / "page.html")


def _say_findings(found: Summary, say: Callable[[str], None]) -> None:
    say("The sampler's diagnostics are in order." if found.trusted else "The fit must not be trusted:")
    for finding in found.findings:
        say(f"{finding.severity} {finding.code}: {finding.message}")
    for claim in found.claims:
        after, before = (probability_text(claim[name]) for name in ("probability", "prior_probability"))
        say(f"P({claim['claim']}) = {after}, before the data {before}")
    say("A probability near that before the data says that they do not decide.")


def _are_predictions(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.readline().startswith(b"parameters,regime,")


def _predict(fitted: Fit, largest: float, seed: int) -> pd.DataFrame:
    targets = [(largest * factor, regime) for factor in BUDGET_FACTORS for regime in REGIMES]
    budgets, regimes = zip(*targets, strict=True)
    return predict(fitted, {"parameters": budgets, "regime": regimes}, kind="new", interval=0.9, seed=seed)


def _say_predictions(predictions: pd.DataFrame, largest: float, say: Callable[[str], None]) -> None:
    say(
        f"\nThe largest pool has {count_label(largest)} parameters. Predicted for that many and for more, with the "
        "oracle's choice of member:"
    )
    for row in predictions.to_dict(orient="records"):
        what = "single model" if row["regime"] == "single" else f"{row['regime']} pool"
        say(
            f"A new {what} of {count_label(row['parameters'])} parameters: {loss_text(row['mean'])} {row['unit']} "
            f"({row['interval']:.0%} {row['interval_kind']} interval {loss_text(row['lower'])} to "
            f"{loss_text(row['upper'])})."
        )
    beyond = predictions["extrapolation"].to_numpy()
    say(
        f"{(beyond > 0).sum()} of these {len(beyond)} lie beyond every budget seen of their regime, by up to "
        f"{beyond.max():.1f} times the range of its log budgets:\nintervals hold as far as the law does, and nothing "
        "here says that it does."
    )
