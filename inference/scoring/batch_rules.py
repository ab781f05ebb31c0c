"""How many tokens go through a model at once, in what rows and windows."""

from typing import Any

import jax

from bayeslaw.errors import InputError, shown
from bayeslaw.inputs.arguments import a_whole_number, optional, plain
from inference.decoder.configuration import DecoderConfig
from inference.decoder.mixers import ROW_SHARING

# A processor is busy with few tokens, and its activations then take little memory; an accelerator wants many.
BATCH_TOKENS = {"cpu": 2048}
BATCH_TOKENS_ELSEWHERE = 16_384
# Measured on two cores: a layer compiles in a third of a second, a position costs three microseconds and its products.
LAYER_COMPILE_SECONDS, POSITION_SECONDS, PRODUCTS_PER_SECOND = 0.33, 3e-6, 1e10
LONGEST_WINDOW = 8192


def a_count(name: str, value: Any) -> int:
    """Accept whole numbers; which of them suit a model `check_window` tells."""
    number = plain(value)
    if isinstance(number, bool) or not isinstance(number, int):
        raise InputError(f"{name} is {shown(value)}", "a whole number of positions", f"leave {name} out")
    return number


some_batch_tokens = optional(a_whole_number(lowest=1, suggested=2048))
"""Positions in a batch, or what suits the machine."""


def default_batch_tokens() -> int:
    """Return how many positions a batch has: 2,048 on a CPU, 16,384 on an accelerator."""
    return BATCH_TOKENS.get(jax.default_backend(), BATCH_TOKENS_ELSEWHERE)


def shape_cost(parameters: int, config: DecoderConfig) -> int:
    """Return how many positions go through a model in the time that one shape of batches takes to compile.

    Parameters
    ----------
    parameters
        Its total parameters.
    config
        What it is made of.

    Returns
    -------
    int
        Positions: on a CPU an estimate, a hundred thousand for models of 100,000 parameters and next to none for models
        of 100 million; 0 on an accelerator, where neither was measured.
    """
    if jax.default_backend() != "cpu":
        return 0
    return int(config.depth * LAYER_COMPILE_SECONDS / (POSITION_SECONDS + parameters / PRODUCTS_PER_SECOND))


def shares_rows(config: DecoderConfig) -> bool:
    """Say whether several texts may go through a model in one row: not where a state passes from one to the next.

    Parameters
    ----------
    config
        What it is made of.

    Returns
    -------
    bool
        Whether they may; attention ends at the beginning of a text.
    """
    return all(kind.mixer in ROW_SHARING for run in config.layer_plan for kind in run.unit)


def check_window(config: DecoderConfig, window: int | None, stride: int | None) -> tuple[int, int]:
    """Return the window and stride that long texts are scored with.

    Parameters
    ----------
    config
        The decoder.
    window
        Most positions it sees at once; by default as many as it is made for, up to 8,192.
    stride
        Tokens that each further window scores; by default half of the window.

    Returns
    -------
    tuple of int
        Window and stride.

    Raises
    ------
    InputError
        If the window is below 2 or beyond what the model is made for, or the stride is not between 1 and the window.
    """
    longest = config.max_length
    if window is None:
        window = min(longest or LONGEST_WINDOW, LONGEST_WINDOW)
    if window < 2 or (longest and window > longest):
        accepted = f"a whole number from 2 to {longest}" if longest else "a whole number of at least 2"
        reason = "leaves no context" if window < 2 else f"is longer than the {longest} positions of the model"
        raise InputError(f"a window of {window} {reason}", accepted, "leave --window out, or use one in that range")
    stride = max(1, window // 2) if stride is None else stride
    if not 1 <= stride <= window:
        accepted = f"a whole number from 1 to the window, {window}"
        raise InputError(
            f"the stride {stride} does not suit the window {window}", accepted, f"use {max(1, window // 2)}"
        )
    return window, stride
