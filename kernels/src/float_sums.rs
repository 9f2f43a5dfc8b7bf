//! What stands before and after the products of bf16: sums that begin with a bias, and sums to 16 bits.
//!
//! Sums are f32 in the 4x4 tiles of [`crate::matmul_bf16`], results in the 4x8 tiles of what reads them: two tiles of sums
//! side by side are one of theirs, after a shuffle. A result of integers is the nearest one, a
//! GELU works on those ([`crate::gelu`]), and its result goes on as an integer or as the nearest bf16.

use crate::case::{Arg, Case, Entry, Source, bytes_of};
use crate::float::{self, from_i16, to_i16};
use crate::gelu::{self, FRACTION_BITS, StagedGelu};
use crate::tiles::from_tiles;
use half::bf16;
use kiln_dsl::kernel::build::{AccFloat, Buf, Builder, Loadable, Scalar, Vector};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::shuffle::{T64_2X8_HI, T64_2X8_LO};
use kiln_dsl::num::{Rounding, Saturation};

/// What becomes of sums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Finish {
    /// Whether they are arguments of a GELU, in steps of `2^-k`.
    pub gelu: bool,
    /// Type of the result: i16 or bf16.
    pub out: Elem,
}

impl Finish {
    /// Every one.
    pub const ALL: [Finish; 4] = [
        Finish { gelu: false, out: Elem::Bf16 },
        Finish { gelu: false, out: Elem::I16 },
        Finish { gelu: true, out: Elem::Bf16 },
        Finish { gelu: true, out: Elem::I16 },
    ];
}

/// The bits of one result; `k` are the GELU's fraction bits.
pub fn finished(sum: f32, finish: Finish, k: u32) -> u16 {
    let integer = || if finish.gelu { gelu::apply(&gelu::TABLES, to_i16(sum), k) } else { to_i16(sum) };
    match (finish.out, finish.gelu) {
        (Elem::Bf16, false) => bf16::from_f32(sum).to_bits(),
        (Elem::Bf16, true) => from_i16(integer()).to_bits(),
        _ => integer() as u16,
    }
}

/// `sums[m, n] = bias[n]`, in 4x4 tiles. `bias` holds f32, seen as the integers of their bits.
///
/// # Panics
/// When a size is not a multiple of 4.
pub fn start(m: u32, n: u32) -> Kernel {
    assert!(
        m.is_multiple_of(4) && n.is_multiple_of(4) && m * n > 0,
        "sums of {m}x{n}: expected tiles of 4x4"
    );
    Kernel::build(&format!("sums_start_{m}x{n}"), Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let bias = k.input::<i32>("bias", [n]);
        let sums = k.output_tiles::<f32, 16>("sums", [4, 4], [m / 4, n / 4]);
        k.for_step(0, n / 4, 1, |j| {
            let four = bias.load::<4>(j * 4);
            let eight = four.concat::<8>(four);
            let tile = eight.concat::<16>(eight).cast::<f32, 16>();
            k.pipelined(1).for_step(0, m / 4, 1, |i| sums.store(i, j, tile));
        });
    })
    .with_doc(&format!("sums[{m}, {n}] f32 = bias[{n}], in 4x4 tiles."))
}

/// Lanes that one step takes: two 4x8 tiles.
const LANES: u32 = 64;

/// Stores two 4x8 tiles, of which `left` has the left halves, row after row, and `right` the right ones.
fn store_pairs<'k, E: Loadable<32>>(y: Buf<'k, E>, at: Scalar<'k>, [left, right]: [Vector<'k, E, 32>; 2]) {
    for (to, mode) in [(0, T64_2X8_LO), (32, T64_2X8_HI)] {
        y.store(at + to, left.shuffle(right, mode));
    }
}

/// [`finished`] of `len` sums in pairs of 4x4 tiles, as 4x8 tiles; with a GELU `k` is a run-time integer in
/// [`FRACTION_BITS`].
///
/// # Panics
/// When `len` is not a multiple of 64, or the result is neither i16 nor bf16.
pub fn finish(len: u32, finish: Finish) -> Kernel {
    assert!(len.is_multiple_of(LANES) && len > 0, "{len} sums: expected a multiple of 64");
    let Finish { gelu, out } = finish;
    let name = format!("sums_finish_{}{out}_{len}", if gelu { "gelu_" } else { "" });
    Kernel::build(&name, Rounding::ConvEven, Saturation::On, |k: &Builder| {
        let sums = k.input::<f32>("sums", [len]);
        // Of two pairs of tiles the left ones and the right ones: rows of four lanes, which a shuffle puts side by side.
        let load = |i, right: u32| {
            [0, 32].map(|pair| sums.load::<16>(i + (pair + 16 * right)).to_accum::<AccFloat>())
        };
        match out {
            Elem::Bf16 => {
                let y = k.output::<bf16>("y", [len]);
                let gelu = gelu.then(|| StagedGelu::declare(k));
                k.pipelined(1).for_step(0, len, LANES, |i| {
                    store_pairs(
                        y,
                        i,
                        [0, 1].map(|right| match &gelu {
                            Some(gelu) => {
                                let integers = gelu.of(float::staged_to_i16(k, load(i, right)));
                                float::staged_from_i16(k, integers)
                            }
                            None => {
                                let [first, second] = load(i, right).map(|sum| sum.to_vector::<bf16>());
                                first.concat::<32>(second)
                            }
                        }),
                    );
                });
            }
            Elem::I16 => {
                let y = k.output::<i16>("y", [len]);
                let gelu = gelu.then(|| StagedGelu::declare(k));
                k.pipelined(1).for_step(0, len, LANES, |i| {
                    store_pairs(
                        y,
                        i,
                        [0, 1].map(|right| {
                            let integers = float::staged_to_i16(k, load(i, right));
                            gelu.as_ref().map_or(integers, |gelu| gelu.of(integers))
                        }),
                    );
                });
            }
            other => panic!("sums to {other}: expected i16 or bf16"),
        }
    })
    .with_doc(&format!("{len} sums of f32 to {out}{}.", if gelu { " through a GELU" } else { "" }))
}

/// Sums of every size, among them those between two integers and beyond 16 bits.
fn sums(source: &mut Source, len: usize) -> Vec<f32> {
    let (numerators, shifts) = (source.values(len, -(1 << 23), 1 << 23), source.values(len, 0, 40));
    numerators.into_iter().zip(shifts).map(|(n, s)| (n as f64 * (4.0 - s as f64).exp2()) as f32).collect()
}

/// [`start`] with its test cases.
pub fn entry_start(m: u32, n: u32) -> Entry {
    Entry::new(start(m, n), move |source| {
        let bias = sums(source, n as usize);
        let tiles: Vec<f32> =
            (0..m / 4).flat_map(|_| bias.chunks(4).flat_map(|four| four.repeat(4))).collect();
        let args = vec![Arg::Bytes(bytes_of(&bias)), Arg::Bytes(vec![0; tiles.len() * 4])];
        Case { args, expected: vec![(1, bytes_of(&tiles))] }
    })
}

/// [`finish`] with its test cases.
pub fn entry(len: u32, to: Finish) -> Entry {
    Entry::new(finish(len, to), move |source| {
        let x = sums(source, len as usize);
        let k = source.number((*FRACTION_BITS.start()).into(), (*FRACTION_BITS.end()).into());
        let pairs = x.chunks(32).flat_map(|pair| {
            let tiles = from_tiles(pair, [4, 8], [4, 4]);
            tiles.into_iter().map(|sum| finished(sum, to, k as u32)).collect::<Vec<_>>()
        });
        let y: Vec<u16> = pairs.collect();
        let mut args = vec![Arg::Bytes(bytes_of(&x)), Arg::Bytes(vec![0; x.len() * 2])];
        if to.gelu {
            args.extend([Arg::I32(k as i32), Arg::Local, Arg::Local, Arg::Local, Arg::Local]);
        }
        Case { args, expected: vec![(1, bytes_of(&y))] }
    })
}
