"""Pools whose losses are a law of their regime, for recovering its parameters."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from itertools import chain, combinations

import numpy as np
import xarray as xr

from bayeslaw.errors import InputError, check_choice
from bayeslaw.inputs.arguments import a_number, a_seed, a_whole_number, accepts, an_instance, by_name, optional
from bayeslaw.pools.regimes import regime_of
from bayeslaw.simulation.models import SIMPLE, a_few, draw_models
from bayeslaw.simulation.truth import PowerTruth

REGIME_TRUTHS = {
    "single": PowerTruth(floor=1.6, amplitude=1.5, exponent=0.28),
    "homogeneous": PowerTruth(floor=1.4, amplitude=1.3, exponent=0.31),
    "heterogeneous": PowerTruth(floor=1.2, amplitude=1.2, exponent=0.36),
}


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

    Examples
    --------
    >>> import bayeslaw as bl
    >>> bl.simulate_pools(families=2, sizes=3, max_size=2).sizes["pool"]
    21
    """
    if regimes is not None and not regimes:
        raise InputError("regimes is empty", "laws of one regime or more", "leave regimes out for all three")
    laws = dict(regimes or REGIME_TRUTHS)
    for name in laws:
        check_choice("regime", name, REGIME_TRUTHS)
    rng = np.random.default_rng(seed)
    models = draw_models(families, sizes, (7e7, 7e10), rng)
    chosen = _choose_pools(models["family"].to_list(), tuple(laws), max_size, limit, rng)
    size = np.array([len(pool) for pool in chosen])
    member = np.full((len(chosen), max_size), -1)
    for row, pool in zip(member, chosen, strict=True):
        row[: len(pool)] = pool
    count = models["parameters"].to_numpy()
    total = np.array([count[list(pool)].sum() for pool in chosen])
    regime = np.array([regime_of(models["family"].iloc[list(pool)].to_list()) for pool in chosen])
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


def _choose_pools(
    family: list[str], regimes: tuple[str, ...], max_size: int, limit: int | None, rng: np.random.Generator
) -> list[tuple[int, ...]]:
    everything = chain.from_iterable(combinations(range(len(family)), k) for k in range(1, max_size + 1))
    by_regime: dict[str, list[tuple[int, ...]]] = {name: [] for name in regimes}
    for pool in everything:
        if (name := regime_of([family[member] for member in pool])) in by_regime:
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
