#!/usr/bin/env bash
# lm-evaluation-harness writes log-probs and truth values as text, and counts blank ends of a text as words.
#
# Expected: numbers in a JSON log are numbers; `word_perplexity` divides by the words of `str.split`.
# Seen: in the sample log every entry of `resps` and `filtered_resps` is a string, "False" (greedy or not) included,
# which is true in a condition; for multiple choice these strings are the only place where the log-probs stand. A text
# with a blank at either end has one word more for each, and an empty text has one, in `word_perplexity`; bytes are counted as
# one would.
# Version: lm_eval 0.4.13.
# Matters to: who builds tables of losses from these logs, or compares perplexities per word.
# Instead: convert with `float` and compare with "True"; take bits per byte, or count words oneself.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("lm_eval==0.4.13")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
HF_HOME="$folder/hub" HF_HUB_OFFLINE=1 LM_HARNESS_CACHE_PATH="$folder/requests" venv/bin/python - <<'PYTHON'
import json
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

ROLLING = """
task: rolling
dataset_path: json
dataset_kwargs: {data_files: {test: rolling.jsonl}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
"""
CHOICE = """
task: choice
dataset_path: json
dataset_kwargs: {data_files: {test: choice.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
doc_to_choice: "{{choices}}"
metric_list: [{metric: acc}]
"""
texts = ["hello world", " hello world ", ""]
Path("rolling.yaml").write_text(ROLLING)
Path("choice.yaml").write_text(CHOICE)
Path("rolling.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
Path("choice.jsonl").write_text(json.dumps({"question": "1 + 1 =", "answer": 1, "choices": ["1", "2"]}) + "\n")
command = "run --model dummy --tasks rolling,choice --include_path . --output_path log --log_samples".split()
subprocess.run([sys.executable, "-m", "lm_eval", *command], check=True, capture_output=True)
print("lm_eval", version("lm_eval"))


def samples(task):
    (path,) = Path("log").rglob(f"samples_{task}_*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


rolling, (choice,) = samples("rolling"), samples("choice")
for sample in rolling:
    print(
        repr(sample["target"]), "response", sample["filtered_resps"],
        "words", sample["word_perplexity"][1], "bytes", sample["bits_per_byte"][1],
    )
print("choice:", choice["filtered_resps"])
assert all(isinstance(sample["filtered_resps"][0], str) for sample in rolling)
assert [[type(part) for part in pair] for pair in choice["filtered_resps"]] == [[str, str]] * 2
assert choice["filtered_resps"][0][1] == "False" and bool(choice["filtered_resps"][0][1])
assert [sample["word_perplexity"][1] for sample in rolling] == [2, 4, 1]
assert [sample["bits_per_byte"][1] for sample in rolling] == [11, 13, 0]
PYTHON
