//! `password`, `second-factor`, `recovery-codes`, `passkeys`; and the second factor at `login`.

use std::path::PathBuf;

use clap::Subcommand;
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use serde_json::json;
use strongroom_client::{ClientError, Session};
use strongroom_wire::credential::{
    Credential, CredentialKind, CredentialName, Credentials, FactorAdded, SecondFactor, TotpStarted,
};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::PasskeyId;
use strongroom_wire::problem::Code;
use strongroom_wire::session::SecondFactorNeeded;

use crate::failure::Failure;
use crate::output::{complain, plain, spelling, table};
use crate::step_up::with_recent_sign_in;
use crate::{Context, prompt};

/// `strongroom password`.
#[derive(Subcommand, Debug)]
pub(crate) enum Password {
    /// Take another password, after signing in again with the present one or with the second factor. All other sessions end.
    Change {
        /// A file whose first line is the new password, or - for standard input; asked for where it is not given.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
}

/// `strongroom second-factor`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// List what this account signs in with.
    List,
    /// Set up an authenticator app: shows its secret as a QR code and asks for the first code.
    SetUp,
    /// Confirm the authenticator app that is being set up with its first code.
    Confirm {
        /// The six digits that the app shows.
        code: String,
    },
    /// Remove the authenticator app.
    Remove,
}

/// `strongroom recovery-codes`.
#[derive(Subcommand, Debug)]
pub(crate) enum RecoveryCodes {
    /// Say how many recovery codes are left.
    Show,
    /// Make ten new recovery codes; those before them are void.
    New,
}

/// `strongroom passkeys`.
#[derive(Subcommand, Debug)]
pub(crate) enum Passkeys {
    /// List this account's passkeys.
    List,
    /// Remove a passkey.
    Remove {
        /// The passkey.
        passkey: PasskeyId,
    },
}

impl Password {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        let Self::Change { password_file } = self;
        let password = prompt::new_password(password_file.as_deref())?;
        let done = with_recent_sign_in(context, &session, || {
            session.change_password(password.as_bytes())
        })?;
        context.output.answer(&done, || {
            "The password is changed, and all other sessions have ended.".to_owned()
        })
    }
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        match self {
            Self::List => {
                let credentials = session.credentials()?;
                context
                    .output
                    .answer(&credentials, || describe(&credentials.credentials))
            }
            Self::SetUp => set_up(context, &session),
            Self::Confirm { code } => confirmed(context, &session.confirm_totp(&code)?),
            Self::Remove => {
                let done = session.remove_credential(CredentialName::Totp)?;
                context.output.answer(&done, || {
                    "The authenticator app is removed: it is not asked for any more.".to_owned()
                })
            }
        }
    }
}

impl RecoveryCodes {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        match self {
            Self::Show => {
                let credentials = session.credentials()?.credentials;
                let mut codes = credentials.iter().filter_map(|credential| credential.left);
                let left = codes.next().unwrap_or_default();
                context.output.answer(&json!({ "left": left }), || {
                    format!("{left} recovery codes are left.")
                })
            }
            Self::New => {
                let made = session.make_recovery_codes()?;
                context.output.answer(&made, || shown_once(&made.codes))
            }
        }
    }
}

impl Passkeys {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let session = context.session()?;
        match self {
            Self::List => {
                let mut credentials = session.credentials()?.credentials;
                credentials.retain(|credential| credential.kind == CredentialKind::Passkey);
                let passkeys = Credentials { credentials };
                context
                    .output
                    .answer(&passkeys, || describe(&passkeys.credentials))
            }
            Self::Remove { passkey } => {
                let done = session.remove_credential(CredentialName::Passkey(passkey))?;
                context
                    .output
                    .answer(&done, || format!("The passkey {passkey} is removed."))
            }
        }
    }
}

/// What the command line says of the second factor.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) totp: Option<String>,
    pub(crate) recovery_code: Option<String>,
}

/// Proves a second factor: with what was given, or else with what the person types.
pub(crate) fn prove<T>(
    needed: &SecondFactorNeeded,
    given: Given,
    prove: impl Fn(SecondFactor) -> Result<T, ClientError>,
) -> Result<T, Failure> {
    let given = given
        .totp
        .map(SecondFactor::Totp)
        .or(given.recovery_code.map(SecondFactor::RecoveryCode));
    if let Some(proof) = given {
        return Ok(prove(proof)?);
    }
    let kinds = &needed.kinds;
    if !kinds.contains(&CredentialKind::Totp) && !kinds.contains(&CredentialKind::RecoveryCodes) {
        return Err(Failure::Failed(
            "this account's second factor is a passkey, which this program cannot ask for: sign in with a browser, and set up an \
             authenticator app or recovery codes there"
                .to_owned(),
        ));
    }
    if !prompt::is_possible() {
        return Err(Failure::Usage(
            "nobody is there to type the second factor: give it with --totp or --recovery-code"
                .to_owned(),
        ));
    }
    for left in (0..needed.tries).rev() {
        let typed = prompt::ask("Code of the authenticator app, or a recovery code: ")?;
        match prove(proof_of(&typed)) {
            Err(ClientError::Refused(problem))
                if problem.code == Code::SecondFactorRefused && left > 0 =>
            {
                complain(&format!("strongroom: {}", problem.detail));
            }
            outcome => return Ok(outcome?),
        }
    }
    Err(ClientError::SecondFactorNeeded.into())
}

/// Six digits are the authenticator app's; recovery codes are longer.
fn proof_of(typed: &str) -> SecondFactor {
    let digits = typed.chars().filter(char::is_ascii_digit).count();
    let others = typed.chars().filter(char::is_ascii_alphabetic).count();
    if digits == 6 && others == 0 {
        SecondFactor::Totp(typed.to_owned())
    } else {
        SecondFactor::RecoveryCode(typed.to_owned())
    }
}

fn set_up(context: &Context, session: &Session) -> Result<(), Failure> {
    let started = session.start_totp()?;
    if context.output.is_json() || !prompt::is_possible() {
        return context.output.answer(&started, || {
            format!(
                "{}\nConfirm it with its first code: strongroom second-factor confirm CODE",
                to_scan(&started)
            )
        });
    }
    complain(&to_scan(&started));
    loop {
        let code = prompt::ask("The code that the app shows: ")?;
        match session.confirm_totp(&code) {
            Err(ClientError::Refused(problem)) if problem.code == Code::SecondFactorRefused => {
                complain("strongroom: that is not the app's code; it changes every 30 seconds");
            }
            outcome => return confirmed(context, &outcome?),
        }
    }
}

fn to_scan(started: &TotpStarted) -> String {
    let picture = QrCode::new(&started.uri).map(|code| {
        code.render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build()
    });
    format!(
        "Let the authenticator app read this, or type the secret into it:\n\n{}\n{}\n\nsecret: {}\n",
        // An address too long for a picture can still be typed.
        picture.unwrap_or_default(),
        started.uri,
        started.secret
    )
}

fn confirmed(context: &Context, added: &FactorAdded) -> Result<(), Failure> {
    context.output.answer(added, || {
        let mut text =
            "The authenticator app is set up: from now on each sign-in asks for its code."
                .to_owned();
        if !added.recovery_codes.is_empty() {
            text = format!("{text}\n\n{}", shown_once(&added.recovery_codes));
        }
        text
    })
}

fn shown_once(codes: &[String]) -> String {
    format!(
        "Recovery codes. Each stands for the second factor once; print them and lock them away, they are shown this once:\n\n{}",
        codes.join("\n")
    )
}

fn describe(credentials: &[Credential]) -> String {
    let moment = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let rows: Vec<_> = credentials
        .iter()
        .map(|credential| {
            let left = credential.left.map(|left| format!("{left} left"));
            let name = credential.name.as_deref().map(plain).or(left);
            let passkey = credential.passkey.map(|passkey| passkey.to_string());
            [
                spelling(&credential.kind),
                name.unwrap_or_default(),
                moment(credential.created),
                moment(credential.used),
                passkey.unwrap_or_default(),
            ]
        })
        .collect();
    table(["KIND", "", "SINCE", "LAST USED", "PASSKEY"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_are_the_apps() {
        let totp = |typed: &str| SecondFactor::Totp(typed.to_owned());
        for typed in ["123456", "123 456"] {
            assert_eq!(proof_of(typed), totp(typed));
        }
        for typed in ["1234", "ABCD-1234-5678", "12345678"] {
            assert_eq!(
                proof_of(typed),
                SecondFactor::RecoveryCode(typed.to_owned())
            );
        }
    }

    #[test]
    fn an_app_can_read_what_is_shown() {
        let started = TotpStarted {
            uri: "otpauth://totp/Strongroom:alice?secret=MZXW6YTB".to_owned(),
            secret: "MZXW6YTB".to_owned(),
            expires: Timestamp::from_millis(0),
        };
        let shown = to_scan(&started);
        assert!(shown.contains("secret: MZXW6YTB"));
        // A picture of 33 modules and its margin, two to a line.
        assert!(shown.lines().filter(|line| line.contains('█')).count() > 15);
    }
}
