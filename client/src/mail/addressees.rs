//! Whom a message is for, and the message without the fields that name those in Bcc.

use mail_parser::{Address, Message, MessageParser};
use zeroize::Zeroizing;

use super::MailError;

/// The fields that name addressees of whom the others do not learn, and the copies that their programs keep.
const HIDDEN_FIELDS: [&str; 5] = ["bcc", "resent-bcc", "x-bcc", "fcc", "x-fcc"];

/// Whom a message is from and for. Every address stands in one place only, the most visible.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Addressees {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) cc: Vec<String>,
    pub(super) hidden: Vec<String>,
    /// The seconds since 1970 that its field Date names.
    pub(super) date: Option<i64>,
    /// Whether lines end in LF alone.
    pub(super) bare_lines: bool,
}

impl Addressees {
    /// Those of a message, and the message without the fields that name the hidden ones.
    pub(super) fn of(message: &[u8]) -> Result<(Self, Zeroizing<Vec<u8>>), MailError> {
        let parsed = header_of(message).ok_or(MailError::NotMail)?;
        let from = match addresses(parsed.from().into_iter())?.as_slice() {
            [from] => from.clone(),
            _ => return Err(MailError::NoSender),
        };
        let mut this = Self {
            from,
            date: parsed.date().map(mail_parser::DateTime::to_timestamp),
            bare_lines: !head(message).windows(2).any(|pair| pair == b"\r\n"),
            ..Self::default()
        };
        this.to = this.new_ones(addresses(parsed.all_to())?);
        this.cc = this.new_ones(addresses(parsed.all_cc())?);
        let resent = parsed
            .header_values("Resent-Bcc")
            .filter_map(|value| value.as_address());
        this.add_hidden(&addresses(parsed.all_bcc().chain(resent))?)?;

        let stripped = without_hidden_fields(message);
        // What another reader takes for such a field would name them all the same.
        let left = header_of(&stripped).ok_or(MailError::NotMail)?;
        if left.bcc().is_some() || left.resent_bcc().is_some() {
            return Err(MailError::NotMail);
        }
        Ok((this, stripped))
    }

    /// Adds addresses that stand in neither To nor Cc.
    pub(super) fn add_hidden(&mut self, addresses: &[String]) -> Result<(), MailError> {
        let checked = addresses.iter().map(|address| check(address));
        let checked = checked.collect::<Result<Vec<_>, _>>()?;
        let new = self.new_ones(checked);
        self.hidden.extend(new);
        Ok(())
    }

    /// Those in To and Cc.
    pub(super) fn visible(&self) -> impl Iterator<Item = &String> {
        self.to.iter().chain(&self.cc)
    }

    /// Those that are not among the addressees yet, each once.
    fn new_ones(&self, addresses: Vec<String>) -> Vec<String> {
        let mut new: Vec<String> = Vec::with_capacity(addresses.len());
        for address in addresses {
            let is_known = self
                .visible()
                .chain(&self.hidden)
                .chain(&new)
                .any(|other| other.eq_ignore_ascii_case(&address));
            if !is_known {
                new.push(address);
            }
        }
        new
    }
}

/// The one address that a message says it is from.
pub(super) fn sender(message: &[u8]) -> Option<String> {
    let parsed = header_of(message)?;
    match addresses(parsed.from().into_iter()).ok()?.as_slice() {
        [from] => Some(from.clone()),
        _ => None,
    }
}

/// The header of a message alone: nothing in its body has a say about its addressees.
fn header_of(message: &[u8]) -> Option<Message<'_>> {
    MessageParser::default().parse_headers(head(message))
}

fn addresses<'a>(fields: impl Iterator<Item = &'a Address<'a>>) -> Result<Vec<String>, MailError> {
    let mailboxes = fields.flat_map(Address::iter);
    mailboxes
        .map(|mailbox| match mailbox.address() {
            Some(address) => check(address),
            None => Err(MailError::Address(
                mailbox.name().unwrap_or_default().to_owned(),
            )),
        })
        .collect()
}

/// The address, if an account can be called so and it can stand in a field without quoting.
fn check(address: &str) -> Result<String, MailError> {
    let address = address.trim();
    let is_plain = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"()<>[]:;@\\,\"".contains(&byte))
    };
    match address.rsplit_once('@') {
        Some((local, domain)) if is_plain(local) && is_plain(domain) => Ok(address.to_owned()),
        _ => Err(MailError::Address(address.to_owned())),
    }
}

/// The header with the empty line after it.
fn head(message: &[u8]) -> &[u8] {
    let mut length = 0;
    for line in message.split_inclusive(|byte| *byte == b'\n') {
        length += line.len();
        if matches!(line, b"\n" | b"\r\n") {
            break;
        }
    }
    &message[..length]
}

fn without_hidden_fields(message: &[u8]) -> Zeroizing<Vec<u8>> {
    let head = head(message);
    let mut kept = Zeroizing::new(Vec::with_capacity(message.len()));
    let mut hidden = false;
    for line in head.split_inclusive(|byte| *byte == b'\n') {
        // A line that begins with space goes on with the field before it (RFC 5322 section 2.2.3).
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            let name = String::from_utf8_lossy(name.trim_ascii()).to_ascii_lowercase();
            hidden = HIDDEN_FIELDS.contains(&name.as_str());
        }
        if !hidden {
            kept.extend_from_slice(line);
        }
    }
    kept.extend_from_slice(&message[head.len()..]);
    kept
}
