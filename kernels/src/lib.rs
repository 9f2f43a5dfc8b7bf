//! Kiln's kernels, designs and the Whisper encoder
