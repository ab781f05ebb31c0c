#!/usr/bin/env bash
# lm-evaluation-harness answers for a second model from the cache of the first.
#
# Expected: the cache of responses (`--use_cache`, `use_cache=`) is kept per model, like most caches of scores.
# Seen: an entry's key is the kind of request and its text. A model that spends three bits per byte is reported with the
# one bit per byte of the model before it, and never called, if both runs name the same cache; also from the command
# line with other `--model_args`. The log only says that requests were taken from the cache.
# Version: lm_eval 0.4.13.
# Matters to: who scores many checkpoints in a loop: columns of the loss table come out equal, or a revision seems to
# change nothing.
# Instead: put the model and its revision into the name of the cache.
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
Path("toy.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in ("hello world", "one two three")))
tasks = TaskManager(include_path=".", include_defaults=False)
print("lm_eval", version("lm_eval"))
seen = {}
for name, bits, cache in (("first", 1.0, "cache"), ("second", 3.0, "cache"), ("second, own cache", 3.0, "other")):
    model = Scorer(bits)
    answer = lm_eval.simple_evaluate(model=model, tasks=["toy"], task_manager=tasks, use_cache=cache, bootstrap_iters=0)
    seen[name] = (answer["results"]["toy"]["bits_per_byte,none"], model.calls)
    print(f"{name}: spends {bits} bits per byte, reported {seen[name][0]:.3f}, asked {model.calls} times")
assert math.isclose(seen["first"][0], 1.0) and seen["first"][1] == 2
assert math.isclose(seen["second"][0], 1.0) and seen["second"][1] == 0
assert math.isclose(seen["second, own cache"][0], 3.0)
PYTHON
