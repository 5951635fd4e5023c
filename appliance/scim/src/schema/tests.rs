#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn published(of: ResourceType) -> Vec<Value> {
    let schema = schema(of, "https://keys.example.com");
    assert_eq!(schema["id"], of.schema());
    schema["attributes"].as_array().unwrap().clone()
}

fn named<'a>(attributes: &'a [Value], name: &str) -> &'a Value {
    attributes
        .iter()
        .find(|attribute| attribute["name"] == name)
        .unwrap()
}

#[test]
fn schemas_say_what_is_done() {
    let users = published(ResourceType::User);
    let user_name = named(&users, "userName");
    assert_eq!(user_name["required"], true);
    assert_eq!(user_name["uniqueness"], "server");
    assert_eq!(user_name["caseExact"], false);
    assert_eq!(named(&users, "groups")["mutability"], "readOnly");
    let groups = published(ResourceType::Group);
    let members = named(&groups, "members");
    assert_eq!(members["multiValued"], true);
    let parts = members["subAttributes"].as_array().unwrap();
    assert_eq!(named(parts, "value")["mutability"], "immutable");
    assert!(
        users
            .iter()
            .all(|attribute| attribute["name"] != "password")
    );
}

/// RFC 7643 section 2.1: names are alike whatever their case, so none may occur twice.
#[test]
fn no_name_occurs_twice() {
    fn check(attributes: &[&Attribute]) {
        let mut names: Vec<_> = attributes
            .iter()
            .map(|attribute| attribute.name.to_lowercase())
            .collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "{names:?}");
        for attribute in attributes {
            check(&attribute.parts().iter().collect::<Vec<_>>());
            assert!(!passes_over(attribute.name) || attribute.name == "schemas");
        }
    }
    for of in ResourceType::ALL {
        check(&COMMON.iter().chain(of.attributes()).collect::<Vec<_>>());
    }
}

#[test]
fn addresses_are_absolute() {
    let base = "https://keys.example.com:8444";
    let config = service_provider_config(base, 1000);
    assert_eq!(config["filter"]["maxResults"], 1000);
    assert_eq!(
        config["meta"]["location"],
        "https://keys.example.com:8444/scim/v2/ServiceProviderConfig"
    );
    let group = resource_type(ResourceType::Group, base);
    assert_eq!(group["endpoint"], "/Groups");
    assert_eq!(group["schema"], GROUP);
}
