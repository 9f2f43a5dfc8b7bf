//! The log-mel spectrogram on all 16 cores.
//!
//! ```text
//! shim c --frames of 128, 32 a core--> mem tile c, split --> cores of column c
//! shim c --basis, two bins an object--> mem tile c ==broadcast down column c==> cores
//! cores of column c --logarithms--> mem tile c, joined --> shim c
//! ```
//!
//! The host lays out the window's samples once ([`crate::mel::padded`]); the shims cut them into frames of 400 that
//! start every 160 samples, so overlapping ones are read again, and the mem tiles cut those into 8x4 tiles. A core takes 32
//! frames a turn: their samples stay in L1 while the basis passes by, two bins an object, and so does their power in
//! bf16. Then it sums the bands and takes logarithms. Frames and bands of a turn never leave the core in between.
//!
//! Ahead of the basis passes one object with what a core keeps or reads for the turn: the filters, the least logarithm
//! and the number of objects that follow (`BasisObject`), so that a program serves every window.
//!
//! A turn of all cores is 512 frames; the last block of 128 starts early enough to end with the last frame.

use super::cores;
use super::gemm::STACK_BYTES;
use crate::case::bytes_of;
use crate::copy;
use crate::mel::bands::{self, BandsShape, Filters};
use crate::mel::spectrum::{self, SpectrumShape};
use crate::mel::{FRAMES, GROUP, Gain, PADDED_SAMPLES, padded};
use crate::whisper::config::WINDOW_FRAMES;
use crate::whisper::mel::{FFT, HOP};
use kiln_dsl::array::{Arg, Design, DesignBuilder, FifoId, MemType, Port, Tile, View, WordRef};
use kiln_dsl::kernel::{Elem, Kernel, verify};
use ndarray::{Array2, s};
use std::sync::Arc;

/// Rows and columns of cores.
const GRID: u32 = 4;

/// Frames of a column of cores in one turn.
const BLOCK: u32 = GRID * FRAMES;

/// Bands of the listed design: those of every model up to large-v2.
pub const LISTED_MELS: usize = 80;

/// Where things lie in an object of the basis, in bytes. That of two bins has their packed basis and then the number of
/// the first; the one before them has packed filters and then the least logarithm and the number of objects of bins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct BasisObject {
    bands: BandsShape,
}

impl BasisObject {
    const SHAPE: SpectrumShape = SpectrumShape::WHISPER;
    /// First byte of the words.
    const WORDS_BYTE: u32 = Self::SHAPE.basis_len() * Elem::I16.bytes();
    /// All of it; the words have 32 bytes, as every access of a vector has.
    const BYTES: u32 = Self::WORDS_BYTE + 32;
    /// Objects of bins.
    const BINS_OBJECTS: u32 = Self::SHAPE.bins / 2;

    /// A word of a consumed object.
    fn word(object: kiln_dsl::array::ObjectId, index: u32) -> WordRef {
        WordRef { object, index: Self::WORDS_BYTE / 4 + index }
    }

    /// Bytes of the filters that a core keeps: whole vectors.
    fn kept_bytes(self) -> u32 {
        (self.bands.filters_len() * Elem::I16.bytes()).next_multiple_of(32)
    }

    fn object(values: &[i16], words: &[i32]) -> Vec<u8> {
        let mut bytes = bytes_of(values);
        bytes.resize(Self::WORDS_BYTE as usize, 0);
        bytes.extend(bytes_of(words));
        bytes.resize(Self::BYTES as usize, 0);
        bytes
    }

    /// All objects of a turn.
    fn pack(filters: &Filters, floor: i16) -> Vec<u8> {
        let mut bytes = Self::object(&filters.pack(), &[floor.into(), Self::BINS_OBJECTS as i32]);
        let basis = spectrum::basis();
        for (pair, rows) in basis.axis_chunks_iter(ndarray::Axis(0), 4).enumerate() {
            bytes.extend(Self::object(&spectrum::pack_basis(rows), &[2 * pair as i32]));
        }
        bytes
    }
}

/// The log-mel spectrogram of a window of 30 s.
#[derive(Clone, Debug, PartialEq)]
pub struct LogMel {
    filters: Filters,
}

impl LogMel {
    /// Of a number of bands: 1 to 128.
    ///
    /// # Panics
    /// When there are others: their filters would not fit an object of the basis.
    pub fn new(mels: usize) -> LogMel {
        assert!((1..=128).contains(&mels), "{mels} bands: expected 1 to 128");
        LogMel { filters: Filters::new(mels) }
    }

    fn bands(&self) -> BandsShape {
        let bins = SpectrumShape::WHISPER.bins;
        BandsShape { bins, mels: self.filters.bands.len() as u32, weights: self.filters.weights() }
    }

    /// Elements of one core's result of a turn.
    fn logs_len(&self) -> u32 {
        self.bands().mels * FRAMES
    }

    /// Turns that cover all frames.
    const fn turns() -> u32 {
        (WINDOW_FRAMES as u32).div_ceil(GRID * BLOCK)
    }

    /// First frame of a column in a turn: the last ones start earlier and compute what they share again.
    fn first_frame(turn: u32, col: u32) -> u32 {
        ((turn * GRID + col) * BLOCK).min(WINDOW_FRAMES as u32 - BLOCK)
    }

    /// Elements of the results of all cores in all turns.
    fn all_logs_len(&self) -> u32 {
        Self::turns() * GRID * GRID * self.logs_len()
    }

    /// The host buffers of a window's samples, of which only the last is written.
    pub fn host(&self, samples: &[f32], gain: Gain) -> [Vec<u8>; 3] {
        let logs = self.all_logs_len() * Elem::I16.bytes();
        [
            bytes_of(&padded(samples, gain)),
            BasisObject::pack(&self.filters, gain.floor()),
            vec![0; logs as usize],
        ]
    }

    /// The logarithms `[bands, 3000]` in the last of the [`Self::host`] buffers.
    pub fn logs(&self, host: &[u8]) -> Array2<i16> {
        let (mels, frames) = (self.bands().mels as usize, FRAMES as usize);
        let values: Vec<i16> = host.chunks_exact(2).map(bytemuck::pod_read_unaligned).collect();
        let mut logs = Array2::zeros((mels, WINDOW_FRAMES));
        for (part, values) in values.chunks_exact(mels * frames).enumerate() {
            // A column's turns follow each other.
            let (column_turn, row) = (part as u32 / GRID, part as u32 % GRID);
            let (col, turn) = (column_turn / Self::turns(), column_turn % Self::turns());
            let first = (Self::first_frame(turn, col) + row * FRAMES) as usize;
            let values =
                ndarray::ArrayView2::from_shape((mels, frames), values).expect("bands x frames values");
            logs.slice_mut(s![.., first..first + frames]).assign(&values);
        }
        logs
    }

    /// The design: `samples` i16, `basis` bytes, `logs` i16.
    ///
    /// # Panics
    /// When a kernel does not verify.
    pub fn design(&self) -> Design {
        let bands_shape = self.bands();
        let doc = format!(
            "Logarithms of {} mel bands of {WINDOW_FRAMES} frames; {FRAMES} frames a core at a time.",
            bands_shape.mels
        );
        let d = DesignBuilder::new("log_mel", doc);
        let kernel = |k: Kernel| d.kernel(Arc::new(verify(k).unwrap_or_else(|e| panic!("{e}"))));
        let layout = BasisObject { bands: bands_shape };
        let keep = kernel(copy::copy_i8(layout.kept_bytes()));
        let spectrum = kernel(spectrum::spectrum(BasisObject::SHAPE));
        let bands = kernel(bands::bands(bands_shape));

        let samples = FFT as u32;
        let group = MemType::flat(Elem::I16, BasisObject::SHAPE.group_len());
        let groups = MemType::flat(Elem::I16, GRID * BasisObject::SHAPE.group_len());
        let basis_object = MemType::flat(Elem::I8, BasisObject::BYTES);
        let logs = MemType::flat(Elem::I16, self.logs_len());
        let all_logs = MemType::flat(Elem::I16, GRID * self.logs_len());
        let (mut frames_in, mut basis_in, mut logs_out) = (vec![], vec![], vec![]);
        let (mut frames, mut basis, mut out): (Vec<FifoId>, Vec<FifoId>, Vec<FifoId>) =
            (vec![], vec![], vec![]);
        for col in 0..GRID {
            let (shim, mem) = (Tile::new(col as u8, 0), Tile::new(col as u8, 1));
            let core = |row: u32| Tile::new(col as u8, 2 + row as u8);
            frames_in.push(d.fifo(format!("frames_in{col}"), shim, [mem], groups.clone()).id());
            basis_in.push(d.fifo(format!("basis_in{col}"), shim, [mem], basis_object.clone()).id());
            logs_out.push(d.fifo(format!("logs_out{col}"), mem, [shim], all_logs.clone()).id());
            basis.push(d.fifo(format!("basis{col}"), mem, (0..GRID).map(core), basis_object.clone()).id());
            d.link([basis_in[col as usize]], [basis[col as usize]]);
            let first = frames.len();
            for row in 0..GRID {
                let tiles = [(samples / 4, 4), (GROUP, samples), (4, 1)];
                // A turn holds its four groups; the next turn's come while the bands are summed.
                let fifo = d.fifo(format!("frames{col}_{row}"), mem, [core(row)], group.clone());
                frames.push(fifo.depths([2, FRAMES / GROUP]).to_stream(tiles).id());
                let fifo = d.fifo(format!("logs{col}_{row}"), core(row), [mem], logs.clone());
                out.push(fifo.depths([1, 2]).id());
            }
            let parts = |fifos: &[FifoId], len: u32| -> Vec<(FifoId, u32)> {
                fifos[first..].iter().enumerate().map(|(i, &f)| (f, i as u32 * len)).collect()
            };
            d.split(frames_in[col as usize], parts(&frames, BasisObject::SHAPE.group_len()));
            d.join(parts(&out, self.logs_len()), logs_out[col as usize]);
        }
        for (at, (frames, out)) in cores().zip(frames.into_iter().zip(out)) {
            let basis = basis[usize::from(at.col)];
            let local = |name: &str, elem, len| {
                d.local(format!("{name}_{}_{}", at.col, at.row), at, MemType::flat(elem, len), None, None)
            };
            let kept = local("filters", Elem::I8, layout.kept_bytes());
            let power = local("power", Elem::Bf16, bands_shape.bins * FRAMES);
            let view = |elem, len| Some(View { byte_offset: 0, ty: MemType::flat(elem, len) });
            d.core(at, |p| {
                p.stack_bytes(STACK_BYTES);
                p.forever(|p| {
                    let head = p.consume(basis);
                    let filters = Arg::Object { object: head, view: view(Elem::I8, layout.kept_bytes()) };
                    p.call(keep, vec![filters, kept.into()]);
                    let [floor, objects] = [0, 1].map(|index| BasisObject::word(head, index));
                    p.release(basis, Port::Consume, 1);
                    let groups = p.acquire(frames, Port::Consume, FRAMES / GROUP);
                    p.repeat_word(objects, |p| {
                        let object = p.consume(basis);
                        let two_bins = view(Elem::I16, BasisObject::SHAPE.basis_len());
                        let mut args = vec![Arg::Object { object, view: two_bins }];
                        args.extend(groups.iter().map(|&group| Arg::from(group)));
                        args.extend([BasisObject::word(object, 0).into(), power.into()]);
                        p.call(spectrum, args);
                        p.release(basis, Port::Consume, 1);
                    });
                    p.release(frames, Port::Consume, FRAMES / GROUP);
                    let logs = p.produce(out);
                    let filters =
                        Arg::Local { buffer: kept, view: view(Elem::I16, bands_shape.filters_len()) };
                    p.call(bands, vec![power.into(), filters, floor.into(), logs.into()]);
                    p.release(out, Port::Produce, 1);
                });
            });
        }
        self.sequence(&d, [&frames_in, &basis_in, &logs_out]);
        d.build()
    }

    fn sequence(&self, d: &DesignBuilder, [frames, basis, logs]: [&Vec<FifoId>; 3]) {
        let turns = Self::turns();
        let basis_bytes = (1 + BasisObject::BINS_OBJECTS) * BasisObject::BYTES;
        let column_logs = u64::from(GRID * self.logs_len());
        let [hop, fft] = [HOP, FFT].map(|n| n as u64);
        let [grid, per_turn, per_core, group] = [GRID, turns, FRAMES, GROUP].map(u64::from);
        d.sequence(|s| {
            let samples = s.buffer("samples", MemType::flat(Elem::I16, PADDED_SAMPLES as u32));
            let bytes = s.buffer("basis", MemType::flat(Elem::I8, basis_bytes));
            let all = s.buffer("logs", MemType::flat(Elem::I16, self.all_logs_len()));
            for col in 0..GRID as usize {
                let column = per_turn * column_logs;
                s.copy_linear(all, logs[col], col as u64 * column, column).token();
                let len = u64::from(basis_bytes);
                s.copy(bytes, basis[col], [0; 4], [per_turn, 1, 1, len], [0, 0, 0, 1]).token();
            }
            // Groups of a core are eight frames each, and a mem tile's object has one group of each core.
            let sizes = [per_core / group, grid, group, fft];
            let strides = [group * hop, per_core * hop, hop, 1];
            s.keep_in_flight(3);
            for turn in 0..turns {
                for col in 0..GRID {
                    let first = u64::from(Self::first_frame(turn, col)) * hop;
                    s.copy(samples, frames[col as usize], [0, 0, 0, first], sizes, strides).token();
                }
            }
            logs.iter().for_each(|&fifo| s.wait(fifo));
        });
    }
}
