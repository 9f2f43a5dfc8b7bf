#!/usr/bin/env bash
# A plain PCM WAV of 24-bit samples in blocks of 4 bytes is read in three ways, none of which warns: libsndfile 1.2.2 takes
# samples of 3 bytes (8 samples become 10), libav (PyAV 16.0.1) takes the 4 bytes as a float of 24.0 scale, SciPy 1.16.3
# as an integer of 32 bits. 12 bits in 2 bytes and 20 in 3 are read alike by all three, at the upper end.
# Here: such blocks are refused with what is expected (kernels/src/whisper/audio/wav.rs); 12 and 20 bits are read.
. "$(dirname "$0")/common.bash"

pip_install numpy==2.3.5 soundfile==0.13.1 av==16.0.1 scipy==1.16.3
output=$("$python" -W ignore - <<'PY'
import io, struct
import av, numpy, scipy.io.wavfile, soundfile

def wav(bits, block, sample):
    data = sample * 8
    form = struct.pack("<HHIIHH", 1, 1, 16000, 16000 * block, block, bits)
    return (b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt \x10\0\0\0" + form
            + b"data" + struct.pack("<I", len(data)) + data)

for bits, block, sample in [(24, 4, b"\0\0\0\x40"), (12, 2, b"\0\x40"), (20, 3, b"\0\0\x40")]:
    file = wav(bits, block, sample)
    sound, _ = soundfile.read(io.BytesIO(file))
    container = av.open(io.BytesIO(file))
    frames = numpy.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], 1)
    codec = container.streams.audio[0].codec_context.name
    _, whole = scipy.io.wavfile.read(io.BytesIO(file))
    print(f"{bits} bits in {block} B: libsndfile {len(sound)} samples, first {sound[0]}; "
          f"libav {codec} {frames.shape[1]}; SciPy {whole.dtype} {len(whole)}, first {whole[0]}")
PY
)

expect "24 bits in 4 bytes are read in three ways" <<'SEEN'
24 bits in 4 B: libsndfile 10 samples, first 0.0; libav pcm_f24le 8; SciPy int32 8, first 1073741824
12 bits in 2 B: libsndfile 8 samples, first 0.5; libav pcm_s16le 8; SciPy int16 8, first 16384
20 bits in 3 B: libsndfile 8 samples, first 0.5; libav pcm_s24le 8; SciPy int32 8, first 1073741824
SEEN
