"""Compare losses with those of PyTorch transformers, from the same folders and texts.

    uv run --group torch python examples/zoo/check_with_torch.py CHECKPOINTS... --texts texts.jsonl --out record.json

The exit code is 1 where a text's loss differs by more than 1e-4 nats per token. Of a text that is longer than a model's
context, the beginning that fits is compared.
"""

import importlib.util
import json
import math
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import track

import inference
from bayeslaw.errors import InputError
from bayeslaw.storage import atomic_file
from inference.checkpoints.quiet import quiet_transformers
from inference.texts.documents import text_hash

GATE = 1e-4
PACKAGES = ("torch", "transformers", "tokenizers", "safetensors", "jax", "flax")
CONSOLE = Console(stderr=True)


def main(
    checkpoints: Annotated[list[Path], typer.Argument(help="Folders of models.")],
    texts: Annotated[Path, typer.Option("--texts", help="Texts, as bayeslaw score takes them.")],
    limit: Annotated[int, typer.Option("--limit", min=1, help="Compare so many texts, evenly over the file.")] = 20,
    out: Annotated[Path | None, typer.Option("--out", help="Where the record goes, as JSON.")] = None,
) -> None:
    """Compare losses with those of PyTorch transformers."""
    try:
        record = compare(checkpoints, texts, limit=limit)
        if out is not None:
            with atomic_file(out) as path:
                path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    except InputError as error:
        CONSOLE.print(str(error), style="red", markup=False, highlight=False)
        raise typer.Exit(2) from None
    for model in record["models"]:
        print(
            f"{model['name']}: at most {model['largest_difference']:.1e} nats per token apart over {model['texts']} "
            f"texts, {model['largest_token_difference']:.1e} at a single one of {model['tokens']:,} tokens"
        )
    if not record["passed"]:
        raise typer.Exit(1)


def compare(checkpoints: list[Path], texts: Path, *, limit: int) -> dict[str, Any]:
    """Score texts with PyTorch and with our decoders.

    Parameters
    ----------
    checkpoints
        Folders of models.
    texts
        File of texts.
    limit
        Most texts that are compared; they lie evenly over the file.

    Returns
    -------
    dict
        Versions, texts, the largest differences of every model in nats per token, and whether all are within the gate.

    Raises
    ------
    InputError
        If PyTorch is not installed, or a checkpoint or the texts cannot be read.
    """
    if importlib.util.find_spec("torch") is None:
        problem, fix = "PyTorch is not installed", "run it with uv run --group torch"
        raise InputError(problem, "an environment with PyTorch", fix)
    corpus = inference.read_texts([texts])
    chosen = [corpus.texts[i] for i in np.unique(np.linspace(0, len(corpus.texts) - 1, limit).round().astype(int))]
    models = [compare_model(folder, chosen) for folder in track(checkpoints, "comparing", console=CONSOLE)]
    return {
        "gate_nats_per_token": GATE,
        "passed": all(model["largest_difference"] <= GATE for model in models),
        "versions": {package: version(package) for package in PACKAGES},
        "texts": {"file": texts.name, "compared": len(chosen), "sha256": text_hash("\0".join(chosen))},
        "models": models,
    }


def compare_model(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Score texts with one model, in float32.

    Parameters
    ----------
    folder
        Folder of the model.
    texts
        The texts.

    Returns
    -------
    dict
        The largest difference of a text's loss and of a token's, in nats per token, and what was compared.
    """
    model = inference.load(folder, dtype="float32", offline=True)
    beginnings = [_beginning(text, model) for text in texts]
    losses = inference.score(model, beginnings)
    tokens = inference.token_log_probabilities(model, model.tokenizer.encode_batch(beginnings))
    references = _torch_log_probabilities(folder, beginnings)
    by_text, by_token = [], []
    for number, (loss, own, reference) in enumerate(zip(losses, tokens, references, strict=True)):
        if len(own) != len(reference):
            problem = f"{folder.name} makes {len(own)} tokens of text {number}, and {len(reference)} with PyTorch"
            raise InputError(problem, "the same tokens", "save the tokenizer again")
        by_text.append(abs(loss + reference.sum()) / len(own))
        by_token.append(np.abs(own - reference).max())
    count = sum(map(len, references))
    return {
        "name": folder.resolve().name,
        "revision": model.revision,
        "parameters": model.parameters["total"],
        "texts": len(texts),
        "tokens": count,
        "nats_per_token": float(losses.sum()) / count,
        "largest_difference": _largest(by_text),
        "largest_token_difference": _largest(by_token),
    }


def _largest(differences: list[Any]) -> float:
    # One that is not a number is a difference, and no comparison would notice it.
    return float(np.nan_to_num(np.max(differences), nan=math.inf))


def _beginning(text: str, model: inference.LanguageModel) -> str:
    """Return as much of a text as the model sees at once, with what it puts in front."""
    length = model.config.max_length
    while length and len(offsets := model.tokenizer.encode(text).offsets) >= length:
        # Cut within a word or a character of several tokens, a text may have more tokens than before.
        text = text[: min(len(text) - 1, int(offsets[length - 2, 1]))]
    return text


def _torch_log_probabilities(folder: Path, texts: list[str]) -> list[np.ndarray]:
    """Return the log-probability of every token, float64 [token] for each text: one at a time, without padding."""
    import torch  # pyright: ignore[reportMissingImports]

    with quiet_transformers():
        from transformers.models.auto.modeling_auto import AutoModelForCausalLM
        from transformers.models.auto.tokenization_auto import AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
    prefix = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    found = []
    for text in texts:
        own = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        ids = torch.tensor([prefix, *own])
        with torch.inference_mode():
            logits = model(ids[None], use_cache=False).logits[0, :-1]
        log_probabilities = torch.log_softmax(logits.double(), -1)
        found.append(log_probabilities.gather(1, ids[1:, None])[:, 0].numpy())
    return found


if __name__ == "__main__":
    typer.run(main)
