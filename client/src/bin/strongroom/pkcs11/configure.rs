//! `pkcs11 configure`.

mod defaults;
mod files;

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use serde_json::json;
use strongroom_client::Roots;
use strongroom_client::pkcs11::{
    self, ANSWERS_WITHIN, Found, Hidden, LONGEST_ANSWERS_WITHIN, LONGEST_LABEL, Level, Place,
    TokenConfig,
};
use strongroom_wire::key::Protection;
use zeroize::Zeroizing;

use super::credentials::Credentials;
use super::document::Document;
use super::p11_kit::{self, Planned};
use crate::Context;
use crate::failure::Failure;
use crate::output::{plain, spelt};
use defaults::missing;
use files::{Beside, beside_of, make_folder};

/// `strongroom pkcs11 configure`.
#[derive(Args, Debug)]
pub(crate) struct Configure {
    /// The service account, by its identifier, or by its name where one is signed in [default: that of the credentials, or who is signed in].
    account: Option<String>,
    /// The token's name, by which applications choose it [default: the account's name].
    #[arg(long, value_parser = label)]
    label: Option<String>,
    /// An address of the appliance for clients, such as <https://keys.example.com:8443>; may be given several times [default: the profile's].
    #[arg(long = "address", value_name = "URL", value_delimiter = ',')]
    addresses: Vec<String>,
    /// The certificates of the authority that vouches for the appliance, in PEM [default: a copy of the profile's].
    #[arg(long, value_name = "FILE")]
    roots: Option<PathBuf>,
    /// The domain of the appliance [default: the profile's, or the one that the address stands for].
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Have keys that applications generate, and that are not extractable, generated and kept inside the appliance's HSM.
    #[arg(long)]
    in_hsm: bool,
    /// How long the appliance may take to begin its answer, before the next address is asked: 1 to 120.
    #[arg(long, value_name = "SECONDS", default_value_t = ANSWERS_WITHIN, value_parser = clap::value_parser!(u64).range(1..=LONGEST_ANSWERS_WITHIN))]
    answers_within: u64,
    #[command(flatten)]
    sign_in: SignIn,
    #[command(flatten)]
    place: Where,
    /// Write a token of the same label anew, and files of its own that are there.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    log: Log,
    /// Hide keys of this type from applications that cannot live with them; may be given several times.
    #[arg(long, value_name = "TYPE", value_delimiter = ',', value_parser = PossibleValuesParser::new(Hidden::ALL.map(Hidden::as_str)).try_map(|text| spelt::<Hidden>(&text)))]
    hide: Vec<Hidden>,
    #[command(flatten)]
    registration: Registration,
}

/// How the account signs in. Where nothing is given, its secret is the PIN that applications ask for.
#[derive(Args, Debug)]
#[group(multiple = true)]
struct SignIn {
    /// The file of the account's secret, which is there already: no PIN.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["credentials", "certificate"])]
    secret: Option<PathBuf>,
    /// What strongroom accounts secret ACCOUNT --json printed, or - for standard input: its secret is put into a file beside the
    /// configuration, for its owner alone.
    #[arg(long, value_name = "FILE", conflicts_with = "certificate")]
    credentials: Option<PathBuf>,
    /// The client certificate with its chain, in PEM: no PIN.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The certificate's private key, in PEM [default: the one in the certificate's file].
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

/// Where the configuration goes.
#[derive(Args, Debug)]
struct Where {
    /// For every user of this machine: /etc/strongroom/pkcs11.toml.
    #[arg(long)]
    system: bool,
    #[arg(
        long,
        short,
        value_name = "FILE",
        conflicts_with = "system",
        help = "Into this file [default: $XDG_CONFIG_HOME/strongroom/pkcs11.toml or ~/.config/strongroom/pkcs11.toml]"
    )]
    output: Option<PathBuf>,
}

/// The module's log.
#[derive(Args, Debug)]
struct Log {
    /// Have the module add lines to this file.
    #[arg(long = "log", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Have the module write to the system's log.
    #[arg(long)]
    syslog: bool,
    /// What is logged.
    #[arg(long = "log-level", value_name = "LEVEL", value_parser = PossibleValuesParser::new(Level::ALL.map(Level::as_str)).try_map(|text| spelt::<Level>(&text)))]
    level: Option<Level>,
}

/// What is told to p11-kit.
#[derive(Args, Debug)]
struct Registration {
    /// The module, `libstrongroom_pkcs11.so` [default: the one beside this program or in the usual folders].
    #[arg(long, value_name = "PATH", conflicts_with = "no_p11_kit")]
    module: Option<PathBuf>,
    /// Do not register the module with p11-kit.
    #[arg(long)]
    no_p11_kit: bool,
}

impl Configure {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let file = self.place.file()?;
        let profile = context.home.profile()?;
        let session = context.session().ok();
        let credentials = self.sign_in.credentials.as_deref();
        let credentials = credentials.map(Credentials::read).transpose()?;
        let subject = self.subject(session.as_ref(), credentials.as_ref())?;
        let mut document = Document::read(&file)?;

        let label = match self.label.clone().or_else(|| subject.name.clone()) {
            Some(text) => label(&text).map_err(Failure::Usage)?,
            None => {
                return Err(Failure::Usage(
                    "the account's name is not known here: give the token's name with --label"
                        .to_owned(),
                ));
            }
        };
        let replaces = document
            .config()
            .tokens
            .iter()
            .any(|token| token.label == label);
        if replaces && !self.replace {
            return Err(Failure::Failed(format!(
                "{} has a token named {}: give --replace to have it written anew, or another name with --label",
                file.display(),
                plain(&label)
            )));
        }

        let mut token = TokenConfig {
            addresses: self.addresses(profile.as_ref(), session.as_ref())?,
            account: subject.account.map(|account| account.to_string()),
            certificate: absolute(self.sign_in.certificate.as_deref())?,
            key: absolute(self.sign_in.key.as_deref())?,
            secret: absolute(self.sign_in.secret.as_deref())?,
            domain: self.domain(profile.as_ref()),
            answers_within: self.answers_within,
            protection: if self.in_hsm {
                Protection::Hsm
            } else {
                Protection::Software
            },
            roots: match absolute(self.roots.as_deref())? {
                Some(roots) => roots,
                None if profile.is_some() => context.home.ca_file(),
                None => return Err(missing("--roots")),
            },
            label,
        };
        // What the module would stumble over is refused here, before anything is written.
        token.client()?;
        token.account_id()?;
        token.read_secret()?;

        let beside = self.beside(context, &file, &mut token, credentials.as_ref())?;
        let taken = document.config().tokens.iter().find(|other| {
            let theirs = [Some(&other.roots), other.secret.as_ref()];
            other.label != token.label && beside.iter().any(|new| theirs.contains(&Some(&new.path)))
        });
        if let Some(other) = taken {
            return Err(Failure::Failed(format!(
                "the files of this token would be those of the token {}: give another name with --label",
                plain(&other.label)
            )));
        }
        document.put_token(&token)?;
        let log = absolute(self.log.file.as_deref())?;
        document.set_log(log.as_deref(), self.log.syslog, self.log.level)?;
        document.hide(&self.hide)?;
        document.to_text()?;
        let planned = self.registration.plan(&self.place, &file, self.replace)?;

        make_folder(&file, self.place.system)?;
        for new in &beside {
            new.write(self.replace)?;
        }
        document.write(&file, token.signs_in_by_itself())?;
        if let Some((_, planned)) = &planned {
            planned.write()?;
        }
        let files: Vec<&Path> = beside.iter().map(|new| new.path.as_path()).collect();
        context.output.answer(
            &json!({
                "configuration": file,
                "token": token.label,
                "account": token.account,
                "pin": !token.signs_in_by_itself(),
                "files": files,
                "module": planned.as_ref().map(|(module, _)| module),
                "p11_kit": planned.as_ref().map(|(_, planned)| &planned.file),
            }),
            || self.describe(&file, &token, &files, planned.as_ref()),
        )
    }

    /// The files to be written beside the configuration, which the token then names.
    fn beside(
        &self,
        context: &Context,
        file: &Path,
        token: &mut TokenConfig,
        credentials: Option<&Credentials>,
    ) -> Result<Vec<Beside>, Failure> {
        let mut beside = Vec::new();
        if self.roots.is_none() {
            // The home is this user's; applications are others.
            let content = Zeroizing::new(context.home.ca()?);
            Roots::from_pem(&content)?;
            token.roots = beside_of(file, &token.label, "ca.pem");
            beside.push(Beside {
                path: token.roots.clone(),
                content,
                is_secret: false,
            });
        }
        if let Some(credentials) = credentials {
            let path = beside_of(file, &token.label, "secret");
            let text = credentials.secret.to_text();
            beside.push(Beside {
                path: path.clone(),
                content: Zeroizing::new(format!("{}\n", *text).into_bytes()),
                is_secret: true,
            });
            token.secret = Some(path);
        }
        Ok(beside)
    }

    fn describe(
        &self,
        file: &Path,
        token: &TokenConfig,
        beside: &[&Path],
        planned: Option<&(PathBuf, Planned)>,
    ) -> String {
        let mut lines = vec![format!(
            "The token {} is in {}.",
            plain(&token.label),
            file.display()
        )];
        for path in beside {
            lines.push(format!("{} was written for it.", path.display()));
        }
        lines.push(
            match (&token.certificate, &token.secret) {
                (Some(_), _) => "It signs in by its certificate: applications need no PIN.",
                (None, Some(_)) => "It signs in by the account's secret: applications need no PIN.",
                (None, None) => {
                    "Its PIN is the account's secret, as strongroom accounts secret prints it."
                }
            }
            .to_owned(),
        );
        if token.signs_in_by_itself() {
            lines.push(
                "What is secret is for the owner of its file alone: see that the application's user is that, or may read it."
                    .to_owned(),
            );
        }
        if let Some((module, planned)) = planned {
            lines.push(format!(
                "p11-kit knows the module {} by {}.",
                module.display(),
                planned.file.display()
            ));
            if !self.place.system && rustix::process::geteuid().is_root() {
                lines.push(
                    "p11-kit leaves out a user's modules in programs that run as root: for those, give --system."
                        .to_owned(),
                );
            }
        }
        if !self.is_found(file) {
            lines.push(format!(
                "Applications find this file by STRONGROOM_PKCS11_CONFIG={0} in their environment, or by the reserved string config={0}.",
                file.display()
            ));
        }
        let options = if self.is_found(file) {
            String::new()
        } else {
            format!(" --config {}", file.display())
        };
        lines.push(format!(
            "See that all is well: strongroom pkcs11 doctor{options}"
        ));
        let module = planned.map(|(module, _)| module.clone());
        let module = module.or_else(p11_kit::find_module);
        let module = module.unwrap_or_else(|| p11_kit::LIBRARY.into());
        lines.push(format!(
            "What applications see: pkcs11-tool --module {} -L{}",
            module.display(),
            if planned.is_some() {
                ", and p11-kit list-modules"
            } else {
                ""
            }
        ));
        lines.join("\n")
    }

    /// Whether this user's applications find the file by themselves.
    fn is_found(&self, file: &Path) -> bool {
        self.place.output.is_none()
            || Found::places().iter().any(|found| {
                matches!(found.place, Place::User | Place::System) && found.path == file
            })
    }
}

impl Where {
    fn file(&self) -> Result<PathBuf, Failure> {
        if self.system {
            return Ok(pkcs11::SYSTEM.into());
        }
        if let Some(output) = absolute(self.output.as_deref())? {
            return Ok(output);
        }
        let mut places = Found::places().into_iter();
        let users = places.find(|found| found.place == Place::User);
        users.map(|found| found.path).ok_or_else(|| {
            Failure::Usage(
                "there is no home folder for the configuration: give a file with --output, or --system"
                    .to_owned(),
            )
        })
    }
}

impl Registration {
    /// The module, and the module file to write for it.
    fn plan(
        &self,
        place: &Where,
        config: &Path,
        replace: bool,
    ) -> Result<Option<(PathBuf, Planned)>, Failure> {
        if self.no_p11_kit {
            return Ok(None);
        }
        let module = match absolute(self.module.as_deref())? {
            Some(module) if module.is_file() => module,
            Some(module) => {
                return Err(Failure::Failed(format!(
                    "there is no module at {}",
                    module.display()
                )));
            }
            None => p11_kit::find_module().ok_or_else(|| {
                Failure::Failed(format!(
                    "{} is neither beside this program nor in the usual folders: say where it is with --module, or give --no-p11-kit",
                    p11_kit::LIBRARY
                ))
            })?,
        };
        let folder = p11_kit::folder(place.system).ok_or_else(|| {
            Failure::Usage(
                "there is no home folder for p11-kit's module file: give --system or --no-p11-kit"
                    .to_owned(),
            )
        })?;
        let config = place.output.is_some().then_some(config);
        let planned = Planned::new(&folder, &module, config, replace)?;
        Ok(Some((module, planned)))
    }
}

/// A token's label, if it can be one.
fn label(text: &str) -> Result<String, String> {
    if text.trim().is_empty() || text.len() > LONGEST_LABEL || text.chars().any(char::is_control) {
        return Err(format!(
            "a token's name has 1 to {LONGEST_LABEL} bytes: give one with --label"
        ));
    }
    Ok(text.trim().to_owned())
}

fn absolute(path: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    let absolute = |path| {
        std::path::absolute(path)
            .map_err(|error| Failure::local("a path given is of no use", &error))
    };
    path.map(absolute).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_as_long_as_applications_see_them() {
        assert_eq!(label(" web "), Ok("web".to_owned()));
        assert_eq!(label(&"x".repeat(32)), Ok("x".repeat(32)));
        for text in ["", "  ", "a\nb", &"x".repeat(33)] {
            assert!(label(text).is_err(), "{text:?}");
        }
    }
}
