//! What stands between a request and its domain's keystore: the middleware that turns requests away, and the extractor that handlers take.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::sync::{Arc, Weak};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, HeaderMap};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest, ResponseError as _, web};
use strongroom_keystore::Keystore;
use strongroom_wire::problem::Code;

use super::Gate;
use crate::domains::Wanted;
use crate::domains::registry::FIRST;
use crate::problems::Failure;
use crate::routes::page_of;

/// What is answered even while the gate is closed, and of no domain.
const ALWAYS: [&str; 2] = ["/v1/health", "/metrics"];
/// The header in which a request names its domain.
pub(crate) const DOMAIN: &str = "strongroom-domain";

/// The open keystore of the domain that a request is for, for as long as that takes.
#[derive(Clone)]
pub(crate) struct OpenKeystore {
    domain: u32,
    keystore: Arc<Keystore>,
}

impl OpenKeystore {
    pub(crate) const fn new(domain: u32, keystore: Arc<Keystore>) -> Self {
        Self { domain, keystore }
    }

    /// The keystore itself, for as long as the request takes.
    pub(crate) fn keystore(&self) -> Arc<Keystore> {
        Arc::clone(&self.keystore)
    }

    /// Whether it is the appliance's first domain, whose administrators look after the machine.
    pub(crate) const fn is_first(&self) -> bool {
        self.domain == FIRST
    }

    /// The keystore for as long as it is open: for what goes on after the request was answered.
    pub(crate) fn while_open(&self) -> Weak<Keystore> {
        Arc::downgrade(&self.keystore)
    }

    /// The name under which an account of this domain has its budget of failures: nobody's mistakes slow down somebody of the same name in
    /// another domain.
    pub(crate) fn budget(&self, account: &str) -> String {
        if self.domain == FIRST {
            account.to_owned()
        } else {
            // No account's name has a line feed.
            format!("{}\n{account}", self.domain)
        }
    }
}

impl Deref for OpenKeystore {
    type Target = Keystore;

    fn deref(&self) -> &Keystore {
        &self.keystore
    }
}

impl FromRequest for OpenKeystore {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        // The guard has put it there.
        let open = request.extensions().get::<Self>().cloned();
        ready(open.ok_or_else(Failure::internal))
    }
}

/// The number of the domain that a request is for, in its extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DomainNumber(pub(crate) u32);

/// The middleware that finds the domain which a request is for, and answers for a closed gate and for domains that are not served, before
/// anything else of the request is read: whoever asks learns nothing more.
pub(crate) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let gate = request
        .app_data::<web::Data<Gate>>()
        .filter(|_| !ALWAYS.contains(&request.path()))
        .cloned();
    let Some(gate) = gate else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    match enter(&gate, request.headers(), request.uri().host()).await {
        Ok(open) => {
            let number = DomainNumber(open.domain);
            request.extensions_mut().insert(number);
            request.extensions_mut().insert(open);
            let response = next.call(request).await?;
            // The request outlives its handler; the keystore need not.
            response.request().extensions_mut().remove::<OpenKeystore>();
            Ok(response.map_into_left_body())
        }
        Err(failure) => {
            let response = if strongroom_console::request_wants_page(request.request()) {
                page_of(request.request(), &failure)
            } else {
                failure.error_response()
            };
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

async fn enter(
    gate: &Gate,
    headers: &HeaderMap,
    authority: Option<&str>,
) -> Result<OpenKeystore, Failure> {
    let domains = gate.domains()?;
    let wanted = wanted(headers, authority)?;
    if let Some(entered) = domains.at_hand(wanted.as_ref()) {
        return entered;
    }
    // It has to be opened first, which takes the HSM and the disk.
    web::block(move || domains.enter(wanted.as_ref()))
        .await
        .map_err(|_| Failure::internal())?
}

/// The domain that a request asks for: by the header, or else by the host that it was sent to.
fn wanted(headers: &HeaderMap, authority: Option<&str>) -> Result<Option<Wanted>, Failure> {
    let mut names = headers.get_all(DOMAIN);
    match (names.next(), names.next()) {
        (Some(name), None) => {
            let name = name.to_str().map_err(|_| unreadable())?;
            Ok(Some(Wanted::Name(name.to_owned())))
        }
        (Some(_), Some(_)) => Err(unreadable()),
        (None, _) => {
            // HTTP/2 has it in the address.
            let host = authority.or_else(|| host(headers.get(HOST)?.to_str().ok()?));
            Ok(host.map(|host| Wanted::Host(host.to_ascii_lowercase())))
        }
    }
}

/// Without the port.
fn host(authority: &str) -> Option<&str> {
    if authority.starts_with('[') {
        // An address: no domain has one.
        return None;
    }
    authority.split(':').next()
}

fn unreadable() -> Failure {
    Failure::new(
        Code::Malformed,
        format!("The header {DOMAIN} has one name of a domain."),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use actix_web::test::TestRequest;

    use super::*;

    fn asked(headers: &[(&str, &str)], authority: Option<&str>) -> Result<Option<Wanted>, Failure> {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.append_header(*header);
        }
        wanted(request.to_http_request().headers(), authority)
    }

    #[test]
    fn the_header_comes_before_the_host() {
        let name = |name: &str| Some(Wanted::Name(name.to_owned()));
        let host = |host: &str| Some(Wanted::Host(host.to_owned()));
        assert_eq!(asked(&[], None).unwrap(), None);
        for (authority, expected) in [
            ("Keys.Acme.example:8443", host("keys.acme.example")),
            ("10.0.0.5:8443", host("10.0.0.5")),
            ("[::1]:8443", None),
        ] {
            assert_eq!(asked(&[("host", authority)], None).unwrap(), expected);
        }
        assert_eq!(asked(&[], Some("a.example")).unwrap(), host("a.example"));
        let both = [("host", "a.example"), (DOMAIN, "acme")];
        assert_eq!(asked(&both, Some("a.example")).unwrap(), name("acme"));
        asked(&[(DOMAIN, "acme"), (DOMAIN, "other")], None).unwrap_err();
    }
}
