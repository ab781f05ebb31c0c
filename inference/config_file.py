"""A checkpoint's ``config.json`` to what its decoder is made of."""

from bayeslaw.errors import InputError
from bayeslaw.foreign_text import excerpt
from inference.checkpoint import Checkpoint
from inference.config import DecoderConfig
from inference.config_values import check_config_values
from inference.families import check_model_type, decoder_config
from inference.quiet import quiet_transformers


def read_decoder_config(checkpoint: Checkpoint) -> DecoderConfig:
    """Read what a decoder is made of from a checkpoint's ``config.json``.

    Parameters
    ----------
    checkpoint
        An opened checkpoint.

    Returns
    -------
    DecoderConfig
        The decoder.

    Raises
    ------
    InputError
        If the family is not supported, a field has a value that is not covered, or the weights are quantised.
    """
    model_type = check_model_type(checkpoint.config)
    if "quantization_config" in checkpoint.config:
        problem = f"the weights of {checkpoint.name!r} are quantised"
        raise InputError(problem, "weights in float32, bfloat16 or float16", "use the checkpoint it was made from")
    check_config_values(checkpoint.config, {name: checkpoint.shape(name) for name in checkpoint.names})
    with quiet_transformers():
        from transformers.models.auto.configuration_auto import AutoConfig

    try:
        with quiet_transformers():
            # transformers normalises what versions and families write differently, such as rope settings.
            hf = AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True, trust_remote_code=False)
        hf = getattr(hf, "text_config", None) or hf
        return decoder_config(hf)
    except InputError:
        raise
    except Exception as error:  # A field of another type makes anything of the library below.
        why = excerpt(error)
        problem = f"config.json of {checkpoint.name!r} cannot be used: {type(error).__name__}: {why}"
        raise InputError(problem, f"the configuration of a {model_type}", "correct config.json") from error
