"""Files to loss tables: a wide CSV with a models CSV, a Parquet folder, a table of whole models."""

import os
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_choice, a_column_list, a_path, a_text, accepts, optional, some_columns
from bayeslaw.inputs.foreign_files import open_regular
from bayeslaw.inputs.input_paths import unreadable
from bayeslaw.losses.columns import MOST_CHARACTERS, NOT_GIVEN, check_length, column_list
from bayeslaw.losses.dataset_arguments import FRAME_FIX, a_unit
from bayeslaw.losses.folders import read_folder
from bayeslaw.losses.frames import SAMPLE_COLUMNS, losses_from_frames
from bayeslaw.losses.metrics import METRICS, USUAL_METRIC
from bayeslaw.losses.missing import MISSING_POLICIES
from bayeslaw.losses.model_frames import MODEL_ALIASES, models_from_frame
from bayeslaw.losses.near_names import renaming
from bayeslaw.losses.warned_once import tell_errors

# A table has a column a model, and passages of text at most as long as a book.
MOST_COLUMNS, MOST_FIELD = 20_000, 1 << 22
# Fields beyond which rows have to be as long as the header says before they are read.
MANY_FIELDS = 1 << 27
# How files that are no CSV begin, what they are, and how to make one.
OTHER_KINDS = {
    "{": ("JSON", "write it as CSV: pandas.read_json(PATH, lines=True).to_csv(PATH, index=False)"),
    "[": ("JSON", "write it as CSV: pandas.read_json(PATH).to_csv(PATH, index=False)"),
    "<": ("HTML or XML", "save the table itself as CSV"),
    "|": ("a table in Markdown", "save the table itself as CSV"),
}


def _a_file(name: str, value: Any) -> Path:
    """Accept the path of a file; what a frame that is at hand already is made into a table by is said."""
    if isinstance(value, pd.DataFrame | xr.Dataset):
        accepted = "a path, as text or pathlib.Path"
        raise InputError(f"{name} is a {type(value).__name__}", accepted, f"{FRAME_FIX}, or give the path of its file")
    return a_path(name, value)


@accepts(
    path=_a_file,
    models=optional(_a_file),
    unit=optional(a_unit),
    cluster=some_columns,
    sample=optional(a_text),
    describe=a_column_list,
    missing=a_choice(MISSING_POLICIES),
    metric=optional(a_choice(METRICS)),
)
def read_losses(
    path: str | os.PathLike[str],
    *,
    models: str | os.PathLike[str] | None = None,
    unit: str | None = None,
    cluster: str | Sequence[str] | None = None,
    sample: str | None = None,
    describe: str | Sequence[str] = (),
    missing: str = "error",
    metric: str | None = None,
) -> xr.Dataset:
    r"""Read a loss table.

    Parameters
    ----------
    path
        A wide CSV (one row a sample, one column a model, losses in nats), a folder that `write_losses` wrote, or a CSV
        of whole models (``model, family, parameters, [training_tokens,] loss[, se]``).
    models
        For a wide CSV the CSV with columns ``model, family, parameters`` and, if known, more; see `losses_from_frames`.
    unit
        What a sample is; by default what the folder says, else ``"sample"``. A folder's own unit cannot be changed.
    cluster
        Columns that together name the document (or other cluster) of each sample.
    sample
        For a wide CSV the column of sample names.
    describe
        For a wide CSV the columns of floating-point numbers that describe samples.
    missing
        ``"error"``, ``"drop-models"`` or ``"drop-samples"``.
    metric
        What the numbers are, as in `losses_from_frames`; by default what the folder says, else ``"nll"``.

    Returns
    -------
    xarray.Dataset
        As `losses_from_frames` or, for whole models, `models_from_frame` returns it. Of a folder ``tokens`` and
        ``scored_bytes`` are whole numbers on (sample, lm) where they differ between models, and ``tokenizer`` (lm) is
        the hash of each model's tokenizer where its scorer recorded it.

    Raises
    ------
    InputError
        If the file cannot be read or its content is not a loss table.

    Examples
    --------
    >>> from pathlib import Path
    >>> import bayeslaw as bl
    >>> _ = Path("losses.csv").write_text("sample,small,large\ns1,3.0,2.5\ns2,2.0,2.1\n")
    >>> _ = Path("models.csv").write_text("model,family,parameters\nsmall,a,70M\nlarge,a,7B\n")
    >>> bl.read_losses("losses.csv", models="models.csv", unit="line")["nll"].to_numpy().tolist()
    [[3.0, 2.5], [2.0, 2.1]]
    """
    path = Path(path)
    if path.is_dir():
        if models is not None or sample is not None or len(describe):
            problem = f"--models, --sample and --describe are for a CSV, and {str(path)!r} is a folder"
            raise InputError(problem, "a folder alone", "leave them out: the folder holds its models and columns")
        return tell_errors(read_folder(path, unit=unit, cluster=cluster, missing=missing, metric=metric))
    header = read_header(path)
    if models is not None:
        options = {"cluster": cluster, "sample": sample, "describe": describe, "missing": missing}
        options["metric"] = metric or USUAL_METRIC
        return tell_errors(_read_wide(path, header, models, unit="sample" if unit is None else unit, **options))
    known = {MODEL_ALIASES.get(name, name) for name in header}
    if not {"loss", "parameters"} <= known:
        lacking = [name for name in ("family", "parameters", "loss") if name not in known]
        problem = (
            f"no models CSV is given for {str(path)!r}, and for a table of whole models it lacks the "
            f"column{'s' if len(lacking) > 1 else ''} {', '.join(lacking)}"
        )
        accepted = "--models CSV with columns model, family, parameters; or whole models by family, parameters and loss"
        other = renaming(lacking, header)
        raise InputError(problem, accepted, "add --models models.csv" + (f", or {other}" if other else ""))
    if cluster is not None or sample is not None or len(describe):
        problem = f"{str(path)!r} is a table of whole models, without samples"
        raise InputError(problem, "--cluster, --sample and --describe for tables of samples", "leave them out")
    if metric not in (None, USUAL_METRIC):
        problem = f"{str(path)!r} is a table of whole models, and the metric is {metric!r}"
        raise InputError(problem, "other metrics for tables of samples", "leave --metric out")
    frame = read_csv(path, header, text=["model", "family"], filled=_numeric(header))
    return tell_errors(models_from_frame(frame, unit=unit, missing=missing))


def _read_wide(path: Path, header: list[str], models: str | os.PathLike[str], **options: Any) -> xr.Dataset:
    models = Path(models)
    model_header = read_header(models)
    lms = read_csv(models, model_header, text=["model", "family"], filled=_numeric(model_header))
    if "model" not in lms:
        accepted = "columns model, family, parameters (or params)"
        fix = renaming(["model"], model_header) or "name the column of model names model"
        raise InputError(f"{models.name} has no column 'model'", accepted, fix)
    names = {str(name).strip() for name in lms["model"]}
    blank = pd.DataFrame(columns=header)
    wanted = [options["sample"]] if options["sample"] else [name for name in SAMPLE_COLUMNS if name in header][:1]
    text = [name for name in [*wanted, *(column_list(blank, options["cluster"]) or ["cluster"])] if name not in names]
    filled = [name for name in header if name in names or name in ("bytes", "tokens", "n_tokens")]
    return losses_from_frames(read_csv(path, header, text=text, filled=filled), lms, **options)


def _numeric(model_header: Sequence[str]) -> list[str]:
    return [name for name in model_header if name not in ("model", "family")]


def read_header(path: Path) -> list[str]:
    """Read the names of the columns of a CSV.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    list of str
        The names, stripped.

    Raises
    ------
    InputError
        If the file cannot be read, is empty or binary, or is not separated by commas.
    """
    if not path.exists():
        raise unreadable(path, "there is no such file", "check the path")
    if path.is_dir():
        raise unreadable(path, "it is a folder", "name a CSV file")
    try:
        with open_regular(path) as stream:
            start = stream.read(1 << 16)
            stream.seek(0)
            columns = 1 + stream.readline(MOST_COLUMNS * MOST_CHARACTERS).count(b",")
    except OSError as error:
        raise unreadable(path, error.strerror or str(error), "check the path and its permissions") from error
    if not start.strip():
        raise unreadable(path, "the file is empty", "name the file with the losses")
    if b"\0" in start:
        raise unreadable(path, "it is binary, or text in UTF-16", "save it as CSV in UTF-8")
    if columns > MOST_COLUMNS:
        problem = f"{path.name} has {columns:,} columns"
        raise InputError(problem, f"a column a model, and at most {MOST_COLUMNS:,}", "give the models one by one")
    _check_rows(path, columns)
    first = _parse_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
    header = [str(name).strip() for name in first.iloc[0]]
    _check_kind(path, header, start.decode("utf-8", errors="replace").lstrip("\ufeff"))
    for name in header:
        check_length(name, "column name")
    return header


def _check_kind(path: Path, header: list[str], start: str) -> None:
    """Refuse text that is of another kind than CSV."""
    line = start.splitlines()[0].strip() if start.splitlines() else ""
    if line[:1] in tuple(OTHER_KINDS):
        kind, fix = OTHER_KINDS[line[:1]]
        raise unreadable(path, f"it begins with {line[:1]!r}, as {kind} does", fix)
    if line.casefold().startswith("sep="):
        raise unreadable(path, f"its first line is {line!r}, which is for a spreadsheet alone", "remove this line")
    if (len(header) == 1 and "\t" in header[0]) or line.count(";") > line.count(","):
        fix = "save it with commas between the columns, and points in numbers"
        raise unreadable(path, "its columns are not separated by commas", fix)


def _check_rows(path: Path, columns: int) -> None:
    """Refuse a large file of rows that are much shorter than the header, which would be filled up with gaps."""
    if path.stat().st_size * columns <= MANY_FIELDS:
        return
    rows, commas, quoted = 0, 0, False
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 24):
            pieces = chunk.split(b'"')
            # Every second piece is inside of quotes.
            for piece in pieces[quoted::2]:
                rows, commas = rows + piece.count(b"\n"), commas + piece.count(b",")
            quoted ^= len(pieces) % 2 == 0
    if rows * columns > MANY_FIELDS and 2 * (rows + commas) < rows * columns:
        why = f"its header has {columns:,} fields, and its {rows:,} rows have {(rows + commas) / rows:.1f} on average"
        raise unreadable(path, why, "give every row as many fields as the header")


def read_csv(path: Path, header: list[str], *, text: Sequence[str], filled: Sequence[str]) -> pd.DataFrame:
    """Read a CSV.

    Parameters
    ----------
    path
        The file.
    header
        Its columns, as `read_header` returns them.
    text
        Columns that are text whatever they look like.
    filled
        Columns in which ``NA`` and the like mean that nothing is given.

    Returns
    -------
    pandas.DataFrame
        The rows; the attribute ``source`` is the file's name.

    Raises
    ------
    InputError
        If a column is there twice, or the file is not a regular CSV in UTF-8.
    """
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        problem = f"column {repeated[0]!r} is twice in {path.name}"
        raise InputError(problem, "every column and model once", "remove or rename one of them")
    frame = _parse_csv(
        path,
        header=0,
        names=header,
        index_col=False,
        dtype=dict.fromkeys(text, str),
        keep_default_na=False,
        na_values={name: list(NOT_GIVEN) for name in filled},
        low_memory=False,
    )
    for name, column in frame.items():
        if pd.api.types.is_string_dtype(column) and column.str.len().max() > MOST_FIELD:
            row = int(column.str.len().fillna(0).argmax())
            problem = f"column {name!r} of {path.name} has {len(column.iloc[row]):,} characters in row {row} (from 0)"
            raise InputError(problem, f"fields of at most {MOST_FIELD:,} characters", "shorten it, or close its quotes")
    frame.attrs["source"] = path.name
    return frame


def _parse_csv(path: Path, **options: Any) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            # A row longer than the header is only a warning to pandas, which then cuts it.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, encoding="utf-8-sig", compression=None, skipinitialspace=True, **options)
    except UnicodeDecodeError as error:
        raise unreadable(path, "it is not text in UTF-8", "save it as CSV in UTF-8") from error
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError) as error:
        why = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise unreadable(
            path, f"it is not a regular CSV ({why})", "give every row as many fields as the header"
        ) from error
    except OSError as error:
        raise unreadable(path, error.strerror or str(error), "check the path and its permissions") from error
