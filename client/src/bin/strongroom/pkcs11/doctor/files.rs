//! The files that a configuration names: whether they are there, who may read and change them, and what is in them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use strongroom_client::pkcs11::{Config, LONGEST_LABEL, TokenConfig};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::report::Report;
use crate::moment;

/// A certificate that lapses within so many seconds is warned of: 30 days.
const SOON: i64 = 30 * 24 * 60 * 60;

/// Looks at all that a token names. Whether it can be tried with the appliance.
pub(super) fn of_token(report: &mut Report, token: &TokenConfig) -> bool {
    if token.label.is_empty() || token.label.len() > LONGEST_LABEL {
        report.warning(
            "label",
            format!(
                "applications see {LONGEST_LABEL} bytes of a label, and at least one is needed"
            ),
            "choose another",
        );
    }
    let roots = roots(report, token);
    let account = match token.account_id() {
        Ok(_) => true,
        Err(error) => {
            report.failed(
                "account",
                error.to_string(),
                "put the account's identifier into the member account: strongroom accounts show prints it",
            );
            false
        }
    };
    let secret = secret(report, token);
    let certificate = certificate(report, token);
    roots && account && secret && certificate
}

/// Looks at where the log goes.
pub(super) fn log(report: &mut Report, config: &Config) {
    const SUBJECT: &str = "log";
    if let Some(file) = &config.log.file {
        let shown = file.display();
        let folder = file.parent().unwrap_or(Path::new("/"));
        if !file.is_absolute() {
            relative(report, SUBJECT, file);
        } else if file.is_dir() || !folder.is_dir() {
            report.failed(
                SUBJECT,
                format!("{shown} can be no file: nothing will be logged"),
                "make its folder, or name another file",
            );
        } else if file.exists() && fs::OpenOptions::new().append(true).open(file).is_err() {
            report.warning(
                SUBJECT,
                format!("this user may not add to {shown}: nothing of it will be logged"),
                "let the application's user write it",
            );
        } else {
            report.ok(
                SUBJECT,
                format!("{shown}, level {}", config.log.level.as_str()),
            );
        }
    }
    if config.log.syslog {
        if Path::new("/dev/log").exists() {
            report.ok(
                SUBJECT,
                format!("the system's log, level {}", config.log.level.as_str()),
            );
        } else {
            report.warning(
                SUBJECT,
                "this machine has no system log at /dev/log",
                "name a file in its stead: strongroom pkcs11 configure --log FILE",
            );
        }
    }
}

/// Tells who else may change this file, and what they could do by that.
pub(super) fn tell_if_open_to_change(
    report: &mut Report,
    subject: &str,
    path: &Path,
    danger: &str,
) {
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.mode());
    let shown = path.display();
    let remedy = format!("chmod go-w {shown}");
    if mode & 0o002 != 0 {
        let found =
            format!("{shown} can be changed by everybody on this machine, who could {danger}");
        report.failed(subject, found, remedy);
    } else if mode & 0o020 != 0 {
        let found = format!("{shown} can be changed by its group, who could {danger}");
        report.warning(subject, found, remedy);
    }
}

fn roots(report: &mut Report, token: &TokenConfig) -> bool {
    const SUBJECT: &str = "roots";
    let path = &token.roots;
    let Some(pem) = read(report, SUBJECT, path) else {
        return false;
    };
    let shown = path.display();
    if let Err(error) = strongroom_client::Roots::from_pem(&pem) {
        report.failed(
            SUBJECT,
            format!("{shown}: {error}"),
            "put the site's authority there, in PEM: on the appliance it is tls/ca.pem in the data folder",
        );
        return false;
    }
    tell_if_open_to_change(report, SUBJECT, path, "pass for the appliance");
    let lasting = lasting(&pem);
    match lasting.iter().copied().max() {
        Some(left) if left <= 0 => {
            report.failed(
                SUBJECT,
                format!(
                    "every certificate in {shown} has lapsed, the last one {}",
                    days(left)
                ),
                "bring the authority's new certificate",
            );
        }
        Some(left) if left < SOON => report.warning(
            SUBJECT,
            format!("the last certificate in {shown} lapses {}", days(left)),
            "bring the authority's next certificate in time",
        ),
        _ => report.ok(SUBJECT, format!("{shown}: {}", counted(lasting.len()))),
    }
    true
}

fn secret(report: &mut Report, token: &TokenConfig) -> bool {
    const SUBJECT: &str = "secret";
    let Some(path) = &token.secret else {
        return true;
    };
    if read(report, SUBJECT, path).is_none() {
        return false;
    }
    if let Err(error) = token.read_secret() {
        report.failed(
            SUBJECT,
            error.to_string(),
            "put there the secret that strongroom accounts secret printed, and nothing else",
        );
        return false;
    }
    if private(report, SUBJECT, path) {
        report.ok(SUBJECT, format!("{} holds one", path.display()));
    }
    true
}

fn certificate(report: &mut Report, token: &TokenConfig) -> bool {
    const SUBJECT: &str = "certificate";
    let Some(path) = &token.certificate else {
        if token.key.is_some() {
            report.failed(
                SUBJECT,
                "the token has a private key and no certificate",
                "name the certificate's file in the member certificate",
            );
        }
        return token.key.is_none();
    };
    let key = token.key.as_ref().unwrap_or(path);
    let Some(pem) = read(report, SUBJECT, path) else {
        return false;
    };
    if read(report, SUBJECT, key).is_none() {
        return false;
    }
    if let Err(error) = token.identity() {
        report.failed(
            SUBJECT,
            format!("{} and {}: {error}", path.display(), key.display()),
            "put the certificate, its chain and its private key there, in PEM",
        );
        return false;
    }
    let well_kept = private(report, SUBJECT, key);
    let shown = path.display();
    if let Some(why) = unfit_for_clients(&pem) {
        report.failed(
            SUBJECT,
            format!("the certificate in {shown} {why}"),
            "have the site's authority make one for client authentication",
        );
        return false;
    }
    // A chain is as good as what lapses first.
    match lasting(&pem).into_iter().min() {
        Some(left) if left <= 0 => {
            report.failed(
                SUBJECT,
                format!("the certificate in {shown} lapsed {}", days(left)),
                "have the site's authority make a new one",
            );
            return false;
        }
        Some(left) if left < SOON => report.warning(
            SUBJECT,
            format!("the certificate in {shown} lapses {}", days(left)),
            "have the site's authority make the next one in time",
        ),
        Some(left) if well_kept => {
            report.ok(SUBJECT, format!("{shown} lapses {}", days(left)));
        }
        _ => {}
    }
    true
}

fn read(report: &mut Report, subject: &str, path: &Path) -> Option<zeroize::Zeroizing<Vec<u8>>> {
    if !path.is_absolute() {
        relative(report, subject, path);
    }
    match fs::read(path) {
        Ok(content) => Some(content.into()),
        Err(error) => {
            report.failed(
                subject,
                format!("{} cannot be read: {error}", path.display()),
                "see that the file is there and that the application's user may read it",
            );
            None
        }
    }
}

fn relative(report: &mut Report, subject: &str, path: &Path) {
    report.warning(
        subject,
        format!(
            "{} is looked for in whatever folder the application runs in",
            path.display()
        ),
        "write the whole path",
    );
}

/// Whether a file with a secret in it is for few to read.
fn private(report: &mut Report, subject: &str, path: &Path) -> bool {
    let Ok(metadata) = fs::metadata(path) else {
        return false;
    };
    let shown = path.display();
    if metadata.mode() & 0o006 != 0 {
        report.failed(
            subject,
            format!("everybody on this machine may read or change {shown}"),
            format!("chmod o-rw {shown}, and have a new secret or key made"),
        );
        return false;
    }
    if metadata.mode() & 0o020 != 0 {
        report.warning(
            subject,
            format!("the group of {shown} may change it"),
            format!("chmod g-w {shown}"),
        );
        return false;
    }
    true
}

/// For how many seconds from now the certificates in a PEM text are valid.
fn lasting(pem: &[u8]) -> Vec<i64> {
    let now = now();
    let certificates = CertificateDer::pem_slice_iter(pem).flatten();
    certificates
        .filter_map(|der| lasts_until(&der))
        .map(|end| end - now)
        .collect()
}

/// When a certificate lapses, in seconds since 1970.
pub(super) fn lasts_until(der: &[u8]) -> Option<i64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// Why the first certificate in a PEM text is none to sign in by, if it is none.
fn unfit_for_clients(pem: &[u8]) -> Option<String> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
        return Some("cannot be understood".to_owned());
    };
    let start = certificate.validity().not_before.timestamp() - now();
    if start > 0 {
        return Some(format!("is valid only {}", days(start)));
    }
    let usage = certificate.extended_key_usage().ok().flatten();
    let fit = usage.is_none_or(|usage| usage.value.client_auth || usage.value.any);
    (!fit).then(|| "is not for client authentication".to_owned())
}

/// How far away a moment is, in days.
pub(super) fn days(seconds: i64) -> String {
    match seconds / (24 * 60 * 60) {
        0 if seconds > 0 => "within a day".to_owned(),
        0 => "within the last day".to_owned(),
        1 => "in 1 day".to_owned(),
        -1 => "1 day ago".to_owned(),
        days if days > 0 => format!("in {days} days"),
        days => format!("{} days ago", -days),
    }
}

/// The present moment, in seconds since 1970.
pub(super) fn now() -> i64 {
    i64::try_from(moment::now().as_millis() / 1000).unwrap_or(i64::MAX)
}

fn counted(certificates: usize) -> String {
    match certificates {
        1 => "1 certificate".to_owned(),
        count => format!("{count} certificates"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_told_in_days() {
        const DAY: i64 = 24 * 60 * 60;
        for (seconds, told) in [
            (DAY * 3 + 5, "in 3 days"),
            (DAY, "in 1 day"),
            (5, "within a day"),
            (-5, "within the last day"),
            (-DAY, "1 day ago"),
            (-DAY * 40, "40 days ago"),
        ] {
            assert_eq!(days(seconds), told);
        }
    }
}
