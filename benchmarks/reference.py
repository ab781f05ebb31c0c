"""Numbers of published tables and fits, reproduced by this package or set beside it.

    python benchmarks/reference.py DATA

DATA is a folder that holds ``surprisal_pile14``, ``lambada_21models`` and ``chinchilla_epoch``. Sections 1 and 2 must
agree to one unit of the last digit printed in the reference, section 3 to 1 %, and the medians of section 4 must lie
inside the published 95 % intervals. Exit codes: 0 all agree, 1 one is off, 2 no data.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from rich.console import Console
from rich.table import Table

import bayeslaw as bl
from bayeslaw.errors import InputError
from bayeslaw.losses.weighted_means import cluster_codes

FILES = (
    "surprisal_pile14/natural_stories_word_nll.csv",
    "surprisal_pile14/natural_stories_sentence_nll.csv",
    "surprisal_pile14/models.csv",
    "lambada_21models/lambada_final_word_nll.csv",
    "lambada_21models/models.csv",
    "chinchilla_epoch/chinchilla_points.csv",
)

WORDS = {
    "words: best single": "2.8998",
    "words: oracle of all 14": "2.2867",
    "words: oracle of mamba": "2.5031",
    "words: oracle of pythia": "2.5913",
    "words: oracle of rwkv4": "2.6567",
    "words: oracle of the largest of each family": "2.5711",
    "words: mixture of the largest of each family": "2.8631",
    "words: standard error of the oracle of 14, independent": "0.0224",
    "words: standard error of the oracle of 14, by sentence": "0.0247",
    "words: standard error of the oracle of 14, by document": "0.0565",
}
LARGEST = ("pythia-2.8b", "rwkv-4-3b", "mamba-2.8b")
SENTENCES = {
    "sentences, nats over tokens: best single": "2.3643",
    "sentences, nats over tokens: oracle of 14": "2.3065",
    "sentences, mean of nats per token: best single": "2.3826",
    "sentences, mean of nats per token: oracle of 14": "2.3110",
}
LAMBADA = {
    "lambada: best single of 20": "0.9778",
    "lambada: oracle of 20": "0.6228",
    "lambada: oracle of gemma": "1.0849",
    "lambada: oracle of gpt2": "1.9512",
    "lambada: oracle of gpt3": "0.9239",
    "lambada: oracle of llama2": "0.8150",
    "lambada: oracle of mistral": "1.1653",
    "lambada: oracle of olmo": "1.3066",
    "lambada: oracle of pythia": "1.0353",
}
NEAR_7B = ("pythia-6.9b-deduped", "OLMo-7B", "gemma-7b", "Llama-2-7b-hf", "Mistral-7B-v0.1", "gpt3-curie")
NEAR_7B_MEANS = {
    "oracle": ("1.3045", "1.0529", "0.9469", "0.8848", "0.8424", "0.8106"),
    "mixture": ("1.3045", "1.2359", "1.2140", "1.2034", "1.1972", "1.1930"),
}

LIKELIHOOD = {
    "single": ("14", "2.5776", "0.5618", "0.3590"),
    "homogeneous": ("26", "2.3583", "0.6341", "0.3283"),
    "heterogeneous": ("65", "2.4687", "0.5160", "0.4426"),
}
LIKELIHOOD_NAMES = ("points", "floor", "amplitude", "exponent")
LIKELIHOOD_REFERENCE = 1e9

CHINCHILLA = {
    "laplace": ("482.006", "2085.44", "1.81686", "0.34781", "0.36585"),
    "normal": ("593.3", "4875.6", "1.86455", "0.3603", "0.4059"),
    "student_t": ("459.2", "1867.2", "1.80727", "0.3449", "0.3605", "2.58"),
}
CHINCHILLA_NAMES = ("A", "B", "E", "alpha", "beta", "degrees of freedom")
MODE_TOLERANCE = 0.01

PUBLISHED = {
    "A": ("482.006", 285, 744),
    "B": ("2085.43", 1042, 5810),
    "E": ("1.81686", 1.769, 1.871),
    "alpha": ("0.34781", 0.317, 0.373),
    "beta": ("0.36585", 0.331, 0.415),
}
"""Besiroglu et al. 2024 (arXiv 2404.10102): estimate and 95 % interval."""


@dataclass(frozen=True)
class Comparison:
    """A quantity of ours beside its reference.

    Parameters
    ----------
    quantity
        What it is.
    reference
        The reference, as printed.
    ours
        Our number.
    lower, upper
        What ours must lie between.
    """

    quantity: str
    reference: str
    ours: float
    lower: float
    upper: float

    @property
    def ok(self) -> bool:
        """Whether ours lies where it must."""
        return self.lower <= self.ours <= self.upper


def to_last_digit(quantity: str, reference: str, ours: float) -> Comparison:
    """Ask for agreement to one unit of the last digit printed; whole numbers are counts and must be equal."""
    unit = 10.0 ** -len(reference.partition(".")[2]) if "." in reference else 0.0
    # A number one unit off is accepted whatever the rounding of its binary form.
    unit *= 1 + 1e-9
    return Comparison(quantity, reference, ours, float(reference) - unit, float(reference) + unit)


def match(references: Mapping[str, str], ours: Iterable[float]) -> Iterator[Comparison]:
    for (quantity, reference), value in zip(references.items(), ours, strict=True):
        yield to_last_digit(quantity, reference, float(value))


def members_of(losses: xr.Dataset, family: str | None = None) -> list[str]:
    names = losses["lm"].to_numpy()
    return [str(name) for name in (names if family is None else names[losses["family"].to_numpy() == family])]


def mean_loss(losses: xr.Dataset, members: Iterable[str], *, rule: str = "oracle") -> float:
    return float(bl.combine(losses, list(members), rule=rule).mean())


def best_and_oracles(losses: xr.Dataset, families: Iterable[str]) -> Iterator[float]:
    yield float(bl.mean_losses(losses)["loss"].min())
    yield mean_loss(losses, members_of(losses))
    for family in families:
        yield mean_loss(losses, members_of(losses, family))


def words(losses: xr.Dataset) -> Iterator[float]:
    yield from best_and_oracles(losses, ("mamba", "pythia", "rwkv4"))
    yield mean_loss(losses, LARGEST)
    yield mean_loss(losses, LARGEST, rule="mixture")
    oracle = bl.combine(losses, members_of(losses)).to_numpy()
    for clusters in (None, cluster_codes(losses), losses["docid"].to_numpy()):
        yield float(bl.clustered_standard_error(oracle, clusters=clusters))


def sentences(losses: xr.Dataset) -> Iterator[float]:
    oracle, tokens, nll = bl.combine(losses, members_of(losses)), losses["tokens"], losses["nll"]
    yield float((nll.sum("sample") / tokens.sum()).min())
    yield float(oracle.sum() / tokens.sum())
    yield float((nll / tokens).mean("sample").min())
    yield float((oracle / tokens).mean())


def lambada(losses: xr.Dataset) -> Iterator[Comparison]:
    families = ("gemma", "gpt2", "gpt3", "llama2", "mistral", "olmo", "pythia")
    yield from match(LAMBADA, best_and_oracles(losses, families))
    near = losses.sel(lm=list(NEAR_7B))
    for rule, references in NEAR_7B_MEANS.items():
        pools = bl.make_pools(near, rule=rule, max_size=len(NEAR_7B))
        means = pools["loss"].groupby(pools["size"]).mean().to_numpy()
        names = [f"near 7B: {rule}, mean over the subsets of {size}" for size in range(1, len(NEAR_7B) + 1)]
        yield from match(dict(zip(names, references, strict=True)), means)


def likelihood(losses: xr.Dataset) -> Iterator[Comparison]:
    """Fit floor, amplitude and exponent to the pools of each regime by maximum likelihood."""
    pools = bl.make_pools(losses, max_size=2)
    law, noise = (
        bl.CollaborationLaw(pooling="complete"),
        bl.Noise(response="log_loss", by_group=False, dependence="independent"),
    )
    for regime, references in LIKELIHOOD.items():
        chosen = pools.isel(pool=np.flatnonzero(pools["regime"].to_numpy() == regime))
        mode = bl.maximum_likelihood(law, chosen, noise=noise)
        relative = LIKELIHOOD_REFERENCE / mode["reference"]["parameters"]
        amplitude = mode["amplitude"] * relative ** -mode["exponent"]
        names = [f"{regime}: {name}" for name in LIKELIHOOD_NAMES]
        ours = (chosen.sizes["pool"], mode["floor"], amplitude, mode["exponent"])
        yield from match(dict(zip(names, references, strict=True)), ours)


def chinchilla_points(path: Path) -> xr.Dataset:
    points = pd.read_csv(path).query("used_in_epoch_fit == 1")
    # Runs of one study: the table names no families, and the law needs one.
    return bl.models_from_frame(points.assign(family="chinchilla"), unit="token")


def at_one(values: Mapping[str, np.ndarray], reference: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Turn amplitudes at the reference budget into those at one parameter and one token, as published."""
    alpha, beta = values["parameter_exponent"], values["token_exponent"]
    return {
        "A": values["parameter_amplitude"] * reference["parameters"] ** alpha,
        "B": values["token_amplitude"] * reference["training_tokens"] ** beta,
        "E": values["floor"],
        "alpha": alpha,
        "beta": beta,
    }


def modes(points: xr.Dataset) -> Iterator[Comparison]:
    for family, references in CHINCHILLA.items():
        noise = bl.Noise(family, "log_loss")
        mode = bl.maximum_likelihood(bl.ChinchillaLaw(pooling="complete"), points, noise=noise)
        ours = [float(value) for value in at_one(mode, mode["reference"]).values()]
        ours += [float(mode["degrees_of_freedom"])] if family == "student_t" else []
        for name, reference, value in zip(CHINCHILLA_NAMES, references, ours, strict=False):
            slack = MODE_TOLERANCE * float(reference)
            yield Comparison(f"{family}: {name}", reference, value, float(reference) - slack, float(reference) + slack)


def published(points: xr.Dataset) -> Iterator[Comparison]:
    """Sample the law with its default, weak priors and set the posterior medians beside the published fit."""
    fitted = bl.fit(bl.ChinchillaLaw(pooling="complete"), points, noise=bl.Noise("laplace", "log_loss"))
    draws = at_one(fitted.values(), fitted.observations.reference)
    for name, (estimate, lower, upper) in PUBLISHED.items():
        reference = f"{estimate} [{lower}, {upper}]"
        yield Comparison(f"NUTS median: {name}", reference, float(np.median(draws[name])), lower, upper)


def sections(data: Path) -> Iterator[tuple[str, list[Comparison]]]:
    """Yield the title of each section with its comparisons."""
    paths = {name: data / name for name in FILES}
    word_file, sentence_file, pile_models, lambada_file, lambada_models, points_file = paths.values()
    word_losses = bl.read_losses(word_file, models=pile_models, unit="word", cluster="docid,sentid")
    sentence_losses = bl.read_losses(sentence_file, models=pile_models, unit="sentence", cluster="docid")
    lambada_losses = bl.read_losses(lambada_file, models=lambada_models, unit="word", missing="drop-models")
    pools = [match(WORDS, words(word_losses)), match(SENTENCES, sentences(sentence_losses)), lambada(lambada_losses)]
    yield "1. Oracle pools", list(chain.from_iterable(pools))
    yield "2. Maximum likelihood, words, normal errors of log losses", list(likelihood(word_losses))
    points = chinchilla_points(points_file)
    yield "3. Chinchilla, modes under flat priors", list(modes(points))
    yield "4. Chinchilla, Besiroglu et al. 2024 [95 % interval]", list(published(points))


def show(title: str, comparisons: list[Comparison], console: Console) -> None:
    table = Table(title=title, title_justify="left", header_style="bold", box=None)
    table.add_column("quantity")
    for name in ("reference", "ours", "difference", "ok"):
        table.add_column(name, justify="right")
    for each in comparisons:
        shown = each.reference.split()[0]
        digits = len(shown.partition(".")[2])
        difference = each.ours - float(shown)
        verdict = "ok" if each.ok else "[red]OFF[/red]"
        ours, gap = f"{each.ours:.{digits}f}", f"{difference:+.{digits + 1}f}"
        table.add_row(each.quantity, each.reference.replace("[", r"\["), ours, gap, verdict)
    console.print(table)
    console.print()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, metavar="DATA", help="folder of the reference tables")
    data = parser.parse_args().data
    missing = [name for name in FILES if not (data / name).is_file()]
    if missing:
        fix = "give the folder that holds surprisal_pile14, lambada_21models and chinchilla_epoch"
        error = InputError(f"{str(data)!r} has no {missing[0]}", f"a folder with {', '.join(FILES)}", fix)
        print(f"Error: {error}", file=sys.stderr)
        return 2
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 120, highlight=False)
    off, count = [], 0
    for title, comparisons in sections(data):
        show(title, comparisons, console)
        count += len(comparisons)
        off += [each.quantity for each in comparisons if not each.ok]
    console.print(f"{count - len(off)} of {count} ok" + "".join(f"\noff: {quantity}" for quantity in off))
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
