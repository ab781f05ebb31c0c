"""A checkpoint, in a folder or on the hub, whose tensors are read one at a time."""

import hashlib
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from bayeslaw.errors import InputError
from bayeslaw.inputs.arguments import a_flag, a_text, accepts, optional
from bayeslaw.inputs.foreign_files import IrregularFileError, check_regular, read_regular
from inference.checkpoints import hub
from inference.checkpoints.gguf_checkpoints import read_gguf
from inference.checkpoints.gguf_files import ENDING
from inference.checkpoints.safetensors_files import TensorPlace, read_header
from inference.checkpoints.stored_forms import dequantised
from inference.checkpoints.stored_tensors import TILE, StoredTensor
from inference.checkpoints.weight_digests import file_digests
from inference.checkpoints.weight_files import CONFIG, INDEX, SINGLE, choose_weights, read_index, read_json


@dataclass(frozen=True)
class Checkpoint:
    """A model's configuration and where its tensors lie; the tensors stay on disk until they are read.

    Parameters
    ----------
    folder
        The folder with the configuration, the tokenizer and the weights, or the GGUF file that holds them all.
    name
        The folder or hub id as the user gave it, without revision.
    revision
        The commit hash on the hub; for a local folder ``"sha256:"`` and a hash of the configuration and of all bytes of
        the weight files.
    config
        The content of ``config.json``, or what a GGUF file says in its place.
    places
        Where each tensor lies, by name; of quantised weights those that make up the numbers of one are one tensor.
    """

    folder: Path
    name: str
    revision: str | None
    config: dict[str, Any]
    places: Mapping[str, StoredTensor] = field(repr=False)

    @property
    def names(self) -> frozenset[str]:
        """Names of all tensors."""
        return frozenset(self.places)

    @property
    def tensor_bytes(self) -> int:
        """Bytes of all tensors as they are stored."""
        return sum(place.size for place in self.places.values())

    @property
    def stored_forms(self) -> dict[str, int]:
        """How many numbers are stored in each form: ``"bfloat16"``, ``"float8_e4m3fn"``, ``"fp4"``, ``"Q4_K"``."""
        forms: dict[str, int] = {}
        for place in self.places.values():
            forms[place.form] = forms.get(place.form, 0) + math.prod(place.shape)
        return dict(sorted(forms.items()))

    def __contains__(self, name: str) -> bool:
        return name in self.places

    def _place(self, name: str, entry: int | None = None) -> StoredTensor:
        if name not in self.places:
            problem = f"{self.name!r} has no tensor {name!r}"
            raise InputError(problem, f"one of its {len(self.places)} tensors", "use the checkpoint it was saved in")
        return self.places[name] if entry is None else self.places[name].entry(entry)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor.

        Parameters
        ----------
        name
            Its name.

        Returns
        -------
        tuple of int
            The shape.

        Raises
        ------
        InputError
            If there is no such tensor.
        """
        return self._place(name).shape

    def dtype(self, name: str) -> str:
        """Return the type a tensor is stored in.

        Parameters
        ----------
        name
            Its name.

        Returns
        -------
        str
            ``"float32"``, ``"bfloat16"``, ``"float16"``, or another name of NumPy's; where NumPy has no such type, the
            file's own name in lower case. ``"float32"`` for quantised weights, which are decoded while they are read.

        Raises
        ------
        InputError
            If there is no such tensor.
        """
        return self._place(name).dtype

    def read(self, name: str, entry: int | None = None, *, decoded: Any = np.float32) -> np.ndarray:
        """Read a tensor from disk.

        Parameters
        ----------
        name
            Its name.
        entry
            Which entry of its first dimension to read; all by default.
        decoded
            Type of the numbers of quantised weights.

        Returns
        -------
        numpy.ndarray
            The tensor in the type it is stored in, or in `decoded` where it is quantised, in memory of its own.

        Raises
        ------
        InputError
            If there is no such tensor, its type is none of NumPy's, or the file was changed meanwhile.
        """
        return self._place(name, entry).read(name, decoded)

    def read_into(self, values: np.ndarray, name: str, entry: int | None = None) -> None:
        """Read a tensor into an array that is there, so that it is never in memory twice.

        Parameters
        ----------
        values
            Takes the tensor, converted to its type; contiguous, of the tensor's shape.
        name
            The tensor's name.
        entry
            Which entry of its first dimension to read; all by default.

        Raises
        ------
        InputError
            If there is no such tensor, or the file was changed meanwhile.
        """
        self._place(name, entry).read_into(values, name)

    def read_rows_into(self, values: np.ndarray, name: str, rows: range) -> None:
        """Read some entries of a tensor's first dimension into an array that is there.

        Parameters
        ----------
        values
            Takes the entries, converted to its type; contiguous, of their shape.
        name
            The tensor's name.
        rows
            Which entries, one after the other.

        Raises
        ------
        InputError
            If there is no such tensor, or the file was changed meanwhile.
        """
        self._place(name).read_rows_into(values, name, rows.start)

    def same(self, name: str, other: str) -> bool:
        """Compare two tensors, some megabytes at a time.

        Parameters
        ----------
        name, other
            Their names.

        Returns
        -------
        bool
            Whether they have one shape and the same numbers.

        Raises
        ------
        InputError
            If one is not there, or a file was changed meanwhile.
        """
        one, two = self._place(name), self._place(other)
        if one.shape != two.shape:
            return False
        count, *rest = one.shape
        step = max(1, TILE // max(1, math.prod(rest)))
        return all(
            np.array_equal(
                one.read_rows(name, start, min(count, start + step)),
                two.read_rows(other, start, min(count, start + step)),
            )
            for start in range(0, count, step)
        )


@accepts(source=hub.a_source, revision=optional(a_text), offline=a_flag)
def open_checkpoint(
    source: str | os.PathLike[str], *, revision: str | None = None, offline: bool = False
) -> Checkpoint:
    """Open a model and check that its weight files are whole; no tensor is read yet.

    Parameters
    ----------
    source
        A folder, a GGUF file, or a hub id with or without ``@revision``. A folder of that name is taken first. Of a
        hub's repository only the configuration, the tokenizer and the weights in safetensors are downloaded.
    revision
        Branch, tag or commit hash on the hub.
    offline
        Whether to use the hub's cache alone. The environment variable ``HF_HUB_OFFLINE`` does the same.

    Returns
    -------
    Checkpoint
        The checkpoint.

    Raises
    ------
    InputError
        If there is no such model, it cannot be fetched, its files are missing, damaged or not in safetensors, its
        weights are quantised in a way that is not covered, or a GGUF file is of an architecture that is not.

    Examples
    --------
    With the folder of a checkpoint:

    >>> import inference
    >>> found = inference.open_checkpoint(checkpoint)
    >>> type(found).__name__
    'Checkpoint'
    """
    text = os.fspath(source)
    # Unlike pathlib's, these questions answer no to names that are too long or lie where nothing may be looked up.
    folder = os.path.expanduser(text)
    if os.path.isdir(folder):
        if revision is not None:
            problem = f"{text!r} is a folder, and revision={revision!r} is given"
            raise InputError(problem, "a revision of a hub id", "leave the revision out")
        return _open_folder(Path(folder), text, commit=None)
    if folder.lower().endswith(ENDING) and os.path.exists(folder):
        if revision is not None:
            problem = f"{text!r} is a file, and revision={revision!r} is given"
            raise InputError(problem, "a revision of a hub id", "leave the revision out")
        return _open_file(Path(folder), text)
    if os.path.exists(folder):
        raise InputError(f"{text!r} is a file", hub.ACCEPTED, "name the folder that it is in")
    if isinstance(source, os.PathLike):
        raise InputError(f"there is no folder {text!r}", hub.ACCEPTED, "check the path; give a hub id as a string")
    before = text.partition("@")[0]
    if before != text and os.path.isdir(os.path.expanduser(before)):
        raise InputError(f"{before!r} is a folder, which has no revisions", hub.ACCEPTED, f"name it as {before!r}")
    model, revision = hub.split_source(text, revision)
    snapshot = hub.fetch(model, revision, offline=offline)
    return _open_folder(snapshot, model, commit=snapshot.name)


def _open_file(file: Path, name: str) -> Checkpoint:
    config, tensors = read_gguf(file)
    (digest,) = file_digests([file])
    return Checkpoint(file, name, f"sha256:{digest}", config, tensors)


def _open_folder(folder: Path, name: str, *, commit: str | None) -> Checkpoint:
    try:
        files = {entry.name for entry in folder.iterdir()}
        _check_kinds(folder, files)
    except OSError as error:
        problem = f"the folder {str(folder)!r} cannot be read: {error.strerror or error}"
        raise InputError(problem, hub.ACCEPTED, "check its permissions") from error
    weights = choose_weights(files, f"the folder {str(folder)!r}")
    config = read_json(folder / CONFIG)
    index = read_index(folder / INDEX) if weights == INDEX else {}
    shards = sorted(set(index.values())) or [SINGLE]
    places: dict[str, TensorPlace] = {}
    for shard in shards:
        found = _open_shard(folder, shard)
        _check_promised(folder, shard, index, found)
        # A tensor that is in two shards is read from the one that the index names.
        places |= {tensor: place for tensor, place in found.items() if index.get(tensor, shard) == shard}
    if not places:
        raise InputError(f"the weights in {str(folder)!r} hold no tensor", "a model's weights", "save the model again")
    tensors = dequantised(places, config, f"the weights of {name!r}")
    revision = commit or _local_revision(folder, shards)
    return Checkpoint(folder, name, revision, config, tensors)


def _check_kinds(folder: Path, files: Collection[str]) -> None:
    """Refuse a folder with a pipe, a device or a socket in it: libraries that read its files would wait for ever."""
    for name in sorted(files):
        try:
            check_regular(folder / name)
        except IrregularFileError as error:
            problem = f"{name} in {str(folder)!r} cannot be used: {error.strerror}"
            raise InputError(problem, "a folder of regular files", "replace it by a file, or remove it") from error
        except OSError:
            # A link that leads nowhere is missed where it is needed.
            continue


def _open_shard(folder: Path, shard: str) -> dict[str, TensorPlace]:
    if not os.path.exists(folder / shard):
        problem = f"{INDEX} in {str(folder)!r} names {shard!r}, which is not there"
        raise InputError(problem, "an index whose shards are all there", "copy or download the shard")
    return read_header(folder / shard)


def _check_promised(folder: Path, shard: str, index: Mapping[str, str], found: Mapping[str, TensorPlace]) -> None:
    missing = [tensor for tensor, holder in index.items() if holder == shard and tensor not in found]
    if missing:
        problem = f"{shard} in {str(folder)!r} lacks tensor {missing[0]!r}, which {INDEX} says it holds"
        problem += f" ({len(missing) - 1} more)" if len(missing) > 1 else ""
        raise InputError(problem, "an index that fits its shards", "copy or download index and shards again")


def _local_revision(folder: Path, shards: Sequence[str]) -> str:
    """Hash what losses depend on: the configuration and all weights."""
    total = hashlib.sha256()
    digests = file_digests([folder / shard for shard in shards])
    # Lengths keep the end of one part from passing as the start of the next.
    config = read_regular(folder / CONFIG)
    total.update(f"{len(config)} ".encode() + config)
    for shard, digest in zip(shards, digests, strict=True):
        total.update(f"{len(shard)} {shard} {digest} ".encode())
    return f"sha256:{total.hexdigest()}"
