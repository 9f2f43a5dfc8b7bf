#!/usr/bin/env bash
# safetensors.numpy writes an array of ml_dtypes.bfloat16 as BF16, rightly, and cannot read its own file: load raises
# KeyError: 'BF16'. The file is good; Rust and PyTorch read it.
# Seen with safetensors 0.7.0, numpy 2.3.5, ml_dtypes 0.5.4.
# Here: bf16 tensors of a saved encoder are read by their type in the header (kernels/src/whisper/checkpoint).
. "$(dirname "$0")/common.bash"

pip_install numpy==2.3.5 ml_dtypes==0.5.4 safetensors==0.7.0
output=$("$python" - <<'PY'
import json, ml_dtypes, numpy
from safetensors.numpy import load, save
data = save({"w": numpy.array([1.5], ml_dtypes.bfloat16)})
header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
print("written as", header["w"]["dtype"])
try:
    print("read as", load(data)["w"].dtype)
except KeyError as error:
    print("reading: KeyError", error)
PY
)

expect "safetensors.numpy 0.7.0 writes bf16 and does not read it" <<'SEEN'
written as BF16
reading: KeyError 'BF16'
SEEN
