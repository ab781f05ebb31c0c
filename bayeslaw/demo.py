"""The whole path from losses to predictions, on a table that comes with the package."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from bayeslaw.diagnose import check, claims, trusted
from bayeslaw.errors import InputError, check_whole
from bayeslaw.fit import FEWEST_DRAWS, Fit, fit
from bayeslaw.laws import CollaborationLaw
from bayeslaw.losses import write_losses
from bayeslaw.plots import save_plot
from bayeslaw.pools import make_pools, write_pools
from bayeslaw.predict import predict
from bayeslaw.regimes import REGIMES
from bayeslaw.simulate import simulate_losses
from bayeslaw.storage import atomic_file, check_output_file

MAX_SIZE = 3
BUDGET_FACTORS = (1, 10, 100)
FILES = ("losses", "pools", "fit.nc", "predictions.csv", "law.png", "claims.png")


def run_demo(out: Path, say: Callable[[str], None], *, draws: int = 1000, seed: int = 0, progress: bool = False) -> Fit:
    """Simulate losses, form pools, fit the collaboration law, predict, and write everything into a folder.

    Parameters
    ----------
    out
        The folder; made where missing. Files of an earlier demo in it are replaced.
    say
        Called with each sentence of what is done and found.
    draws
        Draws kept per chain.
    seed
        Seed of the simulation and of the draws.
    progress
        Whether to show progress.

    Returns
    -------
    Fit
        The fit.

    Raises
    ------
    InputError
        If the folder holds other things, or cannot be written, or a number is out of range.
    """
    _check_folder(out)
    check_whole("draws", draws, lowest=FEWEST_DRAWS, suggested=1000)
    check_whole("seed", seed, lowest=0, suggested=0)
    losses = simulate_losses(seed=seed)
    say(
        "There are no measured losses in the package yet: this table is simulated, and its numbers say nothing of real "
        f"models.\nIt has {losses.sizes['sample']:,} samples under {losses.sizes['lm']} models of "
        f"{len(set(losses['family'].values))} families."
    )
    write_losses(losses, out / "losses")
    pools = make_pools(losses, rule="oracle", max_size=MAX_SIZE, seed=seed)
    write_pools(pools, out / "pools")
    say(
        f"Their {pools.sizes['pool']:,} pools of up to {MAX_SIZE} models have the loss of an oracle that picks the "
        "best member per sample."
    )
    fitted = fit(CollaborationLaw(), pools, draws=draws, seed=seed, progress=progress)
    fitted.save(out / "fit.nc")
    say(str(fitted))
    _say_findings(fitted, say)
    predictions = _predict(fitted, float(pools["parameters"].max()), seed)
    with atomic_file(out / "predictions.csv") as path:
        predictions.to_csv(path, index=False)
    for row in predictions.to_dict(orient="records"):
        say(
            f"A new {row['regime']} pool of {row['parameters']:.3g} parameters: {row['mean']:.3f} {row['unit']} "
            f"({row['interval']:.0%} {row['interval_kind']} interval {row['lower']:.3f} to {row['upper']:.3f})."
        )
    save_plot(fitted, out / "law.png", what="law")
    save_plot(fitted, out / "claims.png", what="claims")
    say(f"Wrote {', '.join(FILES)} into {out}.")
    return fitted


def _check_folder(out: Path) -> None:
    accepted, fix = "a new or empty folder, or one of an earlier demo", "name another folder with --out"
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file", accepted, fix)
    foreign = sorted(entry.name for entry in out.iterdir() if entry.name not in FILES) if out.is_dir() else []
    if foreign:
        raise InputError(f"{str(out)!r} holds {foreign[0]!r}", accepted, fix)
    check_output_file(out / "fit.nc")


def _say_findings(fitted: Fit, say: Callable[[str], None]) -> None:
    findings = check(fitted)
    say("The sampler's diagnostics are in order." if trusted(findings) else "The fit must not be trusted:")
    for finding in findings:
        say(f"{finding.severity} {finding.code}: {finding.message}")
    for claim in claims(fitted):
        say(f"P({claim.claim}) = {claim.probability:.3f} after the data, {claim.prior_probability:.3f} before.")


def _predict(fitted: Fit, largest: float, seed: int) -> pd.DataFrame:
    targets = [(largest * factor, regime) for factor in BUDGET_FACTORS for regime in REGIMES]
    budgets, regimes = zip(*targets, strict=True)
    return predict(fitted, {"parameters": budgets, "regime": regimes}, kind="new", interval=0.9, seed=seed)
