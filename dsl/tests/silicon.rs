//! Judges the op table, and the rules of `num` that have no form in it, by instruction vectors
//! observed on silicon. The vectors are project data, not part of the repository: the
//! environment variable `KILN_SHARED` names their folder (default: `shared` beside the workspace),
//! and the test says so when they are absent.
//!
//! Every vector is either judged or belongs to a class that `LEFT_OUT` lists with a reason; a class
//! in neither, and a mismatch, is a failure.

#[path = "silicon/rules.rs"]
mod rules;
#[path = "silicon/vector.rs"]
mod vector;

use rules::{Answer, answer};
use std::collections::BTreeMap;
use vector::{Vector, hex, load};

/// Vectors in the data set (README.md there).
const VECTORS: usize = 3169;

const NO_OP: &str = "no operation of the table becomes this instruction";
const NO_64: &str = "the vector types have no 64-bit lanes";
const NO_UNSIGNED: &str = "the vector types have no unsigned 16- and 32-bit lanes";
const NO_4: &str = "the vector types have no 4-bit lanes";
const CONFIG: &str =
    "random multiplier config: modes that no compiler emits, and product signs chosen by sub_mask";
const MOVE: &str = "a move: nothing is computed";

/// Classes that are not judged: file, instruction, reason.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("scalar", "abs", NO_OP),
    ("scalar", "clb", NO_OP),
    ("scalar", "extend.s16", "part of a scalar load, which the executor does"),
    ("scalar", "extend.s8", "part of a scalar load, which the executor does"),
    ("scalar", "extend.u16", "part of a scalar load, which the executor does"),
    ("scalar", "extend.u8", "part of a scalar load, which the executor does"),
    ("scalar", "geu", NO_OP),
    ("scalar", "ltu", NO_OP),
    ("vadd_vsub", "vaddsub.16", NO_OP),
    ("vadd_vsub", "vaddsub.32", NO_OP),
    ("vadd_vsub", "vaddsub.8", NO_OP),
    ("vbcst_vextract_vinsert_vpush", "vbcst.64", NO_64),
    ("vbcst_vextract_vinsert_vpush", "vextbcst.64", NO_64),
    ("vbcst_vextract_vinsert_vpush", "vinsert.16", NO_OP),
    ("vbcst_vextract_vinsert_vpush", "vinsert.32", NO_OP),
    ("vbcst_vextract_vinsert_vpush", "vinsert.64", NO_64),
    ("vbcst_vextract_vinsert_vpush", "vinsert.8", NO_OP),
    ("vbcst_vextract_vinsert_vpush", "vpush.hi.16", NO_OP),
    ("vbcst_vextract_vinsert_vpush", "vpush.hi.32", NO_OP),
    ("vbcst_vextract_vinsert_vpush", "vpush.hi.64", NO_64),
    ("vbcst_vextract_vinsert_vpush", "vpush.hi.8", NO_OP),
    ("vbcst_vextract_vinsert_vpush", "vpush.lo.16", NO_OP),
    ("vbcst_vextract_vinsert_vpush", "vpush.lo.32", NO_OP),
    ("vbcst_vextract_vinsert_vpush", "vpush.lo.64", NO_64),
    ("vbcst_vextract_vinsert_vpush", "vpush.lo.8", NO_OP),
    ("vconv", "vfloor.s32.bf16", NO_OP),
    ("vlogic_abs_neg", "vabs_gtz.d16", NO_UNSIGNED),
    ("vlogic_abs_neg", "vabs_gtz.d32", NO_UNSIGNED),
    ("vlogic_abs_neg", "vabs_gtz.d8", "a magnitude of unsigned lanes is no operation"),
    ("vlogic_abs_neg", "vbneg_ltz.s16", NO_OP),
    ("vlogic_abs_neg", "vbneg_ltz.s32", NO_OP),
    ("vlogic_abs_neg", "vbneg_ltz.s8", NO_OP),
    ("vmac_float_random_config", "vaddmac.f", CONFIG),
    ("vmac_float_random_config", "vaddmsc.f", CONFIG),
    ("vmac_float_random_config", "vmac.f", CONFIG),
    ("vmac_float_random_config", "vmsc.f", CONFIG),
    ("vmac_float_random_config", "vmul.f", CONFIG),
    ("vmac_float_random_config", "vnegmul.f", CONFIG),
    ("vmac_int_random_config", "vaddmac", CONFIG),
    ("vmac_int_random_config", "vaddmsc", CONFIG),
    ("vmac_int_random_config", "vmac", CONFIG),
    ("vmac_int_random_config", "vmsc", CONFIG),
    ("vmac_int_random_config", "vmul", CONFIG),
    ("vmac_int_random_config", "vnegmac", CONFIG),
    ("vmac_int_random_config", "vnegmsc", CONFIG),
    ("vmac_int_random_config", "vnegmul", CONFIG),
    ("vmac_int_random_config", "vsubmac", CONFIG),
    ("vmac_int_random_config", "vsubmsc", CONFIG),
    ("vminmax_vcmp_vsel", "vge.d16", NO_UNSIGNED),
    ("vminmax_vcmp_vsel", "vge.d32", NO_UNSIGNED),
    ("vminmax_vcmp_vsel", "vlt.d16", NO_UNSIGNED),
    ("vminmax_vcmp_vsel", "vlt.d32", NO_UNSIGNED),
    ("vminmax_vcmp_vsel", "vmax_lt.d16", NO_UNSIGNED),
    ("vminmax_vcmp_vsel", "vmax_lt.d32", NO_UNSIGNED),
    ("vminmax_vcmp_vsel", "vmaxdiff_lt.d16", NO_UNSIGNED),
    ("vminmax_vcmp_vsel", "vmaxdiff_lt.d32", NO_UNSIGNED),
    ("vminmax_vcmp_vsel", "vmin_ge.d16", NO_UNSIGNED),
    ("vminmax_vcmp_vsel", "vmin_ge.d32", NO_UNSIGNED),
    ("vmov_vclr", "vmov", MOVE),
    ("vmov_vclr", "vmov.d", MOVE),
    ("vpack_vunpack", "vunpack.d8.d4", NO_4),
    ("vpack_vunpack", "vunpack.s8.s4", NO_4),
    ("vshift_vshuffle", "vbcstshfl.64", NO_64),
    ("vshift_vshuffle", "vshift", NO_OP),
    ("vshift_vshuffle", "vshift.align", NO_OP),
];

/// Single vectors of judged classes that are not judged: source, reason.
const LEFT_OUT_VECTORS: &[(&str, &str)] = &[(
    "xdna-emu:tests/isa-hw-baseline-20260324/batch_80_hw.bin#80/12",
    "vadd.f with amode 1, bmode 3, variant 2: lanes are off by up to two units, as if products took part",
)];

#[derive(Default)]
struct Class {
    by_table: usize,
    by_num: usize,
    left_out: usize,
    wrong: Vec<String>,
}

fn left_out(v: &Vector) -> bool {
    LEFT_OUT.iter().any(|&(file, op, _)| file == v.file && op == v.op)
        || LEFT_OUT_VECTORS.iter().any(|&(source, _)| source == v.source)
}

fn judge(v: &Vector, class: &mut Class) {
    if left_out(v) {
        class.left_out += 1;
        return;
    }
    let got = match answer(v) {
        None => {
            class.wrong.push(format!("{}: neither judged nor in LEFT_OUT", v.source));
            return;
        }
        Some(Answer::Table(bytes)) => {
            class.by_table += 1;
            bytes
        }
        Some(Answer::Num(bytes)) => {
            class.by_num += 1;
            bytes
        }
    };
    // An observed accumulator shows the low 16 bits of each of its 32-bit words.
    let got = if v.mode.contains_key("observed") {
        got.chunks_exact(4).flat_map(|word| word[..2].to_vec()).collect()
    } else {
        got
    };
    if got != v.result {
        class.wrong.push(format!("{}\n  expected {}\n       got {}", v.source, hex(&v.result), hex(&got)));
    }
}

#[test]
fn every_vector_agrees_with_the_op_table_or_is_left_out_for_a_reason() {
    let Some(vectors) = load() else { return };
    assert_eq!(vectors.len(), VECTORS, "the data set is not the one this test was written for");
    let mut classes: BTreeMap<(String, String), Class> = BTreeMap::new();
    for v in &vectors {
        judge(v, classes.entry((v.file.clone(), v.op.clone())).or_default());
    }
    let (mut failures, mut sums) = (Vec::new(), [0; 3]);
    println!("{:<30} {:<18} {:>6} {:>6} {:>9}", "file", "instruction", "table", "num", "left out");
    for ((file, op), c) in &classes {
        println!("{file:<30} {op:<18} {:>6} {:>6} {:>9}", c.by_table, c.by_num, c.left_out);
        for (sum, n) in sums.iter_mut().zip([c.by_table, c.by_num, c.left_out]) {
            *sum += n;
        }
        failures.extend(c.wrong.iter().map(|w| format!("{file} {op} {w}")));
    }
    println!(
        "{} vectors: {} judged by the op table, {} by num, {} left out",
        VECTORS, sums[0], sums[1], sums[2]
    );
    for &(file, op, reason) in LEFT_OUT {
        println!("left out: {file} {op}: {reason}");
        if !classes.contains_key(&(file.to_string(), op.to_string())) {
            failures.push(format!("LEFT_OUT names {file} {op}, which the data do not have"));
        }
    }
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
}
