//! The array designs on the simulator, bit for bit against the references.

use kiln_dsl::Verified;
use kiln_dsl::array::{Design, verify};
use kiln_dsl::array::{LowerMode, lower};
use kiln_dsl::device::Device;
use kiln_dsl::kernel::Elem;
use kiln_kernels::case::{Data, Source, bytes_of};
use kiln_kernels::designs::gemm::{CHUNK, ColumnBlock, Gemm, Operand};
use kiln_kernels::matmul::{self, Left};
use kiln_kernels::requantise::{Requant, reference_i8, reference_i16};
use kiln_sim::array::{SimOptions, simulate_with};
use kiln_sim::core::{CoreExecutor, Engine};
use kiln_sim::report::SimReport;
use ndarray::{Array1, Array2, s};

fn run(design: Design, host: &mut [Vec<u8>]) -> SimReport {
    let device = Device::npu1();
    let design: Verified<Design> = verify(design, device).unwrap_or_else(|e| panic!("{e}"));
    let lowered = lower(&design, device, LowerMode::Dynamic).unwrap_or_else(|e| panic!("{e}"));
    let mut executor =
        CoreExecutor::new(&design.kernels, device, Engine::Compiled).unwrap_or_else(|e| panic!("{e}"));
    let profile = device.profile(device.default_profile()).expect("the default profile");
    simulate_with(&design, &lowered, device, profile, host, &SimOptions::default(), &mut executor)
        .unwrap_or_else(|e| panic!("{e}"))
}

fn gemm_i8(m: u32, k: u32, n: u32, out: Elem) -> SimReport {
    let mut source = Source::new(u64::from(m), Data::Random);
    let a = source.matrix::<i8>([m as usize, k as usize], [-128, 127]);
    let b = source.matrix::<i8>([k as usize, n as usize], [-128, 127]);
    let bias: Array1<i32> = source.values(n as usize, -1000, 1000).into_iter().map(|v| v as i32).collect();
    let q = Requant {
        acc_shift: 3,
        mult: source.values(n as usize, 1000, 32767).into_iter().map(|v| v as i16).collect(),
        out_shift: 18,
    };
    let mut gemm = Gemm {
        name: "gemm".into(),
        left: Left::I8,
        out,
        gelu: false,
        m,
        k,
        n,
        a: Operand::dense(m.into(), k.into()),
        b: Operand::dense((k + CHUNK).into(), n.into()),
        c: Operand::dense(m.into(), n.into()),
    };
    let tile = gemm.core_tile(65536).expect("a tile fits");
    let rows = gemm.rows_needed(tile) as usize;
    gemm.a.len = (rows * k as usize) as u64;
    gemm.c.len = (rows * n as usize) as u64;
    let mut a_rows = Array2::<i8>::zeros((rows, k as usize));
    a_rows.slice_mut(s![..m as usize, ..]).assign(&a);
    let b_rows = ndarray::concatenate![ndarray::Axis(0), b, ColumnBlock::rows(tile.n, &bias.to_vec(), &q, 0)];
    let mut host = [
        bytes_of(a_rows.as_slice().unwrap()),
        bytes_of(b_rows.as_standard_layout().as_slice().unwrap()),
        vec![0x77; rows * n as usize * out.bytes() as usize],
    ];
    let report = run(gemm.design(65536), &mut host);
    let sums = matmul::reference(a.view(), b.view(), bias.view());
    let expected = match out {
        Elem::I8 => bytes_of(reference_i8(sums.view(), &q).as_slice().unwrap()),
        _ => bytes_of(reference_i16(sums.view(), &q).as_slice().unwrap()),
    };
    assert!(host[2][..expected.len()] == expected, "{m}x{k}x{n}");
    if rows == m as usize {
        assert_eq!(host[2].len(), expected.len());
    }
    report
}

#[test]
fn gemm_of_bytes_is_bit_exact_on_sixteen_cores() {
    for (m, k, n, out) in [(256, 64, 256, Elem::I8), (300, 128, 192, Elem::I16), (50, 64, 64, Elem::I8)] {
        let report = gemm_i8(m, k, n, out);
        println!("gemm {m}x{k}x{n}: {} cycles", report.cycles);
        assert_eq!(report.cores.len(), 16);
        assert!(report.cores.iter().all(|c| c.macs > 0));
    }
}
