//! Whatever verifies lowers to something sound: random pipelines through one mem tile.

use super::{LowerError, LowerMode, Memory, Request, lower, place};
use crate::array::lowered::{LoweredTile, PlacedBuffer};
use crate::array::{Design, DesignBuilder, MemType, Port, Tile, examples, verify};
use crate::device::{Device, TileKind};
use crate::emit::{emit_mlir, parse_mlir};
use crate::fit::fit;
use crate::kernel::{Elem, ParamKind};
use proptest::prelude::*;

/// Parts of an object, one per core, and the depth of every end.
#[derive(Clone, Debug)]
struct Pipeline {
    words: Vec<u32>,
    depths: [u32; 4],
    objects: u32,
    table_bytes: u32,
}

fn pipeline() -> impl Strategy<Value = Pipeline> {
    let words = prop::collection::vec(1u32..6000, 1..=4);
    (words, prop::array::uniform4(1u32..4), 1u32..20, 0u32..5000)
        .prop_map(|(words, depths, objects, table_bytes)| Pipeline { words, depths, objects, table_bytes })
}

/// Host to mem tile, split over the cores of a column, joined, to the host.
fn design(p: &Pipeline) -> Design {
    let d = DesignBuilder::new("pipeline", "Parts of an object through the cores of a column.");
    let [shim, mem] = [Tile::new(0, 0), Tile::new(0, 1)];
    let ints = |len| MemType::flat(Elem::I32, len);
    let total: u32 = p.words.iter().sum();
    let [to_mem, to_core, from_core, to_host] = p.depths;
    let input = d.fifo("input", shim, [mem], ints(total)).depths([1, to_mem]);
    let output = d.fifo("output", mem, [shim], ints(total)).depths([to_host, 1]);
    let (mut down, mut up, mut offset) = (Vec::new(), Vec::new(), 0);
    for (at, &words) in p.words.iter().enumerate() {
        let core = Tile::new(0, 2 + at as u8);
        let kernel = d.kernel(examples::kernel(
            &format!("k{at}"),
            vec![
                examples::param("x", ParamKind::In, Elem::I32, words),
                examples::param("y", ParamKind::Out, Elem::I32, words),
                examples::param(
                    "table",
                    ParamKind::Table(vec![1; p.table_bytes as usize + 4]),
                    Elem::I8,
                    p.table_bytes + 4,
                ),
            ],
        ));
        let x = d.fifo(format!("x{at}"), mem, [core], ints(words)).depths([1, to_core]);
        let y = d.fifo(format!("y{at}"), core, [mem], ints(words)).depths([from_core, 1]);
        down.push((x, offset));
        up.push((y, offset));
        offset += words;
        d.core(core, |c| {
            c.forever(|c| {
                let (a, b) = (c.consume(x), c.produce(y));
                c.call(kernel, (a, b));
                c.release(x, Port::Consume, 1);
                c.release(y, Port::Produce, 1);
            });
        });
    }
    match (&down[..], &up[..]) {
        ([(x, _)], [(y, _)]) => {
            d.link([input], [*x]);
            d.link([*y], [output]);
        }
        _ => {
            d.split(input, down);
            d.join(up, output);
        }
    }
    d.sequence(|s| {
        let len = total * p.objects;
        let (x, y) = (s.buffer("x", ints(len)), s.buffer("y", ints(len)));
        s.copy_linear(x, input, 0, u64::from(len));
        s.copy_linear(y, output, 0, u64::from(len));
        s.wait(output);
    });
    d.build()
}

fn disjoint(buffers: &[PlacedBuffer], from: u32, limit: u32) {
    let mut ranges: Vec<(u32, u32)> = buffers.iter().map(|b| (b.address, b.address + b.bytes)).collect();
    ranges.sort_unstable();
    assert!(ranges.first().is_none_or(|r| r.0 >= from), "{ranges:?}");
    assert!(ranges.windows(2).all(|w| w[0].1 <= w[1].0), "{ranges:?}");
    assert!(ranges.last().is_none_or(|r| r.1 <= limit), "{ranges:?}");
}

fn sound(device: &Device, tile: Tile, t: &LoweredTile) {
    let kind = device.tile_kind(tile).expect("in the array");
    disjoint(&t.buffers, t.stack_bytes.unwrap_or(0), device.tile_memory_bytes(kind));
    let mut locks: Vec<u8> = t.locks.iter().map(|l| l.id).collect();
    locks.sort_unstable();
    assert_eq!(locks, (0..t.locks.len() as u8).collect::<Vec<_>>());
    let mut ids = Vec::new();
    for program in &t.dma {
        let reachable = device.tile_dma(kind).bds_of_channel(u32::from(program.channel.index));
        for bd in &program.bds {
            assert!(reachable.contains(&u32::from(bd.bd_id)));
            assert!(bd.offset_bytes + bd.len_bytes <= t.buffers[bd.buffer].bytes);
            assert_ne!(bd.acquire.lock, bd.release.lock);
            assert!(bd.acquire.lock < t.locks.len() && bd.release.lock < t.locks.len());
            assert!(bd.next.is_some_and(|n| n < program.bds.len()));
            ids.push(bd.bd_id);
        }
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "BD ids are used once");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn verified_pipelines_lower_soundly_and_fit(p in pipeline()) {
        let device = Device::npu1();
        let report = fit(&design(&p), device);
        let verified = verify(design(&p), device);
        prop_assert_eq!(report.fits, verified.is_ok(), "{:?}\n{}", verified.err(), report);
        let Ok(verified) = verified else { return Ok(()) };
        for mode in [LowerMode::Dynamic, LowerMode::Static] {
            let lowered = match lower(&verified, device, mode) {
                Ok(lowered) => lowered,
                // Verified is what the driver's mode takes; the other one aligns buffers, and may need more.
                Err(LowerError::DoesNotFit(_)) if mode == LowerMode::Static => continue,
                Err(e) => panic!("{e}"),
            };
            lowered.tiles.iter().for_each(|(&tile, t)| sound(device, tile, t));
            let shims = lowered.tiles.keys().filter(|&&t| device.tile_kind(t) == Some(TileKind::Shim)).count();
            prop_assert_eq!(shims, 1);
        }
        // The printed design is in the subset, with the depths that were asked for.
        let parsed = parse_mlir(&emit_mlir(&verified, device).expect("prints")).expect("parses");
        prop_assert_eq!(parsed.fifos.len(), verified.fifos.len());
        prop_assert_eq!(parsed.cores.len(), p.words.len());
        for fifo in &verified.fifos {
            let depths: Vec<i64> = fifo.depths.iter().map(|&d| i64::from(d)).collect();
            prop_assert_eq!(&parsed.fifos[&fifo.name].depths.per_end, &depths);
        }
    }

    #[test]
    fn buffers_never_overlap(
        wants in prop::collection::vec((1u64..20_000, prop::option::of(0u8..4)), 0..14),
        stack_bytes in 0u64..4096,
    ) {
        let memory = Memory { bytes: 65_536, banks: 4, stack_bytes, align_bytes: 1 };
        let requests: Vec<Request> = wants.iter().map(|&(bytes, bank)| Request { bytes, bank, address: None }).collect();
        let placed = place(memory, &requests);
        let total: u64 = requests.iter().map(|r| r.bytes).sum::<u64>() + stack_bytes;
        prop_assert!(placed.end <= memory.bytes || total > memory.bytes || !placed.bank_aware);
        let mut ranges: Vec<(u64, u64)> =
            placed.addresses.iter().zip(&requests).map(|(&a, r)| (a, a + r.bytes)).collect();
        for (at, &(from, to)) in ranges.iter().enumerate() {
            prop_assert!(from >= stack_bytes && to <= placed.end);
            if placed.bank_aware {
                prop_assert_eq!(memory.bank(from), memory.bank(to - 1));
                let wanted = requests[at].bank.filter(|_| !placed.bank_refused.contains(&at));
                prop_assert!(wanted.is_none_or(|b| u32::from(b) == memory.bank(from)));
            }
        }
        ranges.sort_unstable();
        prop_assert!(ranges.windows(2).all(|w| w[0].1 <= w[1].0));
    }
}
