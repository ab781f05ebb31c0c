#!/usr/bin/env bash
# JetMoE's `rms_norm_eps` reaches the last normalisation alone: every layer's has 1e-6 whatever is stated.
#
# Expected: `rms_norm_eps` in config.json is the epsilon of all root-mean-square normalisations, as in the other models
# that have the field.
# Seen: the layers make their normalisations without it, so that they have the class's own 1e-6; only the one before the
# head has the stated number.
# Version: transformers 5.24.0, torch 2.13.0. Needs PyTorch: some minutes, and gigabytes while it runs.
# Matters to: who writes another decoder for JetMoE, or converts one: by config.json alone it is off by little, at every
# layer.
# Instead: 1e-6 in the layers, and `rms_norm_eps` in the last one.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("transformers==5.24.0" "torch==2.13.0")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
export TRANSFORMERS_VERBOSITY=error HF_HUB_DISABLE_PROGRESS_BARS=1
venv/bin/python - <<'PYTHON'
import torch
import transformers

print("transformers", transformers.__version__, "torch", torch.__version__)
small = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 32,
    "rms_norm_eps": 0.5,
}
parts = {"jetmoe": {"kv_channels": 8, "num_local_experts": 2, "num_experts_per_tok": 1}, "mixtral": {"num_local_experts": 2}}
found = {}
for kind, more in parts.items():
    config = transformers.AutoConfig.for_model(kind, **small, **more)
    model = transformers.AutoModelForCausalLM.from_config(config)
    norms = {name: part for name, part in model.named_modules() if hasattr(part, "variance_epsilon")}
    found[kind] = {name: norm.variance_epsilon for name, norm in norms.items()}
    print(kind, "states 0.5 and has", found[kind])
assert found["jetmoe"].pop("model.norm") == 0.5
assert set(found["jetmoe"].values()) == {1e-6}
assert len(found["jetmoe"]) == 4
assert set(found["mixtral"].values()) == {0.5}
PYTHON
