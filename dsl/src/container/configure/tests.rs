//! Words of buffer descriptors by hand.

use super::*;
use crate::array::{LowerMode, examples, lower, verify};
use crate::container::cdo::CdoCommand;

/// The block that configures a BD of a tile.
fn bd(design: Design, tile: Tile, id: u32) -> Vec<u32> {
    let device = Device::npu1();
    let design = verify(design, device).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, device, LowerMode::Dynamic).expect("lowers");
    let program = |row| vec![Piece { address: 0, bytes: vec![row; 2] }];
    let images: Vec<CoreImage> = lowered
        .cores
        .iter()
        .map(|c| CoreImage { tile: c.tile, program: program(c.tile.row), data: Vec::new() })
        .collect();
    let cdo = configure(&design, &lowered, device, &images).unwrap_or_else(|e| panic!("{e}"));
    let regs = device.tile_registers(device.tile_kind(tile).expect("a tile"));
    let wanted = u64::from(device.address(tile, regs.bds_address() + id * regs.bd_step_bytes()));
    let found = cdo.commands.iter().find_map(|c| match c {
        CdoCommand::BlockWrite { address, words } if *address == wanted => Some(words.clone()),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no BD {id} of {tile}"))
}

/// A mem tile's BD that cuts a 64x64 matrix of bytes into tiles: `[(16, 256), (8, 8), (4, 64), (8, 1)]` elements. By
/// AM025: D0 of 2 words by 1, D1 of 4 by 16, D2 of 8 by 2, D3 by 64; a step is stored less one.
#[test]
fn four_dimensions_of_a_mem_tile() {
    let design = examples::mm4x4();
    let device = Device::npu1();
    let lowered = lower(&verify(design.clone(), device).expect("verified"), device, LowerMode::Dynamic)
        .expect("lowers");
    let mem = Tile::new(0, 1);
    let program =
        lowered.tiles[&mem].dma.iter().find(|p| p.bds[0].dims.len() == 4 && p.bds[0].dims[0].size == 16);
    let first = &program.expect("a channel with dimensions").bds[0];
    let words = bd(design, mem, first.bd_id.into());
    let address = (0x8_0000 + lowered.tiles[&mem].buffers[first.buffer].address) / 4;
    assert_eq!(words[0], 4096 / 4);
    assert_eq!(words[1] & 0x7_FFFF, address);
    assert_eq!(words[2..6], [2 << 17, 4 << 17 | 15, 8 << 17 | 1, 63]);
    assert_eq!(words[6], 0);
    assert_eq!(words[7] >> 31, 1);
    assert_eq!(words[7] >> 8 & 0x7F, 0x7F, "waits for at least one");
}

#[test]
fn a_core_descriptor_by_hand() {
    let device = Device::npu1();
    let design = examples::relu2();
    let lowered = lower(&verify(design.clone(), device).expect("verified"), device, LowerMode::Dynamic)
        .expect("lowers");
    let tile = Tile::new(0, 2);
    let content = &lowered.tiles[&tile];
    let first = &content.dma[0].bds[0];
    let words = bd(design, tile, first.bd_id.into());
    let (acquire, release) = (content.locks[first.acquire.lock].id, content.locks[first.release.lock].id);
    assert_eq!(words[0], ((content.buffers[first.buffer].address / 4) << 14) | (2048 / 4));
    assert_eq!(words[1..5], [0; 4]);
    let next = content.dma[0].bds[first.next.expect("a next")].bd_id;
    let last =
        u32::from(next) << 27 | 1 << 26 | 1 << 25 | 1 << 18 | u32::from(release) << 13 | 1 << 12 | 0x7F << 5;
    assert_eq!(words[5], last | u32::from(acquire));
}
