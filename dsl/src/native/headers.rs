//! Emitted C++ read by clang with the real headers of aie_api in place of the stand-in: overloads, constraints and templates
//! are then AMD's own.
//!
//! The compilers' intrinsics below aie_api are declared by name as functions that take and give anything, so that what is
//! checked ends where aie_api calls them. Their names are not kept here: clang says which it misses in the headers, and they
//! are declared in the next round. A kernel may use those and the intrinsics of `aie_api_used.txt`, no others.

use super::{KILN_KERNEL_H, NativeError, write_file};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folder that holds `aie_api/aie.hpp`.
pub const AIE_API_VARIABLE: &str = "KILN_AIE_API";

/// Clang, by the names that it is installed under. GCC has no delayed parsing of templates, without which every intrinsic
/// of every operation would be needed.
const COMPILERS: [&str; 6] =
    ["clang++", "clang++-22", "clang++-21", "clang++-20", "clang++-19", "clang++-18"];

/// AIE2, and the version of the compilers' model that the headers were released for: what it turns on is AIE2's. Clang 19
/// refuses a habit of theirs.
const FLAGS: [&str; 8] = [
    "-fsyntax-only",
    "-std=c++20",
    "-fdelayed-template-parsing",
    "-Wno-missing-template-arg-list-after-template-kw",
    "-ferror-limit=0",
    "-w",
    "-D__AIE_ARCH__=20",
    "-D__AIE_MODEL_VERSION__=10400",
];

/// Names of facts that the kernels may use: `::name` are intrinsics.
const USED: &str = include_str!("../../native/aie_api_used.txt");

/// Rounds of declaring what is missing; two are enough for the headers of 2025.
const ROUNDS: usize = 8;

/// The real headers, and a compiler that reads them.
#[derive(Clone, Debug)]
pub struct AieApi {
    include: PathBuf,
    compiler: &'static str,
    native_types: BTreeSet<String>,
}

/// A source file to check.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name, without `.cc`.
    pub name: String,
    /// Its text.
    pub text: String,
}

impl AieApi {
    /// The headers in the folder that `KILN_AIE_API` names; none, with the reason, where it is not set, holds no headers or
    /// there is no clang.
    ///
    /// # Errors
    /// Why the headers cannot be read.
    pub fn find() -> Result<AieApi, String> {
        let Some(include) = std::env::var_os(AIE_API_VARIABLE).map(PathBuf::from) else {
            return Err(format!(
                "{AIE_API_VARIABLE} is not set: it names the folder that holds aie_api/aie.hpp"
            ));
        };
        let native_types = native_types(&include.join("aie_api"))
            .map_err(|e| format!("{AIE_API_VARIABLE}: {}: {e}", include.display()))?;
        let runs =
            |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
        let Some(compiler) = COMPILERS.into_iter().find(runs) else {
            return Err(format!("no clang: none of {} runs", COMPILERS.join(", ")));
        };
        Ok(AieApi { include, compiler, native_types })
    }

    /// Reads sources that include `kiln_kernel.h`; everything that clang says against them otherwise.
    ///
    /// # Errors
    /// When files cannot be written, clang not started, or it refuses a source.
    pub fn check(&self, sources: &[Source], directory: &Path) -> Result<(), NativeError> {
        write_file(&directory.join("kiln_kernel.h"), KILN_KERNEL_H)?;
        // Graphs are no part of kernels.
        write_file(&directory.join("adf.h"), "#pragma once\n")?;
        let mut files = Vec::new();
        for source in sources {
            let file = format!("{}.cc", source.name);
            write_file(&directory.join(&file), &source.text)?;
            files.push(file);
        }
        let mut missing = Missing::default();
        let mut said = String::new();
        for _ in 0..ROUNDS {
            write_file(&directory.join("intrinsics.hpp"), &self.intrinsics(&missing))?;
            let output = Command::new(self.compiler)
                .current_dir(directory)
                .args(FLAGS)
                .args(["-include", "intrinsics.hpp", "-I.", "-I"])
                .arg(&self.include)
                .args(&files)
                .output()
                .map_err(|cause| NativeError::NoCompiler { compiler: self.compiler.to_owned(), cause })?;
            if output.status.success() {
                return Ok(());
            }
            said = String::from_utf8_lossy(&output.stderr).into_owned();
            if !missing.learn(&said) {
                break;
            }
        }
        let kernels: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
        Err(NativeError::Compile {
            command: format!("{} {}", self.compiler, FLAGS.join(" ")),
            kernels: kernels.join(", "),
            stderr: said,
        })
    }

    /// Declarations of everything below aie_api.
    fn intrinsics(&self, missing: &Missing) -> String {
        let mut text = include_str!("../../native/intrinsics.hpp").to_owned();
        for name in &self.native_types {
            text.push_str(&format!(
                "struct {name} {{ {name}(); {name}(kiln_any); template <class T> explicit {name}(const T &); }};\n"
            ));
        }
        let of_kernels = USED.lines().filter_map(|line| line.strip_prefix("::")?.split_whitespace().next());
        let functions: BTreeSet<&str> =
            of_kernels.chain(missing.functions.iter().map(String::as_str)).collect();
        for name in functions {
            // `srs_to_v16int16` gives a v16int16.
            let ends = |ty: &&String| name.strip_suffix(ty.as_str()).is_some_and(|rest| rest.ends_with('_'));
            let result = self.native_types.iter().find(ends).map_or("kiln_any", String::as_str);
            text.push_str(&format!("template <class... A> {result} {name}(A...);\n"));
        }
        for name in &missing.constants {
            text.push_str(&format!("inline constexpr int {name} = 0;\n"));
        }
        text
    }
}

/// What the headers use and nobody has declared yet.
#[derive(Debug, Default)]
struct Missing {
    functions: BTreeSet<String>,
    constants: BTreeSet<String>,
}

impl Missing {
    /// Takes names out of clang's errors in the headers; whether there are new ones.
    fn learn(&mut self, said: &str) -> bool {
        let before = self.functions.len() + self.constants.len();
        for line in said.lines().filter(|line| line.contains("/aie_api/")) {
            let Some((_, error)) = line.split_once(": error: ") else { continue };
            let Some(name) = error.split('\'').nth(1) else { continue };
            if error.contains("in the global namespace") {
                self.functions.insert(name.to_owned());
            } else if error.starts_with("use of undeclared identifier") {
                // Rounding modes and shuffle modes are constants, the rest are functions.
                let first = name.chars().next().unwrap_or_default();
                let is_constant = first.is_uppercase() || name.starts_with("rnd_");
                let names = if is_constant { &mut self.constants } else { &mut self.functions };
                names.insert(name.to_owned());
            }
        }
        self.functions.len() + self.constants.len() > before
    }
}

/// Names of the compilers' vector and accumulator types in the headers, such as v32int16 and v16acc64.
fn native_types(folder: &Path) -> std::io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for folder in [folder.to_owned(), folder.join("detail"), folder.join("detail/aie2")] {
        for file in std::fs::read_dir(&folder)? {
            let path = file?.path();
            if path.extension().is_some_and(|e| e == "hpp") {
                let text = std::fs::read_to_string(&path)?;
                let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                found.extend(words.filter(|word| is_native_type(word)).map(str::to_owned));
            }
        }
    }
    Ok(found)
}

/// `v`, lanes, element: `v64uint8`, `v8cint16`, `v16accfloat`, `v128int4_sparse`.
fn is_native_type(word: &str) -> bool {
    let Some(rest) = word.strip_prefix('v') else { return false };
    let element = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let element = element.trim_end_matches("_compress").trim_end_matches("_sparse");
    let kind = element.trim_end_matches(|c: char| c.is_ascii_digit());
    let has_lanes = rest.starts_with(|c: char| c.is_ascii_digit());
    let kinds = [
        "int",
        "uint",
        "cint",
        "bfloat",
        "cbfloat",
        "float",
        "cfloat",
        "acc",
        "cacc",
        "accfloat",
        "caccfloat",
    ];
    has_lanes && kinds.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn native_types_are_told_by_their_names() {
        for name in [
            "v64uint8",
            "v8cint16",
            "v16accfloat",
            "v128int4_sparse",
            "v64int16_sparse_compress",
            "v32bfloat16",
        ] {
            assert!(is_native_type(name), "{name}");
        }
        for name in ["v", "v1", "value", "v16_sparse", "vint8", "v8intx", "v16uint8_t"] {
            assert!(!is_native_type(name), "{name}");
        }
    }

    #[test]
    fn only_the_headers_may_miss_names() {
        let mut missing = Missing::default();
        let said = "/x/aie_api/detail/abs.hpp:1:2: error: no member named 'band' in the global namespace
/x/aie_api/accum.hpp:3:4: error: use of undeclared identifier 'T16_4x4'
/x/aie_api/accum.hpp:3:4: error: use of undeclared identifier 'undef_v8acc32'; did you mean 'x'?
kernel.cc:5:6: error: no member named 'bnad' in the global namespace
";
        assert!(missing.learn(said) && !missing.learn(said));
        assert_eq!(missing.functions.iter().collect::<Vec<_>>(), ["band", "undef_v8acc32"]);
        assert_eq!(missing.constants.iter().collect::<Vec<_>>(), ["T16_4x4"]);
    }
}
