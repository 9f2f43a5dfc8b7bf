//! Row-wise kernels on all 16 cores: every column of cores takes a share of the rows, its mem tile
//! splits each object over its four cores and joins their results.
//!
//! A column's share is a whole number of objects; where the rows do not divide, the last shares
//! start earlier and write what they share with their neighbours a second time, so that rows past
//! the end are never read or written.

use super::cores;
use super::gemm::STACK_BYTES;
use crate::copy;
use kiln_dsl::array::{
    Arg, Design, DesignBuilder, FifoId, KernelId, LocalId, MemType, ObjectId, Port, Tile, View,
};
use kiln_dsl::kernel::{Elem, Kernel, verify};
use std::sync::Arc;

/// Cores in a column, and columns.
const GRID: u32 = 4;

/// Parameters that come before the rows, kept in the core.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes kept: a multiple of 32, at most the bytes of one core's part of an object.
    pub bytes: u32,
    /// The kernel's parameters in them: first byte, element type, elements.
    pub views: Vec<(u32, Elem, u32)>,
}

/// A row-wise operation: the kernel's parameters are the input (in `inputs` parts), what the
/// header holds, the output, then `constants`.
#[derive(Clone, Debug)]
pub struct RowOp {
    /// Name of the design.
    pub name: String,
    /// For people.
    pub doc: String,
    /// Works on `rows_per_call` rows.
    pub kernel: Kernel,
    /// Rows of one call.
    pub rows_per_call: u32,
    /// Elements of one input row, and their type.
    pub input: (Elem, u32),
    /// Elements of one output row, and their type.
    pub output: (Elem, u32),
    /// Inputs of the same type, that many elements apart in the input buffer.
    pub inputs: u32,
    /// Elements from one input to the next in the buffer, when there are several.
    pub input_distance: u64,
    /// Rows in all.
    pub rows: u32,
    /// Elements of the input buffer; rows are dense from its start.
    pub input_len: u64,
    /// Elements of the output buffer, and the first one written.
    pub output_len: u64,
    /// First element written.
    pub output_offset: u64,
    /// Parameters ahead of the rows.
    pub header: Option<Header>,
    /// Run-time integers at the end of the parameters.
    pub constants: Vec<i32>,
}

impl RowOp {
    /// Rows that one object of a column holds.
    fn object_rows(&self) -> u32 {
        GRID * self.rows_per_call
    }

    /// Rows that one column works on: a whole number of objects.
    fn share(&self) -> u32 {
        self.rows.div_ceil(GRID).next_multiple_of(self.object_rows())
    }

    /// Rows that input and output buffers must have.
    pub fn rows_needed(&self) -> u32 {
        self.rows.max(self.share())
    }

    /// Elements of the header's buffer: one object, the header once for each core.
    pub fn header_len(&self) -> u64 {
        u64::from(GRID * self.part_len())
    }

    /// The header's buffer: `bytes` for each core of a column.
    pub fn header_buffer(&self, bytes: &[u8]) -> Vec<u8> {
        let mut part = bytes.to_vec();
        part.resize((self.part_len() * self.input.0.bytes()) as usize, 0);
        part.repeat(GRID as usize)
    }

    /// Elements of one core's part of an input object.
    fn part_len(&self) -> u32 {
        self.rows_per_call * self.input.1 * self.inputs
    }

    /// One core's part of an input object: bytes where it is seen as several things, since
    /// `memref.view` takes only bytes.
    fn part(&self) -> MemType {
        let (elem, len) = (self.input.0, self.part_len());
        if self.is_mixed() { MemType::flat(Elem::I8, len * elem.bytes()) } else { MemType::flat(elem, len) }
    }

    fn is_mixed(&self) -> bool {
        self.inputs > 1 || self.header.is_some()
    }

    /// The design.
    ///
    /// # Panics
    /// When the kernel does not verify, or the header is longer than a core's part of an object.
    pub fn design(&self) -> Design {
        let d = DesignBuilder::new(&self.name, &self.doc);
        let kernel = d.kernel(Arc::new(verify(self.kernel.clone()).unwrap_or_else(|e| panic!("{e}"))));
        let part = self.part();
        let out_part = MemType::flat(self.output.0, self.rows_per_call * self.output.1);
        let keep = self.header.as_ref().map(|header| {
            assert!(u64::from(header.bytes) <= part.bytes(), "{}: header of {} B", self.name, header.bytes);
            d.kernel(Arc::new(verify(copy::copy_i8(header.bytes)).unwrap_or_else(|e| panic!("{e}"))))
        });
        let (mut inputs, mut outputs) = (vec![], vec![]);
        let (mut core_in, mut core_out): (Vec<FifoId>, Vec<FifoId>) = (vec![], vec![]);
        for col in 0..GRID {
            let (shim, mem) = (Tile::new(col as u8, 0), Tile::new(col as u8, 1));
            let whole = |part: &MemType| MemType::flat(part.elem, part.shape[0] * GRID);
            inputs.push(d.fifo(format!("in{col}"), shim, [mem], whole(&part)).id());
            outputs.push(d.fifo(format!("out{col}"), mem, [shim], whole(&out_part)).id());
            let first = core_in.len();
            for row in 0..GRID {
                let core = Tile::new(col as u8, 2 + row as u8);
                core_in.push(d.fifo(format!("in{col}_{row}"), mem, [core], part.clone()).id());
                core_out.push(d.fifo(format!("out{col}_{row}"), core, [mem], out_part.clone()).id());
            }
            let offsets = |fifos: &[FifoId], part: &MemType| -> Vec<(FifoId, u32)> {
                fifos[first..].iter().enumerate().map(|(i, &f)| (f, i as u32 * part.shape[0])).collect()
            };
            d.split(inputs[col as usize], offsets(&core_in, &part));
            d.join(offsets(&core_out, &out_part), outputs[col as usize]);
        }
        for (at, (input, output)) in cores().zip(core_in.into_iter().zip(core_out)) {
            self.core(&d, at, kernel, keep, [input, output]);
        }
        self.sequence(&d, &inputs, &outputs);
        d.build()
    }

    fn core(
        &self,
        d: &DesignBuilder,
        at: Tile,
        kernel: KernelId,
        keep: Option<KernelId>,
        [input, output]: [FifoId; 2],
    ) {
        let kept = self.header.as_ref().map(|header| {
            d.local(
                format!("header_{}_{}", at.col, at.row),
                at,
                MemType::flat(Elem::I8, header.bytes),
                None,
                None,
            )
        });
        d.core(at, |p| {
            p.stack_bytes(STACK_BYTES);
            p.forever(|p| {
                if let (Some(keep), Some(kept), Some(header)) = (keep, kept, &self.header) {
                    let object = p.consume(input);
                    let view = Some(View { byte_offset: 0, ty: MemType::flat(Elem::I8, header.bytes) });
                    p.call(keep, vec![Arg::Object { object, view }, kept.into()]);
                    p.release(input, Port::Consume, 1);
                }
                let calls = self.share() / self.object_rows();
                p.repeat(calls.into(), |p| {
                    let (x, y) = (p.consume(input), p.produce(output));
                    p.call(kernel, self.args(x, y, kept));
                    p.release(input, Port::Consume, 1);
                    p.release(output, Port::Produce, 1);
                });
            });
        });
    }

    fn args(&self, x: ObjectId, y: ObjectId, kept: Option<LocalId>) -> Vec<Arg> {
        let (elem, width) = self.input;
        let len = self.rows_per_call * width;
        let input = |i: u32| {
            let byte_offset = u64::from(i * len * elem.bytes());
            let view = View { byte_offset, ty: MemType::flat(elem, len) };
            Arg::Object { object: x, view: self.is_mixed().then_some(view) }
        };
        let mut args: Vec<Arg> = (0..self.inputs).map(input).collect();
        if let (Some(buffer), Some(header)) = (kept, &self.header) {
            args.extend(header.views.iter().map(|&(byte, elem, len)| Arg::Local {
                buffer,
                view: Some(View { byte_offset: byte.into(), ty: MemType::flat(elem, len) }),
            }));
        }
        args.push(y.into());
        args.extend(self.constants.iter().map(|&c| Arg::Const(c)));
        args
    }

    fn sequence(&self, d: &DesignBuilder, inputs: &[FifoId], outputs: &[FifoId]) {
        let flat = |elem, len: u64| {
            MemType::flat(elem, u32::try_from(len).expect("host buffers below 4 Gi elements"))
        };
        let (share, rows) = (u64::from(self.share()), u64::from(self.rows));
        let (width, out_width) = (u64::from(self.input.1), u64::from(self.output.1));
        d.sequence(|s| {
            let header =
                self.header.as_ref().map(|_| s.buffer("header", flat(self.input.0, self.header_len())));
            let x = s.buffer("x", flat(self.input.0, self.input_len));
            let y = s.buffer("y", flat(self.output.0, self.output_len));
            for col in 0..u64::from(GRID) {
                let first = (col * share).min(rows.saturating_sub(share));
                let (input, output) = (inputs[col as usize], outputs[col as usize]);
                s.copy_linear(y, output, self.output_offset + first * out_width, share * out_width).token();
                if let Some(header) = header {
                    s.copy_linear(header, input, 0, self.header_len()).token();
                }
                if self.inputs == 1 {
                    s.copy_linear(x, input, first * width, share * width).token();
                } else {
                    // Call by call: its rows of the first input, then of the second.
                    let call = u64::from(self.rows_per_call) * width;
                    let sizes = [1, share / u64::from(self.rows_per_call), self.inputs.into(), call];
                    s.copy(x, input, [0, 0, 0, first * width], sizes, [0, call, self.input_distance, 1])
                        .token();
                }
            }
            for col in 0..GRID as usize {
                if header.is_some() {
                    s.wait(inputs[col]);
                }
                s.wait(inputs[col]);
                s.wait(outputs[col]);
            }
        });
    }
}
