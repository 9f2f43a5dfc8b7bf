//! One safetensors file.

use std::path::Path;

use safetensors::tensor::Metadata;

use super::{Index, Source, TensorInfo, WeightsError};

/// Largest header that is read. The header of the largest published Whisper is under 200 kB.
const HEADER_LIMIT_BYTES: u64 = 8 << 20;

/// Reads the header.
pub(super) fn index(path: &Path, source: &mut dyn Source, file_bytes: u64) -> Result<Index, WeightsError> {
    let read = |e| WeightsError::read(path, e);
    let mut length = [0; 8];
    if file_bytes >= 8 {
        source.read_exact(&mut length).map_err(read)?;
    }
    let header_bytes = u64::from_le_bytes(length);
    if file_bytes < 8 || header_bytes > HEADER_LIMIT_BYTES || header_bytes > file_bytes - 8 {
        let limit_bytes = HEADER_LIMIT_BYTES;
        return Err(WeightsError::HeaderSize { path: path.into(), header_bytes, file_bytes, limit_bytes });
    }
    let mut header = vec![0; header_bytes as usize];
    source.read_exact(&mut header).map_err(read)?;
    let header: Metadata = serde_json::from_slice(&header)
        .map_err(|source| WeightsError::Header { path: path.to_path_buf(), source })?;
    let (expected_bytes, got_bytes) = (header.data_len() as u64, file_bytes - 8 - header_bytes);
    if expected_bytes != got_bytes {
        return Err(WeightsError::DataSize { path: path.into(), expected_bytes, got_bytes });
    }
    // The header's own validation holds the offsets against shapes and types.
    let tensors = header.tensors().into_iter().map(|(name, info)| {
        let start = 8 + header_bytes + info.data_offsets.0 as u64;
        (name, TensorInfo::contiguous(info.shape.clone(), info.dtype.into(), start))
    });
    let metadata = header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    Ok(Index { tensors: tensors.collect(), metadata })
}
