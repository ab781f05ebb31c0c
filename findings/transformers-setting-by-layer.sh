#!/usr/bin/env bash
# Reading `head_dim` of a Gemma 4 configuration raises, and neither `hasattr` nor a default of `getattr` helps.
#
# Expected: a field of a configuration of transformers that config.json states can be read; where a model has none,
# `hasattr` says so and `getattr` with a default gives the default, which is how tools look at models of any kind.
# Seen: fields that may differ by layer raise an error on every access. It is no AttributeError, so that `hasattr` and
# `getattr` raise as well, for a model of which all layers have the value. `to_dict()` holds it.
# Version: transformers 5.24.0.
# Matters to: who estimates memory, counts parameters or chooses kernels by `getattr(config, "head_dim", None)`.
# Instead: look into `config.to_dict()`, and into `config.per_layer_config` for what differs by layer.
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
import transformers

print("transformers", transformers.__version__)
config = transformers.AutoConfig.for_model("gemma4_text")
ways = {
    "config.head_dim": lambda: config.head_dim,
    "hasattr": lambda: hasattr(config, "head_dim"),
    "getattr with a default": lambda: getattr(config, "head_dim", None),
}
for name, way in ways.items():
    try:
        way()
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {str(error)[:70]}...")
        assert type(error).__name__ == "AmbiguousGlobalPerLayerAttributeError"
        assert not isinstance(error, AttributeError)
    else:
        raise AssertionError(f"{name} does not raise")
print("to_dict:", config.to_dict()["head_dim"])
assert config.to_dict()["head_dim"] == 256

# A model of the family before it is read as ever.
assert transformers.AutoConfig.for_model("gemma3_text").head_dim == 256
PYTHON
