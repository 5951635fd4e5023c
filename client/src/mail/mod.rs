//! Mail: a message as a mail program writes it (RFC 5322, RFC 2045) becomes one whose body and attachments are sealed for exactly its addressees, and back.
//!
//! | module | what lives there |
//! |---|---|
//! | `addressees` | whom a message is for, and the message without the fields that name those in Bcc |
//! | `outside` | the message that carries a sealed one: what relays and mail programs see |
//!
//! The whole message is sealed, header and all, as one [message](crate::message) of the type `message/rfc822`; it comes out byte for byte as it went in, but for
//! its Bcc fields. Around it stands a message that anybody can read, with what delivery takes and nothing more: bare addresses, the moment, a new
//! identifier, and the subject `[...]` (as the policy `hcp_shy` of RFC 9788, but for the fields that it leaves alone: they are left out as well).
//!
//! Who has a key sees all its recipients, and an envelope names them. So whoever stands in Bcc gets a message and a key of their own: nothing that
//! anybody else gets, or sees at the appliance, has their address in it.
//!
//! ```no_run
//! # fn run(session: &strongroom_client::Session, written: &[u8]) -> Result<(), strongroom_client::ClientError> {
//! use strongroom_client::mail::{self, Mail, Sealing};
//!
//! for sealed in Mail::parse(written)?.seal(session, &Sealing::default())? {
//!     println!("for {}: {} bytes", sealed.to.join(", "), sealed.bytes.len()); // hand it to the relay, for these and nobody else
//! }
//!
//! # let received = written;
//! let opened = mail::open(session, received)?; // as one of them
//! if !opened.is_from_its_sealer() {
//!     println!("It was sealed by {}, whoever it says it is from.", opened.sealer);
//! }
//! # Ok(())
//! # }
//! ```

mod addressees;
mod outside;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use strongroom_wire::key::{Key, UsagePolicy};
use zeroize::Zeroizing;

use crate::api::Call;
use crate::message::{MessageHeader, Outgoing};
use crate::requester::account_name;
use crate::{ClientError, Metadata, Protect};
use addressees::Addressees;

/// The media type of what is sealed (RFC 2046 section 5.2.1).
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, received: &[u8]) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::{mail, Protect};
///
/// let opened = session.open_message(received)?;
/// if opened.header.content_type.as_deref() == Some(mail::CONTENT_TYPE) {
///     println!("This is mail.");
/// }
/// # Ok(())
/// # }
/// ```
pub const CONTENT_TYPE: &str = "message/rfc822";

/// Why a message cannot be sealed or opened, as far as that is for its form.
///
/// ```
/// use strongroom_client::mail::{Mail, MailError};
///
/// let error = Mail::parse(b"From: alice@example.com, bob@example.com\n\nHello").err();
/// assert_eq!(error, Some(MailError::NoSender));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// It has no header, or one that cannot be told apart into fields.
    #[error("this is not a message in the format of mail")]
    NotMail,
    /// It has no sender, or several.
    #[error("the message has no sender, or several")]
    NoSender,
    /// An address in To, Cc, Bcc or From has no mailbox in it, or characters that an account's name cannot have.
    #[error("the message has an address that no account can have: {0:?}")]
    Address(String),
    /// It is for nobody.
    #[error("the message is for nobody: it has no address in To, Cc or Bcc")]
    NoAddressee,
    /// It holds nothing that was sealed.
    #[error("nothing in this message is sealed")]
    NotSealed,
    /// What it holds was sealed, and is no mail.
    #[error("what is sealed in this message is not mail")]
    SealedOther,
}

/// A message that is to be sealed. It has no Bcc field any more.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::mail::Mail;
///
/// let mail = Mail::parse(b"From: alice@example.com\r\nTo: bob@example.com\r\nBcc: carol@example.com\r\n\r\nHello\r\n")?;
/// assert_eq!(mail.from(), "alice@example.com");
/// assert_eq!(mail.visible(), ["bob@example.com"]);
/// assert_eq!(mail.hidden(), ["carol@example.com"]);
/// # Ok(())
/// # }
/// ```
pub struct Mail {
    bytes: Zeroizing<Vec<u8>>,
    addressees: Addressees,
    /// Those in To and Cc whom it is sealed for.
    visible: Vec<String>,
}

/// How a message is sealed.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, written: &[u8]) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::mail::{Mail, Sealing};
/// use strongroom_wire::key::UsagePolicy;
///
/// let once = Sealing {
///     policy: UsagePolicy { max_releases: Some(1), ..UsagePolicy::default() },
///     ..Sealing::default()
/// };
/// let sealed = Mail::parse(written)?.seal(session, &once)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sealing {
    /// When and how often it may be opened.
    pub policy: UsagePolicy,
    /// The accounts of addresses that are not called as their accounts are.
    pub accounts: BTreeMap<String, String>,
}

/// A message to be handed to the relay.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, written: &[u8]) -> Result<(), strongroom_client::ClientError> {
/// # fn relay(_: &[String], _: &[u8]) {}
/// use strongroom_client::mail::{Mail, Sealing};
///
/// for sealed in Mail::parse(written)?.seal(session, &Sealing::default())? {
///     relay(&sealed.to, &sealed.bytes);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SealedMail {
    /// The addresses that it is for, and no others: the recipients of the SMTP envelope.
    pub to: Vec<String>,
    /// Whether it is one addressee's copy who stands in Bcc.
    pub hidden: bool,
    /// The message.
    pub bytes: Vec<u8>,
    /// Its key, as the appliance has it.
    pub key: Key,
}

/// A message that was opened.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, received: &[u8]) -> Result<(), strongroom_client::ClientError> {
/// let opened = strongroom_client::mail::open(session, received)?;
/// println!("{} bytes, sealed by {}", opened.bytes.len(), opened.sealer);
/// # Ok(())
/// # }
/// ```
pub struct OpenedMail {
    /// The message, byte for byte as it was sealed.
    pub bytes: Zeroizing<Vec<u8>>,
    /// The name of the account that sealed it, as the appliance has it.
    pub sealer: String,
    /// What the envelope says: authentic.
    pub header: MessageHeader,
    /// The index of the audit leaf of the key's release.
    pub leaf: u64,
    from: Option<String>,
}

impl Mail {
    /// Reads a message: with lines that end in CR LF, or in LF as programs pass them on.
    ///
    /// ```
    /// use strongroom_client::mail::Mail;
    ///
    /// assert!(Mail::parse(b"From: alice@example.com\nTo: bob@example.com\n\nHello").is_ok());
    /// assert!(Mail::parse(b"Dear Bob,").is_err());
    /// ```
    ///
    /// # Errors
    /// [`MailError`], when it is none, has no one sender, or names an address that no account can have.
    pub fn parse(message: &[u8]) -> Result<Self, MailError> {
        let (addressees, bytes) = Addressees::of(message)?;
        Ok(Self {
            visible: addressees.visible().cloned().collect(),
            bytes,
            addressees,
        })
    }

    /// The same, for these addresses too, such as those that a mail program names beside the message. Whoever does not stand in To or Cc is
    /// treated as one in Bcc.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::mail::Mail;
    ///
    /// let mail = Mail::parse(b"From: alice@example.com\nTo: bob@example.com\n\nHello")?;
    /// let mail = mail.and_for(&["archive@example.com".to_owned()])?;
    /// assert_eq!(mail.hidden(), ["archive@example.com"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`MailError::Address`].
    pub fn and_for(mut self, addresses: &[String]) -> Result<Self, MailError> {
        self.addressees.add_hidden(addresses)?;
        Ok(self)
    }

    /// The same, for these addresses and no others, whatever its fields say. Whoever does not stand in To or Cc is treated as one in Bcc.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::mail::Mail;
    ///
    /// let mail = Mail::parse(b"From: alice@example.com\nTo: bob@example.com, carol@elsewhere.example\n\nHello")?;
    /// let mail = mail.only_for(&["bob@example.com".to_owned()])?;
    /// assert_eq!(mail.visible(), ["bob@example.com"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`MailError::Address`].
    pub fn only_for(mut self, addresses: &[String]) -> Result<Self, MailError> {
        self.addressees.hidden.clear();
        self.addressees.add_hidden(addresses)?;
        self.visible.retain(|visible| {
            let mut wanted = addresses.iter().map(|address| address.trim());
            wanted.any(|wanted| wanted.eq_ignore_ascii_case(visible))
        });
        Ok(self)
    }

    /// The address that it says it is from.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::mail::Mail;
    ///
    /// let mail = Mail::parse(b"From: Alice <alice@example.com>\nTo: bob@example.com\n\nHello")?;
    /// assert_eq!(mail.from(), "alice@example.com");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from(&self) -> &str {
        &self.addressees.from
    }

    /// The addresses in To and Cc that it is sealed for.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::mail::Mail;
    ///
    /// let mail = Mail::parse(b"From: alice@example.com\nTo: bob@example.com\nCc: carol@example.com\n\nHello")?;
    /// assert_eq!(mail.visible(), ["bob@example.com", "carol@example.com"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn visible(&self) -> &[String] {
        &self.visible
    }

    /// The addresses of those of whom the others do not learn.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::mail::Mail;
    ///
    /// let mail = Mail::parse(b"From: alice@example.com\nTo: bob@example.com\nBcc: carol@example.com\n\nHello")?;
    /// assert_eq!(mail.hidden(), ["carol@example.com"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn hidden(&self) -> &[String] {
        &self.addressees.hidden
    }

    /// Seals it: one message for those in To and Cc, if there are any, and then one for each in Bcc. Either all are made or none.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, written: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::mail::{Mail, Sealing};
    ///
    /// for sealed in Mail::parse(written)?.seal(session, &Sealing::default())? {
    ///     println!("for {}: {} bytes", sealed.to.join(", "), sealed.bytes.len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Mail`] when it is for nobody; [`ClientError::Refused`] when an addressee has no account; else as [`Protect::seal_message`].
    pub fn seal(
        &self,
        sealer: &impl Protect,
        sealing: &Sealing,
    ) -> Result<Vec<SealedMail>, ClientError> {
        let mut parties = Vec::new();
        if !self.visible.is_empty() {
            parties.push((self.visible.clone(), false));
        }
        let hidden = self.hidden().iter();
        parties.extend(hidden.map(|address| (vec![address.clone()], true)));
        if parties.is_empty() {
            return Err(MailError::NoAddressee.into());
        }
        // The label is no secret to the appliance and its officers: it says nothing of the message.
        let metadata = Metadata::new("mail")
            .of_type(CONTENT_TYPE)
            .under(sealing.policy.clone());
        let accounts: Vec<Vec<String>> = parties
            .iter()
            .map(|(party, _)| party.iter().map(|name| sealing.account(name)).collect())
            .collect();
        let accounts: Vec<Vec<&str>> = accounts
            .iter()
            .map(|names| names.iter().map(String::as_str).collect())
            .collect();
        let outgoing: Vec<_> = accounts
            .iter()
            .map(|recipients| Outgoing {
                plaintext: &self.bytes,
                recipients,
                metadata: &metadata,
            })
            .collect();
        let id = outside::new_id(self.from())?;
        let sealed = sealer.seal_messages(&outgoing)?;
        Ok(sealed
            .into_iter()
            .zip(parties)
            .map(|(sealed, (to, hidden))| SealedMail {
                to,
                hidden,
                bytes: outside::wrap(&self.addressees, &id, &sealed.bytes),
                key: sealed.key,
            })
            .collect())
    }
}

impl Sealing {
    /// The same, where this address has an account of this name.
    ///
    /// ```
    /// use strongroom_client::mail::Sealing;
    ///
    /// let sealing = Sealing::default().with_account("info@example.com", "reception@example.com");
    /// assert_eq!(sealing.account("Info@example.com"), "reception@example.com");
    /// ```
    #[must_use]
    pub fn with_account(mut self, address: &str, account: &str) -> Self {
        let (address, account) = (account_name(address), account_name(account));
        self.accounts.insert(address, account);
        self
    }

    /// The name of an address' account.
    ///
    /// ```
    /// use strongroom_client::mail::Sealing;
    ///
    /// assert_eq!(Sealing::default().account("Bob@example.com"), "bob@example.com");
    /// ```
    #[must_use]
    pub fn account(&self, address: &str) -> String {
        let address = account_name(address);
        self.accounts.get(&address).cloned().unwrap_or(address)
    }
}

/// The envelope that a message carries, which [`Envelope::parse`](crate::message::Envelope::parse) reads: nothing of it is authentic until it is
/// opened.
///
/// ```
/// use strongroom_client::mail::{self, MailError};
///
/// let plain = b"From: alice@example.com\n\nHello";
/// assert_eq!(mail::sealed_part(plain), Err(MailError::NotSealed));
/// ```
///
/// # Errors
/// [`MailError::NotMail`] and [`MailError::NotSealed`].
pub fn sealed_part(message: &[u8]) -> Result<Vec<u8>, MailError> {
    outside::unwrap(message)
}

/// Opens what is sealed in a message. Its sealed part alone, as mail programs save or pass on attachments, does as well.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), Box<dyn std::error::Error>> {
/// let opened = strongroom_client::mail::open(session, &std::fs::read("received.eml")?)?;
/// std::fs::write("opened.eml", &*opened.bytes)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::Mail`] when nothing in it is sealed, or no mail is; [`ClientError::Refused`] when the appliance does not release the key, with the
/// reason; else as [`Protect::open_message`].
pub fn open(opener: &impl Protect, message: &[u8]) -> Result<OpenedMail, ClientError> {
    let envelope = sealed_part(message)?;
    let opened = opener.open_message(&envelope)?;
    if opened.header.content_type.as_deref() != Some(CONTENT_TYPE) {
        return Err(MailError::SealedOther.into());
    }
    let call = Call::get(format!("/v1/keys/{}", opened.header.key));
    let (key, _) = opener.request::<Key>(&call)?;
    Ok(OpenedMail {
        from: addressees::sender(&opened.plaintext),
        bytes: opened.plaintext,
        sealer: key.sender,
        header: opened.header,
        leaf: opened.leaf,
    })
}

impl OpenedMail {
    /// The address that it says it is from. Whoever sealed it could write there what they liked.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, received: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// let opened = strongroom_client::mail::open(session, received)?;
    /// println!("from {}", opened.from().unwrap_or("nobody"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn from(&self) -> Option<&str> {
        self.from.as_deref()
    }

    /// Whether the address that it says it is from is the name of the account that sealed it.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, received: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// let opened = strongroom_client::mail::open(session, received)?;
    /// if !opened.is_from_its_sealer() {
    ///     println!("It was sealed by {}, whoever it says it is from.", opened.sealer);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_from_its_sealer(&self) -> bool {
        let from = self.from.as_deref().map(account_name);
        from.is_some_and(|from| from == self.sealer)
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mail(hidden)")
    }
}

impl std::fmt::Debug for OpenedMail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedMail")
            .field("sealer", &self.sealer)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}
