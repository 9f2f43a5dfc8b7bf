//! Headers that do not tell the truth, byte by byte.

use super::super::{Audio, AudioError, decode};
use super::*;

/// A WAV file of a format with the samples' bytes under an announced size.
fn wav(tag: u16, channels: u16, block: u16, bits: u16, announced: u32, data: &[u8]) -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WAVE".to_vec();
    file.extend(b"LIST\x03\0\0\0abc\0fmt \x10\0\0\0");
    for half in [tag, channels, 16_000, 0, (16_000 * u32::from(block)) as u16, 0, block, bits] {
        file.extend(half.to_le_bytes());
    }
    let rate = 16_000 * u32::from(block);
    let at = file.len() - 8;
    file[at..at + 4].copy_from_slice(&rate.to_le_bytes());
    file.extend(b"data");
    file.extend(announced.to_le_bytes());
    file.extend(data);
    file
}

fn audio(bytes: Vec<u8>) -> Result<Audio, AudioError> {
    let length = bytes.len() as u64;
    decode(Path::new("x.wav"), repair(Path::new("x.wav"), Cursor::new(bytes), length)?)
}

/// Four samples of 16 bits: 0.25, -0.5, 0.5, 0.
const FOUR: [u8; 8] = [0, 0x20, 0, 0xC0, 0, 0x40, 0, 0];

#[test]
fn streams_of_unknown_length_are_read_to_their_end() {
    for announced in [0, 0x7FFF_F000, 0x7FFF_FFFF - 36, 0x8000_0000, 0xFFFF_FFFF, 0xFFFF_FFFF - 36, 8] {
        let got = audio(wav(PCM, 1, 2, 16, announced, &FOUR)).unwrap();
        assert_eq!(got.samples, [0.25, -0.5, 0.5, 0.0], "{announced:#x}");
        assert_eq!(got.cut, None, "{announced:#x}");
        // A byte that is no whole sample is left.
        let odd = [&FOUR[..], &[7]].concat();
        assert_eq!(audio(wav(PCM, 1, 2, 16, announced, &odd)).unwrap().samples.len(), 4, "{announced:#x}");
    }
}

#[test]
fn an_empty_recording_before_other_chunks_is_empty() {
    let text = b"LIST\x04\0\0\0INFO";
    assert!(matches!(audio(wav(PCM, 1, 2, 16, 0, text)), Err(AudioError::Empty { .. })));
    assert!(matches!(audio(wav(PCM, 1, 2, 16, 0, &[])), Err(AudioError::Empty { .. })));
    assert!(matches!(audio(wav(PCM, 1, 2, 16, 0xFFFF_FFFF, &[])), Err(AudioError::Empty { .. })));
}

#[test]
fn a_recording_cut_short_says_by_how_much() {
    let got = audio(wav(PCM, 1, 2, 16, 1000, &FOUR)).unwrap();
    assert_eq!((got.samples.len(), got.cut), (4, Some(Cut { bytes: 8, announced: 1000 })));
}

#[test]
fn samples_that_do_not_fill_their_bytes_lie_at_the_upper_end() {
    // The same value in 12 bits of 2 bytes and 20 of 3; libsndfile, libav and SciPy agree.
    assert_eq!(audio(wav(PCM, 1, 2, 12, 4, &[0, 0x40, 0, 0xC0])).unwrap().samples, [0.5, -0.5]);
    assert_eq!(audio(wav(PCM, 1, 3, 20, 6, &[0, 0, 0x40, 0, 0, 0xC0])).unwrap().samples, [0.5, -0.5]);
}

#[test]
fn blocks_of_other_bytes_than_samples_need_are_refused() {
    for (tag, channels, block, bits) in [
        (PCM, 1, 4, 24),
        (PCM, 2, 8, 24),
        (PCM, 1, 4, 16),
        (PCM, 2, 2, 16),
        (PCM, 1, 3, 32),
        (PCM, 1, 2, 0),
        (PCM, 0, 2, 16),
        (PCM, 2, 3, 12),
        (FLOAT, 1, 8, 32),
    ] {
        let error = audio(wav(tag, channels, block, bits, 16, &[0; 16])).unwrap_err();
        let said = error.to_string();
        let found = format!("blocks of {block} B for {channels} channel(s) of {bits} bits");
        assert!(said.contains(&found) && said.contains("help: "), "{said}");
    }
}

#[test]
fn damaged_headers_are_no_panic() {
    let whole = wav(PCM, 1, 2, 16, 8, &FOUR);
    for at in 0..whole.len() {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut bytes = whole.clone();
            bytes[at] = value;
            drop(audio(bytes));
        }
        drop(audio(whole[..at].to_vec()));
    }
}
