//! The configuration as it was loaded.

use std::path::Path;

use super::device;
use crate::config::Config;

/// The settings, table by table, without anything secret: files with secrets are named, what is in them is not.
#[expect(
    clippy::too_many_lines,
    reason = "a list of settings, one after the other"
)]
pub(super) fn settings(config: &Config) -> Vec<(String, Vec<(String, String)>)> {
    let path = |path: &Path| path.display().to_string();
    let table = |name: &str, settings: Vec<(&str, String)>| {
        let settings = settings.into_iter();
        let settings = settings.map(|(name, value)| (name.to_owned(), value));
        (name.to_owned(), settings.collect::<Vec<_>>())
    };
    let mut tables = vec![
        table(
            "general",
            vec![
                ("data", path(&config.data)),
                ("name", config.name.clone()),
                ("domain", config.domain.clone()),
            ],
        ),
        table(
            "listen",
            vec![
                ("client", config.listen.client.to_string()),
                ("admin", config.listen.admin.to_string()),
            ],
        ),
        table(
            "tls",
            vec![
                ("certificate", path(&config.tls.certificate)),
                ("key", path(&config.tls.key)),
                ("client_ca", path(&config.tls.client_ca)),
                ("client_crl", path(&config.tls.client_crl)),
            ],
        ),
    ];
    for member in config.hsm.members().unwrap_or_default() {
        let mut rows = device(&member.device);
        rows.push(("PIN comes from", member.pin.to_string()));
        rows.push((
            "Deadline in seconds",
            config.hsm.deadline().as_secs().to_string(),
        ));
        tables.push(table(&format!("hsm, the {}", member.place.name()), rows));
    }
    let keystore = &config.keystore;
    let limits = &config.limits;
    let party = config.keystore_options().passkeys;
    tables.extend([
        table(
            "keystore",
            vec![
                ("kek_cache_ttl", keystore.kek_cache_ttl.to_string()),
                ("kek_cache_size", keystore.kek_cache_size.to_string()),
                ("session_lifetime", keystore.session_lifetime.to_string()),
                (
                    "session_idle_lifetime",
                    keystore.session_idle_lifetime.to_string(),
                ),
                (
                    "enrolment_lifetime",
                    keystore.enrolment_lifetime.to_string(),
                ),
                ("clock_skew", keystore.clock_skew.to_string()),
                ("rotation_rate", keystore.rotation_rate.to_string()),
            ],
        ),
        table(
            "limits",
            vec![
                ("body", limits.body.to_string()),
                ("keys_body", limits.keys_body.to_string()),
                ("account_failures", limits.account_failures.to_string()),
                (
                    "account_failure_seconds",
                    limits.account_failure_seconds.to_string(),
                ),
                ("address_failures", limits.address_failures.to_string()),
                (
                    "address_failure_seconds",
                    limits.address_failure_seconds.to_string(),
                ),
            ],
        ),
        table(
            "passkeys",
            vec![("rp_id", party.id), ("origins", party.origins.join(" "))],
        ),
        table(
            "mail",
            vec![
                ("relay", config.mail.relay.clone()),
                ("port", config.mail.port.to_string()),
                ("tls", format!("{:?}", config.mail.tls).to_lowercase()),
                ("from", config.mail.from.clone()),
                ("user", config.mail.user.clone()),
                ("password_file", path(&config.mail.password_file)),
            ],
        ),
        table(
            "audit",
            vec![("checkpoint_file", path(&config.kept_checkpoint()))],
        ),
        table(
            "backup",
            vec![
                ("folder", path(&config.backup.folder)),
                ("every_hours", config.backup.every_hours.to_string()),
                ("keep", config.backup.keep.to_string()),
            ],
        ),
        table("domains", vec![("open", config.domains.open.to_string())]),
        table(
            "log",
            vec![
                ("level", format!("{:?}", config.log.level).to_lowercase()),
                ("format", format!("{:?}", config.log.format).to_lowercase()),
            ],
        ),
    ]);
    if let Some(target) = &config.backup.target {
        tables.push(table(
            "backup.target",
            vec![
                ("url", target.url.clone()),
                ("ca", path(&target.ca)),
                ("certificate", path(&target.certificate)),
                ("key", path(&target.key)),
                ("own_certificate", target.own_certificate.to_string()),
            ],
        ));
    }
    for provider in &config.oidc {
        tables.push(table(
            "oidc",
            vec![
                ("name", provider.name.clone()),
                ("domain", provider.domain.clone()),
                ("issuer", provider.issuer.clone()),
                ("client_id", provider.client_id.clone()),
                ("redirect_uris", provider.redirect_uris.join(" ")),
            ],
        ));
    }
    tables
}
