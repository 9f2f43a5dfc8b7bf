//! PDIs (programmable device images): what the NPU's firmware loads; here one partition with a CDO.
//!
//! The words are those of every Phoenix xclbin of AMDResearch/Riallto 0593d004 and of Debian's bootgen 2022.2: an image
//! table, one image header, one partition header, each with a checksum, and the CDO.

use super::bytes::{Bytes, of_words, pad};
use super::cdo::checksum;
use thiserror::Error;

/// Bytes before the image table: a bus width pattern.
const PATTERN: [u32; 4] = [0x0000_00DD, 0x1122_3344, 0x5566_7788, 0x99AA_BBCC];
/// Where the image table is, and the words of it.
const TABLE: (u64, usize) = (0x10, 32);
/// Words of an image header.
const IMAGE_WORDS: usize = 16;
/// Words of a partition header.
const PARTITION_WORDS: usize = 32;
/// Version of the image table.
const VERSION: u32 = 0x0004_0000;
/// Images, and partitions, of a file that is read: far beyond one.
const MOST: u32 = 32;
/// The file's contents lie at multiples of this.
const ALIGN_BYTES: usize = 16;

/// Places of what the image table says, in words.
mod table {
    pub const VERSION: usize = 0;
    pub const IMAGES: usize = 1;
    pub const IMAGE_AT: usize = 2;
    pub const PARTITIONS: usize = 3;
    pub const PARTITION_AT: usize = 4;
}

/// Places of what a partition header says, in words.
mod partition {
    /// Words without the padding.
    pub const USED: usize = 1;
    /// Words with it.
    pub const TOTAL: usize = 2;
    /// Where the data begins, in words of the file.
    pub const DATA_AT: usize = 8;
}

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pdi {
    /// Names of its images.
    pub images: Vec<String>,
    /// The CDO of each partition.
    pub cdos: Vec<Vec<u8>>,
}

/// Why bytes are no PDI. Offsets are in bytes.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PdiError {
    /// Another beginning.
    #[error(
        "PDI: it does not begin with the pattern dd000000 44332211 88776655 ccbbaa99\n  help: this is no PDI of an NPU"
    )]
    Pattern,
    /// A part lies outside.
    #[error(
        "PDI: {what} at {at:#x}, {bytes} B, lies outside the file's {size} B\n  help: the file is cut off or damaged"
    )]
    Outside {
        /// Which part.
        what: &'static str,
        /// Where it would begin.
        at: u64,
        /// Its size.
        bytes: u64,
        /// Size of the file.
        size: usize,
    },
    /// A table whose sum is wrong.
    #[error(
        "PDI: the checksum of {what} is {got:#010x}, expected {expected:#010x}\n  help: the file is damaged"
    )]
    Checksum {
        /// Which table.
        what: &'static str,
        /// What it says.
        got: u32,
        /// What its words give.
        expected: u32,
    },
    /// Another version.
    #[error("PDI: version {got:#x}, expected {VERSION:#x}\n  help: this may be an image of another device")]
    Version {
        /// What it says.
        got: u32,
    },
    /// More images or partitions than are read.
    #[error("PDI: {got} {what}, expected at most {MOST}\n  help: the file is damaged")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        got: u32,
    },
    /// Two partitions of the same bytes.
    #[error("PDI: partitions {first} and {second} overlap\n  help: the file is damaged")]
    Overlap {
        /// One.
        first: usize,
        /// The other.
        second: usize,
    },
    /// More words in use than the partition has.
    #[error("PDI: partition {partition} uses {used} of {total} words\n  help: the file is damaged")]
    Used {
        /// Which.
        partition: usize,
        /// Words in use.
        used: u32,
        /// All its words.
        total: u32,
    },
}

fn words<const N: usize>(bytes: &[u8], what: &'static str, at: u64) -> Result<[u32; N], PdiError> {
    let outside = PdiError::Outside { what, at, bytes: 4 * N as u64, size: bytes.len() };
    let words = Bytes(bytes).slice(at, 4 * N as u64).map(|b| Bytes(b).words());
    let words: [u32; N] = words.and_then(|w| w.try_into().ok()).ok_or(outside)?;
    let (expected, got) = (checksum(&words[..N - 1]), words[N - 1]);
    if got == expected { Ok(words) } else { Err(PdiError::Checksum { what, got, expected }) }
}

impl Pdi {
    /// Reads a file: all its tables are checked, the CDOs are not.
    ///
    /// # Errors
    /// See [`PdiError`].
    pub fn read(bytes: &[u8]) -> Result<Pdi, PdiError> {
        if !bytes.starts_with(&of_words(&PATTERN)) {
            return Err(PdiError::Pattern);
        }
        let head: [u32; TABLE.1] = words(bytes, "the image table", TABLE.0)?;
        if head[table::VERSION] != VERSION {
            return Err(PdiError::Version { got: head[table::VERSION] });
        }
        for (what, at) in [("images", table::IMAGES), ("partitions", table::PARTITIONS)] {
            if head[at] > MOST {
                return Err(PdiError::TooMany { what, got: head[at] });
            }
        }
        let nth = |first: u32, n: u32, words: usize| 4 * u64::from(first) + 4 * u64::from(n) * words as u64;
        let mut images = Vec::new();
        for n in 0..head[table::IMAGES] {
            let at = nth(head[table::IMAGE_AT], n, IMAGE_WORDS);
            let image: [u32; IMAGE_WORDS] = words(bytes, "an image header", at)?;
            images.push(super::bytes::shown(&of_words(&image[4..8])));
        }
        let mut cdos: Vec<Vec<u8>> = Vec::new();
        let mut taken: Vec<(u64, u64)> = Vec::new();
        for n in 0..head[table::PARTITIONS] {
            let at = nth(head[table::PARTITION_AT], n, PARTITION_WORDS);
            let header: [u32; PARTITION_WORDS] = words(bytes, "a partition header", at)?;
            let (used, total) = (header[partition::USED], header[partition::TOTAL]);
            if used > total {
                return Err(PdiError::Used { partition: n as usize, used, total });
            }
            let (at, size) = (4 * u64::from(header[partition::DATA_AT]), 4 * u64::from(total));
            let outside = PdiError::Outside { what: "a partition", at, bytes: size, size: bytes.len() };
            let data = Bytes(bytes).slice(at, size).ok_or(outside)?;
            let meets = |&(start, end): &(u64, u64)| at < end && start < at + size;
            if let Some(first) = taken.iter().position(meets) {
                return Err(PdiError::Overlap { first, second: n as usize });
            }
            taken.push((at, at + size));
            cdos.push(data[..4 * used as usize].to_vec());
        }
        Ok(Pdi { images, cdos })
    }

    /// A file with one partition that holds a CDO, whose size must be a multiple of 4.
    pub fn write(cdo: &[u8]) -> Vec<u8> {
        let used = cdo.len().div_ceil(4) as u32;
        let total = used.next_multiple_of(4);
        let sealed = |words: &mut [u32]| {
            if let Some((last, rest)) = words.split_last_mut() {
                *last = checksum(rest);
            }
        };
        let mut head = [0u32; TABLE.1];
        head[..7].copy_from_slice(&[VERSION, 1, 0x24, 1, 0x34, 0, 0x14CA_8093]);
        head[10..13].copy_from_slice(&[0x5050_4449, 0x0020_1020, 0x30]);
        head[17] = 1;
        let mut image = [0u32; IMAGE_WORDS];
        image[..2].copy_from_slice(&[0x34, 1]);
        for (word, text) in image[4..8].iter_mut().zip(b"aie_image\0\0\0\0\0\0\0".chunks_exact(4)) {
            *word = Bytes(text).u32(0).unwrap_or(0);
        }
        image[8] = 0x1C00_0000;
        let mut part = [0u32; PARTITION_WORDS];
        part[..3].copy_from_slice(&[total, used, total]);
        part[6..11].copy_from_slice(&[u32::MAX, u32::MAX, 0x54, 0x0200_0006, 1]);
        [&mut head[..], &mut image[..], &mut part[..]].into_iter().for_each(sealed);
        let mut out = of_words(&[&PATTERN[..], &head, &image, &part].concat());
        out.extend(cdo);
        pad(&mut out, ALIGN_BYTES);
        out
    }
}

#[cfg(test)]
mod tests;
