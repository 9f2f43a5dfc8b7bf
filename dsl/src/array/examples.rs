//! The designs of `data/mlir`, rebuilt for tests. Kernels have the right signatures and no body.

use super::build::DesignBuilder;
use super::ir::{Design, MemType, Port, Tile};
use crate::kernel::{Block, Elem, Kernel, Layout, Loc, Param, ParamKind, Type, ValueId};
use crate::num::{Rounding, Saturation};
use crate::verified::Verified;
use std::path::PathBuf;
use std::sync::Arc;

/// `$KILN_SHARED/data/mlir`, or `../shared/data/mlir` next to the workspace; `None` (said on stderr)
/// when it is not there.
pub(crate) fn shared_mlir() -> Option<PathBuf> {
    shared("data/mlir")
}

/// A file or folder of the reference data, found like [`shared_mlir`].
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let shared = std::env::var_os("KILN_SHARED").map_or_else(|| workspace.join("../shared"), PathBuf::from);
    let found = shared.join(path);
    if !found.exists() {
        eprintln!("skipped: {} is not there (set KILN_SHARED)", found.display());
        return None;
    }
    Some(found)
}

/// A parameter of a kernel without a body.
pub(crate) fn param(name: &str, kind: ParamKind, elem: Elem, len: u32) -> Param {
    let layout = Layout::RowMajor(vec![len]);
    let value = (!kind.is_memory()).then_some(ValueId(0));
    Param { name: name.into(), kind, elem, layout, align_bytes: 1, bank: None, value, loc: Loc::UNKNOWN }
}

/// A kernel without a body.
pub(crate) fn kernel(name: &str, params: Vec<Param>) -> Arc<Verified<Kernel>> {
    let values = params.iter().filter(|p| !p.kind.is_memory()).map(|_| Type::Scalar).collect();
    let args = params.iter().filter_map(|p| p.value).collect();
    Arc::new(Verified::new(Kernel {
        name: name.into(),
        doc: String::new(),
        rounding: Rounding::ConvEven,
        saturation: Saturation::On,
        params,
        values,
        ops: Vec::new(),
        blocks: vec![Block { args, ops: Vec::new() }],
    }))
}

fn i8s(len: u32) -> MemType {
    MemType::flat(Elem::I8, len)
}

fn i32s(len: u32) -> MemType {
    MemType::flat(Elem::I32, len)
}

/// The five designs of `data/mlir`, by the names of their files.
pub(crate) fn all() -> [Design; 5] {
    [relu2(), mm4x4(), dispatch(), cascade(), views()]
}

/// `relu2.mlir`: two cores of column 0, fed and drained through the mem tile.
pub(crate) fn relu2() -> Design {
    let d = DesignBuilder::new("relu2", "Two cores of one column apply relu to halves of an object.");
    d.columns(4);
    let relu = d.kernel(kernel(
        "relu_i8",
        vec![
            param("x", ParamKind::In, Elem::I8, 2048),
            param("y", ParamKind::Out, Elem::I8, 2048),
            param("n", ParamKind::I32, Elem::I32, 1),
        ],
    ));
    let [shim, l2, ct0, ct1] = [0, 1, 2, 3].map(|row| Tile::new(0, row));
    let in_l2 = d.fifo("in_l2", shim, [l2], i8s(4096));
    let in_c0 = d.fifo("in_c0", l2, [ct0], i8s(2048));
    let in_c1 = d.fifo("in_c1", l2, [ct1], i8s(2048));
    d.split(in_l2, [(in_c0, 0), (in_c1, 2048)]);
    let out_c0 = d.fifo("out_c0", ct0, [l2], i8s(2048));
    let out_c1 = d.fifo("out_c1", ct1, [l2], i8s(2048));
    let out_l2 = d.fifo("out_l2", l2, [shim], i8s(4096));
    d.join([(out_c0, 0), (out_c1, 2048)], out_l2);
    for (tile, input, output) in [(ct0, in_c0, out_c0), (ct1, in_c1, out_c1)] {
        d.core(tile, |c| {
            c.stack_bytes(2048);
            c.forever(|c| {
                let x = c.consume(input);
                let y = c.produce(output);
                c.call(relu, (x, y, 2048));
                c.release(input, Port::Consume, 1);
                c.release(output, Port::Produce, 1);
            });
        });
    }
    d.sequence(|s| {
        let x = s.buffer("x", i8s(65536));
        let y = s.buffer("y", i8s(65536));
        s.copy_linear(x, in_l2, 0, 65536);
        s.copy_linear(y, out_l2, 0, 65536);
        s.wait(out_l2);
    });
    d.build()
}

/// `mm4x4.mlir`: A broadcast along rows, B along columns, C joined per column.
pub(crate) fn mm4x4() -> Design {
    let d = DesignBuilder::new("mm4x4", "A 256x256x256 product of int8 matrices on 16 cores.");
    let mm = d.kernel(kernel(
        "mm_i8_i32",
        vec![
            param("a", ParamKind::In, Elem::I8, 4096),
            param("b", ParamKind::In, Elem::I8, 4096),
            param("c", ParamKind::InOut, Elem::I32, 4096),
        ],
    ));
    let zero = d.kernel(kernel("zero_i32", vec![param("c", ParamKind::Out, Elem::I32, 4096)]));
    let (shim, mem) = (|col| Tile::new(col, 0), |col| Tile::new(col, 1));
    let core = |col, row| Tile::new(col, row + 2);
    let mut a3 = Vec::new();
    let mut a = Vec::new();
    for i in 0..4 {
        a3.push(d.fifo(format!("a3_{i}"), shim(i), [mem(i)], i8s(4096)));
        let cores = (0..4).map(|col| core(col, i));
        let a_i = d.fifo(format!("a_{i}"), mem(i), cores, i8s(4096));
        a.push(a_i.to_stream([(16, 256), (8, 8), (4, 64), (8, 1)]));
        d.link([a3[usize::from(i)]], [a_i]);
    }
    let (mut b3, mut b, mut c3, mut c) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for i in 0..4 {
        let b3_i = d.fifo(format!("b3_{i}"), shim(i), [mem(i)], i8s(4096));
        let b_i = d.fifo(format!("b_{i}"), mem(i), (0..4).map(|row| core(i, row)), i8s(4096));
        b.push(b_i.to_stream([(8, 512), (8, 8), (8, 64), (8, 1)]));
        b3.push(b3_i);
        d.link([b3_i], [b_i]);
        let parts: Vec<_> = (0..4)
            .map(|row| d.fifo(format!("c_{i}_{row}"), core(i, row), [mem(i)], i32s(4096)).depth(1))
            .collect();
        let c3_i = d.fifo(format!("c3_{i}"), mem(i), [shim(i)], i32s(16384));
        d.join(parts.iter().copied().zip([0, 4096, 8192, 12288]), c3_i);
        c.push(parts);
        c3.push(c3_i);
    }
    for col in 0..4 {
        for row in 0..4 {
            let (i, j) = (usize::from(col), usize::from(row));
            d.core(core(col, row), |k| {
                k.stack_bytes(3328);
                k.forever(|k| {
                    let out = k.produce(c[i][j]);
                    k.call(zero, (out,));
                    k.repeat(4, |k| {
                        let (x, y) = (k.consume(a[j]), k.consume(b[i]));
                        k.call(mm, (x, y, out));
                        k.release(a[j], Port::Consume, 1);
                        k.release(b[i], Port::Consume, 1);
                    });
                    k.release(c[i][j], Port::Produce, 1);
                });
            });
        }
    }
    d.sequence(|s| {
        let x = s.buffer("A", i8s(65536));
        let y = s.buffer("B", i8s(65536));
        let z = s.buffer("C", i32s(65536));
        for i in 0..4 {
            let at = i as u64;
            s.copy(z, c3[i], [0, 0, 0, 64 * at], [1, 1, 256, 64], [0, 0, 256, 1]);
            s.copy(x, a3[i], [0, 0, 0, 16384 * at], [1, 4, 64, 64], [0, 64, 256, 1]);
            s.copy(y, b3[i], [0, 0, 0, 64 * at], [1, 4, 64, 64], [0, 16384, 256, 1]);
        }
        c3.iter().for_each(|&c3| s.wait(c3));
    });
    d.build()
}

/// `mm4x4` with six objects at the inputs of every core: 3,340 B more than it has.
pub(crate) fn mm4x4_too_deep() -> Design {
    let mut design = mm4x4();
    for fifo in design.fifos.iter_mut().filter(|f| f.consumers.len() == 4) {
        fifo.depths = vec![2, 6, 6, 6, 6];
    }
    design
}

/// `dispatch.mlir`: one core that runs what a control object tells it.
pub(crate) fn dispatch() -> Design {
    let d =
        DesignBuilder::new("dispatch", "Trip count and operation of one core come from a control object.");
    d.columns(4);
    let mac = d.kernel(kernel(
        "mac_i8",
        vec![
            param("a", ParamKind::In, Elem::I8, 4096),
            param("b", ParamKind::In, Elem::I8, 4096),
            param("c", ParamKind::InOut, Elem::I32, 4096),
        ],
    ));
    let zero = d.kernel(kernel("zero", vec![param("c", ParamKind::Out, Elem::I32, 4096)]));
    let gelu = d.kernel(kernel("gelu", vec![param("c", ParamKind::InOut, Elem::I32, 4096)]));
    let [shim, mem, core] = [0, 1, 2].map(|row| Tile::new(0, row));
    let ctl = d.fifo("ctl", shim, [core], i32s(16));
    let ab = d.fifo("ab", mem, [core], i8s(8192));
    let ab3 = d.fifo("ab3", shim, [mem], i8s(8192));
    d.link([ab3], [ab]);
    let o = d.fifo("o", core, [shim], i32s(4096)).depth(1);
    d.core(core, |c| {
        c.forever(|c| {
            let head = c.consume(ctl);
            c.release(ctl, Port::Consume, 1);
            let out = c.produce(o);
            c.call(zero, (out,));
            c.repeat_word(head.word(0), |c| {
                let both = c.consume(ab);
                let a = both.view(0, i8s(4096));
                c.call(mac, (a.clone(), a, out));
                c.release(ab, Port::Consume, 1);
            });
            c.switch(head.word(1), |s| {
                s.case(1, |c| c.call(gelu, (out,)));
            });
            c.release(o, Port::Produce, 1);
        });
    });
    d.sequence(|s| {
        let x = s.buffer("x", i8s(65536));
        let y = s.buffer("y", i32s(65536));
        let z = s.buffer("z", i32s(16));
        s.copy_linear(z, ctl, 0, 16).bd(2);
        s.copy_linear(x, ab3, 0, 65536).bd(0);
        s.copy_linear(y, o, 0, 4096).bd(1);
        s.wait(o);
    });
    d.build()
}

/// `cascade.mlir`: two cores joined by the cascade.
pub(crate) fn cascade() -> Design {
    let d = DesignBuilder::new("cascade", "Two cores joined by the cascade.");
    d.columns(4);
    let put = d.kernel(kernel("put", vec![param("x", ParamKind::In, Elem::I8, 1024)]));
    let get = d.kernel(kernel("get", vec![param("y", ParamKind::Out, Elem::I8, 1024)]));
    let [s, a, b] = [Tile::new(0, 0), Tile::new(0, 3), Tile::new(0, 2)];
    d.cascade(a, b);
    let i = d.fifo("i", s, [a], i8s(1024));
    let o = d.fifo("o", b, [s], i8s(1024));
    d.core(a, |c| {
        c.forever(|c| {
            let x = c.consume(i);
            c.call(put, (x,));
            c.release(i, Port::Consume, 1);
        });
    });
    d.core(b, |c| {
        c.forever(|c| {
            let y = c.produce(o);
            c.call(get, (y,));
            c.release(o, Port::Produce, 1);
        });
    });
    through(&d, i, o);
    d.build()
}

/// `views.mlir`: a table, a state and a scratch buffer beside the objects, and a typed view.
pub(crate) fn views() -> Design {
    let d = DesignBuilder::new("views", "Core-local buffers and a typed view at an offset.");
    d.columns(4);
    let k2 = d.kernel(kernel("k2", vec![param("x", ParamKind::In, Elem::I32, 128)]));
    let k = d.kernel(kernel(
        "k",
        vec![
            param("x", ParamKind::In, Elem::I8, 1024),
            param("y", ParamKind::Out, Elem::I8, 1024),
            param("lut", ParamKind::Table(vec![7; 256]), Elem::I8, 256),
            param("state", ParamKind::State, Elem::I32, 512),
            param("rtp", ParamKind::State, Elem::I32, 16),
        ],
    ));
    let [s, c] = [Tile::new(0, 0), Tile::new(0, 2)];
    let lut = d.local("lut", c, i8s(256), Some(vec![7; 256]), None);
    let state = d.local("state", c, i32s(512), None, None);
    let rtp = d.local("rtp", c, i32s(16), None, None);
    let i = d.fifo("i", s, [c], i8s(1024));
    let o = d.fifo("o", c, [s], i8s(1024));
    d.core(c, |c| {
        c.stack_bytes(2048);
        c.forever(|c| {
            let (x, y) = (c.consume(i), c.produce(o));
            c.call(k2, (x.view(512, i32s(128)),));
            c.call(k, (x, y, lut, state, rtp));
            c.release(i, Port::Consume, 1);
            c.release(o, Port::Produce, 1);
        });
    });
    through(&d, i, o);
    d.build()
}

/// The sequence that feeds 65536 bytes to one FIFO and drains them from another.
fn through(d: &DesignBuilder, i: super::FifoRef<'_>, o: super::FifoRef<'_>) {
    d.sequence(|s| {
        let x = s.buffer("x", i8s(65536));
        let y = s.buffer("y", i8s(65536));
        s.copy_linear(x, i, 0, 65536);
        s.copy_linear(y, o, 0, 65536);
        s.wait(o);
    });
}
