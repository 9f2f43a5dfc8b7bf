#!/usr/bin/env bash
# An array of ml_dtypes.bfloat16 saved with numpy.save comes back as raw bytes of two (dtype V2), without a warning on
# either side: the header says '<V2'. Arithmetic on it then fails far from the file.
# Seen with numpy 2.3.5 and ml_dtypes 0.5.4.
# Here: features and goldens in .npy are f32, whatever the scheme (kiln encode --out).
. "$(dirname "$0")/common.bash"

pip_install numpy==2.3.5 ml_dtypes==0.5.4
output=$("$python" -W error - <<'PY'
import io, ml_dtypes, numpy
file = io.BytesIO()
numpy.save(file, numpy.array([1.5, -2.0], ml_dtypes.bfloat16))
file.seek(0)
back = numpy.load(file)
print("saved as", "<V2" if b"'descr': '<V2'" in file.getvalue()[:128] else "another type")
print("loaded as", back.dtype, "equal after a view:", back.view(ml_dtypes.bfloat16).tolist())
PY
)

expect "numpy.save forgets bfloat16 (numpy 2.3.5, ml_dtypes 0.5.4)" <<'SEEN'
saved as <V2
loaded as |V2 equal after a view: [1.5, -2.0]
SEEN
