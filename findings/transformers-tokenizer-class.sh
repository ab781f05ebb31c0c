#!/usr/bin/env bash
# transformers 5 splits text by the class named in tokenizer_config.json, not by tokenizer.json beside it.
#
# Expected: a fast tokenizer is what its tokenizer.json says; the class is a wrapper.
# Seen: under GPT2Tokenizer, GPTNeoXTokenizerFast or CodeGenTokenizer, `AutoTokenizer` takes vocabulary and merges from
# the file and builds the pre-tokenizer of the class anew: a tokenizer.json that splits digits one by one before bytes
# yields "2023" as one token. `tokenizers` reading the same file, and `AutoTokenizer` under PreTrainedTokenizerFast, give
# four digits. No warning.
# Versions: transformers 5.24.0, tokenizers 0.23.3.
# Matters to: scores and token counts of every model that was trained with digits apart and names a byte-level class;
# losses per token, and the losses themselves, are then those of another segmentation.
# Instead: compare `AutoTokenizer` with `Tokenizer.from_file` on a text with digits and spaces before scoring; use
# `PreTrainedTokenizerFast(tokenizer_file=...)` where they differ.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("transformers==5.24.0" "tokenizers==0.23.3")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error venv/bin/python - <<'PYTHON'
import json
from pathlib import Path

import tokenizers
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

bytes_only = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = bytes_only
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=400,
    special_tokens=["<|endoftext|>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
tokenizer.train_from_iterator(["the year 2023 had 365 days"] * 20, trainer)
tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), bytes_only])
text = "the year 2023"
right = tokenizer.encode(text).tokens
print("transformers", transformers.__version__, "tokenizers", tokenizers.__version__)
print("tokenizers:", right)
found = {}
for name in ("GPT2Tokenizer", "GPTNeoXTokenizerFast", "CodeGenTokenizer", "PreTrainedTokenizerFast"):
    folder = Path(name)
    folder.mkdir()
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    loaded = AutoTokenizer.from_pretrained(folder)
    found[name] = loaded.convert_ids_to_tokens(loaded(text, add_special_tokens=False)["input_ids"])
    print(f"{name}: {found[name]}")
direct = PreTrainedTokenizerFast(tokenizer_file="GPT2Tokenizer/tokenizer.json")
assert direct.convert_ids_to_tokens(direct(text, add_special_tokens=False)["input_ids"]) == right
assert found.pop("PreTrainedTokenizerFast") == right and right[-4:] == ["2", "0", "2", "3"]
assert all(tokens == ["the", "Ġyear", "Ġ2023"] for tokens in found.values())
PYTHON
