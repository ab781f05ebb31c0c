#!/usr/bin/env bash
# A Zamba 2 whose head is not its embedding shares no blocks between layers either.
#
# Expected: `tie_word_embeddings: false` gives the head a weight of its own; the transformer block that layers share
# (`num_mem_blocks`) stays one.
# Seen: without tied embeddings every layer has a block with weights of its own, which is saved apart, so
# that the model is larger than its kind.
# Version: transformers 5.24.0, torch 2.13.0. Needs PyTorch: some minutes, and gigabytes while it runs.
# Matters to: who reads such a checkpoint, makes small ones to test with, or counts parameters.
# Instead: leave `tie_word_embeddings` at true, as published models have it.
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
    "num_hidden_layers": 3,
    "layers_block_type": ["hybrid", "linear_attention", "hybrid"],
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "n_mamba_heads": 2,
    "mamba_d_state": 4,
    "num_mem_blocks": 1,
}
one = {}
for tied in (True, False):
    config = transformers.AutoConfig.for_model("zamba2", **small, tie_word_embeddings=tied)
    layers = transformers.AutoModelForCausalLM.from_config(config).model.layers
    first, last = (layers[number].shared_transformer.feed_forward.down_proj.weight for number in (0, 2))
    one[tied] = first.data_ptr() == last.data_ptr()
    print(f"tie_word_embeddings {tied}: two layers have {'one block' if one[tied] else 'a block each'}")
assert one == {True: True, False: False}
PYTHON
