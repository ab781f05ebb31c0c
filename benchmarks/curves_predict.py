"""From laws to predictions: breaks averaged by their evidence, and a stack weighted by rows hidden from the fit."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from curves_laws import batch, draw_priors, log_densities, pad, predict_rows
from curves_power import fit_power, predict_power
from curves_protocol import Curve, Prediction, holdout, least_squares
from curves_sampler import DRAWS, TRUSTED_K, sample
from scipy import optimize
from scipy.special import softmax

import bayeslaw as bl
from bayeslaw.posterior.retries import RHAT_LIMIT

BASELINE, UNBROKEN, BROKEN, STACK = "least_squares", "unbroken", "broken", "stack"
# Rows of the package's law, by how they pool curves.
POWER: Mapping[str, str] = {"power": "separate", "pooled": "partial"}
STACKED = (UNBROKEN, BROKEN)
# The centres of four equal parts of the log budgets; where there is no break, one place that means nothing.
BREAKS: Mapping[str, tuple[float, ...]] = {BROKEN: (0.125, 0.375, 0.625, 0.875), UNBROKEN: (0.5,)}
HIDDEN_SHARE = 0.3
SEED = 1
# Breaks less probable than this cannot spoil a prediction.
LEAST_SHARE = 0.01


@dataclass
class Outcome:
    """Predictions of a law, and how they came about.

    Attributes
    ----------
    predictions
        One a curve.
    seconds, compiling
        Seconds of all curves together: fitting and predicting, and all that is done once for functions of these
        shapes.
    warnings
        Why draws may not be trusted, one sentence a fit.
    weights
        Of the laws of a stack, by name.
    """

    predictions: list[Prediction]
    seconds: float = 0.0
    compiling: float = 0.0
    warnings: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)


def predict_curves(name: str, curves: Sequence[Curve], *, seed: int = SEED) -> Outcome:
    """Fit a law to every curve and predict its scored rows.

    Parameters
    ----------
    name
        ``least_squares``, ``power``, ``pooled``, ``unbroken``, ``broken`` or ``stack``.
    curves
        The curves; those of one domain are one batch.
    seed
        Seed.

    Returns
    -------
    Outcome
        Predictions in the order of the curves.
    """
    if name == STACK:
        return stack({law: predict_curves(law, curves, seed=seed) for law in STACKED}, curves, seed=seed)
    if name == BASELINE:
        begun = time.perf_counter()
        return Outcome([least_squares(curve) for curve in curves], time.perf_counter() - begun)
    outcome = Outcome([])
    predictions: dict[int, Prediction] = {}
    for domain in dict.fromkeys(curve.domain for curve in curves):
        places = [place for place, curve in enumerate(curves) if curve.domain == domain]
        own = [curves[place] for place in places]
        found = _sampled(name, own, seed, outcome) if name in BREAKS else _power(own, POWER[name], seed, outcome)
        predictions |= dict(zip(places, found, strict=True))
    outcome.predictions = [predictions[place] for place in range(len(curves))]
    return outcome


def _power(curves: Sequence[Curve], pooling: str, seed: int, outcome: Outcome) -> list[Prediction]:
    """Fit the package's law to a batch of curves and predict."""
    begun = time.perf_counter()
    fit = fit_power(curves, pooling=pooling, seed=seed)
    fitted = time.perf_counter()
    predictions = predict_power(fit, curves, seed=seed)
    # Mode, curvature and NUTS; the remainder compiles, or builds what a saved fit holds besides its draws.
    sampling = fit.tree["sample_stats"].attrs["sampling_time"]
    outcome.seconds += sampling + time.perf_counter() - fitted
    outcome.compiling += fitted - begun - sampling
    found = bl.diagnostics(fit)
    if found.rhat_max > RHAT_LIMIT or found.divergences:
        outcome.warnings.append(
            f"{curves[0].domain}: R-hat reaches {found.rhat_max:.3f} and {found.divergences} trajectories diverge"
        )
    return predictions


def _sampled(name: str, curves: Sequence[Curve], seed: int, outcome: Outcome) -> list[Prediction]:
    """Fit a law with or without a break to a batch of curves by importance sampling, and predict.

    What functions for its shapes take to compile is apart.
    """
    breaks = BREAKS[name]
    data = batch(curves, breaks)
    densities, first = log_densities(data), draw_priors(data, DRAWS, seed, broken=name == BROKEN)
    lengths = [len(curve.new_loss) for curve in curves]
    new = np.stack([pad(np.log(curve.new_budget / curve.reference), max(lengths)) for curve in curves])
    new = np.repeat(new, len(breaks), axis=0)
    begun = time.perf_counter()
    densities(first)
    predict_rows(first, new, data)
    compiled = time.perf_counter()
    posterior = sample(densities, first, seed)
    mean, deviation = predict_rows(posterior.position, new, data)
    # Breaks are equally probable beforehand.
    shares = softmax(posterior.log_evidence.reshape(-1, len(breaks)), axis=1)
    outcome.compiling += compiled - begun
    outcome.seconds += time.perf_counter() - compiled
    if (worse := posterior.pareto_k[shares.ravel() > LEAST_SHARE]).max() > TRUSTED_K:
        outcome.warnings.append(f"{curves[0].domain}: the Pareto k of the weights reaches {worse.max():.2f}")
    lanes = [slice(start, start + len(breaks)) for start in range(0, len(mean), len(breaks))]
    return [
        Prediction(
            np.concatenate(mean[own])[:, :length],
            np.concatenate(deviation[own])[:, :length],
            (share[:, None] * posterior.weight[own]).ravel(),
        )
        for own, length, share in zip(lanes, lengths, shares, strict=True)
    ]


def mix(predictions: Sequence[Prediction], shares: np.ndarray) -> Prediction:
    """Mix predictions of the same rows, [prediction] shares that sum to one."""
    return Prediction(
        np.concatenate([prediction.mean for prediction in predictions]),
        np.concatenate([prediction.deviation for prediction in predictions]),
        np.concatenate([share * prediction.weight for prediction, share in zip(predictions, shares, strict=True)]),
    )


def stack(outcomes: Mapping[str, Outcome], curves: Sequence[Curve], *, seed: int = SEED) -> Outcome:
    """Stack the predictions of laws, with one set of weights for all curves.

    The weights maximise the log density of rows that were hidden from the laws: the last `HIDDEN_SHARE` of the fitted
    rows of each curve, since what is asked for is extrapolation (Yao et al. 2018, but for the rows left out). The rows
    that are scored are not used.

    Parameters
    ----------
    outcomes
        Predictions of the laws by name.
    curves
        The curves.
    seed
        Seed.

    Returns
    -------
    Outcome
        The stack; its seconds are those of its laws and of their fits without the hidden rows.
    """
    shortened = [holdout(curve, HIDDEN_SHARE) for curve in curves]
    hidden = {name: predict_curves(name, shortened, seed=seed) for name in outcomes}
    densities = [
        np.stack([hidden[name].predictions[i].density(np.log(curve.new_loss)) for name in outcomes])
        for i, curve in enumerate(shortened)
    ]
    weights = stacking_weights(densities)
    laws = list(outcomes.values())
    found = zip(*(outcome.predictions for outcome in laws), strict=True)
    every = [*laws, *hidden.values()]
    return Outcome(
        [mix(predictions, weights) for predictions in found],
        sum(outcome.seconds for outcome in every),
        sum(outcome.compiling for outcome in every),
        [warning for outcome in every for warning in outcome.warnings],
        dict(zip(outcomes, weights.tolist(), strict=True)),
    )


def stacking_weights(densities: Sequence[np.ndarray]) -> np.ndarray:
    """Find the weights of a mixture that maximise its log density, averaged over rows and then over curves.

    Parameters
    ----------
    densities
        Log densities of the rows of each curve, [law, row].

    Returns
    -------
    np.ndarray
        Weights that sum to one, [law].
    """
    share = np.concatenate([np.full(rows.shape[1], 1 / rows.shape[1]) for rows in densities]) / len(densities)
    rows = np.concatenate(densities, axis=1)
    rows = np.exp(rows - rows.max(0))
    laws = len(rows)
    found = optimize.minimize(
        lambda weights: -share @ np.log(weights @ rows),
        np.full(laws, 1 / laws),
        jac=lambda weights: -(rows / (weights @ rows)) @ share,
        bounds=[(1e-9, 1)] * laws,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1, "jac": lambda _: np.ones(laws)},
        method="SLSQP",
    )
    return found.x / found.x.sum()
