"""A language model that is at hand: its decoder with weights, its tokenizer and how texts go through it."""

import os
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from bayeslaw.errors import check_choice
from bayeslaw.inputs.arguments import a_flag, a_text, accepts, an_instance, as_given, optional
from inference.checkpoints.checkpoint import open_checkpoint
from inference.checkpoints.hub import a_source
from inference.checkpoints.weights import DTYPES, load_decoder
from inference.decoder.configuration import DecoderConfig
from inference.decoder.parameter_totals import parameter_counts
from inference.decoder.transformer import Decoder
from inference.texts.tokens import TextTokenizer


@dataclass(frozen=True)
class LanguageModel:
    """A decoder with its tokenizer, ready to score texts.

    Attributes
    ----------
    decoder
        The Flax NNX module.
    tokenizer
        Texts to token ids.
    name
        The folder or hub id it was loaded from.
    revision
        Commit of the hub, or hash of a folder's files.
    model_type
        Its family in transformers.
    dtype
        Type of the weights and of products.
    parameters
        Counts ``total``, ``embedding`` and ``active``, from its tensors.
    mesh
        The devices it lies on; None for one.
    """

    decoder: Decoder
    tokenizer: TextTokenizer
    name: str
    revision: str | None
    model_type: str
    dtype: str
    parameters: dict[str, int]
    mesh: Mesh | None = None

    @property
    def config(self) -> DecoderConfig:
        """What the decoder is made of."""
        return self.decoder.config


a_model = an_instance(
    LanguageModel, accepted="a model, as inference.load returns it", fix='write inference.load("FOLDER")'
)


def default_dtype() -> str:
    """Return the type models are loaded in: float32 on a CPU, bfloat16 on an accelerator."""
    return "float32" if jax.default_backend() == "cpu" else "bfloat16"


@accepts(
    source=a_source,
    revision=optional(a_text),
    dtype=as_given,
    bos=as_given,
    offline=a_flag,
    mesh=optional(an_instance(Mesh, accepted="a mesh of devices, or None", fix="write inference.make_mesh()")),
)
def load(
    source: str | os.PathLike[str],
    *,
    revision: str | None = None,
    dtype: str | None = None,
    bos: str = "auto",
    offline: bool = False,
    mesh: Mesh | None = None,
) -> LanguageModel:
    """Load a model to score texts with.

    Parameters
    ----------
    source
        A local folder, a GGUF file, or a hub id such as ``"EleutherAI/pythia-160m"``, also with ``@revision``.
    revision
        Branch, tag or commit of a hub id.
    dtype
        ``"float32"``, ``"bfloat16"`` or ``"float16"``; by default float32 on a CPU and bfloat16 on an accelerator.
    bos
        What stands before a text: ``"auto"`` (what the tokenizer puts there, else its beginning-of-text token, else its
        end-of-text token), ``"always"`` (its beginning-of-text token) or ``"never"``.
    offline
        Whether to use only what is on this machine; ``HF_HUB_OFFLINE`` does the same.
    mesh
        Devices to spread the model and its batches over; see `inference.checkpoints.sharding.make_mesh`.

    Returns
    -------
    LanguageModel
        The model.

    Raises
    ------
    InputError
        If the checkpoint cannot be had, is not of a supported family, or does not fit its configuration.

    Examples
    --------
    With the folder of a checkpoint, or the name of one on the hub:

    >>> import inference
    >>> model = inference.load(checkpoint)
    >>> inference.score(model, ["A short text."]).shape
    (1,)
    """
    dtype = check_choice("dtype", default_dtype() if dtype is None else dtype, DTYPES)
    checkpoint = open_checkpoint(source, revision=revision, offline=offline)
    decoder = load_decoder(checkpoint, dtype=jnp.dtype(dtype), mesh=mesh)
    tokenizer = TextTokenizer.from_folder(checkpoint.folder, bos=bos, vocabulary=decoder.config.vocabulary)
    return LanguageModel(
        decoder=decoder,
        tokenizer=tokenizer,
        name=checkpoint.name,
        revision=checkpoint.revision,
        model_type=str(checkpoint.config["model_type"]),
        dtype=dtype,
        parameters=dict(parameter_counts(decoder)),
        mesh=mesh,
    )
