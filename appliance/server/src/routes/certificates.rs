//! Sign-in by client certificate, and the names in certificates by which accounts are known.

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, delete, get, post, web};
use sha2::{Digest as _, Sha256};
use strongroom_wire::account::Done;
use strongroom_wire::certificate::{
    CertificateName, CertificateNameKind, CertificateNames, OpenByCertificate,
    SignedInByCertificate,
};
use strongroom_wire::id::AccountId;
use strongroom_wire::problem::Code;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::body::Json;
use super::{Answer, acted, ask, shown};
use crate::auth::limits::SignInLimits;
use crate::auth::{Caller, Source};
use crate::gate::OpenKeystore;
use crate::problems::Failure;
use crate::tls::clients::PresentedChain;

/// The most names of one certificate that are looked up.
const MOST_NAMES: usize = 16;

/// Open a session by the certificate that the client has presented.
///
/// The certificate stands for the device or service for which its fingerprint, or a URI or DNS name in it, is registered. The session's transport key comes sealed to
/// the client's ephemeral key.
#[utoipa::path(
    tag = "sessions",
    operation_id = "open_session_by_certificate",
    security(()),
    request_body = OpenByCertificate,
    responses((status = 200, description = "The session and its token.", body = SignedInByCertificate)),
)]
#[post("/v1/sessions/certificate")]
pub(super) async fn open(
    request: HttpRequest,
    Source(source): Source,
    limits: web::Data<SignInLimits>,
    Json(body): Json<OpenByCertificate>,
    keystore: OpenKeystore,
) -> Answer {
    limits.admit_source(source)?;
    let chain = request.conn_data::<PresentedChain>();
    let own = chain.and_then(PresentedChain::still_valid);
    let names = own.map(|own| names_of(own)).unwrap_or_default();
    if names.is_empty() {
        return Err(Failure::new(
            Code::SignInRefused,
            "The client has presented no certificate that is valid, or the appliance takes none.",
        ));
    }
    let answer = ask(keystore, move |keystore| {
        keystore.open_by_certificate(source, names, body)
    })
    .await;
    if answer.as_ref().err().is_none_or(Failure::is_fault) {
        limits.give_back_source(source);
    }
    let signed_in = answer?;
    let leaf = signed_in.signed_in.leaf;
    Ok(acted(StatusCode::OK, &signed_in, leaf))
}

/// List the names in certificates by which an account is known.
///
/// For the account itself, who paired it, and administrators.
#[utoipa::path(
    tag = "devices",
    operation_id = "list_certificates",
    params(("account" = AccountId, Path, description = "The device's or service's account.")),
    responses((status = 200, description = "The names.", body = CertificateNames)),
)]
#[get("/v1/accounts/{account}/certificates")]
pub(super) async fn list(
    caller: Caller,
    account: web::Path<AccountId>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let names = ask(keystore, move |keystore| {
        keystore.certificate_names(&caller, account)
    })
    .await?;
    Ok(shown(&names))
}

/// Register a name in certificates for a device or service.
///
/// By itself, by who paired it, or, until it first signs in, by an administrator.
#[utoipa::path(
    tag = "devices",
    operation_id = "register_certificate",
    params(("account" = AccountId, Path, description = "The device's or service's account.")),
    request_body = CertificateName,
    responses((status = 200, description = "The name is registered.", body = Done)),
)]
#[post("/v1/accounts/{account}/certificates")]
pub(super) async fn register(
    caller: Caller,
    account: web::Path<AccountId>,
    Json(name): Json<CertificateName>,
    keystore: OpenKeystore,
) -> Answer {
    let account = account.into_inner();
    let done = ask(keystore, move |keystore| {
        keystore.register_certificate(&caller, account, name)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// Remove a name in certificates.
///
/// The account's sessions end.
#[utoipa::path(
    tag = "devices",
    operation_id = "remove_certificate",
    params(
        ("account" = AccountId, Path, description = "The device's or service's account."),
        CertificateName,
    ),
    responses((status = 200, description = "The name is removed.", body = Done)),
)]
#[delete("/v1/accounts/{account}/certificates")]
pub(super) async fn remove(
    caller: Caller,
    account: web::Path<AccountId>,
    name: web::Query<CertificateName>,
    keystore: OpenKeystore,
) -> Answer {
    let (account, name) = (account.into_inner(), name.into_inner());
    let done = ask(keystore, move |keystore| {
        keystore.remove_certificate(&caller, account, name)
    })
    .await?;
    Ok(acted(StatusCode::OK, &done, done.leaf))
}

/// What of a certificate may name an account: its fingerprint, and the URIs and DNS names among its subject alternative names.
fn names_of(certificate: &[u8]) -> Vec<CertificateName> {
    let fingerprint = hex::encode(Sha256::digest(certificate));
    let mut names = vec![CertificateName {
        kind: CertificateNameKind::Fingerprint,
        value: fingerprint,
    }];
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return names;
    };
    let alternatives = certificate.subject_alternative_name().ok().flatten();
    let alternatives = alternatives.map(|extension| &extension.value.general_names);
    for name in alternatives.into_iter().flatten() {
        let (kind, value) = match name {
            GeneralName::URI(uri) => (CertificateNameKind::Uri, (*uri).to_owned()),
            // Upper and lower case are one (RFC 5280 section 7.2).
            GeneralName::DNSName(name) => (CertificateNameKind::Dns, name.to_ascii_lowercase()),
            _ => continue,
        };
        names.push(CertificateName { kind, value });
    }
    // A certificate with many DNS names keeps its URIs.
    names.sort_by_key(|name| name.kind);
    names.truncate(MOST_NAMES);
    names
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_certificate_is_named_by_itself_and_its_alternative_names() {
        let mut params = CertificateParams::new(vec!["Payroll.example.com".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::Rfc822Name(
            "payroll@example.com".try_into().unwrap(),
        ));
        for uri in ["spiffe://example.com/payroll", "urn:example:payroll"] {
            params
                .subject_alt_names
                .push(SanType::URI(uri.try_into().unwrap()));
        }
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let names = names_of(certificate.der());
        let values: Vec<&str> = names.iter().map(|name| name.value.as_str()).collect();
        assert_eq!(values[0].len(), 64);
        assert_eq!(
            values[1..],
            [
                "spiffe://example.com/payroll",
                "urn:example:payroll",
                "payroll.example.com"
            ]
        );
        assert_eq!(names_of(b"no certificate").len(), 1);
    }
}
