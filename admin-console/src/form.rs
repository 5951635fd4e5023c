//! Forms: where they may come from, their tokens, their fields.
//!
//! A form counts only when the browser says that it comes from this very site (`Sec-Fetch-Site`, or `Origin`), and when it holds the token
//! that was made for the reader's session, or, before sign-in, for the browser's visit.

use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN};
use actix_web::{FromRequest, HttpRequest, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use strongroom_wire::problem::Code;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::cookie;
use crate::host::Side;
use crate::reader::Frame;
use crate::stop::Stop;

/// The largest usual form, in bytes.
const USUAL: usize = 64 * 1024;
/// The field with the token.
pub(crate) const TOKEN: &str = "form_token";

/// What forms' tokens are made with: random bytes of this process.
pub struct FormKey(Zeroizing<[u8; 32]>);

impl FormKey {
    /// New ones.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// The token of forms in a session.
    pub(crate) fn of_session(&self, token: &str) -> String {
        self.token(b"session", token)
    }

    /// The token of forms before sign-in.
    pub(crate) fn of_visit(&self, visit: &str) -> String {
        self.token(b"visit", visit)
    }

    fn token(&self, what: &[u8], of: &str) -> String {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            // HMAC takes keys of every length.
            return String::new();
        };
        let mac = mac.chain_update(what).chain_update([0]).chain_update(of);
        URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
    }
}

/// Names and values, of a form or of the query of an address.
#[derive(Default)]
pub(crate) struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    fn parse(encoded: &[u8]) -> Self {
        let fields = url::form_urlencoded::parse(encoded);
        Self(
            fields
                .map(|(name, value)| (name.into_owned(), Zeroizing::new(value.into_owned())))
                .collect(),
        )
    }

    /// A field without the spaces around it; empty where there is none.
    pub(crate) fn one(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// A field as it was sent, such as a password.
    pub(crate) fn raw(&self, name: &str) -> &str {
        self.0
            .iter()
            .find(|(field, _)| field == name)
            .map_or("", |(_, value)| value.as_str())
    }

    /// A field, where it is not empty.
    pub(crate) fn some(&self, name: &str) -> Option<&str> {
        Some(self.one(name)).filter(|value| !value.is_empty())
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.0
            .iter()
            .filter(|(field, _)| field == name)
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// Whether a field has this value among its values.
    pub(crate) fn has(&self, name: &str, value: &str) -> bool {
        self.all(name).contains(&value)
    }
}

/// The query of an address.
impl FromRequest for Fields {
    type Error = Stop;
    type Future = std::future::Ready<Result<Self, Stop>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        std::future::ready(Ok(Self::parse(request.query_string().as_bytes())))
    }
}

/// What a form said, its origin and token checked.
pub(crate) struct Sent<const LARGEST: usize = USUAL>(Fields);

impl<const LARGEST: usize> Deref for Sent<LARGEST> {
    type Target = Fields;

    fn deref(&self) -> &Fields {
        &self.0
    }
}

impl<const LARGEST: usize> FromRequest for Sent<LARGEST> {
    type Error = Stop;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Stop>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let body = web::Payload::from_request(request, payload);
        let request = request.clone();
        Box::pin(async move {
            let frame = Frame::outside(Side::of(&request));
            let malformed = |sentence: &str| Stop::new(&frame, Code::Malformed, sentence);
            if !is_from_here(request.headers()) {
                return Err(Stop::new(
                    &frame,
                    Code::NotPermitted,
                    "The form does not come from this site, so it was not looked at.",
                ));
            }
            let content_type = request.headers().get(CONTENT_TYPE);
            if content_type.is_none_or(|value| {
                !value
                    .as_bytes()
                    .starts_with(b"application/x-www-form-urlencoded")
            }) {
                return Err(malformed("What was sent is no form."));
            }
            let body = body
                .await
                .map_err(|_| malformed("The form did not arrive."))?;
            let body = match body.to_bytes_limited(LARGEST).await {
                Ok(Ok(body)) => body,
                Ok(Err(_)) => return Err(malformed("The form did not arrive whole.")),
                Err(_) => {
                    return Err(Stop::new(
                        &frame,
                        Code::TooLarge,
                        format!("The form is larger than {LARGEST} bytes."),
                    ));
                }
            };
            let sent = Self(Fields::parse(&body));
            if !has_token(&request, sent.raw(TOKEN)) {
                return Err(Stop::new(
                    &frame,
                    Code::NotPermitted,
                    "The form is too old: you have signed in or out since it was shown, or the appliance was restarted. Go back, load the page again and send it once more.",
                ));
            }
            Ok(sent)
        })
    }
}

fn has_token(request: &HttpRequest, token: &str) -> bool {
    let Some(key) = request.app_data::<web::Data<FormKey>>() else {
        return false;
    };
    let side = Side::of(request);
    let session = cookie::sent(request.headers(), side.session_cookie());
    let visit = cookie::sent(request.headers(), side.visit_cookie());
    let expected = [
        session.map(|token| key.of_session(&token)),
        visit.map(|value| key.of_visit(&value)),
    ];
    // A page that was loaded before signing in may be sent in a session of another tab: both hold.
    expected
        .into_iter()
        .flatten()
        .any(|expected| bool::from(expected.as_bytes().ct_eq(token.as_bytes())))
}

/// Whether a browser sends this from a page of this very origin.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name| {
        let value: Option<&HeaderValue> = headers.get(name);
        value.and_then(|value| value.to_str().ok())
    };
    let fetched = headers
        .get("sec-fetch-site")
        .map(|value| value.as_bytes() == b"same-origin");
    let origin = headers.get(ORIGIN).map(|_| {
        // Whoever names no host is nowhere.
        let host = text(HOST).filter(|host| !host.is_empty());
        let origin = text(ORIGIN).and_then(|origin| origin.strip_prefix("https://"));
        host.is_some() && origin == host
    });
    match (fetched, origin) {
        (None, None) => false,
        (fetched, origin) => fetched.unwrap_or(true) && origin.unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use actix_web::test::TestRequest;

    use super::*;

    fn from_here(headers: &[(&str, &str)]) -> bool {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.append_header(*header);
        }
        is_from_here(request.to_http_request().headers())
    }

    #[test]
    fn forms_come_from_this_very_origin() {
        let host = ("host", "keys.example.com:8443");
        for good in [
            &[host, ("origin", "https://keys.example.com:8443")][..],
            &[host, ("sec-fetch-site", "same-origin")],
            &[
                host,
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://keys.example.com:8443"),
            ],
        ] {
            assert!(from_here(good), "{good:?}");
        }
        for bad in [
            &[host][..],
            &[host, ("origin", "https://keys.example.com:9443")],
            &[host, ("origin", "http://keys.example.com:8443")],
            &[host, ("origin", "null")],
            &[host, ("sec-fetch-site", "same-site")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "none")],
            &[
                host,
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://evil.example"),
            ],
            &[("origin", "https://")],
        ] {
            assert!(!from_here(bad), "{bad:?}");
        }
    }

    #[test]
    fn tokens_are_of_one_session_and_one_process() {
        let key = FormKey::generate().unwrap();
        assert_eq!(key.of_session("a"), key.of_session("a"));
        assert_ne!(key.of_session("a"), key.of_session("b"));
        assert_ne!(key.of_session("a"), key.of_visit("a"));
        assert_ne!(
            key.of_session("a"),
            FormKey::generate().unwrap().of_session("a")
        );
    }
}
