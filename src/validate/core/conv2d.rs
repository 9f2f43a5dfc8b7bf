//! `conv2d`: one row of a convolution, 8 channels to a group.

use super::super::names::Dtype;
use super::super::workload::{Conditions, Outcome, Workload};
use super::{call, check_bytes, hot_loop, outcome};
use kiln_dsl::kernel::build::{Acc32, Accum, Buf, Builder, Element, Loadable, Mmul, Scalar, TileBuf, mmul};
use kiln_dsl::kernel::{Elem, Kernel};
use kiln_dsl::num::{Rounding, Saturation};
use serde::Deserialize;

/// One output row of a 1x1 or 3x3 convolution, stride 1, in mlir-aie's layout: activations and weights in groups of 8
/// channels, products of 4 pixels by 8 x 8 channels. Sizes are arguments of the function, not constants.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Rows and columns of the filter: [1, 1] or [3, 3].
    filter: [u32; 2],
    /// Elements of the activations; weights are i8.
    #[serde(rename = "in", default = "i8")]
    input: Dtype,
    /// Pixels of a row.
    width: u32,
    in_channels: u32,
    out_channels: u32,
    /// Groups of 4 pixels that are accumulated at a time.
    #[serde(default = "block")]
    block: u32,
    /// Groups of output channels that are accumulated at a time. More than one: pixels may begin anywhere, so that each
    /// four of them are two loads and a shift, and input channels are the innermost loop.
    #[serde(default = "one")]
    outputs: u32,
    /// The loop of products has the hint that lets a compiler pipeline it: two iterations at least.
    #[serde(default)]
    pipelined: bool,
    /// The accumulators are an array whose index is computed at run time, so that it lies in memory.
    #[serde(default)]
    indexed_accumulators: bool,
}

fn i8() -> Dtype {
    Dtype(Elem::I8)
}

fn block() -> u32 {
    8
}

fn one() -> u32 {
    1
}

/// Pixels of a product, and channels of a group.
const PIXELS: u32 = 4;
const GROUP: u32 = 8;

type Product<L> = Mmul<L, i8, Acc32, 32, 64, 32>;

impl Workload for Conv2d {
    const KIND: &'static str = "conv2d";
    const QUANTITIES: &'static [&'static str] = &["loop_bundles", "loop_vmac"];

    fn simulate(&self, conditions: &Conditions) -> Result<Outcome, String> {
        let sizes = [
            ("width", self.width, PIXELS * self.block),
            ("in_channels", self.in_channels, GROUP),
            ("out_channels", self.out_channels, GROUP * self.outputs.max(1)),
        ];
        if !(1..=8).contains(&self.block) {
            return Err(format!("block: {}, expected 1 to 8 groups of {PIXELS} pixels", self.block));
        }
        if self.outputs == 0 || self.outputs * self.block > 8 {
            return Err(format!(
                "outputs: {}, expected 1 to {} with block {}",
                self.outputs,
                8 / self.block,
                self.block
            ));
        }
        if self.indexed_accumulators && (self.filter != [1, 1] || self.outputs > 1) {
            return Err("indexed_accumulators: expected filter [1, 1] and one group of outputs".to_owned());
        }
        for (name, size, of) in sizes {
            if size == 0 || !size.is_multiple_of(of) {
                return Err(format!("{name}: {size}, expected a multiple of {of}{}", self.advice(name)));
            }
        }
        let [height, across] = self.filter;
        let arrays: [(&str, &[u32]); 3] = [
            ("a row of activations", &[self.width, self.in_channels]),
            ("w", &[self.in_channels, self.out_channels, height, across]),
            ("out", &[self.width, self.out_channels]),
        ];
        check_bytes(&arrays, conditions.device)?;
        let kernel = match (self.input.0, self.filter) {
            (Elem::I8, [1, 1] | [3, 3]) if self.outputs > 1 => self.wide(mmul::I8_I8_4X8X8),
            (Elem::U8, [1, 1] | [3, 3]) if self.outputs > 1 => self.wide(mmul::U8_I8_4X8X8),
            (Elem::I8, [1, 1]) => self.pointwise(mmul::I8_I8_4X8X8),
            (Elem::U8, [1, 1]) => self.pointwise(mmul::U8_I8_4X8X8),
            (Elem::I8, [3, 3]) => self.window(mmul::I8_I8_4X8X8),
            (Elem::U8, [3, 3]) => self.window(mmul::U8_I8_4X8X8),
            (Elem::I8 | Elem::U8, other) => {
                return Err(format!("filter: {other:?}, expected [1, 1] or [3, 3]"));
            }
            (other, _) => return Err(format!("in: {other}, expected i8 or u8")),
        };
        let hot = hot_loop(&kernel, conditions)?;
        let peak = conditions.device.macs_per_cycle.i8_i8();
        let [groups, outputs] = [self.in_channels / GROUP, self.out_channels / GROUP].map(|n| n as i32);
        let chunks = (self.width / (PIXELS * self.block)) as i32;
        let integers = [
            groups,
            outputs / self.outputs as i32,
            chunks,
            self.block as i32,
            self.filter[0] as i32,
            10,
            (self.width / PIXELS) as i32,
        ];
        let quantities = hot.quantities();
        Ok(Outcome { quantities, ..outcome(call(kernel, &integers, conditions)?, peak) })
    }
}

/// The integer arguments.
#[derive(Clone, Copy)]
struct Sizes<'k> {
    /// Groups of input channels, and of output channels.
    inputs: Scalar<'k>,
    outputs: Scalar<'k>,
    /// Blocks of a row, and what is in one.
    chunks: Scalar<'k>,
    block: Scalar<'k>,
    filter: Scalar<'k>,
    shift: Scalar<'k>,
    /// Fours of pixels of a row.
    fours: Scalar<'k>,
}

impl<'k> Sizes<'k> {
    fn declare(k: &'k Builder) -> Sizes<'k> {
        Sizes {
            inputs: k.param_i32("input_groups"),
            outputs: k.param_i32("output_groups"),
            chunks: k.param_i32("chunks"),
            block: k.param_i32("block"),
            filter: k.param_i32("filter"),
            shift: k.param_i32("shift"),
            fours: k.param_i32("fours"),
        }
    }
}

impl Conv2d {
    /// What would accept the width, where a smaller block does: the row then is whole blocks.
    fn advice(&self, refused: &str) -> String {
        let fours = self.width / PIXELS;
        let whole = refused == "width" && fours > 0 && self.width.is_multiple_of(PIXELS);
        let block = (1..self.block).rev().find(|&block| whole && fours.is_multiple_of(block));
        block.map_or_else(String::new, |block| {
            format!(", blocks of {} groups of {PIXELS} pixels\nhelp: `block: {block}`", self.block)
        })
    }

    fn groups(&self) -> [u32; 3] {
        [self.in_channels / GROUP, self.out_channels / GROUP, self.width / PIXELS]
    }

    fn pointwise<L: Element + Loadable<32>>(&self, product: Product<L>) -> Kernel {
        let [inputs, outputs, pixels] = self.groups();
        let block = self.block;
        Kernel::build("conv2d_1x1", Rounding::PosInf, Saturation::On, |k: &Builder| {
            let a = k.input::<L>("a", [inputs * pixels * PIXELS * GROUP]);
            let w = k.input_tiles::<i8, 64>("w", [GROUP, GROUP], [outputs, inputs]);
            let out = k.output_tiles::<u8, 32>("out", [PIXELS, GROUP], [outputs, pixels]);
            let memory = self.indexed_accumulators.then(|| k.scratch::<i32>("accumulators", [block * 32]));
            let sizes = Sizes::declare(k);
            // Elements of a row of one group of channels: known at run time only, as all sizes are.
            let pitch = sizes.fours * FOUR;
            k.for_n(sizes.outputs, |oc| {
                k.for_n(sizes.chunks, |chunk| {
                    let first = chunk * block as i32;
                    match memory {
                        Some(memory) => {
                            pointwise_in_memory(k, product, (a, w, out), memory, (sizes, pitch), (oc, first))
                        }
                        None => {
                            let start = (0..block).map(|_| k.acc_zeros::<Acc32, 32>()).collect::<Vec<_>>();
                            let step = |ic, sums| {
                                pointwise_products(k, product, (a, w), [oc, first, ic, pitch], sums)
                            };
                            let sums = match self.pipelined {
                                true => k.pipelined(2).fold(sizes.inputs, start, step),
                                false => k.fold(sizes.inputs, start, step),
                            };
                            store_all(&out, oc, first, sums, sizes.shift);
                        }
                    }
                });
            });
        })
    }

    fn wide<L: Element + Loadable<32>>(&self, product: Product<L>) -> Kernel {
        let [inputs, outputs, pixels] = self.groups();
        let (block, beside) = (self.block, self.outputs);
        let taps = self.filter[0] * self.filter[1];
        let plane = self.filter[0] * (self.width + 2 * PIXELS) * GROUP;
        Kernel::build("conv2d_wide", Rounding::PosInf, Saturation::On, |k: &Builder| {
            let a = k.input::<L>("a", [inputs * plane]);
            let w = k.input_tiles::<i8, 64>("w", [GROUP, GROUP], [outputs / beside * taps, inputs * beside]);
            let out = k.output_tiles::<u8, 32>("out", [PIXELS, GROUP], [outputs, pixels]);
            let sizes = Sizes::declare(k);
            k.for_n(sizes.outputs, |oc| {
                k.for_n(sizes.chunks, |chunk| {
                    let start = (0..block * beside).map(|_| k.acc_zeros::<Acc32, 32>()).collect::<Vec<_>>();
                    let first = chunk * (block * PIXELS * GROUP) as i32;
                    let sums = k.fold(sizes.filter * sizes.filter, start, |tap, sums| {
                        let place = [oc * taps as i32 + tap, first + tap * GROUP as i32];
                        let step = |ic, sums| {
                            wide_products(k, product, (a, w), place, (ic, plane), [block, beside], sums)
                        };
                        match self.pipelined {
                            true => k.pipelined(2).fold(sizes.inputs, sums, step),
                            false => k.fold(sizes.inputs, sums, step),
                        }
                    });
                    for (b, sums) in sums.chunks(block as usize).enumerate() {
                        let group = oc * beside as i32 + b as i32;
                        store_all(&out, group, chunk * block as i32, sums.to_vec(), sizes.shift);
                    }
                });
            });
        })
    }

    fn window<L: Element + Loadable<32>>(&self, product: Product<L>) -> Kernel {
        let [inputs, outputs, pixels] = self.groups();
        let block = self.block;
        // A pixel of padding at both ends of each line, and room for the last window.
        let line = (self.width + 2 * PIXELS) * GROUP;
        Kernel::build("conv2d_3x3", Rounding::PosInf, Saturation::On, |k: &Builder| {
            let lines = ["line0", "line1", "line2"].map(|name| k.input::<L>(name, [inputs * line]));
            let w = k.input_tiles::<i8, 64>("w", [GROUP, GROUP], [outputs * inputs * 3, 3]);
            let out = k.output_tiles::<u8, 32>("out", [PIXELS, GROUP], [outputs, pixels]);
            let sizes = Sizes::declare(k);
            k.for_n(sizes.outputs, |oc| {
                k.for_n(sizes.chunks, |chunk| {
                    let start = (0..block).map(|_| k.acc_zeros::<Acc32, 32>()).collect::<Vec<_>>();
                    let first = chunk * (block * PIXELS * GROUP) as i32;
                    let sums = k.fold(sizes.inputs, start, |ic, sums| {
                        lines.iter().enumerate().fold(sums, |sums, (ky, source)| {
                            k.fold(sizes.filter, sums, |kx, sums| {
                                let weights = w.load((oc * inputs as i32 + ic) * 3 + ky as i32, kx);
                                let at = ic * line as i32 + first + kx * GROUP as i32;
                                let next = sums.iter().enumerate().map(|(x, &sum)| {
                                    let pixels = at + (x as u32 * PIXELS * GROUP) as i32;
                                    k.mac(product, sum, source.load_unaligned::<32>(pixels), weights)
                                });
                                next.collect()
                            })
                        })
                    });
                    store_all(&out, oc, chunk * block as i32, sums, sizes.shift);
                });
            });
        })
    }
}

/// Elements of four pixels of a group of channels.
const FOUR: i32 = (PIXELS * GROUP) as i32;

type Operands<'k, L> = (Buf<'k, L>, TileBuf<'k, i8, 64>, TileBuf<'k, u8, 32>);

/// The sums of a block after the products of input group `ic`.
fn pointwise_products<'k, L: Element + Loadable<32>>(
    k: &'k Builder,
    product: Product<L>,
    (a, w): (Buf<'k, L>, TileBuf<'k, i8, 64>),
    [oc, first, ic, pitch]: [Scalar<'k>; 4],
    sums: Vec<Sum<'k>>,
) -> Vec<Sum<'k>> {
    let weights = w.load(oc, ic);
    let next = sums.iter().enumerate();
    let row = ic * pitch + first * FOUR;
    next.map(|(x, &sum)| k.mac(product, sum, a.load::<32>(row + x as i32 * FOUR), weights)).collect()
}

/// The sums of `block` fours of pixels for `beside` groups of outputs after the products of input group `ic`: one tap
/// of the filter with its first pixel.
fn wide_products<'k, L: Element + Loadable<32>>(
    k: &'k Builder,
    product: Product<L>,
    (a, w): (Buf<'k, L>, TileBuf<'k, i8, 64>),
    [filter, first]: [Scalar<'k>; 2],
    (ic, plane): (Scalar<'k>, u32),
    [block, beside]: [u32; 2],
    sums: Vec<Sum<'k>>,
) -> Vec<Sum<'k>> {
    let at = ic * plane as i32 + first;
    let fours: Vec<_> =
        (0..block).map(|x| a.load_unaligned::<32>(at + (x * PIXELS * GROUP) as i32)).collect();
    let weights: Vec<_> = (0..beside).map(|b| w.load(filter, ic * beside as i32 + b as i32)).collect();
    let pairs = weights.iter().flat_map(|&w| fours.iter().map(move |&four| (four, w)));
    sums.into_iter().zip(pairs).map(|(sum, (four, w))| k.mac(product, sum, four, w)).collect()
}

type Sum<'k> = Accum<'k, Acc32, 32>;

/// A block whose accumulators are read from memory and written back for each product.
fn pointwise_in_memory<'k, L: Element + Loadable<32>>(
    k: &'k Builder,
    product: Product<L>,
    (a, w, out): Operands<'k, L>,
    memory: Buf<'k, i32>,
    (sizes, pitch): (Sizes<'k>, Scalar<'k>),
    (oc, first): (Scalar<'k>, Scalar<'k>),
) {
    let zero = k.acc_zeros::<Acc32, 32>().srs::<i32>(0);
    k.for_n(sizes.block, |x| memory.store(x * 32, zero));
    k.for_n(sizes.inputs, |ic| {
        let weights = w.load(oc, ic);
        let row = ic * pitch + first * FOUR;
        k.for_n(sizes.block, |x| {
            let sum = memory.load::<32>(x * 32).ups::<Acc32>(0);
            let sum = k.mac(product, sum, a.load::<32>(row + x * FOUR), weights);
            memory.store(x * 32, sum.srs::<i32>(0));
        });
    });
    k.for_n(sizes.block, |x| {
        let sum = memory.load::<32>(x * 32).ups::<Acc32>(0);
        out.store(oc, first + x, sum.srs::<u8>(sizes.shift));
    });
}

fn store_all<'k>(
    out: &TileBuf<'k, u8, 32>,
    oc: Scalar<'k>,
    first: Scalar<'k>,
    sums: Vec<Accum<'k, Acc32, 32>>,
    shift: Scalar<'k>,
) {
    for (x, sum) in sums.into_iter().enumerate() {
        out.store(oc, first + x as i32, sum.srs::<u8>(shift));
    }
}
