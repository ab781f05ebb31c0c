"""Whether `bayeslaw choose` keeps what it promises on real tables, and how fast it looks through pools.

Clusters of a table are split in halves 50 times: a pool is chosen on one and judged on the other, and the other way
round. Splits of one table are not independent, so that the error of the promise's bias is that of a bootstrap over its
clusters, with a split of each table drawn. Regret is the loss on the other half beyond that of its best pool, for the
pool that `choose` takes and for three simpler ways to take one; all combine members by the rule given.

The speed is that of summing up all pools of up to 4 of 60 models on 20,000 simulated samples, fold by fold, against the
loop of `benchmarks/pools.py` over the same pools in the same process, and against such a loop for mixtures.

    python benchmarks/choices.py --tables DIR        # DIR has lambada_21models and surprisal_pile14; zoo comes along
    python benchmarks/choices.py --speed             # speed and memory alone
    python benchmarks/choices.py --smoke             # small, in seconds
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from pools import loop, peak_memory, seconds, simulate

import bayeslaw as bl
from bayeslaw.decision.limited_pools import limited_pools
from bayeslaw.decision.limits import Admitted, Limits, admit
from bayeslaw.decision.pool_search import search_pools
from bayeslaw.decision.table_decision import decide
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale
from bayeslaw.pools.rules import find_rule

NORMAL = 1.6449
SPEED_TARGET = 10.0
MEMORY_TARGET = 2 << 30


def tables(folder: Path | None) -> Iterator[tuple[str, xr.Dataset, float]]:
    """Yield the tables with their names and limits of total parameters."""
    for unit in ("document", "line"):
        yield f"zoo, {unit}s", bl.load_dataset("zoo", unit=unit), 3e6
    if folder is None:
        return
    lambada = folder / "lambada_21models"
    read = bl.read_losses(
        lambada / "lambada_final_word_nll.csv", models=lambada / "models.csv", missing="drop-models", unit="word"
    )
    yield "LAMBADA", read, 20e9
    stories = folder / "surprisal_pile14"
    read = bl.read_losses(
        stories / "natural_stories_word_nll.csv", models=stories / "models.csv", cluster="docid,sentid", unit="word"
    )
    yield "natural_stories", read, 3e9


def lean(losses: xr.Dataset) -> xr.Dataset:
    """Keep what a choice needs, with numbers in the place of names of clusters and samples."""
    kept = losses[[name for name in ("nll", "family", "parameters", "bytes") if name in losses]]
    codes = cluster_codes(losses).astype(str)
    return kept.assign(cluster=("sample", codes)).assign_coords(sample=np.arange(losses.sizes["sample"]).astype(str))


def promise(losses: xr.Dataset, limits: Limits, rule: str, seed: int) -> tuple[float, float, list[str]]:
    """Return the promised loss, the loss of the chosen pool on its own samples, and its members.

    The same as of `bl.choose` (a test holds it to that), without intervals and probabilities.
    """
    decision = decide(losses, limits, rule=rule, cost="parameters", top=1, seed=seed)
    contenders = decision.contenders
    judged = decision.cross_fit(np.arange(0)).judged(np.ones(len(contenders.weights)))
    lowest = contenders.means[: contenders.eligible].min()
    return float(judged[0]), float(lowest), list(decision.names(contenders.pools[0]))


def mean_loss(losses: xr.Dataset, members: list[str], rule: str) -> tuple[float, float]:
    """Return the loss of a pool, and its standard error over clusters."""
    lost = bl.combine(losses, members, rule=rule).to_numpy()
    weights = bl.sample_weights(losses)
    scale = loss_scale(losses)
    error = bl.clustered_standard_error(lost, weights, losses["cluster"].to_numpy())
    return scale * float(lost.sum() / weights.sum()), scale * float(error)


def halves(losses: xr.Dataset, generator: np.random.Generator) -> tuple[xr.Dataset, xr.Dataset]:
    labels = losses["cluster"].to_numpy()
    names = np.unique(labels)
    first = np.isin(labels, generator.permutation(names)[: len(names) // 2])
    return losses.isel(sample=first), losses.isel(sample=~first)


def resampled(losses: xr.Dataset, generator: np.random.Generator) -> xr.Dataset:
    """Draw clusters with replacement; the copies of one stay one cluster, so that no half or fold shares it."""
    codes = cluster_codes(losses)
    count = int(codes.max()) + 1
    times = np.bincount(generator.integers(count, size=count), minlength=count)[codes]
    drawn = losses.isel(sample=np.repeat(np.arange(len(codes)), times))
    return drawn.assign_coords(sample=np.arange(drawn.sizes["sample"]).astype(str))


def simple_ways(losses: xr.Dataset, limits: Limits) -> dict[str, list[str]]:
    """Take pools in three simpler ways: the best single model, the largest that fits, greedily by the oracle."""
    names, admitted = losses["lm"].to_numpy(), admit(losses, limits)
    nll, size = losses["nll"].to_numpy()[:, admitted.models], losses["parameters"].to_numpy()[admitted.models]
    greedy: list[int] = []
    while len(greedy) < limits.max_size:
        room = admitted.most[0] - size[greedy].sum()
        rest = [model for model in range(len(size)) if model not in greedy and size[model] <= room]
        if not rest:
            break
        greedy.append(min(rest, key=lambda model: nll[:, [*greedy, model]].min(axis=1).sum()))
    ways = {"best single": [int(nll.sum(axis=0).argmin())], "largest that fits": [int(size.argmax())]}
    ways["greedy by in-sample oracle"] = greedy
    return {way: [str(names[admitted.models[model]]) for model in chosen] for way, chosen in ways.items()}


def lowest_loss(losses: xr.Dataset, limits: Limits, rule: str) -> float:
    admitted, weights = admit(losses, limits), bl.sample_weights(losses)
    nll = losses["nll"].to_numpy()[:, admitted.models]
    found = search_pools(nll, np.zeros(len(nll), dtype=int), admitted, find_rule(rule))
    return loss_scale(losses) * float(found.sums.sum(axis=0).min() / weights.sum())


def one_gap(here: xr.Dataset, there: xr.Dataset, limits: Limits, rule: str) -> float:
    promised, _, members = promise(here, limits, rule, 0)
    return promised - mean_loss(there, members, rule)[0]


def judge(here: xr.Dataset, there: xr.Dataset, limits: Limits, rule: str, seed: int) -> dict[str, Any]:
    """Choose on one half and judge on the other."""
    promised, in_sample, members = promise(here, limits, rule, seed)
    judged, error = mean_loss(there, members, rule)
    width = NORMAL * np.hypot(error, mean_loss(here, members, rule)[1])
    ways, lowest = {"chosen": members} | simple_ways(here, limits), lowest_loss(there, limits, rule)
    return {
        "gap": promised - judged,
        "naive": in_sample - judged,
        "inside": abs(promised - judged) <= width,
        "regrets": {way: mean_loss(there, pool, rule)[0] - lowest for way, pool in ways.items()},
    }


def check(name: str, losses: xr.Dataset, most: float, *, splits: int, tables: int, rule: str) -> None:
    losses, limits = lean(losses), Limits(3, {"parameters": most})
    generator, gaps, naive, inside, regrets = np.random.default_rng(0), [], [], [], []
    start = time.perf_counter()
    for split in range(splits):
        pair = halves(losses, generator)
        found = [judge(here, there, limits, rule, split) for here, there in (pair, pair[::-1])]
        gaps.append(np.mean([each["gap"] for each in found]))
        naive.append(np.mean([each["naive"] for each in found]))
        inside += [each["inside"] for each in found]
        regrets += [each["regrets"] for each in found]
    drawn = []
    for _ in range(tables):
        pair = halves(resampled(losses, generator), generator)
        drawn.append(np.mean([one_gap(here, there, limits, rule) for here, there in (pair, pair[::-1])]))
    # A table drawn has one split, whose chance is a small part of the error of the mean over many.
    within = float(np.var(gaps, ddof=1))
    error = float(np.sqrt(max(float(np.var(drawn, ddof=1)) - within, 0.0) + within / splits))
    clusters = int(cluster_codes(losses).max()) + 1
    print(
        f"{name}: {clusters:,} clusters, up to 3 members and {most:.3g} parameters, rule {rule}, {bl.loss_unit(losses)}"
    )
    print(f"  promise minus the other half  {np.mean(gaps):+.4f} (in sample {np.mean(naive):+.4f})")
    print(f"  error: clusters drawn anew    {error:.4f} (with one split a table {np.std(drawn, ddof=1):.4f})")
    print(f"  90 % predictive intervals hold {np.mean(inside):.2f} of the other halves")
    means = {way: np.mean([each[way] for each in regrets]) for way in regrets[0]}
    print("  regret on the other half:     " + ", ".join(f"{way} {value:.4f}" for way, value in means.items()))
    print(f"  ({time.perf_counter() - start:.0f} s)", flush=True)


def mixture_loop(nll: np.ndarray, pools: list[list[int]]) -> np.ndarray:
    """Mean loss of each mixture, a pool and a member at a time, of exponentials that are made once."""
    base = nll.min(axis=1)
    likelihood = np.asfortranarray(np.exp(base[:, None] - nll))
    means = np.empty(len(pools))
    for index, members in enumerate(pools):
        total = likelihood[:, members[0]].copy()
        for member in members[1:]:
            np.add(total, likelihood[:, member], out=total)
        means[index] = (base - np.log(total / len(members))).mean()
    return means


def speed(samples: int, models: int, rounds: int) -> bool:
    """Compare the search over all pools of up to 4 with the loops; judged by both rules."""
    losses = simulate(samples, models)
    nll, met = losses["nll"].to_numpy(), True
    pools = limited_pools(np.zeros((0, models)), np.zeros(0), 0, 4, 10_000_000)
    assert pools is not None
    members = [[member for member in row if member >= 0] for row in pools.tolist()]
    admitted = Admitted(np.arange(models), 0, np.zeros((0, models)), np.zeros(0), 4)
    folds = np.arange(samples) % 10
    loops: dict[str, Callable[[np.ndarray, list[list[int]]], np.ndarray]] = {"oracle": loop, "mixture": mixture_loop}
    print(f"{len(pools):,} pools x {samples:,} samples")
    for rule, plain in loops.items():
        found = search_pools(nll[:1000], folds[:1000], admitted, find_rule(rule))  # compiles
        ratios, oracles = [], []
        for _ in range(rounds):
            slow = seconds(lambda plain=plain: plain(nll, members))
            minimum = slow if rule == "oracle" else seconds(lambda: loop(nll, members))
            begun = time.perf_counter()
            found = search_pools(nll, folds, admitted, find_rule(rule))
            fast = time.perf_counter() - begun
            ratios.append(slow / fast)
            oracles.append(minimum / fast)
            print(f"  {rule}: loop {slow:.1f} s, loop of minima {minimum:.1f} s, search {fast:.2f} s", flush=True)
        some = np.random.default_rng(0).choice(len(pools), 200, replace=False)
        expected = plain(nll, [members[place] for place in some])
        np.testing.assert_allclose(found.sums[:, some].sum(axis=0) / samples, expected, rtol=1e-5)
        met &= min(ratios) >= SPEED_TARGET
        print(f"  {rule}: {np.median(ratios):.1f} times its loop, {np.median(oracles):.1f} times that of minima")
    start = time.perf_counter()
    bl.choose(losses, max_size=4, top=10)
    print(f"  bl.choose, all of it: {time.perf_counter() - start:.1f} s, peak memory {peak_memory() >> 20} MiB")
    return met and peak_memory() < MEMORY_TARGET


def bounded(samples: int, models: int) -> None:
    """Search up to 3 of many models, and print the bound."""
    start = time.perf_counter()
    found = bl.choose(simulate(samples, models), max_size=3, top=3)
    print(
        f"up to 3 of {models} models, {samples:,} samples: {time.perf_counter() - start:.0f} s, peak memory so far ",
        end="",
    )
    print(f"{peak_memory() >> 20} MiB\n  {found.sentences[-1]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", type=Path, help="folder of the tables that do not come with the package")
    parser.add_argument("--only", help="only tables whose name begins with this, such as LAMBADA")
    parser.add_argument("--splits", type=int, default=50, help="how often the clusters are split in halves")
    parser.add_argument("--resamples", type=int, default=200, help="tables drawn for the error of the promise's bias")
    parser.add_argument("--speed", action="store_true", help="speed and memory alone")
    parser.add_argument("--bounded", action="store_true", help="the search that does not look at all pools, alone")
    parser.add_argument("--rule", default="mixture")
    parser.add_argument("--smoke", action="store_true", help="small, in seconds; targets are printed but not judged")
    arguments = parser.parse_args()
    if arguments.smoke:
        name, losses, most = next(tables(None))
        check(name, losses, most, splits=3, tables=3, rule=arguments.rule)
        speed(1_000, 12, 1)
        return 0
    if arguments.speed:
        return 0 if speed(20_000, 60, 1) else 1
    if arguments.bounded:
        bounded(200_000, 150)
        return 0
    for name, losses, most in tables(arguments.tables):
        if arguments.only is None or name.startswith(arguments.only):
            check(name, losses, most, splits=arguments.splits, tables=arguments.resamples, rule=arguments.rule)
    return 0


if __name__ == "__main__":
    sys.exit(main())
