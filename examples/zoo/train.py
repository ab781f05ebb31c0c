"""Train the zoo: ``python examples/zoo/train.py TEXTS OUT``.

Every model becomes an ordinary Hugging Face checkpoint, OUT/zoo-FAMILY-SIZE. A run that is interrupted goes on where it
was; several may work on one folder, each on models of its own.
"""

import json
import os
import subprocess
import sys
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from corpus import Corpus, read_corpus
from excerpts import excerpts
from families import CONTEXT, FAMILIES, LARGE, SIZES, find_family, make_config
from filelock import FileLock, Timeout
from rich.console import Console
from saved_checkpoint import new_decoder, save_checkpoint
from streams import Streams, Validation, encode, make_validation
from tokenizer_training import train_tokenizer
from tokenizers import Tokenizer
from training import Plan, train

from bayeslaw.errors import InputError
from bayeslaw.storage import atomic_file
from inference.decoder.parameter_totals import parameter_counts

Dtype = Literal["float32", "bfloat16"]
CONSOLE = Console(stderr=True, soft_wrap=True)
VALIDATION_ROWS = 32
# Learning rate times width: the best rate of short runs at widths of 12 and 64, by validation loss.
RATE_BY_WIDTH = 0.36
SMOKE = {"tokens": 20_000, "sizes": ["15k"], "looks": 2}
# Leaves every process a core of its own.
ONE_CORE = "--xla_cpu_multi_thread_eigen=false"


def main(
    texts: Annotated[Path, typer.Argument(help="A folder of text, one subfolder per domain.")],
    out: Annotated[Path, typer.Argument(help="Where the checkpoints go.")],
    family: Annotated[list[str] | None, typer.Option("--family", help="Train only these; may be repeated.")] = None,
    size: Annotated[list[str] | None, typer.Option("--size", help=f"{', '.join((*SIZES, *LARGE))}.")] = None,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Training tokens of each model.")] = 2_500_000,
    batch_rows: Annotated[int, typer.Option("--batch-rows", min=1, help=f"Rows of {CONTEXT} tokens in a batch.")] = 8,
    dtype: Annotated[Dtype, typer.Option("--dtype", help="Type of products.")] = "float32",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of initial weights, rows and tokenizers.")] = 0,
    processes: Annotated[
        int, typer.Option("--processes", min=1, help="Train so many models at once, a core each.")
    ] = 1,
    peak: Annotated[
        float | None, typer.Option("--peak", help="The device's peak, in TFLOP/s, to state a share.")
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A minute of everything: the smallest size, few tokens.")
    ] = False,
) -> None:
    """Train families of small language models on a folder of text."""
    try:
        if processes > 1:
            _spread(processes)
        corpus = read_corpus(texts)
        CONSOLE.print(f"{texts}: read")
        CONSOLE.print(corpus.summary().to_string())
        chosen = size or (SMOKE["sizes"] if smoke else list(SIZES))
        budget = SMOKE["tokens"] if smoke else tokens
        zoo = Zoo(corpus, out, seed)
        for one in chosen[::-1]:
            for name in family or list(FAMILIES):
                plan = Plan(budget, batch_rows, _rate(name, one), seed=seed, dtype=dtype)
                zoo.train(name, one, plan, looks=SMOKE["looks"] if smoke else 12, peak=peak)
    except InputError as error:
        CONSOLE.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(2) from None


def _rate(family: str, size: str) -> float:
    make_config(family, size)
    return RATE_BY_WIDTH / FAMILIES[family].shapes[size].width


def _spread(processes: int) -> None:
    """Train in processes of their own, each on one core where the system can pin them; ends this one."""
    # The last value given counts.
    arguments = [*sys.argv, "--processes", "1"]
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    environment = os.environ | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {ONE_CORE}".strip()}
    running = []
    for number in range(processes):
        running.append(subprocess.Popen([sys.executable, *arguments], env=environment))
        if cores:
            # Before it starts a thread, so that all of them inherit it.
            os.sched_setaffinity(running[-1].pid, {cores[number % len(cores)]})
    raise typer.Exit(max(one.wait() for one in running))


class Zoo:
    """The models of a folder, and what they are trained on.

    Parameters
    ----------
    corpus
        Texts.
    out
        Folder of the checkpoints.
    seed
        Of the tokenizers.
    """

    def __init__(self, corpus: Corpus, out: Path, seed: int) -> None:
        self.corpus, self.out, self.seed = corpus, out, seed
        self.work = out / ".training"
        self.work.mkdir(parents=True, exist_ok=True)
        self._ready: dict[str, tuple[Tokenizer, Streams, Validation]] = {}

    def train(self, family: str, size: str, plan: Plan, *, looks: int, peak: float | None) -> None:
        """Train one model, unless it is there or another process is at it."""
        name = f"zoo-{family}-{size}"
        folder = self.work / name
        folder.mkdir(exist_ok=True)
        try:
            with FileLock(folder / ".lock", timeout=0):
                if (self.out / name / "config.json").is_file():
                    CONSOLE.print(f"{name}: there already")
                    return
                self._train(name, family, size, plan, folder, looks=looks, peak=peak)
        except Timeout:
            CONSOLE.print(f"{name}: another process trains it")

    def _train(
        self, name: str, family: str, size: str, plan: Plan, folder: Path, *, looks: int, peak: float | None
    ) -> None:
        tokenizer, streams, validation = self._prepared(family)
        config = make_config(family, size)
        decoder = new_decoder(config, seed=plan.seed)
        counts = parameter_counts(decoder)
        CONSOLE.print(f"{name}: {counts['total']:,} parameters, {plan.tokens:,} tokens, rate {plan.peak_rate:.2g}")

        def report(entry: Any) -> None:
            by_domain = entry["validation_nats_per_byte"]
            mean = sum(by_domain.values()) / len(by_domain)
            trained, speed = entry["training_nats_per_token"], entry["tokens_per_second"]
            rate = 6 * counts["total"] * speed / 1e12
            share = "" if peak is None else f", {rate / peak:.1%} of the peak"
            CONSOLE.print(
                f"{name}: {entry['tokens']:,} of {plan.tokens:,} tokens, {trained:.3f} nats per token "
                f"in training, {mean:.4f} nats per byte in validation, {speed:,} tokens/s{share}"
            )

        trained = train(decoder, streams, validation, plan, folder, report=report, looks=looks)
        rows = plan.steps(CONTEXT) * plan.batch_rows
        about = {
            "family": family,
            "size": size,
            "parameters": counts,
            "plan": {key: getattr(plan, key) for key in plan.__dataclass_fields__},
            "tokens": rows * CONTEXT,
            "epochs": streams.epochs(rows),
            "mixture": dict(find_family(family).mixture),
            "log": trained.log,
            "versions": {package: version(package) for package in ("jax", "flax", "optax", "tokenizers")},
        }
        with atomic_file(folder / "training.json") as path:
            path.write_text(json.dumps(about, indent=1) + "\n")
        save_checkpoint(self.out / name, trained.decoder, config, tokenizer)
        (folder / "state.safetensors").unlink(missing_ok=True)

    @cached_property
    def _documents(self) -> dict[str, dict[str, list[str]]]:
        """Documents by split and domain."""
        found: dict[str, dict[str, list[str]]] = {"train": {}, "validation": {}}
        for split, by_domain in found.items():
            for domain in sorted({file.domain for file in self.corpus.files}):
                texts = self.corpus.texts(split, domain)
                by_domain[domain] = [document for text in texts for document in excerpts(text)]
        return found

    def _prepared(self, family: str) -> tuple[Tokenizer, Streams, Validation]:
        """Return a family's tokenizer and rows, which all its sizes share."""
        if family not in self._ready:
            self._ready[family] = self._prepare(family)
        return self._ready[family]

    def _prepare(self, family: str) -> tuple[Tokenizer, Streams, Validation]:
        mixture = find_family(family).mixture
        documents = self._documents["train"]
        lacking = [domain for domain in mixture if not documents.get(domain)]
        if lacking:
            raise InputError(
                f"the texts have no training documents of the domain {lacking[0]!r}",
                f"a subfolder with text for each of {', '.join(mixture)}",
                "make them with examples/zoo/collect_texts.py",
            )
        tokenizer = self._tokenizer(family, documents)
        end = tokenizer.get_vocab_size() - 1
        tokens = {name: encode(tokenizer, documents[name], end=end, seed=self.seed) for name in mixture}
        validation = self._documents["validation"]
        looked_at = make_validation(tokenizer, validation, end=end, length=CONTEXT, rows=VALIDATION_ROWS)
        return tokenizer, Streams(tokens, mixture, CONTEXT), looked_at

    def _tokenizer(self, family: str, documents: dict[str, list[str]]) -> Tokenizer:
        path = self.work / f"tokenizer-{family}.json"
        with FileLock(self.work / f".tokenizer-{family}.lock"):
            if not path.is_file():
                made = train_tokenizer(find_family(family), documents, seed=self.seed)
                with atomic_file(path) as temporary:
                    made.save(str(temporary))
        return Tokenizer.from_file(str(path))


if __name__ == "__main__":
    typer.run(main)
