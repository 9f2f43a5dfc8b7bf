//! Any bytes are told of or refused: xclbins, PDIs, CDOs, ELF files; what is read is written as it was.
#![no_main]

use kiln_dsl::container::{Cdo, CoreElf, Partition, Pdi, Xclbin, inspect};
use kiln_dsl::device::Device;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match inspect(bytes, Device::npu1()) {
        Ok(report) => assert!(!report.to_string().is_empty()),
        Err(e) => assert!(!e.to_string().is_empty()),
    }
    if let Ok(cdo) = Cdo::read(bytes) {
        assert_eq!(Cdo::read(&cdo.to_bytes()), Ok(cdo));
    }
    if let Ok(elf) = CoreElf::read(bytes) {
        let again = CoreElf::read(&elf.to_bytes()).expect("a written program is read");
        assert_eq!(again.segments, elf.segments);
    }
    if let Ok(xclbin) = Xclbin::read(bytes) {
        let again = Xclbin::read(&xclbin.to_bytes()).expect("a written file is read");
        assert_eq!(again.sections, xclbin.sections);
    }
    if let Ok(partition) = Partition::read(bytes) {
        assert_eq!(Partition::read(&partition.to_bytes()), Ok(partition));
    }
    if let Ok(pdi) = Pdi::read(bytes) {
        for cdo in &pdi.cdos {
            assert_eq!(Pdi::read(&Pdi::write(cdo)).expect("a written PDI is read").cdos, [cdo.clone()]);
        }
    }
});
