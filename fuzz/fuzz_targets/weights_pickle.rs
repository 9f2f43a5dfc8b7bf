#![no_main]
//! Pickles in a sound PyTorch archive, whose checksums would stop most damage before it reaches them.

use std::io::{Cursor, Write};

use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fuzz_target!(|data: &[u8]| {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, bytes) in [("x/data.pkl", data), ("x/data/0", &[0; 64])] {
        archive.start_file(name, stored).expect("in memory");
        archive.write_all(bytes).expect("in memory");
    }
    kiln_fuzz::weights(archive.finish().expect("in memory").into_inner());
});
