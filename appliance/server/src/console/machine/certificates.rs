//! The certificates that the appliance shows to clients.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use strongroom_console::host::CertificateView;
use strongroom_wire::encoding::Timestamp;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Those in a file of PEM, in its order; none where it cannot be read.
pub(super) fn certificates(path: &Path) -> Vec<CertificateView> {
    let Ok(certificates) = CertificateDer::pem_file_iter(path) else {
        return Vec::new();
    };
    certificates
        .flatten()
        .filter_map(|der| {
            let (_, parsed) = X509Certificate::from_der(&der).ok()?;
            let names = parsed.subject_alternative_name().ok().flatten();
            let names = names.map(|names| {
                let names = names.value.general_names.iter();
                names.filter_map(name).collect::<Vec<_>>()
            });
            let time = |seconds: i64| {
                Timestamp::from_millis(u64::try_from(seconds).unwrap_or_default() * 1000)
            };
            Some(CertificateView {
                subject: parsed.subject().to_string(),
                names: names.unwrap_or_default(),
                issuer: parsed.issuer().to_string(),
                not_before: time(parsed.validity().not_before.timestamp()),
                not_after: time(parsed.validity().not_after.timestamp()),
                fingerprint: hex::encode(Sha256::digest(&der)),
                file: path.display().to_string(),
            })
        })
        .collect()
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress([a, b, c, d]) => Some(format!("{a}.{b}.{c}.{d}")),
        GeneralName::IPAddress(bytes) => {
            let bytes: [u8; 16] = (*bytes).try_into().ok()?;
            Some(std::net::Ipv6Addr::from(bytes).to_string())
        }
        _ => None,
    }
}
