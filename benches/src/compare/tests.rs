use super::*;
use kiln::kernels::catalogue::{catalogue, find};
use kiln::live::Place;

const FILE: &str = "entries:
- {id: fast, metric: rate, value: 14.4, unit: GOPS, source: there, quality: paper,
   workload: {kind: gemm_core, in: i8, out: i32, m: 64, k: 64, n: 64, clock_ghz: 1.8, compiler: chess}}
- {id: slow, metric: cycles, value: 70000, unit: cycles, source: there, quality: measured-on-silicon,
   workload: {kind: gemm_core, in: i8, in_b: i8, out: i32, m: 64, k: 64, n: 64, offset_cycles: 100}}
- {id: other, metric: cycles, value: 9, unit: cycles, source: there, quality: paper,
   workload: {kind: gemm_core, in: i16, out: i32, m: 32, k: 64, n: 32}}
- {id: no_hardware, metric: cycles, value: 5, unit: cycles, source: a vendor, quality: vendor-simulator,
   workload: {kind: gemm_core, in: i8, out: i32, m: 64, k: 64, n: 64}}
- {id: input, metric: cycles, value: 900, unit: cycles, source: there, quality: paper,
   workload: {kind: eltwise, op: copy, dtype: i8, n: 576, role: input}}
";

fn points() -> Vec<Point> {
    let file = MeasuredFile::parse(FILE, "a test").expect("measurements");
    assert!(file.problems.is_empty(), "{:?}", file.problems);
    published(&file, Device::npu1())
}

#[test]
fn rates_become_cycles_and_what_is_around_is_taken_off() {
    let points = points();
    let names: Vec<&str> = points.iter().map(|point| point.name.as_str()).collect();
    assert_eq!(names, ["fast", "slow", "other", "input"], "what no hardware made is left out");
    // 2 x 64^3 operations at 14.4e9 a second and 1.8e9 cycles a second.
    assert!((points[0].cycles.measured - 65536.0).abs() < 1e-6, "{:?}", points[0]);
    assert!((points[1].cycles.measured - 69900.0).abs() < 1e-6, "{:?}", points[1]);
    let of =
        |at: usize| (points[at].cycles.predicted - points[at].cycles.measured) / points[at].cycles.measured;
    assert_eq!(points[1].error(), of(1));
    assert!(points[3].is_input && !points[0].is_input);
}

#[test]
fn the_same_work_has_the_same_operation_types_and_sizes() {
    let points = points();
    let name = |kernel: &str| same_work(kernel, &points).map(|point| point.name.as_str());
    assert_eq!(name("matmul_i8_i32_64x64x64"), Some("fast"));
    assert_eq!(name("copy_i8_576"), Some("input"));
    // Ours has weights of 8 bits, the measured one of 16.
    assert_eq!(name("matmul_i16_i32_32x64x32"), None);
    assert_eq!(name("matmul_i8_i32_64x64x96"), None);
    assert_eq!(name("gelu_i16_1024"), None);
}

#[test]
fn kernels_of_the_catalogue_find_the_measurements_of_their_work() {
    let points = published(&MeasuredFile::built_in(), Device::npu1());
    let found: Vec<(String, &str)> = catalogue()
        .iter()
        .filter_map(|entry| {
            Some((entry.kernel.name.clone(), same_work(&entry.kernel.name, &points)?.name.as_str()))
        })
        .collect();
    let known = |kernel: &str, id: &str| found.iter().any(|(k, i)| k == kernel && *i == id);
    assert!(known("matmul_i8_i32_64x64x64", "nest_i8_64_64_64"), "{found:?}");
    assert!(known("matmul_bf16_f32_32x32x32", "hx_bf16_32"), "{found:?}");
}

#[test]
fn a_kernel_without_hardware_is_listed_with_its_prediction() {
    let entries = ["matmul_i8_i32_64x64x64", "relu_i8"].map(|name| find(name).expect("listed"));
    let rows = rows(&entries, Device::npu1(), &points(), None);
    assert_eq!(rows[0].compiler, Compiler::Chess, "that of the measurement");
    let simulated = *rows[0].simulated.as_ref().expect("simulated");
    assert_eq!(rows[0].error(), Some((simulated - 65536.0) / 65536.0));
    assert_eq!((rows[1].hardware.as_ref(), rows[1].error()), (None, None));
    assert!(rows[1].simulated.as_ref().is_ok_and(|cycles| *cycles >= 2048.0 / 64.0));
    let text = table(&rows);
    assert!(text.contains("fast, paper: there") && text.lines().count() == 3, "{text}");
}

#[test]
fn a_device_goes_before_what_was_published() {
    let device = Device::npu1();
    let live = Live::new(Place::Simulated, device, device.default_profile()).expect("a profile");
    let entries = ["matmul_i8_i32_64x64x64", "copy_i8_32", "zero_i32_1024"].map(|n| find(n).expect("listed"));
    for row in rows(&entries, device, &points(), Some(&live)) {
        assert_eq!(row.failed, None);
        let hardware = row.hardware.as_ref().expect("the device runs it");
        assert!(hardware.origin.contains("SIMULATED"), "{hardware:?}");
        // The stand-in works as the simulator does; its time is rounded to nanoseconds.
        assert!(row.error().is_some_and(|error| error.abs() < 1e-3), "{row:?}");
        // On the array all memory lies in a bank or two, and the core's own loop takes its part.
        let alone = find(&row.kernel).expect("listed");
        let alone =
            simulated(&alone, alone.case(1, Data::Random), device, Compiler::Peano).expect("simulated");
        let on_array = row.simulated.expect("simulated");
        assert!(
            on_array >= alone && on_array <= 1.2 * alone + 60.0,
            "{}: {on_array}, alone {alone}",
            row.kernel
        );
    }
}

#[test]
fn groups_are_operations() {
    let names = ["matmul_i8_i32_64x64x64", "attention_block_16x64", "layernorm_rows_1x384", "relu_i8", "x"];
    assert_eq!(names.map(group), ["matmul", "attention_block", "layernorm_rows", "relu", "x"]);
}
