#!/usr/bin/env bash
# A token added to a Llama-2-style tokenizer is found after a space or at the start of a text, and nowhere else.
#
# Expected: `add_tokens(["<sep>"])` makes "<sep>" one token wherever it stands.
# Seen: `add_tokens` marks tokens as normalized by default, and the normaliser that prepends "▁" is applied to the token
# itself: what is looked for is "▁<sep>". "hi<sep>hi" falls apart into unknown characters, "hi <sep>hi" does not, and the
# space before it is eaten. `add_special_tokens`, whose default is the other one, finds its token anywhere.
# Version: tokenizers 0.23.3.
# Matters to: who adds separators to prompts or texts and scores them: ids, token counts and losses are others, and with
# byte fallback not even an unknown token tells.
# Instead: `add_tokens([AddedToken("<sep>", normalized=False)])`.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("tokenizers==0.23.3")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
venv/bin/python - <<'PYTHON'
import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers


def tokenizer():
    made = Tokenizer(models.BPE({"<unk>": 0, "▁": 1, "h": 2, "i": 3}, [], unk_token="<unk>"))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    return made


texts = ("<sep>hi", "hi <sep>hi", "hi<sep>hi")
plain, special, fixed = tokenizer(), tokenizer(), tokenizer()
plain.add_tokens(["<sep>"])
special.add_special_tokens(["<sep>"])
fixed.add_tokens([AddedToken("<sep>", normalized=False)])
sep = plain.token_to_id("<sep>")
print("tokenizers", tokenizers.__version__)
found = {}
for name, made in {"add_tokens": plain, "add_special_tokens": special, "normalized=False": fixed}.items():
    found[name] = [sep in made.encode(text).ids for text in texts]
    print(name, {text: made.encode(text).tokens for text in texts})
assert found["add_tokens"] == [True, True, False]
assert found["add_special_tokens"] == found["normalized=False"] == [True, True, True]
assert plain.encode("hi<sep>hi").ids.count(0) == 5
assert plain.encode("hi <sep>hi").ids == [1, 2, 3, sep, 2, 3]
PYTHON
