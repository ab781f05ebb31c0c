"""Modules whose weights several layers of a decoder share: each is held once and handed to these layers."""

from typing import Any

from inference.decoder.configuration import DecoderConfig
from inference.decoder.layer_plan import BlockKind
from inference.decoder.mixers import MIXERS
from inference.decoder.setting_checks import refuse_setting


def shared_part(config: DecoderConfig, kind: BlockKind) -> Any:
    """Make what layers of one kind share with others.

    Parameters
    ----------
    config
        The decoder.
    kind
        What the layers are made of.

    Returns
    -------
    flax.nnx.Module or None
        The module, which holds zeros; None where they share none.
    """
    made = getattr(MIXERS.get(kind.mixer), "shared_part", None)
    return None if made is None else made(config.of_kind(kind))


def shared_parts(config: DecoderConfig) -> list[Any]:
    """Make all that layers of a decoder share.

    Parameters
    ----------
    config
        The decoder.

    Returns
    -------
    list of flax.nnx.Module
        One for each number in the memory of layers that share weights, in the order of these.

    Raises
    ------
    InputError
        If the numbers are not all from 0 on.
    """
    kinds = {kind.memory: kind for run in config.layer_plan for kind in run.unit if _shares(kind)}
    if sorted(kinds) != [*range(len(kinds))]:
        raise refuse_setting("the memory of layers that share weights", sorted(kinds), "numbers from 0 on, each used")
    return [shared_part(config, kinds[number]) for number in range(len(kinds))]


def _shares(kind: BlockKind) -> bool:
    return hasattr(MIXERS.get(kind.mixer), "shared_part")
