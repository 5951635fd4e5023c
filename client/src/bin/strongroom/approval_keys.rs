//! `approval-keys`.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use strongroom_wire::approval::{ApprovalCredentials, ApprovalKey};

use crate::approving::{KeyArguments, public_of};
use crate::failure::Failure;
use crate::output::{facts, plain, table};
use crate::proposals::SignRestore;
use crate::step_up::with_recent_sign_in;
use crate::{Context, moment};

/// For how long the statement counts with which a key is added, in seconds.
const ADDING: u64 = 15 * 60;

/// `strongroom approval-keys`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Add a key to approve with: an Ed25519 or P-256 key in a PKCS #11 token or a PEM file.
    Add(Add),
    /// Approve, beside the appliance, that a backup is restored.
    Sign(SignRestore),
    /// List the keys that one approves with.
    List,
    /// Remove a key; what was approved with it stays approved.
    Remove {
        /// The key's name or identifier.
        key: String,
    },
}

/// `strongroom approval-keys add`.
#[derive(Args, Debug)]
pub(crate) struct Add {
    /// What to call it.
    name: String,
    #[command(flatten)]
    key: KeyArguments,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        if let Self::Sign(sign) = self {
            return sign.run(context);
        }
        let session = context.session()?;
        match self {
            // Done above, without a session.
            Self::Sign(_) => Ok(()),
            Self::Add(add) => {
                let signer = add.key.signer()?.ok_or_else(|| {
                    Failure::Usage(
                        "say which key: --key FILE, or --pkcs11 MODULE --label LABEL".to_owned(),
                    )
                })?;
                let until = moment::now().plus_seconds(ADDING);
                let statement = session.approval_key_statement(&signer.public, until)?;
                let signature = signer.sign(&statement)?;
                let added = with_recent_sign_in(context, &session, || {
                    session.add_approval_key(&add.name, &signer.public, &statement, &signature)
                })?;
                context.output.answer(&added, || describe(&added.key))
            }
            Self::List => {
                let credentials = session.approval_credentials()?;
                context
                    .output
                    .answer(&credentials, || describe_all(&credentials))
            }
            Self::Remove { key } => {
                let keys = session.approval_credentials()?.keys;
                let named: Vec<_> = keys
                    .iter()
                    .filter(|known| known.name == key || known.id.to_string() == key)
                    .collect();
                let [known] = named.as_slice() else {
                    return Err(Failure::Failed(
                        "there is no such approval key, or several: see strongroom approval-keys list"
                            .to_owned(),
                    ));
                };
                let done = with_recent_sign_in(context, &session, || {
                    session.remove_approval_key(known.id)
                })?;
                context
                    .output
                    .answer(&done, || format!("{} is removed.", plain(&known.name)))
            }
        }
    }
}

fn describe(key: &ApprovalKey) -> String {
    facts(&[
        ("approval key", plain(&key.name)),
        ("identifier", key.id.to_string()),
        ("signs by", scheme(key)),
        ("SHA-256", key.sha256.clone()),
        ("added", key.created.to_string()),
    ])
}

fn describe_all(credentials: &ApprovalCredentials) -> String {
    let rows: Vec<_> = credentials
        .keys
        .iter()
        .map(|key| {
            [
                plain(&key.name),
                scheme(key),
                key.created.to_string(),
                key.id.to_string(),
            ]
        })
        .collect();
    let mut text = table(["KEY", "SIGNS BY", "SINCE", "IDENTIFIER"], &rows);
    if !credentials.passkeys.is_empty() {
        let _ = write!(
            text,
            "\nAnd {} passkeys: strongroom passkeys list.",
            credentials.passkeys.len()
        );
    }
    text
}

fn scheme(key: &ApprovalKey) -> String {
    public_of(key).map_or_else(|_| String::new(), |key| key.scheme().as_str().to_owned())
}
