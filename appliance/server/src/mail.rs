//! Mail to account holders, through the site's SMTP relay.
//!
//! The keystore keeps what is to be sent; here it gets its words and goes to the relay. Nothing of it is logged but that it was sent.

use std::error::Error as StdError;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use lettre::address::AddressError;
use lettre::message::header::ContentType;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{Address, Message, SmtpTransport, Transport as _, message::Mailbox};
use strongroom_keystore::{CredentialChange, Keystore, Mail, MailContent};
use strongroom_wire::encoding::Timestamp;
use zeroize::Zeroizing;

use crate::config::{self, Config, MailTls};

/// How long the relay may take for each step.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How many pieces of mail are sent in a row.
const BATCH: u32 = 50;

/// Sends mail.
pub(crate) struct Mailer {
    transport: SmtpTransport,
    from: Mailbox,
    /// How the appliance calls itself.
    name: String,
    /// Where its clients reach it.
    address: String,
}

/// Why no mail can be sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    /// A file of the configuration cannot be read.
    #[error("{path} cannot be read: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The sender's address is none.
    #[error("mail.from is no e-mail address: {0}")]
    From(#[from] AddressError),
    /// The relay's authorities are of no use.
    #[error("the certificates in mail.ca cannot be used: {0}")]
    Authorities(lettre::transport::smtp::Error),
}

impl Mailer {
    /// The site's relay, if the configuration names one.
    pub(crate) fn new(config: &Config) -> Result<Option<Self>, MailError> {
        let settings = &config.mail;
        if settings.relay.is_empty() {
            return Ok(None);
        }
        let mut transport = SmtpTransport::builder_dangerous(&settings.relay)
            .port(settings.port.get())
            .timeout(Some(TIMEOUT))
            .hello_name(ClientId::Domain(config.name.clone()))
            .tls(tls(settings)?);
        if !settings.user.is_empty() {
            let password = read(&settings.password_file)?;
            transport = transport.credentials(Credentials::new(
                settings.user.clone(),
                password.trim_end_matches(['\r', '\n']).to_owned(),
            ));
        }
        Ok(Some(Self {
            transport: transport.build(),
            from: Mailbox::new(Some("Strongroom".to_owned()), settings.from.parse()?),
            name: config.name.clone(),
            address: format!("https://{}:{}", config.name, config.listen.client.port()),
        }))
    }

    /// Sends what is due; where it comes from another domain than the first, that is named.
    pub(crate) fn send_due(
        &self,
        keystore: &Keystore,
        domain: Option<&str>,
    ) -> Result<(), strongroom_keystore::Error> {
        for mail in keystore.due_mail(BATCH)? {
            match self.send(&mail, domain) {
                Ok(()) => {
                    keystore.mail_sent(mail.id)?;
                    tracing::info!(mail = %mail.id, "mail was handed to the relay");
                }
                Err(Unsent { for_good, reason }) => {
                    tracing::warn!(mail = %mail.id, reason, for_good, "mail was not sent");
                    keystore.mail_failed(mail.id, for_good)?;
                }
            }
        }
        Ok(())
    }

    fn send(&self, mail: &Mail, domain: Option<&str>) -> Result<(), Unsent> {
        let to: Address = mail
            .to
            .parse()
            .map_err(|_| Unsent::for_good("no address"))?;
        let (subject, text) = self.words(&mail.content, domain);
        let message = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .header(ContentType::TEXT_PLAIN)
            .body(text)
            .map_err(|_| Unsent::for_good("it cannot be written as a message"))?;
        // What the relay says can quote the address, so that only the kind of failure is told.
        self.transport.send(&message).map(drop).map_err(|error| {
            if error.is_permanent() {
                Unsent::for_good("the relay refuses it")
            } else if error.is_transient() {
                Unsent::later("the relay does not take it now")
            } else if error.is_tls() || is_tls(&error) {
                Unsent::later("the relay cannot prove who it is")
            } else {
                Unsent::later("the relay cannot be reached")
            }
        })
    }

    /// Subject and text.
    fn words(&self, content: &MailContent, domain: Option<&str>) -> (String, String) {
        let name = &self.name;
        let in_domain = domain.map(|domain| format!(" --domain {domain}"));
        let in_domain = in_domain.unwrap_or_default();
        match content {
            MailContent::Invitation { by, code, expires } => (
                format!("{by} wants to share keys with you"),
                format!(
                    "{by} wants to share keys with you, which are kept in the Strongroom appliance {name}.\n\
                     \n\
                     To use them, enrol with this one-time code, which is good until {}:\n\
                     \n\
                     \x20   {code}\n\
                     \n\
                     At the command line: strongroom enrol YOUR-ADDRESS --server {} --ca FILE{in_domain}\n\
                     where FILE holds the certificate that the people who run the appliance give you.\n\
                     \n\
                     Whoever has the code can enrol in your place: do not pass it on. If you do not know {by}, do nothing.\n",
                    readable(*expires),
                    self.address,
                ),
            ),
            MailContent::Account {
                account,
                by,
                code,
                expires,
            } => (
                format!("Your account at {name}"),
                format!(
                    "The directory {by} has made an account for you at the Strongroom appliance {name}: {account}.\n\
                     \n\
                     Enrol with this one-time code, which is good until {}:\n\
                     \n\
                     \x20   {code}\n\
                     \n\
                     At the command line: strongroom enrol {account} --server {} --ca FILE\n\
                     where FILE holds the certificate that the people who run the appliance give you.\n\
                     \n\
                     Whoever has the code can enrol in your place: do not pass it on.\n",
                    readable(*expires),
                    self.address,
                ),
            ),
            MailContent::RecoveryStarted {
                account,
                by,
                effective,
            } => (
                format!("A recovery of your account at {name} was started"),
                format!(
                    "{by} has started a recovery of the account {account} at the Strongroom appliance {name}.\n\
                     It can be finished from {} on: the account then gets a new password.\n\
                     \n\
                     If you have lost your password, this is as it should be. If you have not, cancel it now:\n\
                     \n\
                     \x20   strongroom recovery cancel\n",
                    readable(*effective),
                ),
            ),
            MailContent::RecoveryApproved {
                account,
                by,
                effective,
            } => (
                format!("The recovery of your account at {name} was approved"),
                format!(
                    "{by} has approved the recovery of the account {account} at the Strongroom appliance {name}.\n\
                     It can be finished from {} on: the account then gets a new password.\n\
                     \n\
                     If you did not ask for it, cancel it now:\n\
                     \n\
                     \x20   strongroom recovery cancel\n",
                    readable(*effective),
                ),
            ),
            MailContent::RecoveryFinished { account } => (
                format!("Your account at {name} has a new password"),
                format!(
                    "The recovery of the account {account} at the Strongroom appliance {name} was finished.\n\
                     It has a new password; its second factors are removed and its sessions are ended.\n\
                     \n\
                     If that was not you, have an administrator suspend the account at once.\n",
                ),
            ),
            MailContent::CredentialChanged {
                account,
                change,
                time,
                source,
            } => changed(name, account, change, *time, *source),
            MailContent::Disclosure { account, reference } => (
                format!("Keys of yours at {name} were disclosed"),
                format!(
                    "Under the order {reference}, keys of the account {account} at the Strongroom appliance {name} were disclosed to an authority.\n\
                     \n\
                     Sign in to see which, when and on what ground: strongroom notifications\n",
                ),
            ),
        }
    }
}

/// Why mail was not sent, for the log.
struct Unsent {
    for_good: bool,
    reason: &'static str,
}

impl Unsent {
    const fn for_good(reason: &'static str) -> Self {
        Self {
            for_good: true,
            reason,
        }
    }

    const fn later(reason: &'static str) -> Self {
        Self {
            for_good: false,
            reason,
        }
    }
}

/// Whether TLS failed: the handshake takes place while the relay's greeting is read, so that the error can be one of reading.
fn is_tls(error: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        next = match error.downcast_ref::<io::Error>().map(io::Error::get_ref) {
            Some(Some(inner)) => Some(inner),
            _ => error.source(),
        };
    }
    false
}

fn tls(settings: &config::Mail) -> Result<Tls, MailError> {
    if settings.tls == MailTls::None {
        return Ok(Tls::None);
    }
    let pem = read(&settings.ca)?;
    let authorities = Certificate::from_pem(pem.as_bytes()).map_err(MailError::Authorities)?;
    let parameters = TlsParameters::builder(settings.relay.clone())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(authorities)
        .build_rustls()
        .map_err(MailError::Authorities)?;
    Ok(match settings.tls {
        MailTls::Tls => Tls::Wrapper(parameters),
        _ => Tls::Required(parameters),
    })
}

fn read(path: &PathBuf) -> Result<Zeroizing<String>, MailError> {
    fs::read_to_string(path)
        .map(Zeroizing::new)
        .map_err(|source| MailError::File {
            path: path.clone(),
            source,
        })
}

/// To the minute.
/// Subject and text of mail about a changed credential.
fn changed(
    name: &str,
    account: &str,
    change: &CredentialChange,
    time: Timestamp,
    source: IpAddr,
) -> (String, String) {
    let subject = format!("A way to sign in to your account at {name} has changed");
    let text = format!(
        "Account: {account}, at the Strongroom appliance {name}\n\
         Changed: {}\n\
         When: {}, from {source}\n\
         \n\
         If that was you, there is nothing to do. If it was not, have an administrator suspend the account at once: whoever did it can open your keys.\n",
        what_changed(change),
        readable(time),
    );
    (subject, text)
}

fn what_changed(change: &CredentialChange) -> String {
    match change {
        CredentialChange::Password => "there is a new password".to_owned(),
        CredentialChange::TotpAdded => "an authenticator app was added".to_owned(),
        CredentialChange::PasskeyAdded(name) => format!("the passkey {name:?} was added"),
        CredentialChange::RecoveryCodes => {
            "there are new recovery codes, and those before are void".to_owned()
        }
        CredentialChange::Removed(what) => match what.as_str() {
            "password" => "the password was removed".to_owned(),
            "totp" => "the authenticator app was removed".to_owned(),
            "recovery-codes" => "the recovery codes were removed".to_owned(),
            _ => "a passkey was removed".to_owned(),
        },
        CredentialChange::Linked(issuer) => {
            format!("whoever signs in at {issuer} as you signs in here")
        }
        CredentialChange::Unlinked(issuer) => {
            format!("the link with your identity at {issuer} was removed")
        }
    }
}

fn readable(time: Timestamp) -> String {
    let text = time.to_string();
    let (date, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{date} {} UTC", time.get(..5).unwrap_or_default())
}
