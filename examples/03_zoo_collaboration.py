"""What a zoo of small models says of collaboration, and how sure it is.

    python examples/03_zoo_collaboration.py            # the zoo that comes with the package
    python examples/03_zoo_collaboration.py FOLDER     # your own: FOLDER/document, FOLDER/paragraph, FOLDER/line

``FOLDER`` holds three tables that ``bayeslaw score`` wrote, of the same models in the units document, paragraph and
line; the documents of the line table are among those of the others.

What it prints is in ``03_zoo_collaboration.txt``; the fit and the pictures go into the folder ``--out``.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from budget_matched import balanced_sets, differences, matched_pairs
from scipy import stats

import bayeslaw as bl
from bayeslaw.losses.weighted_means import cluster_codes, loss_scale

UNITS = ("document", "paragraph", "line")
MAX_SIZE = 3
LEVEL = 0.9
INTERVALS = "90 % equal-tailed intervals"
# Of the first two every regime is inside the data; the last two are beyond.
BUDGETS = (3e4, 8.4e5, 1e7, 1e8)
# Centred at zero, so that the prior gives a rising and a falling loss the same chance.
SIGNED_EXPONENT = "Normal(0, 0.3)"


def main() -> None:
    """Read the tables, and go through the sections."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="?", type=Path, help="folder of three scored tables; the package's if left out")
    parser.add_argument("--out", default=Path("example-output"), type=Path, help="folder for the results")
    parser.add_argument("--quick", action="store_true", help="fewer draws, to see that everything runs")
    given = parser.parse_args()
    pd.set_option("display.width", 120, "display.max_columns", 20, "display.precision", 3)
    draws = 200 if given.quick else 1000
    tables = {
        unit: bl.read_losses(given.tables / unit) if given.tables else bl.load_dataset("zoo", unit=unit)
        for unit in UNITS
    }
    losses = tables["document"]
    print_members(losses, draws)
    fitted = print_laws(losses, draws)
    print_attainable(losses)
    print_units(share_documents(tables))
    print_budgets(tables)
    print_caveats(losses)
    fitted.save(given.out / "fit.nc")
    bl.save_plot(fitted, given.out / "law.png", what="law")
    bl.save_plot(fitted, given.out / "claims.png", what="claims")
    print("wrote fit.nc, law.png, claims.png")


def show(rows: Sequence[Mapping[str, object]] | pd.DataFrame) -> None:
    """Print a table."""
    print(pd.DataFrame(rows).to_string(index=False, float_format="{:.4f}".format))


def describe(draws: np.ndarray, centre: float | None = None, level: float = LEVEL) -> str:
    """Return a centre, by default the median, with the equal-tailed interval of draws."""
    lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return f"{np.median(draws) if centre is None else centre:.4f} ({lower:.4f} to {upper:.4f})"


def log_slope(parameters: np.ndarray, loss: np.ndarray, level: float = 0.95) -> tuple[float, float, float]:
    """Return the slope of log loss on log parameters with its t interval."""
    (slope, _), covariance = np.polyfit(np.log(parameters), np.log(loss), 1, cov=True)
    half = stats.t.ppf((1 + level) / 2, len(loss) - 2) * np.sqrt(covariance[0, 0])
    return slope, slope - half, slope + half


def print_members(losses: xr.Dataset, draws: int) -> None:
    """Print each family's law, and whether its loss falls with size at all."""
    print("# 1. The members")
    unit, family = bl.loss_unit(losses), losses["family"].to_numpy()
    files = int(cluster_codes(losses).max()) + 1
    print(f"{losses.sizes['sample']} documents of {files} files, {losses.sizes['lm']} models; losses in {unit}")
    parameters, means = losses["parameters"].to_numpy(), bl.mean_losses(losses)["loss"].to_numpy()
    law = bl.fit(bl.PowerLaw(), losses, draws=draws, seed=0)
    signed = bl.fit(bl.PowerLaw(exponent=SIGNED_EXPONENT, pooling="separate"), losses, draws=draws, seed=0)
    falling, fitted = [], []
    for name in dict.fromkeys(family):
        own = np.flatnonzero(family == name)
        own = own[np.argsort(parameters[own])]
        slope, lower, upper = log_slope(parameters[own], means[own])
        column = law.model.groups.index(name)
        positive = signed.values()["exponent"][:, signed.model.groups.index(name)] > 0
        falling.append(
            {
                "family": name,
                "models": len(own),
                "parameters": f"{parameters[own[0]]:,.0f} to {parameters[own[-1]]:,.0f}",
                "loss": f"{means[own[0]]:.3f} to {means[own[-1]]:.3f}",
                "inversions": int((np.diff(means[own]) >= 0).sum()),
                "log-log slope": f"{slope:.4f} ({lower:.4f} to {upper:.4f})",
                "P(exponent > 0)": f"{positive.mean():.4f}",
            }
        )
        values = {key: describe(law.values()[key][:, column]) for key in ("exponent", "floor")}
        fitted.append({"family": name, **values})
    show(falling)
    print(
        "Inversions: steps up in size on which the loss does not fall. Slope: least squares of log loss on log "
        f"parameters, 95 % t interval.\nP(exponent > 0): posterior of each family by itself under an exponent ~ "
        f"{SIGNED_EXPONENT}; 0.5 before the data."
    )
    show(fitted)
    print(
        f"Power law, families partially pooled: medians and {INTERVALS}; floors in {unit}. By "
        "total parameters, embeddings included."
    )


def claim_name(claim: bl.Claim) -> str:
    """Return a claim as an inequality."""
    at = "" if claim.budget is None else f" at {claim.budget:.0e}"
    return f"{claim.quantity}{at}: {claim.larger} > {claim.smaller}"


def fit_pools(losses: xr.Dataset, draws: int, rule: str = "oracle") -> bl.Fit:
    """Fit the collaboration law to all pools up to a size."""
    pools = bl.make_pools(losses, rule=rule, max_size=MAX_SIZE)
    return bl.fit(bl.CollaborationLaw(), pools, draws=draws, seed=0)


def print_laws(losses: xr.Dataset, draws: int) -> bl.Fit:
    """Print the law of each regime and the claims, also without each family and for the mixture."""
    print("\n# 2. Laws of single models and of pools")
    fitted = fit_pools(losses, draws)
    observations = fitted.observations
    rows = []
    for column, regime in enumerate(fitted.model.groups):
        values = {key: describe(fitted.values()[key][:, column]) for key in ("exponent", "floor")}
        rows.append({"regime": regime, "pools": int((observations.groups["regime"] == regime).sum()), **values})
    show(rows)
    print(
        f"Oracle pools of up to {MAX_SIZE} models; medians and {INTERVALS}; floors in "
        f"{fitted.unit}, exponents per unit of log total parameters."
    )
    for claim in bl.claims(fitted, budgets=BUDGETS, independent_rows=True):
        print(f"P({claim.claim}) = {claim.probability:.3f}, before the data {claim.prior_probability:.3f}")
        print(
            f"  were families draws of a population {claim.families_probability:.3f}, with independent rows "
            f"{claim.independent_probability:.3f}; by least squares {claim.least_squares:.3f} ± "
            f"{claim.jackknife_deviation:.3f} {claim.unit}"
        )
    for finding in bl.check(fitted):
        print(f"{finding.severity} {finding.code}: {finding.message}\n  remedy: {finding.remedy}")
    print("findings:", len(bl.check(fitted)))
    others = {"mixture instead of oracle": fit_pools(losses, draws, "mixture")}
    family = losses["family"].to_numpy()
    for name in dict.fromkeys(family):
        others[f"without {name}"] = fit_pools(losses.isel(lm=family != name), draws)
    print("The same probabilities from other pools; how far they move says more than how near they are to 0 or 1:")
    stated = {name: bl.claims(other, budgets=BUDGETS) for name, other in {"all": fitted, **others}.items()}
    rows = [
        {"claim": claim_name(claim), **{name: f"{each[row].probability:.3f}" for name, each in stated.items()}}
        for row, claim in enumerate(stated["all"])
    ]
    show(rows)
    return fitted


def named_pools(losses: xr.Dataset) -> dict[str, list[str]]:
    """Return pools that a reader would ask for: members by name of the pool."""
    models = losses[["family", "parameters"]].to_dataframe().sort_values("parameters")
    by_family = models.groupby("family", sort=False)
    pools = {
        "every family's largest": by_family.tail(1).index,
        "every family's smallest": by_family.head(1).index,
        "all models": models.index,
    }
    pools |= {f"all of {name}": group.index for name, group in by_family}
    return {name: [str(member) for member in members] for name, members in pools.items()}


def best_by_domain(losses: xr.Dataset, members: list[str]) -> float:
    """Return the loss of choosing a member for each domain, on other files; NaN where that cannot be done."""
    if "domain" not in losses:
        return float("nan")
    domain = losses["domain"].to_numpy()
    parts = [losses.isel(sample=domain == name) for name in np.unique(domain)]
    if any(cluster_codes(part).max() == 0 for part in parts):
        return float("nan")
    nats = sum(float(bl.combine(part, members, rule="best").sum()) for part in parts)
    return loss_scale(losses) * nats / bl.sample_weights(losses).sum()


def gains(losses: xr.Dataset, members: list[str]) -> dict[str, object]:
    """Return what a pool gains over its best member by an oracle, a mixture and a choice by domain."""
    found = bl.attainability(losses, members, rules="mixture", interval=LEVEL)["mixture"]
    share = "too little" if found.reason else f"{found.value:.3f} ({found.lower:.3f} to {found.upper:.3f})"
    gained = found.difference
    return {
        "members": len(members),
        "best member": found.best,
        "oracle": found.gain.value,
        "mixture": f"{-gained.value:.4f} ({-gained.upper:.4f} to {-gained.lower:.4f})",
        "by domain": found.best - best_by_domain(losses, members),
        "mixture's share": share,
    }


def print_attainable(losses: xr.Dataset) -> None:
    """Print the gain of an ideal router beside gains that need none."""
    print("\n# 3. What an oracle would gain, and what can be had")
    show([{"pool": name, **gains(losses, members)} for name, members in named_pools(losses).items()])
    print(
        f"Losses and gains in {bl.loss_unit(losses)}. Best member: the loss of the member that is best on other files. "
        "Then gains over it:\noracle, the best member of every document, known only afterwards; mixture, the average "
        "of the members' probabilities of the whole\ndocument; by domain, the member that is best on other files of "
        f"the document's domain.\n{INTERVALS.capitalize()}, studentised bootstrap over files. Share: of the oracle's "
        "gain; too little to divide by\nwhere that is under 1 % of the best member's loss or two of its standard "
        "errors."
    )


def share_documents(tables: dict[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    """Keep the documents that all tables have."""
    documents = {}
    for unit, losses in tables.items():
        names = losses["sample"].to_numpy().astype(str)
        # A span is named after its document, with its number behind a colon.
        documents[unit] = names if unit == "document" else np.array([name.rpartition(":")[0] for name in names])
    shared = set.intersection(*(set(names) for names in documents.values()))
    return {unit: losses.isel(sample=np.isin(documents[unit], sorted(shared))) for unit, losses in tables.items()}


def print_units(tables: dict[str, xr.Dataset]) -> None:
    """Print how gains change with the unit that a member is chosen for."""
    print("\n# 4. From document to line, on the same texts")
    by_regime, whole = [], []
    for unit, losses in tables.items():
        size = {"unit": unit, "samples": losses.sizes["sample"], "bytes": bl.sample_weights(losses).sum().astype(int)}
        whole.append({**size, **gains(losses, [str(name) for name in losses["lm"].to_numpy()])})
        oracle, mixture = (bl.make_pools(losses, rule=rule, max_size=MAX_SIZE) for rule in ("oracle", "mixture"))
        for regime in ("homogeneous", "heterogeneous"):
            held = oracle["regime"].to_numpy() == regime
            named = {
                "oracle": oracle["gain"],
                "mixture": mixture["gain"],
                "oracle if independent": oracle["gain_independent"],
            }
            means = {name: float(values[held].mean()) for name, values in named.items()}
            by_regime.append({"unit": unit, "regime": regime, **means})
    show(by_regime)
    print(
        f"Mean gain over the best member in bits per byte, pools of 2 to {MAX_SIZE}; if independent: of an oracle "
        "among members whose deviations are shuffled over samples."
    )
    print("All models in one pool:")
    show(whole)


def compare_budgets(losses: xr.Dataset, *, binned: bool = False) -> list[dict[str, object]]:
    """Return the differences of both designs, a row for each bin of budget."""
    rows = []
    for design, make in {"matched pairs": matched_pairs, "balanced sets": balanced_sets}.items():
        contrast = make(losses, MAX_SIZE)
        found = differences(losses, contrast)
        for number in range(len(contrast.bins) if binned else 1):
            row = {"design": design, "parameters": contrast.bins[number], "comparisons": contrast.comparisons[number]}
            for name in ("loss", "best_members", "net"):
                draws = getattr(found, name)[:, number]
                row[name.replace("_", " ")] = describe(draws[1:], draws[0])
            rows.append(row)
    return rows


def print_budgets(tables: dict[str, xr.Dataset]) -> None:
    """Print heterogeneous against homogeneous pools of the same size and budget."""
    print("\n# 5. Heterogeneous against homogeneous pools of the same budget")
    losses = tables["document"]
    print(
        f"Oracle pools of 2 to {MAX_SIZE} members, compared with as many members. Matched pairs: two pools whose log "
        "budgets differ by 0.1 at most.\nBalanced sets: the pools that take the same places of the families' ladders "
        "of sizes; homogeneous and heterogeneous ones hold every\nmodel equally often, so that members are as good "
        "and as large on average.\n"
        f"Homogeneous minus heterogeneous, in {bl.loss_unit(losses)}; above zero: heterogeneous pools are better. "
        "Loss: of the pools. Best\nmembers: of the pools' best members, by mean loss on these texts. Net: loss minus "
        "best members, which is how much more\nheterogeneous pools gain over their own best members."
    )
    print(f"Documents, {INTERVALS}, bootstrap over files:")
    show(compare_budgets(losses, binned=True))
    print("Documents, without one family:")
    family = losses["family"].to_numpy()
    without = {name: losses.isel(lm=family != name) for name in dict.fromkeys(family)}
    show([{"without": name, **row} for name, rest in without.items() for row in compare_budgets(rest)])
    print("By unit, on the documents that all tables share:")
    shared = share_documents(tables)
    show([{"unit": unit, **row} for unit in UNITS for row in compare_budgets(shared[unit])])


def print_caveats(losses: xr.Dataset) -> None:
    """Print what the numbers do not say."""
    families = len(set(losses["family"].to_numpy()))
    print("\n# 6. What this does not say")
    print(
        "Pools share members and texts. The laws of section 2 take that in, models of one family as different draws; "
        "what families\nas draws and independent rows would make of a claim stands beside it. The intervals of "
        "sections 3 and 5 are over files:\nthey hold for other files under these models, not for other models.\n"
        f"There are {families} families, which differ in architecture, tokenizer and training text at once. Which of "
        "these makes pools\ngain is not told apart, and what happens without one family is the only sign of others.\n"
        "An oracle's gain grows with the number of members and falls with the length of a sample, whatever the models; "
        "a mixture\ncosts at most the logarithm of the number of members for each sample more than the oracle.\n"
        "The models are small and were trained on little text: floors lie far outside the sizes seen."
    )


if __name__ == "__main__":
    main()
