"""Loading the loss tables that come with the package."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bayeslaw.errors import InputError, check_choice, nearest
from bayeslaw.inputs.arguments import a_text, accepts, optional

if TYPE_CHECKING:
    import xarray as xr

CARD, TEXTS, CHECKPOINTS, TRAINING = "zoo.md", "texts.jsonl", "checkpoints", "training.csv"


@dataclass(frozen=True)
class Dataset:
    """A dataset of the package.

    Attributes
    ----------
    name
        What it is called.
    units
        What a sample may be, the default first.
    description
        What it is, in a few sentences.
    """

    name: str
    units: tuple[str, ...]
    description: str

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return Path(__file__).parent / self.name

    @property
    def card(self) -> Path:
        """Its data card."""
        return self.folder / CARD

    @property
    def training(self) -> Path:
        """How its models were trained: validation losses of every model."""
        return self.folder / TRAINING

    @property
    def texts(self) -> Path:
        """Some of the texts that its losses are of."""
        return self.folder / TEXTS

    @property
    def checkpoints(self) -> list[Path]:
        """Folders of some of the models that its losses are of, named as these are."""
        return sorted(path.parent for path in (self.folder / CHECKPOINTS).glob("*/config.json"))


DATASETS = {
    "zoo": Dataset(
        "zoo",
        ("document", "paragraph", "line"),
        "Losses of 24 small language models of four families (architectures, tokenizers and mixtures of training text\n"
        "of their own) and six sizes from some 15 thousand to 1.5 million parameters on held-out code, documentation,\n"
        "manual pages and prose. Trained by examples/zoo/train.py and scored by bayeslaw score.",
    )
}


def find_dataset(name: str) -> Dataset:
    """Return a dataset of the package.

    Parameters
    ----------
    name
        Its name.

    Returns
    -------
    Dataset
        Its units and where its files are.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if name not in DATASETS:
        problem = f"there is no dataset {name!r} in the package"
        raise InputError(problem, f"one of {', '.join(DATASETS)}", nearest(str(name), DATASETS))
    return DATASETS[name]


def dataset_table(name: str, unit: str | None = None) -> Path:
    """Return the folder of a loss table that comes with the package.

    Parameters
    ----------
    name
        Its name.
    unit
        What a sample is; by default the first unit of the dataset.

    Returns
    -------
    pathlib.Path
        A folder that `bayeslaw.read_losses` reads.

    Raises
    ------
    InputError
        If there is no such dataset, or not in this unit.
    """
    dataset = find_dataset(name)
    chosen = dataset.units[0] if unit is None else check_choice("unit", unit, dataset.units)
    return dataset.folder / chosen


def packaged_table(name: str, unit: str | None = None) -> Path | None:
    """Return the folder of a dataset's loss table as `dataset_table`; None where no dataset has that name."""
    return dataset_table(name, unit) if name in DATASETS else None


@accepts(name=a_text, unit=optional(a_text))
def load_dataset(name: str, *, unit: str | None = None) -> xr.Dataset:
    """Load a loss table that comes with the package.

    Parameters
    ----------
    name
        ``"zoo"``: losses of 24 small language models of four families (llama, gpt_neox, gpt2 and qwen3, each with a
        tokenizer and a mixture of training text of its own) and six sizes, from some 15 thousand to 1.5 million
        parameters, on held-out texts of four domains: code, documentation, manual pages and prose. Every model read the
        same number of tokens.
    unit
        What a sample is: ``"document"`` (the default), ``"paragraph"`` or ``"line"``.

    Returns
    -------
    xarray.Dataset
        A loss table as `bayeslaw.read_losses` returns it: ``nll`` (sample, lm) in nats; ``family``, ``parameters``,
        ``embedding_parameters``, ``active_parameters``, ``training_tokens`` and ``tokenizer`` of each model; ``bytes``,
        ``cluster`` (the file that the text is from) and ``domain`` of each sample; ``tokens`` (sample, lm) and
        ``scored_bytes``.

    Raises
    ------
    InputError
        If there is no such dataset, or not in this unit.

    Notes
    -----
    Trained by ``examples/zoo/train.py`` and scored by ``bayeslaw score``; losses are kept in float32. How, when, with
    which versions and of which texts the data card tells, ``bayeslaw/datasets/zoo/zoo.md``, and `list_datasets` says
    where it lies.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> losses = bl.load_dataset("zoo", unit="document")
    >>> losses.sizes["lm"], losses.attrs["unit"]
    (24, 'document')
    """
    from bayeslaw.losses.readers import read_losses

    return read_losses(dataset_table(name, unit))


def list_datasets() -> str:
    """Say which loss tables come with the package.

    Returns
    -------
    str
        Name, description, units and data card of each; print it.

    Examples
    --------
    >>> import bayeslaw as bl
    >>> "zoo" in bl.list_datasets()
    True
    """
    entries = []
    for name, dataset in DATASETS.items():
        units = f"Units: {', '.join(dataset.units)}."
        entries.append("\n".join([name, "=" * len(name), dataset.description, units, f"Data card: {dataset.card}"]))
    return "\n\n".join(entries)
