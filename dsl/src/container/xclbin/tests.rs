//! Frames and sections that are wrong, and what XRT reads of a kernel.

use super::*;

fn section(kind: u32, name: &str, bytes: &[u8]) -> Section {
    Section::new(kind, name, bytes.to_vec())
}

fn small() -> Xclbin {
    Xclbin::new(vec![section(kind::PDI, "one", &[1, 2, 3]), section(77, "a name of 16 B..", &[4; 9])])
}

#[test]
fn a_frame_comes_back() {
    let bytes = small().to_bytes();
    assert_eq!(bytes.len() % ALIGN_BYTES, 0);
    let read = Xclbin::read(&bytes).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(read.sections, small().sections);
    assert_eq!(read.header, small().header);
    assert_eq!(read.header.uuid[6] >> 4, 8);
    assert_eq!(read.sections[1].kind_name(), "kind 77");
    assert_eq!(read.to_bytes(), bytes);
    assert_ne!(Xclbin::new(vec![section(0, "", &[])]).header.uuid, read.header.uuid);
}

#[test]
fn each_thing_wrong_is_named() {
    use XclbinError as E;
    let good = small().to_bytes();
    let with = |at: usize, bytes: &[u8]| {
        let mut file = good.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        Xclbin::read(&file)
    };
    assert_eq!(Xclbin::read(b"xclbin1"), Err(E::Magic));
    assert_eq!(Xclbin::read(&good[..100]), Err(E::NoHeader { size: 100 }));
    let size = good.len();
    assert_eq!(Xclbin::read(&good[..size - 1]), Err(E::Length { stated: size as u64, size: size - 1 }));
    assert_eq!(with(at::SECTIONS, &[0xFF; 4]), Err(E::Sections { sections: u32::MAX, size }));
    assert_eq!(with(at::SECTIONS, &[9, 0, 0, 0]), Err(E::Sections { sections: 9, size }));
    assert!(matches!(
        with(0x1C8 + 32, &[0xFF; 8]),
        Err(E::Outside { section: 0, kind: 18, bytes: u64::MAX, .. })
    ));
    // A section over the headers, and one over the other.
    assert!(matches!(with(0x1C8 + 24, &[0; 8]), Err(E::Outside { section: 0, at: 0, .. })));
    assert_eq!(with(0x1C8 + 32, &[9, 0]), Err(E::Overlap { first: 0, second: 1 }));
}

/// Many sections that are each the whole content: refused without copying all of them.
#[test]
fn sections_that_overlap_do_not_multiply() {
    let count = 2000usize;
    let body = 1 << 20;
    let contents = HEADER_BYTES + count * SECTION_BYTES;
    let mut bytes = small().to_bytes();
    bytes.resize(HEADER_BYTES, 0);
    bytes.resize(contents + body, 0);
    for n in 0..count {
        let head = HEADER_BYTES + n * SECTION_BYTES;
        bytes[head + 24..head + 32].copy_from_slice(&(contents as u64).to_le_bytes());
        bytes[head + 32..head + 40].copy_from_slice(&(body as u64).to_le_bytes());
    }
    bytes[at::SECTIONS..at::SECTIONS + 4].copy_from_slice(&(count as u32).to_le_bytes());
    let length = bytes.len() as u64;
    bytes[at::LENGTH..at::LENGTH + 8].copy_from_slice(&length.to_le_bytes());
    assert_eq!(Xclbin::read(&bytes), Err(XclbinError::Overlap { first: 0, second: 1 }));
}

#[test]
fn a_partition_comes_back_or_is_refused() {
    let mut partition = Partition::new(2, vec![0, 1, 2], vec![9; 21], 0x901);
    partition.pdis[0].groups[0].pre_groups.push(5);
    partition.pdis.push(PartitionPdi { uuid: [3; 16], image: vec![1], groups: Vec::new() });
    let bytes = partition.to_bytes();
    assert_eq!(Partition::read(&bytes).as_ref(), Ok(&partition));
    for cut in [0, 100, 183, 184, bytes.len() - 1] {
        assert!(matches!(Partition::read(&bytes[..cut]), Err(PartitionError::Outside { .. })), "{cut}");
    }
    // Two PDIs with one image: together more than the section.
    let entries = u32::from_le_bytes(bytes[124..128].try_into().expect("4 bytes")) as usize;
    let mut twice = bytes.clone();
    let image = [(bytes.len() as u32).to_le_bytes(), [0; 4]].concat();
    for n in 0..2 {
        twice[entries + 96 * n + 16..entries + 96 * n + 24].copy_from_slice(&image);
    }
    assert_eq!(Partition::read(&twice), Err(PartitionError::Overlap { size: bytes.len() }));
}

/// What XRT finds of the kernel: names by `xclbin_parser.cpp`, numbers as Riallto's files have them.
#[test]
fn a_kernel_is_told_to_xrt() {
    let kernel = KernelInterface::mlir_aie(5);
    let sections = kernel.sections();
    let of = |kind| &sections.iter().find(|s| s.kind == kind).expect("a section").bytes;
    let entries = read_ip_layout(of(kind::IP_LAYOUT)).expect("a layout");
    assert_eq!(entries, [IpEntry { name: "MLIR_AIE:MLIRAIE".to_owned(), kernel_id: Some(0x901) }]);
    let memories = read_memories(of(kind::MEM_TOPOLOGY)).expect("memories");
    assert_eq!(
        memories[0],
        Memory { tag: "HOST".to_owned(), used: true, size_kb: 0x1_0000, address: 0x400_0000 }
    );
    let rows = read_connectivity(of(kind::CONNECTIVITY)).expect("rows");
    let told: Vec<(u32, u32)> = rows.iter().map(|r| (r.argument, r.memory)).collect();
    assert_eq!(told, [(1, 1), (3, 0), (4, 0), (5, 0), (6, 0), (7, 0)]);
    let xml = String::from_utf8(of(kind::EMBEDDED_METADATA).clone()).expect("text");
    for line in [
        "<kernel name=\"MLIR_AIE\" language=\"c\" type=\"dpu\">",
        "<extended-data subtype=\"1\" functional=\"0\" dpu_kernel_id=\"0x901\"/>",
        "<arg name=\"opcode\" addressQualifier=\"0\" id=\"0\" size=\"0x8\" offset=\"0x00\" hostOffset=\"0x0\" hostSize=\"0x8\" type=\"uint64_t\"/>",
        "<arg name=\"instr\" addressQualifier=\"1\" id=\"1\" size=\"0x8\" offset=\"0x08\" hostOffset=\"0x0\" hostSize=\"0x8\" type=\"char *\"/>",
        "<arg name=\"ninstr\" addressQualifier=\"0\" id=\"2\" size=\"0x4\" offset=\"0x10\" hostOffset=\"0x0\" hostSize=\"0x4\" type=\"uint32_t\"/>",
        "<arg name=\"bo4\" addressQualifier=\"1\" id=\"7\" size=\"0x8\" offset=\"0x34\" hostOffset=\"0x0\" hostSize=\"0x8\" type=\"void*\"/>",
        "<instance name=\"MLIRAIE\"/>",
    ] {
        assert!(xml.contains(line), "{line}\n{xml}");
    }
    assert_eq!(read_ip_layout(&of(kind::IP_LAYOUT)[..80]), None);
    assert_eq!(read_memories(&of(kind::MEM_TOPOLOGY)[..80]), None);
    assert_eq!(read_connectivity(&[0xFF; 16]), None);
}
