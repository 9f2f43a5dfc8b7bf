//! Every listed design as the files that a device loads, with a program of one empty bundle for each core: the
//! configuration is executed and compared with the lowering word by word, and its routes with the flows.

use kiln_dsl::array::{LowerMode, lower, verify};
use kiln_dsl::container::{ArrayState, Cdo, CoreImage, Pdi, Piece, differences, package};
use kiln_dsl::device::Device;
use kiln_kernels::designs;

#[test]
fn every_design_becomes_a_configuration_that_says_what_its_lowering_says() {
    let device = Device::npu1();
    let mut seen = 0;
    for design in designs::listed().into_iter().map(|l| l.design) {
        let name = design.name.clone();
        let design = verify(design, device).unwrap_or_else(|e| panic!("{name}: {e}"));
        for mode in [LowerMode::Dynamic, LowerMode::Static] {
            // The static lowering refuses loops that data counts.
            let Ok(lowered) = lower(&design, device, mode) else { continue };
            let program = || vec![Piece { address: 0, bytes: vec![1, 0] }];
            let images: Vec<CoreImage> = lowered
                .cores
                .iter()
                .map(|c| CoreImage { tile: c.tile, program: program(), data: Vec::new() })
                .collect();
            // Compares before it gives anything.
            let made = package(&design, &lowered, device, &images).unwrap_or_else(|e| panic!("{name}: {e}"));
            // And what a reader of the files finds.
            let pdi = Pdi::read(&made.pdi).unwrap_or_else(|e| panic!("{name}: {e}"));
            let cdo = Cdo::read(&pdi.cdos[0]).unwrap_or_else(|e| panic!("{name}: {e}"));
            let state = ArrayState::of(&cdo, device).unwrap_or_else(|e| panic!("{name}: {e}"));
            assert_eq!(differences(&lowered, &images, &state), Vec::<String>::new(), "{name}");
            seen += 1;
        }
    }
    println!("{seen} configurations");
    assert!(seen > 10, "{seen}");
}
