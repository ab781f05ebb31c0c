#!/usr/bin/env bash
# `gguf.GGUFReader` takes some hundred times a file's size in memory, and seconds, for a vocabulary that nobody asked for.
#
# Expected: the reader maps the file and says so, so that opening a file of 5 MB takes milliseconds and next to no
# memory, and a vocabulary is read when it is asked for.
# Seen: opening makes two NumPy arrays and a list of parts for each token and each score: with a vocabulary of 262,144
# tokens (that of Gemma 3) some hundreds of MiB and seconds, before any tensor is looked at. Half as many take half.
# Version: gguf 0.19.0 with numpy 2.5.5, Python 3.12 or 3.13.
# Matters to: who looks at many GGUF files, for their sizes or architectures, on a small machine.
# Instead: read the header with a reader of one's own, which passes over arrays by their length.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
packages=("gguf==0.19.0" "numpy==2.5.5")
if uv --version >/dev/null 2>&1; then
  "${PYTHON:-python3}" -m venv --without-pip "$folder/venv"
  uv --directory "$folder" pip install --quiet --python "$folder/venv/bin/python" "${packages[@]}"
else
  "${PYTHON:-python3}" -m venv "$folder/venv"
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check "${packages[@]}"
fi

cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import os
import resource
import time

import gguf
import numpy as np

print("gguf", importlib.metadata.version("gguf"))


def written(tokens):
    name = f"{tokens}.gguf"
    writer = gguf.GGUFWriter(name, "llama")
    writer.add_token_list([f"token{number}" for number in range(tokens)])
    writer.add_token_scores([-float(number) for number in range(tokens)])
    writer.add_tensor("token_embd.weight", np.zeros((2, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return name


def opened(name):
    """Seconds of the processor and bytes of memory beyond what the process had, in a process of its own."""
    child = os.fork()
    if child == 0:
        before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
        gguf.GGUFReader(name)
        took = time.process_time() - begun
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        with open(name + ".txt", "w") as file:
            file.write(f"{took} {grown}")
        os._exit(0)
    os.waitpid(child, 0)
    with open(name + ".txt") as file:
        return [float(number) for number in file.read().split()]


names = {tokens: written(tokens) for tokens in (1024, 131072, 262144)}
seen = {tokens: (os.path.getsize(name), *opened(name)) for tokens, name in names.items()}
for tokens, (size, took, grown) in seen.items():
    print(f"{tokens} tokens, {size / 1e6:.1f} MB: opened in {took:.2f} s with {grown / 2**20:.0f} MiB more memory")
size, took, grown = seen[262144]
assert grown > 30 * size
assert took > 20 * seen[1024][1]
assert grown > 1.5 * seen[131072][2]
PYTHON
