//! What mlir-aie accepts and the hardware gets wrong: a file for each case of the reference notes on the toolchain
//! (`mlir.md` section 4). Each is an error here, which names the object and the remedy.

use super::*;

mod bd_id;
mod bd_reuse;
mod code;
mod copy_past_its_buffer;
mod depths;
mod link_parts;
mod lock_init;
mod mem_tile_overflow;
mod repeats;
mod tables;
mod task_queue;
mod token_counts;
mod tokens;
mod views;

/// The design is refused with one message that has all these parts and a remedy.
pub(super) fn refused(design: Design, parts: &[&str]) {
    let name = design.name.clone();
    let text = verify(design, Device::npu1()).expect_err(&name).to_string();
    let said = |message: &str| message.contains("help: ") && parts.iter().all(|p| message.contains(p));
    assert!(text.split("\n- ").any(said), "{parts:?} in\n{text}");
}
