//! What a core of attention calls: kernels and local buffers of integers, with a running softmax or a
//! normalised one, or of bf16.

use crate::attention::{self, AttentionShape, HEADER_WORDS};
use crate::attention_bf16;
use crate::attention_normalised::{self, Header, NormalisedShape};
use crate::made_table::ENTRIES;
use kiln_dsl::array::{Arg, CoreBuilder, DesignBuilder, KernelId, LocalId, MemType, ObjectId, Tile, View};
use kiln_dsl::kernel::{Elem, Kernel, verify};
use std::sync::Arc;

/// A call in a task.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// Before the first block of keys.
    Start,
    /// A block of keys. The result's object takes weights until the last block is done, if it is large enough.
    Block { queries: ObjectId, keys: ObjectId, values: ObjectId, result: ObjectId },
    /// A block of keys alone, where values come later.
    Keys { queries: ObjectId, keys: ObjectId },
    /// After the last keys, before the first values.
    Softmax,
    /// A block of values.
    Values { values: ObjectId },
    /// After the last block.
    Finish { result: ObjectId },
}

/// The calls of one core.
pub(super) type Steps<'d> = Box<dyn Fn(&CoreBuilder, Step) + 'd>;

/// The calls of a core, for each tile with the header that it keeps.
pub(super) type OfCores<'d> = Box<dyn Fn(Tile, LocalId) -> Steps<'d> + 'd>;

/// What a running softmax takes at once.
const APART: &str = "keys come with their values";

fn kernel(d: &DesignBuilder, k: Kernel) -> KernelId {
    d.kernel(Arc::new(verify(k).unwrap_or_else(|e| panic!("{e}"))))
}

fn local(d: &DesignBuilder, at: Tile, name: &str, elem: Elem, len: u32) -> LocalId {
    d.local(format!("{name}_{}_{}", at.col, at.row), at, MemType::flat(elem, len), None, None)
}

/// The first elements of an object.
fn seen(object: ObjectId, elem: Elem, len: u32) -> Arg {
    Arg::Object { object, view: Some(View { byte_offset: 0, ty: MemType::flat(elem, len) }) }
}

/// The first elements of a local buffer.
fn seen_local(buffer: LocalId, elem: Elem, len: u32) -> Arg {
    seen_from(buffer, 0, elem, len)
}

/// Elements of a local buffer from a byte on.
fn seen_from(buffer: LocalId, byte_offset: u32, elem: Elem, len: u32) -> Arg {
    Arg::Local { buffer, view: Some(View { byte_offset: byte_offset.into(), ty: MemType::flat(elem, len) }) }
}

/// With q, k and v in bytes, and ctx in `out`.
pub(super) fn of_integers(d: &DesignBuilder, shape: AttentionShape, out: Elem) -> OfCores<'_> {
    let (start, block) = (kernel(d, attention::start(shape)), kernel(d, attention::block(shape)));
    let finish = kernel(d, attention::finish(shape, out));
    let ctx_len = shape.rows * shape.dims;
    Box::new(move |at, header| {
        let header = seen_local(header, Elem::I32, HEADER_WORDS);
        let local = |name: &str, elem, len| local(d, at, name, elem, len);
        let sums = local("sums", Elem::I32, shape.sums_len());
        let total = local("total", Elem::I32, shape.lanes_len());
        let top = local("top", Elem::I16, shape.lanes_len());
        let counted = local("seen", Elem::I32, HEADER_WORDS);
        let scores = local("scores", Elem::I16, shape.scores_len());
        let octaves = local("octaves", Elem::I16, shape.lanes_len());
        let weights_fit = shape.scores_len() <= ctx_len * out.bytes();
        let weights = (!weights_fit).then(|| local("weights", Elem::U8, shape.scores_len()));
        Box::new(move |p, step| match step {
            Step::Start => p.call(start, [sums, total, top, counted].map(Arg::from)),
            Step::Block { queries, keys, values, result } => {
                let mut args: Vec<Arg> = vec![queries.into(), keys.into(), values.into(), header.clone()];
                args.extend([sums, total, top, counted, scores].map(Arg::from));
                let in_result = seen(result, Elem::U8, shape.scores_len());
                args.extend([weights.map_or(in_result, Arg::from), octaves.into()]);
                p.call(block, args);
            }
            Step::Finish { result } => {
                let working = [octaves, top].map(Arg::from);
                let ctx = seen(result, out, ctx_len);
                p.call(finish, [&[sums.into(), total.into(), header.clone()], &working[..], &[ctx]].concat());
            }
            Step::Keys { .. } | Step::Softmax | Step::Values { .. } => unreachable!("{APART}"),
        })
    })
}

/// With a normalised softmax, everything in bytes.
pub(super) fn of_bytes(d: &DesignBuilder, shape: NormalisedShape) -> OfCores<'_> {
    let [start, score, softmax, mix, finish] = [
        attention_normalised::start,
        attention_normalised::score,
        attention_normalised::normalise,
        attention_normalised::mix,
        attention_normalised::finish,
    ]
    .map(|part| kernel(d, part(shape)));
    Box::new(move |at, header| {
        let words = seen_local(header, Elem::I32, attention_normalised::HEADER_WORDS);
        let table = seen_from(header, Header::TABLE_BYTE, Elem::I16, ENTRIES);
        let local = |name: &str, elem, len| local(d, at, name, elem, len);
        let sums = local("sums", Elem::I32, shape.sums_len());
        let counted = local("seen", Elem::I32, attention_normalised::HEADER_WORDS);
        let scores: Vec<LocalId> =
            (0..shape.scores()).map(|i| local(&format!("scores{i}"), Elem::I8, shape.scores_len())).collect();
        let scores = move || scores.iter().map(|&buffer| Arg::from(buffer)).collect::<Vec<_>>();
        Box::new(move |p, step| match step {
            Step::Start => p.call(start, [sums, counted].map(Arg::from)),
            Step::Keys { queries, keys } => {
                let args = [queries.into(), keys.into(), words.clone(), counted.into()];
                p.call(score, [&args[..], &scores()].concat());
            }
            Step::Softmax => {
                for scores in scores() {
                    p.call(softmax, vec![words.clone(), table.clone(), counted.into(), scores]);
                }
            }
            Step::Values { values } => {
                p.call(mix, [&scores()[..], &[values.into(), sums.into(), counted.into()]].concat());
            }
            Step::Finish { result } => p.call(finish, vec![sums.into(), words.clone(), result.into()]),
            Step::Block { .. } => unreachable!("keys and values come apart"),
        })
    })
}

/// With everything in bf16.
pub(super) fn of_bf16(d: &DesignBuilder, shape: AttentionShape) -> OfCores<'_> {
    let start = kernel(d, attention_bf16::start(shape));
    let block = kernel(d, attention_bf16::block(shape));
    let finish = kernel(d, attention_bf16::finish(shape));
    let (ctx_len, keys_len) = (shape.rows * shape.dims, attention_bf16::KEYS * shape.dims);
    let (total_len, weights_len) = (attention_bf16::total_len(shape), attention_bf16::weights_len(shape));
    Box::new(move |at, header| {
        let header = seen_local(header, Elem::I32, HEADER_WORDS);
        let local = |name: &str, elem, len| local(d, at, name, elem, len);
        let sums = local("sums", Elem::F32, shape.sums_len());
        // Floats to add to, and integers to take apart.
        let total = local("total", Elem::I8, 4 * total_len);
        let counted = local("seen", Elem::I32, HEADER_WORDS);
        let factors = local("factors", Elem::I32, total_len);
        let weights_fit = weights_len <= ctx_len;
        let weights = (!weights_fit).then(|| local("weights", Elem::Bf16, weights_len));
        let floats = seen_local(total, Elem::F32, total_len);
        Box::new(move |p, step| match step {
            Step::Start => p.call(start, vec![sums.into(), floats.clone(), counted.into()]),
            Step::Block { queries, keys, values, result } => {
                let operands = [(queries, ctx_len), (keys, keys_len), (values, keys_len)];
                let mut args: Vec<Arg> = operands.map(|(object, len)| seen(object, Elem::Bf16, len)).to_vec();
                args.extend([header.clone(), sums.into(), floats.clone(), counted.into()]);
                args.push(weights.map_or(seen(result, Elem::Bf16, weights_len), Arg::from));
                p.call(block, args);
            }
            Step::Finish { result } => {
                let bits = seen_local(total, Elem::I32, total_len);
                p.call(finish, vec![sums.into(), bits, factors.into(), seen(result, Elem::Bf16, ctx_len)]);
            }
            Step::Keys { .. } | Step::Softmax | Step::Values { .. } => unreachable!("{APART}"),
        })
    })
}
