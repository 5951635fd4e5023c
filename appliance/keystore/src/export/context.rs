//! What leaves rest on: the documents that they name, and of an approval the leaves that say whose key it is and which role the person had.

use strongroom_approval::Evidence;
use strongroom_audit::bundle::{Document, DocumentKind, Line, Proven, named_documents};
use strongroom_audit::{Event, tree};
use strongroom_wire::audit::Act;

use super::{Export, NAMES, PIECE};
use crate::act::View;
use crate::audit::WHAT;
use crate::error::Error;
use crate::lawful::digest;
use crate::seal;
use crate::store::{LeafFilter, LeafRecord};

impl Export {
    /// The leaves that approvals rest on, where they are not shown in full: those by which the key is the account's, and the role.
    pub(super) fn write_context(
        &mut self,
        view: &View<'_>,
        index: u64,
        documents: &[Document],
        piece: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let evidence = documents
            .iter()
            .filter(|document| document.kind == DocumentKind::Evidence);
        for document in evidence {
            let bytes = &document.content.0;
            // Of a restore it is a list.
            let evidence = Evidence::from_bytes(bytes).map(|one| vec![one]);
            let evidence = evidence.or_else(|_| Evidence::list_from_bytes(bytes));
            for one in evidence.unwrap_or_default() {
                self.write_context_of(view, index, &one, piece)?;
            }
        }
        Ok(())
    }

    fn write_context_of(
        &mut self,
        view: &View<'_>,
        index: u64,
        evidence: &Evidence,
        piece: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let person = evidence.account;
        let key = format!(" key {}", seal::hex(&evidence.credential.fingerprint()));
        let adds_key = |event: &Event| {
            event.act == Act::CredentialAdd
                && event.detail.actor == Some(person)
                && event
                    .detail
                    .note
                    .as_deref()
                    .is_some_and(|note| note.ends_with(&key))
        };
        let gives_roles = |event: &Event| {
            matches!(event.act, Act::AccountCreate | Act::AccountUpdate)
                && event.detail.subject == Some(person)
        };
        let (mut key_leaf, mut role_leaf) = (None, None);
        let mut before = index;
        while key_leaf.is_none() || role_leaf.is_none() {
            let filter = LeafFilter {
                concerning: Some(person),
                before: Some(before),
                limit: PIECE,
                ..LeafFilter::default()
            };
            let found = view.snapshot.find_leaves(view.domain.number, &filter)?;
            let Some(last) = found.last() else { break };
            before = last.index;
            for record in found {
                let Some(event) = record.leaf.open().ok().filter(|event| event.done) else {
                    continue;
                };
                if key_leaf.is_none() && adds_key(&event) {
                    key_leaf = Some((record, event));
                } else if role_leaf.is_none() && gives_roles(&event) {
                    role_leaf = Some((record, event));
                }
            }
        }
        for (record, event) in [key_leaf, role_leaf].into_iter().flatten() {
            self.write_proven(view, &record, &event, piece)?;
        }
        Ok(())
    }

    /// A leaf with its own proof, unless it is shown in full anyway.
    fn write_proven(
        &mut self,
        view: &View<'_>,
        LeafRecord { index, leaf }: &LeafRecord,
        event: &Event,
        piece: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let is_shown =
            (self.header.first..self.header.end).contains(index) && self.header.filter.takes(event);
        if is_shown || self.proven.contains(index) {
            return Ok(());
        }
        if self.proven.len() >= NAMES {
            self.proven.clear();
        }
        self.proven.insert(*index);
        let nodes = view.snapshot.nodes(view.domain.number);
        let hashes = tree::prove_inclusion(self.header.size, *index, &*nodes)
            .map_err(|_| Error::Integrity(WHAT))?;
        let proven = Proven {
            index: *index,
            envelope: leaf.envelope.as_slice().into(),
            salt: leaf.salt.as_slice().into(),
            detail: leaf.detail.as_slice().into(),
            hashes: hashes.iter().map(|hash| hash.0.as_slice().into()).collect(),
        };
        self.write(&Line::Proven(proven), piece);
        Ok(())
    }
}

/// The documents that a leaf names. One that is not there is left out, and the bundle is not whole: so it is.
pub(super) fn documents(
    view: &View<'_>,
    index: u64,
    event: &Event,
) -> Result<Vec<Document>, Error> {
    let mut documents = Vec::new();
    for (kind, sha256) in named_documents(event) {
        let content = match kind {
            DocumentKind::Transcript => {
                let transcripts = view.snapshot.transcripts(view.domain.number)?;
                let of_leaf = transcripts.into_iter().find(|(leaf, _)| *leaf == index);
                of_leaf.map(|(_, note)| note.into_bytes())
            }
            _ => view.document(&digest(&sha256)?)?,
        };
        if let Some(content) = content {
            documents.push(Document::new(kind, content));
        } else {
            tracing::error!(
                leaf = index,
                %kind,
                sha256,
                "a document that a leaf names is not there"
            );
        }
    }
    Ok(documents)
}
