//! One kernel on one core, for tests of a kernel alone on the array: its memory parameters come from the host as one
//! object and go back as one, so that any number of them takes one channel each way.

use crate::case::{Arg as CaseArg, Case};
use crate::copy;
use crate::designs::gemm::STACK_BYTES;
use kiln_dsl::Verified;
use kiln_dsl::array::{self, Arg, Design, DesignBuilder, MemType, Port, Tile, View, WordRef};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::{Elem, Kernel, Param, ParamKind, verify};
use std::ops::Range;
use std::sync::Arc;

/// A kernel's own design, ready for one case.
#[derive(Clone, Debug)]
pub struct Single {
    /// The design.
    pub design: Design,
    /// Host buffers before the run: the number of calls where it is counted, inputs where the kernel has some, then outputs.
    pub host: Vec<Vec<u8>>,
    /// Of each parameter that the case has a result for, where it lies in the last buffer.
    pub outputs: Vec<(usize, Range<usize>)>,
}

/// Parts of objects start at multiples of the widest load.
const ALIGN: u32 = 64;
/// Words of the object that holds the number of calls.
const CALLS_WORDS: u32 = 16;

/// How often the core calls its kernel for one object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calls {
    Once,
    /// As an object of its own says.
    Counted,
}

/// Where a parameter lies in an object, if it goes in or comes out.
struct Place {
    input: Option<u32>,
    output: Option<u32>,
}

/// The design of `kernel` for `case`. `None` for a kernel of a cascade, which needs its neighbour, and for one that npu1's L1
/// does not hold with all its data going in and coming out.
///
/// What the kernel keeps between calls starts as zeros. Parameters that it reads and writes are copied from the input to the
/// output first; so are those that it only writes, where L1 has room: what it leaves alone then comes out as in the case.
///
/// # Panics
/// When the case is not the kernel's.
pub fn single(kernel: &Verified<Kernel>, case: &Case) -> Option<Single> {
    alone(kernel, case, Calls::Once)
}

/// As [`single`], for the time of a call: the core calls the kernel as often as the first word of the first buffer says, which
/// is 1, on the same memory. What comes out is the case's result after one call.
///
/// # Panics
/// When the case is not the kernel's.
pub fn counted(kernel: &Verified<Kernel>, case: &Case) -> Option<Single> {
    alone(kernel, case, Calls::Counted)
}

fn alone(kernel: &Verified<Kernel>, case: &Case, calls: Calls) -> Option<Single> {
    if kernel.reads_cascade() || kernel.writes_cascade() {
        return None;
    }
    assert_eq!(kernel.params.len(), case.args.len(), "arguments of {}", kernel.name);
    [true, false].into_iter().find_map(|outputs_go_in| {
        let single = with_places(kernel, case, calls, outputs_go_in);
        array::verify(single.design.clone(), Device::npu1()).is_ok().then_some(single)
    })
}

fn with_places(kernel: &Verified<Kernel>, case: &Case, calls: Calls, outputs_go_in: bool) -> Single {
    let mut sizes = [0u32; 2];
    let mut take = |at: usize, p: &Param| {
        let first = sizes[at].next_multiple_of(ALIGN.max(p.align_bytes));
        sizes[at] = first + padded(p);
        first
    };
    let goes_in = |kind: &ParamKind| match kind {
        ParamKind::In | ParamKind::InOut => true,
        ParamKind::Out => outputs_go_in,
        _ => false,
    };
    let places: Vec<Place> = kernel
        .params
        .iter()
        .map(|p| Place {
            input: goes_in(&p.kind).then(|| take(0, p)),
            output: matches!(p.kind, ParamKind::Out | ParamKind::InOut).then(|| take(1, p)),
        })
        .collect();
    let mut host: Vec<Vec<u8>> = sizes.map(|bytes| vec![0; bytes as usize]).into();
    for (place, arg) in places.iter().zip(&case.args) {
        if let (Some(at), CaseArg::Bytes(bytes)) = (place.input, arg) {
            host[0][at as usize..][..bytes.len()].copy_from_slice(bytes);
        }
    }
    if sizes[0] == 0 {
        host.remove(0);
    }
    if calls == Calls::Counted {
        let mut words = vec![0; 4 * CALLS_WORDS as usize];
        words[0] = 1;
        host.insert(0, words);
    }
    // What the case says nothing of is the kernel's own work space.
    let is_result = |at: usize| case.expected.iter().any(|(param, _)| *param == at);
    let outputs = places.iter().zip(&kernel.params).enumerate().filter_map(|(at, (place, p))| {
        let first = place.output.filter(|_| is_result(at))? as usize;
        Some((at, first..first + p.bytes() as usize))
    });
    Single { outputs: outputs.collect(), design: design(kernel, case, calls, &places, sizes), host }
}

/// Bytes of a parameter, up to what the copying kernel takes.
fn padded(param: &Param) -> u32 {
    (param.bytes() as u32).next_multiple_of(ALIGN)
}

fn design(kernel: &Verified<Kernel>, case: &Case, calls: Calls, places: &[Place], sizes: [u32; 2]) -> Design {
    let name = &kernel.name;
    let d = match calls {
        Calls::Once => DesignBuilder::new(format!("single_{name}"), format!("One call of {name}.")),
        Calls::Counted => DesignBuilder::new(format!("counted_{name}"), format!("Calls of {name}, counted.")),
    };
    d.columns(1);
    let (shim, core) = (Tile::new(0, 0), Tile::new(0, 2));
    let called = d.kernel(Arc::new(kernel.clone()));
    let bytes = |len: u32| MemType::flat(Elem::I8, len);
    let words = MemType::flat(Elem::I32, CALLS_WORDS);
    let counter =
        (calls == Calls::Counted).then(|| d.fifo("calls", shim, [core], words.clone()).depths([1, 1]).id());
    let input = (sizes[0] > 0).then(|| d.fifo("in", shim, [core], bytes(sizes[0])).depths([1, 1]).id());
    let output = d.fifo("out", core, [shim], bytes(sizes[1])).depths([1, 1]).id();
    let locals: Vec<_> = kernel
        .params
        .iter()
        .map(|p| {
            let init = match &p.kind {
                ParamKind::Table(bytes) => Some(bytes.clone()),
                ParamKind::State => Some(vec![0; p.bytes() as usize]),
                ParamKind::Scratch => None,
                _ => return None,
            };
            let ty = MemType::flat(p.elem, p.layout.elements() as u32);
            Some(d.local(format!("{}_{}", kernel.name, p.name), core, ty, init, p.bank))
        })
        .collect();
    let mut copies: Vec<(u32, _)> = Vec::new();
    let both = |place: &&Place| place.input.is_some() && place.output.is_some();
    for (p, _) in kernel.params.iter().zip(places).filter(|(_, place)| both(place)) {
        let len = padded(p);
        if copies.iter().all(|(known, _)| *known != len) {
            let copy = verify(copy::copy_i8(len)).unwrap_or_else(|e| panic!("{e}"));
            copies.push((len, d.kernel(Arc::new(copy))));
        }
    }
    d.core(core, |p| {
        p.stack_bytes(STACK_BYTES);
        p.forever(|p| {
            let count = counter.map(|fifo| {
                let object = p.consume(fifo);
                p.release(fifo, Port::Consume, 1);
                WordRef { object, index: 0 }
            });
            let x = input.map(|fifo| p.consume(fifo));
            let y = p.produce(output);
            let part =
                |object, at: u32, ty| Arg::Object { object, view: Some(View { byte_offset: at.into(), ty }) };
            for (param, place) in kernel.params.iter().zip(places) {
                if let (Some(x), Some(from), Some(to)) = (x, place.input, place.output) {
                    let len = padded(param);
                    let copy = copies.iter().find(|(known, _)| *known == len).map(|(_, id)| *id);
                    let copy = copy.expect("one for each size");
                    p.call(copy, vec![part(x, from, bytes(len)), part(y, to, bytes(len))]);
                }
            }
            let arg = |at: usize| {
                let param = &kernel.params[at];
                let ty = || MemType::flat(param.elem, param.layout.elements() as u32);
                match (locals[at], &places[at], &case.args[at], x) {
                    (Some(local), ..) => local.into(),
                    (_, Place { output: Some(first), .. }, ..) => part(y, *first, ty()),
                    (_, Place { input: Some(first), .. }, _, Some(x)) => part(x, *first, ty()),
                    (_, _, CaseArg::I32(value), _) => Arg::Const(*value),
                    _ => panic!("{}: the case has no value for {}", kernel.name, param.name),
                }
            };
            let args: Vec<Arg> = (0..kernel.params.len()).map(arg).collect();
            match count {
                Some(count) => p.repeat_word(count, |p| p.call(called, args)),
                None => p.call(called, args),
            }
            if let Some(fifo) = input {
                p.release(fifo, Port::Consume, 1);
            }
            p.release(output, Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let count = counter.map(|fifo| (s.buffer("calls", words.clone()), fifo));
        let from = input.map(|fifo| (s.buffer("in", bytes(sizes[0])), fifo));
        let to = s.buffer("out", bytes(sizes[1]));
        s.copy_linear(to, output, 0, sizes[1].into()).token();
        if let Some((count, fifo)) = count {
            s.copy_linear(count, fifo, 0, CALLS_WORDS.into());
        }
        if let Some((from, fifo)) = from {
            s.copy_linear(from, fifo, 0, sizes[0].into());
        }
        s.wait(output);
    });
    d.build()
}
