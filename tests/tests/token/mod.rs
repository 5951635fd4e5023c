//! The module's token over a real appliance, without the C interface.

use std::fs;
use std::sync::Arc;

use strongroom_client::pkcs11::ANSWERS_WITHIN;
use strongroom_pkcs11::config::TokenConfig;
use strongroom_pkcs11::https::connect;
use strongroom_pkcs11::token::Token;
use strongroom_tests::Appliance;
use strongroom_tests::device::Device;
use strongroom_wire::key::Protection;
use tempfile::TempDir;

/// The token of a service account, which signs in by itself as long as the folder is there.
pub(crate) fn of(appliance: &Appliance, service: &Device) -> (Arc<dyn Token>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    fs::write(&file, service.secret.to_text().as_bytes()).unwrap();
    let token = connect(&TokenConfig {
        label: "web".to_owned(),
        addresses: vec![appliance.client_url()],
        roots: appliance.ca().clone(),
        account: Some(service.account.to_string()),
        certificate: None,
        key: None,
        secret: Some(file),
        domain: None,
        answers_within: ANSWERS_WITHIN,
        protection: Protection::Software,
    });
    (token.unwrap(), folder)
}
