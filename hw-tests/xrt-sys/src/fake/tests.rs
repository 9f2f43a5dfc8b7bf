//! The safe layer over the stand-in: every call, every fault, and nothing left open.

use super::*;
use crate::{BufferKind, Cause, CommandState, Kernel, Run, XrtError};

/// Adds one to every byte of the second buffer where the instructions say so.
struct Increment;

impl Machine for Increment {
    fn load(&mut self, xclbin: &[u8]) -> Result<(), String> {
        if xclbin == b"increment" { Ok(()) } else { Err("Invalid xclbin".to_owned()) }
    }

    fn run(&mut self, _: &[u8], instructions: &[u32], buffers: &mut [Vec<u8>]) -> Result<(), String> {
        if instructions != [7, 9] {
            return Err("no such instructions".to_owned());
        }
        let [from, to] = buffers else { return Err("two buffers".to_owned()) };
        to.iter_mut().zip(from.iter()).for_each(|(to, from)| *to = from + 1);
        Ok(())
    }
}

fn kernel(fake: &FakeXrt) -> Result<Kernel, XrtError> {
    fake.xrt().device(0)?.context(b"increment")?.kernel("MLIR_AIE")
}

/// A started run of 16 bytes, and its result.
fn started(kernel: &Kernel) -> Result<(Run, crate::Buffer), XrtError> {
    let device = kernel.context().device();
    let code = device.buffer(8, BufferKind::Cacheable, kernel.group(1)?)?;
    code.write(&[7, 0, 0, 0, 9, 0, 0, 0])?;
    let [from, to] = [3, 4].map(|argument| device.buffer(16, BufferKind::HostOnly, kernel.group(argument)?));
    let (from, to) = (from?, to?);
    from.write(&[41; 16])?;
    let mut run = kernel.run()?;
    run.set_u64(0, 3)?;
    run.set_buffer(1, &code)?;
    run.set_u32(2, 2)?;
    run.set_buffer(3, &from)?;
    run.set_buffer(4, &to)?;
    run.start()?;
    Ok((run, to))
}

#[test]
fn a_run_does_what_the_machine_does_and_closes_everything() {
    let fake = FakeXrt::new(Increment);
    {
        let kernel = kernel(&fake).unwrap();
        assert_eq!(kernel.context().device().name().unwrap(), "simulated NPU");
        let (mut run, to) = started(&kernel).unwrap();
        drop(kernel);
        assert_eq!(run.wait(1000).unwrap(), CommandState::Completed);
        assert_eq!(to.read().unwrap(), [42; 16]);
        assert!(fake.live() > 0);
    }
    assert_eq!(fake.live(), 0);
}

#[test]
fn a_list_runs_all_its_runs() {
    let fake = FakeXrt::new(Increment);
    let kernel = kernel(&fake).unwrap();
    let mut list = kernel.context().run_list().unwrap();
    let results: Vec<_> = (0..3)
        .map(|_| {
            let (run, to) = started(&kernel).unwrap();
            to.write(&[0; 16]).unwrap();
            list.add(run).unwrap();
            to
        })
        .collect();
    list.start().unwrap();
    assert_eq!(list.wait(1000).unwrap(), CommandState::Completed);
    assert!(results.iter().all(|to| to.read().unwrap() == [42; 16]));
    fake.order(Fault::Abort, 1);
    list.start().unwrap();
    assert_eq!(list.wait(1000).unwrap_err().cause, Cause::Command(CommandState::Abort));
    drop((list, results, kernel));
    assert_eq!(fake.live(), 0);
}

#[test]
fn every_fault_is_an_error_or_a_state_and_leaks_nothing() {
    for (name, fault) in Fault::NAMES {
        assert_eq!(Fault::named(name), Some(fault));
        let fake = FakeXrt::new(Increment);
        fake.order(fault, 0);
        let result = kernel(&fake).and_then(|kernel| {
            let (mut run, to) = started(&kernel)?;
            Ok((run.wait(1)?, to.read()?))
        });
        match (fault, result) {
            (Fault::NoDevice, Err(e)) => {
                assert_eq!(e.to_string(), "XRT, device: No such device with index '0'");
            }
            (Fault::Permission, Err(e)) => assert_eq!(e.cause, Cause::System(EACCES)),
            (Fault::LockedMemory, Err(e)) => assert_eq!(e.cause, Cause::System(EAGAIN)),
            (Fault::NoContext, Err(e)) => assert_eq!(e.cause, Cause::System(EINVAL)),
            (Fault::DeviceLost, Err(e)) => assert_eq!(e.cause, Cause::System(ENODEV)),
            (Fault::Firmware | Fault::Abort, Ok((state, _))) => assert_eq!(state, CommandState::Abort),
            (Fault::TimeOut, Ok((state, _))) => assert_eq!(state, CommandState::Timeout),
            (Fault::WrongBit, Ok((state, bytes))) => {
                assert_eq!((state, bytes[0], bytes[1]), (CommandState::Completed, 43, 42));
            }
            (fault, result) => panic!("{fault:?}: {result:?}"),
        }
        assert_eq!(fake.live(), 0, "{name}");
    }
    assert_eq!(Fault::named("fire"), None);
}

#[test]
fn a_fault_can_wait_for_its_call() {
    let fake = FakeXrt::new(Increment);
    fake.order(Fault::TimeOut, 2);
    let kernel = kernel(&fake).unwrap();
    let states: Vec<CommandState> = (0..4).map(|_| started(&kernel).unwrap().0.wait(1).unwrap()).collect();
    let (done, late) = (CommandState::Completed, CommandState::Timeout);
    assert_eq!(states, [done, done, late, done]);
}

#[test]
fn misuse_is_refused() {
    let fake = FakeXrt::new(Increment);
    let device = fake.xrt().device(0).unwrap();
    assert!(fake.xrt().device(1).is_err());
    assert!(device.context(b"zip").unwrap_err().message.contains("Invalid xclbin"));
    let context = device.context(b"increment").unwrap();
    assert!(context.kernel("OTHER").unwrap_err().message.contains("OTHER"));
    assert!(context.kernel("MLIR\0AIE").unwrap_err().message.contains("zero byte"));
    let kernel = context.kernel("MLIR_AIE").unwrap();
    assert!(kernel.group(0).is_err());
    let data = device.buffer(4, BufferKind::HostOnly, kernel.group(3).unwrap()).unwrap();
    let mut run = kernel.run().unwrap();
    assert!(run.set_buffer(1, &data).is_err(), "instructions are cacheable");
    assert!(run.set_u32(3, 1).is_err());
    assert!(run.wait(1).is_err(), "not started");
    assert!(run.start().unwrap_err().message.contains("argument 0 is not set"));
    // Six contexts, as the NPU has.
    let more: Vec<_> = (0..5).map(|_| device.context(b"increment").unwrap()).collect();
    assert_eq!(device.context(b"increment").unwrap_err().cause, Cause::System(EINVAL));
    drop(more);
    device.context(b"increment").unwrap();
    run.abort().unwrap();
}
