//! One broken design per rule: a design that verifies, changed so that it must be refused for that
//! reason.

use super::{ArrayError, verify};
use crate::array::{
    Arg, Count, Design, DesignBuilder, Dim, FifoId, FifoRef, KernelId, LocalBuffer, LocalId, MemType,
    ObjectId, Port, SequenceBuilder, Stmt, Tile, WordRef, examples,
};
use crate::device::Device;
use crate::kernel::build::Acc32;
use crate::kernel::{Elem, Kernel, Loc, ParamKind, verify as verify_kernel};
use crate::num::{Rounding, Saturation};
use crate::sequence::{Command, HostBufferId};

const CORE: Tile = Tile::new(0, 2);
const MEM: Tile = Tile::new(0, 1);
const SHIM: Tile = Tile::new(0, 0);

fn errors(design: Design) -> Vec<ArrayError> {
    verify(design, Device::npu1()).err().map_or_else(Vec::new, |e| e.errors)
}

/// Some error of a design matches.
macro_rules! has {
    ($design:expr, $pattern:pat $(if $guard:expr)?) => {{
        let found = errors($design);
        assert!(found.iter().any(|e| matches!(e, $pattern $(if $guard)?)), "{found:#?}");
    }};
}

/// The only error of a design matches.
macro_rules! only {
    ($design:expr, $pattern:pat $(if $guard:expr)?) => {{
        let found = errors($design);
        assert!(matches!(&found[..], [$pattern] $(if $guard)?), "{found:#?}");
    }};
}

mod missed;
mod program;
mod refused;
mod sequence;

fn relu2(change: impl FnOnce(&mut Design)) -> Design {
    let mut design = examples::relu2();
    change(&mut design);
    design
}

fn dispatch(change: impl FnOnce(&mut Design)) -> Design {
    let mut design = examples::dispatch();
    change(&mut design);
    design
}

fn views(change: impl FnOnce(&mut Design)) -> Design {
    let mut design = examples::views();
    change(&mut design);
    design
}

/// The statements in the endless loop of a design's first core.
fn turn(design: &mut Design) -> &mut Vec<Stmt> {
    match &mut design.cores[0].body[0] {
        Stmt::Loop { body, .. } => body,
        other => panic!("{other:?}"),
    }
}

/// The arguments of call `nth` of that loop.
fn args(design: &mut Design, nth: usize) -> &mut Vec<Arg> {
    let calls = turn(design)
        .iter_mut()
        .filter_map(|s| if let Stmt::Call { args, .. } = s { Some(args) } else { None });
    calls.into_iter().nth(nth).expect("a call")
}

/// A copy of the sequence: offsets, sizes, strides, BD.
fn copy(design: &mut Design, at: usize) -> (&mut [u64; 4], &mut [u64; 4], &mut [u64; 4], &mut u8) {
    match &mut design.sequence.commands[at] {
        Command::Copy { offsets, sizes, strides, bd_id, .. } => (offsets, sizes, strides, bd_id),
        other => panic!("{other:?}"),
    }
}

fn i8s(len: u32) -> MemType {
    MemType::flat(Elem::I8, len)
}

/// Host to mem tile to core: `x3` linked to `x`, which `edit` may change; the core takes each object
/// and gives it back.
fn to_core(len: u32, edit: impl FnOnce(FifoRef<'_>)) -> Design {
    let d = DesignBuilder::new("to_core", "Bytes to a core that drops them.");
    let x3 = d.fifo("x3", SHIM, [MEM], i8s(len));
    let x = d.fifo("x", MEM, [CORE], i8s(len));
    edit(x);
    d.link([x3], [x]);
    d.core(CORE, |c| {
        c.forever(|c| {
            c.consume(x);
            c.release(x, Port::Consume, 1);
        });
    });
    d.sequence(|s| {
        let h = s.buffer("h", i8s(4 * len));
        s.copy_linear(h, x3, 0, u64::from(4 * len));
        s.wait(x3);
    });
    d.build()
}

#[test]
fn the_examples_verify() {
    let all =
        [examples::relu2(), examples::mm4x4(), examples::dispatch(), examples::cascade(), examples::views()];
    for design in all {
        let name = design.name.clone();
        assert_eq!(errors(design), [], "{name}");
    }
}

#[test]
fn messages_name_the_object_the_numbers_and_the_place() {
    let design = relu2(|d| *copy(d, 0).0 = [0, 0, 0, 4096]);
    let text = verify(design, Device::npu1()).expect_err("past the buffer").to_string();
    assert!(text.starts_with("design relu2: 1 error\n- copy of in_l2: reaches element 69631"), "{text}");
    assert!(text.contains("buffer x, which has 65536") && text.contains("examples.rs:"), "{text}");
}

#[test]
fn all_errors_come_at_once() {
    let found = errors(relu2(|d| {
        d.fifos[0].depths = vec![2];
        d.cores[0].stack_bytes = Some(100);
        *copy(d, 0).3 = 16;
    }));
    assert!(found.iter().any(|e| matches!(e, ArrayError::DepthCount { got: 1, ends: 2, .. })));
    assert!(found.iter().any(|e| matches!(e, ArrayError::StackBytes { bytes: 100, .. })));
    assert!(found.iter().any(|e| matches!(e, ArrayError::CopyBd { bd: 16, max: 15, .. })));
}

#[test]
fn columns_tiles_and_symbols() {
    has!(relu2(|d| d.columns = 5), ArrayError::Columns { columns: 5, limit: 4 });
    has!(relu2(|d| d.cores[0].tile = Tile::new(4, 2)), ArrayError::TileOutside { .. });
    has!(relu2(|d| d.cores[0].tile = MEM), ArrayError::NotACore { .. });
    only!(relu2(|d| d.fifos[0].name = "in-l2".into()), ArrayError::BadSymbol { .. });
    only!(relu2(|d| d.fifos[0].name = "in_c0".into()), ArrayError::DuplicateSymbol { .. });
    only!(relu2(|d| d.sequence.buffers[0].name = "y".into()), ArrayError::DuplicateSymbol { .. });
    let other = examples::kernel("relu_i8", vec![examples::param("x", ParamKind::In, Elem::I8, 4)]);
    only!(relu2(|d| d.kernels.push(other)), ArrayError::KernelClash { .. });
    has!(relu2(|d| d.cores[1] = d.cores[0].clone()), ArrayError::TwoCores { .. });
}

#[test]
fn fifo_shapes() {
    has!(relu2(|d| d.fifos[1].depths = vec![2, 0]), ArrayError::DepthZero { .. });
    has!(relu2(|d| d.fifos[1].consumers.clear()), ArrayError::NoConsumer { .. });
    has!(relu2(|d| d.fifos[1].consumers.push(CORE)), ArrayError::ConsumerTwice { .. });
    has!(relu2(|d| d.fifos[1].from_stream.push(Vec::new())), ArrayError::FromStreamCount { got: 2, .. });
    has!(to_core(6, |_| {}), ArrayError::ObjectBytes { bytes: 6, granule: 4, .. });
    // 17,500 words at a core, whose BDs count to 16,383.
    let long = ArrayError::BdTooLong {
        fifo: "x".into(),
        tile: CORE,
        bytes: 70_000,
        limit_bytes: 65_532,
        loc: to_core(4, |_| {}).fifos[1].loc.clone(),
    };
    assert!(
        errors(to_core(70_000, |x| {
            x.depths([1, 1]);
        }))
        .contains(&long)
    );
    has!(
        relu2(|d| {
            d.cores.pop();
        }),
        ArrayError::EndUnused { .. }
    );
    has!(
        relu2(|d| {
            d.sequence.commands.remove(0);
        }),
        ArrayError::ShimUnused { .. }
    );
}

#[test]
fn orders_of_access() {
    let to = |len, dims: &[(u32, u32)]| {
        to_core(len, |x| {
            x.to_stream(dims.iter().copied());
        })
    };
    let from = |len, dims: &[(u32, u32)]| {
        to_core(len, |x| {
            x.from_stream(CORE, dims.iter().copied());
        })
    };
    assert_eq!(errors(to(1024, &[(4, 256), (4, 8), (8, 32), (8, 1)])), []);
    assert_eq!(errors(from(1024, &[(4, 256), (32, 8), (8, 1)])), []);
    only!(from(1024, &[(4, 256), (4, 8), (8, 32), (8, 1)]), ArrayError::DimCount { got: 4, limit: 3, .. });
    only!(to(1024, &[(4, 256), (32, 8), (4, 1)]), ArrayError::DimsCover { visited: 512, elements: 1024, .. });
    only!(
        to(1024, &[(4, 512), (32, 8), (8, 1)]),
        ArrayError::DimsOutside { index: 1791, elements: 1024, .. }
    );
    has!(to(1024, &[(32, 1), (32, 32)]), ArrayError::InnerStride { stride: 32, .. });
    has!(to(1024, &[(512, 2), (2, 1)]), ArrayError::DimGranule { bytes: 2, granule: 4, .. });
    only!(
        from(4096, &[(4, 4), (256, 16), (4, 1)]),
        ArrayError::DimSize { size: 256, limit: 255, dim: 1, .. }
    );
    has!(to(1024, &[(4, 0), (256, 1)]), ArrayError::DimStride { words: 0, .. });
    has!(
        relu2(|d| d.fifos[0].to_stream = vec![Dim { size: 4096, stride: 1 }]),
        ArrayError::DimsAtShim { .. }
    );
}

#[test]
fn repeats_and_initial_objects() {
    has!(relu2(|d| d.fifos[1].repeat = 0), ArrayError::Repeat { times: 0, max: 63, .. });
    has!(relu2(|d| d.fifos[1].repeat = 64), ArrayError::Repeat { times: 64, .. });
    has!(relu2(|d| d.fifos[0].repeat = 2), ArrayError::AtShim { what: "a repeat count", .. });
    has!(
        relu2(|d| d.fifos[0].init = vec![vec![0; 4096]; 2]),
        ArrayError::AtShim { what: "initial objects", .. }
    );
    // One target of a split sends twice, the other once.
    has!(relu2(|d| d.fifos[1].repeat = 2), ArrayError::RepeatsDiffer { one_times: 2, other_times: 1, .. });
    has!(relu2(|d| d.fifos[5].repeat = 2), ArrayError::RepeatOfJoin { .. });
    let bytes = examples::relu2().fifos[1].object.bytes() as usize;
    has!(relu2(|d| d.fifos[1].init = vec![vec![0; bytes]]), ArrayError::InitCount { got: 1, depth: 2, .. });
    has!(
        relu2(|d| d.fifos[1].init = vec![vec![0; bytes], vec![0; 3]]),
        ArrayError::ObjectInit { at: 1, got: 3, .. }
    );
    // 40 sendings of each of two objects: a lock counts to 63.
    has!(
        relu2(|d| [1, 2].iter().for_each(|&f| d.fifos[f].repeat = 40)),
        ArrayError::LockInit { depth: 80, .. }
    );
}

#[test]
fn links() {
    // The silent one: 500 -> 256 + 256.
    let short = relu2(|d| d.fifos[0].object = i8s(4000));
    has!(short, ArrayError::LinkPart { from: 2048, to: 4000, part_bytes: 1952, object_bytes: 2048, .. });
    has!(relu2(|d| d.links[0].target_offsets = vec![0, 2000]), ArrayError::LinkPart { .. });
    has!(relu2(|d| d.links[0].target_offsets = vec![0]), ArrayError::LinkOffsets { got: 1, parts: 2, .. });
    has!(relu2(|d| d.links[0].sources.push(FifoId(3))), ArrayError::LinkShape { sources: 2, targets: 2, .. });
    has!(relu2(|d| d.links[0].sources = vec![FifoId(9)]), ArrayError::UnknownId { index: 9, count: 6, .. });
    has!(relu2(|d| d.links[0].targets[1] = FifoId(3)), ArrayError::LinkTile { as_target: true, .. });
    has!(relu2(|d| d.links.push(d.links[0].clone())), ArrayError::LinkTwice { .. });
    let reordered = relu2(|d| d.fifos[0].from_stream[0] = vec![Dim { size: 4096, stride: 1 }]);
    has!(reordered, ArrayError::DimsCover { visited: 4096, elements: 2048, .. });
    let by_part = relu2(|d| {
        d.fifos[0].from_stream[0] = vec![Dim { size: 2, stride: 1024 }, Dim { size: 1024, stride: 1 }]
    });
    assert_eq!(errors(by_part), [], "each part is in the order of its own");
    has!(
        dispatch(|d| d.fifos[2].object = i8s(5000)),
        ArrayError::LinkSizes { source_bytes: 5000, target_bytes: 8192, .. }
    );
    let at_core = DesignBuilder::new("at_core", "");
    let [a, b, c] = [("a", SHIM, CORE), ("b", CORE, MEM), ("c", CORE, MEM)]
        .map(|(n, p, q)| at_core.fifo(n, p, [q], i8s(64)));
    at_core.split(a, [(b, 0), (c, 32)]);
    has!(at_core.build(), ArrayError::LinkPlace { .. });
}

#[test]
fn budgets() {
    has!(relu2(|d| d.fifos[1].depths = vec![2, 64]), ArrayError::LockInit { depth: 64, max: 63, .. });
    has!(
        to_core(16_384, |x| {
            x.depths([2, 4]);
        }),
        ArrayError::OutOfMemory { used_bytes: 66_564, limit_bytes: 65_536, .. }
    );
    has!(
        to_core(64, |x| {
            x.depths([2, 17]);
        }),
        ArrayError::TooManyBds { used: 17, limit: 16, .. }
    );
    let mem = dispatch(|d| d.fifos[2].depths = vec![2, 65]);
    has!(mem, ArrayError::OutOfMemory { used_bytes: 532_480, limit_bytes: 524_288, tile: MEM, .. });
    let bank = views(|d| (d.locals[1].ty, d.locals[1].bank) = (MemType::flat(Elem::I32, 512), Some(0)));
    assert_eq!(errors(bank), []);
    has!(views(|d| d.locals[1].bank = Some(4)), ArrayError::NoSuchBank { bank: 4, banks: 4, .. });
    let big = LocalBuffer {
        name: "big".into(),
        tile: CORE,
        ty: i8s(16_000),
        init: None,
        bank: Some(0),
        address: None,
        loc: Loc::UNKNOWN,
    };
    has!(views(|d| d.locals.push(big)), ArrayError::BankFull { bank: 0, bytes: 16_000, .. });
    has!(
        views(|d| d.locals[0].init = Some(vec![7; 255])),
        ArrayError::InitBytes { got: 255, expected: 256, .. }
    );
}

#[test]
fn a_third_input_of_a_core_is_one_too_many() {
    let d = DesignBuilder::new("three", "");
    let inputs = ["a", "b", "c"].map(|name| d.fifo(name, SHIM, [CORE], i8s(64)));
    d.core(CORE, |k| {
        k.forever(|k| {
            for i in inputs {
                k.consume(i);
                k.release(i, Port::Consume, 1);
            }
        });
    });
    d.sequence(|s| {
        let h = s.buffer("h", i8s(64));
        for i in inputs {
            s.copy_linear(h, i, 0, 64);
        }
    });
    let found = errors(d.build());
    let over: Vec<Tile> = found
        .iter()
        .filter_map(|e| {
            if let ArrayError::TooManyChannels { tile, used: 3, limit: 2, .. } = e {
                Some(*tile)
            } else {
                None
            }
        })
        .collect();
    assert_eq!(over, [SHIM, CORE]);
}

#[test]
fn cascades() {
    let cascade = |from, to| {
        let mut d = examples::cascade();
        (d.cascades[0].from, d.cascades[0].to) = (from, to);
        d
    };
    only!(cascade(Tile::new(0, 2), Tile::new(0, 3)), ArrayError::CascadeDirection { .. });
    only!(cascade(Tile::new(0, 4), Tile::new(0, 2)), ArrayError::CascadeDirection { .. });
    assert_eq!(errors(cascade(Tile::new(0, 2), Tile::new(1, 2))), []);
    let mut twice = examples::cascade();
    twice.cascades.push(twice.cascades[0].clone());
    has!(twice, ArrayError::CascadeTwice { .. });
}

#[test]
fn kernels_that_use_the_cascade_run_where_there_is_one() {
    let pass = || {
        let kernel = Kernel::build("pass", Rounding::ConvEven, Saturation::On, |k| {
            k.cascade_get::<Acc32, 16>().cascade_put();
        });
        std::sync::Arc::new(verify_kernel(kernel).unwrap_or_else(|e| panic!("{e}")))
    };
    let along = |cascades: &[(u8, u8)]| {
        let d = DesignBuilder::new("along", "");
        let k = d.kernel(pass());
        for &(from, to) in cascades {
            d.cascade(Tile::new(0, from), Tile::new(0, to));
        }
        d.core(Tile::new(0, 3), |c| c.forever(|c| c.call(k, Vec::<Arg>::new())));
        errors(d.build())
    };
    let missing = |cascades: &[(u8, u8)]| -> Vec<bool> {
        let out = |e: &ArrayError| match e {
            ArrayError::NoCascade { out, kernel, .. } if kernel == "pass" => Some(*out),
            _ => None,
        };
        along(cascades).iter().filter_map(out).collect()
    };
    assert_eq!(missing(&[]), [false, true]);
    assert_eq!(missing(&[(4, 3)]), [true]);
    assert_eq!(missing(&[(3, 2)]), [false]);
    assert_eq!(missing(&[(4, 3), (3, 2)]), [true; 0]);
}

#[test]
fn core_local_parameters_get_buffers_of_their_own() {
    let d = DesignBuilder::new("automatic", "");
    let lut = vec![1, 2, 3, 4];
    let k = examples::kernel(
        "k",
        vec![
            examples::param("x", ParamKind::In, Elem::I8, 64),
            examples::param("lut", ParamKind::Table(lut.clone()), Elem::I8, 4),
            examples::param("sum", ParamKind::State, Elem::I32, 8),
        ],
    );
    let (first, second) = (d.kernel(k.clone()), d.kernel(k));
    let x = d.fifo("x", SHIM, [CORE], i8s(64));
    d.core(CORE, |c| {
        c.forever(|c| {
            let o = c.consume(x);
            c.call(first, (o,));
            c.call(first, (o,));
            c.call(second, (o,));
            c.release(x, Port::Consume, 1);
        });
    });
    d.sequence(|s| {
        let h = s.buffer("h", i8s(64));
        s.copy_linear(h, x, 0, 64);
    });
    let design = d.build();
    let names: Vec<&str> = design.locals.iter().map(|l| l.name.as_str()).collect();
    assert_eq!(names, ["k_lut_c0r2", "k_sum_c0r2", "k_lut_c0r2_2", "k_sum_c0r2_2"]);
    assert_eq!(design.locals[0].init.as_deref(), Some(&lut[..]));
    assert_eq!(errors(design), []);
}

/// Two cores, one above the other, and the FIFO between them.
fn neighbours(change: impl for<'d> FnOnce(FifoRef<'d>) -> FifoRef<'d>) -> (Design, FifoId) {
    let d = DesignBuilder::new("neighbours", "");
    let north = Tile::new(0, 3);
    let x = d.fifo("x", SHIM, [CORE], i8s(64));
    let shared = change(d.fifo("shared", CORE, [north], i8s(64)).depths([3, 3])).id();
    let y = d.fifo("y", north, [SHIM], i8s(64));
    let k = d.kernel(examples::kernel(
        "k",
        vec![
            examples::param("x", ParamKind::In, Elem::I8, 64),
            examples::param("y", ParamKind::Out, Elem::I8, 64),
        ],
    ));
    for (tile, from, to) in [(CORE, x.id(), shared), (north, shared, y.id())] {
        d.core(tile, |c| {
            c.forever(|c| {
                let (a, b) = (c.consume(from), c.produce(to));
                c.call(k, (a, b));
                c.release(from, Port::Consume, 1);
                c.release(to, Port::Produce, 1);
            });
        });
    }
    d.sequence(|s| {
        let h = s.buffer("h", i8s(64));
        s.copy_linear(h, x, 0, 64);
        s.copy_linear(h, y, 0, 64);
        s.wait(y);
    });
    (d.build(), shared)
}

/// The tiles that hold the objects of the FIFO between neighbours, as each of the cores has them.
fn held_by(design: Design, shared: FifoId) -> Vec<(Tile, usize)> {
    let design = verify(design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let lowered = crate::array::lower(&design, Device::npu1(), Default::default()).expect("lowers");
    assert_eq!(lowered.flows.len(), 2, "none of them for the FIFO between neighbours");
    let ends = lowered.cores.iter().flat_map(|c| &c.ends).filter(|(f, _, _)| *f == shared);
    ends.map(|(_, _, end)| (end.memory, end.buffers.len())).collect()
}

#[test]
fn neighbours_that_share_memory_need_no_channels() {
    let (design, shared) = neighbours(|f| f);
    assert_eq!(held_by(design, shared), [(CORE, 3); 2]);
}

#[test]
fn objects_that_neighbours_share_lie_where_both_reach() {
    let north = Tile::new(0, 3);
    let (design, shared) = neighbours(|f| f.in_memory_of(north));
    let text =
        crate::emit::emit_mlir(&verify(design.clone(), Device::npu1()).expect("verifies"), Device::npu1());
    let text = text.expect("emits");
    assert!(text.contains("aie.objectfifo.allocate @shared(%tile_0_3)"), "{text}");
    let read = crate::emit::parse_mlir(&text).expect("reads");
    assert_eq!(read.fifos["shared"].memory, Some(north));
    assert_eq!(held_by(design, shared), [(north, 3); 2]);
    // The core below does not reach (0,4), one through DMAs shares nothing.
    only!(neighbours(|f| f.in_memory_of(Tile::new(0, 4))).0, ArrayError::MemoryOf { why, .. } if why.contains("reach"));
    only!(neighbours(|f| f.in_memory_of(north).via_dma()).0, ArrayError::MemoryOf { why, .. } if why.contains("DMAs"));
}
