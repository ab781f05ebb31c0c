"""``bayeslaw report``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from bayeslaw.commands.common import (
    ClusterOption,
    DescribeOption,
    IntervalOption,
    MetricOption,
    MissingOption,
    ModelsOption,
    SampleOption,
    SeedOption,
    StrictOption,
    UnitOption,
    note,
    read_any_table,
    warn_if_untrusted,
)
from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_level, a_seed
from bayeslaw.inputs.input_paths import FIT_ENDINGS, check_different, check_file_there, check_fit_there
from bayeslaw.likelihood.compilation_cache import use_compilation_cache


def report(
    ctx: typer.Context,
    of: Annotated[
        list[Path],
        typer.Argument(metavar="FIT...|TABLE", help="A fit, up to four fits, or one table.", show_default=False),
    ],
    out: Annotated[Path, typer.Option("--out", help="The page: a .html file.", show_default=False)],
    interval: IntervalOption = 0.9,
    seed: SeedOption = 0,
    models: ModelsOption = None,
    unit: UnitOption = None,
    cluster: ClusterOption = None,
    sample: SampleOption = None,
    describe: DescribeOption = None,
    missing: MissingOption = "error",
    strict: StrictOption = False,
    metric: MetricOption = None,
) -> None:
    """Write a page of a fit, of fits beside each other, or of a table: one file, which loads nothing from elsewhere.

    The question, the answer, data, law, bands, decision, trust and provenance. Options that describe a table are for
    tables alone.
    """
    options = {"models": models, "unit": unit, "cluster": cluster, "sample": sample, "describe": describe}
    options |= {"metric": metric, "strict": strict, "missing": missing}
    given = {name: value for name, value in options.items() if value and value != "error"}
    of_fits = all(path.suffix in FIT_ENDINGS for path in of)
    _check(of, given, of_fits=of_fits)
    use_compilation_cache()
    import matplotlib

    from bayeslaw.fitting.fit_reading import load_fit
    from bayeslaw.reporting.fit_chapter import Asked
    from bayeslaw.reporting.page_document import check_page, write_document
    from bayeslaw.reporting.reports import check_count, page_text

    # The commands never open a window, and a machine without a display has none to open.
    matplotlib.use("agg")
    asked = Asked(a_level("interval", interval), a_seed("seed", seed), _command(of, out, interval, seed, given))
    check_page(out, inputs=[*of, models])
    if of_fits:
        check_count(len(of))
        fits = [load_fit(path) for path in of]
        for fit, path in zip(fits, of, strict=True):
            warn_if_untrusted(fit, path)
        read = list(zip(fits, of, strict=True))
    else:
        read = [(read_any_table(ctx, of[0], **options), of[0])]
    write_document(page_text(read, asked), out)
    note(ctx, f"wrote {out}")


def _check(of: list[Path], given: dict[str, object], *, of_fits: bool) -> None:
    """Refuse early what makes no page: paths that lead nowhere, and options of tables for fits."""
    if not of_fits and len(of) > 1:
        raise InputError(
            f"{len(of)} paths are given, and not all are of fits", "several fits, or one table", "make a page for each"
        )
    for path in of:
        (check_fit_there if of_fits else check_file_there)(path)
    check_different(of)
    if of_fits and given:
        name = next(iter(given))
        raise InputError(f"--{name} is given with a fit", f"--{name} for tables", "leave it out: the fit has its table")


def _command(of: list[Path], out: Path, interval: float, seed: int, given: dict[str, object]) -> str:
    """Write the command line again, with the options that say something."""
    words = ["bayeslaw", "report", *map(str, of), "--out", str(out)]
    words += [] if interval == 0.9 else ["--interval", f"{interval:g}"]
    words += [] if seed == 0 else ["--seed", str(seed)]
    for name, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            words += [f"--{name}"] if each is True else [f"--{name}", str(each)]
    return shlex.join(words)
