"""A checkpoint's tokenizer files to a tokenizer of ordinary text, without network and without remote code."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE, Unigram, WordLevel, WordPiece

from bayeslaw.errors import InputError
from bayeslaw.inputs.foreign_text import excerpt
from inference.checkpoints.quiet import quiet_transformers
from inference.checkpoints.weight_files import read_json
from inference.texts.gguf_tokenizers import read_gguf_tokenizer
from inference.texts.token_names import TokenNames, read_token_names

# How tokenizers are read; tables record it. The first way built the pipeline of the class that the settings name.
READER = 2
TOKENIZER = "tokenizer.json"
PIECES, MERGES = "vocab.json", "merges.txt"
# Files of tokenizers that are read by other packages.
OTHERS = ("tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tiktoken.model", "qwen.tiktoken", "vocab.txt")
ACCEPTED = f"a checkpoint with its {TOKENIZER} (or {PIECES} and {MERGES})"
AGAIN = "copy the tokenizer's files again, or use another checkpoint"


@dataclass(frozen=True)
class TokenizerFacts:
    """What a checkpoint says about its tokenizer.

    Attributes
    ----------
    state
        The tokenizer as JSON, without what serves chats and training (special tokens around a text, truncation,
        padding, dropout of merges).
    prepended
        Ids that the tokenizer itself puts in front of a text.
    begin, end
        Ids of its tokens for the beginning and the end of a text, or None.
    """

    state: str
    prepended: tuple[int, ...]
    begin: int | None
    end: int | None


def read_tokenizer(folder: Path) -> TokenizerFacts:
    """Read the tokenizer of a checkpoint.

    Texts are cut as ``tokenizer.json`` says. The class that ``tokenizer_config.json`` names is not asked: transformers
    5 builds the normaliser and the pre-tokeniser of that class anew, which may be others than the checkpoint was
    trained with. Only where there is no such file are ``vocab.json`` and ``merges.txt`` read by that class. The
    tokenizer of a GGUF file is rebuilt from what the file holds.

    Parameters
    ----------
    folder
        The checkpoint's folder, or its GGUF file.

    Returns
    -------
    TokenizerFacts
        Its state and its special tokens.

    Raises
    ------
    InputError
        If there is no tokenizer in the folder, or one that cannot be read, that needs code from elsewhere, or that
        does not say which characters a token stands for.
    """
    if folder.is_file():
        backend, names = read_gguf_tokenizer(folder, lambda file: (_from_file(file), read_token_names(file.parent)))
    elif (folder / TOKENIZER).is_file():
        backend, names = _from_file(folder / TOKENIZER), read_token_names(folder)
    elif all((folder / name).is_file() for name in (PIECES, MERGES)):
        backend, names = _from_pieces(folder)
    else:
        raise _no_tokenizer(folder)
    # Named ones may lack the flag in old files; a text that spells one must not yield it either.
    named = [token for token in names.special if backend.token_to_id(token) is not None]
    backend.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in named])
    backend.no_truncation()
    backend.no_padding()
    # Fails for a vocabulary without the unknown token.
    _check_templates(backend, folder)
    with _refusing(f"the tokenizer in {str(folder)!r} cannot be read"):
        letter = backend.encode("a")
    inside = letter.special_tokens_mask.index(0) if 0 in letter.special_tokens_mask else 0
    # It adds special tokens, and may cut spaces off a token's characters.
    backend.post_processor = None  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(backend.model, BPE):
        backend.model.dropout = None
    begin, end = (_known_id(backend, token) for token in (names.begin, names.end))
    prepended = (begin,) if names.puts_begin and begin is not None else tuple(letter.ids[:inside])
    return TokenizerFacts(backend.to_str(), prepended, begin, end)


def _check_templates(backend: Tokenizer, folder: Path) -> None:
    """Refuse a template with a token of which no id is told: the library panics at it, and writes to the terminal."""
    if backend.post_processor is None:
        return
    told = json.loads(backend.post_processor.__getstate__())
    for processor in told.get("processors", [told]):
        pieces = [*processor.get("single", ()), *processor.get("pair", ())]
        named = [piece["SpecialToken"]["id"] for piece in pieces if "SpecialToken" in piece]
        absent = next((token for token in named if token not in processor["special_tokens"]), None)
        if absent is not None:
            problem = (
                f"the tokenizer in {str(folder)!r} cannot be read: its template has the token {excerpt(absent)!r}, "
            )
            raise InputError(problem + "and does not tell its id", ACCEPTED, AGAIN)


def _known_id(backend: Tokenizer, token: str | int | None) -> int | None:
    if isinstance(token, int):
        added = backend.get_added_tokens_decoder().get(token)
        return token if added is not None and added.special else None
    return None if token is None else backend.token_to_id(token)


def _no_tokenizer(folder: Path) -> InputError:
    there = next((name for name in OTHERS if (folder / name).is_file()), None)
    if there is None:
        problem = f"the folder {str(folder)!r} has no tokenizer: neither {TOKENIZER} nor {PIECES} and {MERGES}"
        fix = "copy the tokenizer's files into the folder, or name another checkpoint"
        return InputError(problem, ACCEPTED, fix)
    problem = f"the folder {str(folder)!r} has its tokenizer in {there!r} alone, which is not read"
    # A conversion may cut texts otherwise than the model was trained with: it is not made in silence.
    fix = (
        f"write a {TOKENIZER} where sentencepiece and tiktoken are installed, and compare its ids: "
        f"python -c \"from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('FOLDER').save_pretrained("
        "'FOLDER')\""
    )
    return InputError(problem, ACCEPTED, fix)


def _from_file(file: Path) -> Tokenizer:
    with _refusing(f"the tokenizer in {str(file.parent)!r} cannot be read"):
        return Tokenizer.from_file(str(file))


@contextmanager
def _refusing(problem: str) -> Iterator[None]:
    """Turn what the library raises for a broken tokenizer into an error in a sentence."""
    try:
        yield
    except BaseException as error:
        # The library raises plain Exception, and panics, which are none.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        reason = excerpt(str(error).strip().split("\n")[0] or type(error).__name__)
        raise InputError(f"{problem}: {reason}", ACCEPTED, AGAIN) from error


def _unreadable(folder: Path, error: Exception) -> InputError:
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return InputError(f"the tokenizer in {str(folder)!r} cannot be read: {reason}", ACCEPTED, AGAIN)


def _from_pieces(folder: Path) -> tuple[Tokenizer, TokenNames]:
    """Convert a vocabulary and merges, which do not say how texts are split, as the checkpoint's class does."""
    tokenizer = _load(folder)
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, Tokenizer):
        kind = type(tokenizer).__name__
        problem = f"the tokenizer in {str(folder)!r} ({kind}) does not say which characters a token stands for"
        raise InputError(problem, ACCEPTED, f"convert it to a {TOKENIZER}, or use another checkpoint")
    _check_pieces(backend, folder / PIECES)
    begin, end = (None if token is None else str(token) for token in (tokenizer.bos_token, tokenizer.eos_token))
    return backend, TokenNames(begin, end, tuple(map(str, tokenizer.all_special_tokens)), None)


def _load(folder: Path) -> Any:
    with quiet_transformers():
        from transformers.models.auto.tokenization_auto import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(str(folder.absolute()), local_files_only=True, trust_remote_code=False)
        except Exception as error:  # The libraries below raise plain Exception for a broken file.
            raise _unreadable(folder, error) from error


def _check_pieces(backend: Tokenizer, file: Path) -> None:
    """Check that the pieces are those of the file: a class made for other files builds a vocabulary of its own."""
    pieces, known = read_json(file), backend.get_vocab()
    wrong = next((piece for piece, number in pieces.items() if known.get(piece) != number), None)
    if wrong is not None or not pieces:
        problem = f"the tokenizer of {str(file)!r} was read without the pieces of that file"
        problem += "" if wrong is None else f": {wrong!r} has the id {known.get(wrong)} instead of {pieces[wrong]}"
        raise InputError(problem, ACCEPTED, "correct tokenizer_class in tokenizer_config.json")


def text_backend(state: str, content: dict[str, Any]) -> Tokenizer:
    """Make a tokenizer for which a text that spells a special token is ordinary text.

    Parameters
    ----------
    state
        A tokenizer as JSON.
    content
        The same, parsed.

    Returns
    -------
    tokenizers.Tokenizer
        A tokenizer whose ids are those of the state.
    """
    # What the library writes of a vocabulary with two pieces of one id it does not read.
    with _refusing("the vocabulary of the tokenizer contradicts itself"):
        backend = Tokenizer.from_str(state)
    backend.encode_special_tokens = True
    model = content["model"]
    special = {token["content"] for token in content["added_tokens"] if token["special"]}
    # Merges never spell a special token, but a vocabulary of whole pieces may hold one as a piece like any other.
    if model["type"] == "Unigram":
        pieces = [(_hidden(piece) if piece in special else piece, score) for piece, score in model["vocab"]]
        backend.model = Unigram(pieces, model["unk_id"], model["byte_fallback"])
    elif model["type"] in ("WordLevel", "WordPiece"):
        unknown = model["unk_token"]
        pieces = {_hidden(piece) if piece in special else piece: number for piece, number in model["vocab"].items()}
        named = _hidden(unknown) if unknown in special else unknown
        if model["type"] == "WordLevel":
            backend.model = WordLevel(pieces, named)
        else:
            longest, marker = model["max_input_chars_per_word"], model["continuing_subword_prefix"]
            backend.model = WordPiece(
                pieces, unk_token=named, max_input_chars_per_word=longest, continuing_subword_prefix=marker
            )
    return backend


def _hidden(piece: str) -> str:
    # Half of a pair of surrogates would be surest, but is no text: characters that mean nothing serve.
    return f"\uffff\ufdd0{piece}\ufdd0\uffff"


def unknown_ids(content: dict[str, Any]) -> tuple[int, ...]:
    """Return the ids that stand for what a tokenizer does not know.

    Parameters
    ----------
    content
        A tokenizer's state, parsed.

    Returns
    -------
    tuple
        One id, or none where every text can be told from its ids.
    """
    model = content["model"]
    if model["type"] == "Unigram":
        return () if model["unk_id"] is None else (model["unk_id"],)
    known = model["vocab"].get(model["unk_token"])
    return () if known is None else (known,)


def count_ids(content: dict[str, Any]) -> int:
    """Return how many ids a tokenizer may yield.

    Parameters
    ----------
    content
        A tokenizer's state, parsed.

    Returns
    -------
    int
        One more than the highest id.
    """
    vocabulary = content["model"]["vocab"]
    ids = range(len(vocabulary)) if isinstance(vocabulary, list) else vocabulary.values()
    return 1 + max([*ids, *(token["id"] for token in content["added_tokens"])], default=-1)
