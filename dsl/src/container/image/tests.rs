//! ELF files as contents of cores.

use super::*;
use crate::container::elf::FLAGS_AIE2;

fn image(segments: &[(u32, usize)], entry: u32) -> Result<CoreImage, ImageError> {
    let segment = |&(address, bytes): &(u32, usize)| Segment {
        address,
        bytes: vec![address as u8 | 1; bytes],
        executable: address < OWN_WINDOW,
        writable: address >= OWN_WINDOW,
    };
    let segments = segments.iter().map(segment).collect();
    let elf = CoreElf { entry, flags: FLAGS_AIE2, segments, sections: Vec::new() };
    CoreImage::from_elf(Tile::new(1, 3), &elf, Device::npu1())
}

#[test]
fn segments_go_to_program_and_own_data() {
    let image =
        image(&[(0, 16), (0x4000 - 6, 6), (0x7_0400, 8), (0x7_FFFF, 1)], 0).unwrap_or_else(|e| panic!("{e}"));
    let places = |pieces: &[Piece]| pieces.iter().map(|p| (p.address, p.bytes.len())).collect::<Vec<_>>();
    assert_eq!(places(&image.program), [(0, 16), (0x4000 - 6, 6)]);
    assert_eq!(places(&image.data), [(0x400, 8), (0xFFFF, 1)]);
    assert_eq!(image.program_bytes(), 22);
}

#[test]
fn what_a_core_does_not_load_is_refused() {
    for (address, bytes) in [(0x4000 - 6, 7), (0x4_0000, 4), (0x6_FFFF, 2), (0x7_FFFF, 2), (0xFFFF_FFF0, 16)]
    {
        let error = image(&[(0, 16), (address, bytes)], 0).expect_err("refused").to_string();
        assert!(
            error.starts_with(&format!("core (1,3): the program has {bytes} B at {address:#x}; ")),
            "{error}"
        );
    }
    assert_eq!(image(&[(0, 4)], 16), Err(ImageError::Entry { tile: Tile::new(1, 3), entry: 16 }));
    assert_eq!(image(&[(0x7_0000, 4)], 0), Err(ImageError::NoProgram { tile: Tile::new(1, 3) }));
}
