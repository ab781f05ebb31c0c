"""Tokenizers of checkpoints: ordinary text, its characters and bytes, and what stands in front."""

import hashlib
import json
import pickle
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_tokenizers import KINDS, save_tokenizer, vocabulary_size
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from bayeslaw.errors import InputError
from inference.texts.spans import UNITS, span_of_tokens, span_starts
from inference.texts.tokens import TextTokenizer

BYTE_KINDS = ("gpt2", "qwen", "llama")
PREFIXES = {"gpt2": "<|endoftext|>", "qwen": "<|im_end|>", "llama": "<s>", "gemma": "<bos>"}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>", "<bos>", "<eos>", "<pad>"]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
# Without what NFC would change, so that tokens spell the text.
PLAIN = st.text(st.sampled_from("the model é世😀 \n\t.<>/s|"), min_size=1, max_size=40)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return {kind: save_tokenizer(kind, tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.fixture(scope="module")
def loaded(folders):
    bos = {"words": "never"}
    return {kind: TextTokenizer.from_folder(folder, bos=bos.get(kind, "auto")) for kind, folder in folders.items()}


def edit(folder, file, **settings):
    path = folder / file
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    return folder


def tokens(tokenizer, text):
    pieces = Tokenizer.from_str(tokenizer.state)
    return [pieces.id_to_token(number) for number in tokenizer.encode(text).ids.tolist()]


def refused(folder, *said, **options):
    with pytest.raises(InputError) as caught:
        TextTokenizer.from_folder(folder, **options)
    for words in said:
        assert words in str(caught.value), str(caught.value)


@pytest.mark.parametrize("kind", PREFIXES)
def test_auto_takes_what_the_tokenizer_prepends_else_bos_else_eos(loaded, kind):
    assert loaded[kind].prefix_text == PREFIXES[kind]
    assert loaded[kind].bos == "auto"
    assert loaded[kind].size == vocabulary_size(kind)


def test_auto_follows_the_post_processor_before_the_bos_token(tmp_path):
    folder = edit(save_tokenizer("llama", tmp_path / "one"), "tokenizer_config.json", bos_token="</s>")
    assert TextTokenizer.from_folder(folder).prefix_text == "<s>"
    assert TextTokenizer.from_folder(folder, bos="always").prefix_text == "</s>"
    # Two tokens in front are no prefix; the tokenizer's own bos token is.
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing("<s> </s> $A", special_tokens=[("<s>", 1), ("</s>", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    assert TextTokenizer.from_folder(folder).prefix_text == "</s>"
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    edit(folder, "tokenizer_config.json", bos_token="<s>")
    assert TextTokenizer.from_folder(folder).prefix_text == "<s>"


def test_settings_say_what_begins_a_text(tmp_path):
    """They are read in the order of tokenizer_config.json, the older file, and the ids of config.json."""
    folder = save_tokenizer("gpt2", tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens(["<b>", "<c>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = tokenizer.get_vocab()
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    plain = {name: value for name, value in settings.items() if name not in ("bos_token", "eos_token")}

    def prefix(config, older, model):
        for name, content in (("tokenizer_config", config), ("special_tokens_map", older), ("config", model)):
            (folder / f"{name}.json").write_text(json.dumps(content))
        return TextTokenizer.from_folder(folder).prefix_text

    model = {"bos_token_id": ids["<b>"], "eos_token_id": ids["<c>"]}
    assert prefix(plain | {"bos_token": {"content": "a"}}, {"bos_token": "d"}, model) == "a"
    assert prefix(plain, {"bos_token": {"content": "d"}}, model) == "d"
    assert prefix(plain, {}, model) == "<b>"
    # A tokenizer that is said to have none has none, whatever the model's configuration says.
    assert prefix(plain | {"bos_token": None}, {}, model) == "<c>"
    assert prefix(plain | {"bos_token": None, "eos_token": "e"}, {}, model) == "e"
    # An id that a default of another model's configuration gives may be that of any piece, or of none.
    for other in (ids["b"], 10**9, 2**40, -1, True):
        assert prefix(plain | {"eos_token": "e"}, {}, {"bos_token_id": other}) == "e"
    # Half of a surrogate pair is the token of no vocabulary.
    assert prefix(plain | {"bos_token": "\ud800", "eos_token": "e"}, {}, {}) == "e"
    # Several ends, as of turns in a chat, are no end of a text.
    with pytest.raises(InputError, match="no token for the beginning or the end"):
        prefix(plain, {}, {"bos_token_id": None, "eos_token_id": [1, 2]})
    with pytest.raises(InputError, match="no token for the beginning or the end"):
        prefix(plain, {}, {"bos_token_id": 10**9})


def test_a_beginning_that_settings_put_in_front_is_the_prefix(tmp_path):
    folder = save_tokenizer("llama", tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing("</s> $A", special_tokens=[("</s>", 2)])
    tokenizer.save(str(folder / "tokenizer.json"))
    assert TextTokenizer.from_folder(folder).prefix_text == "</s>"
    assert TextTokenizer.from_folder(edit(folder, "tokenizer_config.json", add_bos_token=True)).prefix_text == "<s>"


def test_other_policies(folders):
    assert TextTokenizer.from_folder(folders["llama"], bos="always").prefix == 1
    never = TextTokenizer.from_folder(folders["llama"], bos="never")
    assert (never.prefix, never.prefix_text) == (None, None)
    refused(folders["qwen"], "no token for the beginning", "use bos 'auto' or 'never'", bos="always")
    refused(folders["words"], "no token for the beginning or the end", "use bos 'never'")
    refused(folders["gpt2"], "bos 'sometimes' is not known", bos="sometimes")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", ["</s></s>", "<|endoftext|>", " a ".join(SPECIAL), " ".join(SPECIAL), "<unk>"])
def test_text_that_spells_special_tokens_is_ordinary(folders, loaded, kind, text):
    tokenizer = loaded[kind]
    added = json.loads(tokenizer.state)["added_tokens"]
    control = {token["id"] for token in added if token["special"] and token["content"] != "<unk>"}
    assert {token["content"] for token in added} & set(SPECIAL)
    encoding = tokenizer.encode(text)
    assert not control & set(encoding.ids.tolist())
    if kind in BYTE_KINDS:
        assert encoding.covered.all()
        assert encoding.scored_bytes == len(text.encode())


def test_special_tokens_that_the_file_does_not_flag_are_special_too(tmp_path):
    folder = save_tokenizer("gpt2", tmp_path)
    content = json.loads((folder / "tokenizer.json").read_text())
    content["added_tokens"][0]["special"] = False
    (folder / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = TextTokenizer.from_folder(folder)
    assert tokenizer.prefix == 0
    assert 0 not in tokenizer.encode("<|endoftext|>").ids


def test_added_tokens_that_are_not_special_stay_tokens(loaded):
    assert tokens(loaded["qwen"], "a<tool_call>") == ["a", "<tool_call>"]


@settings(max_examples=100, deadline=None)
@given(TEXTS, st.sampled_from(BYTE_KINDS))
def test_bytes_of_any_text_are_all_scored(loaded, text, kind):
    encoding = loaded[kind].encode(text)
    assert encoding.covered.all()
    assert encoding.offsets.min() >= 0
    assert encoding.offsets.max() <= len(text)
    assert (encoding.offsets[:, 0] <= encoding.offsets[:, 1]).all()
    assert (np.diff(encoding.offsets[:, 0]) >= 0).all()
    assert encoding.scored_bytes == len(text.encode())


@settings(max_examples=100, deadline=None)
@given(PLAIN, st.sampled_from(("gpt2", "qwen")))
def test_byte_level_offsets_are_those_of_the_characters(loaded, text, kind):
    tokenizer = loaded[kind]
    encoding = tokenizer.encode(text)
    letters = {letter: number for number, letter in byte_letters().items()}
    owners = [index for index, character in enumerate(text) for _ in character.encode()]
    spelt, place = b"", 0
    for token, (first, stop) in zip(tokens(tokenizer, text), encoding.offsets.tolist(), strict=True):
        spelt += bytes(letters[letter] for letter in token)
        held = owners[place : place + len(token)]
        assert (first, stop) == (held[0], held[-1] + 1)
        place += len(token)
    assert spelt == text.encode()


def byte_letters():
    """Return the letter that byte-level tokenizers write for each byte (Radford et al., 2019)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [value for value in range(256) if value not in printable]
    return {value: chr(value) for value in printable} | {value: chr(256 + n) for n, value in enumerate(others)}


@settings(max_examples=100, deadline=None)
@given(PLAIN, st.sampled_from(tuple(KINDS)), st.sampled_from(UNITS))
def test_spans_of_real_tokens_add_up(loaded, text, kind, unit):
    if not text.strip():
        return
    encoding = loaded[kind].encode(text)
    starts = span_starts(text, unit)
    owners = span_of_tokens(text, encoding.offsets, starts)
    losses = np.linspace(0.1, 7.3, len(owners))
    sums = np.bincount(owners, weights=losses, minlength=len(starts))
    assert len(sums) == len(starts)
    assert sums.sum() == pytest.approx(losses.sum(), rel=1e-12)
    if unit == "word" and kind in ("gpt2", "qwen"):
        # Every word begins with a token of its own, for these never join words.
        assert set(owners.tolist()) == set(range(len(starts)))


def test_ids_are_those_of_the_file(folders, loaded):
    text = "The naïve fox 😀 sells\n\nshells.  "
    for kind, folder in folders.items():
        reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
        assert loaded[kind].encode(text).ids.tolist() == reference.encode(text, add_special_tokens=False).ids


def test_trimmed_offsets_are_whole_again(loaded):
    # The post-processor of this kind cuts the space off a token's characters, though the token stands for it.
    assert loaded["gpt2"].encode("a the").offsets.tolist() == [[0, 1], [1, 5]]


def test_dummy_spaces_and_byte_fallback(loaded):
    encoding = loaded["llama"].encode("世 the")
    assert tokens(loaded["llama"], "世 the") == ["▁", "<0xE4>", "<0xB8>", "<0x96>", "▁the"]
    assert encoding.offsets.tolist() == [[0, 1], [0, 1], [0, 1], [0, 1], [1, 5]]
    assert encoding.scored_bytes == 7


def test_unknown_tokens_cover_nothing(loaded):
    encoding = loaded["gemma"].encode("the 😀")
    assert encoding.covered.tolist() == [True, True, False]
    assert encoding.scored_bytes == 4
    # Nor does a mark behind it.
    assert loaded["gemma"].encode("a😀\u0301").scored_bytes == 1
    words = loaded["words"].encode("dog the nothere fox")
    # No prefix: the first word is not scored; the tokenizer also loses the spaces.
    assert words.covered.tolist() == [True, True, False, True]
    assert words.scored_bytes == len("the") + len("fox")


@pytest.mark.parametrize("text", ["cafe\u0301 e", "e\u0323\u0302", "\u1112\u1161\u11ab.", "\u0301a", "x\u0301\u0301"])
def test_marks_that_the_normaliser_joins_are_scored_with_their_letter(loaded, text):
    assert loaded["qwen"].encode(text).scored_bytes == len(text.encode())


def test_characters_that_the_normaliser_drops_are_not_scored(tmp_path):
    folder = save_tokenizer("gpt2", tmp_path)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    dropping = [normalizers.NFD(), normalizers.StripAccents(), normalizers.Replace("~", "")]
    tokenizer.normalizer = normalizers.Sequence(dropping)
    tokenizer.save(str(folder / "tokenizer.json"))
    loaded = TextTokenizer.from_folder(folder)
    assert loaded.encode("a~~b").scored_bytes == 2
    assert loaded.encode("e\u0301 a").scored_bytes == 3
    with pytest.raises(InputError, match="yields no token"):
        loaded.encode("~~")


def test_never_leaves_the_first_token_unscored(folders, loaded):
    never = TextTokenizer.from_folder(folders["gpt2"], bos="never")
    text = "😀 the"
    assert never.encode(text).ids.tolist() == loaded["gpt2"].encode(text).ids.tolist()
    # Four tokens stand for the first character, three of which are scored.
    assert never.encode(text).scored_bytes == len(text.encode())
    assert never.encode("the fox").scored_bytes == len(" fox") + len("the") - len(tokens(never, "the fox")[0])


def test_truncation_padding_and_dropout_of_the_file_do_not_apply(tmp_path, loaded):
    folder = save_tokenizer("gpt2", tmp_path, model_max_length=4)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(3)
    tokenizer.enable_padding(length=50, pad_token="<|endoftext|>")
    tokenizer.model.dropout = 0.9
    tokenizer.save(str(folder / "tokenizer.json"))
    text = "The quick brown fox jumps over the lazy dog"
    plain = TextTokenizer.from_folder(folder)
    assert plain.encode(text).ids.tolist() == loaded["gpt2"].encode(text).ids.tolist()
    assert plain.hash == loaded["gpt2"].hash


def test_batches_equal_one_by_one_and_keep_the_order(loaded, monkeypatch):
    monkeypatch.setattr("inference.texts.tokens._CHARACTERS", 10)
    texts = [f"text {number} " + "the fox " * (number % 4) for number in range(20)]
    together = loaded["llama"].encode_batch(texts)
    assert [one.ids.tolist() for one in together] == [loaded["llama"].encode(text).ids.tolist() for text in texts]
    assert together[0].ids.dtype == np.int32
    assert together[0].offsets.dtype == np.int64
    assert loaded["llama"].encode_batch([]) == []


def test_the_hash_is_of_what_makes_ids_and_offsets(tmp_path, loaded):
    assert len({tokenizer.hash for tokenizer in loaded.values()}) == len(KINDS)
    folder = save_tokenizer("gpt2", tmp_path)
    assert TextTokenizer.from_folder(folder, bos="never").hash == loaded["gpt2"].hash
    content = json.loads((folder / "tokenizer.json").read_text())
    assert TextTokenizer.from_folder(edit(folder, "tokenizer.json", post_processor=None)).hash == loaded["gpt2"].hash
    spaced = {**content["pre_tokenizer"], "add_prefix_space": True}
    normalised = {"type": "NFC"}
    merges = {**content["model"], "merges": content["model"]["merges"][:-1]}
    for changed in ({"pre_tokenizer": spaced}, {"normalizer": normalised}, {"model": merges}):
        edit(folder, "tokenizer.json", **{**content, **changed})
        assert TextTokenizer.from_folder(folder).hash != loaded["gpt2"].hash
    parts = {name: json.loads(loaded["gpt2"].state)[name] for name in ("added_tokens", "normalizer", "pre_tokenizer")}
    parts["model"] = json.loads(loaded["gpt2"].state)["model"]
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"))
    assert loaded["gpt2"].hash == hashlib.sha256(canonical.encode()).hexdigest()


@pytest.mark.parametrize("kind", KINDS)
def test_a_tokenizer_survives_pickling(loaded, kind):
    again = pickle.loads(pickle.dumps(loaded[kind]))
    text = " ".join(SPECIAL) + " the fox"
    assert again.encode(text).ids.tolist() == loaded[kind].encode(text).ids.tolist()
    assert (again.hash, again.prefix, again.bos) == (loaded[kind].hash, loaded[kind].prefix, loaded[kind].bos)


def test_bad_texts_are_refused(loaded):
    tokenizer = loaded["gpt2"]
    for texts, said in (
        (["a", ""], "text 1 ('') yields no token"),
        (["a", "b\ud800"], "text 1 has a lone surrogate at character 1"),
        (["a", b"b"], "text 1 is of type bytes"),
        ("one text", "texts is one text"),
    ):
        with pytest.raises(InputError) as caught:
            tokenizer.encode_batch(texts)
        assert said in str(caught.value)


def test_ids_beyond_the_embedding_are_refused(folders):
    small = TextTokenizer.from_folder(folders["gpt2"], vocabulary=300)
    assert small.encode("a").ids.max() < 300
    with pytest.raises(InputError, match=r"text 0 \('The quick'\) has the token .* of id \d+") as caught:
        small.encode("The quick")
    assert "ids below 300" in str(caught.value)
    refused(folders["gemma"], "the prefix has the token '<bos>' of id 2", vocabulary=2)


def test_folders_without_a_usable_tokenizer_are_refused(tmp_path):
    tmp_path.joinpath("config.json").write_text('{"model_type": "gemma"}')
    refused(tmp_path, "has no tokenizer")
    tmp_path.joinpath("merges.txt").write_text("")
    refused(tmp_path, "has no tokenizer")
    for name in ("spiece.model", "tokenizer.model"):
        tmp_path.joinpath(name).write_text("")
        refused(tmp_path, f"has its tokenizer in '{name}' alone", "save_pretrained('FOLDER')")
    # The class of this model type does not read these files, and knows no more than five special tokens.
    tmp_path.joinpath("tokenizer.model").unlink()
    tmp_path.joinpath("vocab.json").write_text('{"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3}')
    tmp_path.joinpath("merges.txt").write_text("#version: 0.2\na b\n")
    refused(tmp_path, "'a' has the id None instead of 0")
    tmp_path.joinpath("config.json").write_text('{"model_type": "gpt2"}')
    assert TextTokenizer.from_folder(tmp_path).encode("abb").ids.tolist() == [2, 1]
    tmp_path.joinpath("tokenizer.json").write_text("{")
    refused(tmp_path, "cannot be read")


def test_code_of_a_checkpoint_does_not_run(tmp_path):
    folder = save_tokenizer("gpt2", tmp_path)
    tmp_path.joinpath("own.py").write_text("raise SystemExit('it ran')")
    before = TextTokenizer.from_folder(folder).encode("The fox").ids.tolist()
    edit(folder, "tokenizer_config.json", tokenizer_class="Own", auto_map={"AutoTokenizer": ["own.Own", None]})
    assert TextTokenizer.from_folder(folder).encode("The fox").ids.tolist() == before
    # Without the file the class would have to say how texts are cut.
    model = json.loads((folder / "tokenizer.json").read_text())["model"]
    (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
    (folder / "merges.txt").write_text("\n".join(" ".join(merge) for merge in model["merges"]))
    (folder / "tokenizer.json").unlink()
    refused(folder, "custom code")


def test_a_tokenizer_without_offsets_is_refused(tmp_path, monkeypatch):
    for name in ("vocab.json", "merges.txt"):
        tmp_path.joinpath(name).write_text("")
    monkeypatch.setattr("inference.texts.tokenizer_loading._load", lambda folder: object())
    refused(tmp_path, "does not say which characters a token stands for")


def test_the_network_is_left_alone(tmp_path, monkeypatch):
    def no_network(*arguments, **options):
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setattr(socket, "getaddrinfo", no_network)
    # Beyond 100,000 tokens transformers asks the hub about the model, unless told not to.
    vocabulary = {chr(0x20000 + number): number for number in range(70_000)}
    vocabulary |= {f"w{number}": 70_000 + number for number in range(40_000)} | {"</s>": 110_000, "<unk>": 110_001}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "unk_token": "<unk>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    loaded = TextTokenizer.from_folder(tmp_path)
    assert loaded.prefix == 110_000
    # What spells the special token is a word like any other, and not a known one.
    assert loaded.encode("w5 </s>").ids.tolist() == [70_005, 110_001]
    assert loaded.encode("w5 </s>").covered.tolist() == [True, False]


FORKS = """
import os, sys
from pathlib import Path
from inference.texts.tokens import TextTokenizer
tokenizer = TextTokenizer.from_folder(Path(sys.argv[1]))
texts = ["The quick brown fox"] * 200
tokenizer.encode_batch(texts)
child = os.fork()
found = len(tokenizer.encode_batch(texts))
if child == 0:
    os._exit(0 if found == 200 else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_nothing_is_said_while_loading_and_forked_children_neither_hang_nor_warn(folders):
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKS, str(folders["llama"])]
    root = Path(__file__).parents[3]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 1}, "merges": ["a b"]}, "contradicts itself"),
        ({"type": "WordLevel", "vocab": {}, "unk_token": "<unk>"}, "cannot be read"),
    ],
)
def test_a_vocabulary_that_contradicts_itself_is_refused(tmp_path, model, said):
    state = json.loads(Tokenizer(models.BPE()).to_str()) | {"model": model}
    (tmp_path / "tokenizer.json").write_text(json.dumps(state))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    refused(tmp_path, said, "copy the tokenizer's files again", bos="never")


@pytest.mark.parametrize("within", [False, True])
def test_a_template_whose_token_has_no_id_is_refused_before_the_library_panics(tmp_path, capfd, within):
    template = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": "<x>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [],
        "special_tokens": {},
    }
    processor = {"type": "Sequence", "processors": [template]} if within else template
    state = json.loads(Tokenizer(models.BPE(vocab={"a": 0}, merges=[])).to_str()) | {"post_processor": processor}
    (tmp_path / "tokenizer.json").write_text(json.dumps(state))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    refused(tmp_path, "its template has the token '<x>'", "does not tell its id", bos="never")
    assert capfd.readouterr().err == ""
