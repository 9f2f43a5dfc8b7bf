#!/usr/bin/env bash
# Whisper's log-mel is cut off 8 below its largest value, and the largest is taken over all the audio that is given: 30
# quiet seconds after 30 loud ones have another spectrogram than the same seconds alone. faster-whisper also gives a
# frame more than OpenAI's 100 a second.
# Seen with faster-whisper 1.2.1 (its FeatureExtractor), numpy 2.3.5, a tone at 0.9 and then at 0.0005 with little noise.
# Here: `kiln encode` takes each window of 30 s alone, so features of later windows differ from those libraries'.
. "$(dirname "$0")/common.bash"

pip_install faster-whisper==1.2.1 numpy==2.3.5
output=$("$python" - <<'PY'
import numpy
from faster_whisper.feature_extractor import FeatureExtractor
rate = 16000
tone = numpy.sin(2 * numpy.pi * 440 * numpy.arange(30 * rate) / rate)
noise = numpy.random.default_rng(0).standard_normal(60 * rate)
audio = (numpy.concatenate([0.9 * tone, 0.0005 * tone]) + 1e-5 * noise).astype(numpy.float32)
mel = FeatureExtractor()
whole, alone = mel(audio), mel(audio[30 * rate :])
print("frames of 60 s", whole.shape[1], "of 30 s", alone.shape[1])
print(f"least of the second half: {whole[:, 3100:5900].min():.2f} in the recording, {alone[:, 100:2900].min():.2f} alone")
PY
)

expect "Whisper's log-mel of a window depends on the whole recording (faster-whisper 1.2.1)" <<'SEEN'
frames of 60 s 6001 of 30 s 3001
least of the second half: -0.43 in the recording, -1.50 alone
SEEN
