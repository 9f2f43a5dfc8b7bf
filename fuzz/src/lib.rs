//! What the fuzz targets share.

use std::io::Cursor;
use std::path::Path;

use kiln_kernels::whisper::EncoderWeights;
use kiln_kernels::whisper::checkpoint::Checkpoint;

/// Opens `bytes` as a weight file and reads an encoder from it. Any result will do, but for a panic.
pub fn weights(bytes: Vec<u8>) {
    if let Ok(file) = Checkpoint::from_source(Path::new("fuzzed"), Box::new(Cursor::new(bytes))) {
        drop(EncoderWeights::from_checkpoint(file, None));
    }
}

/// `data` behind the bytes by which a format is known.
pub fn with_magic(magic: &[u8], data: &[u8]) -> Vec<u8> {
    [magic, data].concat()
}
