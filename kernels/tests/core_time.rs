//! Predicted cycles of kernels beside what bounds them. Both are exact, so a change of the model or of a kernel shows
//! here; the docs of the kernels have the same numbers.

use kiln_dsl::device::{Compiler, Device};
use kiln_dsl::kernel::ops::Opcode;
use kiln_dsl::kernel::{BlockId, Imm, Kernel, OpData, ValueId};
use kiln_kernels::catalogue::find;
use kiln_sim::core::{CoreModel, Schedule, SectionKind};

/// Cycles of a call, and those that its innermost loops need by resources and recurrences alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time {
    cycles: u64,
    bound: u64,
}

/// Iterations that a loop of run-time length is counted with: one, so that what only some calls do is in the sum once.
const RUN_TIME_TRIPS: u64 = 1;

fn time(name: &str, compiler: Compiler) -> Time {
    let entry = find(name).unwrap_or_else(|| panic!("no kernel {name}"));
    let schedule = Schedule::new(&entry.kernel, CoreModel { compiler, ..Device::npu1().into() });
    let mut time = Time { cycles: schedule.cost.call().cycles, bound: 0 };
    add_loops(&entry.kernel, &schedule, Kernel::BODY, 1, &mut time);
    time
}

/// Adds the loops of a block that runs `times`.
fn add_loops(kernel: &Kernel, schedule: &Schedule, block: BlockId, times: u64, time: &mut Time) {
    for &op in &kernel.block(block).ops {
        let data = kernel.op(op);
        let Some(body) = data.body else { continue };
        let trips = trips(kernel, data);
        let mut one = Default::default();
        schedule.cost.of_loop(op).add(trips, &mut one);
        time.cycles += times * one.cycles;
        let facts = schedule.sections.iter().find_map(|s| match &s.kind {
            SectionKind::Loop(of, facts) if *of == op => Some(facts),
            _ => None,
        });
        time.bound += facts.map_or(0, |facts| times * trips * u64::from(facts.least_cycles));
        add_loops(kernel, schedule, body, times * trips, time);
    }
}

/// Iterations of a loop.
fn trips(kernel: &Kernel, data: &OpData) -> u64 {
    let constant = |value: ValueId| {
        let by = kernel.ops.iter().find(|op| op.results.contains(&value))?;
        match (by.opcode, &by.imm) {
            (Opcode::SConst, Imm::Int(n)) => Some(*n),
            _ => None,
        }
    };
    let Imm::Loop { step, .. } = data.imm else { panic!("no step") };
    let (Some(from), Some(to)) = (constant(data.operands[0]), constant(data.operands[1])) else {
        return RUN_TIME_TRIPS;
    };
    let span = to - from;
    u64::try_from(span).expect("a count").div_ceil(u64::from(step))
}

/// Asserts the cycles of `names` under a compiler, and that none is below its bound.
#[track_caller]
fn assert_times(compiler: Compiler, expected: &[(&str, Time)]) {
    let got: Vec<(&str, Time)> = expected.iter().map(|(name, _)| (*name, time(name, compiler))).collect();
    assert!(got.iter().all(|(_, t)| t.bound <= t.cycles), "{got:?}");
    assert_eq!(got, expected, "{compiler}");
}

const fn t(cycles: u64, bound: u64) -> Time {
    Time { cycles, bound }
}

/// Multiply-accumulates of the product in a cycle, as a part of the core's most.
fn utilisation(macs: u64, peak: u32, cycles: u64) -> f64 {
    macs as f64 / f64::from(peak) / cycles as f64
}

const MATMUL: &str = "matmul_i8_i8_64x192x64";
const BF16: &str = "matmul_bf16_bf16_64x64x64";

#[test]
fn forms_of_a_byte_product() {
    let forms = ["", "_loop4x2", "_loop2x2", "_flat2x2", "_flat2x1"].map(|form| format!("{MATMUL}{form}"));
    let [plain, loop4x2, loop2x2, flat2x2, flat2x1] = forms.each_ref().map(String::as_str);
    assert_times(
        Compiler::Peano,
        &[
            (plain, t(4378, 3072)),
            (loop4x2, t(3822, 3072)),
            (loop2x2, t(4142, 3072)),
            (flat2x2, t(4038, 3328)),
            (flat2x1, t(3878, 3328)),
        ],
    );
    assert_times(
        Compiler::Ideal,
        &[
            (plain, t(4375, 3072)),
            (loop4x2, t(3600, 3072)),
            (loop2x2, t(3788, 3072)),
            (flat2x2, t(3684, 3328)),
            (flat2x1, t(3409, 3328)),
        ],
    );
    let macs = 64 * 192 * 64;
    assert!(utilisation(macs, 256, time(flat2x1, Compiler::Ideal).cycles) >= 0.87);
    // The best of what the open compiler makes.
    assert!(utilisation(macs, 256, time(loop4x2, Compiler::Peano).cycles) >= 0.80);
}

#[test]
fn a_product_of_bf16() {
    assert_times(Compiler::Peano, &[(BF16, t(2126, 2048))]);
    assert_times(Compiler::Ideal, &[(BF16, t(2078, 2048))]);
    assert!(utilisation(64 * 64 * 64, 128, time(BF16, Compiler::Ideal).cycles) >= 0.85);
}

#[test]
fn row_wise_kernels() {
    let names = ["softmax_2x1536", "layernorm_i8_4x384", "gelu_i16_1024"];
    let [softmax, layernorm, gelu] = names;
    assert_times(
        Compiler::Peano,
        &[(softmax, t(2271, 2016)), (layernorm, t(1316, 576)), (gelu, t(1969, 896))],
    );
    assert_times(
        Compiler::Ideal,
        &[(softmax, t(2264, 2016)), (layernorm, t(1160, 576)), (gelu, t(1200, 896))],
    );
}

#[test]
fn kernels_of_plain_bytes() {
    let names = [
        "normalised_score_24x64x1536",
        "normalised_softmax_1536",
        "normalised_mix_24x64x1536",
        "gelu_table_4096",
        "layernorm_bytes_1x384",
        "residual_add_i8_1536",
    ];
    let [score, softmax, mix, gelu, norm, add] = names;
    assert_times(
        Compiler::Peano,
        &[
            (score, t(483, 432)),
            (softmax, t(8365, 7296)),
            (mix, t(448, 416)),
            (gelu, t(1408, 1152)),
            (norm, t(332, 144)),
            (add, t(164, 96)),
        ],
    );
    assert_times(
        Compiler::Ideal,
        &[
            (score, t(483, 432)),
            (softmax, t(8365, 7296)),
            (mix, t(448, 416)),
            (gelu, t(1282, 1152)),
            (norm, t(310, 144)),
            (add, t(118, 96)),
        ],
    );
}

#[test]
fn products_and_sums_of_the_bf16_encoder() {
    let names = ["matmul_bf16_acc_64x64x48", "sums_finish_bf16_3072", "sums_finish_gelu_bf16_3072"];
    let [product, finish, gelu] = names;
    assert_times(Compiler::Peano, &[(product, t(1862, 1536)), (finish, t(408, 384)), (gelu, t(9157, 3936))]);
}

#[test]
fn attention() {
    // With one row of tiles whose maximum rose.
    let (bytes, floats) = ("attention_block_64x64", "attention_bf16_block_64x64");
    assert_times(Compiler::Peano, &[(bytes, t(8503, 4528)), (floats, t(6303, 2432))]);
}

#[test]
fn the_mel_spectrogram() {
    // One pair of bins, and all bands with one bin each.
    let (spectrum, bands) = ("mel_spectrum_400x202", "mel_bands_202x80_391");
    assert_times(Compiler::Peano, &[(spectrum, t(895, 800)), (bands, t(6017, 320))]);
}
