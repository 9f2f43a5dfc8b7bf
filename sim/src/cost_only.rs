//! Runs for time alone.

use crate::executor::{ArgValue, CallCost, Cascade, ExecError, KernelExecutor, TileMemories};
use kiln_dsl::array::KernelId;
use std::collections::HashMap;

/// Runs a call of each kernel with each set of arguments once, for its cost, and charges that from then on
/// without running it.
///
/// With [`SimOptions::move_data`](crate::array::SimOptions::move_data) off it makes long runs short whose cycles do
/// not depend on data: no trip counts from memory, no cascades (a call that does not run writes none).
pub struct CostOnly<'e> {
    inner: &'e mut dyn KernelExecutor,
    known: HashMap<(KernelId, Vec<ArgValue>), CallCost>,
}

impl<'e> CostOnly<'e> {
    /// Costs as `inner` gives them.
    pub fn new(inner: &'e mut dyn KernelExecutor) -> CostOnly<'e> {
        CostOnly { inner, known: HashMap::new() }
    }
}

impl KernelExecutor for CostOnly<'_> {
    fn call(
        &mut self,
        kernel: KernelId,
        args: &[ArgValue],
        memories: &mut TileMemories,
        cascade: &mut Cascade,
    ) -> Result<CallCost, ExecError> {
        // Which tile holds an argument does not change the cost, where in it does: banks.
        let place = |arg: &ArgValue| match *arg {
            ArgValue::Memory { address, bytes, .. } => ArgValue::Memory { tile: 0, address, bytes },
            ArgValue::I32(value) => ArgValue::I32(value),
        };
        let key = (kernel, args.iter().map(place).collect());
        if let Some(&cost) = self.known.get(&key) {
            return Ok(cost);
        }
        let cost = self.inner.call(kernel, args, memories, cascade)?;
        self.known.insert(key, cost);
        Ok(cost)
    }
}
