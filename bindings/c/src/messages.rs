//! Messages.

use std::ffi::c_char;
use std::ptr;

use strongroom_client::message::{MessageHeader, Outgoing};
use strongroom_client::{Metadata, Protect as _};
use strongroom_wire::key::UsagePolicy;

use crate::client::{sr_session, with};
use crate::error::{sr_error, sr_kind};
use crate::ffi::{self, Out, Outcome, entry, invalid, names, optional, shared, values};
use crate::values::{hand_out, sr_bytes, sr_slice, take_back};

/// What people know a message or an object by, and when it may be opened. All of it may be NULL.
#[repr(C)]
pub struct sr_metadata {
    /// The key's name for people, such as the message's subject. Kept by the appliance.
    pub label: *const c_char,
    /// The media type of the content, such as `text/plain`. Stands unencrypted beside it.
    pub content_type: *const c_char,
    /// The usage policy of its key, as the JSON object UsagePolicy of the appliance's API: `{"keep_for": 3600}`.
    pub policy: *const c_char,
}

/// What a message says of itself. Authentic. Freed with sr_message_header_free.
#[repr(C)]
pub struct sr_message_header {
    /// The identifier of the key that seals it.
    pub key: *mut c_char,
    /// The version of the key, from 1.
    pub key_version: u32,
    /// The origin of the appliance that keeps the key.
    pub server: *mut c_char,
    /// The media type of the content, or NULL.
    pub content_type: *mut c_char,
    /// The identifier of the account that sent it.
    pub sender: *mut c_char,
    /// The names of the accounts it was sent to, separated by line feeds.
    pub recipients: *mut c_char,
    /// When it was sealed, by the appliance's clock, in milliseconds since 1970.
    pub time: u64,
    /// The index of the audit leaf of the key's release.
    pub leaf: u64,
}

/// One of many messages to be sealed.
#[repr(C)]
pub struct sr_outgoing {
    /// What is sealed.
    pub plaintext: sr_slice,
    /// The names of the accounts that may open it, besides the one that seals it.
    pub recipients: *const *const c_char,
    /// How many there are.
    pub recipients_count: usize,
    /// What people know it by; may be NULL.
    pub metadata: *const sr_metadata,
}

/// A sealed message. Freed with sr_sealed_free.
#[repr(C)]
pub struct sr_sealed {
    /// The envelope: keep it or send it wherever you like.
    pub envelope: sr_bytes,
    /// The identifier of its key.
    pub key: *mut c_char,
}

/// What became of one of several messages. Freed with sr_opened_free.
#[repr(C)]
pub struct sr_opened {
    /// The content, where it was opened.
    pub plaintext: sr_bytes,
    /// What the message says of itself, where it was opened; else NULL.
    pub header: *mut sr_message_header,
    /// Why it was not opened; else NULL.
    pub error: *mut sr_error,
}

impl sr_metadata {
    /// # Safety
    /// It is NULL or as the header says.
    pub(crate) unsafe fn read(metadata: *const Self) -> Outcome<Metadata> {
        // SAFETY: as this function's.
        unsafe {
            let Some(metadata) = metadata.as_ref() else {
                return Ok(Metadata::default());
            };
            Ok(Metadata {
                label: optional(metadata.label, "the label")?
                    .unwrap_or_default()
                    .to_owned(),
                content_type: optional(metadata.content_type, "the content type")?
                    .map(str::to_owned),
                policy: policy(metadata.policy)?,
            })
        }
    }
}

/// A usage policy in JSON; none where it is NULL.
///
/// # Safety
/// As [`ffi::text`].
pub(crate) unsafe fn policy(json: *const c_char) -> Outcome<UsagePolicy> {
    // SAFETY: as this function's.
    match unsafe { optional(json, "the policy") }? {
        Some(json) => serde_json::from_str(json)
            .map_err(|error| invalid(&format!("the policy is none: {error}"))),
        None => Ok(UsagePolicy::default()),
    }
}

impl sr_message_header {
    fn new(header: &MessageHeader, leaf: u64) -> *mut Self {
        Box::into_raw(Box::new(Self {
            key: hand_out(&header.key.to_string()),
            key_version: header.key_version,
            server: hand_out(&header.server),
            content_type: header
                .content_type
                .as_deref()
                .map_or(ptr::null_mut(), hand_out),
            sender: hand_out(&header.sender.to_string()),
            recipients: hand_out(&header.recipients.join("\n")),
            time: header.time.as_millis(),
            leaf,
        }))
    }
}

impl Drop for sr_message_header {
    fn drop(&mut self) {
        let texts = [
            self.key,
            self.server,
            self.content_type,
            self.sender,
            self.recipients,
        ];
        for text in texts {
            // SAFETY: they were handed out by `new`, and are taken back here alone.
            unsafe { take_back(text) };
        }
    }
}

/// Seals a message of at most 16 MiB for the accounts with these names, and for oneself.
///
/// `metadata` may be NULL. `envelope` is freed with sr_bytes_free; `key`, which may be NULL, receives the identifier of the message's key, freed
/// with sr_text_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_seal_message(
    session: *const sr_session,
    plaintext: *const u8,
    plaintext_length: usize,
    recipients: *const *const c_char,
    recipients_count: usize,
    metadata: *const sr_metadata,
    envelope: *mut sr_bytes,
    key: *mut *mut c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(envelope, sr_bytes::NONE)?;
            let key = Out::optional(key, ptr::null_mut());
            let plaintext = values(plaintext, plaintext_length, "the plaintext")?;
            let recipients = names(recipients, recipients_count)?;
            let metadata = sr_metadata::read(metadata)?;
            let session = shared(session, "the session")?;
            let sealed = with!(session, |who| who.seal_message(
                plaintext,
                &recipients,
                &metadata
            ))?;
            key.set(|| hand_out(&sealed.key.id.to_string()));
            out.set(|| sr_bytes::new(sealed.bytes));
            Ok(())
        })
    }
}

/// Opens a message: reads its envelope, obtains its key, and authenticates it.
///
/// `plaintext` is freed with sr_bytes_free; `header`, which may be NULL, receives what the message says of itself, freed with
/// sr_message_header_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_open_message(
    session: *const sr_session,
    envelope: *const u8,
    envelope_length: usize,
    plaintext: *mut sr_bytes,
    header: *mut *mut sr_message_header,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(plaintext, sr_bytes::NONE)?;
            let header = Out::optional(header, ptr::null_mut());
            let envelope = values(envelope, envelope_length, "the envelope")?;
            let session = shared(session, "the session")?;
            let mut opened = with!(session, |who| who.open_message(envelope))?;
            header.set(|| sr_message_header::new(&opened.header, opened.leaf));
            out.set(|| sr_bytes::new(std::mem::take(&mut *opened.plaintext)));
            Ok(())
        })
    }
}

/// Seals many messages, each under a key of its own, in few requests: a thousand take one. All are sealed or none.
///
/// `sealed` is the caller's array of as many structs as there are messages; each is freed with sr_sealed_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_seal_messages(
    session: *const sr_session,
    messages: *const sr_outgoing,
    count: usize,
    sealed: *mut sr_sealed,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let messages = values(messages, count, "the messages")?;
            let places = places(sealed, count, || sr_sealed {
                envelope: sr_bytes::NONE,
                key: ptr::null_mut(),
            })?;
            let mut parts = Vec::with_capacity(count);
            for message in messages {
                parts.push((
                    message.plaintext.get("a plaintext")?,
                    names(message.recipients, message.recipients_count)?,
                    sr_metadata::read(message.metadata)?,
                ));
            }
            let outgoing: Vec<_> = parts
                .iter()
                .map(|(plaintext, recipients, metadata)| Outgoing {
                    plaintext,
                    recipients,
                    metadata,
                })
                .collect();
            let session = shared(session, "the session")?;
            let done = with!(session, |who| who.seal_messages(&outgoing))?;
            for (place, sealed) in places.into_iter().zip(done) {
                place.set(|| sr_sealed {
                    key: hand_out(&sealed.key.id.to_string()),
                    envelope: sr_bytes::new(sealed.bytes),
                });
            }
            Ok(())
        })
    }
}

/// Opens many messages in few requests: a thousand take one. That one of them is refused stops no other: its error stands in its place.
///
/// `opened` is the caller's array of as many structs as there are envelopes; each is freed with sr_opened_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_open_messages(
    session: *const sr_session,
    envelopes: *const sr_slice,
    count: usize,
    opened: *mut sr_opened,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let envelopes = values(envelopes, count, "the envelopes")?;
            let places = places(opened, count, || sr_opened {
                plaintext: sr_bytes::NONE,
                header: ptr::null_mut(),
                error: ptr::null_mut(),
            })?;
            let envelopes: Vec<&[u8]> = envelopes
                .iter()
                .map(|envelope| envelope.get("an envelope"))
                .collect::<Result<_, _>>()?;
            let session = shared(session, "the session")?;
            let outcomes = with!(session, |who| who.open_messages(&envelopes))?;
            for (place, outcome) in places.into_iter().zip(outcomes) {
                place.set(|| match outcome {
                    Ok(mut opened) => sr_opened {
                        header: sr_message_header::new(&opened.header, opened.leaf),
                        plaintext: sr_bytes::new(std::mem::take(&mut *opened.plaintext)),
                        error: ptr::null_mut(),
                    },
                    Err(error) => sr_opened {
                        plaintext: sr_bytes::NONE,
                        header: ptr::null_mut(),
                        error: sr_error::new(&error),
                    },
                });
            }
            Ok(())
        })
    }
}

/// The places of an array of the caller's.
///
/// # Safety
/// So many can be written to for as long as the answer lives.
unsafe fn places<T>(array: *mut T, count: usize, nothing: impl Fn() -> T) -> Outcome<Vec<Out<T>>> {
    if count > 0 && array.is_null() {
        return Err(invalid("the array for the results is NULL"));
    }
    // SAFETY: as this function's.
    (0..count)
        .map(|index| unsafe { Out::new(array.add(index), nothing()) })
        .collect()
}

/// Frees what a message says of itself.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_message_header_free(header: *mut sr_message_header) {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { ffi::free(header) };
}

/// Frees what a sealed message holds; the struct itself, which may be NULL, stays the caller's and is empty then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_sealed_free(sealed: *mut sr_sealed) {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        if let Some(sealed) = sealed.as_mut() {
            sealed.envelope.take_back();
            take_back(std::mem::replace(&mut sealed.key, ptr::null_mut()));
        }
    }
}

/// Frees what an outcome holds; the struct itself, which may be NULL, stays the caller's and is empty then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_opened_free(opened: *mut sr_opened) {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        if let Some(opened) = opened.as_mut() {
            opened.plaintext.take_back();
            ffi::free(std::mem::replace(&mut opened.header, ptr::null_mut()));
            ffi::free(std::mem::replace(&mut opened.error, ptr::null_mut()));
        }
    }
}
