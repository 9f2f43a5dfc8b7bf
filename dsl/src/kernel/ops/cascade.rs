//! Reads and writes of the cascade, one accumulator of 512 bits each. The executor moves the bytes.
//!
//! aie_api has no call for a core's own cascade (its `cascade_stream` types belong to graphs), so the
//! C++ is the compiler's intrinsics: `put_mcd` and `get_scd_*` of Peano's `aiev2_streams.h`, which
//! Chess has under the same names. Slots and latencies: `isa_timing.md` sections 1 and 2.

use super::table::{LDA, ST, Table, m};
use super::{Effect, LatencyClass, Opcode};
use crate::kernel::types::{AccKind, Type};

/// Width of the cascade of AIE2 (`core.cascade_bits` of the device).
pub(super) const CASCADE_BITS: u32 = 512;

const PUT: &str = "::put_mcd($0.to_native())";

pub(super) fn fill(t: &mut Table) {
    let get = [
        (AccKind::Acc32, "aie::accum<$E, $N>(::get_scd_v16acc32())"),
        (AccKind::Acc64, "aie::accum<$E, $N>(::get_scd_v8acc64())"),
        (AccKind::AccFloat, "aie::accum<$E, $N>(::get_scd_v16accfloat())"),
    ];
    for (kind, get) in get {
        let ty = Type::accum(kind, (CASCADE_BITS / 8 / kind.bytes()) as u16);
        let write = vec![m("vmov", ST, LatencyClass::Control, 1)];
        t.effect(Opcode::CascadePut, Effect::Cascade, &[ty], None, PUT, write);
        let read = vec![m("vmov", LDA, LatencyClass::CascadeRead, 1)];
        t.effect(Opcode::CascadeGet, Effect::Cascade, &[], Some(ty), get, read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::kernel::ops::spec;

    #[test]
    fn forms_are_as_wide_as_the_device_says() {
        assert_eq!(CASCADE_BITS, Device::npu1().core.cascade_bits());
        for opcode in [Opcode::CascadePut, Opcode::CascadeGet] {
            let types = spec(opcode).forms.iter().flat_map(|f| f.operands.iter().chain(&f.result));
            let bits: Vec<u32> = types.map(|t| t.bytes() * 8).collect();
            assert_eq!(bits, [CASCADE_BITS; 3]);
        }
        assert_eq!(Device::npu1().latency_cycles(LatencyClass::CascadeRead), 7);
    }
}
