"""Asking a completions server for the log-probs of one prompt, in the way that it understands."""

import json
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt
from bayeslaw.sources.prompt_scores import PromptScore, prompt_score, tokens_of_echo, tokens_of_prompt_logprobs
from bayeslaw.sources.server import CompletionsServer, Reply

# The ways of asking for the log-probs of a prompt, in the order tried. Servers that want to generate something get one
# token to generate, which is not counted.
REQUESTS: dict[str, dict[str, Any]] = {
    "prompt_logprobs": {"max_tokens": 1, "prompt_logprobs": 0},
    "echo": {"max_tokens": 0, "echo": True, "logprobs": 1},
    "echo and one token": {"max_tokens": 1, "echo": True, "logprobs": 1},
}
WAYS = {
    "auto": tuple(REQUESTS),
    "prompt_logprobs": ("prompt_logprobs",),
    "echo": ("echo", "echo and one token"),
}
# Servers that change the distribution before they report it do so by these; 1 leaves it as the model gives it.
UNCHANGED = {"temperature": 1.0, "top_p": 1.0, "n": 1, "stream": False}


def first_score(server: CompletionsServer, model: str, *, text: str, prefix: str, name: str) -> tuple[str, PromptScore]:
    """Find the way to ask a server.

    Parameters
    ----------
    server
        The server.
    model
        The model, as the server calls it.
    text
        The text to ask for.
    prefix
        What to put before it.
    name
        The text's name, for messages.

    Returns
    -------
    tuple
        The way, for `score_prompt`, and the score of the text.

    Raises
    ------
    InputError
        If no way gives log-probs, or if they do not cover the text.
    """
    refusals = []
    for way in WAYS[server.style]:
        reply = _ask(server, model, prefix + text, way)
        if reply.refusal:
            refusals.append(f"{way}: {reply.refusal}")
            continue
        if _choice(reply.content) is None:
            # Some say so with status 200 that they generate one token at least.
            refusals.append(f"{way}: {_without_choices(reply.content)}")
            continue
        score = _read_score(reply.content, text, prefix=prefix, way=way, name=name)
        if score is not None:
            return way, score
        refusals.append(f"{way}: no log-probs of the prompt in the answer")
    said = "; ".join(dict.fromkeys(refusals))
    raise InputError(
        f"{server.endpoint} gives no log-probs of the prompt for model {model!r} ({said})",
        "a server with prompt_logprobs (vLLM 0.5.5 or newer), or with echo and logprobs",
        "update the server, or name one that has them; shorten the texts if they do not fit the model",
    )


def score_prompt(server: CompletionsServer, model: str, *, text: str, prefix: str, way: str, name: str) -> PromptScore:
    """Ask for the score of one text.

    Parameters
    ----------
    server, model, text, prefix, name
        As in `first_score`.
    way
        What `first_score` found.

    Returns
    -------
    PromptScore
        The score.

    Raises
    ------
    InputError
        If the server refuses the text or its log-probs do not cover it.
    """
    reply = _ask(server, model, prefix + text, way)
    if reply.refusal:
        problem = f"{server.endpoint} refuses text {name!r} for model {model!r}: {reply.refusal}"
        raise InputError(problem, "texts that fit the model", "shorten or remove it, and run again to go on")
    score = _read_score(reply.content, text, prefix=prefix, way=way, name=name)
    if score is None:
        problem = f"{server.endpoint} gives no log-probs of text {name!r} for model {model!r}"
        raise InputError(problem, "log-probs for every text", "look at the server's log, and run again to go on")
    return score


def _ask(server: CompletionsServer, model: str, prompt: str, way: str) -> Reply:
    return server.post({"model": model, "prompt": prompt, **REQUESTS[way], **UNCHANGED})


def _choice(content: Any) -> dict[str, Any] | None:
    choices = content.get("choices") if isinstance(content, dict) else None
    return choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else None


def _without_choices(content: Any) -> str:
    return f"the answer has no choices: {excerpt(json.dumps(content), 80)}"


def _read_score(content: Any, text: str, *, prefix: str, way: str, name: str) -> PromptScore | None:
    choice = _choice(content)
    if choice is None:
        problem = f"text {name!r}: {_without_choices(content)}"
        raise InputError(problem, "an OpenAI-compatible completions server", "check --url")
    try:
        if way == "prompt_logprobs":
            tokens = tokens_of_prompt_logprobs(choice)
        else:
            asked = REQUESTS[way]["max_tokens"]
            tokens = tokens_of_echo(choice, prefix + text, asked=asked, said=_said_generated(content))
        return None if tokens is None else prompt_score(tokens, text, prefix)
    except InputError as error:
        raise InputError(f"text {name!r}: {error.problem}", error.accepted, error.fix) from error


def _said_generated(content: dict[str, Any]) -> int | None:
    usage = content.get("usage")
    said = usage.get("completion_tokens") if isinstance(usage, dict) else None
    return said if isinstance(said, int) and not isinstance(said, bool) and said >= 0 else None
