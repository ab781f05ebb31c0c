"""Loss tables and training runs whose truth is known."""

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_flag, a_number, a_seed, a_whole_number, accepts, an_instance, optional, shown
from bayeslaw.simulation.models import SIMPLE, a_few, draw_models, round_size
from bayeslaw.simulation.truth import ChinchillaTruth, PowerTruth, Truth

MOST = 10_000_000
_sizes_fix = "give (low, high), such as (7e7, 7e10)"


def _two_sizes(name: str, value: Any) -> tuple[float, float]:
    """Accept a smallest and a largest number of parameters."""
    pair = list(value) if isinstance(value, list | tuple | np.ndarray) else []
    size = a_number(lowest=1, accepted="two sizes of at least 1, the smaller first", suggested=7e7)
    if len(pair) != 2 or not size(name, pair[0]) < size(name, pair[1]):
        given = repr(tuple(pair)) if pair else shown(value)
        raise InputError(f"{name} {given}", "two positive sizes, the smaller first", _sizes_fix)
    return size(name, pair[0]), size(name, pair[1])


@accepts(
    families=a_few,
    sizes=a_few,
    samples=a_whole_number(lowest=2, highest=MOST, suggested=2000, words=SIMPLE),
    clusters=a_whole_number(lowest=1, highest=MOST, suggested=100, words=SIMPLE),
    parameters=_two_sizes,
    with_bytes=a_flag,
    truth=optional(an_instance(Truth, accepted="a truth, or None", fix="write truth=bayeslaw.Truth()")),
    seed=a_seed,
)
def simulate_losses(
    *,
    families: int = 3,
    sizes: int = 6,
    samples: int = 2000,
    clusters: int = 100,
    parameters: tuple[float, float] = (7e7, 7e10),
    with_bytes: bool = False,
    truth: Truth | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Draw a loss table whose expected losses follow a known power law per family.

    Parameters
    ----------
    families, sizes
        Number of families and of models in each.
    samples, clusters
        Number of samples, and of the documents that they come from in equal parts.
    parameters
        About the smallest and the largest number of parameters; sizes lie evenly on a log scale between them, and
        each family's ladder is shifted by up to 20 %.
    with_bytes
        Give samples a length in bytes. The truth is then in bits per byte, else in nats per sample.
    truth
        The generating process; ``Truth()`` by default.
    seed
        Same seed, same table.

    Returns
    -------
    xr.Dataset
        A loss dataset: `nll` (sample, lm) in nats, `family` and `parameters` (lm), `cluster` (sample), with
        `with_bytes` also `bytes` (sample). ``attrs["truth"]`` is a JSON string: each family's law, each model's
        expected loss, the process and the seed.

    Raises
    ------
    InputError
        If a count is below one (samples: two), there are more clusters than samples, or the sizes are not an
        increasing positive pair.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> dict(bl.simulate_losses(families=2, sizes=3, samples=50, clusters=10)["nll"].sizes)
    {'sample': 50, 'lm': 6}
    """
    if clusters > samples:
        raise InputError(f"{clusters} clusters for {samples} samples", "at most one cluster a sample", "lower clusters")
    truth = truth or Truth()
    rng = np.random.default_rng(seed)
    models = draw_models(families, sizes, parameters, rng)
    laws = {family: _draw_law(truth, rng) for family in dict.fromkeys(models["family"])}
    means = np.array([laws[f].mean(n) for f, n in zip(models["family"], models["parameters"], strict=True)])
    cluster = np.arange(samples) * clusters // samples
    nll = means * _draw_factors(truth, cluster, models["family"].to_numpy(), rng)
    variables: dict[str, tuple[str, np.ndarray]] = {
        "family": ("lm", models["family"].to_numpy(dtype=str)),
        "parameters": ("lm", models["parameters"].to_numpy()),
        "cluster": ("sample", np.array([f"document-{c:04d}" for c in cluster])),
    }
    if with_bytes:
        length = np.maximum(1, rng.lognormal(np.log(80), 0.5, samples).round())
        variables["bytes"] = ("sample", length)
        nll = nll * length[:, None] * np.log(2)
    record = {
        "law": "power",
        "loss_unit": "bits per byte" if with_bytes else "nats per sample",
        "reference_parameters": 1e9,
        "families": {family: asdict(law) for family, law in laws.items()},
        "losses": dict(zip(models["model"], means.tolist(), strict=True)),
        "process": asdict(truth),
        "seed": seed,
    }
    names = [f"sample-{s:05d}" for s in range(samples)]
    return xr.Dataset(
        {"nll": (("sample", "lm"), nll), **variables},
        coords={"sample": names, "lm": models["model"].to_list()},
        attrs={
            "kind": "losses",
            "unit": "sample",
            "missing": json.dumps({}),
            "source": f"simulated, seed {seed}",
            "truth": json.dumps(record),
        },
    )


@accepts(
    points=a_whole_number(lowest=1, highest=MOST, suggested=240, words=SIMPLE),
    truth=optional(
        an_instance(ChinchillaTruth, accepted="a truth, or None", fix="write truth=bayeslaw.ChinchillaTruth()")
    ),
    seed=a_seed,
)
def simulate_chinchilla(*, points: int = 240, truth: ChinchillaTruth | None = None, seed: int = 0) -> pd.DataFrame:
    """Draw the final losses of training runs of many sizes and lengths.

    Parameters
    ----------
    points
        Number of runs.
    truth
        The law and its noise; ``ChinchillaTruth()`` by default, whose values are round and stand for no published fit.
    seed
        Same seed, same runs.

    Returns
    -------
    pd.DataFrame
        Columns `model`, `family`, `parameters`, `training_tokens`, `loss` (nats per token): a table of whole models.
        Sizes lie log-uniformly in [5e7, 2e10] and tokens in [2e9, 5e11]; the law is the median of the loss.
        ``attrs["truth"]`` is a JSON string of the law and the seed.

    Raises
    ------
    InputError
        If `points` is below one.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> list(bl.simulate_chinchilla(points=5))[:3]
    ['model', 'family', 'parameters']
    """
    truth = truth or ChinchillaTruth()
    rng = np.random.default_rng(seed)
    parameters = np.array([round_size(n) for n in np.exp(rng.uniform(np.log(5e7), np.log(2e10), points))])
    tokens = np.array([round_size(n) for n in np.exp(rng.uniform(np.log(2e9), np.log(5e11), points))])
    loss = truth.mean(parameters, tokens) * np.exp(truth.noise * rng.standard_normal(points))
    frame = pd.DataFrame(
        {
            "model": [f"run-{i:03d}" for i in range(points)],
            "family": "simulated",
            "parameters": parameters,
            "training_tokens": tokens,
            "loss": loss,
        }
    )
    frame.attrs["truth"] = json.dumps({"law": "chinchilla", **asdict(truth), "seed": seed})
    return frame


def _draw_law(truth: Truth, rng: np.random.Generator) -> PowerTruth:
    scatter = np.exp(truth.family_spread * rng.standard_normal(3))
    floor, amplitude, exponent = (np.array(list(asdict(truth.law).values())) * scatter).tolist()
    return PowerTruth(floor=floor, amplitude=amplitude, exponent=exponent)


def _draw_factors(truth: Truth, cluster: np.ndarray, family: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Positive factors of mean one, [sample, lm]."""
    samples = len(cluster)
    common = rng.standard_normal(cluster.max() + 1)[cluster]
    difficulty = np.sqrt(truth.cluster_share) * common
    difficulty += np.sqrt(1 - truth.cluster_share) * rng.standard_normal(samples)
    _, index = np.unique(family, return_inverse=True)
    z = truth.difficulty * difficulty[:, None]
    z = z + truth.family_part * rng.standard_normal((samples, index.max() + 1))[:, index]
    z += truth.own_part * rng.standard_normal((samples, len(family)))
    variance = truth.difficulty**2 + truth.family_part**2 + truth.own_part**2
    return np.exp(z - variance / 2)
