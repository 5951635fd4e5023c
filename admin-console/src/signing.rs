//! Signing on a page: what is signed and that it is what is shown, with a passkey where scripts run, or in two steps with an approval key.
//!
//! A statement is made here from what the page shows, and comes back with the signature; the keystore holds it against what stands there then. Where
//! scripts run, the reader's own browser computes the digests, of the very text on the page, and the passkey signs what it has computed.

mod signed;

use std::fmt::Write as _;

use serde_json::json;
use strongroom_approval::{ApprovalKey as PublicKey, Statement};
use strongroom_wire::approval::{ApprovalCredentials, ApprovalKey, Decision};
use strongroom_wire::encoding::Base64;

pub(crate) use self::signed::{Signed, done, jws, statement};
use crate::door::complaint;
use crate::form::Fields;
use crate::pieces::{
    Card, Choice, Facts, Field, Form, Html, Note, Tone, address, button, link, mono, paragraph,
    when,
};

/// The largest form with a signature, in bytes.
pub(crate) const LARGEST: usize = 128 * 1024;

/// For how many days a decision counts, unless it is said.
const DAYS: u64 = 7;
/// What can be chosen.
const CHOICES: [u64; 4] = [1, 7, 30, 90];

/// Something to be signed.
pub(crate) struct ToSign<'a> {
    pub(crate) statement: &'a Statement,
    /// What the statement is about, for people.
    pub(crate) about: Html,
    /// The document that the statement names by its SHA-256: what it is called, and its canonical bytes.
    pub(crate) document: (&'static str, &'a [u8]),
    /// Where the passkey's answer goes; a signature goes to `signature` below it.
    pub(crate) to: &'a str,
    /// What the button says.
    pub(crate) submit: &'a str,
    /// Where the reader goes who thinks better of it.
    pub(crate) back: &'a str,
    pub(crate) token: &'a str,
}

/// For how many days a decision shall count, as the address says.
pub(crate) fn days(query: &Fields) -> u64 {
    let days = query.one("days").parse().unwrap_or(DAYS);
    if CHOICES.contains(&days) { days } else { DAYS }
}

/// The scripts of a page on which is signed.
pub(crate) const SCRIPTS: &[&str] = &["webauthn.js", "approve.js"];

impl ToSign<'_> {
    /// The cards of a page on which is signed.
    pub(crate) fn cards(&self, credentials: &ApprovalCredentials, days: u64) -> Vec<Html> {
        let mut cards = vec![self.what(credentials, days)];
        if credentials.keys.is_empty() && credentials.passkeys.is_empty() {
            let note = Note::new(
                Tone::Warn,
                "You have nothing to sign with yet",
                "An approval is a signature of your own: with a passkey in this browser, or with a key in a card, a token or a file.",
            )
            .acts(Html::all([
                button("/security/passkey", "Add a passkey", "main"),
                button("/approval-keys/new", "Add an approval key", ""),
            ]));
            cards.push(note.html());
            return cards;
        }
        cards.push(self.with_passkey(credentials));
        cards.push(self.with_key(&credentials.keys));
        cards
    }

    fn rejects(&self) -> bool {
        self.statement.decision == Decision::Reject
    }

    /// What is signed.
    fn what(&self, credentials: &ApprovalCredentials, days: u64) -> Html {
        let statement = self.statement;
        let (what, document) = self.document;
        let text = String::from_utf8_lossy(document);
        let bytes = statement.to_bytes();
        let decision = if self.rejects() {
            "Reject: you are against it"
        } else {
            "Approve: it may be done"
        };
        let facts = Facts::new()
            .with("You say", decision)
            .with("About", self.about.clone())
            .with("Counts until", when(statement.valid_until))
            .with("In the log", statement.domain_origin.as_str())
            .with(
                "What it names",
                Html::join(
                    " ",
                    [
                        format!("the {what} with SHA-256").into(),
                        mono(&hex::encode(strongroom_approval::sha256(document))),
                    ],
                ),
            )
            .with(
                "SHA-256 of what you sign",
                Html::fixed(format!(
                    "<span class=\"mono\" data-digest>{}</span>",
                    hex::encode(statement.challenge())
                )),
            );
        let asked = json!({
            "rp_id": credentials.rp_id,
            "allow": credentials.passkeys,
            "digest": hex::encode(statement.challenge()),
            "document": hex::encode(strongroom_approval::sha256(document)),
        });
        let step = |name: &str, title: &str, words: &str| {
            Html::fixed(format!(
                "<li data-step=\"{name}\"><span class=\"mark good\">✓</span><div><strong>{title}</strong><span class=\"sub\" data-says>{words}</span></div></li>"
            ))
        };
        let steps = [
            step(
                "document",
                "The statement names what is shown",
                "The appliance computed its SHA-256. Where scripts run, your own browser does so, too.",
            ),
            step(
                "statement",
                "The digest is that of the statement",
                "The appliance computed it. Where scripts run, your own browser does so, too.",
            ),
        ];
        let choices: Vec<Html> = CHOICES
            .into_iter()
            .map(|choice| {
                let words = crate::pieces::plural(choice, "day", "days");
                if choice == days {
                    Html::fixed(format!("<strong>{words}</strong>"))
                } else {
                    let decision = statement.decision.as_str();
                    let to = address(
                        self.to,
                        &[("decision", decision), ("days", &choice.to_string())],
                    );
                    link(&to, &words)
                }
            })
            .collect();
        let body = Html::all([
            facts.html(),
            Html::fixed(format!(
                "<p class=\"after small\">Until enough people have decided it counts for: {}</p>",
                Html::join(" · ", choices)
            )),
            Html::fixed(format!(
                "<ol class=\"steps after\" id=\"to-sign\" data-asked=\"{}\">{}</ol>",
                Html::from(asked.to_string()),
                Html::all(steps)
            )),
            Html::fixed(format!(
                "<details class=\"more after\"><summary>The statement and the {what} themselves</summary><pre id=\"statement\" class=\"wrapped\" tabindex=\"0\">{}</pre><pre id=\"document\" class=\"wrapped after\" tabindex=\"0\">{}</pre></details>",
                Html::from(String::from_utf8_lossy(&bytes).as_ref()),
                Html::from(text.as_ref()),
            )),
        ]);
        Card::new("What you sign")
            .intro("Exactly this, and nothing else: a change of it makes the signature void.")
            .body(body)
            .html()
    }

    fn carried(&self) -> String {
        Base64(self.statement.to_bytes()).to_text()
    }

    fn with_passkey(&self, credentials: &ApprovalCredentials) -> Html {
        if credentials.passkeys.is_empty() {
            let body = paragraph(Html::join(
                " ",
                [
                    "You have no passkey here.".into(),
                    link("/security/passkey", "Add a passkey"),
                ],
            ));
            return Card::new("With a passkey").body(body).html();
        }
        let data = [("approve", "yes")];
        let mut form = Form::new(self.to, self.token, self.submit)
            .data(&data)
            .field(Field::hidden("statement", self.carried()));
        for name in [
            "credential",
            "client_data",
            "authenticator_data",
            "signature",
            "user_handle",
        ] {
            form = form.field(Field::hidden(name, ""));
        }
        if self.rejects() {
            form = form.danger();
        }
        let form = form.piece(complaint()).back(self.back);
        let hidden = form.html().to_string();
        let hidden = Html::fixed(hidden.replacen("<form class", "<form hidden class", 1));
        let without = Html::fixed("<p data-without-passkeys>Passkeys take a browser that runs scripts. Here you can still sign with an approval key.</p>".to_owned());
        Card::new("With a passkey")
            .intro("Its challenge is the digest above.")
            .body(Html::all([hidden, without]))
            .html()
    }

    fn with_key(&self, keys: &[ApprovalKey]) -> Html {
        if keys.is_empty() {
            let body = paragraph(Html::join(
                " ",
                [
                    "You have no approval key here.".into(),
                    link("/approval-keys/new", "Add an approval key"),
                ],
            ));
            return Card::new("With an approval key").body(body).html();
        }
        let statement = self.carried();
        let downloads = keys.iter().map(|key| {
            let id = key.id.to_string();
            let to = address(
                "/approval-keys/to-sign",
                &[("by", &id), ("statement", &statement)],
            );
            button(&to, &format!("What “{}” signs", key.name), "")
        });
        let choices = keys
            .iter()
            .enumerate()
            .map(|(at, key)| Choice::new(key.id.to_string(), key.name.as_str(), at == 0))
            .collect();
        let to = format!("{}/signature", self.to);
        let mut form = Form::new(&to, self.token, self.submit)
            .field(Field::hidden("statement", statement.clone()))
            .field(Field::select("key", "Signed with", choices));
        for field in signature_fields() {
            form = form.field(field);
        }
        if self.rejects() {
            form = form.danger();
        }
        let form = form.with_files().back(self.back);
        let body = Html::all([
            two_steps(
                keys.iter()
                    .filter_map(|key| PublicKey::from_spki(&key.public_key.0).ok()),
            ),
            Html::fixed(format!(
                "<p class=\"acts after\">{}</p>",
                Html::all(downloads)
            )),
            Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
        ]);
        Card::new("With an approval key")
            .intro("In two steps: fetch what is to be signed, sign it where the key is, bring the signature.")
            .body(body)
            .html()
    }
}

/// How it is signed elsewhere.
pub(crate) fn two_steps(keys: impl Iterator<Item = PublicKey>) -> Html {
    let mut commands = String::new();
    let schemes: std::collections::BTreeSet<&str> = keys.map(|key| key.scheme().as_str()).collect();
    for scheme in schemes {
        let command = if scheme == "EdDSA" {
            "openssl pkeyutl -sign -rawin -inkey key.pem -in to-sign -out signature"
        } else {
            "openssl dgst -sha256 -sign key.pem -out signature to-sign"
        };
        let _ = writeln!(commands, "{command}");
    }
    Html::fixed(format!(
        "<pre class=\"wrapped\" tabindex=\"0\">{}</pre>",
        Html::from(commands.trim_end())
    ))
}

/// The fields that take a signature.
pub(crate) fn signature_fields() -> [Field; 2] {
    [
        Field::upload("signature_file", "Signature, as a file")
            .hint("64 bytes, or of P-256 also DER, as openssl writes it."),
        Field::area("signature_text", "Or pasted").hint("In base64, or a detached JWS."),
    ]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// RFC 8410 section 10.1: an Ed25519 public key.
    const KEY: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";

    #[test]
    fn commands_are_those_of_the_readers_keys() {
        let key = PublicKey::from_spki(&STANDARD.decode(KEY).unwrap()).unwrap();
        let said = two_steps([key].into_iter()).to_string();
        assert!(said.contains("pkeyutl") && !said.contains("dgst"), "{said}");
    }
}
