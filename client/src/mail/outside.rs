//! The message that carries a sealed one: what relays, mail programs and whoever holds a copy can read.

use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::MimePart;
use mail_parser::{MessageParser, MimeHeaders as _};

use super::MailError;
use super::addressees::Addressees;
use crate::ClientError;

/// What stands for the subject (RFC 9788 section 3.1.1).
const SUBJECT: &str = "[...]";
/// The sealed message's name as an attachment.
const FILE_NAME: &str = "message.sealed";
/// How every envelope begins, and no message: the CBOR tag 16 (RFC 9052 section 5.2).
const TAG: u8 = 0xd0;
/// What a person reads whose mail program does not open it.
const NOTICE: &str = "This message is sealed: its text and its attachments can be read by those it is for, and by nobody else.\r\n\
    To read it, pass the whole message to the command\r\n\r\n    strongroom mail open\r\n";

/// A new identifier for a message from this address, with nothing of the device in it.
pub(super) fn new_id(from: &str) -> Result<String, ClientError> {
    let mut random = [0; 16];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| ClientError::Library)?;
    let (_, domain) = from.rsplit_once('@').unwrap_or(("", "localhost"));
    Ok(format!("{}@{domain}", hex::encode(random)))
}

/// The message that carries this envelope.
pub(super) fn wrap(addressees: &Addressees, id: &str, envelope: &[u8]) -> Vec<u8> {
    let list = |addresses: &[String]| {
        let addresses = addresses.iter().cloned().map(Address::from);
        Address::new_list(addresses.collect())
    };
    let mut message = MessageBuilder::new()
        .from(addressees.from.clone())
        .subject(SUBJECT)
        .message_id(id.to_owned());
    // Without one it is the present moment. Always in UTC: the zone tells where somebody is.
    if let Some(date) = addressees.date {
        message = message.date(date);
    }
    message = if addressees.to.is_empty() && addressees.cc.is_empty() {
        message.to(Address::new_group(
            Some("undisclosed-recipients"),
            Vec::new(),
        ))
    } else {
        message
    };
    if !addressees.to.is_empty() {
        message = message.to(list(&addressees.to));
    }
    if !addressees.cc.is_empty() {
        message = message.cc(list(&addressees.cc));
    }
    let sealed = ContentType::new("application/cose").attribute("cose-type", "cose-encrypt0");
    let parts = vec![
        MimePart::new("text/plain", NOTICE),
        MimePart::new(sealed, envelope).attachment(FILE_NAME),
    ];
    // One of our own: what the library makes up tells this device's clock to the nanosecond. No part has a line that begins with two hyphens.
    let (boundary, _) = id.split_once('@').unwrap_or((id, ""));
    let mixed = ContentType::new("multipart/mixed").attribute("boundary", boundary);
    let message = message.body(MimePart::new(mixed, parts));
    let mut bytes = Vec::new();
    message.serialize(&mut bytes);
    if addressees.bare_lines {
        bytes.retain(|byte| *byte != b'\r');
    }
    bytes
}

/// The envelope that a message carries: in any of its parts, since lists add parts of their own. An envelope that was taken out of its message
/// is one by itself.
pub(super) fn unwrap(message: &[u8]) -> Result<Vec<u8>, MailError> {
    if message.first() == Some(&TAG) {
        return Ok(message.to_vec());
    }
    let parsed = MessageParser::default()
        .parse(message)
        .ok_or(MailError::NotMail)?;
    let sealed = parsed.parts.iter().find(|part| {
        part.content_type().is_some_and(|kind| {
            kind.ctype().eq_ignore_ascii_case("application")
                && kind
                    .subtype()
                    .is_some_and(|subtype| subtype.eq_ignore_ascii_case("cose"))
        })
    });
    sealed
        .map(|part| part.contents().to_vec())
        .ok_or(MailError::NotSealed)
}
