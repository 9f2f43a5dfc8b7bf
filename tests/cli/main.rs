//! The program `kiln` as people and scripts meet it: output, exit codes, files.

mod asm;
mod build;
mod designs;
mod disasm;
mod emit;
mod encode;
mod encode_errors;
mod files;
mod fit;
mod hwrun_encode;
mod inspect;
mod insts;
mod kernels;
mod lower;
mod quantize;
mod support;
mod validate;
mod view;
