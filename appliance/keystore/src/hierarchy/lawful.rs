//! What lawful access needs of the domain's keys: the seals of its documents, and the MACs of its records.

use super::Domain;
use crate::error::Error;
use crate::seal;
use crate::store::{
    ApprovalKeyRecord, ApprovalRow, AuthorisationRow, DocumentKind, DocumentRecord, GenerationRow,
    ProposalRow,
};

const DOCUMENT: &str = "document";

impl Domain {
    /// A document with these bytes.
    pub(crate) fn seal_document(
        &self,
        kind: DocumentKind,
        bytes: &[u8],
        created: strongroom_wire::encoding::Timestamp,
    ) -> Result<DocumentRecord, Error> {
        let mut document = DocumentRecord {
            domain: self.number,
            sha256: seal::sha256(bytes),
            kind,
            created,
            sealed: Vec::new(),
        };
        document.sealed = self.seal_secret(&document.canonical(), bytes)?;
        Ok(document)
    }

    /// The bytes of a document, which have its SHA-256.
    pub(crate) fn open_document(&self, document: &DocumentRecord) -> Result<Vec<u8>, Error> {
        let bytes = self.open_secret(&document.canonical(), &document.sealed, DOCUMENT)?;
        if document.domain == self.number && seal::sha256(&bytes) == document.sha256 {
            Ok(bytes.to_vec())
        } else {
            Err(Error::Integrity(DOCUMENT))
        }
    }

    pub(crate) fn check_approval_key(
        &self,
        key: ApprovalKeyRecord,
    ) -> Result<ApprovalKeyRecord, Error> {
        self.integrity
            .check(&key.canonical(), &key.mac, "approval key")?;
        Ok(key)
    }

    pub(crate) fn authenticate_approval_key(&self, key: &mut ApprovalKeyRecord) {
        key.mac = self.integrity.mac(&key.canonical());
    }

    pub(crate) fn check_authorisation(
        &self,
        row: AuthorisationRow,
    ) -> Result<AuthorisationRow, Error> {
        self.integrity
            .check(&row.canonical(), &row.mac, "authorisation")?;
        Ok(row)
    }

    pub(crate) fn authenticate_authorisation(&self, row: &mut AuthorisationRow) {
        row.mac = self.integrity.mac(&row.canonical());
    }

    pub(crate) fn check_generation(&self, row: GenerationRow) -> Result<GenerationRow, Error> {
        self.integrity
            .check(&row.canonical(), &row.mac, "generation of an authorisation")?;
        Ok(row)
    }

    pub(crate) fn authenticate_generation(&self, row: &mut GenerationRow) {
        row.mac = self.integrity.mac(&row.canonical());
    }

    pub(crate) fn check_approval(&self, row: ApprovalRow) -> Result<ApprovalRow, Error> {
        self.integrity
            .check(&row.canonical(), &row.mac, "approval")?;
        Ok(row)
    }

    pub(crate) fn authenticate_approval(&self, row: &mut ApprovalRow) {
        row.mac = self.integrity.mac(&row.canonical());
    }

    pub(crate) fn check_proposal(&self, row: ProposalRow) -> Result<ProposalRow, Error> {
        self.integrity
            .check(&row.canonical(), &row.mac, "proposal")?;
        Ok(row)
    }

    pub(crate) fn authenticate_proposal(&self, row: &mut ProposalRow) {
        row.mac = self.integrity.mac(&row.canonical());
    }
}
