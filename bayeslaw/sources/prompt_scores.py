"""The score of one text out of a server's log-probs of its prompt, and the check that all of the text was scored."""

import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt, hide_secrets

ACCEPTED = "a log-prob for every token of the prompt"
# Servers write minus infinity as the lowest number that the OpenAI format takes.
FLOOR = -9999.0
# Rounding may put the log of a probability near one above zero.
ROUNDING = 1e-6
# A token that is not known by its text cannot be longer than this in any usual vocabulary.
LONGEST_TOKEN = 128
# What may stand before a text: tokens of the prefix, and one or two of the server.
MOST_BEFORE = {False: 2, True: 6}
SPACE = re.compile(r"\s+")
# How SentencePiece writes a space.
WRITTEN_SPACE = "\u2581"
# How vLLM writes tokens where it was started with --return-tokens-as-token-ids.
TOKEN_ID = re.compile(r"token_id:\d+")
ESCAPED_BYTES = re.compile(r"(?:bytes:(?:\\x[0-9a-fA-F]{2})+)+")


@dataclass(frozen=True)
class PromptScore:
    """The score of one text.

    Attributes
    ----------
    nats
        Minus the sum of the log-probs of the text's tokens.
    tokens
        How many tokens were summed.
    unscored_bytes
        UTF-8 bytes at the text's beginning for which the server gave no log-prob.
    """

    nats: float
    tokens: int
    unscored_bytes: int


@dataclass(frozen=True)
class PromptTokens:
    """The tokens of a prompt as a server lists them; the text or the log-prob of the first may be unknown.

    Attributes
    ----------
    texts
        What each token stands for.
    log_probabilities
        Natural log-probs.
    """

    texts: tuple[str | None, ...]
    log_probabilities: tuple[float | None, ...]


def tokens_of_prompt_logprobs(choice: dict[str, Any]) -> PromptTokens | None:
    """Read the ``prompt_logprobs`` of vLLM; None where there are none."""
    entries = choice.get("prompt_logprobs")
    if not isinstance(entries, list) or not entries:
        return None
    texts: list[str | None] = []
    log_probabilities: list[float | None] = []
    for index, entry in enumerate(entries):
        if entry is None:
            texts.append(None)
            log_probabilities.append(None)
            continue
        # Where more than one was asked for, the token of the prompt itself comes first.
        first = next(iter(entry.values()), None) if isinstance(entry, dict) else None
        if not isinstance(first, dict) or not isinstance(first.get("decoded_token"), str):
            raise _malformed(f"prompt_logprobs[{index}] is {excerpt(repr(entry), 80)}")
        texts.append(first["decoded_token"])
        log_probabilities.append(_number(first.get("logprob"), f"prompt_logprobs[{index}]"))
    return PromptTokens(tuple(texts), tuple(log_probabilities))


def tokens_of_echo(choice: dict[str, Any], prompt: str, *, asked: int, said: int | None) -> PromptTokens | None:
    """Read the ``logprobs`` of an echoed prompt; None where there are none.

    Parameters
    ----------
    choice
        What the server answered.
    prompt
        What it was asked for, prefix included.
    asked
        How many tokens it was to generate after the prompt; they are left out.
    said
        How many it says that it generated; None where it says nothing.

    Returns
    -------
    PromptTokens or None
        The tokens of the prompt.

    Raises
    ------
    InputError
        If tokens and log-probs are no lists of one length, of texts and of numbers.
    """
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict) or not logprobs.get("tokens"):
        return None
    texts, values = logprobs["tokens"], logprobs.get("token_logprobs")
    if not isinstance(texts, list) or not isinstance(values, list) or len(texts) != len(values):
        raise _malformed("logprobs.tokens and logprobs.token_logprobs are not lists of one length")
    if not all(isinstance(text, str) for text in texts):
        raise _malformed("logprobs.tokens holds something that is no text")
    # What is generated is told by where the prompt ends; only where tokens do not spell it exactly, by its number.
    # Some count a token that they made and do not show; they show none that was not asked for.
    exact = (made for made in range(asked, -1, -1) if "".join(texts[: len(texts) - made]).endswith(prompt))
    count = len(texts) - next(exact, asked if said is None else min(asked, said))
    numbers = [_number(value, f"token_logprobs[{index}]") for index, value in enumerate(values[:count])]
    return PromptTokens(tuple(texts[:count]), tuple(numbers))


def prompt_score(tokens: PromptTokens, text: str, prefix: str = "") -> PromptScore:
    """Return the score of a text whose tokens a server listed.

    Parameters
    ----------
    tokens
        The tokens of ``prefix + text``, perhaps after one that the server put before it.
    text
        The text.
    prefix
        What was put before it, so that its first token has a log-prob.

    Returns
    -------
    PromptScore
        The sum over the tokens of the text alone.

    Raises
    ------
    InputError
        If the tokens do not spell the text (it was cut, or they are numbers), if one within it has no log-prob, or if
        one has a probability of zero.
    """
    _check_spelt(tokens, text)
    for index, value in enumerate(tokens.log_probabilities):
        if index and value is None:
            raise _malformed(f"token {index} of {len(tokens.texts)} has no log-prob")
    tokens = _without_certain_start(tokens)
    before = _tokens_before(tokens, text, prefix)
    unscored = 0
    if before is None:
        unscored = _unscored_characters(tokens, text, prefix)
        before = 1
    total = 0.0
    for index, value in enumerate(tokens.log_probabilities[before:], before):
        if value is None or math.isnan(value) or value <= FLOOR or value > ROUNDING:
            fix = "check the model and its number format: an overflow makes such numbers"
            problem = f"the log-prob of token {index} ({excerpt(tokens.texts[index], 80)!r}) is {value}"
            raise InputError(problem, f"finite numbers of at most zero, above {FLOOR:g}", fix)
        total -= min(value, 0.0)
    return PromptScore(total, len(tokens.texts) - before, len(text[:unscored].encode(errors="surrogatepass")))


def _check_spelt(tokens: PromptTokens, text: str) -> None:
    """Refuse tokens that are given by their numbers: what they spell cannot be compared with the text."""
    known = [part for part in tokens.texts if part is not None]
    numbered = next((part for part in reversed(known) if TOKEN_ID.fullmatch(part)), None)
    if numbered is not None and numbered not in text:
        problem = f"the server gives its tokens by number ({numbered!r}), so that what they spell is not known"
        fix = "start vLLM without --return-tokens-as-token-ids, or ask with --style prompt_logprobs"
        raise InputError(problem, "tokens by their text", fix)


def _without_certain_start(tokens: PromptTokens) -> PromptTokens:
    """Take a first log-prob of exactly zero for none: nothing stands before it that could have made it certain."""
    if tokens.log_probabilities[:1] != (0.0,):
        return tokens
    return PromptTokens(tokens.texts, (None, *tokens.log_probabilities[1:]))


def _tokens_before(tokens: PromptTokens, text: str, prefix: str) -> int | None:
    """Return how many tokens stand before those that spell the whole text; None where no number does."""
    scored_from_start = tokens.log_probabilities[:1] != (None,)
    # With a prefix the first tokens are it, also where the server scores them.
    first = 0 if scored_from_start and not prefix else 1
    candidates = [
        before
        for before in range(first, min(MOST_BEFORE[bool(prefix)] + 1, len(tokens.texts)))
        if before < 2 or not prefix or _ends_prefix(tokens.texts[:before], prefix)
    ]
    spelt = {before: ["" if part is None else part for part in tokens.texts[before:]] for before in candidates}
    exact = [before for before in candidates if "".join(spelt[before]) == text]
    if _head(tokens, text, prefix) and not exact:
        # Ignoring spaces below must not hide that the first token is one.
        return None
    squashed = _squashed(text)
    similar = [before for before in candidates if 0 in _starts(spelt[before], squashed, 0)]
    # A prefix of spaces is told from the text only where tokens are spelt exactly.
    return next(iter([*exact, *similar] if prefix else sorted({*exact, *similar})), None)


def _ends_prefix(texts: Sequence[str | None], prefix: str) -> bool:
    """Say whether tokens are the server's own, of which there may be two, and then those of the prefix."""
    return any(prefix.endswith("".join(part or "" for part in texts[first:])) for first in (1, 2) if first < len(texts))


def _unscored_characters(tokens: PromptTokens, text: str, prefix: str) -> int:
    """Return how many characters at the beginning of the text the first token takes that has no log-prob."""
    if head := _head(tokens, text, prefix):
        return head
    if not prefix and tokens.log_probabilities[:1] == (None,):
        rest = ["" if part is None else part for part in tokens.texts[1:]]
        kept = [index for index, character in enumerate(text) if not SPACE.fullmatch(character)] + [len(text)]
        for start in _starts(rest, _squashed(text), LONGEST_TOKEN):
            if _may_be(tokens.texts[0], text[: kept[start]]):
                return kept[start]
    seen = hide_secrets("".join(part or "" for part in tokens.texts))
    problem = f"the server's {len(tokens.texts)} tokens spell {len(seen):,} characters, not the text of {len(text):,}"
    if prefix:
        problem += f" after the prefix {prefix!r}"
    fix = "the text was cut or the server does not echo it: use texts that fit the model, or another --style"
    raise InputError(f"{problem} (they end in {seen[-20:]!r}, it ends in {text[-20:]!r})", "tokens that spell it", fix)


def _head(tokens: PromptTokens, text: str, prefix: str) -> int:
    """Return how many characters stand before those that all tokens but the first spell exactly; 0 if they do not."""
    joined = "".join(part or "" for part in tokens.texts[1:])
    if prefix or tokens.log_probabilities[:1] != (None,) or not text.endswith(joined):
        return 0
    head = len(text) - len(joined)
    return head if _may_be(tokens.texts[0], text[:head]) else 0


def _may_be(token: str | None, head: str) -> bool:
    if token is None:
        return len(head) <= LONGEST_TOKEN
    return bool(_starts([token], _squashed(head), 0))


def _squashed(text: str) -> str:
    return SPACE.sub("", text)


def _starts(parts: Sequence[str], text: str, latest: int) -> set[int]:
    """Return where in a text without spaces tokens may begin that spell it to its end.

    Servers write tokens one by one, which loses spaces and turns the pieces of a character into U+FFFD: ``count`` of
    these stand for at most as many characters outside ASCII, and at least for a quarter.
    """
    spelling = SPACE.sub("", ESCAPED_BYTES.sub(_unescaped, "".join(parts)))
    if WRITTEN_SPACE not in text:
        spelling = spelling.replace(WRITTEN_SPACE, "")
    starts = {start: start for start in range(min(latest, len(text)) + 1)}
    for piece in re.findall("\ufffd+|[^\ufffd]+", spelling):
        reached: dict[int, int] = {}
        for end, start in starts.items():
            for after in _ends(piece, text, end):
                reached[after] = min(start, reached.get(after, start))
        starts = reached
    return {starts[len(text)]} if len(text) in starts else set()


def _unescaped(found: re.Match[str]) -> str:
    return bytes.fromhex(re.sub(r"bytes:|\\x", "", found[0])).decode(errors="replace")


def _ends(piece: str, text: str, begin: int) -> Sequence[int]:
    if piece[0] != "\ufffd":
        return (begin + len(piece),) if text.startswith(piece, begin) else ()
    most = 0
    while most < len(piece) and begin + most < len(text) and not text[begin + most].isascii():
        most += 1
    return range(begin + math.ceil(len(piece) / 4), begin + most + 1)


def _number(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        # A whole number may be beyond those of a float.
        with suppress(OverflowError):
            return float(value)
    raise _malformed(f"{where} is {excerpt(repr(value), 80)}")


def _malformed(problem: str) -> InputError:
    fix = "update the server, or ask in another --style"
    return InputError(f"the server's answer cannot be used: {problem}", ACCEPTED, fix)
