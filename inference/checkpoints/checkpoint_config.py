"""Which decoder a checkpoint's ``config.json`` describes."""

import re
from collections.abc import Mapping
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt
from inference.checkpoints.checkpoint import Checkpoint
from inference.checkpoints.quiet import quiet_transformers
from inference.decoder.configuration import DecoderConfig
from inference.decoder.configuration_reading import read_settings
from inference.decoder.configuration_values import check_config_values
from inference.decoder.families import FAMILIES, MULTIMODAL, SAME_AS, SUPPORTED
from inference.decoder.not_covered import NOT_COVERED

OTHER_TASK = re.compile(r"For(?!CausalLM|Conditional|LM|Language)[A-Z]\w*$")


def check_model_type(config: Mapping[str, Any]) -> str:
    """Return the family that a ``config.json`` names.

    Parameters
    ----------
    config
        The content of ``config.json``.

    Returns
    -------
    str
        The ``model_type``; that of the text part for a supported model of text and images.

    Raises
    ------
    InputError
        If there is none, or it is not supported.
    """
    name = config.get("model_type")
    accepted = f"one of the families {', '.join(SUPPORTED)}"
    if not isinstance(name, str) or not name:
        problem = (
            f"config.json has the model_type {name!r}" if "model_type" in config else "config.json names no model_type"
        )
        raise InputError(problem, accepted, "use a checkpoint in the format of transformers")
    if name in MULTIMODAL:
        return _text_part(name, config)
    name = SAME_AS.get(name, (name,))[0]
    if name not in FAMILIES:
        why = f": {NOT_COVERED[name]}" if name in NOT_COVERED else ""
        fix = "use another checkpoint; `bayeslaw families --all` says what is read, and why other families are not"
        raise InputError(f"the model_type {excerpt(repr(name), 80)} is not supported{why}", accepted, fix)
    return name


def check_architectures(config: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that was trained to do something else than to go on with a text.

    Parameters
    ----------
    config
        The content of ``config.json``.

    Raises
    ------
    InputError
        If its ``architectures`` name a head for another task. One without a head may share its embedding.
    """
    stated = config.get("architectures")
    names = [name for name in stated if isinstance(name, str)] if isinstance(stated, list) else []
    others = [name for name in names if OTHER_TASK.search(name)]
    if others and len(others) == len(names):
        problem = f"architectures is {excerpt(others[0], 80)!r} in config.json, a model for another task"
        accepted = "a language model, such as one whose architecture ends with ForCausalLM"
        raise InputError(problem, accepted, "use the checkpoint that it was made of")


def _text_part(name: str, config: Mapping[str, Any]) -> str:
    """Return the family of the text part of a model of text and images."""
    part, known = config.get("text_config"), MULTIMODAL[name]
    stated = part.get("model_type") if isinstance(part, Mapping) else None
    if stated is not None and stated not in known:
        problem = f"the text part of this {name} is of the model_type {excerpt(repr(stated), 80)}"
        raise InputError(problem, f"a text part of {' or '.join(known)}", "use another checkpoint")
    return stated or known[0]


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
        If the family is not supported, or a field has a value that is not covered.
    """
    model_type = check_model_type(checkpoint.config)
    check_architectures(checkpoint.config)
    check_config_values(checkpoint.config, {name: checkpoint.shape(name) for name in checkpoint.names})
    with quiet_transformers():
        from transformers.models.auto.configuration_auto import AutoConfig

    try:
        with quiet_transformers():
            # transformers normalises what versions and families write differently, such as rope settings.
            unread = FAMILIES[model_type].unread
            if checkpoint.folder.is_file() or unread:
                hf = AutoConfig.for_model(**{k: v for k, v in checkpoint.config.items() if k not in unread})
            else:
                hf = AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True, trust_remote_code=False)
        hf = getattr(hf, "text_config", None) or hf
        return decoder_config(hf)
    except InputError:
        raise
    except Exception as error:  # A field of another type makes anything of the library below.
        why = excerpt(error)
        problem = f"config.json of {checkpoint.name!r} cannot be used: {type(error).__name__}: {why}"
        raise InputError(problem, f"the configuration of a {model_type}", "correct config.json") from error


def decoder_config(hf: Any) -> DecoderConfig:
    """Read what a decoder is made of from a transformers configuration.

    Parameters
    ----------
    hf
        The configuration. Its ``model_type`` counts, which may differ from the one in the file: a Mistral with types of
        layers is read as a Ministral.

    Returns
    -------
    DecoderConfig
        The decoder.

    Raises
    ------
    InputError
        If the family is not supported, or a field has a value that is not covered.
    """
    family = FAMILIES[check_model_type({"model_type": hf.model_type})]
    return read_settings(hf, family.settings(hf), family.required)
