"""What ``bayeslaw losses`` says about a loss table."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.findings import Finding
from bayeslaw.inputs.arguments import accepts
from bayeslaw.losses.statistics import loss_unit, mean_losses, win_shares
from bayeslaw.losses.table_arguments import losses_or_models
from bayeslaw.losses.table_warnings import loss_warnings
from bayeslaw.losses.weighted_means import cluster_codes
from bayeslaw.markup import Html, answer, cell_text, listing, table


@dataclass(frozen=True)
class ModelSummary:
    """One model of a loss table.

    Attributes
    ----------
    model, family
        Names.
    parameters
        Total number of parameters.
    loss, standard_error
        Mean loss in the report's ``loss_unit``, and its clustered standard error; NaN where unknown.
    wins
        Share of the samples' weight on which it has the lowest loss of all models; None without samples.
    """

    model: str
    family: str
    parameters: float
    loss: float
    standard_error: float
    wins: float | None


@dataclass(frozen=True)
class LossReport:
    """What is in a loss table.

    Attributes
    ----------
    unit
        What a sample is.
    loss_unit
        The unit of every mean loss: ``"bits per byte"`` or ``"nats per ..."``.
    samples, clusters
        How many there are; None for a table of whole models, or where no clusters are named.
    families
        Family names, in the order of the table.
    models
        One summary a model, in the order of the table.
    warnings
        What deserves a look.
    source
        Where the table came from.
    """

    unit: str
    loss_unit: str
    samples: int | None
    clusters: int | None
    families: tuple[str, ...]
    models: tuple[ModelSummary, ...]
    warnings: tuple[Finding, ...]
    source: str

    def as_dict(self) -> dict[str, Any]:
        """Return what ``bayeslaw losses --json`` prints.

        Returns
        -------
        dict
            ``unit``, ``samples``, ``models`` (with ``model, family, parameters, loss, standard_error, loss_unit,
            wins``), ``warnings`` (sentences that begin with their code), ``errors`` (the codes of those that say that
            something is likely wrong), and more.
        """
        models = [
            {
                "model": each.model,
                "family": each.family,
                "parameters": each.parameters,
                "loss": each.loss,
                "standard_error": None if math.isnan(each.standard_error) else each.standard_error,
                "loss_unit": self.loss_unit,
                "wins": each.wins,
            }
            for each in self.models
        ]
        return {
            "unit": self.unit,
            "loss_unit": self.loss_unit,
            "samples": self.samples,
            "clusters": self.clusters,
            "families": list(self.families),
            "models": models,
            "warnings": [str(warning) for warning in self.warnings],
            "errors": [warning.code for warning in self.warnings if warning.is_error],
        }

    def __repr__(self) -> str:
        return f"<LossReport of {len(self.models)} models, {len(self.warnings)} warnings>"

    def _repr_html_(self) -> Html:
        names = ("model", "family", "parameters", "loss", "standard error", "wins")
        rows = [[cell_text(getattr(each, name.replace(" ", "_"))) for name in names] for each in self.models]
        return answer(
            (),
            table(names, rows, caption=f"losses in {self.loss_unit}", left=("model", "family")),
            listing(f"{warning.severity} {warning}" for warning in self.warnings),
        )


@accepts(losses=losses_or_models)
def loss_report(losses: xr.Dataset) -> LossReport:
    """Say what is in a loss table.

    Parameters
    ----------
    losses
        A loss table, or a table of whole models.

    Returns
    -------
    LossReport
        Counts, mean losses with clustered standard errors, win shares, and warnings.
    """
    means = mean_losses(losses)
    whole = "nll" not in losses
    wins = None if whole else win_shares(losses)
    names, families = losses["lm"].to_numpy().tolist(), losses["family"].to_numpy().tolist()
    models = tuple(
        ModelSummary(
            model=names[index],
            family=families[index],
            parameters=float(losses["parameters"].to_numpy()[index]),
            loss=float(means["loss"].to_numpy()[index]),
            standard_error=float(means["standard_error"].to_numpy()[index]),
            wins=None if wins is None else float(wins[index]),
        )
        for index in range(len(names))
    )
    return LossReport(
        unit=str(losses.attrs.get("unit", "sample")),
        loss_unit=loss_unit(losses),
        samples=None if whole else losses.sizes["sample"],
        clusters=int(np.max(cluster_codes(losses))) + 1 if "cluster" in losses else None,
        families=tuple(dict.fromkeys(families)),
        models=models,
        warnings=tuple(loss_warnings(losses)),
        source=str(losses.attrs.get("source", "")),
    )
