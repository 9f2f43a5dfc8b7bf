//! WAV headers as programs write them: of streams whose length was not known, of files cut short, of samples that do
//! not fill their bytes. What can be made plain is, before the decoder sees it; what is ambiguous is refused.

use std::fs::File;
use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use symphonia::core::io::{MediaSource, MediaSourceStream};

use super::AudioError;

/// Bytes of the longest recording that is read from a pipe.
const LONGEST_PIPE_BYTES: u64 = 1 << 30;

/// Bytes before the samples that are looked through; real headers have some hundred.
const LONGEST_HEADER_BYTES: u64 = 1 << 20;

/// Sizes from here on stand for an unknown length: 0x7FFFFFFF less a header (sox), 0x7FFFF000 (espeak-ng),
/// 0x7FFF0000 (GStreamer), 0xFFFFFFFF (libav).
const UNKNOWN_BYTES: u32 = 0x7FFF_0000;

/// Format tags: integers, floats, and "what the GUID says".
const PCM: u16 = 1;
const FLOAT: u16 = 3;
const EXTENSIBLE: u16 = 0xFFFE;

/// A recording that ends before its header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Bytes of samples that are there.
    pub bytes: u64,
    /// Bytes that the header announces.
    pub announced: u64,
}

/// A source for the decoder, and what is missing of it.
pub(super) type Source = (MediaSourceStream<'static>, Option<Cut>);

/// What can be read twice.
pub(super) trait Seekable: Read + Seek + Send + Sync {}
impl<T: Read + Seek + Send + Sync> Seekable for T {}

/// The recording in `file`, with a header that tells the truth if it is WAV.
pub(super) fn open(path: &Path, mut file: File) -> Result<Source, AudioError> {
    let failed = |source| AudioError::Open { path: path.to_path_buf(), source };
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_file() {
        return repair(path, file, metadata.len());
    }
    // Pipes and terminals cannot be read twice.
    let mut bytes = Vec::new();
    file.by_ref().take(LONGEST_PIPE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LONGEST_PIPE_BYTES {
        return Err(AudioError::Pipe { path: path.to_path_buf(), limit_bytes: LONGEST_PIPE_BYTES });
    }
    let length = bytes.len() as u64;
    repair(path, Cursor::new(bytes), length)
}

/// [`open`] of a source of `length` bytes.
pub(super) fn repair(
    path: &Path,
    mut source: impl Seekable + 'static,
    length: u64,
) -> Result<Source, AudioError> {
    let failed = |source| AudioError::Open { path: path.to_path_buf(), source };
    let header = Header::read(&mut source, length).map_err(failed)?;
    let plain = match &header {
        Some(header) => header.plain(path)?,
        None => None,
    };
    let Some((head, data)) = plain else {
        source.seek(SeekFrom::Start(0)).map_err(failed)?;
        let whole = Part { source: Box::new(source), head: Cursor::new(Vec::new()), left: length };
        return Ok((whole.stream(), None));
    };
    source.seek(SeekFrom::Start(data.start)).map_err(failed)?;
    let part = Part { source: Box::new(source), head: Cursor::new(head), left: data.bytes };
    Ok((part.stream(), data.cut))
}

/// Where the samples are.
struct Data {
    start: u64,
    bytes: u64,
    cut: Option<Cut>,
}

/// A header made anew, and then what is left of a source; read once from the front.
struct Part {
    head: Cursor<Vec<u8>>,
    source: Box<dyn Seekable>,
    left: u64,
}

impl Part {
    fn stream(self) -> MediaSourceStream<'static> {
        MediaSourceStream::new(Box::new(self), Default::default())
    }
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let from_head = self.head.read(buffer)?;
        if from_head > 0 {
            return Ok(from_head);
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let read = self.source.read(&mut buffer[..most])?;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Seek for Part {
    fn seek(&mut self, _: SeekFrom) -> std::io::Result<u64> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

impl MediaSource for Part {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}

/// What stands before the samples of a WAV file.
struct Header {
    /// The `fmt ` chunk's content.
    format: Vec<u8>,
    /// First byte of the samples, their size as announced, and the file's end.
    start: u64,
    announced: u32,
    end: u64,
    /// Bytes of the file by its first words.
    riff_end: u64,
    /// Whether what follows an announced size of 0 is further chunks, to the end.
    chunks_follow: bool,
}

impl Header {
    /// The header, if the source is WAV with a format before its samples.
    fn read(source: &mut (impl Read + Seek), length: u64) -> std::io::Result<Option<Header>> {
        let mut riff = [0; 12];
        if length < 12 {
            return Ok(None);
        }
        source.read_exact(&mut riff)?;
        if &riff[..4] != b"RIFF" || &riff[8..] != b"WAVE" {
            return Ok(None);
        }
        let riff_end = 8 + u64::from(u32::from_le_bytes([riff[4], riff[5], riff[6], riff[7]]));
        let (mut at, mut format) = (12, Vec::new());
        while at + 8 <= length && at <= LONGEST_HEADER_BYTES {
            let (id, size) = chunk(source, at)?;
            let start = at + 8;
            if &id == b"data" {
                if format.is_empty() {
                    return Ok(None);
                }
                let chunks_follow = size == 0 && chunks_to_the_end(source, start, length)?;
                let (announced, end) = (size, length);
                return Ok(Some(Header { format, start, announced, end, riff_end, chunks_follow }));
            }
            if &id == b"fmt " {
                if !(16..=64).contains(&size) || start + u64::from(size) > length {
                    return Ok(None);
                }
                format = vec![0; size as usize];
                source.read_exact(&mut format)?;
            }
            at = start + u64::from(size) + u64::from(size % 2);
        }
        Ok(None)
    }

    fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.format[at], self.format[at + 1]])
    }

    /// A header that says what is there, and where the samples are; nothing where the file's own does.
    fn plain(&self, path: &Path) -> Result<Option<(Vec<u8>, Data)>, AudioError> {
        let bits = self.bits(path)?;
        let block = u64::from(self.u16(12)).max(1);
        let there = self.end - self.start;
        let announced = u64::from(self.announced);
        let unknown = self.announced >= UNKNOWN_BYTES || (self.announced == 0 && !self.chunks_follow);
        let (bytes, cut) = match () {
            () if announced <= there && !(self.announced == 0 && unknown) => (announced, None),
            () if unknown => (there - there % block, None),
            () => (there - there % block, Some(Cut { bytes: there, announced })),
        };
        // The decoder takes 0 for an unknown length, and what follows for samples.
        if bits.is_none() && bytes == announced && bytes > 0 && self.riff_end >= self.start + bytes {
            return Ok(None);
        }
        // More than four gigabytes is longer than what is read, and told as that by the decoded length.
        let size = u32::try_from(bytes).unwrap_or(u32::MAX - 1);
        let mut format = self.format.clone();
        if let Some(bits) = bits {
            format[14..16].copy_from_slice(&bits.to_le_bytes());
        }
        let format_bytes = format.len() as u32;
        let mut head = b"RIFF".to_vec();
        head.extend(size.saturating_add(20 + format_bytes).to_le_bytes());
        head.extend(b"WAVEfmt ");
        head.extend(format_bytes.to_le_bytes());
        head.extend(&format);
        head.resize(head.len() + format.len() % 2, 0);
        head.extend(b"data");
        head.extend(size.to_le_bytes());
        Ok(Some((head, Data { start: self.start, bytes, cut })))
    }

    /// Bits of a sample as the decoder should take them, where the header's would be misread: samples that do not fill
    /// their bytes lie at the upper end of them.
    ///
    /// A block of other bytes than its samples need is refused: of 24 bits in 4 bytes, libsndfile 1.2.2 reads samples of
    /// 3 bytes, libav 4-byte floats and SciPy 1.16 integers of 32 bits.
    fn bits(&self, path: &Path) -> Result<Option<u16>, AudioError> {
        let (channels, block, bits) = (self.u16(2), self.u16(12), self.u16(14));
        let tag = match self.u16(0) {
            EXTENSIBLE if self.format.len() >= 26 => self.u16(24),
            tag => tag,
        };
        if !matches!(tag, PCM | FLOAT) {
            return Ok(None);
        }
        let bytes = bits.div_ceil(8);
        if channels == 0 || bits == 0 || u32::from(block) != u32::from(channels) * u32::from(bytes) {
            return Err(AudioError::Block { path: path.to_path_buf(), block, channels, bits });
        }
        Ok((tag == PCM && bits % 8 != 0).then_some(bytes * 8))
    }
}

/// Name and size of the chunk at a position.
fn chunk(source: &mut (impl Read + Seek), at: u64) -> std::io::Result<([u8; 4], u32)> {
    let mut head = [0; 8];
    source.seek(SeekFrom::Start(at))?;
    source.read_exact(&mut head)?;
    let [a, b, c, d, size @ ..] = head;
    Ok(([a, b, c, d], u32::from_le_bytes(size)))
}

/// Whether chunks with printable names fill the source from `at` to its end.
fn chunks_to_the_end(source: &mut (impl Read + Seek), mut at: u64, end: u64) -> std::io::Result<bool> {
    for _ in 0..64 {
        if at >= end {
            return Ok(true);
        }
        if at + 8 > end {
            return Ok(false);
        }
        let (id, size) = chunk(source, at)?;
        if !id.iter().all(|c| (0x20..0x7F).contains(c)) {
            return Ok(false);
        }
        at += 8 + u64::from(size) + u64::from(size % 2);
    }
    Ok(false)
}

#[cfg(test)]
mod tests;
