//! What mlir-aie refuses somewhere in its passes is refused here first, with the tile, the numbers
//! and a remedy.

use super::missed::refused;
use super::*;

#[test]
fn l1_overflow() {
    let deep = to_core(16_384, |x| {
        x.depths([2, 4]);
    });
    refused(
        deep,
        &["tile (0,2)", "66564 B of 65536 B", "1028 B over", "stack 1024 B", "x_cons_buff_0 16384 B"],
    );
}

#[test]
fn the_same_lack_at_several_tiles_is_told_once() {
    let design = examples::mm4x4_too_deep();
    let errors = verify(design, Device::npu1()).expect_err("too big");
    assert_eq!(errors.errors.len(), 16);
    let text = errors.to_string();
    assert_eq!(
        (text.matches("68876 B of 65536 B").count(), text.matches("help: ").count()),
        (1, 1),
        "{text}"
    );
    assert!(
        text.contains("tile (0,2): 68876 B") && text.contains("so too: (0,3) (0,4) (0,5) (1,2)"),
        "{text}"
    );
}

#[test]
fn a_stack_that_leaves_its_bank() {
    let stack = |bytes| relu2(|d| d.cores[0].stack_bytes = Some(bytes));
    assert_eq!(errors(stack(11_264)), []);
    refused(stack(16_416), &["core (0,2)", "16416 B", "at most 16384 B"]);
}

#[test]
fn buffer_longer_than_one_descriptor() {
    let long = to_core(70_000, |x| {
        x.depths([1, 1]);
    });
    refused(long, &["fifo x", "(0,2)", "70000 B", "65532 B"]);
}

/// Designs whose FIFOs from `from` to `to` are one too many.
fn streams(count: u32, from: Tile, to: impl Fn(u32) -> Tile) -> Design {
    let d = DesignBuilder::new("streams", "");
    let mut ends: Vec<(Tile, Vec<(FifoRef<'_>, Port)>)> = Vec::new();
    let mut inputs = Vec::new();
    for i in 0..count {
        let f = d.fifo(format!("f{i}"), from, [to(i)], i8s(64));
        for (tile, port) in [(from, Port::Produce), (to(i), Port::Consume)] {
            if tile.row >= 2 {
                match ends.iter_mut().find(|(t, _)| *t == tile) {
                    Some((_, of)) => of.push((f, port)),
                    None => ends.push((tile, vec![(f, port)])),
                }
            }
        }
        if from.row == 0 {
            inputs.push(f);
        }
        if from.row == 1 {
            let up = d.fifo(format!("up{i}"), SHIM, [from], i8s(64));
            d.link([up], [f]);
            inputs.push(up);
        }
    }
    for (tile, of) in ends {
        d.core(tile, |c| {
            c.forever(|c| {
                for &(f, port) in &of {
                    c.acquire(f, port, 1);
                    c.release(f, port, 1);
                }
            });
        });
    }
    d.sequence(|s| {
        let h = s.buffer("h", i8s(64));
        for &f in &inputs {
            s.copy_linear(h, f, 0, 64);
        }
    });
    d.build()
}

#[test]
fn channels() {
    let core = |i: u32| Tile::new((i % 4) as u8, 2 + (i / 4) as u8);
    // Into one core, out of one core, out of a shim, out of a mem tile.
    refused(streams(3, SHIM, |_| CORE), &["tile (0,2)", "3 S2MM", "it has 2", "f0, f1, f2"]);
    refused(streams(3, CORE, |i| core(i + 9)), &["tile (0,2)", "3 MM2S", "it has 2", "f0, f1, f2"]);
    refused(streams(3, SHIM, core), &["tile (0,0)", "3 MM2S", "it has 2"]);
    refused(streams(7, MEM, core), &["tile (0,1)", "7 MM2S", "it has 6", "f6"]);
}

#[test]
fn a_switch_without_ports() {
    // Rows 2 to 4 send five streams down column 0, of whose switches row 2 has four ports south.
    let d = DesignBuilder::new("down", "");
    d.columns(1);
    let mut parts = Vec::new();
    for i in 0..5u8 {
        let tile = Tile::new(0, 2 + i / 2);
        parts.push((tile, d.fifo(format!("c{i}"), tile, [MEM], i8s(64))));
    }
    let whole = d.fifo("c", MEM, [SHIM], i8s(320));
    d.join(parts.iter().map(|p| p.1).zip([0, 64, 128, 192, 256]), whole);
    for tile in [2, 3, 4].map(|row| Tile::new(0, row)) {
        d.core(tile, |c| {
            c.forever(|c| {
                for (_, f) in parts.iter().filter(|p| p.0 == tile) {
                    c.produce(*f);
                    c.release(*f, Port::Produce, 1);
                }
            });
        });
    }
    d.sequence(|s| {
        let h = s.buffer("h", i8s(320));
        s.copy_linear(h, whole, 0, 320);
        s.wait(whole);
    });
    let mut design = d.build();
    refused(
        design.clone(),
        &["tile (0,2)", "switch is full", "5 flows need its 4 ports south", "c0, c1, c2, c3, c4"],
    );
    // Two columns give a way round.
    design.columns = 2;
    assert_eq!(errors(design), []);
}

#[test]
fn descriptors_of_a_core() {
    let deep = to_core(64, |x| {
        x.depths([2, 17]);
    });
    refused(deep, &["tile (0,2)", "17 BDs", "the most is 16"]);
}

#[test]
fn orders_of_access() {
    let to = |len, dims: &[(u32, u32)]| {
        to_core(len, |x| {
            x.to_stream(dims.iter().copied());
        })
    };
    let four = to_core(1024, |x| {
        x.from_stream(CORE, [(4, 256), (4, 8), (8, 32), (8, 1)]);
    });
    refused(four, &["fifo x", "4 dimensions at (0,2)", "has 3"]);
    refused(to(1024, &[(4, 512), (32, 8), (8, 1)]), &["fifo x", "(0,1)", "element 1791 of 1024"]);
    refused(to(1024, &[(32, 1), (32, 32)]), &["fifo x", "(0,1)", "stride 32 of 1-byte elements"]);
    refused(to(1024, &[(512, 2), (2, 1)]), &["fifo x", "(0,1)", "2 B", "4 B"]);
    refused(to(1008, &[(16, 63), (63, 1)]), &["fifo x", "(0,1)", "63 B", "4 B"]);
    let at_shim = relu2(|d| d.fifos[0].to_stream = vec![Dim { size: 4096, stride: 1 }]);
    refused(at_shim, &["fifo in_l2", "(0,0)"]);
}

#[test]
fn copies() {
    let shaped =
        |sizes: [u64; 4], strides: [u64; 4]| relu2(|d| (*copy(d, 0).1, *copy(d, 0).2) = (sizes, strides));
    refused(shaped([1, 1, 2, 8192], [0, 0, 8192, 1]), &["in_l2", "size 2048", "1 to 1023 words"]);
    refused(shaped([1, 1, 1024, 64], [0, 0, 64, 1]), &["in_l2", "size 1024", "1 to 1023 steps"]);
    refused(shaped([1, 1, 2, 64], [0, 0, 4_194_308, 1]), &["in_l2", "stride 4194308", "1 to 4194304"]);
    refused(shaped([1, 1, 64, 64], [0, 0, 63, 1]), &["in_l2", "63 B", "4 B"]);
    refused(shaped([1, 1, 1, 4097], [0, 0, 0, 1]), &["in_l2", "4097 B", "4 B"]);
    refused(relu2(|d| (copy(d, 0).0[3], copy(d, 0).1[3]) = (2, 4096)), &["in_l2", "first byte", "2 B"]);
}

#[test]
fn places() {
    let at = |tile| relu2(|d| d.cores[0].tile = tile);
    refused(at(Tile::new(4, 2)), &["tile (4,2)", "4 columns"]);
    refused(at(Tile::new(0, 6)), &["tile (0,6)", "6 rows"]);
    refused(at(MEM), &["core program", "tile (0,1)", "mem tile", "expected a core"]);
}

#[test]
fn locks_of_a_core() {
    // Five ends in memory of its own and four shared with the core above: 18 locks of 16.
    let d = DesignBuilder::new("locks", "");
    let above = Tile::new(0, 3);
    let shared: Vec<FifoRef<'_>> =
        (0..9).map(|i| d.fifo(format!("s{i}"), CORE, [above], i8s(64)).depth(1)).collect();
    for (tile, port) in [(CORE, Port::Produce), (above, Port::Consume)] {
        d.core(tile, |c| {
            c.forever(|c| {
                for &f in &shared {
                    c.acquire(f, port, 1);
                    c.release(f, port, 1);
                }
            });
        });
    }
    refused(d.build(), &["tile (0,2)", "18 locks", "it has 16"]);
}

#[test]
fn shim_descriptors_in_flight() {
    // Four channels of one shim, five copies each in two rounds: 17 unawaited on 16 BDs.
    let d = DesignBuilder::new("flight", "");
    let cores = [2, 3].map(|row| Tile::new(0, row));
    let ends = cores.map(|c| {
        (d.fifo(format!("i{}", c.row), SHIM, [c], i8s(64)), d.fifo(format!("o{}", c.row), c, [SHIM], i8s(64)))
    });
    for (tile, (i, o)) in cores.into_iter().zip(ends) {
        d.core(tile, |c| {
            c.forever(|c| {
                c.consume(i);
                c.produce(o);
                c.release(i, Port::Consume, 1);
                c.release(o, Port::Produce, 1);
            });
        });
    }
    d.sequence(|s| {
        let h = s.buffer("h", i8s(64));
        for _ in 0..5 {
            for (i, o) in ends {
                s.copy_linear(h, i, 0, 64);
                s.copy_linear(h, o, 0, 64);
            }
        }
        for (i, o) in ends {
            s.wait(i);
            s.wait(o);
        }
    });
    refused(d.build(), &["BD 16", "0 to 15"]);
}
