//! Approvals that are signed with passkeys, and ways in which what a browser and an authenticator say is of something else.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_approval::Assertion;
use strongroom_approval::evidence::Signed;

use super::cases::Case;
use super::forge::{key, public};
use super::people::{Given, RUTH, THURGOOD, approved, begun, sha256};

const RP_ID: &str = "keys.example.com";
const ORIGIN: &str = "https://keys.example.com";
/// User present and user verified.
const SEEN_AND_VERIFIED: u8 = 0x05;

/// What the browser and the authenticator say.
#[derive(Clone)]
pub(crate) struct Ceremony {
    pub(crate) kind: &'static str,
    pub(crate) origin: &'static str,
    pub(crate) cross_origin: bool,
    /// The relying party that the authenticator signs for.
    pub(crate) rp_id: &'static str,
    pub(crate) flags: u8,
    /// What is signed over in place of the statement.
    pub(crate) challenge: Option<&'static [u8]>,
}

impl Ceremony {
    pub(crate) const fn honest() -> Self {
        Self {
            kind: "webauthn.get",
            origin: ORIGIN,
            cross_origin: false,
            rp_id: RP_ID,
            flags: SEEN_AND_VERIFIED,
            challenge: None,
        }
    }

    pub(crate) fn sign(&self, person: u8, statement: &[u8], damaged: bool) -> Signed {
        let challenge = sha256(self.challenge.unwrap_or(statement));
        let client_data = format!(
            r#"{{"type":"{}","challenge":"{}","origin":"{}","crossOrigin":{},"other":[1, 2.5]}}"#,
            self.kind,
            URL_SAFE_NO_PAD.encode(challenge),
            self.origin,
            self.cross_origin
        );
        let mut data = sha256(self.rp_id.as_bytes()).to_vec();
        data.push(self.flags);
        data.extend([0, 0, 0, 9]);
        let signed = [&data[..], &sha256(client_data.as_bytes())].concat();
        let mut signature = key(person).sign(&signed).as_ref().to_vec();
        signature[9] ^= u8::from(damaged);
        Signed::Passkey {
            assertion: Assertion {
                authenticator_data: data.into(),
                client_data: client_data.into_bytes().into(),
                signature: signature.into(),
            },
            rp_id: RP_ID.to_owned(),
            origins: vec!["https://other.example.com".to_owned(), ORIGIN.to_owned()],
        }
    }
}

/// A person's passkey: the `COSE_Key` of an Ed25519 key (RFC 9053 section 7.2).
pub(crate) fn public_key(person: u8) -> Vec<u8> {
    // {1: 1 (OKP), 3: -8 (EdDSA), -1: 6 (Ed25519), -2: x}
    let mut key = vec![0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
    key.extend(public(person));
    key
}

/// Cases whose second approval is signed with a passkey, and is none.
pub(crate) fn that_do_not_hold() -> Vec<Case> {
    let mut cases = Vec::new();
    let mut second = |what: &'static str, change: &dyn Fn(&mut Ceremony)| {
        let mut ceremony = Ceremony::honest();
        change(&mut ceremony);
        let mut story = begun();
        story.give(&approved(RUTH, story.next()));
        story.give(&Given {
            passkey: Some(ceremony),
            state: Some("approved"),
            ..approved(THURGOOD, story.next())
        });
        cases.push(story.bundle(what));
    };
    second("a passkey signed another challenge", &|ceremony| {
        ceremony.challenge = Some(b"another");
    });
    second("a passkey signed at another origin", &|ceremony| {
        ceremony.origin = "https://keys.example.net";
    });
    second("a passkey signed in a frame of another site", &|ceremony| {
        ceremony.cross_origin = true;
    });
    second("a passkey signed for another relying party", &|ceremony| {
        ceremony.rp_id = "keys.example.net";
    });
    second("a passkey did not verify its user", &|ceremony| {
        ceremony.flags = 0x01;
    });
    second("a passkey did not see its user", &|ceremony| {
        ceremony.flags = 0x04;
    });
    second("a passkey was made, not used", &|ceremony| {
        ceremony.kind = "webauthn.create";
    });

    let mut wrong = begun();
    wrong.give(&approved(RUTH, wrong.next()));
    wrong.give(&Given {
        passkey: Some(Ceremony::honest()),
        damaged: true,
        state: Some("approved"),
        ..approved(THURGOOD, wrong.next())
    });
    cases.push(wrong.bundle("a passkey's signature is wrong"));

    // With her card and with her passkey, one person is one person.
    let mut twice = begun();
    twice.give(&approved(RUTH, twice.next()));
    twice.give(&Given {
        passkey: Some(Ceremony::honest()),
        state: Some("approved"),
        ..approved(RUTH, twice.next())
    });
    cases.push(twice.bundle("one person approved by key and by passkey"));

    let mut another = begun();
    another.give(&approved(RUTH, another.next()));
    another.give(&Given {
        passkey: Some(Ceremony::honest()),
        person: RUTH,
        state: Some("approved"),
        ..approved(THURGOOD, another.next())
    });
    cases.push(another.bundle("a passkey is another person's"));
    cases
}
