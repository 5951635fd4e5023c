//! Who is asking: the session token or the signature, and the address that a request came from.
//!
//! The keystore decides what a token or a signature is worth. Here it is only read.

pub(crate) mod desk;
pub(crate) mod limits;
pub(crate) mod oidc;
pub(crate) mod pace;
pub(crate) mod signed;

use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_keystore::{Presented, SessionToken};
use strongroom_wire::id::ProposalId;
use strongroom_wire::problem::Code;
use strongroom_wire::proposal::PROPOSAL_HEADER;
use zeroize::Zeroizing;

use crate::problems::Failure;

/// What a request presents: a signature that was admitted ([`signed`]), or `Authorization: Bearer` with a session token (RFC 6750
/// section 2.1); and its source address. A request without is refused before anything of it is read.
pub(crate) struct Caller(Presented);

impl Deref for Caller {
    type Target = Presented;

    fn deref(&self) -> &Presented {
        &self.0
    }
}

impl FromRequest for Caller {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let signer = request.extensions_mut().remove::<signed::Signer>();
        let presented = signer.map(|signer| signer.0).or_else(|| {
            let token = session_token(request.headers())?;
            Some(Presented::in_session(token, source_address(request)))
        });
        let presented = presented.ok_or_else(|| {
            Failure::new(
                Code::NotSignedIn,
                "The request has no session token; sign in first.",
            )
        });
        ready(presented.and_then(|presented| {
            let proposal = proposal(request.headers())?;
            Ok(Self(Presented {
                proposal,
                ..presented
            }))
        }))
    }
}

/// The proposal by whose approvals a request is made.
fn proposal(headers: &HeaderMap) -> Result<Option<ProposalId>, Failure> {
    let mut values = headers.get_all(PROPOSAL_HEADER);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.filter(|_| values.next().is_none())
        .map(Some)
        .ok_or_else(|| {
            Failure::new(
                Code::Malformed,
                format!("{PROPOSAL_HEADER} is the identifier of one proposal."),
            )
        })
}

/// The address that a request came from: the connection's other end. Headers of proxies are not believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source(pub(crate) IpAddr);

impl FromRequest for Source {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self(source_address(request))))
    }
}

fn source_address(request: &HttpRequest) -> IpAddr {
    // A connection whose other end hung up already has none.
    request
        .peer_addr()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| {
            peer.ip().to_canonical()
        })
}

fn session_token(headers: &HeaderMap) -> Option<SessionToken> {
    let mut values = headers.get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let mut token = Zeroizing::new([0; 48]);
    let length = URL_SAFE_NO_PAD
        .decode_slice(text, token.as_mut_slice())
        .ok()?;
    SessionToken::from_slice(&token[..length])
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use actix_web::test::TestRequest;

    use super::*;

    fn read(values: &[&str]) -> Option<SessionToken> {
        let mut request = TestRequest::default();
        for value in values {
            request = request.append_header((AUTHORIZATION, *value));
        }
        session_token(request.to_http_request().headers())
    }

    #[test]
    fn a_token_is_32_bytes_in_base64url_once() {
        let token = URL_SAFE_NO_PAD.encode([0xfb; 32]);
        assert!(read(&[&format!("Bearer {token}")]).is_some());
        assert!(read(&[&format!("bearer {token}")]).is_some());

        assert!(read(&[]).is_none());
        assert!(read(&["Bearer"]).is_none());
        assert!(read(&["Bearer "]).is_none());
        assert!(read(&[&format!("Basic {token}")]).is_none());
        assert!(read(&[&format!("Bearer  {token}")]).is_none());
        assert!(read(&[&format!("Bearer {token}=")]).is_none());
        let twice = format!("Bearer {token}");
        assert!(read(&[&twice, &twice]).is_none());
        for length in [0, 31, 33, 47, 48, 49, 64, 1000] {
            let other = URL_SAFE_NO_PAD.encode(vec![1; length]);
            assert!(read(&[&format!("Bearer {other}")]).is_none(), "{length}");
        }
    }

    #[test]
    fn the_source_is_the_other_end_in_its_plainest_form() {
        let request = TestRequest::default()
            .peer_addr("[::ffff:192.0.2.7]:1234".parse().unwrap())
            .append_header(("X-Forwarded-For", "198.51.100.1"))
            .to_http_request();
        assert_eq!(
            source_address(&request),
            "192.0.2.7".parse::<IpAddr>().unwrap()
        );
    }
}
