"""Loss tables, pools and training runs whose truth is known."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import chain, combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayeslaw.arguments import a_flag, a_number, a_seed, a_whole_number, accepts, an_instance, by_name, optional, shown
from bayeslaw.errors import InputError, check_choice
from bayeslaw.truth import ChinchillaTruth, PowerTruth, Truth

FAMILY_NAMES = ("alder", "birch", "cedar", "dogwood", "elder", "fir", "gorse", "hazel", "ivy", "juniper")
REGIME_TRUTHS = {
    "single": PowerTruth(floor=1.6, amplitude=1.5, exponent=0.28),
    "homogeneous": PowerTruth(floor=1.4, amplitude=1.3, exponent=0.31),
    "heterogeneous": PowerTruth(floor=1.2, amplitude=1.2, exponent=0.36),
}


SIMPLE = "{name} {value}"
MOST = 10_000_000
a_few = a_whole_number(lowest=1, highest=1000, suggested=3, words=SIMPLE)
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
    """
    if clusters > samples:
        raise InputError(f"{clusters} clusters for {samples} samples", "at most one cluster a sample", "lower clusters")
    truth = truth or Truth()
    rng = np.random.default_rng(seed)
    models = _draw_models(families, sizes, parameters, rng)
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
    regimes=optional(
        by_name(
            an_instance(PowerTruth, accepted="a power law", fix="write bayeslaw.PowerTruth()"),
            accepted="a mapping from regimes to power laws",
            fix='write {"single": bayeslaw.PowerTruth()}',
        )
    ),
    families=a_few,
    sizes=a_few,
    max_size=a_few,
    noise=a_number(lowest=0, accepted="a number of at least zero", suggested=0.01, words=SIMPLE),
    limit=optional(a_whole_number(lowest=1, suggested=100, words=SIMPLE)),
    seed=a_seed,
)
def simulate_pools(
    regimes: Mapping[str, PowerTruth] | None = None,
    *,
    families: int = 3,
    sizes: int = 6,
    max_size: int = 2,
    noise: float = 0.01,
    limit: int | None = None,
    seed: int = 0,
) -> xr.Dataset:
    """Draw pools whose losses are a power law of their regime plus independent normal noise.

    Nothing is combined from samples: this is the collaboration law itself, for recovering its parameters. What only
    samples can give (win shares, gains, diversity) is left out.

    Parameters
    ----------
    regimes
        Laws of the regimes to draw, any of ``single``, ``homogeneous``, ``heterogeneous``; by default all three, with
        floors that fall and exponents that rise in this order.
    families, sizes
        Number of families and of models in each, from about 7e7 to 7e10 parameters.
    max_size
        Largest pool.
    noise
        Standard deviation of the noise, in nats per sample; it is also each pool's `standard_error`.
    limit
        At most so many pools of each regime, drawn without replacement; all by default.
    seed
        Same seed, same pools.

    Returns
    -------
    xr.Dataset
        A pools dataset: `loss`, `standard_error`, `size`, `parameters`, `families`, `regime` (pool), `member` (pool,
        slot), `family`, `lm_parameters`, `lm_loss` without noise (lm). ``attrs["truth"]`` is a JSON string: each
        regime's law, the noise and the seed.

    Raises
    ------
    InputError
        If a count is below one, a regime is unknown or has no pool, or the noise is negative.
    """
    laws = dict(regimes or REGIME_TRUTHS)
    for name in laws:
        check_choice("regime", name, REGIME_TRUTHS)
    rng = np.random.default_rng(seed)
    models = _draw_models(families, sizes, (7e7, 7e10), rng)
    chosen = _choose_pools(models["family"].to_list(), tuple(laws), max_size, limit, rng)
    size = np.array([len(pool) for pool in chosen])
    member = np.full((len(chosen), max_size), -1)
    for row, pool in zip(member, chosen, strict=True):
        row[: len(pool)] = pool
    count = models["parameters"].to_numpy()
    total = np.array([count[list(pool)].sum() for pool in chosen])
    regime = np.array([_regime(pool, models["family"].to_list()) for pool in chosen])
    mean = np.array([laws[r].mean(n) for r, n in zip(regime, total, strict=True)])
    distinct = np.array([models["family"].iloc[list(pool)].nunique() for pool in chosen])
    names = models["model"].to_numpy()
    record = {
        "law": "collaboration",
        "loss_unit": "nats per sample",
        "reference_parameters": 1e9,
        "regimes": {name: asdict(law) for name, law in laws.items()},
        "noise": noise,
        "seed": seed,
    }
    return xr.Dataset(
        {
            "loss": ("pool", mean + noise * rng.standard_normal(len(chosen))),
            "standard_error": ("pool", np.full(len(chosen), float(noise))),
            "size": ("pool", size),
            "parameters": ("pool", total),
            "families": ("pool", distinct),
            "regime": ("pool", regime),
            "member": (("pool", "slot"), member),
            "family": ("lm", models["family"].to_numpy(dtype=str)),
            "lm_parameters": ("lm", count),
            "lm_loss": ("lm", laws["single"].mean(count) if "single" in laws else np.full(len(count), np.nan)),
        },
        coords={"pool": [" + ".join(names[list(pool)]) for pool in chosen], "lm": names.tolist()},
        attrs={
            "kind": "pools",
            "rule": "oracle",
            "unit": "sample",
            "loss_unit": "nats per sample",
            "design": "all" if limit is None else "stratified",
            "max_size": max_size,
            "seed": seed,
            "parameters_kind": "total",
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
    """
    truth = truth or ChinchillaTruth()
    rng = np.random.default_rng(seed)
    parameters = np.array([_round(n) for n in np.exp(rng.uniform(np.log(5e7), np.log(2e10), points))])
    tokens = np.array([_round(n) for n in np.exp(rng.uniform(np.log(2e9), np.log(5e11), points))])
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


def _round(number: float) -> float:
    return float(f"{number:.2e}")


def _label(parameters: float) -> str:
    return f"{parameters / 1e9:.3g}B" if parameters >= 1e9 else f"{parameters / 1e6:.3g}M"


def _draw_models(families: int, sizes: int, parameters: tuple[float, float], rng: np.random.Generator) -> pd.DataFrame:
    low, high = parameters
    rows = []
    for f in range(families):
        name = FAMILY_NAMES[f] if f < len(FAMILY_NAMES) else f"family{f}"
        for size in np.geomspace(low, high, sizes) * 1.2 ** rng.uniform(-1, 1):
            rows.append((f"{name}-{_label(_round(size))}", name, _round(size)))
    return pd.DataFrame(rows, columns=["model", "family", "parameters"])


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


def _regime(pool: tuple[int, ...], family: list[str]) -> str:
    if len(pool) == 1:
        return "single"
    return "homogeneous" if len({family[m] for m in pool}) == 1 else "heterogeneous"


def _choose_pools(
    family: list[str], regimes: tuple[str, ...], max_size: int, limit: int | None, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    everything = chain.from_iterable(combinations(range(len(family)), k) for k in range(1, max_size + 1))
    by_regime: dict[str, list[tuple[int, ...]]] = {name: [] for name in regimes}
    for pool in everything:
        if (name := _regime(pool, family)) in by_regime:
            by_regime[name].append(pool)
    for name, pools in by_regime.items():
        if not pools:
            raise InputError(
                f"no {name} pool among {len(family)} models and sizes up to {max_size}",
                "enough families, sizes and max_size for every regime asked for",
                "raise them or leave the regime out",
            )
        if limit is not None and len(pools) > limit:
            keep = np.sort(rng.choice(len(pools), limit, replace=False))
            by_regime[name] = [pools[i] for i in keep]
    return sorted(chain.from_iterable(by_regime.values()), key=lambda pool: (len(pool), pool))
