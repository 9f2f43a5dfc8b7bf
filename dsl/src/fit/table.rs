//! The report for people.

use super::{FitReport, TileFit, Usage};
use std::fmt;

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.over() > 0 { "!" } else { "" };
        f.pad(&format!("{}/{}{mark}", self.used, self.limit))
    }
}

const COLUMNS: [&str; 8] = ["tile", "kind", "memory B", "banks B", "locks", "BDs", "S2MM", "MM2S"];

impl fmt::Display for FitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.fits { "fits" } else { "does not fit" };
        writeln!(f, "{} {verdict} on {}", self.design, self.device)?;
        let rows: Vec<[String; 8]> = self.tiles.iter().map(row).collect();
        let width = |i: usize| rows.iter().map(|r| r[i].len()).chain([COLUMNS[i].len()]).max().unwrap_or(0);
        let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
        line(f, &COLUMNS.map(str::to_owned), &widths)?;
        rows.iter().try_for_each(|r| line(f, r, &widths))?;
        for over in &self.over {
            let unit = if over.unit.is_empty() { String::new() } else { format!(" {}", over.unit) };
            writeln!(f, "tile {}: {} {} over by {}{unit}", over.tile, over.resource, over.usage, over.by)?;
            if !over.objects.is_empty() {
                writeln!(f, "  objects: {}", over.objects.join(", "))?;
            }
            writeln!(f, "  help: {}", over.help)?;
        }
        Ok(())
    }
}

fn row(tile: &TileFit) -> [String; 8] {
    let (memory, banks) = match &tile.memory {
        None => ("-".to_owned(), "-".to_owned()),
        Some(m) => {
            let banks: Vec<String> = m.banks.iter().map(|b| b.used.to_string()).collect();
            (m.bytes.to_string(), banks.join(" "))
        }
    };
    let bds: Vec<String> = tile.bds.iter().map(Usage::to_string).collect();
    let (locks, s2mm, mm2s) = (tile.locks.to_string(), tile.s2mm.to_string(), tile.mm2s.to_string());
    [tile.tile.clone(), tile.kind.to_owned(), memory, banks, locks, bds.join(" "), s2mm, mm2s]
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String; 8], widths: &[usize]) -> fmt::Result {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, &w)| format!("{cell:<w$}")).collect();
    writeln!(f, "  {}", padded.join("  ").trim_end())
}
