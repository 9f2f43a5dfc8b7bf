//! Links: shapes, places, and parts that add up.

use super::{ArrayError, Check};
use crate::array::ir::{FifoId, Link, Tile};
use crate::array::lower::LinkView;
use crate::device::TileKind;

impl Check<'_> {
    /// Every link.
    pub(super) fn links(&mut self) {
        for link in &self.design.links {
            let (sources, targets) = (link.sources.len(), link.targets.len());
            if sources == 0 || targets == 0 || (sources > 1 && targets > 1) {
                self.push(ArrayError::LinkShape { sources, targets, loc: link.loc.clone() });
                continue;
            }
            let count = self.design.fifos.len();
            let mut known = true;
            for id in link.sources.iter().chain(&link.targets) {
                known &= self.known("fifo", id.0, count, &link.loc);
            }
            if known {
                self.link_place(link);
            }
        }
        let views: Vec<LinkView<'_>> = LinkView::all(self.design).collect();
        let mut seen: Vec<(FifoId, bool, Tile)> = Vec::new();
        for view in views {
            self.link_parts(view);
            let sources = view.link.sources.iter().map(|&f| (f, false));
            for (fifo, as_target) in sources.chain(view.link.targets.iter().map(|&f| (f, true))) {
                let key = (fifo, as_target, view.tile());
                if seen.contains(&key) {
                    let (fifo, tile, loc) = (self.fifo_name(fifo), view.tile(), view.link.loc.clone());
                    self.push(ArrayError::LinkTwice { fifo, tile, as_target, loc });
                }
                seen.push(key);
            }
        }
    }

    fn link_place(&mut self, link: &Link) {
        let tile = self.design.fifo(link.targets[0]).producer;
        let loc = &link.loc;
        for &source in &link.sources {
            if !self.design.fifo(source).consumers.contains(&tile) {
                let fifo = self.fifo_name(source);
                self.push(ArrayError::LinkTile { fifo, tile, as_target: false, loc: loc.clone() });
            }
        }
        for &target in &link.targets {
            if self.design.fifo(target).producer != tile {
                let fifo = self.fifo_name(target);
                self.push(ArrayError::LinkTile { fifo, tile, as_target: true, loc: loc.clone() });
            }
        }
        let one_to_one = link.sources.len() == 1 && link.targets.len() == 1;
        match self.device.tile_kind(tile) {
            Some(kind @ TileKind::Shim) => {
                let what = "links go through mem tiles or cores";
                self.push(ArrayError::LinkPlace { tile, kind, what, loc: loc.clone() });
            }
            Some(kind @ TileKind::Core) if !one_to_one => {
                let what = "splits and joins go through mem tiles only";
                self.push(ArrayError::LinkPlace { tile, kind, what, loc: loc.clone() });
            }
            _ => {}
        }
    }

    fn link_parts(&mut self, view: LinkView<'_>) {
        let design = self.design;
        let link = view.link;
        let loc = || link.loc.clone();
        let (owner, _) = view.owner();
        let (offsets, pieces) = match (view.is_join(), view.is_split()) {
            (true, _) => (&link.source_offsets, &link.sources),
            (_, true) => (&link.target_offsets, &link.targets),
            _ => return self.one_to_one(view),
        };
        if offsets.len() != pieces.len() {
            self.push(ArrayError::LinkOffsets { got: offsets.len(), parts: pieces.len(), loc: loc() });
            return;
        }
        let whole = design.fifo(owner);
        let element = u64::from(whole.object.elem.bytes());
        let mut expected = 0;
        for (part, &piece) in view.parts().iter().zip(pieces) {
            let object_bytes = design.fifo(piece).object.bytes();
            if part.offset_bytes != expected || part.len_bytes != object_bytes {
                self.push(ArrayError::LinkPart {
                    fifo: self.fifo_name(piece),
                    whole: whole.name.clone(),
                    from: part.offset_bytes / element,
                    to: (part.offset_bytes + part.len_bytes) / element,
                    part_bytes: part.len_bytes,
                    object_bytes,
                    loc: loc(),
                });
            }
            expected = part.offset_bytes + part.len_bytes;
        }
        self.link_repeats(view);
    }

    /// Repeat counts of the targets of a split or join.
    fn link_repeats(&mut self, view: LinkView<'_>) {
        let design = self.design;
        let (link, loc) = (view.link, || view.link.loc.clone());
        let first = design.fifo(link.targets[0]);
        if view.is_join() && first.repeat != 1 {
            self.push(ArrayError::RepeatOfJoin { fifo: first.name.clone(), loc: loc() });
        }
        for other in link.targets[1..].iter().map(|&t| design.fifo(t)).filter(|o| o.repeat != first.repeat) {
            let (one, one_times) = (first.name.clone(), first.repeat);
            let (other, other_times) = (other.name.clone(), other.repeat);
            self.push(ArrayError::RepeatsDiffer { one, one_times, other, other_times, loc: loc() });
        }
    }

    fn one_to_one(&mut self, view: LinkView<'_>) {
        let link = view.link;
        let nonzero = link.source_offsets.iter().chain(&link.target_offsets).filter(|&&o| o != 0).count();
        if nonzero > 0 || link.source_offsets.len() > 1 || link.target_offsets.len() > 1 {
            let got = link.source_offsets.len() + link.target_offsets.len();
            self.push(ArrayError::LinkOffsets { got, parts: 1, loc: link.loc.clone() });
        }
        let (from, to) = (self.design.fifo(link.sources[0]), self.design.fifo(link.targets[0]));
        let (source_bytes, target_bytes) = (from.object.bytes(), to.object.bytes());
        let (small, large) = (source_bytes.min(target_bytes), source_bytes.max(target_bytes));
        if small == 0 || large % small != 0 {
            let (from, to, loc) = (from.name.clone(), to.name.clone(), link.loc.clone());
            self.push(ArrayError::LinkSizes { from, to, source_bytes, target_bytes, loc });
        }
    }
}
