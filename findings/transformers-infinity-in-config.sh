#!/usr/bin/env bash
# transformers writes infinity into config.json as an object that its own configuration classes refuse.
#
# Expected: a configuration that holds infinity, as Mamba 2's default `time_step_limit` does, is saved as `Infinity`,
# which Python's json reads and writes; or in another form that `from_dict` reads back.
# Seen: `save_pretrained` writes `{"__float__": "Infinity"}`. `from_pretrained` turns it back, but the dictionary that
# json reads from the same file is refused by `from_dict`, by the class and by `AutoConfig.for_model`, with a validation
# error that names neither infinity nor the form. `Infinity` as older checkpoints have it is read by `from_pretrained`.
# Version: transformers 5.24.0.
# Matters to: who reads config.json without `from_pretrained` (converters, other runtimes, tests), of Mamba 2, Bamba,
# Falcon H1, Granite hybrids and Nemotron H.
# Instead: replace the object by infinity before the dictionary is used.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("transformers==5.24.0")
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
import math
from pathlib import Path

import transformers
from transformers import AutoConfig, Mamba2Config

print("transformers", transformers.__version__)
Mamba2Config().save_pretrained("saved")
text = Path("saved/config.json").read_text()
content = json.loads(text)
print("saved:", content["time_step_limit"], "read by from_pretrained:", AutoConfig.from_pretrained("saved").time_step_limit)
assert content["time_step_limit"] == [0.0, {"__float__": "Infinity"}]
assert AutoConfig.from_pretrained("saved").time_step_limit[1] == math.inf

ways = {
    "from_dict": lambda: Mamba2Config.from_dict(dict(content)),
    "the class": lambda: Mamba2Config(**content),
    "for_model": lambda: AutoConfig.for_model(**content),
}
for name, read in ways.items():
    try:
        read()
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
        assert "time_step_limit" in str(error)
    else:
        raise SystemExit(f"{name} reads it")

plain = dict(content, time_step_limit=[0.0, math.inf])
assert Mamba2Config.from_dict(plain).time_step_limit[1] == math.inf
Path("saved/config.json").write_text(json.dumps(plain))
assert "Infinity" in Path("saved/config.json").read_text()
assert AutoConfig.from_pretrained("saved").time_step_limit[1] == math.inf
PYTHON
