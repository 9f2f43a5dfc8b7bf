//! The report for people.

use super::{Collision, FitReport, SwitchFit, TileFit, Usage};
use std::fmt;

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.over() > 0 { "!" } else { "" };
        f.pad(&format!("{}/{}{mark}", self.used, self.limit))
    }
}

const COLUMNS: [&str; 10] =
    ["tile", "kind", "memory B", "banks B", "program B", "locks", "BDs", "S2MM", "MM2S", "ports N S E W"];

impl fmt::Display for FitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.fits, self.over.is_empty()) {
            (true, _) => "fits",
            (false, true) => "is wrong",
            (false, false) => "does not fit",
        };
        writeln!(f, "{} {verdict} on {}", self.design, self.device)?;
        let rows = self.rows();
        let width = |i: usize| rows.iter().map(|r| r[i].len()).chain([COLUMNS[i].len()]).max().unwrap_or(0);
        let widths: Vec<usize> = (0..COLUMNS.len()).map(width).collect();
        line(f, &COLUMNS.map(str::to_owned), &widths)?;
        rows.iter().try_for_each(|r| line(f, r, &widths))?;
        writeln!(f, "  host: {} buffers, {} contexts", self.host.buffers, self.host.contexts)?;
        if self.of_kind("core").any(|t| t.program.is_none()) {
            writeln!(f, "  program memory: not scheduled")?;
        }
        let around = || self.of_kind("core").filter(|t| t.program.is_some()).map(|t| t.core_program_bytes);
        if let (Some(least), Some(most)) = (around().min(), around().max()) {
            let bytes = if least == most { most.to_string() } else { format!("{least} to {most}") };
            writeln!(
                f,
                "  program memory: {bytes} B predicted around kernels: locks, counters, branches, calls"
            )?;
        }
        for (collision, tiles) in self.collisions() {
            let Collision { kernel, params: [a, b], buffers: [one, other], memory, bank } = collision;
            let more = if tiles > 1 { format!(", and {} tiles alike", tiles - 1) } else { String::new() };
            writeln!(f, "bank {bank} of {memory}: {one} ({a}) and {other} ({b}) of {kernel}{more}")?;
        }
        if self.tiles.iter().any(|t| !t.collisions.is_empty()) {
            writeln!(
                f,
                "  a bundle that accesses both waits a cycle; `.bank(n)` on a parameter moves a local buffer"
            )?;
        }
        for over in &self.over {
            let unit = if over.unit.is_empty() { String::new() } else { format!(" {}", over.unit) };
            let place = match &over.tiles[..] {
                [] => "host".to_owned(),
                [tile] => format!("tile {tile}"),
                [first, rest @ ..] => format!("tile {first} and {} alike ({})", rest.len(), rest.join(" ")),
            };
            writeln!(f, "{place}: {} {} over by {}{unit}", over.resource, over.usage, over.by)?;
            if !over.objects.is_empty() {
                writeln!(f, "  objects: {}", over.objects.join(", "))?;
            }
            over.help.iter().try_for_each(|help| writeln!(f, "  help: {help}"))?;
        }
        self.wrong.iter().try_for_each(|wrong| writeln!(f, "wrong: {wrong}"))?;
        Ok(())
    }
}

impl FitReport {
    /// Collisions, each once for all tiles where the same parameters meet, with the number of those.
    fn collisions(&self) -> Vec<(&Collision, usize)> {
        let mut all: Vec<(&Collision, usize)> = Vec::new();
        for collision in self.tiles.iter().flat_map(|t| &t.collisions) {
            let same = |c: &Collision| {
                (&c.kernel, &c.params, c.bank) == (&collision.kernel, &collision.params, collision.bank)
            };
            match all.iter_mut().find(|(c, _)| same(c)) {
                Some((_, tiles)) => *tiles += 1,
                None => all.push((collision, 1)),
            }
        }
        all
    }

    /// One row for all tiles that agree in everything but their place.
    fn rows(&self) -> Vec<[String; COLUMNS.len()]> {
        let mut rows: Vec<([String; COLUMNS.len()], usize)> = Vec::new();
        for tile in &self.tiles {
            let row = row(tile);
            match rows.iter_mut().find(|(r, _)| r[1..] == row[1..]) {
                Some((_, alike)) => *alike += 1,
                None => rows.push((row, 0)),
            }
        }
        let named = |(mut row, alike): ([String; COLUMNS.len()], usize)| {
            if alike > 0 {
                row[0].push_str(&format!(" +{alike} alike"));
            }
            row
        };
        rows.into_iter().map(named).collect()
    }
}

fn row(tile: &TileFit) -> [String; COLUMNS.len()] {
    let (memory, banks) = match &tile.memory {
        None => ("-".to_owned(), "-".to_owned()),
        Some(m) => {
            let banks: Vec<String> = m.banks.iter().map(|b| b.used.to_string()).collect();
            (with_share(m.bytes), banks.join(" "))
        }
    };
    let bds: Vec<String> = tile.bds.iter().map(Usage::to_string).collect();
    let SwitchFit { north, south, east, west } = tile.switch;
    [
        tile.tile.clone(),
        tile.kind.to_owned(),
        memory,
        banks,
        tile.program.map_or_else(|| "-".to_owned(), with_share),
        tile.locks.to_string(),
        bds.join(" "),
        tile.s2mm.to_string(),
        tile.mm2s.to_string(),
        [north, south, east, west].map(|u| u.to_string()).join(" "),
    ]
}

fn with_share(usage: Usage) -> String {
    match usage.share_per_mille() {
        Some(share) => format!("{usage} {}%", (share + 5) / 10),
        None => usage.to_string(),
    }
}

fn line(f: &mut fmt::Formatter<'_>, cells: &[String; COLUMNS.len()], widths: &[usize]) -> fmt::Result {
    let padded: Vec<String> = cells.iter().zip(widths).map(|(cell, &w)| format!("{cell:<w$}")).collect();
    writeln!(f, "  {}", padded.join("  ").trim_end())
}
