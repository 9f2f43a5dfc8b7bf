#!/usr/bin/env bash
# ml_dtypes.int4 takes a whole byte an element, and of a negative one the upper half is 0, so its bytes are neither
# packed nor valid int8. A conversion from float does not saturate: 9.0 becomes -7 and 300 becomes -4, where an NPU's
# (and Kiln's) conversion gives 7.
# Seen with ml_dtypes 0.5.4 and numpy 2.3.5.
# Here: Kiln reads no int4 arrays; who makes test data for four-bit kernels has to clip and pack by hand.
. "$(dirname "$0")/common.bash"

pip_install numpy==2.3.5 ml_dtypes==0.5.4
output=$("$python" - <<'PY'
import ml_dtypes, numpy
values = numpy.array([1, -2, 7, -8], ml_dtypes.int4)
print("bytes an element", values.itemsize, "bytes", values.tobytes().hex())
print("9.0 ->", numpy.float32(9).astype(ml_dtypes.int4), "300 ->", numpy.float32(300).astype(ml_dtypes.int4))
PY
)

expect "ml_dtypes 0.5.4 stores int4 a byte each and wraps" <<'SEEN'
bytes an element 1 bytes 010e0708
9.0 -> -7 300 -> -4
SEEN
