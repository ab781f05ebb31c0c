"""Pools times samples per second and peak memory of `make_pools`, against a loop over pools of ``np.minimum``.

Both run in the same process, in turn, on simulated lognormal losses of 10,246 samples x 18 models; `make_pools` makes
all of its outputs (losses, clustered standard errors, win shares, cross-fitted best, both nulls, diversity, names), the
loop only the mean losses.

    python benchmarks/pools.py            # all 31,179 pools of up to 6 models, and samples of 10,000
    python benchmarks/pools.py --smoke    # small, in seconds
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from bayeslaw.pools.cpu_cores import usable_cores
from bayeslaw.pools.pool_losses import make_pools

MEMORY_TARGET = 1 << 30
SPEED_TARGET = 5.0


def simulate(samples: int, models: int, words_per_cluster: int = 0) -> xr.Dataset:
    generator = np.random.default_rng(0)
    difficulty = generator.lognormal(0.5, 1.0, (samples, 1))
    nll = np.asfortranarray(difficulty * generator.lognormal(0.0, 0.3, (samples, models)))
    table = xr.Dataset(
        {
            "nll": (("sample", "lm"), nll),
            "family": ("lm", [f"family{model % 3}" for model in range(models)]),
            "parameters": ("lm", 1e8 * 1.4 ** np.arange(models)),
        },
        coords={"sample": np.arange(samples).astype(str), "lm": [f"model{model}" for model in range(models)]},
        attrs={"kind": "losses", "unit": "word"},
    )
    if words_per_cluster:
        table["cluster"] = ("sample", (np.arange(samples) // words_per_cluster).astype(str))
    return table


def loop(nll: np.ndarray, pools: list[list[int]]) -> np.ndarray:
    """Mean loss of each pool, a pool and a member at a time, on losses whose columns are contiguous."""
    means = np.empty(len(pools))
    for index, members in enumerate(pools):
        lowest = nll[:, members[0]].copy()
        for member in members[1:]:
            np.minimum(lowest, nll[:, member], out=lowest)
        means[index] = lowest.mean()
    return means


def bandwidth() -> float:
    """Bytes a second read and written by copies of an array that no cache holds, on one core."""
    source = np.ones(1 << 25)
    target = np.empty_like(source)
    return 2 * source.nbytes / min(seconds(lambda: np.copyto(target, source)) for _ in range(5))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def child(arguments: list[str], cache: str | None = None) -> tuple[float, int]:
    """Run this file in a new process; return its seconds from start to end and its peak memory."""
    environment = dict(os.environ) | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    start = time.perf_counter()
    command = [sys.executable, __file__, "--child", *arguments]
    out = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return time.perf_counter() - start, int(out)


def run_child(samples: int, limit: int, rule: str) -> None:
    if limit:
        make_pools(simulate(samples, 18), max_size=6, limit=limit, rule=rule)
    print(peak_memory())


def bare_interpreter() -> int:
    code = "print(next(int(l.split()[1]) * 1024 for l in open('/proc/self/status') if l.startswith('VmHWM')))"
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout)


def alternate(table: xr.Dataset, options: dict[str, Any], rounds: int) -> tuple[int, int, np.ndarray]:
    """Return the number of pools and of members in them, and seconds of loop and make_pools, [round, 2]."""
    nll = table["nll"].to_numpy()
    pools = make_pools(table, max_size=6, **options)
    members = [[member for member in row if member >= 0] for row in pools["member"].to_numpy().tolist()]
    if pools.attrs["rule"] == "oracle":
        np.testing.assert_allclose(pools["loss"], loop(nll, members), rtol=1e-12)
    times = [
        (seconds(lambda: loop(nll, members)), seconds(lambda: make_pools(table, max_size=6, **options)))
        for _ in range(rounds)
    ]
    return len(members), sum(map(len, members)), np.array(times)


def speed(samples: int, limit: int, rounds: int) -> bool:
    columns = ("pools", "loop", "make_pools", "ratio", "least", "most")
    print(f"{'G pools x samples / s':<36}" + "".join(f"{column:>11}" for column in columns))
    copied, judged = bandwidth(), 0.0
    every: dict[str, Any] = {"rule": "oracle"}
    cases: list[tuple[str, int, dict[str, Any]]] = [
        ("oracle, every pool of up to 6", 0, {"rule": "oracle", "limit": limit} if samples < 10_000 else every),
        ("oracle, stratified sample", 0, {"rule": "oracle", "limit": limit}),
        ("the same, samples in clusters of 21", 21, {"rule": "oracle", "limit": limit}),
        ("mixture, stratified sample", 0, {"rule": "mixture", "limit": limit}),
    ]
    for label, words, options in cases:
        number, values, times = alternate(simulate(samples, 18, words), options, rounds)
        ratios = times[:, 0] / times[:, 1]
        rates = number * samples / np.median(times, axis=0) / 1e9
        numbers = f"{number:>11,}{rates[0]:>11.2f}{rates[1]:>11.2f}"
        print(f"{label:<36}{numbers}{np.median(ratios):>11.1f}{ratios.min():>11.1f}{ratios.max():>11.1f}")
        if not judged:
            judged = float(np.median(ratios))
            read = 8 * samples * values / float(np.median(times[:, 1]))
            share = read / copied
            print(f"    losses of members are taken in at {read / 1e9:.0f} GB/s on {usable_cores()} cores,")
            print(
                f"    {share:.1f} times the {copied / 1e9:.0f} GB/s at which one core copies memory: most come shared"
            )
    met = judged >= SPEED_TARGET
    verdict = "too small to judge" if samples < 10_000 else "ok" if met else "MISSED"
    print(f"speed: {judged:.1f} times the loop, target {SPEED_TARGET:g}: {verdict}")
    return met


def memory(samples: int, limit: int) -> bool:
    bare, met = bare_interpreter(), True
    with tempfile.TemporaryDirectory() as cache:
        imports = child([str(samples), "0", "oracle"])[1]
        print(f"peak memory above a bare interpreter ({bare >> 20} MiB): {imports - bare >> 20} MiB for the imports")
        for rule in ("oracle", "mixture"):
            cold, cold_peak = child([str(samples), str(limit), rule], cache)
            warm, warm_peak = child([str(samples), str(limit), rule], cache)
            met &= max(cold_peak, warm_peak) - bare < MEMORY_TARGET
            print(f"  {rule}, warm: {warm_peak - bare >> 20} MiB, process from start to end {warm:.1f} s")
            print(f"  {rule}, compiling: {cold_peak - bare >> 20} MiB, process from start to end {cold:.1f} s")
    print(f"memory: target below {MEMORY_TARGET >> 20} MiB: {'ok' if met else 'MISSED'}")
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="small, in seconds; targets are printed but not judged")
    parser.add_argument("--rounds", type=int, default=15, help="times that loop and make_pools run in turn")
    parser.add_argument("--child", nargs=3, metavar=("SAMPLES", "LIMIT", "RULE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        samples, limit, rule = arguments.child
        run_child(int(samples), int(limit), rule)
        return 0
    samples, limit, rounds = (1_000, 1_000, 3) if arguments.smoke else (10_246, 10_000, arguments.rounds)
    met = [speed(samples, limit, rounds), memory(samples, limit)]
    return 0 if arguments.smoke or all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
