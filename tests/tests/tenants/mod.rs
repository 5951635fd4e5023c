//! What the tests of domains share.

use std::path::PathBuf;

use strongroom_tests::Appliance;

/// The folder of a domain's database.
pub(crate) fn folder_of(appliance: &Appliance, name: &str) -> PathBuf {
    appliance.data().join("domains").join(name)
}

/// The names of the domains.
pub(crate) fn names(appliance: &Appliance) -> Vec<String> {
    let list = appliance.domain(&["list"]).unwrap();
    let domains = list.as_array().unwrap().iter();
    domains
        .map(|domain| domain["name"].as_str().unwrap().to_owned())
        .collect()
}
