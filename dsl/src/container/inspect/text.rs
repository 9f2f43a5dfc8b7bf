//! Reports in words.

use super::{
    BdReport, CdoReport, ElfReport, FileReport, LockReport, PartitionReport, PdiReport, PieceReport,
    RouteReport, TileReport, XclbinReport,
};
use std::fmt;

impl fmt::Display for FileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileReport::Elf(elf) => elf.fmt(f),
            FileReport::Cdo(cdo) => cdo.fmt(f),
            FileReport::Pdi(pdi) => pdi.fmt(f),
            FileReport::Xclbin(xclbin) => xclbin.fmt(f),
            FileReport::Insts { lines } => lines.iter().try_for_each(|line| writeln!(f, "{line}")),
        }
    }
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|i| i.to_string()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for PieceReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.sha256.to_string();
        write!(f, "{} B at {:#07x}, sha256 {}", self.bytes, self.address, &digest[..12])
    }
}

impl fmt::Display for ElfReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "program of a core, entry {:#x}, flags {}", self.entry, self.flags)?;
        self.segments.iter().try_for_each(|s| writeln!(f, "  segment {s}"))?;
        self.sections.iter().try_for_each(|s| {
            let address = s.address.map_or_else(String::new, |a| format!(" at {a:#07x}"));
            writeln!(f, "  section {:20} {:>6} B{address}", s.name, s.bytes)
        })
    }
}

impl fmt::Display for CdoReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "configuration of {} commands, version {:#x}", self.commands, self.version)?;
        self.tiles.iter().try_for_each(|t| t.fmt(f))?;
        if !self.routes.is_empty() {
            writeln!(f, "  routes")?;
        }
        self.routes.iter().try_for_each(|r| writeln!(f, "    {r}"))?;
        self.problems.iter().try_for_each(|p| writeln!(f, "  problem: {p}"))
    }
}

impl fmt::Display for RouteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = if self.to.is_empty() { "nowhere".to_owned() } else { list(&self.to) };
        write!(f, "{} -> {to}", self.from)?;
        match self.packets {
            Some([id, mask]) => write!(f, " (packets with id {id}, mask {mask:#x})"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for TileReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [col, row] = self.tile;
        writeln!(f, "  {} ({col},{row})", self.kind)?;
        if let Some(core) = &self.core {
            writeln!(f, "    core {}", if core.runs { "runs" } else { "does not run" })?;
            core.program.iter().try_for_each(|p| writeln!(f, "    program {p}"))?;
            if let Some([from, to]) = core.cascade {
                writeln!(f, "    cascade from {from} to {to}")?;
            }
        }
        self.data.iter().try_for_each(|p| writeln!(f, "    data {p}"))?;
        let set: Vec<&LockReport> = self.locks.iter().filter(|l| l.value != 0).collect();
        if !self.locks.is_empty() {
            let zero = self.locks.len() - set.len();
            let set = set.iter().map(|l| format!("{} = {}", l.lock, l.value));
            writeln!(f, "    locks {}", list(set.chain([format!("{zero} of 0")])))?;
        }
        self.bds.iter().try_for_each(|bd| writeln!(f, "    {bd}"))?;
        for c in &self.channels {
            let runs = if c.runs == 1 { String::new() } else { format!(", {} runs", c.runs) };
            let token = if c.token { ", with a token" } else { "" };
            writeln!(f, "    {} begins with BD {}{runs}{token}", c.channel, c.bd)?;
        }
        if self.other_registers > 0 {
            writeln!(f, "    {} other registers", self.other_registers)?;
        }
        Ok(())
    }
}

impl fmt::Display for BdReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let invalid = if self.valid { "" } else { " (not valid)" };
        write!(f, "BD {:>2}{invalid}: {} B at {:#x}", self.bd, self.bytes, self.address)?;
        if !self.dims.is_empty() {
            let dim = |d: &super::DimReport| {
                d.size.map_or_else(
                    || format!("by {}", d.step_words),
                    |size| format!("{size} by {}", d.step_words),
                )
            };
            write!(f, ", words innermost first {}", list(self.dims.iter().map(dim)))?;
        }
        if let Some(l) = self.acquire {
            let least = if l.value < 0 { "at least " } else { "" };
            write!(f, ", acquires lock {} of {least}{}", l.lock, l.value.abs())?;
        }
        if let Some(l) = self.release {
            write!(f, ", releases lock {} by {}", l.lock, l.value)?;
        }
        if let Some(id) = self.packet {
            write!(f, ", in packets of id {id}")?;
        }
        match self.next {
            Some(next) => write!(f, ", then BD {next}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for PdiReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "PDI with images {}", list(&self.images))?;
        self.cdos.iter().try_for_each(|c| c.fmt(f))
    }
}

impl fmt::Display for PartitionReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = if self.columns == 1 { "column" } else { "columns" };
        writeln!(f, "partition of {} {columns}, from column {}", self.columns, list(&self.start_columns))?;
        for (groups, pdi) in &self.pdis {
            for g in groups {
                let ids = g.kernel_ids.iter().map(|id| format!("{id:#x}"));
                writeln!(f, "group {} of kernels {}", g.name, list(ids))?;
            }
            pdi.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for XclbinReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "xclbin for {}, uuid {}", self.platform, self.uuid)?;
        for s in &self.sections {
            let kind = s.kind.as_deref().unwrap_or_default();
            let name = if s.name.is_empty() { String::new() } else { format!("  {}", s.name) };
            writeln!(f, "  section {kind:22} {:>7} B{name}", s.bytes)?;
        }
        for k in &self.kernels {
            let id = k.id.map_or_else(String::new, |id| format!(", id {id:#x}"));
            let arguments = list(k.arguments.iter().map(|(n, memory)| format!("{n} in {memory}")));
            let arguments =
                if arguments.is_empty() { String::new() } else { format!(", arguments {arguments}") };
            writeln!(f, "  kernel {}{id}{arguments}", k.name)?;
        }
        match &self.partition {
            Some(partition) => partition.fmt(f),
            None => writeln!(f, "  no AIE_PARTITION"),
        }
    }
}
