#!/usr/bin/env bash
# lm-evaluation-harness scores the old texts after a data file or a prompt was edited, and divides by the new bytes.
#
# Expected: `--cache_requests true` (`cache_requests=True`) notices that the task's data or its template changed.
# Seen: the cache's name is made of the task's name, shots and tokenizer. After an edit of the data file the requests
# of the old file are scored, and counted against the new texts: a model that spends one bit per byte is reported
# with 0.5 when the texts became twice as long. The sample log shows the new document beside the old request.
# Version: lm_eval 0.4.13.
# Matters to: who corrects a corpus or a template between two runs.
# Instead: `--cache_requests refresh` after every edit, or another name for the task; compare `doc` and `arguments` in
# the sample log.
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
import math
from importlib.metadata import version
from pathlib import Path

import lm_eval
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

TASK = """
task: toy
dataset_path: json
dataset_kwargs:
  data_files:
    test: toy.jsonl
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{text}}"
metric_list:
  - metric: bits_per_byte
"""


class Scorer(LM):
    """Spends the same number of bits on every byte."""

    def __init__(self, bits):
        super().__init__()
        self.bits = bits
        self.calls = 0

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        self.calls += len(requests)
        return [-len(request.args[0].encode()) * self.bits * math.log(2) for request in requests]

    def loglikelihood(self, requests, disable_tqdm=False):
        raise NotImplementedError

    def generate_until(self, requests, disable_tqdm=False):
        raise NotImplementedError


Path("toy.yaml").write_text(TASK)


def score(texts, **options):
    Path("toy.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    tasks = TaskManager(include_path=".", include_defaults=False)
    answer = lm_eval.simple_evaluate(
        model=Scorer(1.0), tasks=["toy"], task_manager=tasks, bootstrap_iters=0, log_samples=True, **options
    )
    sample = answer["samples"]["toy"][0]
    bits = answer["results"]["toy"]["bits_per_byte,none"]
    print(f"document {sample['doc']['text']!r}, scored {sample['arguments'][0][0]!r}, bits per byte {bits:.3f}")
    return bits, sample["doc"]["text"], sample["arguments"][0][0]


print("lm_eval", version("lm_eval"))
texts = ["hello world", "one two three"]
longer = [text + text for text in texts]
first = score(texts, cache_requests=True)
edited = score(longer, cache_requests=True)
refreshed = score(longer, cache_requests=True, rewrite_requests_cache=True)
assert math.isclose(first[0], 1.0) and first[1] == first[2]
assert math.isclose(edited[0], 0.5) and edited[1] == longer[0] and edited[2] == texts[0]
assert math.isclose(refreshed[0], 1.0) and refreshed[1] == refreshed[2] == longer[0]
PYTHON
