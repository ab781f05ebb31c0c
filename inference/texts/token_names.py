"""What a checkpoint's settings say of special tokens: which there are, and which begin and end a text."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.checkpoints.weight_files import CONFIG, read_json

SETTINGS = "tokenizer_config.json"
OLDER_SETTINGS = "special_tokens_map.json"
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
LARGEST_ID = 1 << 32
LISTED = ("additional_special_tokens", "extra_special_tokens")


@dataclass(frozen=True)
class TokenNames:
    """Special tokens of a checkpoint as its settings name them.

    Attributes
    ----------
    begin, end
        Text or id of the token for the beginning and the end of a text, or None.
    special
        Texts of all special tokens that are named.
    puts_begin
        Whether the token for the beginning is put in front of a text; None where only the tokenizer's file says so.
    """

    begin: str | int | None
    end: str | int | None
    special: tuple[str, ...]
    puts_begin: bool | None


def read_token_names(folder: Path) -> TokenNames:
    """Read what the settings in a checkpoint's folder say.

    A token that neither file of the tokenizer's settings mentions is the one whose id ``config.json`` gives; that id
    counts only where the tokenizer has a special token there, since defaults of a configuration may be of another one.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    TokenNames
        Names of special tokens.

    Raises
    ------
    InputError
        If a file of settings cannot be read.
    """
    settings, older, model = (_read(folder / name) for name in (SETTINGS, OLDER_SETTINGS, CONFIG))
    merged = {**older, **settings}
    begin, end = (
        _text(merged[f"{name}_token"]) if f"{name}_token" in merged else _id(model.get(f"{name}_token_id"))
        for name in ("bos", "eos")
    )
    puts_begin = merged.get("add_bos_token")
    special = tuple(dict.fromkeys(_special(merged)))
    return TokenNames(begin, end, special, puts_begin if isinstance(puts_begin, bool) else None)


def _read(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def _text(value: Any) -> str | None:
    """Return the text of a token, which is written plainly or as a table with its flags."""
    text = value.get("content") if isinstance(value, Mapping) else value
    # Half of a surrogate pair is no text, and no token of a vocabulary.
    return text if isinstance(text, str) and text and not any("\ud800" <= c <= "\udfff" for c in text) else None


def _id(value: Any) -> int | None:
    # Several ids, as of ends of turns in a chat, say nothing of the end of a text.
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_ID else None


def _special(settings: Mapping[str, Any]) -> Iterator[str]:
    values = [settings.get(name) for name in NAMED]
    for name in LISTED:
        listed = settings.get(name)
        values += listed.values() if isinstance(listed, Mapping) else listed if isinstance(listed, list) else []
    added = settings.get("added_tokens_decoder")
    if isinstance(added, Mapping):
        values += [token for token in added.values() if isinstance(token, Mapping) and token.get("special") is True]
    for value in values:
        if (text := _text(value)) is not None:
            yield text
