"""A law of rows, ready to be calibrated: simulated, fitted and asked for predictions as users would."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from threading import Lock
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr
from jax import Array
from numpyro import handlers

from bayeslaw.calibration.example_designs import default_design
from bayeslaw.calibration.quantities import RowQuantities
from bayeslaw.fitting.fits import Fit, fit
from bayeslaw.fitting.given_rows import Rows, level_scales_of, outline_of, rows_of
from bayeslaw.fitting.row_posterior import row_posterior, values_at
from bayeslaw.laws.base import Law
from bayeslaw.laws.calibrated import KINDS, FittedDraws, Simulated
from bayeslaw.likelihood.compiled import compile_once
from bayeslaw.likelihood.noise import Noise
from bayeslaw.posterior.density import Posterior
from bayeslaw.posterior.samplers import MODE_STARTS
from bayeslaw.posterior.solution import draw_posterior
from bayeslaw.prediction.predictions import predict_draws
from bayeslaw.prediction.targets import NEW_FAMILY

WARMUP = 300
DRAWS = 800
ATTEMPTS = {"nuts": ((WARMUP, 0.9), (WARMUP, 0.99))}
# The width of a direction that the curvature hardly limits is a guess, so chains start near the mode.
CHAIN_SPREAD = 0.3
WITHIN = (0.25, 0.5, 0.75)
BEYOND = (3.0, 10.0)
BUDGETS = ("parameters", "training_tokens")
PREDICTING = Lock()


@dataclass(frozen=True)
class CalibratedLaw:
    """A law whose tables have the rows of a fit, and whose priors and noise are that fit's.

    Rows are drawn by the model's own NumPyro program, with whatever dependence it gives them, and fitted in the
    coordinates that `bayeslaw.fit` samples in; bands are those of `bayeslaw.predict`.

    Parameters
    ----------
    template
        A fit of the law. Its rows' budgets, groups and standard errors are every simulated table's; its draws and
        losses are not used.
    """

    template: Fit

    @property
    def name(self) -> str:
        """Name of the law."""
        return self.template.law.name

    @property
    def unit(self) -> str:
        """Unit of the losses."""
        return self.template.unit

    @property
    def identity(self) -> dict[str, Any]:
        """Law, noise, rows and settings."""
        attrs, digest = self.template.tree.attrs, hashlib.sha256()
        data = self.template.tree["constant_data"].to_dataset()
        for name in sorted(map(str, data.variables)):
            digest.update(name.encode() + np.ascontiguousarray(data[name].to_numpy().astype(str)).tobytes())
        about = {"law": attrs["law"], "noise": attrs["noise"], "rows": digest.hexdigest()}
        return about | {"warmup": WARMUP, "draws": DRAWS, "mode_starts": MODE_STARTS}

    @cached_property
    def _rows(self) -> Rows:
        """Rows of the template; every simulated table differs in its response alone."""
        with jax.enable_x64(True):
            # Gauss nodes stand for the rows of one response only.
            return rows_of(self.template.model)._replace(compressed=None)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of the value of every site."""
        with jax.enable_x64(True):
            posterior = row_posterior(self.template.model)
            return {
                name: array.shape[1:] for name, array in values_at(self.template.model, posterior.start[None]).items()
            }

    @property
    def targets(self) -> pd.DataFrame:
        """Budgets inside and beyond those observed in each group, and of a family not seen."""
        return self._every_target

    @cached_property
    def _every_target(self) -> pd.DataFrame:
        law, model = self.template.law, self.template.model
        parts = [self._targets(group) for group in model.groups or (None,)]
        varies = [parameter.pooling for parameter in model.parameters if parameter.grouped]
        if law.group == "family" and varies and "separate" not in varies:
            parts.append(self._targets(None).assign(**{law.group: NEW_FAMILY, "where": "new family"}))
        return pd.concat(parts, ignore_index=True)

    def _targets(self, group: str | None) -> pd.DataFrame:
        model, covariates = self.template.model, self.template.observations.covariates
        rows = np.arange(len(model.response))
        if group is not None:
            rows = rows[model.group_index == model.groups.index(group)]
        columns: dict[str, Any] = {"where": ["within"] * len(WITHIN) + ["beyond"] * len(BEYOND)}
        # Whatever else the law knows of a row is that of one with about the budget.
        order = rows[np.argsort(covariates[self.template.law.covariates[0]][rows], kind="stable")]
        places = np.round(np.array([*WITHIN, *np.ones(len(BEYOND))]) * (len(order) - 1)).astype(int)
        for name in self.template.law.covariates:
            values = covariates[name]
            columns[name] = values[order[places]]
            if name in BUDGETS:
                low, high = values[rows].min(), values[rows].max()
                within = low * (high / low) ** np.array(WITHIN)
                columns[name] = np.concatenate([within, high * np.array(BEYOND)])
        frame = pd.DataFrame(columns)
        return frame if group is None else frame.assign(**{self.template.law.group: group})

    def labels(self, quantity: str) -> tuple[str, ...]:
        """Names of the elements of a quantity: its groups."""
        size = int(np.prod(self.shapes.get(quantity, ())))
        return (quantity,) if size == 1 else tuple(f"{quantity}[{group}]" for group in self.template.model.groups)

    @cached_property
    def _simulate(self) -> Any:
        model, names = self.template.model, tuple(self.shapes)

        def simulate(key: Array) -> tuple[dict[str, Array], Array, Array]:
            trace = handlers.trace(handlers.seed(model, key)).get_trace(observed=False)
            values = {name: trace[name]["value"] for name in names}
            response = trace[self.template.noise.response]["value"]
            return values, response, model.joint_log_likelihood(values, response)

        return jax.jit(simulate)

    def simulate(self, seed: int) -> Simulated:
        """Draw a table.

        Parameters
        ----------
        seed
            Seed.

        Returns
        -------
        Simulated
            Its data is the response of each row, shape ``[row]``.
        """
        with jax.enable_x64(True):
            values, response, log_likelihood = jax.tree.map(np.asarray, self._simulate(jax.random.PRNGKey(seed)))
        predicted = self.predict({name: value[None] for name, value in values.items()}, response, seed, self.targets)
        outcomes = {kind: predictions[0] for kind, predictions in predicted.items()}
        return Simulated(response, values | {"log_likelihood": log_likelihood}, outcomes)

    def posterior(self, response: np.ndarray) -> tuple[Posterior, Rows]:
        """Return the posterior given a response, shape ``[row]``, and its data. Call under float64.

        What rows share is that of the template, with which tables are simulated.
        """
        model = self._stand_in({}, response).model
        rows = self._rows._replace(response=response, level_scales=level_scales_of(model))
        return replace(row_posterior(self.template.model), start=row_posterior(model).start), rows

    def fit(self, data: np.ndarray, seed: int) -> FittedDraws | None:
        """Draw from the posterior, with smaller steps where trajectories diverge.

        Parameters
        ----------
        data
            The response of each row, shape ``[row]``.
        seed
            Seed.

        Returns
        -------
        FittedDraws or None
            Draws and predictions; None where no mode is found or draws are not finite.
        """
        with jax.enable_x64(True):
            posterior, rows = self.posterior(data)
        return self.fit_posterior(posterior, rows, data, seed, self.targets)

    def fit_posterior(
        self, posterior: Posterior, rows: Rows, data: np.ndarray, seed: int, targets: pd.DataFrame
    ) -> FittedDraws | None:
        """Draw from a posterior of a response, shape ``[row]``, as `fit` does, and predict losses at targets."""
        with jax.enable_x64(True):
            solution = draw_posterior(
                posterior, rows, draws=DRAWS, chains=1, seed=seed, attempts=ATTEMPTS, spread=CHAIN_SPREAD
            )
            if not solution.level:
                return None
            positions = solution.draws.flat
            quantities = compile_once(RowQuantities(outline_of(self.template.model)), positions, rows)
            draws = {name: np.asarray(array) for name, array in quantities(positions, rows).items()}
        if not _finite(draws):
            return None
        values = {name: array for name, array in draws.items() if name in self.shapes}
        # Predictions of truth and of draws must not share their random numbers.
        predictions = self.predict(values, data, seed + 1, targets)
        return FittedDraws(draws, predictions, solution.draws.divergences)

    def predict(
        self, values: dict[str, np.ndarray], response: np.ndarray, seed: int, targets: pd.DataFrame
    ) -> dict[str, np.ndarray]:
        """Draw losses at targets from draws of every site that predictions need, by kind, each [draw, target]."""
        fit, at = self._stand_in(values, response), targets.drop(columns="where")
        # Predictions may solve triangular systems in batches, which wait for each other where several threads do so.
        with PREDICTING:
            return {kind: predict_draws(fit, at, kind=kind, seed=seed).to_numpy()[0] for kind in KINDS}

    def _stand_in(self, values: dict[str, np.ndarray], response: np.ndarray) -> Fit:
        """Build a fit of a simulated table, as far as predictions look into it."""
        tree = self.template.tree.copy()
        name, law = self.template.noise.response, self.template.law
        dims = ("chain", "draw")
        coords: dict[str, Any] = {law.group: list(self.template.model.groups)} if self.template.model.groups else {}
        posterior = {
            site: (dims if array.ndim == 1 else (*dims, law.group), array[None]) for site, array in values.items()
        }
        if values:
            coords |= {"chain": [0], "draw": np.arange(len(next(iter(values.values()))))}
            tree["posterior"] = xr.DataTree(xr.Dataset(posterior, coords=coords))
        observed = tree["observed_data"].to_dataset()
        tree["observed_data"] = xr.DataTree(observed.assign({name: observed[name].copy(data=response)}))
        return Fit(tree)


def _finite(draws: Mapping[str, np.ndarray]) -> bool:
    return all(np.isfinite(array).all() for array in draws.values())


def calibrated_rows(law: Law, data: xr.Dataset | None, *, noise: Noise | None, seed: int) -> CalibratedLaw:
    """Return what draws tables from a law of rows and fits them."""
    table = default_design(law) if data is None else data
    # Fitted for what only a fit fixes: priors scaled to the data, the noise that the table allows, and its record.
    return CalibratedLaw(fit(law, table, noise=noise, draws=50, chains=1, seed=seed, keep=()))
