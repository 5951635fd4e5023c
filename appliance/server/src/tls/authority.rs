//! The private certificate authority (CA) that `init` makes, and the certificates it issues: the server's, and those of clients.
//!
//! A site that has its own CA names its certificate in the configuration instead.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    SanType,
};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::{TlsError, read};

/// How long the CA's certificate is valid.
const CA_LIFETIME: Duration = Duration::days(3650);
/// How long a server certificate is valid: the longest that clients commonly accept is 398 days.
const SERVER_LIFETIME: Duration = Duration::days(397);
/// Certificates are valid from this long ago, for clients whose clocks are late.
const CLOCK_SKEW: Duration = Duration::hours(1);

/// Makes a CA and a server certificate for `names` (host names and IP addresses; the keys are P-256) in `folder`, which exists:
/// `ca.pem`, `ca.key`, `server.pem`, `server.key`. Files that are there are not overwritten: that is an error.
pub(crate) fn create(folder: &Path, name: &str, names: &[String]) -> Result<(), TlsError> {
    let now = OffsetDateTime::now_utc();

    let mut authority = CertificateParams::default();
    authority.not_before = now - CLOCK_SKEW;
    authority.not_after = now + CA_LIFETIME;
    authority.distinguished_name = common_name(&format!("{name} private CA"));
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, new_key()?)?;

    let mut server = CertificateParams::default();
    server.not_before = now - CLOCK_SKEW;
    server.not_after = now + SERVER_LIFETIME;
    server.distinguished_name = common_name(name);
    server.subject_alt_names = names
        .iter()
        .map(|name| subject_alt_name(name))
        .collect::<Result<_, _>>()?;
    server.use_authority_key_identifier_extension = true;
    server.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let server_key = new_key()?;
    let server = server.signed_by(&server_key, &authority)?;

    let write = |file: &str, content: &str| {
        let path = folder.join(file);
        write_new(&path, content).map_err(|source| TlsError::Unwritable { path, source })
    };
    let key_pem = |key: &KeyPair| Zeroizing::new(key.serialize_pem());
    write("ca.key", &key_pem(authority.key()))?;
    write("ca.pem", &authority.pem())?;
    write("server.key", &key_pem(&server_key))?;
    write("server.pem", &server.pem())
}

/// Issues a client certificate by the CA in `folder`, and writes it and its new key (P-256) beside `out`: with the extensions `pem` and `key`.
/// Answers its fingerprint: the SHA-256 of the certificate in hexadecimal digits.
pub(crate) fn issue(
    folder: &Path,
    name: &str,
    uri: Option<&str>,
    days: u16,
    out: &Path,
) -> Result<String, TlsError> {
    let now = OffsetDateTime::now_utc();
    let ca = read("certificate", &folder.join("ca.pem"))?;
    let ca_key = Zeroizing::new(read("private key", &folder.join("ca.key"))?);
    let text = |what, bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| TlsError::Malformed {
            what,
            path: folder.to_owned(),
        })
    };
    let ca_key = KeyPair::from_pem(&Zeroizing::new(text("private key", &ca_key)?))?;
    let authority = Issuer::from_ca_cert_pem(&text("certificate", &ca)?, ca_key)?;

    let mut client = CertificateParams::default();
    client.not_before = now - CLOCK_SKEW;
    client.not_after = now + Duration::days(days.into());
    client.distinguished_name = common_name(name);
    if let Some(uri) = uri {
        client.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    }
    client.use_authority_key_identifier_extension = true;
    client.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = new_key()?;
    let client = client.signed_by(&key, &authority)?;

    let write = |extension: &str, content: &str| {
        let mut path = out.as_os_str().to_owned();
        path.push(extension);
        let path = PathBuf::from(path);
        write_new(&path, content).map_err(|source| TlsError::Unwritable { path, source })
    };
    write(".key", &Zeroizing::new(key.serialize_pem()))?;
    write(".pem", &client.pem())?;
    Ok(hex::encode(Sha256::digest(client.der())))
}

fn new_key() -> Result<KeyPair, rcgen::Error> {
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
