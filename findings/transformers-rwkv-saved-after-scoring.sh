#!/usr/bin/env bash
# An RWKV that is saved after it has scored a text is another model when it is read back.
#
# Expected: scoring a text in evaluation mode changes no weight, so that it makes no difference whether a checkpoint is
# written before or after.
# Seen: the first forward pass in evaluation mode divides weights of the later layers by powers of two, in place, to keep
# half precision from overflowing. `save_pretrained` writes the divided weights with the same config.json, and what reads
# them divides once more. Nothing is said. Layers before `rescale_every` (6 by default) are untouched, so that models of
# up to six layers do not show it.
# Version: transformers 5.24.0, torch 2.13.0. Needs PyTorch: some minutes, and gigabytes while it runs.
# Matters to: who converts, edits, merges or adapts a checkpoint in a process that has run it, or hashes its weights.
# Instead: save before the first text, or read a fresh copy to save; `model.train()` does not put the weights back by
# itself.
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
import tempfile

import torch
import transformers

print("transformers", transformers.__version__, "torch", torch.__version__)
torch.manual_seed(0)
config = transformers.RwkvConfig(
    vocab_size=50, context_length=64, hidden_size=16, attention_hidden_size=16, intermediate_size=32, num_hidden_layers=8
)
model = transformers.RwkvForCausalLM(config).eval()
text = torch.tensor([[1, 2, 3, 4, 5]])


def scored(model):
    with torch.no_grad():
        return model(text).logits


def saved_and_read(model):
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return transformers.RwkvForCausalLM.from_pretrained(folder).eval()


before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
unused = saved_and_read(model)
first = scored(model)
ratios = {name: (before[name] / tensor).unique() for name, tensor in model.state_dict().items()}
changed = {name: ratio.item() for name, ratio in ratios.items() if len(ratio) == 1 and ratio.item() != 1}
print("rescale_every:", config.rescale_every)
print("weights divided by one forward pass:", changed)
assert config.rescale_every == 6
assert changed == {
    f"rwkv.blocks.{layer}.{part}.weight": 2.0 for layer in (6, 7) for part in ("attention.output", "feed_forward.value")
}
model.train()
assert all((before[name] / model.state_dict()[name]).unique().item() == 2 for name in changed)
model.eval()

torch.testing.assert_close(scored(unused), first)
torch.testing.assert_close(scored(model), first)
difference = (scored(saved_and_read(model)) - first).abs().max()
print("largest difference of logits, saved before the first text: 0")
print(f"largest difference of logits, saved after it: {difference:.2f}, of logits up to {first.abs().max():.2f}")
assert difference > 0.01
PYTHON
