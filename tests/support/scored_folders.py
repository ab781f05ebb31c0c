"""Folders of losses as a scorer writes them: parts of each model, its tokens, a manifest with its tokenizer."""

import numpy as np
import pandas as pd

from bayeslaw.storage import write_manifest

ONE, OTHER = "3fa2" * 16, "9d71" * 16
SIZES = {"a": 1e7, "b": 2e7, "c": 4e7, "d": 8e7}


def token_frame(name, *, documents=4, words=5, seed=0, tokenizer=ONE):
    """Return one row a token of one model; models of one tokenizer have the same rows but for the losses."""
    cuts = np.random.default_rng([seed, int(tokenizer[0], 16)])
    losses = np.random.default_rng([seed, ord(name)])
    rows = []
    for document in range(documents):
        position = 0
        for word in range(words):
            # The bytes of a word are the same whatever the tokenizer; some tokens have none.
            size = 3 + (document * words + word) % 7
            pieces = int(cuts.integers(1, 4))
            ends = np.sort(cuts.integers(0, size + 1, pieces - 1))
            for part in np.diff(np.concatenate([[0], ends, [size]])):
                rows.append((name, f"d{document}", f"d{document}:{word}", position, losses.gamma(2, 1.5), part))
                position += 1
    return pd.DataFrame(rows, columns=["lm", "document", "sample", "position", "nll", "bytes"])


def loss_frame(tokens):
    """Return one row a sample, as the tokens of one model add up."""
    first = {name: (name, "first") for name in ("lm", "document")}
    sums = {"nll": ("nll", "sum"), "bytes": ("bytes", "sum"), "tokens": ("nll", "size")}
    rows = tokens.groupby("sample", sort=False).agg(**sums, **first).reset_index()
    return rows.rename(columns={"document": "cluster"}).assign(scored_bytes=rows["bytes"])


def write_folder(folder, frames, *, hashes, precision="float64", kept=None, unit="word"):
    """Write a folder from the tokens of each model; of the models in `kept` also the tokens themselves."""
    (folder / "tokens").mkdir(parents=True)
    rows = [{"model": name, "family": "xy"[i % 2], "parameters": SIZES[name]} for i, name in enumerate(frames)]
    pd.DataFrame(rows).to_parquet(folder / "models.parquet", index=False)
    for name, tokens in frames.items():
        losses = loss_frame(tokens)
        for part, half in enumerate((losses[::2], losses[1::2])):
            half.to_parquet(folder / f"part-{name}-{part:05d}.parquet", index=False)
        if kept is None or name in kept:
            stored = tokens.astype({"nll": precision, "position": "int32"})
            # Neither in the order of the text nor of the documents.
            for part, third in enumerate((stored[::-1][::3], stored[::-1][1::3], stored[::-1][2::3])):
                third.to_parquet(folder / "tokens" / f"{name}-{part:05d}.parquet", index=False)
    models = {name: {"tokenizer": tokenizer, "revision": "main"} for name, tokenizer in hashes.items()}
    sections = {"models": models, "scoring": {"window": 8}}
    write_manifest(folder, "losses", {"kind": "losses", "unit": unit, "cluster": "cluster"}, sections=sections)
    return folder


def scored_folder(folder, names="abc", *, other="", precision="float64", kept=None, **options):
    """Write a folder of models of one tokenizer, and of those in `other` of another."""
    hashes = {name: OTHER if name in other else ONE for name in names}
    frames = {name: token_frame(name, tokenizer=hashes[name], **options) for name in names}
    return write_folder(folder, frames, hashes=hashes, precision=precision, kept=kept)
