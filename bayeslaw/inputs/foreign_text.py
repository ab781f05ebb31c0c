"""Text that came from outside (a server, a file, the name of a model) made fit to be shown on a terminal."""

import json
import os
import re
import unicodedata
from collections.abc import Callable
from urllib.parse import quote

# What the environment holds that nobody is to see.
SECRETS = ("OPENAI_API_KEY", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
# Shorter ones keep no secret, and to hide them would blank out words of ours.
SHORTEST_SECRET = 4
HIDDEN = "..."
# What stands in a message of what a server or a file says.
LONGEST_EXCERPT = 300
# Of the longest honest message, which lists all families of models, this is a few times.
LONGEST_MESSAGE = 4000


def printable(text: str) -> str:
    """Return a text that cannot steer a terminal, nor show a key.

    Characters that are not seen (control characters but the line feed, marks that turn the direction of writing, halves
    of surrogate pairs) are written as Python escapes; keys of the environment variables in `SECRETS` become ``...``.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        The same where there is nothing to change; to apply it twice changes nothing more.
    """
    return replace_unseen(hide_secrets(text), lambda character: character.encode("unicode_escape").decode())


def replace_unseen(text: str, escaped: Callable[[str], str]) -> str:
    """Return a text with every character escaped that is not seen, but for spaces and line feeds.

    Parameters
    ----------
    text
        Any text.
    escaped
        Returns what stands for one character.

    Returns
    -------
    str
        The same where there is nothing to change.
    """
    if text.isprintable():
        return text
    # Spaces of all widths are as harmless as letters, though Python counts only one of them as printable.
    return "".join(
        each if each == "\n" or each.isprintable() or unicodedata.category(each) == "Zs" else escaped(each)
        for each in text
    )


def hide_secrets(text: str) -> str:
    """Return a text with every key of the environment taken out, however it is written.

    Parameters
    ----------
    text
        Any text.

    Returns
    -------
    str
        The text with ``...`` in the place of keys, whatever the case of their letters.
    """
    for name in SECRETS:
        key = os.environ.get(name, "").strip()
        if len(key) < SHORTEST_SECRET:
            continue
        # A quoted text writes some characters otherwise.
        for form in {key, repr(key)[1:-1], json.dumps(key)[1:-1], quote(key, safe="")}:
            text = re.sub(re.escape(form), HIDDEN, text, flags=re.IGNORECASE)
    return text


def excerpt(text: object, most: int = LONGEST_EXCERPT) -> str:
    """Return the beginning of what came from outside, on one line, for a message.

    Parameters
    ----------
    text
        A text, or what stands for one.
    most
        Most characters of it.

    Returns
    -------
    str
        One printable line. Keys are taken out before it is cut, so that no part of one is left.
    """
    begin = hide_secrets(str(text))[: 4 * most]
    shown = " ".join(printable(" ".join(begin.split())).split())
    return shown if len(shown) <= most else f"{shown[:most]} ..."


def shortened(text: str, most: int = LONGEST_MESSAGE) -> str:
    """Return a message, without its middle where it is longer than anybody reads.

    Parameters
    ----------
    text
        The message.
    most
        Most characters of it.

    Returns
    -------
    str
        The message, or its beginning and end with the number of characters between them.
    """
    if len(text) <= most:
        return text
    half = most // 2
    return f"{text[:half]} ... ({len(text) - 2 * half:,} characters left out) ... {text[-half:]}"
