//! What comes back from a page on which is signed.

use strongroom_approval::{ApprovalKey as PublicKey, Statement};
use strongroom_keystore::{Answer, Keystore, Presented};
use strongroom_wire::approval::{ApprovalKey, Decide, Decision, SignedBy};
use strongroom_wire::credential::PasskeyAssertion;
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::ApprovalKeyId;
use strongroom_wire::problem::{Code, Problem};

use crate::form::{Fields, File, Uploaded};
use crate::reader::Reader;
use crate::stop::Stop;
use crate::words;

/// What came back from a page on which is signed.
pub(crate) struct Signed {
    /// What the statement says that came along: the page that tells why it was refused is one to decide so again.
    pub(crate) decision: Decision,
    request: Result<Decide, Problem>,
}

impl Signed {
    /// With a passkey.
    pub(crate) fn by_passkey(sent: &Fields) -> Self {
        Self::new(sent, by_passkey(sent))
    }

    /// With an approval key of the reader's.
    pub(crate) fn by_key<const MOST: usize>(sent: &Uploaded<MOST>, keys: &[ApprovalKey]) -> Self {
        Self::new(sent, by_key(sent, keys))
    }

    fn new(sent: &Fields, request: Result<Decide, Problem>) -> Self {
        let statement = statement(sent).ok();
        let statement = statement.and_then(|bytes| Statement::from_bytes(&bytes.0).ok());
        Self {
            decision: statement.map_or(Decision::Approve, |statement| statement.decision),
            request,
        }
    }

    /// Hands it in, and answers the leaf.
    pub(crate) async fn hand_in(
        self,
        reader: &Reader,
        to: impl FnOnce(&Keystore, &Presented, Decide) -> Answer<u64> + Send + 'static,
    ) -> Result<Result<u64, Problem>, Stop> {
        match self.request {
            Ok(request) => {
                reader
                    .attempt(move |keystore, caller| to(keystore, caller, request))
                    .await
            }
            Err(problem) => Ok(Err(problem)),
        }
    }
}

/// What the page says that comes after a decision.
pub(crate) const fn done(decision: Decision) -> &'static str {
    match decision {
        Decision::Approve => "approved",
        Decision::Reject => "rejected",
    }
}

fn by_passkey(sent: &Fields) -> Result<Decide, Problem> {
    let bytes = |name: &str| {
        sent.some(name)
            .and_then(|text| text.parse::<Base64>().ok())
            .ok_or_else(|| {
                Problem::new(
                    Code::Invalid,
                    "Nothing was signed: the passkey was not asked. Pages do that where scripts run.",
                )
            })
    };
    Ok(Decide {
        statement: bytes("statement")?,
        signed_by: SignedBy::Passkey(PasskeyAssertion {
            credential: bytes("credential")?,
            client_data: bytes("client_data")?,
            authenticator_data: bytes("authenticator_data")?,
            signature: bytes("signature")?,
            user_handle: sent
                .some("user_handle")
                .and_then(|text| text.parse::<Base64>().ok()),
        }),
    })
}

fn by_key<const MOST: usize>(
    sent: &Uploaded<MOST>,
    keys: &[ApprovalKey],
) -> Result<Decide, Problem> {
    let statement = statement(sent)?;
    let id = sent.one("key").parse::<ApprovalKeyId>().ok();
    let key = keys.iter().find(|key| Some(key.id) == id);
    let key = key.ok_or_else(|| Problem::new(Code::Invalid, "Choose the key that has signed."))?;
    let public = PublicKey::from_spki(&key.public_key.0)
        .map_err(|error| Problem::new(Code::Invalid, format!("Of the approval key: {error}.")))?;
    let jws = jws(sent, &public, &statement.0)?;
    Ok(Decide {
        statement,
        signed_by: SignedBy::ApprovalKey { id: key.id, jws },
    })
}

/// The statement that a form carries.
pub(crate) fn statement(sent: &Fields) -> Result<Base64, Problem> {
    sent.one("statement")
        .parse::<Base64>()
        .ok()
        .filter(|bytes| Statement::from_bytes(&bytes.0).is_ok())
        .ok_or_else(|| {
            Problem::new(
                Code::Invalid,
                "The statement that was to be signed did not come along. Load the page again.",
            )
        })
}

/// The detached JWS over a statement by this key, from the signature as it came.
pub(crate) fn jws<const MOST: usize>(
    sent: &Uploaded<MOST>,
    key: &PublicKey,
    statement: &[u8],
) -> Result<String, Problem> {
    jws_of(
        sent.file("signature_file"),
        sent.one("signature_text"),
        key,
        statement,
    )
}

fn jws_of(
    file: Option<&File>,
    pasted: &str,
    key: &PublicKey,
    statement: &[u8],
) -> Result<String, Problem> {
    let refuse = |sentence: String| Problem::new(Code::ApprovalRefused, sentence);
    let text: String = pasted
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    let jws = match file {
        Some(file) => key.jws(&file.bytes),
        None if text.is_empty() => {
            return Err(Problem::new(
                Code::Invalid,
                "Bring the signature: as a file, or pasted.",
            ));
        }
        None if text.contains("..") => Ok(text),
        None => {
            let compact: String = text
                .trim_end_matches('=')
                .chars()
                .map(|letter| match letter {
                    '+' => '-',
                    '/' => '_',
                    letter => letter,
                })
                .collect();
            let bytes = compact.parse::<Base64>();
            let bytes = bytes
                .map_err(|_| refuse("What was pasted is no signature in base64.".to_owned()))?;
            key.jws(&bytes.0)
        }
    };
    jws.and_then(|jws| key.verify(&jws, statement).map(|()| jws))
        .map_err(|error| {
            refuse(format!(
                "{}: it has to be made with the chosen key, over the file that this page gave.",
                words::capitalised(&error.to_string())
            ))
        })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use strongroom_approval::Of;
    use strongroom_wire::encoding::Timestamp;

    use super::*;

    /// RFC 8410 section 10.1: an Ed25519 public key.
    const KEY: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

    #[test]
    fn a_signature_of_another_key_is_refused_before_it_is_handed_in() {
        let key = PublicKey::from_spki(&STANDARD.decode(KEY).unwrap()).unwrap();
        let file = |bytes: &[u8]| File {
            name: "signature".to_owned(),
            media_type: String::new(),
            bytes: bytes.to_vec(),
        };
        let refused = |file: Option<&File>, pasted: &str| {
            jws_of(file, pasted, &key, b"statement").unwrap_err().detail
        };
        assert!(refused(None, " ").contains("Bring the signature"));
        assert!(refused(None, "§").contains("no signature in base64"));
        for detail in [
            refused(Some(&file(&[7; 64])), ""),
            refused(Some(&file(&[7; 63])), ""),
            refused(None, &STANDARD.encode([7; 64])),
            refused(None, "eyJhbGciOiJFZERTQSJ9..AAAA"),
        ] {
            assert!(detail.starts_with("The signature is "), "{detail}");
            assert!(detail.contains("made with the chosen key"), "{detail}");
        }
    }

    /// Whoever was about to reject, and brings a file that is no signature, is not shown a page to approve.
    #[test]
    fn what_was_refused_is_decided_so_again() {
        for decision in [Decision::Approve, Decision::Reject] {
            let statement = Statement {
                domain_origin: "strongroom.local/default".to_owned(),
                subject: "01939c2f-1a00-7a11-8111-111111111111".to_owned(),
                of: Of::Request {
                    act: "key.destroy".to_owned(),
                    request_sha256: [7; 32],
                },
                decision,
                valid_until: Timestamp::from_millis(1_800_000_000_000),
            };
            let sent = [(
                "statement".to_owned(),
                Base64(statement.to_bytes()).to_text(),
            )];
            let signed = Signed::by_passkey(&Fields::of(&sent));
            assert!(signed.request.is_err());
            assert_eq!(signed.decision, decision);
        }
    }
}
