//! Holding what was read against what it must be: the period's edges, the footer, roots, what is known, and who may sign.

use strongroom_wire::encoding::Timestamp;

use super::{BundleProblem, BundleVerifier, Header, Line, Seen, Stage};
use crate::bundle::Footer;
use crate::checkpoint::Checkpoint;
use crate::keys::KeyChange;
use crate::note;

impl BundleVerifier {
    /// The leaves on both sides of a period must be outside of it.
    pub(super) fn hold_edge(&mut self, index: u64, time: Timestamp) {
        let Some(header) = &self.header else { return };
        let filter = &header.filter;
        let before = index == header.first && index > 0;
        let after = index + 1 == header.end && header.end < header.size;
        let within = (before && filter.from.is_some_and(|from| time >= from))
            || (after && filter.to.is_some_and(|to| time < to));
        if within && filter.concerning.is_none() {
            self.problem(BundleProblem::Edge { index });
        }
    }

    pub(super) fn footer(&mut self, signed: &str) -> Seen {
        self.documents_missing();
        let Some(header) = &self.header else {
            return self.taken(Line::Footer(Footer {
                note: signed.to_owned(),
            }));
        };
        if self.stage == Stage::Ended {
            let line = self.report.lines;
            self.problem(BundleProblem::Place { line });
            return Seen::Nothing;
        }
        let size = header.size;
        let expected = self.read.footer(&header.origin).to_text();
        self.stage = Stage::Ended;
        let by = self.trust.keys.iter().find_map(|key| {
            let text = note::verify(signed, &key.verifier_key).ok()?;
            key.may_sign(size).then(|| (text, key.verifier_key.clone()))
        });
        match by {
            None => self.problem(BundleProblem::FooterSignature),
            Some((text, key)) => {
                self.signed.push((key, size));
                if text != expected.as_bytes() {
                    self.problem(BundleProblem::Altered);
                }
            }
        }
        Seen::End
    }

    /// Holds the roots that are awaited at the present size against the present root.
    pub(super) fn meet(&mut self) {
        let Some(edge) = &self.edge else { return };
        let size = self.next;
        let Some(roots) = self.awaited.remove(&size) else {
            return;
        };
        let root = edge.root();
        if roots.iter().any(|awaited| *awaited != root) {
            self.problem(BundleProblem::Forked { size });
        }
    }

    pub(super) fn hold_root(&mut self, checkpoint: &Checkpoint) {
        let size = checkpoint.size;
        if self.next < size {
            let (from, to) = (self.next, size - 1);
            self.problem(BundleProblem::Missing { from, to });
        } else if self
            .edge
            .as_ref()
            .is_some_and(|edge| edge.root() != checkpoint.root)
        {
            self.problem(BundleProblem::Root { size });
        }
    }

    pub(super) fn hold_previous(&mut self, checkpoint: &Checkpoint) {
        let Some(known) = self.trust.previous.take() else {
            return;
        };
        if known.size > checkpoint.size {
            self.problem(BundleProblem::Shorter {
                size: checkpoint.size,
                known: known.size,
            });
            return;
        }
        let of_size: Vec<&Checkpoint> = self
            .proved
            .iter()
            .chain([checkpoint])
            .filter(|other| other.size == known.size)
            .collect();
        let problem = match of_size.first() {
            _ if known.origin != checkpoint.origin => {
                BundleProblem::Unconnected { size: known.size }
            }
            None => BundleProblem::Unconnected { size: known.size },
            Some(other) if other.root != known.root => BundleProblem::Forked { size: known.size },
            Some(_) => return,
        };
        if !self.report.problems.contains(&problem) {
            self.problem(problem);
        }
    }

    /// What is said of keys, by the header and by leaves, must let those sign that did.
    pub(super) fn hold_keys(&mut self, header: &Header) {
        let mut signed = std::mem::take(&mut self.signed);
        signed.sort_unstable();
        signed.dedup();
        for (key, size) in signed {
            let listed = header
                .log_keys()
                .any(|listed| listed.verifier_key == key && listed.may_sign(size));
            let allowed = self.changes.iter().all(|(index, change)| match change {
                KeyChange::Begins(begun) => *begun != key || size > *index,
                KeyChange::Ends(ended) => *ended != key || size <= *index,
            });
            if !listed || !allowed {
                self.problem(BundleProblem::KeyNotInForce { key, size });
            }
        }
    }
}
