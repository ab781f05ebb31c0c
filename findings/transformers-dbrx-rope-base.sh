#!/usr/bin/env bash
# transformers 5 turns a DBRX by the base 10,000 whatever base its checkpoint states.
#
# Expected: `attn_config.rope_theta`, where DBRX's config.json states the base of its rotary positions (its published
# checkpoints say 500,000), is the base that the model computes with.
# Seen: the configuration keeps the stated number in `attn_config` and gives `rope_parameters` the base 10,000, without a
# word; the model's source takes its base from `rope_parameters` alone. A base in `rope_parameters` itself is heeded.
# Version: transformers 5.24.0 (configuration and source; neither needs PyTorch).
# Matters to: who scores a DBRX, or compares a decoder of their own with this one.
# Instead: give `rope_parameters` the base that `attn_config` states.
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
export TRANSFORMERS_VERBOSITY=error
venv/bin/python - <<'PYTHON'
from pathlib import Path

import transformers

print("transformers", transformers.__version__)
stated = {"model_type": "dbrx", "attn_config": {"rope_theta": 500000, "kv_n_heads": 8, "clip_qkv": 8}}
config = transformers.DbrxConfig.from_dict(stated)
print("stated base:", config.attn_config.rope_theta, "rope_parameters:", config.rope_parameters)
assert config.attn_config.rope_theta == 500000
assert config.rope_parameters["rope_theta"] == 10000.0

source = Path(transformers.__file__).parent / "models/dbrx/modeling_dbrx.py"
bases = [line.strip() for line in source.read_text().splitlines() if "base =" in line]
print("the model's base:", bases)
assert bases
assert all(line == 'base = config.rope_parameters["rope_theta"]' for line in bases)

heeded = transformers.DbrxConfig(rope_parameters={"rope_type": "default", "rope_theta": 500000.0})
assert heeded.rope_parameters["rope_theta"] == 500000.0
PYTHON
