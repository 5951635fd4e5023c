//! Requests that a device or service signs with its account's secret: HTTP Message Signatures (RFC 9421) by `hmac-sha256`, and
//! Content-Digest (RFC 9530).
//!
//! ```text
//! Content-Digest: sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:
//! Signature-Input: strongroom=("@method" "@path" "@query" "content-digest");created=1795445700;nonce="0mM…";keyid="0198…";alg="hmac-sha256"
//! Signature: strongroom=:K2qGT5srn2OGbOIDzQ6kYT+ruaycnDAAUpKv+ePFfD0=:
//! ```
//!
//! Whoever signs needs nothing else than HMAC, SHA-256 and Base64. What is signed are these lines, each ended by a line feed but the last:
//!
//! ```text
//! "@method": POST
//! "@path": /v1/keys/0198…/release
//! "@query": ?
//! "content-digest": sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:
//! "@signature-params": ("@method" "@path" "@query" "content-digest");created=1795445700;nonce="0mM…";keyid="0198…";alg="hmac-sha256"
//! ```

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use sfv::{
    BareItem, Dictionary, InnerList, Item, Key, ListEntry, ListSerializer, Parser, RefBareItem,
};
use sha2::{Digest as _, Sha256, Sha512};
use strongroom_wire::id::AccountId;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::TransportKey;

/// The header with the covered components and the parameters, RFC 9421 section 4.1.
pub const SIGNATURE_INPUT: &str = "signature-input";
/// The header with the signature, RFC 9421 section 4.2.
pub const SIGNATURE: &str = "signature";
/// The header with the digest of the body, RFC 9530 section 2.
pub const CONTENT_DIGEST: &str = "content-digest";
/// The header of an answer with the appliance's nonce, from which, with the request's, the transport key follows.
pub const RESPONSE_NONCE: &str = "strongroom-nonce";

/// The label of the signature in both headers. A request may carry signatures under other labels, which are ignored.
const LABEL: &str = "strongroom";
const ALGORITHM: &str = "hmac-sha256";
const COVERED: [&str; 4] = ["@method", "@path", "@query", "content-digest"];
/// The bytes that a nonce may have.
const NONCE_LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;
/// The longest header that is looked at.
const LONGEST_HEADER: usize = 1024;

/// The secret of a device's or service's account: 32 random bytes, which the appliance made and handed out once.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct AccountSecret([u8; 32]);

impl AccountSecret {
    /// The secret with these 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret's 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The secret as it is handed out: 43 characters of Base64url (RFC 4648 section 5).
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.0))
    }

    /// Reads what [`to_text`](Self::to_text) wrote; none where it is no secret.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(text.trim()).ok()?);
        bytes.as_slice().try_into().ok().map(Self)
    }

    /// The transport key of one request and its answer: HKDF-SHA-512 (RFC 5869) of the secret, with the two nonces as they stand in the
    /// headers, one after the other, as salt and `strongroom/v1/request-transport-key` as info.
    #[must_use]
    pub fn transport_key(&self, request_nonce: &str, response_nonce: &str) -> TransportKey {
        let mut key = Zeroizing::new([0; 32]);
        let salt = [request_nonce.as_bytes(), response_nonce.as_bytes()].concat();
        // 32 bytes are below HKDF's limit of 255 times 64, its only error.
        let _ = Hkdf::<Sha512>::new(Some(&salt), &self.0)
            .expand(b"strongroom/v1/request-transport-key", &mut *key);
        TransportKey::from_bytes(*key)
    }

    /// The transport key of what the account brings, which is wrapped before there is an answer: HKDF-SHA-512 of the secret, without salt, with
    /// `strongroom/v1/import-transport-key` as info.
    #[must_use]
    pub fn import_key(&self) -> TransportKey {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are below HKDF's limit of 255 times 64, its only error.
        let _ = Hkdf::<Sha512>::new(None, &self.0)
            .expand(b"strongroom/v1/import-transport-key", &mut *key);
        TransportKey::from_bytes(*key)
    }
}

impl fmt::Debug for AccountSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccountSecret(hidden)")
    }
}

/// What a signature covers of a request.
#[derive(Debug, Clone, Copy)]
pub struct Covered<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path as it was sent, percent-encoded.
    pub path: &'a str,
    /// The query as it was sent, without its question mark; empty where there is none.
    pub query: &'a str,
    /// The whole content of the Content-Digest header.
    pub content_digest: &'a str,
}

/// Why a request's signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignatureError {
    /// A header is missing, or is not what RFC 9421 or RFC 9530 says.
    #[error("the request's signature is malformed: {0}")]
    Malformed(&'static str),
    /// The signature does not cover what it must.
    #[error(
        "the signature must cover \"@method\", \"@path\", \"@query\" and \"content-digest\", in this order"
    )]
    Uncovered,
    /// The body is not the one of the Content-Digest header.
    #[error("the body is not what Content-Digest says")]
    Digest,
    /// The signature is another's.
    #[error("the signature is not the account's")]
    Mismatch,
}

/// The signature of a request, as its headers have it. Nothing of it is believed before [`verify`](Self::verify).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestSignature {
    /// Which account claims to have made it.
    pub account: AccountId,
    /// When it says that it was made, in seconds since 1970-01-01 UTC.
    pub created: u64,
    /// What no other request of the account has within the permitted clock skew: 16 to 64 visible ASCII characters.
    pub nonce: String,
    /// The covered components with all parameters: the last line of what is signed.
    params: String,
    signature: [u8; 32],
}

impl RequestSignature {
    /// Reads the two headers.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Malformed`] and [`SignatureError::Uncovered`].
    pub fn parse(signature_input: &str, signature: &str) -> Result<Self, SignatureError> {
        use SignatureError::Malformed;
        let input = inner_list(signature_input)?;
        let names = input.items.iter().map(|item| {
            let plain = item.params.is_empty();
            plain.then(|| item.bare_item.as_string()).flatten()
        });
        if !names.eq(COVERED.map(|name| sfv::StringRef::from_str(name).ok())) {
            return Err(SignatureError::Uncovered);
        }
        let text = |name: &str| {
            let value = input.params.get(name).and_then(BareItem::as_string);
            value.map(sfv::StringRef::as_str)
        };
        if text("alg").is_some_and(|algorithm| algorithm != ALGORITHM) {
            return Err(Malformed("its algorithm is not hmac-sha256"));
        }
        let created = input.params.get("created").and_then(BareItem::as_integer);
        let created = created
            .and_then(|created| u64::try_from(i64::from(created)).ok())
            .ok_or(Malformed("it has no \"created\""))?;
        let nonce = text("nonce")
            .filter(|nonce| NONCE_LENGTHS.contains(&nonce.len()))
            .ok_or(Malformed("its nonce does not have 16 to 64 characters"))?;
        let account = text("keyid")
            .and_then(|id| id.parse().ok())
            .ok_or(Malformed("its \"keyid\" is no account's identifier"))?;
        let signature = dictionary(signature)?;
        let signature = match signature.get(LABEL) {
            Some(ListEntry::Item(item)) => item.bare_item.as_byte_sequence(),
            _ => None,
        };
        Ok(Self {
            account,
            created,
            nonce: nonce.to_owned(),
            params: serialise(&input)?,
            signature: signature
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(Malformed("the signature does not have 32 bytes"))?,
        })
    }

    /// Checks that who knows this secret signed this request. The comparison takes the same time wherever they differ.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Mismatch`].
    pub fn verify(
        &self,
        secret: &AccountSecret,
        covered: &Covered<'_>,
    ) -> Result<(), SignatureError> {
        mac(&secret.0, &base(&covered.lines(), &self.params))
            .verify_slice(&self.signature)
            .map_err(|_| SignatureError::Mismatch)
    }

    /// The headers Signature-Input and Signature of a request that an account signs.
    ///
    /// # Errors
    ///
    /// [`SignatureError::Malformed`] when the nonce cannot stand in a header.
    pub fn sign(
        secret: &AccountSecret,
        account: AccountId,
        created: u64,
        nonce: &str,
        covered: &Covered<'_>,
    ) -> Result<(String, String), SignatureError> {
        use SignatureError::Malformed;
        let text = |text: &str| {
            sfv::String::from_string(text.to_owned())
                .map(BareItem::String)
                .map_err(|_| Malformed("a parameter has other than visible ASCII characters"))
        };
        let created = i64::try_from(created)
            .ok()
            .and_then(|created| sfv::Integer::try_from(created).ok())
            .ok_or(Malformed("the moment is out of range"))?;
        let key = |name: &str| {
            Key::from_string(name.to_owned()).map_err(|_| Malformed("a parameter has no name"))
        };
        let mut params = sfv::Parameters::new();
        params.insert(key("created")?, BareItem::Integer(created));
        params.insert(key("nonce")?, text(nonce)?);
        params.insert(key("keyid")?, text(&account.to_string())?);
        params.insert(key("alg")?, text(ALGORITHM)?);
        let items = COVERED.map(|name| text(name).map(Item::new));
        let items = items.into_iter().collect::<Result<Vec<_>, _>>()?;
        let params = serialise(&InnerList::with_params(items, params))?;
        let signature = mac(&secret.0, &base(&covered.lines(), &params)).finalize();
        Ok((
            format!("{LABEL}={params}"),
            format!("{LABEL}=:{}:", STANDARD.encode(signature.into_bytes())),
        ))
    }
}

impl Covered<'_> {
    fn lines(&self) -> [(&'static str, String); 4] {
        let [method, path, query, digest] = COVERED;
        [
            (method, self.method.to_owned()),
            (path, self.path.to_owned()),
            (query, format!("?{}", self.query)),
            (digest, self.content_digest.trim().to_owned()),
        ]
    }
}

/// The Content-Digest header of this body: SHA-256, RFC 9530 section 2.
#[must_use]
pub fn content_digest(body: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(body)))
}

/// Checks a body against its Content-Digest header, which must have a `sha-256`.
///
/// # Errors
///
/// [`SignatureError::Digest`], [`SignatureError::Malformed`].
pub fn check_content_digest(header: &str, body: &[u8]) -> Result<(), SignatureError> {
    let digests = dictionary(header)?;
    let digest = match digests.get("sha-256") {
        Some(ListEntry::Item(item)) => item.bare_item.as_byte_sequence(),
        _ => None,
    };
    let digest = digest.ok_or(SignatureError::Malformed(
        "Content-Digest has no sha-256 digest",
    ))?;
    if digest == Sha256::digest(body).as_slice() {
        Ok(())
    } else {
        Err(SignatureError::Digest)
    }
}

fn dictionary(header: &str) -> Result<Dictionary, SignatureError> {
    if header.len() > LONGEST_HEADER {
        return Err(SignatureError::Malformed("a header is too long"));
    }
    Parser::new(header)
        .parse()
        .map_err(|_| SignatureError::Malformed("a header is no structured field (RFC 9651)"))
}

fn inner_list(signature_input: &str) -> Result<InnerList, SignatureError> {
    match dictionary(signature_input)?.swap_remove(LABEL) {
        Some(ListEntry::InnerList(list)) => Ok(list),
        _ => Err(SignatureError::Malformed(
            "there is no signature with the label \"strongroom\"",
        )),
    }
}

/// A list as it stands in the last line of what is signed, RFC 9421 section 2.3.
fn serialise(list: &InnerList) -> Result<String, SignatureError> {
    let mut serializer = ListSerializer::new();
    let mut inner = serializer.inner_list();
    inner.items(&list.items);
    inner.finish().parameters(
        list.params
            .iter()
            .map(|(name, value)| (name.as_ref(), RefBareItem::from(value))),
    );
    serializer
        .finish()
        .ok_or(SignatureError::Malformed("it covers nothing"))
}

/// What is signed, RFC 9421 section 2.5.
fn base(components: &[(&str, String)], params: &str) -> String {
    components
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .chain([("@signature-params", params)])
        .map(|(name, value)| format!("\"{name}\": {value}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn mac(secret: &[u8], base: &str) -> Hmac<Sha256> {
    // HMAC takes keys of every length.
    #[expect(clippy::expect_used, reason = "HMAC takes keys of every length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of every length");
    mac.update(base.as_bytes());
    mac
}

#[cfg(test)]
mod tests;
