//! Where bytes live and in which order a descriptor visits them.

use crate::executor::TileMemories;
use kiln_dsl::array::Dim;

/// Content of data memory that nothing has written: the same in every run, and unlikely to pass
/// for a result.
pub const UNINITIALISED: u8 = 0xA5;

/// Dimensions a walk can have beyond its contiguous runs.
pub const MAX_DIMS: usize = 4;

/// The order in which a descriptor visits memory: contiguous runs under a nest of strides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// Byte address of the first byte.
    base: usize,
    /// Bytes of one contiguous run.
    run: usize,
    /// Steps and byte strides over runs, outermost first; the first `depth` count.
    dims: [(usize, usize); MAX_DIMS],
    depth: usize,
}

impl Walk {
    /// A contiguous block.
    pub fn linear(base: usize, bytes: usize) -> Walk {
        Walk { base, run: bytes, dims: [(0, 0); MAX_DIMS], depth: 0 }
    }

    /// `dims` over elements of `element_bytes`, outermost first; dimensions that continue each
    /// other are merged. `None` when more than [`MAX_DIMS`] remain.
    pub fn new(base: usize, dims: &[Dim], element_bytes: usize) -> Option<Walk> {
        Walk::strided(base, dims.iter().map(|d| (d.size as usize, d.stride as usize)), element_bytes)
    }

    /// As [`Walk::new`], from sizes and strides in elements.
    pub fn strided(
        base: usize,
        dims: impl DoubleEndedIterator<Item = (usize, usize)>,
        element_bytes: usize,
    ) -> Option<Walk> {
        let mut walk = Walk::linear(base, element_bytes);
        // Collected innermost first, then turned round.
        for (size, stride) in dims.rev().filter(|d| d.0 != 1) {
            let stride = stride * element_bytes;
            if walk.depth == 0 && stride == walk.run {
                walk.run *= size;
                continue;
            }
            if let Some(last) = walk.depth.checked_sub(1).map(|d| &mut walk.dims[d])
                && stride == last.0 * last.1
            {
                last.0 *= size;
                continue;
            }
            *walk.dims.get_mut(walk.depth)? = (size, stride);
            walk.depth += 1;
        }
        walk.dims[..walk.depth].reverse();
        Some(walk)
    }

    /// The same walk, `bytes` further.
    pub fn moved(mut self, bytes: usize) -> Walk {
        self.base += bytes;
        self
    }

    /// Bytes visited.
    pub fn bytes(&self) -> usize {
        self.dims[..self.depth].iter().map(|d| d.0).product::<usize>() * self.run
    }

    /// One past the greatest address visited; the base when nothing is.
    pub fn end(&self) -> usize {
        if self.bytes() == 0 {
            return self.base;
        }
        let last: usize = self.dims[..self.depth].iter().map(|d| (d.0 - 1) * d.1).sum();
        self.base + last + self.run
    }

    /// Contiguous runs that begin in `len` bytes from byte `position` of the walk, and their distance; `None`
    /// of a contiguous block.
    pub fn rows(&self, position: usize, len: usize) -> Option<(usize, usize)> {
        let stride = self.depth.checked_sub(1).map(|d| self.dims[d].1)?;
        Some(((position + len).div_ceil(self.run) - position.div_ceil(self.run), stride))
    }

    /// Whether it visits every byte from its base to its end once.
    pub fn is_dense(&self) -> bool {
        let mut dims = self.dims;
        let dims = &mut dims[..self.depth];
        dims.sort_unstable_by_key(|d| d.1);
        let mut covered = self.run;
        dims.iter().all(|&(size, stride)| {
            let goes_on = stride == covered;
            covered *= size;
            goes_on
        })
    }

    /// The first byte of the contiguous block of a dense walk.
    pub fn base(&self) -> usize {
        self.base
    }

    /// Calls `visit(address, bytes)` for the contiguous pieces of `len` bytes from byte `position`
    /// of the walk, in order.
    pub fn pieces(&self, position: usize, len: usize, mut visit: impl FnMut(usize, usize)) {
        if self.depth == 0 {
            visit(self.base + position, len);
            return;
        }
        let (mut run, mut skip) = (position / self.run, position % self.run);
        let dims = &self.dims[..self.depth];
        let mut at = [0usize; MAX_DIMS];
        let mut address = self.base;
        for (d, &(size, stride)) in dims.iter().enumerate().rev() {
            at[d] = run % size;
            run /= size;
            address += at[d] * stride;
        }
        let mut left = len;
        while left > 0 {
            let bytes = left.min(self.run - skip);
            visit(address + skip, bytes);
            left -= bytes;
            skip = 0;
            for (d, &(size, stride)) in dims.iter().enumerate().rev() {
                at[d] += 1;
                address += stride;
                if at[d] < size {
                    break;
                }
                at[d] = 0;
                address -= size * stride;
            }
        }
    }
}

/// A memory that a DMA channel reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Data memory of a tile, by dense index.
    Tile(u32),
    /// A host buffer, by argument position.
    Host(u32),
}

/// One end of a transfer: the next bytes of a walk through a memory.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Which memory.
    pub place: Place,
    /// In which order.
    pub walk: Walk,
    /// Bytes of the walk already done.
    pub position: usize,
}

/// All memories: tiles and host buffers.
#[derive(Debug)]
pub struct Memory<'h> {
    /// Data memories of the tiles.
    pub tiles: TileMemories,
    host: &'h mut [Vec<u8>],
    staging: Vec<u8>,
}

impl<'h> Memory<'h> {
    /// Tile memories and the host's buffers.
    pub fn new(tiles: TileMemories, host: &'h mut [Vec<u8>]) -> Memory<'h> {
        Memory { tiles, host, staging: Vec::new() }
    }

    fn bytes_mut(&mut self, place: Place) -> &mut Vec<u8> {
        match place {
            Place::Tile(t) => &mut self.tiles.all_mut()[t as usize],
            Place::Host(b) => &mut self.host[b as usize],
        }
    }

    /// The next `len` bytes of `access`, in its order.
    pub fn gather(&self, access: Access, len: usize) -> Vec<u8> {
        let bytes = match access.place {
            Place::Tile(t) => &self.tiles.all()[t as usize],
            Place::Host(b) => &self.host[b as usize],
        };
        let mut gathered = Vec::with_capacity(len);
        access.walk.pieces(access.position, len, |at, n| gathered.extend_from_slice(&bytes[at..at + n]));
        gathered
    }

    /// Copies the next `len` bytes of `from` to the next `len` of every access in `to`.
    ///
    /// Walks were checked against their memories when the array was built.
    pub fn copy(&mut self, from: Access, to: &[Access], len: usize) {
        let source = std::mem::take(self.bytes_mut(from.place));
        if from.walk.depth == 0 && to.iter().all(|t| t.place != from.place) {
            let start = from.walk.base + from.position;
            for access in to {
                scatter(&source[start..start + len], self.bytes_mut(access.place), access);
            }
            *self.bytes_mut(from.place) = source;
            return;
        }
        let mut staging = std::mem::take(&mut self.staging);
        staging.clear();
        staging.resize(len, 0);
        let mut filled = 0;
        from.walk.pieces(from.position, len, |address, bytes| {
            copy_piece(&mut staging[filled..filled + bytes], &source[address..address + bytes]);
            filled += bytes;
        });
        *self.bytes_mut(from.place) = source;
        for access in to {
            scatter(&staging, self.bytes_mut(access.place), access);
        }
        self.staging = staging;
    }
}

fn scatter(data: &[u8], memory: &mut [u8], to: &Access) {
    let mut taken = 0;
    to.walk.pieces(to.position, data.len(), |address, bytes| {
        copy_piece(&mut memory[address..address + bytes], &data[taken..taken + bytes]);
        taken += bytes;
    });
}

/// A copy that the compiler turns into single moves for the run lengths of tiled layouts, where a
/// call of the general copy costs more than the bytes.
#[inline(always)]
fn copy_piece(to: &mut [u8], from: &[u8]) {
    fn fixed<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<()> {
        to.first_chunk_mut::<N>()?.copy_from_slice(from.first_chunk::<N>()?);
        Some(())
    }
    let done = match to.len() {
        4 => fixed::<4>(to, from),
        8 => fixed::<8>(to, from),
        16 => fixed::<16>(to, from),
        32 => fixed::<32>(to, from),
        _ => None,
    };
    if done.is_none() {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Memory, Place, Walk};
    use crate::executor::TileMemories;
    use kiln_dsl::array::Dim;
    use proptest::prelude::*;

    /// Addresses by plain index algebra.
    fn addresses(base: usize, dims: &[Dim], element: usize) -> Vec<usize> {
        let mut all = vec![base];
        for dim in dims {
            let steps = 0..dim.size as usize;
            let step = |a: usize| steps.clone().map(move |i| a + i * dim.stride as usize * element);
            all = all.into_iter().flat_map(step).collect();
        }
        all.into_iter().flat_map(|a| a..a + element).collect()
    }

    fn dim() -> impl Strategy<Value = Dim> {
        (1u32..5, 0u32..20).prop_map(|(size, stride)| Dim { size, stride })
    }

    proptest! {
        #[test]
        fn a_walk_visits_what_index_algebra_says(
            base in 0usize..64,
            dims in prop::collection::vec(dim(), 0..5),
            element in prop::sample::select(vec![1usize, 2, 4]),
            cuts in prop::collection::vec(0usize..2000, 0..4),
        ) {
            let walk = Walk::new(base, &dims, element).unwrap();
            let expected = addresses(base, &dims, element);
            prop_assert_eq!(walk.bytes(), expected.len());
            prop_assert_eq!(walk.end(), expected.iter().max().unwrap() + 1);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c % (expected.len() + 1)).collect();
            cuts.extend([0, expected.len()]);
            cuts.sort_unstable();
            let mut seen = Vec::new();
            for pair in cuts.windows(2) {
                if pair[1] > pair[0] {
                    walk.pieces(pair[0], pair[1] - pair[0], |a, n| seen.extend(a..a + n));
                }
            }
            prop_assert_eq!(&seen, &expected);
            seen.sort_unstable();
            let dense = seen.windows(2).all(|w| w[0] + 1 == w[1]);
            prop_assert_eq!(walk.is_dense(), dense && walk.base() == seen[0]);
        }
    }

    #[test]
    fn dimensions_that_continue_each_other_are_merged() {
        let d = |size, stride| Dim { size, stride };
        assert_eq!(Walk::new(0, &[d(4, 32), d(4, 8), d(8, 1)], 1), Some(Walk::linear(0, 128)));
        let tiled = Walk::new(0, &[d(8, 256), d(8, 8), d(4, 64), d(8, 1)], 1).unwrap();
        assert_eq!((tiled.depth, tiled.run, tiled.bytes()), (3, 8, 2048));
    }

    #[test]
    fn copies_go_to_every_destination_and_within_one_memory() {
        let mut host = vec![(0..16u8).collect::<Vec<u8>>()];
        let mut memory = Memory::new(TileMemories::new(vec![vec![0; 32], vec![0; 32]]), &mut host);
        let access = |place, walk| Access { place, walk, position: 0 };
        let from = access(Place::Host(0), Walk::linear(0, 16));
        // A 4x4 transpose of bytes into tile 0, a straight copy into tile 1.
        let dims = [Dim { size: 4, stride: 1 }, Dim { size: 4, stride: 4 }];
        let transposed = Walk::new(0, &dims, 1).unwrap();
        let to = [access(Place::Tile(0), transposed), access(Place::Tile(1), Walk::linear(8, 16))];
        memory.copy(from, &to, 16);
        let expected: Vec<u8> = (0..16).map(|i| (i % 4) * 4 + i / 4).collect();
        assert_eq!(memory.tiles.get(0, 0, 16).unwrap(), expected);
        assert_eq!(memory.tiles.get(1, 8, 16).unwrap(), (0..16).collect::<Vec<u8>>());
        memory.copy(access(Place::Tile(0), transposed), &[access(Place::Tile(0), Walk::linear(16, 16))], 16);
        assert_eq!(memory.tiles.get(0, 16, 16).unwrap(), (0..16).collect::<Vec<u8>>());
    }
}
