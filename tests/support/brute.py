"""Posterior of a power law by importance sampling: numpy and scipy alone, and nothing of the package."""

from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats

PROPOSALS = 200_000
ROUNDS = 3
WIDTHS = {"floor": 0.45, "amplitude": 0.7, "exponent": 0.5, "noise_scale": 1.0}


@dataclass(frozen=True)
class Brute:
    """Weighted draws of floor, amplitude, exponent and noise scale, and each row's log density at each."""

    values: dict[str, np.ndarray]
    weight: np.ndarray
    rows: np.ndarray

    def quantile(self, name, level):
        order = np.argsort(self.values[name])
        return self.values[name][order][np.searchsorted(np.cumsum(self.weight[order]), level)]

    @property
    def elpd(self):
        """Exact leave-one-out log density of each row: one over the posterior mean of one over the density."""
        with np.errstate(divide="ignore"):
            return -special.logsumexp(np.log(self.weight)[:, None] - self.rows, axis=0)

    @property
    def effective(self):
        return 1 / (self.weight**2).sum()


def brute_posterior(parameters, loss, medians, *, error=0.0, logarithm=False, seed=0) -> Brute:
    """Sample log parameters from a wide Student-t around the mode and weigh them.

    The priors are log-normal with the given medians and with `WIDTHS`; densities of rows are of the loss.
    """
    budget = np.log(parameters / np.exp(np.log(parameters).mean()))
    centre, width = np.log([medians[name] for name in WIDTHS]), np.array(list(WIDTHS.values()))

    def row_density(logs):
        floor, amplitude, exponent, scale = np.exp(np.clip(logs, -30, 4)).T[..., None]
        mean = floor + amplitude * np.exp(-exponent * budget)
        if logarithm:
            return stats.norm.logpdf(np.log(loss), np.log(mean), scale) - np.log(loss)
        return stats.norm.logpdf(loss, mean, np.sqrt(scale**2 + error**2))

    def log_density(logs):
        return row_density(logs).sum(-1) + stats.norm.logpdf(logs, centre, width).sum(-1)

    mode = optimize.minimize(lambda x: -log_density(x[None])[0], centre, method="BFGS")
    middle, covariance = mode.x, 2 * mode.hess_inv
    # The posterior bends; each round's proposal covers what the last round found of it, twice over.
    for stream in range(ROUNDS):
        proposal = stats.multivariate_t(middle, covariance, df=3, seed=np.random.default_rng([seed, stream]))
        logs = proposal.rvs(PROPOSALS)
        rows = row_density(logs)
        log_weight = rows.sum(-1) + stats.norm.logpdf(logs, centre, width).sum(-1) - proposal.logpdf(logs)
        weight = np.exp(log_weight - special.logsumexp(log_weight))
        middle = weight @ logs
        covariance = 2 * np.einsum("i,ij,ik->jk", weight, logs - middle, logs - middle)
    return Brute(dict(zip(WIDTHS, np.exp(logs).T, strict=True)), weight, rows)
