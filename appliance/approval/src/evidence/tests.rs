#![expect(clippy::unwrap_used, reason = "tests")]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _,
};
use proptest::prelude::*;

use super::*;
use crate::statement::{Decision, Of};

/// What the section "Approvals" of `FORMAT.md` gives as an example.
const FORMAT_MD: &str = include_str!("../../../audit/FORMAT.md");

const NOW: u64 = 1_795_802_400_123;
const UNTIL: u64 = NOW + 86_400_000;

/// A fenced block of the document, by its name.
fn example(name: &str) -> &'static str {
    let from = FORMAT_MD.find(&format!("```text {name}\n")).unwrap();
    let block = &FORMAT_MD[from..];
    let block = &block[block.find('\n').unwrap() + 1..];
    block[..block.find("```").unwrap()].trim_end()
}

fn statement() -> Statement {
    Statement {
        domain_origin: "strongroom.example/default".to_owned(),
        subject: "01939c2f-2a00-7a11-8111-111111111111".to_owned(),
        of: Of::Authorisation {
            generation: 2,
            record_sha256: sha256(b"record"),
        },
        decision: Decision::Approve,
        valid_until: Timestamp::from_millis(UNTIL),
    }
}

fn person() -> (AccountId, String, Role) {
    let account = "01939c2f-1a00-7a11-8111-111111111111".parse().unwrap();
    (account, "ruth@example.com".to_owned(), Role::LegalApprover)
}

/// An approval by the Ed25519 key whose private key is 32 bytes 0x02.
fn by_key(statement: &Statement) -> Evidence {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[2; 32]).unwrap();
    let spki = [
        &[
            0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
        ],
        pair.public_key().as_ref(),
    ]
    .concat();
    let key = ApprovalKey::from_spki(&spki).unwrap();
    let signature = pair.sign(&key.signing_input(&statement.to_bytes()));
    let credential = Credential {
        id: "01939c2f-3a00-7a11-8111-111111111111".to_owned(),
        kind: CredentialKind::ApprovalKey,
        public_key: spki.into(),
    };
    let jws = key.jws(signature.as_ref()).unwrap();
    Evidence::new(
        statement,
        person(),
        credential,
        Signed::Jws(jws),
        Timestamp::from_millis(NOW),
    )
}

/// An approval by a passkey, whose authenticator verifies its user or does not.
fn by_passkey(statement: &Statement, verified: bool) -> Evidence {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
    let point = pair.public_key().as_ref();
    let mut cose = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
    cose.extend_from_slice(&point[1..33]);
    cose.extend_from_slice(&[0x22, 0x58, 0x20]);
    cose.extend_from_slice(&point[33..]);
    let challenge = Base64::from(statement.challenge().as_slice()).to_text();
    let client_data = format!(
        r#"{{"type":"webauthn.get","challenge":"{challenge}","origin":"https://keys.example.com"}}"#
    );
    let mut data = sha256(b"keys.example.com").to_vec();
    data.push(if verified { 0x05 } else { 0x01 });
    data.extend_from_slice(&[0, 0, 0, 9]);
    let signed = [&data[..], &sha256(client_data.as_bytes())].concat();
    let signature = pair.sign(&SystemRandom::new(), &signed).unwrap();
    let credential = Credential {
        id: "01939c2f-3b00-7a11-8111-111111111111".to_owned(),
        kind: CredentialKind::Passkey,
        public_key: cose.into(),
    };
    let signed = Signed::Passkey {
        assertion: Assertion {
            authenticator_data: data.into(),
            client_data: client_data.into_bytes().into(),
            signature: signature.as_ref().into(),
        },
        rp_id: "keys.example.com".to_owned(),
        origins: vec!["https://keys.example.com".to_owned()],
    };
    Evidence::new(
        statement,
        person(),
        credential,
        signed,
        Timestamp::from_millis(NOW),
    )
}

#[test]
fn what_was_signed_holds_and_reads_back() {
    for evidence in [by_key(&statement()), by_passkey(&statement(), true)] {
        let bytes = evidence.to_bytes();
        let again = Evidence::from_bytes(&bytes).unwrap();
        assert_eq!(again, evidence);
        let approval = again.verify().unwrap();
        assert_eq!(approval.statement, statement());
        assert_eq!((approval.account, approval.role), (person().0, person().2));
        assert_eq!(approval.key, evidence.credential.fingerprint());
        assert_eq!(approval.time.as_millis(), NOW);
    }
}

#[test]
fn each_thing_that_does_not_hold_is_found() {
    let unverified = by_passkey(&statement(), false).verify();
    assert_eq!(unverified, Err(EvidenceError::Passkey(Rejected::User)));

    let mut other = statement();
    other.subject.push('0');
    let swapped = |mut evidence: Evidence| {
        evidence.statement = other.to_bytes().into();
        evidence.verify()
    };
    let refused = swapped(by_key(&statement()));
    assert_eq!(refused, Err(EvidenceError::Key(KeyError::Signature)));
    let refused = swapped(by_passkey(&statement(), true));
    assert_eq!(refused, Err(EvidenceError::Passkey(Rejected::Challenge)));

    let mut late = by_key(&statement());
    late.time = UNTIL;
    assert_eq!(late.verify(), Err(EvidenceError::Late));

    let mut both = by_passkey(&statement(), true);
    both.jws = by_key(&statement()).jws;
    assert_eq!(both.verify(), Err(EvidenceError::Kind));
    let mut none = by_key(&statement());
    none.jws = None;
    assert_eq!(none.verify(), Err(EvidenceError::Kind));
    let mut party = by_passkey(&statement(), true);
    party.rp_id = Some("keys.example.org".to_owned());
    assert_eq!(party.verify(), Err(EvidenceError::Passkey(Rejected::Party)));
    let mut elsewhere = by_passkey(&statement(), true);
    elsewhere.origins = Some(vec!["https://keys.example.org".to_owned()]);
    assert_eq!(
        elsewhere.verify(),
        Err(EvidenceError::Passkey(Rejected::Origin))
    );
    let mut key = by_key(&statement());
    key.credential.public_key = by_passkey(&statement(), true).credential.public_key;
    assert_eq!(key.verify(), Err(EvidenceError::Key(KeyError::PublicKey)));
}

#[test]
fn the_document_says_what_is_written_here() {
    let evidence = by_key(&statement());
    let said = example("approval-statement");
    assert_eq!(said.as_bytes(), statement().to_bytes(), "{said}");
    assert_eq!(
        example("approval-statement-sha256"),
        hex::encode(statement().challenge())
    );
    let bytes = evidence.to_bytes();
    assert_eq!(
        example("approval-evidence"),
        String::from_utf8_lossy(&bytes)
    );
    assert_eq!(
        example("approval-evidence-sha256"),
        hex::encode(sha256(&bytes))
    );
    let fingerprint = evidence.credential.fingerprint();
    assert_eq!(example("approval-key-sha256"), hex::encode(fingerprint));
    let passkey = Evidence::from_bytes(example("approval-passkey-evidence").as_bytes()).unwrap();
    assert_eq!(passkey.verify().unwrap().statement, statement());
    assert_eq!(passkey.credential.kind, CredentialKind::Passkey);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whoever changes a byte of evidence gets no other approval that holds, unless what they changed is what leaves say: who, in which role, when.
    #[test]
    fn edited_evidence_does_not_hold(at: prop::sample::Index, to: u8, passkey: bool) {
        let evidence = if passkey { by_passkey(&statement(), true) } else { by_key(&statement()) };
        let mut bytes = evidence.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= to.max(1);
        if let Ok(edited) = Evidence::from_bytes(&bytes)
            && let Ok(approval) = edited.verify()
        {
            prop_assert_eq!(approval.statement, statement());
            prop_assert_eq!(approval.key, evidence.credential.fingerprint());
            // The edit touched what the signature does not cover, and the SHA-256 in the leaf is another one.
            prop_assert_ne!(sha256(&bytes), sha256(&evidence.to_bytes()));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>) {
        prop_assert!(Evidence::from_bytes(&bytes).is_err());
    }
}
