//! Calls and accesses that must be refused, by both engines with the same words.

use super::{KernelArg, arguments, kernel, run_both};
use crate::core::{CoreExecutor, Engine, RunError};
use crate::executor::{ArgValue, Cascade, ExecError, KernelExecutor, TileMemories};
use kiln_dsl::array::KernelId;
use kiln_dsl::device::Device;
use kiln_dsl::kernel::build::Builder;
use std::sync::Arc;

fn copy(k: &Builder) {
    let (x, y) = (k.input::<i8>("x", [64]), k.output::<i8>("y", [128]));
    let at = k.param_i32("at");
    y.store(at * 32, x.load::<64>(0));
}

#[track_caller]
fn failure(author: impl for<'k> FnOnce(&'k Builder), integers: &[i32]) -> RunError {
    let kernel = kernel(author);
    let args = arguments(&kernel, 3, integers);
    run_both(&kernel, args).0.expect_err("the call fails")
}

#[test]
fn accesses_past_either_end_name_parameter_offset_and_size() {
    for (at, offset) in [(3, 96), (-1, -32), (i32::MAX, 32 * i64::from(i32::MAX))] {
        let error = failure(copy, &[at]);
        let text = error.to_string();
        assert!(
            matches!(error, RunError::OutOfBounds { offset_bytes, size_bytes: 64, .. } if offset_bytes == offset),
            "{text}"
        );
        assert!(text.contains("parameter y has 128 bytes") && text.contains("tests/errors.rs:"), "{text}");
    }
}

#[test]
fn the_last_bytes_of_a_parameter_are_inside_it() {
    let kernel = kernel(copy);
    assert!(run_both(&kernel, arguments(&kernel, 3, &[2])).0.is_ok());
}

#[test]
fn a_division_by_zero_is_an_error() {
    let error = failure(
        |k| {
            let y = k.output::<i32>("y", [1]);
            y.set(0, k.constant(7).quotient(k.param_i32("n")));
        },
        &[0],
    );
    assert!(matches!(error, RunError::DivisionByZero { dividend: 7, .. }), "{error}");
}

#[test]
fn tables_that_differ_are_an_error_where_they_are_read() {
    let kernel = kernel(|k| {
        let (x, y) = (k.input::<i8>("x", [32]), k.output::<i8>("y", [32]));
        let tables = k.lookup_tables::<i8>("t", &[1, 2, 3, 4, 5, 6, 7, 8], [1, 2]);
        y.store(0, x.load::<32>(0).lookup::<i8>(tables, 0, 0));
    });
    let mut args = arguments(&kernel, 3, &[]);
    args[0] = KernelArg::Memory(vec![2; 32]);
    // In a line an entry is there twice, 16 bytes apart.
    for byte in [6, 22] {
        let mut args = args.clone();
        if let KernelArg::Memory(table) = &mut args[3] {
            table[byte] ^= 1;
        }
        assert!(run_both(&kernel, args.clone()).0.is_ok());
        args[0] = KernelArg::Memory(vec![3; 32]);
        let error = run_both(&kernel, args).0.expect_err("entry 3 differs");
        assert!(matches!(error, RunError::TablesDiffer { entry: 3, .. }), "{error}");
    }
}

#[test]
fn arguments_must_fit_their_parameters() {
    let kernel = kernel(copy);
    let good = arguments(&kernel, 3, &[0]);
    let with = |index: usize, arg: KernelArg| {
        let mut args = good.clone();
        args[index] = arg;
        run_both(&kernel, args).0.expect_err("the call is refused").to_string()
    };
    assert!(with(0, KernelArg::I32(1)).contains("expected memory, got an i32"));
    assert!(with(2, KernelArg::Memory(vec![])).contains("expected an i32, got memory"));
    assert!(with(1, KernelArg::Memory(vec![0; 127])).contains("expected 128 bytes, got 127"));
    let few = run_both(&kernel, good[..2].to_vec()).0.expect_err("an argument is missing");
    assert_eq!(few.to_string(), "kernel k has 3 parameters and got 2 arguments");
}

#[test]
fn calls_on_tile_memories_work_in_place_and_check_place_and_overlap() {
    for engine in [Engine::Interpreter, Engine::Compiled] {
        let kernels = [Arc::new(kernel(copy))];
        let mut executor = CoreExecutor::new(&kernels, Device::npu1(), engine).expect("a verified kernel");
        let mut memories = TileMemories::new(vec![(0..=255).collect(), vec![0; 256]]);
        let memory = |tile, address, bytes| ArgValue::Memory { tile, address, bytes };
        let mut call = |x, y| {
            executor.call(KernelId(0), &[x, y, ArgValue::I32(1)], &mut memories, &mut Cascade::default())
        };
        assert!(call(memory(0, 64, 64), memory(1, 96, 128)).is_ok());
        let refused = |result: Result<_, ExecError>| match result {
            Err(ExecError::Kernel(error)) => error,
            other => panic!("{other:?}"),
        };
        let error = refused(call(memory(0, 64, 64), memory(0, 96, 128)));
        assert!(matches!(*error, RunError::Overlap { memory: 0, .. }), "{error}");
        let error = refused(call(memory(0, 48, 64), memory(1, 0, 128)));
        assert!(
            matches!(*error, RunError::ArgumentAlignment { address: 48, align_bytes: 32, .. }),
            "{error}"
        );
        let error = refused(call(memory(0, 64, 64), memory(1, 160, 128)));
        assert!(matches!(*error, RunError::ArgumentOutside { end: 288, memory_bytes: 256, .. }), "{error}");
        assert!(matches!(
            executor.call(KernelId(1), &[], &mut memories, &mut Cascade::default()),
            Err(ExecError::UnknownKernel { kernels: 1, .. })
        ));
        let expected: Vec<u8> = (64..128).collect();
        assert_eq!(memories.get(1, 128, 64), Some(&expected[..]));
        assert_eq!(memories.get(1, 0, 128), Some(&[0; 128][..]));
    }
}
