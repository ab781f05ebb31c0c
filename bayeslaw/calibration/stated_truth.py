"""A law of rows with stated parameters: tables are drawn from these, and fitted as a user would."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import Any

import jax
import numpy as np
import pandas as pd
import xarray as xr
from jax import Array
from numpyro import handlers

from bayeslaw.calibration.row_calibration import CalibratedLaw, calibrated_rows
from bayeslaw.errors import InputError, nearest
from bayeslaw.fitting.given_rows import Rows, rows_of
from bayeslaw.fitting.row_posterior import row_posterior
from bayeslaw.fitting.tree import REPORTED_BUDGET
from bayeslaw.inputs.arguments import plain, shown
from bayeslaw.laws.base import Law
from bayeslaw.laws.calibrated import FittedDraws, Simulated
from bayeslaw.laws.parameter import FLOOR
from bayeslaw.laws.protocol import AnyLaw
from bayeslaw.likelihood.law_model import LawModel
from bayeslaw.likelihood.noise import Noise
from bayeslaw.likelihood.responses import RESPONSES
from bayeslaw.posterior.density import Posterior
from bayeslaw.prediction.targets import NEW_FAMILY

Truth = Mapping[str, float | Mapping[str, float]]
"""By parameter its value, or one for each group; in the unit of the loss and at the table's reference."""
HOW = "write truth={'floor': 1.5, 'amplitude': 0.8, 'exponent': 0.3, 'noise_scale': 0.02}"


@dataclass(frozen=True)
class LawAtTruth:
    """A law of rows whose tables are drawn from stated parameters; offers what `Calibrated` describes.

    Default priors are scaled to every simulated table, as they are where a user fits one.

    Parameters
    ----------
    rows
        What gives the tables their budgets and groups, and predicts.
    law, noise
        As they were given, with default priors left open.
    values
        Value of every parameter and of what the noise has, each a scalar or of shape ``[group]``.
    """

    rows: CalibratedLaw
    law: Law
    noise: Noise
    values: Mapping[str, np.ndarray]

    @property
    def name(self) -> str:
        """Name of the law."""
        return self.rows.name

    @property
    def unit(self) -> str:
        """Unit of the losses."""
        return self.rows.unit

    @property
    def identity(self) -> dict[str, Any]:
        """Law, noise, rows, settings and the truth."""
        stated = {name: np.asarray(value).tolist() for name, value in self.values.items()}
        return {**self.rows.identity, "law": self.law.specification, "truth": stated}

    @property
    def targets(self) -> pd.DataFrame:
        """Budgets inside and beyond those observed in each group; no truth is stated of a group not seen."""
        every, group = self.rows.targets, self.law.group
        return every if group not in every else every.loc[every[group] != NEW_FAMILY].reset_index(drop=True)

    def labels(self, quantity: str) -> tuple[str, ...]:
        """Names of the elements of a quantity: its groups."""
        return self.rows.labels(quantity)

    @cached_property
    def _simulate(self) -> Any:
        model = self.rows.template.model

        def simulate(key: Array, values: dict[str, Array]) -> Array:
            stated = handlers.substitute(handlers.seed(model, key), values)
            return handlers.trace(stated).get_trace(observed=False)[model.noise.response]["value"]

        return jax.jit(simulate)

    def simulate(self, seed: int) -> Simulated:
        """Draw a table; its data is the response of each row, shape ``[row]``."""
        with jax.enable_x64(True):
            response = np.asarray(self._simulate(jax.random.PRNGKey(seed), dict(self.values)))
        values = {name: value[None] for name, value in self.values.items()}
        predicted = self.rows.predict(values, response, seed, self.targets)
        return Simulated(response, self.values, {kind: predictions[0] for kind, predictions in predicted.items()})

    def posterior(self, response: np.ndarray) -> tuple[Posterior, Rows]:
        """Return the posterior given a response, shape ``[row]``, and its data. Call under float64."""
        observations = replace(self.rows.template.observations, loss=RESPONSES[self.noise.response].to_loss(response))
        model = LawModel(self.law, self.noise, observations)
        # What rows share is that of the template, with which tables are simulated.
        object.__setattr__(model, "dependence", self.rows.template.model.dependence)
        return row_posterior(model), rows_of(model)._replace(compressed=None)

    def fit(self, data: np.ndarray, seed: int) -> FittedDraws | None:
        """Draw from the posterior; as `CalibratedLaw.fit`."""
        with jax.enable_x64(True):
            posterior, rows = self.posterior(data)
        return self.rows.fit_posterior(posterior, rows, data, seed, self.targets)


def law_at_truth(law: Law, truth: Any, data: xr.Dataset | None, *, noise: Noise | None, seed: int) -> LawAtTruth:
    """Return what draws tables from stated parameters of a law of rows and fits them.

    Parameters
    ----------
    law
        The law.
    truth
        Value of every parameter of the law and of its noise by name, or by group a mapping of values; amplitudes at the
        reference of the table, or by ``amplitude_1e9`` at a billion.
    data
        The table whose budgets, groups and standard errors every simulated table has; a small one where None.
    noise
        Noise of the rows.
    seed
        Seed of the fit of the table, which gives nothing but its rows.

    Returns
    -------
    LawAtTruth
        The law.

    Raises
    ------
    InputError
        If a parameter is not stated, not known or out of range, or the law's loss is not
        positive and finite at the rows of the table.
    """
    rows = calibrated_rows(law, data, noise=noise, seed=seed)
    model = rows.template.model
    values = read_truth(truth, model)
    stated = LawAtTruth(rows, law, _with_open_priors(model.noise, noise), values)
    with jax.enable_x64(True):
        losses = np.asarray(model.mean(values, model.covariates, model.group_index))
    if not (np.isfinite(losses) & (losses > 0)).all():
        worst = float(losses[np.argmin(np.where(np.isfinite(losses), losses, -np.inf))])
        raise InputError(
            f"the stated truth has a loss of {worst:.4g} at a row of the table",
            "parameters at which every row has a positive finite loss",
            "state parameters of the table's unit and budgets",
        )
    return stated


def no_truth(law: AnyLaw, *given: Any, **choices: Any) -> LawAtTruth:
    """Refuse a stated truth of a law that does not draw its tables from one value a parameter."""
    raise InputError(
        f"a truth was stated of the law {law.name}",
        "a law of rows, such as power, broken_power, chinchilla or collaboration",
        "leave out the truth: this law is calibrated on tables from its prior",
    )


def _with_open_priors(resolved: Noise, given: Noise | None) -> Noise:
    """Return the noise of a fit with the priors that were given, default ones left to be scaled to each table."""
    names = ("scale", "degrees_of_freedom", "member_scale")
    return replace(resolved, **{name: None if given is None else getattr(given, name) for name in names})


def a_truth(name: str, value: Any) -> dict[str, Any]:
    """Accept a mapping from names of parameters to a number, or to numbers by group; `read_truth` knows which."""
    if not isinstance(value, Mapping) or not value or not all(isinstance(key, str) for key in value):
        raise InputError(f"{name} is {shown(value)}", "a mapping from each parameter to its value", HOW)
    for key, entry in value.items():
        entries = list(entry.values()) if isinstance(entry, Mapping) else [plain(entry)]
        if not all(isinstance(each, Real) and not isinstance(each, bool) for each in map(plain, entries)):
            raise InputError(f"{name} states {key} as {shown(entry)}", "a number, or one for each group", HOW)
    return dict(value)


def read_truth(truth: Any, model: LawModel) -> dict[str, np.ndarray]:
    """Read stated values of the parameters and the noise of a model; see `law_at_truth`."""
    grouped = {p.name: p.grouped for p in model.parameters}
    grouped |= {site: site == "noise_scale" and model.noise_by_group for site in model.noise_priors}
    at_billion = {f"{name}_1e9": name for name in model.law.amplitudes}
    known = (*grouped, *at_billion)
    if not isinstance(truth, Mapping) or not truth:
        raise InputError(f"the truth is {shown(truth)}", f"a value for each of {', '.join(grouped)}", HOW)
    given: dict[str, np.ndarray] = {}
    for name, value in truth.items():
        if name not in known:
            problem = f"the truth has a value for {shown(name)}"
            raise InputError(problem, ", ".join(known), nearest(str(name), known))
        site = str(at_billion.get(name, name))
        if site in given:
            raise InputError(f"the truth states {site} twice, also as {site}_1e9", "one of them", "leave out the other")
        given[site] = _by_group(name, value, grouped[site], model)
    for name in grouped:
        if name not in given:
            stated = f"a value for each of {', '.join(grouped)}"
            raise InputError(f"the truth does not state {name}", stated, f"add {name}")
    for name, site in at_billion.items():
        if name in truth:
            covariate, exponent = model.law.amplitudes[site]
            ratio = np.log(REPORTED_BUDGET / model.observations.reference[covariate])
            given[site] = given[site] * np.exp(given[str(exponent)] * ratio)
    return {name: given[name] for name in grouped}


def _by_group(name: str, value: Any, grouped: bool, model: LawModel) -> np.ndarray:
    """Read the value of a parameter: a scalar, or one a group, [group]."""
    groups = model.groups
    if isinstance(value, Mapping):
        if not grouped:
            raise InputError(f"the truth states {name} by group", f"one number: {name} does not vary", "give a number")
        if set(value) != set(groups):
            wrong = sorted(set(map(str, value)) ^ set(groups))[0]
            raise InputError(
                f"the truth states {name} of {shown(wrong) if wrong in value else 'some groups'}, not of each group",
                f"a number for each of {', '.join(groups)}",
                f"state {wrong}" if wrong in groups else nearest(wrong, groups),
            )
        return np.array([_number(f"{name} of {group}", value[group], model, name) for group in groups])
    number = _number(name, value, model, name)
    return np.full(len(groups), number) if grouped else np.array(number)


def _number(what: str, value: Any, model: LawModel, name: str) -> float:
    parameters = {p.name: p for p in model.parameters}
    low = -np.inf if name in parameters and not parameters[name].positive else 0.0
    accepted = "a finite number" if low < 0 else "a positive finite number" + (", or zero" if name == FLOOR else "")
    real = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not (real and np.isfinite(value) and (value > low or (value == 0 and name == FLOOR))):
        raise InputError(f"the truth states {what} as {shown(value)}", accepted, f"give {what} {accepted}")
    return float(value)
