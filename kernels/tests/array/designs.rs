//! Designs against the references.

use super::runner;
use kiln_dsl::device::Device;
use kiln_dsl::emit::{emit_mlir, parse_mlir};
use kiln_dsl::kernel::Elem;
use kiln_dsl::native::{NativeArg, NativeKernels};
use kiln_kernels::case::{Data, Source, bytes_of};
use kiln_kernels::catalogue::{catalogue, find};
use kiln_kernels::designs;
use kiln_kernels::designs::gemm::{CHUNK, ColumnBlock, ColumnWords, Gemm, Integers, Numbers, Operand};
use kiln_kernels::layout::Blocked;
use kiln_kernels::matmul::{self, Left};
use kiln_kernels::relu;
use kiln_kernels::requantise::{Requant, reference_i8, reference_i16};
use kiln_kernels::tiles::from_tiles;
use kiln_sim::report::SimReport;
use ndarray::{Array1, Array2, s};
use std::path::PathBuf;

fn plain_gemm(m: u32, k: u32, n: u32, out: Elem) -> Gemm {
    Gemm {
        name: "gemm".into(),
        numbers: Numbers::Integers(Integers { left: Left::I8, out, gelu: false, row_scales: false }),
        m,
        k,
        n,
        a: Operand::whole(Blocked::new(m, k)),
        c: Operand::whole(Blocked::new(m, n)),
    }
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
    let mut gemm = plain_gemm(m, k, n, out);
    let rows = gemm.rows_needed();
    gemm.a = Operand::whole(Blocked::new(rows, k));
    gemm.c = Operand::whole(Blocked::new(rows, n));
    let [a_layout, c_layout] = [&gemm.a, &gemm.c].map(|operand| operand.layout);
    let (tile, design) = gemm.fitted(Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let mut a_rows = Array2::<i8>::zeros((rows as usize, k as usize));
    a_rows.slice_mut(s![..m as usize, ..]).assign(&a);
    let words = ColumnWords { gelu_bits: 0, row_shift: 0, chunks: k / CHUNK };
    let blocks = ColumnBlock::objects(tile.n, &bias.to_vec(), &q, words);
    let mut host = [
        bytes_of(&a_layout.pack(a_rows.view())),
        gemm.pack_b(tile.n, &blocks, b.view()),
        vec![0x77; (c_layout.len() * u64::from(out.bytes())) as usize],
    ];
    let report = runner::run(&design, &mut host).unwrap_or_else(|e| panic!("{e}"));
    let sums = matmul::reference(a.view(), b.view(), bias.view());
    let shape = [m, n];
    match out {
        Elem::I8 => {
            let got = c_layout.unpack_part(bytemuck::cast_slice::<u8, i8>(&host[2]), [0, 0], shape);
            assert_eq!(got, reference_i8(sums.view(), &q), "{m}x{k}x{n}");
        }
        _ => {
            let halves: Vec<i16> = host[2].chunks_exact(2).map(bytemuck::pod_read_unaligned).collect();
            assert_eq!(
                c_layout.unpack_part(&halves, [0, 0], shape),
                reference_i16(sums.view(), &q),
                "{m}x{k}x{n}"
            );
        }
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

#[test]
fn relu2_is_bit_exact_on_two_cores() {
    let design = designs::find("relu2").expect("a listed design");
    let x = Source::new(1, Data::Random).matrix::<i8>([1, 65536], [-128, 127]).into_raw_vec_and_offset().0;
    let mut host = [bytes_of(&x), vec![0; 65536]];
    let report = runner::run(&design, &mut host).unwrap_or_else(|e| panic!("{e}"));
    assert!(host[1] == bytes_of(&relu::reference(&x)));
    assert_eq!(report.cores.iter().map(|c| c.calls).collect::<Vec<_>>(), [16, 16]);
}

#[test]
fn mm4x4_is_bit_exact_on_sixteen_cores() {
    let design = designs::find("mm4x4").expect("a listed design");
    let mut source = Source::new(2, Data::Random);
    let a = source.matrix::<i8>([256, 256], [-128, 127]);
    let b = source.matrix::<i8>([256, 256], [-128, 127]);
    let mut host = [bytes_of(a.as_slice().unwrap()), bytes_of(b.as_slice().unwrap()), vec![0; 4 * 65536]];
    let report = runner::run(&design, &mut host).unwrap_or_else(|e| panic!("{e}"));
    let product = matmul::reference(a.view(), b.view(), Array1::zeros(256).view());
    let got: &[i32] = &host[2].chunks_exact(4).map(bytemuck::pod_read_unaligned).collect::<Vec<i32>>();
    for (row, col) in (0..4).flat_map(|r| (0..4).map(move |c| (r, c))) {
        // A core's block lies in its 64 rows and columns as the core holds it: in 4x8 tiles.
        let rows = (0..64).flat_map(|r| &got[(row * 64 + r) * 256 + col * 64..][..64]).copied();
        let block = from_tiles(&rows.collect::<Vec<i32>>(), [64, 64], [4, 8]);
        assert_eq!(
            block,
            product.slice(s![row * 64..row * 64 + 64, col * 64..col * 64 + 64]),
            "core ({col},{row})"
        );
    }
    assert_eq!(report.cores.iter().map(|c| c.macs).collect::<Vec<_>>(), [4 * 64 * 64 * 64; 16]);
}

#[test]
fn dispatch_does_what_its_control_object_says() {
    let design = designs::find("dispatch").expect("a listed design");
    let ab = Source::new(3, Data::Random).matrix::<i8>([8, 8192], [-128, 127]);
    for (chunks, rectify) in [(3usize, 0i32), (5, 1)] {
        let mut control = [0i32; 16];
        (control[0], control[1]) = (chunks as i32, rectify);
        let mut host = [bytes_of(ab.as_slice().unwrap()), vec![0; 4 * 65536], bytes_of(&control)];
        runner::run(&design, &mut host).unwrap_or_else(|e| panic!("{e}"));
        let mut sum = Array2::<i32>::zeros((64, 64));
        for chunk in 0..chunks {
            let half = ab.slice(s![chunk, ..4096]).to_vec();
            let (a, b) = (from_tiles(&half, [64, 64], [4, 8]), from_tiles(&half, [64, 64], [8, 8]));
            sum += &matmul::reference(a.view(), b.view(), Array1::zeros(64).view());
        }
        let expected = sum.mapv(|v| if rectify == 1 { v.max(0) } else { v });
        let got: Vec<i32> = host[1][..4 * 4096].chunks_exact(4).map(bytemuck::pod_read_unaligned).collect();
        assert_eq!(from_tiles(&got, [64, 64], [4, 8]), expected, "{chunks} chunks, operation {rectify}");
    }
}

#[test]
fn every_listed_design_verifies_and_has_its_own_name() {
    let all = designs::designs();
    let mut names: Vec<&str> = all.iter().map(|d| d.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len());
    for design in &all {
        runner::prepare(design, Device::npu1()).unwrap_or_else(|e| panic!("{}: {e}", design.name));
    }
}

#[test]
fn two_runs_are_identical_bytes_cycles_and_traces() {
    let design = designs::find("mm4x4").expect("a listed design");
    let run = || {
        let operand = |seed| {
            bytes_of(
                Source::new(seed, Data::Random).matrix::<i8>([256, 256], [-128, 127]).as_slice().unwrap(),
            )
        };
        let mut host = [operand(1), operand(2), vec![0; 4 * 65536]];
        let report = runner::run_traced(&design, &mut host).unwrap_or_else(|e| panic!("{e}"));
        (report, host)
    };
    let (first, second) = (run(), run());
    assert!(first == second);
    assert!(!first.0.trace.events.is_empty());
}

#[test]
fn the_array_never_writes_past_the_last_row() {
    // 300 rows: a block of 256, and one that starts at row 44.
    let spec = Gemm {
        c: Operand { len: 301 * 192, ..Operand::whole(Blocked::new(300, 192)) },
        ..plain_gemm(300, 64, 192, Elem::I8)
    };
    let (tile, design) = spec.fitted(Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
    let q = Requant { acc_shift: 0, mult: vec![1 << 14; 192], out_shift: 14 };
    let words = ColumnWords { gelu_bits: 0, row_shift: 0, chunks: 1 };
    let blocks = ColumnBlock::objects(tile.n, &[0; 192], &q, words);
    let b = spec.pack_b(tile.n, &blocks, Array2::<i8>::ones((64, 192)).view());
    let mut host = [vec![1; 300 * 64], b, vec![0x77; 301 * 192]];
    runner::run(&design, &mut host).unwrap_or_else(|e| panic!("{e}"));
    assert!(host[2][300 * 192..].iter().all(|&b| b == 0x77));
    assert!(host[2][..300 * 192].iter().all(|&b| b == 64));
}

#[test]
fn cascade_is_bit_exact_on_two_cores_and_natively() {
    let design = designs::find("cascade").expect("a listed design");
    let x = Source::new(4, Data::Random).matrix::<i8>([64, 1024], [-128, 127]);
    let expected = designs::cascade_reference(x.as_slice().unwrap());
    let mut host = [bytes_of(x.as_slice().unwrap()), vec![0; 65536]];
    let report = runner::run(&design, &mut host).unwrap_or_else(|e| panic!("{e}"));
    assert!(host[1] == bytes_of(&expected));
    assert!(report.cores.iter().all(|c| c.calls >= 64), "{:?}", report.cores);
    assert!(expected.contains(&-110) && expected.contains(&97), "the range of results is used");

    let dir = tempfile::tempdir().expect("a directory");
    let kernels: Vec<_> = design.kernels.iter().map(|k| &**k).collect();
    let native = NativeKernels::compile(&kernels, dir.path()).unwrap_or_else(|e| panic!("{e}"));
    let object = [NativeArg::Bytes(host[0][..1024].to_vec())];
    let calls: [(&str, &[NativeArg]); 2] =
        [("scale_put_i8", &object), ("bias_get_i8", &[NativeArg::Initial])];
    let results = native.run_calls(&calls).unwrap_or_else(|e| panic!("{e}"));
    assert!(results[1][0] == bytes_of(&expected[..1024]));
}

/// The emitted MLIR of the four example designs says what the hand-written files say.
#[test]
fn examples_are_the_hand_written_designs() {
    let root = std::env::var_os("KILN_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    // Their kernels' names and ours.
    let multiply = "matmul_i8_i32_64x64x64";
    let examples: [(&str, &[(&str, &str)]); 4] = [
        ("relu2", &[]),
        ("mm4x4", &[("mm_i8_i32", multiply), ("zero_i32", "zero_i32_4096")]),
        ("dispatch", &[("mac_i8", multiply), ("zero", "zero_i32_4096"), ("gelu", "relu_i32_4096")]),
        ("cascade", &[("put", "scale_put_i8"), ("get", "bias_get_i8")]),
    ];
    for (name, kernels) in examples {
        let path = root.join("data/mlir").join(format!("{name}.mlir"));
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("skipped: {} is absent", path.display());
            return;
        };
        let renamed = |text: String, (theirs, ours): &(&str, &str)| {
            text.replace(&format!("@{theirs}("), &format!("@{ours}("))
        };
        let text = kernels.iter().fold(text, renamed);
        let design = designs::find(name).expect("a listed design");
        let (design, _) = runner::prepare(&design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
        let ours = emit_mlir(&design, Device::npu1()).unwrap_or_else(|e| panic!("{e}"));
        let [ours, theirs] = [&ours, &text].map(|t| parse_mlir(t).unwrap_or_else(|e| panic!("{name}: {e}")));
        assert_eq!(ours, theirs, "{name}");
    }
}

/// What the conformance tests run is what the designs call; kernels of the cascade need each other
/// and have the test of their design.
#[test]
fn every_kernel_of_a_listed_design_is_in_the_catalogue() {
    let known: Vec<_> = catalogue().into_iter().map(|e| e.kernel).collect();
    let mut missing: Vec<String> = designs::designs()
        .iter()
        .flat_map(|d| d.kernels.clone())
        .filter(|kernel| !kernel.reads_cascade() && !kernel.writes_cascade())
        .filter(|kernel| !known.iter().any(|k| *k == **kernel))
        .map(|kernel| kernel.name.clone())
        .collect();
    missing.sort();
    missing.dedup();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The array around a kernel changes no bit, for each kernel that runs alone.
#[test]
fn every_kernel_alone_on_a_core_gives_its_reference() {
    let mut left_out = Vec::new();
    for entry in catalogue() {
        let case = entry.case(5, Data::Random);
        let Some(single) = designs::single(&entry.kernel, &case) else {
            left_out.push(entry.kernel.name.clone());
            continue;
        };
        let mut host = single.host;
        runner::run(&single.design, &mut host).unwrap_or_else(|e| panic!("{}: {e}", entry.kernel.name));
        let out = host.last().expect("outputs");
        for (param, range) in single.outputs {
            let (_, expected) =
                case.expected.iter().find(|(at, _)| *at == param).expect("a written parameter");
            assert!(out[range] == expected[..], "{}, parameter {param}", entry.kernel.name);
        }
    }
    // Their tables ask for banks that their data, twice, takes, or their scores alone are more than half of a core's memory.
    let too_big = ["attention_block", "normalised_score", "normalised_mix"];
    let known = |name: &String| too_big.iter().any(|kernel| name.starts_with(kernel));
    assert!(left_out.iter().all(known), "{left_out:?}");
}

/// A core calls a kernel as often as it is told; what only writes its outputs gives the same each time.
#[test]
fn calls_of_a_kernel_are_counted() {
    let entry = find("gelu_i16_1024").expect("listed");
    let case = entry.case(3, Data::Random);
    let counted = designs::counted(&entry.kernel, &case).expect("runs alone");
    let cycles = [0u32, 1, 2, 5].map(|calls| {
        let mut host = counted.host.clone();
        host[0][..4].copy_from_slice(&calls.to_le_bytes());
        let report = runner::run(&counted.design, &mut host).unwrap_or_else(|e| panic!("{calls} calls: {e}"));
        for (param, range) in &counted.outputs {
            let (_, expected) = case.expected.iter().find(|(at, _)| at == param).expect("written");
            let out = &host.last().expect("outputs")[range.clone()];
            assert_eq!(out == &expected[..], calls > 0, "{calls} calls");
        }
        report.cycles
    });
    let each = cycles[2] - cycles[1];
    assert!(each > 0 && cycles[3] - cycles[2] == 3 * each, "{cycles:?}");
}
