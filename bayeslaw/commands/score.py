"""``bayeslaw score``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bayeslaw.commands.common import JsonOption, is_quiet, note
from bayeslaw.commands.results import CsvOption, Results
from bayeslaw.commands.scoring_package import require_scoring_package
from bayeslaw.likelihood.compilation_cache import use_compilation_cache

if TYPE_CHECKING:
    from inference.runs.runner import ModelResult, RunScorer

Unit = Literal["document", "paragraph", "line", "word"]
Bos = Literal["auto", "always", "never"]
Dtype = Literal["float32", "bfloat16", "float16"]
COLUMNS = ("model", "parameters", "loss", "loss_unit", "bytes", "tokens", "seconds", "refused", "gates")


def score(
    ctx: typer.Context,
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Local folders, GGUF files, hub ids with an optional @revision, or YAML files that list models.",
            show_default=False,
        ),
    ],
    texts: Annotated[
        list[Path],
        typer.Option(
            "--texts",
            help="A .txt, .jsonl or .parquet file: text, and possibly id, domain and cluster (the book, say, that the "
            "text is from; standard errors are by cluster); may be repeated.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", help="Folder of the loss table; a run goes on where it was.", show_default=False)
    ],
    unit: Annotated[Unit, typer.Option("--unit", help="What a sample is: spans of each text.")] = "document",
    bos: Annotated[
        Bos,
        typer.Option(
            "--bos",
            help="What stands before each text: what its tokenizer puts there, else its BOS or EOS token (auto); its "
            "BOS token (always); nothing, so that first tokens are not scored (never).",
        ),
    ] = "auto",
    window: Annotated[
        int | None, typer.Option("--window", help="Most tokens a model sees at once (default: what it is made for).")
    ] = None,
    stride: Annotated[
        int | None, typer.Option("--stride", help="Tokens each further window scores (default: half the window).")
    ] = None,
    dtype: Annotated[
        Dtype | None, typer.Option("--dtype", help="Default: float32 on a CPU, bfloat16 on an accelerator.")
    ] = None,
    batch_tokens: Annotated[
        int | None, typer.Option("--batch-tokens", help="Tokens in a batch (default: 2048 on a CPU, else 16384).")
    ] = None,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Keep each token's loss too, for the rules token_mixture and token_oracle.")
    ] = False,
    tensor_parallel: Annotated[
        int, typer.Option("--tensor-parallel", help="Devices each weight is split over; the others share batches.")
    ] = 1,
    offline: Annotated[bool, typer.Option("--offline", help="Use only what is on this machine.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse models that fail a sanity gate.")] = False,
    ray: Annotated[
        str | None, typer.Option("--ray", help="Spread the work over a Ray cluster: its address, or auto.")
    ] = None,
    stream_layers: Annotated[
        bool | None,
        typer.Option(
            "--stream-layers/--no-stream-layers",
            help="Read models layer by layer, all texts going through one before the next: memory holds two layers and "
            "hidden states (default: where a model's weights do not fit into memory).",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
    csv: CsvOption = None,
) -> None:
    """Score texts under models: losses in nats of every sample, with their provenance."""
    results = Results(ctx, COLUMNS, as_json=as_json, csv=csv, inputs=(*texts, *map(Path, models)))
    require_scoring_package()
    use_compilation_cache()
    from inference.runs.model_list import read_requests
    from inference.runs.options import ScoreOptions, check_place
    from inference.runs.runner import run
    from inference.texts.documents import blank_note, read_texts

    options = ScoreOptions(
        unit=unit,
        bos=bos,
        window=window,
        stride=stride,
        dtype=dtype,
        batch_tokens=batch_tokens,
        keep_tokens=tokens,
        strict=strict,
        offline=offline,
        tensor_parallel=tensor_parallel,
        stream_layers=stream_layers,
    )
    check_place(options, elsewhere=ray is not None)
    requests = read_requests(models)
    corpus = read_texts(texts)
    note(ctx, blank_note(corpus))
    scorer = None if ray is None else _cluster(ray, offline)
    done = run(requests, corpus, out, options, scorer=scorer, say=partial(note, ctx), progress=not is_quiet(ctx))
    records = [_as_dict(result, out) for result in done]
    rows = [record | {"gates": [gate["code"] for gate in record["gates"]]} for record in records]
    # What was done has been noted as it was done.
    results.print({"table": str(out), "models": records}, rows, lambda: None)
    if any(result.refused for result in done):
        raise typer.Exit(1)


def _cluster(address: str, offline: bool) -> RunScorer:
    from inference.runs.cluster import ClusterScorer

    return ClusterScorer(address, offline=offline)


def _as_dict(result: ModelResult, out: Path) -> dict[str, Any]:
    """Put what was done with a model into plain values; what is not known of one that was refused is None."""
    import math

    from bayeslaw.inputs.manifests import read_manifest

    gates = [{"code": gate.code, "message": gate.message} for gate in result.gates]
    scored: dict[str, Any] = dict.fromkeys(("parameters", "loss", "loss_unit", "bytes"))
    scored |= {"tokens": result.tokens, "seconds": result.seconds}
    known = read_manifest(out)["models"].get(result.name)
    if known is not None:
        nll, size = (sum(part[what] for part in known["parts"]) for what in ("nll", "bytes"))
        scored |= {"loss": nll / math.log(2) / size, "loss_unit": "bits per byte", "bytes": size}
        scored["parameters"] = known["parameters"]["total"]
    return {"model": result.name, **scored, "refused": result.refused, "gates": gates}
