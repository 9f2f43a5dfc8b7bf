//! Kernels compiled and run; the stand-in's own checks.

use super::*;
use crate::kernel::build::Builder;
use crate::kernel::verify;
use crate::num::{Rounding, Saturation};

fn build(name: &str, author: impl for<'k> FnOnce(&'k Builder)) -> Verified<Kernel> {
    let kernel = Kernel::build(name, Rounding::ConvEven, Saturation::On, author);
    verify(kernel).unwrap_or_else(|e| panic!("{e}"))
}

fn relu() -> Verified<Kernel> {
    build("relu_i8", |k| {
        let x = k.input::<i8>("x", [256]);
        let y = k.output::<i8>("y", [256]);
        let zero = k.zeros::<i8, 64>();
        k.for_step(0, 256, 64, |i| y.store(i, x.load::<64>(i).max(zero)));
    })
}

#[test]
fn two_kernels_in_one_program_run_batches() {
    let scale = build("scale", |k| {
        let x = k.input::<i16>("x", [32]);
        let y = k.output::<i32>("y", [32]);
        let factor = k.param_i32("factor");
        k.for_n(32, |i| y.set(i, x.get(i) * factor));
    });
    let dir = tempfile::tempdir().expect("a directory");
    let native = NativeKernels::compile(&[&relu(), &scale], dir.path()).unwrap_or_else(|e| panic!("{e}"));

    let inputs: Vec<Vec<u8>> = (0..3u32).map(|c| (0..256u32).map(|i| (i * 7 + c) as u8).collect()).collect();
    let cases: Vec<_> =
        inputs.iter().map(|x| vec![NativeArg::Bytes(x.clone()), NativeArg::Initial]).collect();
    let results = native.run("relu_i8", &cases).unwrap_or_else(|e| panic!("{e}"));
    for (x, result) in inputs.iter().zip(&results) {
        let expected: Vec<u8> = x.iter().map(|&b| (b as i8).max(0) as u8).collect();
        assert_eq!((&result[0], &result[1]), (x, &expected));
    }

    let x: Vec<u8> = (0..32i16).flat_map(|i| (i * 100 - 1000).to_le_bytes()).collect();
    let case = vec![NativeArg::Bytes(x), NativeArg::Initial, NativeArg::I32(-70_000)];
    let result = native.run("scale", &[case]).unwrap_or_else(|e| panic!("{e}"));
    let expected: Vec<u8> = (0..32i32).flat_map(|i| ((i * 100 - 1000) * -70_000).to_le_bytes()).collect();
    assert_eq!(result[0][1], expected);
    assert!(result[0][2].is_empty());
}

#[test]
fn what_one_kernel_puts_into_the_cascade_the_next_one_gets() {
    use crate::kernel::build::{Acc32, Acc64};
    let put = build("put", |k| {
        let x = k.input::<i32>("x", [32]);
        k.for_step(0, 32, 16, |i| x.load::<16>(i).ups::<Acc32>(0).cascade_put());
    });
    let get = build("get", |k| {
        let (x, y) = (k.input::<i32>("x", [16]), k.output::<i32>("y", [16]));
        y.store(0, (k.cascade_get::<Acc32, 16>() + x.load::<16>(0).ups(0)).srs::<i32>(0));
    });
    let other_kind = build("other_kind", |k| {
        let y = k.output::<i32>("y", [8]);
        y.store(0, k.cascade_get::<Acc64, 8>().srs::<i32>(32));
    });
    let dir = tempfile::tempdir().expect("a directory");
    let native =
        NativeKernels::compile(&[&put, &get, &other_kind], dir.path()).unwrap_or_else(|e| panic!("{e}"));
    let words = |from: i32, n: i32| (from..from + n).flat_map(i32::to_le_bytes).collect::<Vec<u8>>();
    let sent = [NativeArg::Bytes(words(100, 32))];
    let added = [NativeArg::Bytes(words(0, 16)), NativeArg::Initial];
    let calls: [(&str, &[NativeArg]); 3] =
        [("put", &sent), ("get", &added), ("other_kind", &[NativeArg::Initial])];
    let results = native.run_calls(&calls).unwrap_or_else(|e| panic!("{e}"));
    let sums: Vec<u8> = (0..16i32).flat_map(|i| (100 + 2 * i).to_le_bytes()).collect();
    assert_eq!(results[1][1], sums);
    // The high words of 64-bit lanes are every second word of the second value.
    let high: Vec<u8> = (0..8i32).flat_map(|i| (117 + 2 * i).to_le_bytes()).collect();
    assert_eq!(results[2][0], high);

    let error = native.run_calls(&[calls[0], calls[1], calls[1], calls[1]]).unwrap_err().to_string();
    assert!(error.contains("kernel `get` stopped after 3 of 4 cases"), "{error}");
    assert!(error.contains("read of the cascade, which is empty"), "{error}");
}

#[test]
fn arguments_that_do_not_fit_are_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let native = NativeKernels::compile(&[&relu()], dir.path()).unwrap_or_else(|e| panic!("{e}"));
    let short = native.run("relu_i8", &[vec![NativeArg::Bytes(vec![0; 255]), NativeArg::Initial]]);
    assert!(short.unwrap_err().to_string().contains("parameter `x`: expected 256 bytes, got 255 bytes"));
    let integer = native.run("relu_i8", &[vec![NativeArg::I32(1), NativeArg::Initial]]);
    assert!(integer.unwrap_err().to_string().contains("got an integer"));
    let few = native.run("relu_i8", &[vec![]]);
    assert!(few.unwrap_err().to_string().contains("2 parameters, got 0 arguments"));
    let unknown = native.run("gelu", &[]);
    assert!(unknown.unwrap_err().to_string().contains("there are relu_i8"));
    let twice = NativeKernels::compile(&[&relu(), &relu()], dir.path());
    assert!(twice.unwrap_err().to_string().contains("two kernels are named `relu_i8`"));
}

#[test]
fn a_run_time_index_past_the_end_stops_the_program() {
    let stray = build("stray", |k| {
        let y = k.output::<i32>("y", [8]);
        let at = k.param_i32("at");
        y.set(at, 5);
    });
    let dir = tempfile::tempdir().expect("a directory");
    let native = NativeKernels::compile(&[&stray], dir.path()).unwrap_or_else(|e| panic!("{e}"));
    let case = |at| vec![NativeArg::Initial, NativeArg::I32(at)];
    assert!(native.run("stray", &[case(7)]).is_ok());
    let error = native.run("stray", &[case(0), case(8), case(1)]).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("stopped after 1 of 3 cases"), "{text}");
    assert!(text.contains("wrote outside parameter y (32 bytes)"), "{text}");
}

/// Compiles `body` as the whole of `main` against the stand-in and returns what it says when it stops.
fn stops(body: &str) -> String {
    let dir = tempfile::tempdir().expect("a directory");
    source::write_headers(dir.path()).unwrap_or_else(|e| panic!("{e}"));
    let text = format!("#include \"kiln_kernel.h\"\nint main() {{\n{body}\n}}\n");
    write_file(&dir.path().join("main.cc"), &text).unwrap_or_else(|e| panic!("{e}"));
    let program = dir.path().join("stops");
    compile_program(dir.path(), "main.cc", &program, String::new).unwrap_or_else(|e| panic!("{e}"));
    let output = Command::new(&program).output().expect("runs");
    assert!(!output.status.success(), "did not stop: {body}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_misaligned_vector_load_names_the_pointer() {
    let said = stops("alignas(64) static int8_t m[128]; auto v = aie::load_v<32>(m + 16); (void)v;");
    assert!(
        said.contains("vector load at 0x") && said.contains("16 bytes past a multiple of 32 bytes"),
        "{said}"
    );
}

#[test]
fn a_shift_that_aie2_drops_unseen_stops() {
    let said = stops("auto acc = aie::zeros<acc32, 16>(); auto v = acc.to_vector<int32>(3); (void)v;");
    assert!(said.contains("srs from acc32 to 32 bits: shift must be 0, is 3"), "{said}");
}

#[test]
fn table_copies_that_differ_stop() {
    let said = stops(
        "alignas(32) static int16_t ab[16] = {}, cd[16] = {0, 1};
         auto v = kiln::lookup<int16, 8, 0, 4>(ab, cd, aie::broadcast<int8, 32>(-3)); (void)v;",
    );
    assert!(said.contains("entry 1 of a lookup table differs"), "{said}");
}

/// Names with `prefix` in C++ text: what follows it up to the first non-identifier character.
fn names_after<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = String> + 't {
    let identifier = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(prefix)
        .filter(move |(at, _)| !text[..*at].ends_with(|c: char| identifier(c) || c == ':'))
        .map(move |(at, _)| &text[at + prefix.len()..])
        .map(move |rest| format!("{prefix}{}", rest.split(|c| !identifier(c)).next().unwrap_or_default()))
}

#[test]
fn every_aie_api_name_used_is_listed_with_its_header() {
    use crate::kernel::ops::{Opcode, spec};
    let listed = include_str!("../../native/aie_api_used.txt");
    let listed: Vec<&str> =
        listed.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.split_whitespace().next()).collect();
    let mut used = std::collections::BTreeSet::new();
    let templates = Opcode::ALL.iter().flat_map(|&o| spec(o).forms.iter().map(|f| f.cpp.to_string()));
    // What the emitter writes by itself: types and modes.
    let emitted = "aie::vector aie::accum aie::mask aie::set_rounding aie::set_saturation aie::rounding_mode aie::saturation_mode";
    for text in templates.chain([KILN_KERNEL_H.to_string(), emitted.to_string()]) {
        used.extend(names_after(&text, "aie::"));
    }
    assert!(used.len() > 30, "{used:?}");
    let missing: Vec<_> = used.iter().filter(|n| !listed.contains(&n.as_str())).collect();
    assert!(missing.is_empty(), "not in dsl/native/aie_api_used.txt: {missing:?}");
    let unused: Vec<_> = listed.iter().filter(|n| n.starts_with("aie::") && !used.contains(**n)).collect();
    assert!(unused.is_empty(), "listed but not used: {unused:?}");
}

#[test]
fn every_call_of_aie_api_has_the_arguments_of_its_signature() {
    use super::calls::{signatures, uses};
    use crate::kernel::ops::{Opcode, spec};
    let list = signatures(include_str!("../../native/aie_api_used.txt"));
    let methods: Vec<&str> = list.iter().map(|s| s.name).filter(|n| n.starts_with('.')).collect();
    let templates = Opcode::ALL.iter().flat_map(|&o| spec(o).forms.iter().map(|f| f.cpp.to_string()));
    let mut counted = 0;
    for text in templates.chain([KILN_KERNEL_H.to_string()]) {
        // Code only: comments and messages name what they do not call.
        let code: Vec<String> = text
            .lines()
            .map(|l| l.split("//").next().unwrap_or_default().split('"').step_by(2).collect())
            .collect();
        for used in uses(&code.join("\n"), &methods) {
            let listed = list.iter().find(|s| s.name == used.name);
            let listed = listed.unwrap_or_else(|| panic!("{} is not listed: {text}", used.name));
            assert!(listed.template.contains(&used.template), "{used:?} of {listed:?} in {text}");
            if let (Some(expected), Some(got)) = (&listed.arguments, used.arguments) {
                assert!(expected.contains(&got), "{used:?} of {listed:?} in {text}");
                counted += 1;
            }
        }
    }
    assert!(counted > 100, "{counted} calls");
}

#[test]
fn lookups_find_the_entry_in_any_rounding_mode() {
    use crate::num::lut;
    let values: Vec<i32> = (0..256).map(|i| (i - 128) * (i - 128) / 3 - 2000).collect();
    let wide = lut::pack_table(&values, crate::kernel::Elem::I16);
    let kernel = build("lookup", |k| {
        let x = k.input::<i16>("x", [64]);
        let y = k.output::<i16>("y", [64]);
        let tables = k.lookup_tables::<i16>("square", &values, [1, 2]);
        k.for_step(0, 64, 32, |i| y.store(i, x.load::<32>(i).lookup(tables, 4, 128)));
    });
    let dir = tempfile::tempdir().expect("a directory");
    let native = NativeKernels::compile(&[&kernel], dir.path()).unwrap_or_else(|e| panic!("{e}"));
    let keys: Vec<i16> = (0..64).map(|i| (i * 1021 - 32_768 + i * i) as i16).chain([]).collect();
    let x = keys.iter().flat_map(|k| k.to_le_bytes()).collect();
    let case = vec![NativeArg::Bytes(x), NativeArg::Initial, NativeArg::Initial, NativeArg::Initial];
    let result = native.run("lookup", &[case]).unwrap_or_else(|e| panic!("{e}"));
    for (key, got) in keys.iter().zip(result[0][1].chunks_exact(2)) {
        let entry = ((i32::from(*key) >> 4) + 128).clamp(0, 255) as u32;
        let expected = lut::table_entry(&wide, crate::kernel::Elem::I16, entry);
        assert_eq!(i32::from(i16::from_le_bytes([got[0], got[1]])), expected, "key {key}");
    }
}
