//! States of configurations that are wrong, and rings of switches.

use super::*;
use crate::container::cdo::CdoBuilder;
use crate::device::{PortSide, SwitchPort};

fn state(writes: &[(u32, u32)]) -> Result<ArrayState<'static>, StateError> {
    let mut cdo = CdoBuilder::default();
    writes.iter().for_each(|&(address, value)| cdo.write(address, value));
    ArrayState::of(&cdo.finish(), Device::npu1())
}

#[test]
fn writes_outside_are_refused() {
    let device = || "npu1".to_owned();
    assert_eq!(
        state(&[(0x800_0000, 0)]).err(),
        Some(StateError::Outside { command: 1, address: 0x800_0000, device: device() })
    );
    assert_eq!(
        state(&[(0x20_0002, 0)]).err(),
        Some(StateError::Misaligned { command: 1, address: 0x20_0002 })
    );
    let one = |command| Cdo { version: 0x200, commands: vec![command] };
    let refused = |command| ArrayState::of(&one(command), Device::npu1()).err();
    assert_eq!(
        refused(CdoCommand::Other { op: 0x123, words: Vec::new() }),
        Some(StateError::Operation { command: 0, op: 0x123 })
    );
    let address = 1 << 32;
    assert_eq!(
        refused(CdoCommand::Write { address, value: 0, short: false }),
        Some(StateError::Outside { command: 0, address, device: device() })
    );
    let words = vec![0; 3];
    assert!(refused(CdoCommand::BlockWrite { address: u64::MAX - 4, words }).is_some());
}

/// Two switches that feed each other for ever: told as a way to nowhere, and the walk ends.
#[test]
fn a_ring_of_switches_is_walked_once() {
    let device = Device::npu1();
    let (low, high) = (Tile::new(0, 2), Tile::new(0, 3));
    let port = |bundle, index| SwitchPort { bundle, index };
    let mut writes = Vec::new();
    let mut connect = |tile, slave, master| {
        let number = |side, port| device.switch_number(TileKind::Core, side, port).expect("a port");
        let (s, m) = (number(PortSide::Slave, slave), number(PortSide::Master, master));
        let register = |side, n| device.address(tile, device.switch_register(TileKind::Core, side, n));
        writes.push((register(PortSide::Master, m), 1 << 31 | s));
        writes.push((register(PortSide::Slave, s), 1 << 31));
    };
    use crate::device::SwitchBundle::{Dma, North, South};
    connect(low, port(Dma, 0), port(North, 0));
    connect(high, port(South, 0), port(South, 1));
    connect(low, port(North, 1), port(North, 2));
    connect(high, port(South, 2), port(South, 1));
    let all = state(&writes).expect("a state");
    let (routes, wrong) = all.routes();
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(routes.len(), 1);
    assert_eq!(routes[0].to, []);
    // Without its input, the output stands alone.
    writes.pop();
    let (_, wrong) = state(&writes).expect("a state").routes();
    assert_eq!(wrong, ["(0,3): output south 1 takes input south 2, which is not enabled"]);
}

#[test]
fn masked_writes_and_tasks() {
    let device = Device::npu1();
    let tile = Tile::new(0, 2);
    let mut cdo = CdoBuilder::default();
    let control = device.address(tile, device.registers.core_control_address());
    cdo.write(control, 2);
    assert_eq!(ArrayState::of(&cdo.clone().finish(), device).expect("a state").enabled(tile), Some(false));
    cdo.mask_write(control, 1, 3);
    assert_eq!(
        ArrayState::of(&cdo.clone().finish(), device).expect("a state").enabled(tile),
        Some(false),
        "in reset"
    );
    cdo.mask_write(control, 2, 0);
    cdo.write(device.address(tile, 0x1_DE04), 3 | 4 << 16 | 1 << 31);
    cdo.block_write(device.address(tile, 0x100), vec![0x0403_0201, 0x0807_0605]);
    cdo.write(device.address(tile, 0x3_4000), 9);
    let state = ArrayState::of(&cdo.finish(), device).expect("a state");
    assert_eq!(state.enabled(tile), Some(true));
    let channel = Channel { direction: Direction::S2mm, index: 0 };
    assert_eq!(state.tiles[&tile].starts, [Start { channel, bd: 3, runs: 5, token: true }]);
    assert_eq!(state.data(tile), [Piece { address: 0x100, bytes: vec![1, 2, 3, 4, 5, 6, 7, 8] }]);
    assert_eq!(state.others(tile), [(0x3_4000, 9)]);
    assert_eq!(state.cascade(tile), None);
}
