//! `pkcs11 doctor`: tries what the module does, one thing after the other, and says of each what is wrong and what to do.
//!
//! | file | what lives there |
//! |---|---|
//! | `report` | checks and how they are told |
//! | `files` | the configuration, and the files that it names |
//! | `network` | the appliance's addresses |
//! | `account` | signing in, and what the account has |
//! | `module` | the module itself, and p11-kit |

mod account;
mod files;
mod module;
mod network;
mod report;

use std::path::PathBuf;

use clap::Args;
use strongroom_client::pkcs11::{Config, Found, Place, TokenConfig, VARIABLE};

use crate::Context;
use crate::failure::Failure;
use crate::output::plain;
use report::Report;

/// `strongroom pkcs11 doctor`.
#[derive(Args, Debug)]
pub(crate) struct Doctor {
    /// The configuration to look at [default: the one that the module finds].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only this token.
    #[arg(long, value_name = "LABEL")]
    token: Option<String>,
    /// A file whose first line is the PIN, or - for standard input, for tokens that need one; asked for where it is not given.
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// The module, `libstrongroom_pkcs11.so` [default: what p11-kit has, or the one beside this program or in the usual folders].
    #[arg(long, value_name = "PATH")]
    module: Option<PathBuf>,
}

impl Doctor {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut report = Report::default();
        if let Some((found, config)) = self.configuration(&mut report)? {
            files::log(&mut report, &config);
            let tokens = self.tokens(&config)?;
            for token in &tokens {
                report.about(Some(&token.label));
                self.look_at(context, &mut report, token);
            }
            report.about(None);
            let labels: Vec<_> = tokens.iter().map(|token| token.label.as_str()).collect();
            module::look_at(&mut report, self.module.as_deref(), &found, &labels);
        }
        report.tell(context.output)
    }

    fn look_at(&self, context: &Context, report: &mut Report, token: &TokenConfig) {
        let usable = files::of_token(report, token);
        let mut reached = Vec::new();
        if token.addresses.is_empty() {
            report.failed(
                "addresses",
                "the token has none",
                "name the appliance's in its member addresses",
            );
        }
        for address in &token.addresses {
            if network::reach(report, token, address) {
                reached.push(address.as_str());
            }
        }
        if usable && !reached.is_empty() {
            account::sign_in(context, report, token, &reached, self.pin_file.as_deref());
        }
    }

    /// The configuration that counts, and why it does.
    fn configuration(&self, report: &mut Report) -> Result<Option<(Found, Config)>, Failure> {
        const SUBJECT: &str = "configuration";
        let found = match &self.config {
            Some(path) => {
                let path = std::path::absolute(path)
                    .map_err(|error| Failure::local("--config is of no use", &error))?;
                Some(Found {
                    place: Place::Reserved,
                    path,
                })
            }
            None => Found::find(None).map_err(|error| Failure::Failed(error.to_string()))?,
        };
        let Some(found) = found else {
            let places: Vec<_> = Found::places()
                .iter()
                .map(|found| found.path.display().to_string())
                .collect();
            report.failed(
                SUBJECT,
                format!(
                    "there is none at {}, so there are no tokens",
                    places.join(" or ")
                ),
                "write one with strongroom pkcs11 configure",
            );
            return Ok(None);
        };
        let path = found.path.display();
        let why = match found.place {
            Place::Reserved => "which was asked for".to_owned(),
            Place::Variable => format!("which {VARIABLE} names"),
            Place::User => "this user's".to_owned(),
            Place::System => "the system's, as this user has none".to_owned(),
        };
        let config = match Config::read(&found.path) {
            Ok(config) => config,
            Err(error) => {
                let remedy = match &error {
                    strongroom_client::pkcs11::ConfigError::Unreadable { .. } => {
                        "see that the file is there and that this user may read it; the module fails C_Initialize with CKR_FUNCTION_FAILED as it is"
                    }
                    _ => {
                        "correct it; the module fails C_Initialize with CKR_FUNCTION_FAILED as it is"
                    }
                };
                report.failed(SUBJECT, format!("{error} ({why})"), remedy);
                return Ok(None);
            }
        };
        if config.tokens.is_empty() {
            report.failed(
                SUBJECT,
                format!("{path}, {why}, has no token"),
                "add one with strongroom pkcs11 configure",
            );
            return Ok(None);
        }
        files::tell_if_open_to_change(report, SUBJECT, &found.path, "send applications elsewhere");
        let count = match config.tokens.len() {
            1 => "1 token".to_owned(),
            count => format!("{count} tokens"),
        };
        let hidden: Vec<_> = config
            .compatibility
            .hide
            .iter()
            .map(|hidden| hidden.as_str())
            .collect();
        let hidden = if hidden.is_empty() {
            String::new()
        } else {
            format!("; hides {} keys", hidden.join(", "))
        };
        report.ok(SUBJECT, format!("{path}, {why}: {count}{hidden}"));
        let unread = Found::places().into_iter().filter(|other| {
            self.config.is_none() && other.place > found.place && other.path.exists()
        });
        for other in unread {
            report.warning(
                SUBJECT,
                format!("{} is there, too, and not read", other.path.display()),
                "put all tokens into the file that counts",
            );
        }
        Ok(Some((found, config)))
    }

    fn tokens<'a>(&self, config: &'a Config) -> Result<Vec<&'a TokenConfig>, Failure> {
        let wanted = |token: &&TokenConfig| {
            self.token
                .as_ref()
                .is_none_or(|label| token.label == *label)
        };
        let tokens: Vec<_> = config.tokens.iter().filter(wanted).collect();
        match &self.token {
            Some(label) if tokens.is_empty() => Err(Failure::Failed(format!(
                "the configuration has no token named {}",
                plain(label)
            ))),
            _ => Ok(tokens),
        }
    }
}
