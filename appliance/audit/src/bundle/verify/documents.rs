//! What comes after the leaves: documents that they name, and leaves outside of the range with their proofs.

use super::{BundleProblem, BundleVerifier, Seen};
use crate::bundle::approvals::{ApprovalProblem, Shown};
use crate::bundle::line::{Document, Proven, hashes};
use crate::checkpoint::Checkpoint;
use crate::tree::verify_inclusion;

impl BundleVerifier {
    pub(super) fn take_document(&mut self, document: Document) -> Seen {
        let line = self.report.lines;
        let named = self.documents.pop_front();
        let is_named = named
            .as_ref()
            .is_some_and(|(_, kind, sha256)| *kind == document.kind && *sha256 == document.sha256);
        if !is_named || !document.is_itself() {
            self.problem(BundleProblem::DocumentAltered { line });
            return Seen::Nothing;
        }
        self.report.documents += 1;
        let judged: Option<(u64, ApprovalProblem)> = self.header.as_ref().and_then(|header| {
            let shown = Shown {
                first: header.first,
                filter: &header.filter,
            };
            self.approvals.document(&document, &header.origin, shown)
        });
        if let Some((index, problem)) = judged {
            self.problem(BundleProblem::Approval { index, problem });
        }
        Seen::Document(document)
    }

    pub(super) fn take_proven(&mut self, line: &Proven) -> Seen {
        let index = line.index;
        let (leaf, proof) = match (line.leaf(), hashes(&line.hashes)) {
            (Ok(leaf), Ok(proof)) => (leaf, proof),
            (Err(error), _) | (_, Err(error)) => {
                self.bad_line(error);
                return Seen::Nothing;
            }
        };
        let proved = self.checkpoint.as_ref().is_some_and(|checkpoint| {
            let Checkpoint { size, root, .. } = checkpoint;
            verify_inclusion(*size, index, &leaf.hash(), &proof, root).is_ok()
        });
        if !proved {
            self.problem(BundleProblem::NotProven { index });
            return Seen::Nothing;
        }
        match leaf.open() {
            Ok(event) => {
                self.report.proven += 1;
                self.note_keys(index, &event);
                self.note_approvals(index, &event);
                Seen::Proven { index, event }
            }
            Err(error) => {
                self.problem(BundleProblem::Leaf { index, error });
                Seen::Nothing
            }
        }
    }

    pub(super) fn documents_missing(&mut self) {
        while let Some((index, kind, sha256)) = self.documents.pop_front() {
            self.problem(BundleProblem::DocumentMissing {
                index,
                kind,
                sha256,
            });
        }
    }
}
