//! What a second factor is asked for with, at sign-in and at step-up: a code's form, and a passkey's.

use serde::{Deserialize, Serialize};
use strongroom_keystore::Keystore;
use strongroom_wire::credential::{CredentialKind, PasskeyAssertion, PasskeyRequest, SecondFactor};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::SignInId;
use strongroom_wire::problem::Problem;
use strongroom_wire::session::SecondFactorNeeded;

use crate::form::Sent;
use crate::pieces::{Card, Field, Form, Html};

/// The scripts of a page on which a passkey is asked for or made.
pub(crate) const PASSKEY_SCRIPTS: &[&str] = &["webauthn.js", "passkey.js"];

/// What the browser is to ask an authenticator for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Names the sign-in.
    pub(super) ceremony: String,
    challenge: Base64,
    rp_id: String,
    allow: Vec<Base64>,
    user_verification: String,
}

impl Asked {
    pub(super) fn new(
        sign_in: SignInId,
        request: PasskeyRequest,
        challenge: &[u8; 32],
        alone: bool,
    ) -> Self {
        Self {
            ceremony: sign_in.to_string(),
            challenge: challenge.as_slice().into(),
            rp_id: request.rp_id,
            allow: request.allow,
            // As a second factor it follows the password.
            user_verification: if alone { "required" } else { "preferred" }.to_owned(),
        }
    }
}

/// A second factor that is waited for: carried by its page, which the next try shows again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Wanted {
    pub(super) sign_in: SignInId,
    code: bool,
    recovery: bool,
    asked: Option<Asked>,
}

impl Wanted {
    pub(super) fn new(keystore: &Keystore, needed: SecondFactorNeeded) -> Self {
        let challenge = keystore.second_factor_challenge(needed.sign_in);
        let asked = needed.passkey.zip(challenge);
        Self {
            sign_in: needed.sign_in,
            code: needed.kinds.contains(&CredentialKind::Totp),
            recovery: needed.kinds.contains(&CredentialKind::RecoveryCodes),
            asked: asked
                .map(|(request, challenge)| Asked::new(needed.sign_in, request, &challenge, false)),
        }
    }

    /// What the page before carried.
    pub(super) fn carried(sent: &Sent) -> Option<Self> {
        serde_json::from_str(sent.one("wanted")).ok()
    }

    /// The forms that ask for it.
    pub(super) fn forms(
        &self,
        to: &str,
        token: &str,
        then: &str,
        refused: Option<&Problem>,
    ) -> Vec<Html> {
        let carried = serde_json::to_string(self).unwrap_or_default();
        let mut forms = Vec::new();
        if let Some(asked) = &self.asked {
            let asked = serde_json::to_string(asked).unwrap_or_default();
            forms.push(passkey_form(
                to,
                token,
                then,
                "Use a passkey",
                &[("passkey", "get"), ("asked", &asked)],
                Some(&carried),
            ));
        }
        if self.code || self.recovery {
            let hint = match (self.code, self.recovery) {
                (true, true) => {
                    "Six digits from your authenticator app, or one of your recovery codes."
                }
                (true, false) => "Six digits from your authenticator app.",
                _ => "One of your recovery codes. Each is good once.",
            };
            let field = Field::text("code", if self.code { "Code" } else { "Recovery code" })
                .hint(hint)
                .class("code")
                .autocomplete("one-time-code")
                .wrong(refused.map(|problem| problem.detail.as_str()))
                .required()
                .focus();
            let form = Form::new(to, token, "Continue")
                .field(field)
                .field(Field::hidden("wanted", carried))
                .field(Field::hidden("then", then))
                .class("main full");
            forms.push(Card::new("").body(form.html()).html());
        } else if self.asked.is_some() {
            forms.push(Html::fixed(
                "<p class=\"note warn\" data-without-passkeys>This account signs in with a passkey, which takes a browser that runs scripts.</p>".to_owned(),
            ));
        }
        forms
    }
}

/// A form that a script fills with what an authenticator says. It is hidden where no script runs.
pub(super) fn passkey_form(
    to: &str,
    token: &str,
    then: &str,
    submit: &str,
    data: &[(&str, &str)],
    wanted: Option<&str>,
) -> Html {
    let class = if wanted.is_some() {
        "main full"
    } else {
        "full"
    };
    let mut form = Form::new(to, token, submit).class(class).data(data);
    for name in [
        "ceremony",
        "credential",
        "client_data",
        "authenticator_data",
        "signature",
        "user_handle",
    ] {
        form = form.field(Field::hidden(name, ""));
    }
    if let Some(wanted) = wanted {
        form = form.field(Field::hidden("wanted", wanted));
    }
    let form = form.field(Field::hidden("then", then)).piece(complaint());
    hidden(&Card::new("").body(form.html()).html())
}

/// Where a script says what went wrong.
pub(crate) fn complaint() -> Html {
    Html::fixed("<p class=\"wrong\" data-complaint role=\"alert\" hidden></p>".to_owned())
}

/// The card is hidden until a script shows it.
fn hidden(card: &Html) -> Html {
    Html::fixed(card.to_string().replacen("<section", "<section hidden", 1))
}

/// What the form proves with: a passkey's assertion or a code.
pub(super) fn proof(sent: &Sent) -> Option<SecondFactor> {
    if let Some(assertion) = assertion(sent) {
        return Some(SecondFactor::Passkey(assertion));
    }
    let code = sent.some("code")?;
    let digits: String = code
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect();
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(SecondFactor::Totp(digits));
    }
    Some(SecondFactor::RecoveryCode(code.to_owned()))
}

/// A passkey's assertion, where the form has one.
pub(super) fn assertion(sent: &Sent) -> Option<PasskeyAssertion> {
    let bytes = |name: &str| sent.some(name)?.parse::<Base64>().ok();
    Some(PasskeyAssertion {
        credential: bytes("credential")?,
        client_data: bytes("client_data")?,
        authenticator_data: bytes("authenticator_data")?,
        signature: bytes("signature")?,
        user_handle: bytes("user_handle"),
    })
}
