//! Documents that leaves name by their SHA-256.

use strongroom_approval::{Evidence, Statement, canonical};
use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::{
    AuthorisationRecord, Document, DocumentPut, LARGEST_DOCUMENT, PutDocument,
};
use strongroom_wire::id::AuthorisationId;

use super::{case, require_sight};
use crate::act::{Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::roles::May;
use crate::seal;
use crate::store::DocumentKind;

impl Keystore {
    /// Keeps a warrant, to be named by an order; case officers only.
    pub fn put_warrant(&self, caller: &Presented, request: PutDocument) -> Answer<DocumentPut> {
        let content = request.content.0;
        let presented = caller.clone();
        self.core
            .act(Act::AuthorisationDocument, caller.source, move |scope| {
                scope
                    .authenticate(&presented)?
                    .require(May::EnterAuthorisations)?;
                if content.is_empty() || content.len() > LARGEST_DOCUMENT {
                    return Err(Error::Invalid(format!(
                        "A document has 1 to {LARGEST_DOCUMENT} bytes."
                    )));
                }
                let sha256 = seal::hex(&scope.put_document(DocumentKind::Warrant, &content)?);
                scope.detail.note = Some(format!("document {sha256}"));
                let leaf = scope.record(Act::AuthorisationDocument)?;
                Ok(DocumentPut {
                    sha256,
                    length: content.len() as u64,
                    leaf,
                })
            })
    }

    /// A document of a case: a warrant, a record of any generation, or the evidence of an approval; for those who see the case.
    pub fn document_of_authorisation(
        &self,
        caller: &Presented,
        id: AuthorisationId,
        sha256: &str,
    ) -> Answer<Document> {
        let digest = digest(sha256)?;
        self.core.watched_look(
            caller,
            Act::AuthorisationRead,
            Some(case(id)),
            |view, caller, _| {
                let row = view.authorisation(id)?;
                require_sight(caller, &row)?;
                let content = view.document(&digest)?.ok_or(Error::DocumentNotFound)?;
                if !belongs(view, id, &digest, &content)? {
                    return Err(Error::DocumentNotFound);
                }
                Ok(Document {
                    sha256: seal::hex(&digest),
                    content: content.into(),
                })
            },
        )
    }
}

impl View<'_> {
    /// The bytes of a document of the domain.
    pub(crate) fn document(&self, sha256: &[u8; 32]) -> Result<Option<Vec<u8>>, Error> {
        self.snapshot
            .document(self.domain.number, sha256)?
            .map(|document| self.domain.open_document(&document))
            .transpose()
    }
}

impl Scope<'_> {
    /// Keeps a document. Answers its SHA-256.
    pub(crate) fn put_document(
        &mut self,
        kind: DocumentKind,
        bytes: &[u8],
    ) -> Result<[u8; 32], Error> {
        let document = self.domain.seal_document(kind, bytes, self.now)?;
        self.tx.put_document(&document)?;
        Ok(document.sha256)
    }
}

/// A SHA-256 as it stands in a request.
pub(crate) fn digest(text: &str) -> Result<[u8; 32], Error> {
    let digits = text.as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let bytes: Option<Vec<u8>> = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?))
        .collect();
    bytes
        .filter(|_| rest.is_empty())
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| Error::Invalid("A SHA-256 has 64 lower-case hexadecimal digits.".to_owned()))
}

/// Whether a document is one of this case, by what it says itself or by which record names it.
fn belongs(
    view: &View<'_>,
    id: AuthorisationId,
    sha256: &[u8; 32],
    content: &[u8],
) -> Result<bool, Error> {
    if let Ok(record) = canonical::from_slice::<AuthorisationRecord>(content) {
        return Ok(record.authorisation == id);
    }
    if let Ok(evidence) = Evidence::from_bytes(content) {
        let statement = Statement::from_bytes(&evidence.statement.0);
        return Ok(statement.is_ok_and(|statement| statement.subject == id.to_string()));
    }
    let named = seal::hex(sha256);
    for generation in view.snapshot.generations_of(id)? {
        let generation = view.domain.check_generation(generation)?;
        let record = super::record::read(view, &generation.record)?;
        if record
            .order
            .warrant
            .is_some_and(|warrant| warrant.sha256 == named)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_digest_has_one_spelling() {
        let text = "0123456789abcdef".repeat(4);
        assert_eq!(seal::hex(&digest(&text).unwrap()), text);
        for wrong in [
            &text[1..],
            &text[2..],
            &text.to_uppercase(),
            &format!("{text}00"),
            "",
        ] {
            assert!(digest(wrong).is_err(), "{wrong}");
        }
    }
}
