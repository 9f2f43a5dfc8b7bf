//! Who waits for what, in words.

use super::super::engine::Cycles;
use super::super::error::{channel_name, lines};
use super::Remedy;
use crate::core::Site;
use kiln_dsl::array::lowered::{Channel, Direction};
use kiln_dsl::array::{Port, Tile};
use kiln_dsl::kernel::Loc;
use std::fmt;

/// Who waits for what when nothing can move any more.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waiting {
    /// A core for a lock.
    Core {
        /// Where.
        tile: Tile,
        /// FIFO that it acquires from.
        fifo: String,
        /// Which end it is.
        port: Port,
        /// The iteration of each loop it is in, from 1, outermost first.
        turns: Vec<u64>,
        /// The acquire.
        loc: Loc,
        /// Name of the lock.
        lock: String,
        /// Tile of the lock.
        lock_tile: Tile,
        /// What it needs.
        need: u32,
        /// What there is.
        value: u32,
        /// Since when.
        since: Cycles,
    },
    /// A core for its cascade.
    Cascade {
        /// Where.
        tile: Tile,
        /// The core that should write.
        from: Tile,
        /// Values that have come and are too few for the call.
        unread: usize,
        /// The read that found nothing.
        site: Box<Site>,
        /// Since when.
        since: Cycles,
    },
    /// A BD for its lock.
    Bd {
        /// Where.
        tile: Tile,
        /// Channel.
        channel: Channel,
        /// FIFO of the channel's flow.
        fifo: String,
        /// BDs that it has done.
        transfers: u64,
        /// Name of the lock.
        lock: String,
        /// What it needs.
        need: u32,
        /// What there is.
        value: u32,
        /// Since when.
        since: Cycles,
    },
    /// A channel with words to move for the other end of its flow.
    Stream {
        /// Where.
        tile: Tile,
        /// Channel.
        channel: Channel,
        /// FIFO of the flow.
        fifo: String,
        /// Words it has left to move.
        words: u64,
        /// Ends of the flow that are not ready.
        missing: Vec<(Tile, Channel)>,
    },
    /// The controller for a token.
    Token {
        /// Position of the command.
        command: usize,
        /// FIFO whose shim channel should issue it.
        fifo: String,
        /// The wait.
        loc: Loc,
    },
    /// A shim channel for the sequence to push a task.
    Task {
        /// Where.
        tile: Tile,
        /// Channel.
        channel: Channel,
        /// FIFO of its flow.
        fifo: String,
        /// Tasks it has done.
        tasks: u64,
    },
    /// A core that waits for nothing, as its program has ended.
    Ended {
        /// Where.
        tile: Tile,
        /// What it did last.
        loc: Loc,
    },
}

impl Waiting {
    /// Name of the FIFO it is about, if it is about one.
    pub fn fifo(&self) -> Option<&str> {
        match self {
            Waiting::Core { fifo, .. }
            | Waiting::Bd { fifo, .. }
            | Waiting::Stream { fifo, .. }
            | Waiting::Token { fifo, .. }
            | Waiting::Task { fifo, .. } => Some(fifo),
            Waiting::Cascade { .. } | Waiting::Ended { .. } => None,
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waiting::Core { tile, fifo, port, turns, loc, lock, lock_tile, need, value, since } => {
                let what = match port {
                    Port::Produce => "to fill in",
                    Port::Consume => "to drain from",
                };
                let at = if lock_tile == tile { String::new() } else { format!(" of tile {lock_tile}") };
                let s = if *need == 1 { "" } else { "s" };
                let turns: Vec<String> = turns.iter().map(ToString::to_string).collect();
                let turn = if turns.is_empty() {
                    String::new()
                } else {
                    format!(" in iteration {}", turns.join(" / "))
                };
                write!(
                    f,
                    "core {tile}{turn} waits since cycle {since} for {need} object{s} {what} FIFO {fifo} ({loc}): lock {lock}{at} is {value}"
                )
            }
            Waiting::Cascade { tile, from, unread, site, since } => write!(
                f,
                "core {tile} waits since cycle {since} for the cascade from core {from}, of which {unread} values have come and its call needs more: {site}"
            ),
            Waiting::Bd { tile, channel, fifo, transfers, lock, need, value, since } => write!(
                f,
                "{} of tile {tile} (FIFO {fifo}), {transfers} BDs done, waits since cycle {since} for lock {lock}: needs {need}, is {value}",
                channel_name(*channel)
            ),
            Waiting::Stream { tile, channel, fifo, words, missing } => {
                let verb = match channel.direction {
                    Direction::Mm2s => "send",
                    Direction::S2mm => "receive",
                };
                let name = channel_name(*channel);
                write!(
                    f,
                    "{name} of tile {tile} has {words} words to {verb} for FIFO {fifo} and waits for "
                )?;
                for (i, (tile, channel)) in missing.iter().enumerate() {
                    let comma = if i > 0 { ", " } else { "" };
                    write!(f, "{comma}{} of tile {tile}", channel_name(*channel))?;
                }
                Ok(())
            }
            Waiting::Token { command, fifo, loc } => {
                write!(f, "command {command} of the sequence ({loc}) waits for a token of FIFO {fifo}")
            }
            Waiting::Task { tile, channel, fifo, tasks } => {
                let s = if *tasks == 1 { "" } else { "s" };
                write!(
                    f,
                    "{} of tile {tile} (FIFO {fifo}) has done its {tasks} task{s} and waits for the sequence to push one",
                    channel_name(*channel)
                )
            }
            Waiting::Ended { tile, loc } => {
                write!(f, "core {tile} has come to the end of its program ({loc})")
            }
        }
    }
}

/// The text of a deadlock.
pub(in crate::array) fn describe(
    cycle: Cycles,
    circle: &[Waiting],
    closed: bool,
    others: &[Waiting],
    remedy: Option<&Remedy>,
) -> String {
    let last = if closed { ", the last for the first" } else { "" };
    let mut text = format!("deadlock at cycle {cycle}: nothing can move. Each waits for the next{last}:");
    text += &lines(circle);
    if !others.is_empty() {
        text += "\nand behind them:";
        text += &lines(others);
    }
    if let Some(remedy) = remedy {
        text += &format!("\nhelp: {remedy}");
    }
    text
}
