//! The private certificate authority (CA) that `init` makes, and the certificates it issues: the server's, and those of clients.
//!
//! A site that has its own CA names its certificate in the configuration instead. When the server's is made anew, `renewal` knows.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SanType, SerialNumber,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use sha2::{Digest as _, Sha256};
use strongroom_wire::encoding::Timestamp;
use time::{Duration, OffsetDateTime};
use x509_parser::prelude::{FromDer as _, X509Certificate};
use zeroize::Zeroizing;

use super::renewal::Names;
use super::{TlsError, read};

/// How long the CA's certificate is valid.
const CA_LIFETIME: Duration = Duration::days(3650);
/// How long a server certificate is valid: the longest that clients commonly accept is 398 days.
const SERVER_LIFETIME: Duration = Duration::days(397);
/// Certificates are valid from this long ago, for clients whose clocks are late.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// What the name of every CA that is made here ends with. A site's own, whose files may lie in the same places, is not taken for one.
const CA_NAME: &str = " private CA";
/// The CA's certificate and its key, in their folder, and the server's.
const CA: &str = "ca.pem";
const CA_KEY: &str = "ca.key";
const SERVER: &str = "server.pem";
const SERVER_KEY: &str = "server.key";

/// A server certificate that was made.
pub(crate) struct Made {
    /// It, in PEM.
    pub(crate) pem: String,
    /// SHA-256 of it, in hexadecimal digits.
    pub(crate) fingerprint: String,
    /// When it lapses.
    pub(crate) lapses: Timestamp,
}

/// Makes a CA and a server certificate for `names` (host names and IP addresses; the keys are P-256) in `folder`, which exists:
/// `ca.pem`, `ca.key`, `server.pem`, `server.key`. Files that are there are not overwritten: that is an error.
pub(crate) fn create(folder: &Path, name: &str, names: &Names) -> Result<(), TlsError> {
    let now = OffsetDateTime::now_utc();

    let mut authority = CertificateParams::default();
    authority.not_before = now - CLOCK_SKEW;
    authority.not_after = now + CA_LIFETIME;
    authority.distinguished_name = common_name(&format!("{name}{CA_NAME}"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, new_key()?)?;

    let server_key = new_key()?;
    let server = server_certificate(name, names, now, now + SERVER_LIFETIME)?;
    let server = server.signed_by(&server_key, &authority)?;

    let write = |file: &str, content: &str| {
        let path = folder.join(file);
        write_new(&path, content).map_err(|source| TlsError::Unwritable { path, source })
    };
    let key_pem = |key: &KeyPair| Zeroizing::new(key.serialize_pem());
    write(CA_KEY, &key_pem(authority.key()))?;
    write(CA, &authority.pem())?;
    write(SERVER_KEY, &key_pem(&server_key))?;
    write(SERVER, &server.pem())
}

/// Whether the CA in `folder` was made here, and made this certificate (DER), and is there to make another.
pub(crate) fn has_made(folder: &Path, certificate: &[u8]) -> bool {
    let verify = || {
        let ca = CertificateDer::from_pem_file(folder.join(CA)).ok()?;
        let (_, ca) = X509Certificate::from_der(&ca).ok()?;
        let (_, made) = X509Certificate::from_der(certificate).ok()?;
        let mut names = ca.subject().iter_common_name();
        let is_ours = names.any(|name| name.as_str().is_ok_and(|name| name.ends_with(CA_NAME)));
        let is_named = is_ours && made.issuer().as_raw() == ca.subject().as_raw();
        let verified = made.verify_signature(Some(ca.public_key()));
        Some(is_named && verified.is_ok())
    };
    folder.join(CA_KEY).exists() && verify() == Some(true)
}

/// Makes another server certificate by the CA in `folder`, for the key in this file and for `names`. It lapses with the CA at the latest.
pub(crate) fn renew(
    folder: &Path,
    key: &Path,
    name: &str,
    names: &Names,
) -> Result<Made, TlsError> {
    let now = OffsetDateTime::now_utc();
    let (authority, ca_lapses) = read_authority(folder)?;
    let key = read_key(key)?;
    let lapses = (now + SERVER_LIFETIME).min(ca_lapses);
    let server = server_certificate(name, names, now, lapses)?;
    let server = server.signed_by(&key, &authority)?;
    if !has_made(folder, server.der()) {
        return Err(TlsError::Malformed {
            what: "private key of the certificate beside it",
            path: folder.join(CA_KEY),
        });
    }
    let seconds = u64::try_from(lapses.unix_timestamp()).unwrap_or(0);
    Ok(Made {
        pem: server.pem(),
        fingerprint: hex::encode(Sha256::digest(server.der())),
        lapses: Timestamp::from_millis(seconds.saturating_mul(1000)),
    })
}

/// What a certificate that is issued is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose<'a> {
    /// A client, which may be known by a URI.
    Client(Option<&'a str>),
    /// A server of these host names and addresses, beside the appliance's own.
    Server(&'a Names),
}

/// Issues a certificate by the CA in `folder`, and writes it and its new key (P-256) beside `out`: with the extensions `pem` and `key`.
/// Answers its fingerprint: the SHA-256 of the certificate in hexadecimal digits.
pub(crate) fn issue(
    folder: &Path,
    name: &str,
    purpose: Purpose<'_>,
    days: u16,
    out: &Path,
) -> Result<String, TlsError> {
    let now = OffsetDateTime::now_utc();
    let (authority, ca_lapses) = read_authority(folder)?;
    let lapses = now + Duration::days(days.into());
    let issued = match purpose {
        Purpose::Client(uri) => client_certificate(name, uri, now, lapses)?,
        Purpose::Server(names) => server_certificate(name, names, now, lapses.min(ca_lapses))?,
    };
    let key = new_key()?;
    let issued = issued.signed_by(&key, &authority)?;

    let write = |extension: &str, content: &str| {
        let mut path = out.as_os_str().to_owned();
        path.push(extension);
        let path = PathBuf::from(path);
        write_new(&path, content).map_err(|source| TlsError::Unwritable { path, source })
    };
    write(".key", &Zeroizing::new(key.serialize_pem()))?;
    write(".pem", &issued.pem())?;
    Ok(hex::encode(Sha256::digest(issued.der())))
}

/// What a client certificate says.
pub(super) fn client_certificate(
    name: &str,
    uri: Option<&str>,
    now: OffsetDateTime,
    lapses: OffsetDateTime,
) -> Result<CertificateParams, TlsError> {
    let mut client = CertificateParams::default();
    client.not_before = now - CLOCK_SKEW;
    client.not_after = lapses;
    client.distinguished_name = common_name(name);
    if let Some(uri) = uri {
        client.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    }
    client.use_authority_key_identifier_extension = true;
    client.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(client)
}

/// The CA in `folder`, and when it lapses.
pub(super) fn read_authority(
    folder: &Path,
) -> Result<(Issuer<'static, KeyPair>, OffsetDateTime), TlsError> {
    let path = folder.join(CA);
    let malformed = || TlsError::Malformed {
        what: "certificate",
        path: path.clone(),
    };
    let ca = read("certificate", &path)?;
    let ca = CertificateDer::from_pem_slice(&ca).map_err(|_| malformed())?;
    let lapses = {
        let (_, ca) = X509Certificate::from_der(&ca).map_err(|_| malformed())?;
        ca.validity().not_after.to_datetime()
    };
    let key = read_key(&folder.join(CA_KEY))?;
    Ok((Issuer::from_ca_cert_der(&ca, key)?, lapses))
}

pub(super) fn read_key(path: &Path) -> Result<KeyPair, TlsError> {
    let pem = Zeroizing::new(read("private key", path)?);
    let malformed = |_| TlsError::Malformed {
        what: "private key",
        path: path.to_owned(),
    };
    Ok(KeyPair::from_pem(str::from_utf8(&pem).map_err(malformed)?)?)
}

/// What a server certificate says.
fn server_certificate(
    name: &str,
    names: &Names,
    now: OffsetDateTime,
    lapses: OffsetDateTime,
) -> Result<CertificateParams, TlsError> {
    let mut server = CertificateParams::default();
    server.serial_number = Some(serial_number()?);
    server.not_before = now - CLOCK_SKEW;
    server.not_after = lapses;
    server.distinguished_name = common_name(name);
    server.subject_alt_names = names
        .iter()
        .map(|name| subject_alt_name(name))
        .collect::<Result<_, _>>()?;
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(server)
}

/// Another one for each certificate (RFC 5280 section 4.1.2.2): without it, two for one key would have the same, which browsers refuse.
fn serial_number() -> Result<SerialNumber, TlsError> {
    let mut number = [0; 16];
    getrandom::fill(&mut number)?;
    // Positive, and of its full length.
    number[0] = number[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&number))
}

pub(super) fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

fn common_name(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn subject_alt_name(name: &str) -> Result<SanType, rcgen::Error> {
    Ok(match name.parse::<IpAddr>() {
        Ok(address) => SanType::IpAddress(address),
        Err(_) => SanType::DnsName(name.try_into()?),
    })
}

fn write_new(path: &Path, content: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use super::*;
    use crate::tls::always;

    #[test]
    fn a_server_certificate_is_made_anew_for_other_names_and_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        create(folder, "vault.example", &always("vault.example", &[])).unwrap();
        let der = |pem: &str| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        let first = der(&fs::read_to_string(folder.join(SERVER)).unwrap());
        assert!(has_made(folder, &first));
        let names = Names::from(["10.0.5.10", "keys.example"].map(str::to_owned));
        let key = folder.join(SERVER_KEY);
        let made = renew(folder, &key, "vault.example", &names).unwrap();
        let second = der(&made.pem);
        assert!(has_made(folder, &second));
        assert_eq!(made.fingerprint, hex::encode(Sha256::digest(&second)));
        let parse = |der| X509Certificate::from_der(der).unwrap().1;
        assert_eq!(
            parse(&first).public_key().raw,
            parse(&second).public_key().raw
        );
        assert_ne!(parse(&first).serial, parse(&second).serial);

        // Another authority of the same name does not take it for its own.
        let other = tempfile::tempdir().unwrap();
        create(other.path(), "vault.example", &names).unwrap();
        assert!(!has_made(other.path(), &second));
        // Without its key there is none, and with another's nothing is made.
        fs::copy(other.path().join(CA_KEY), folder.join(CA_KEY)).unwrap();
        assert!(renew(folder, &key, "vault.example", &names).is_err());
        fs::remove_file(folder.join(CA_KEY)).unwrap();
        assert!(!has_made(folder, &second));
    }

    #[test]
    fn a_sites_own_authority_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        authority.distinguished_name = common_name("Example Ltd CA");
        let authority = CertifiedIssuer::self_signed(authority, new_key().unwrap()).unwrap();
        fs::write(folder.join(CA), authority.pem()).unwrap();
        fs::write(folder.join(CA_KEY), authority.key().serialize_pem()).unwrap();
        let now = OffsetDateTime::now_utc();
        let params = server_certificate("keys", &Names::new(), now, now + Duration::days(30));
        let brought = params.unwrap().signed_by(&new_key().unwrap(), &authority);
        assert!(!has_made(folder, brought.unwrap().der()));
    }
}
