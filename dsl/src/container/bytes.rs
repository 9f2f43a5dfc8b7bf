//! Little-endian numbers in bytes, with every access checked.

/// Bytes that are read at any place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// `len` bytes from `at`, when they are there.
    pub fn slice(self, at: u64, len: u64) -> Option<&'a [u8]> {
        let end = at.checked_add(len)?;
        self.0.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
    }

    /// `N` bytes from `at`.
    pub fn array<const N: usize>(self, at: u64) -> Option<[u8; N]> {
        self.slice(at, N as u64)?.try_into().ok()
    }

    pub fn u8(self, at: u64) -> Option<u8> {
        self.array(at).map(|[byte]: [u8; 1]| byte)
    }

    pub fn u16(self, at: u64) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub fn u32(self, at: u64) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub fn u64(self, at: u64) -> Option<u64> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// A text that a zero byte ends, or `most` bytes, or the end of the bytes.
    pub fn text(self, at: u64, most: usize) -> Option<&'a [u8]> {
        let rest = self.0.get(usize::try_from(at).ok()?..)?;
        rest[..rest.len().min(most)].split(|&b| b == 0).next()
    }

    /// All its whole words.
    pub fn words(self) -> Vec<u32> {
        let word = |c: &[u8]| c.try_into().map_or(0, u32::from_le_bytes);
        self.0.chunks_exact(4).map(word).collect()
    }
}

/// Text of bytes that a zero ends, as people read it.
pub(super) fn shown(bytes: &[u8]) -> String {
    let text = bytes.split(|&b| b == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

/// The bytes of words, each with its lowest byte first.
pub(super) fn of_words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

/// Zeros up to a multiple of `to` bytes.
pub(super) fn pad(out: &mut Vec<u8>, to: usize) {
    out.resize(out.len().next_multiple_of(to), 0);
}
