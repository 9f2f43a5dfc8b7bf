#!/usr/bin/env bash
# From f64 to bf16 both libraries that people use lose the low bits first and round then, so a value just above the
# middle of two bf16 goes to the even one below. 1 + 2^-8 + 2^-40 is nearer to 1.0078125 than to 1.
# Seen in ml_dtypes 0.5.4 (Python: by way of f32) and in half 2.7.1 (Rust: bf16::from_f64; f16::from_f64 too).
# Here: the mel filters and the quantised mel are rounded so, once, on the host; array, model and reference start from
# the same bf16, so the bits agree, and such a value is at most one step of bf16 off.
. "$(dirname "$0")/common.bash"

pip_install numpy==2.3.5 ml_dtypes==0.5.4
python_says=$("$python" - <<'PY'
import ml_dtypes, numpy
x = 1 + 2.0**-8 + 2.0**-40
print("ml_dtypes", float(numpy.float64(x).astype(ml_dtypes.bfloat16)), float(ml_dtypes.bfloat16(x)))
PY
)

mkdir -p "$work/rust/src"
cat >"$work/rust/Cargo.toml" <<'TOML'
[package]
name = "twice"
version = "0.0.0"
edition = "2021"
[dependencies]
half = "=2.7.1"
[workspace]
TOML
cat >"$work/rust/src/main.rs" <<'RUST'
use half::{bf16, f16};
fn main() {
    let above = |bits: i32| 1.0 + 2f64.powi(-bits) + 2f64.powi(-40);
    println!("half bf16 {} f16 {}", bf16::from_f64(above(8)), f16::from_f64(above(11)));
}
RUST
rust_says=$(cd "$work/rust" && CARGO_TARGET_DIR="$work/target" cargo run -q)
output="$python_says
$rust_says
nearest: bf16 1.0078125, f16 1.0009765625"

expect "f64 to bf16 rounds twice in ml_dtypes 0.5.4 and half 2.7.1" <<'SEEN'
ml_dtypes 1.0 1.0
half bf16 1 f16 1
nearest: bf16 1.0078125, f16 1.0009765625
SEEN
