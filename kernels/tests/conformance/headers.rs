//! The emitted C++ of every kernel that programs list, read by clang with the real headers of aie_api.

use super::Set;
use kiln_dsl::emit::emit_cpp;
use kiln_dsl::native::{AieApi, Source};

#[test]
fn every_kernel_is_what_the_real_aie_api_takes() {
    let api = match AieApi::find() {
        Ok(api) => api,
        Err(why) => return println!("skipped: {why}"),
    };
    let source = |entry: &kiln_kernels::case::Entry| {
        let name = entry.kernel.name.clone();
        let text = emit_cpp(&entry.kernel).unwrap_or_else(|e| panic!("{name}: {e}"));
        Source { name, text }
    };
    let sources: Vec<Source> = Set::catalogue().entries.iter().map(source).collect();
    let folder = tempfile::tempdir().expect("a folder");
    api.check(&sources, folder.path()).unwrap_or_else(|e| panic!("{e}"));
}
