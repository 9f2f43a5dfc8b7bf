//! The native oracle: emitted kernels compiled with g++ against a stand-in for aie_api and run.
//!
//! ```no_run
//! # use kiln_dsl::{Verified, kernel::Kernel};
//! # fn example(relu: &Verified<Kernel>) -> Result<(), kiln_dsl::native::NativeError> {
//! use kiln_dsl::native::{NativeArg, NativeKernels};
//! let dir = tempfile::tempdir().expect("a directory");
//! let native = NativeKernels::compile(&[relu], dir.path())?;
//! let cases = [vec![NativeArg::Bytes(vec![0xff; 2048]), NativeArg::Initial]];
//! let results = native.run("relu_i8", &cases)?;
//! assert_eq!(results[0][1], vec![0; 2048]);
//! # Ok(())
//! # }
//! ```
//!
//! The stand-in checks what the device would not: alignment of vector accesses, writes outside a
//! parameter, writes to a read-only one, undefined behaviour of the C++, shifts out of range.

mod headers;
mod source;

use crate::Verified;
use crate::emit::{CppError, emit_cpp};
use crate::kernel::{Kernel, Param, ParamKind};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub use headers::{AIE_API_VARIABLE, AieApi, Source};
pub use source::KILN_KERNEL_H;

/// Flags of every compilation: the language of the device's compilers, all warnings as errors, and
/// a stop at undefined behaviour.
pub const COMPILER_FLAGS: [&str; 7] = [
    "-std=c++20",
    "-O1",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-fsanitize=undefined",
    "-fno-sanitize-recover=undefined",
];

/// Why kernels could not be compiled or run natively.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NativeError {
    /// The kernel has no C++.
    #[error(transparent)]
    Emit(#[from] CppError),
    /// There is no C++ compiler.
    #[error(
        "no C++ compiler: `{compiler}` cannot be started ({cause})\n  help: install the Debian package `g++`, or name a compiler in CXX"
    )]
    NoCompiler {
        /// The command tried.
        compiler: String,
        /// Why it did not start.
        cause: std::io::Error,
    },
    /// The compiler refused the emitted code.
    #[error("`{command}` failed on kernels {kernels}:\n{stderr}")]
    Compile {
        /// The whole command.
        command: String,
        /// Names of the kernels.
        kernels: String,
        /// What it said.
        stderr: String,
    },
    /// A file could not be read or written.
    #[error("{path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// Two kernels of one binary have the same name.
    #[error("two kernels are named `{name}`\n  help: the name is the symbol of the C++ function, rename one")]
    SameName {
        /// The name.
        name: String,
    },
    /// The binary has no such kernel.
    #[error("no kernel `{name}` was compiled; there are {known}")]
    UnknownKernel {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// A case has another number of arguments than the kernel has parameters.
    #[error("kernel `{kernel}`, case {case}: {expected} parameters, got {got} arguments")]
    ArgumentCount {
        /// Kernel.
        kernel: String,
        /// Position in the batch.
        case: usize,
        /// Parameters.
        expected: usize,
        /// Arguments.
        got: usize,
    },
    /// An argument does not fit its parameter.
    #[error("kernel `{kernel}`, case {case}, parameter `{param}`: expected {expected}, got {got}")]
    Argument {
        /// Kernel.
        kernel: String,
        /// Position in the batch.
        case: usize,
        /// Parameter.
        param: String,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// The program stopped: undefined behaviour, a misaligned access or another check of the stand-in.
    #[error("kernel `{kernel}` stopped after {finished} of {cases} cases ({status}):\n{stderr}")]
    Stopped {
        /// Kernel.
        kernel: String,
        /// Cases whose results were written.
        finished: usize,
        /// Cases in the batch.
        cases: usize,
        /// How the program ended.
        status: String,
        /// What it said.
        stderr: String,
    },
}

/// One argument of a native call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NativeArg {
    /// The bytes of a memory parameter before the call.
    Bytes(Vec<u8>),
    /// A run-time integer.
    I32(i32),
    /// What the memory holds by itself: a table its bytes, state zeros, the rest a pattern.
    Initial,
}

/// Kernels compiled into one program.
#[derive(Debug)]
pub struct NativeKernels {
    program: PathBuf,
    directory: PathBuf,
    kernels: Vec<(String, Vec<Param>)>,
}

impl NativeKernels {
    /// Emits the kernels into `directory` (one `.cc` each, beside the headers) and compiles them
    /// into one program, with the compiler that CXX names or `g++`.
    ///
    /// # Errors
    /// [`NativeError::NoCompiler`] names the package to install; a refusal of the compiler carries
    /// its messages.
    pub fn compile(kernels: &[&Verified<Kernel>], directory: &Path) -> Result<NativeKernels, NativeError> {
        let mut sources = Vec::new();
        for (i, &kernel) in kernels.iter().enumerate() {
            if kernels[..i].iter().any(|k| k.name == kernel.name) {
                return Err(NativeError::SameName { name: kernel.name.clone() });
            }
            sources.push((format!("{}.cc", kernel.name), emit_cpp(kernel)?));
        }
        let plain: Vec<&Kernel> = kernels.iter().map(|&k| &**k).collect();
        sources.push(("main.cc".to_string(), source::main_source(&plain)));
        source::write_headers(directory)?;
        for (name, text) in &sources {
            write_file(&directory.join(name), text)?;
        }
        let program = directory.join("kernels");
        compile_program(directory, "main.cc", &program, || {
            plain.iter().map(|k| k.name.as_str()).collect::<Vec<_>>().join(", ")
        })?;
        let kernels = plain.iter().map(|k| (k.name.clone(), k.params.clone())).collect();
        Ok(NativeKernels { program, directory: directory.to_path_buf(), kernels })
    }

    /// Calls a kernel once per case, in one process. A case has one argument per parameter; the
    /// result of a case has, per parameter, its bytes after the call (none for an integer).
    ///
    /// # Errors
    /// When arguments do not fit, or the program stops at a check; `finished` tells at which case.
    pub fn run(&self, kernel: &str, cases: &[Vec<NativeArg>]) -> Result<Vec<Vec<Vec<u8>>>, NativeError> {
        self.params_of(kernel)?;
        let calls: Vec<(&str, &[NativeArg])> = cases.iter().map(|args| (kernel, args.as_slice())).collect();
        self.run_calls(&calls)
    }

    /// Calls kernels one after another in one process, so that what one puts into the cascade the
    /// next one gets. The results are those of [`NativeKernels::run`], one a call.
    ///
    /// # Errors
    /// As [`NativeKernels::run`]; a read of the empty cascade is a check that stops the program.
    pub fn run_calls(&self, calls: &[(&str, &[NativeArg])]) -> Result<Vec<Vec<Vec<u8>>>, NativeError> {
        let (mut input, mut all) = (Vec::new(), Vec::new());
        for (case, &(kernel, args)) in calls.iter().enumerate() {
            let (index, params) = self.params_of(kernel)?;
            input.extend_from_slice(&(index as u32).to_le_bytes());
            encode_case(kernel, case, params, args, &mut input)?;
            all.push(params);
        }
        let output = self.run_program(&input)?;
        let call_bytes = |params: &&[Param]| params.iter().map(|p| p.bytes() as usize).sum::<usize>();
        let total: usize = all.iter().map(call_bytes).sum();
        if !output.status.success() || total != output.stdout.len() {
            let mut left = output.stdout.len();
            let written = |params: &&&[Param]| {
                let bytes = call_bytes(params);
                let complete = bytes > 0 && bytes <= left;
                left = left.saturating_sub(bytes);
                complete
            };
            let finished = all.iter().take_while(written).count();
            return Err(NativeError::Stopped {
                kernel: calls.get(finished).or(calls.last()).map_or("", |c| c.0).to_string(),
                finished,
                cases: calls.len(),
                status: output.status.to_string(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            });
        }
        let mut bytes = output.stdout.as_slice();
        let mut take = |n: u64| {
            let (head, tail) = bytes.split_at(n as usize);
            bytes = tail;
            head.to_vec()
        };
        Ok(all.iter().map(|params| params.iter().map(|p| take(p.bytes())).collect()).collect())
    }

    /// Index and parameters of a kernel.
    fn params_of(&self, kernel: &str) -> Result<(usize, &[Param]), NativeError> {
        let found = self.kernels.iter().enumerate().find(|(_, k)| k.0 == kernel);
        found.map(|(index, k)| (index, k.1.as_slice())).ok_or_else(|| NativeError::UnknownKernel {
            name: kernel.to_string(),
            known: self.kernels.iter().map(|k| k.0.as_str()).collect::<Vec<_>>().join(", "),
        })
    }

    /// Input goes through a file: a pipe would block when both sides have much to say.
    fn run_program(&self, input: &[u8]) -> Result<std::process::Output, NativeError> {
        let at = |cause| NativeError::File { path: self.directory.clone(), cause };
        let mut file = tempfile::NamedTempFile::new_in(&self.directory).map_err(at)?;
        file.write_all(input).map_err(at)?;
        let stdin = File::open(file.path()).map_err(at)?;
        let run = Command::new(&self.program).stdin(Stdio::from(stdin)).output();
        run.map_err(|cause| NativeError::File { path: self.program.clone(), cause })
    }
}

fn encode_case(
    kernel: &str,
    case: usize,
    params: &[Param],
    args: &[NativeArg],
    out: &mut Vec<u8>,
) -> Result<(), NativeError> {
    if params.len() != args.len() {
        let (kernel, expected, got) = (kernel.to_string(), params.len(), args.len());
        return Err(NativeError::ArgumentCount { kernel, case, expected, got });
    }
    for (param, arg) in params.iter().zip(args) {
        let wrong = |expected: String, got: String| {
            let (kernel, param) = (kernel.to_string(), param.name.clone());
            Err(NativeError::Argument { kernel, case, param, expected, got })
        };
        let size = param.bytes();
        match (arg, &param.kind) {
            (NativeArg::I32(value), ParamKind::I32) => out.extend_from_slice(&value.to_le_bytes()),
            (NativeArg::I32(_), _) => return wrong(format!("{size} bytes"), "an integer".to_string()),
            (_, ParamKind::I32) => return wrong("an integer".to_string(), "bytes".to_string()),
            (NativeArg::Bytes(bytes), _) if bytes.len() as u64 != size => {
                return wrong(format!("{size} bytes"), format!("{} bytes", bytes.len()));
            }
            (NativeArg::Bytes(bytes), _) => out.extend_from_slice(bytes),
            (NativeArg::Initial, ParamKind::Table(bytes)) if bytes.len() as u64 != size => {
                return wrong(format!("{size} bytes"), format!("a table of {} bytes", bytes.len()));
            }
            (NativeArg::Initial, ParamKind::Table(bytes)) => out.extend_from_slice(bytes),
            (NativeArg::Initial, ParamKind::State) => out.resize(out.len() + size as usize, 0),
            (NativeArg::Initial, _) => out.resize(out.len() + size as usize, 0xcd),
        }
    }
    Ok(())
}

/// Compiles `main` in `directory` with [`COMPILER_FLAGS`] and the headers beside it.
pub(crate) fn compile_program(
    directory: &Path,
    main: &str,
    program: &Path,
    kernels: impl Fn() -> String,
) -> Result<(), NativeError> {
    let compiler = std::env::var("CXX").ok().filter(|c| !c.is_empty()).unwrap_or_else(|| "g++".to_string());
    let mut command = Command::new(&compiler);
    command.args(COMPILER_FLAGS).arg("-I").arg(directory.join("include"));
    command.arg(directory.join(main)).arg("-o").arg(program);
    let text = format!("{command:?}");
    let output = command.output().map_err(|cause| NativeError::NoCompiler { compiler, cause })?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(NativeError::Compile { command: text, kernels: kernels(), stderr })
}

pub(crate) fn write_file(path: &Path, text: &str) -> Result<(), NativeError> {
    let at = |cause| NativeError::File { path: path.to_path_buf(), cause };
    let mut file = BufWriter::new(File::create(path).map_err(at)?);
    file.write_all(text.as_bytes()).and_then(|()| file.flush()).map_err(at)
}

#[cfg(test)]
mod calls;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod silicon;
#[cfg(test)]
mod tests;
