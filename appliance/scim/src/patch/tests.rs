#![expect(clippy::unwrap_used, reason = "tests")]

mod properties;

use std::collections::BTreeSet;

use serde_json::json;

use super::*;

const ID: &str = "01996dd5-0000-7000-8000-000000000001";

fn user() -> Value {
    json!({
        "schemas": [ResourceType::User.schema()],
        "id": ID,
        "externalId": "7",
        "userName": "bjensen",
        "name": { "familyName": "Jensen", "givenName": "Barbara" },
        "active": true,
        "emails": [
            { "value": "bjensen@example.com", "type": "work", "primary": true },
            { "value": "babs@home.example", "type": "home" },
        ],
        "groups": [{ "value": "g1", "display": "Staff", "type": "direct" }],
        "meta": { "resourceType": "User", "version": "W/\"1\"" },
    })
}

fn group(members: &[&str]) -> Value {
    let members: Vec<_> = members
        .iter()
        .map(|member| json!({ "value": member, "type": "User" }))
        .collect();
    json!({
        "schemas": [ResourceType::Group.schema()],
        "id": ID,
        "displayName": "Staff",
        "members": members,
        "meta": { "resourceType": "Group" },
    })
}

fn body(operations: Value) -> Value {
    json!({ "schemas": [SCHEMA], "Operations": operations })
}

fn attempt(of: ResourceType, before: Value, operations: Value) -> Result<Value, ScimError> {
    let Value::Object(mut resource) = before else {
        unreachable!()
    };
    Patch::parse(&body(operations))?.apply(of, &mut resource)?;
    Ok(Value::Object(resource))
}

fn patch_user(operations: Value) -> Value {
    attempt(ResourceType::User, user(), operations).unwrap()
}

fn refused(operations: Value) -> ScimType {
    attempt(ResourceType::User, user(), operations)
        .unwrap_err()
        .kind
}

/// The user, but for these attributes; null is absent.
fn user_but(changes: Value) -> Value {
    let mut wanted = user();
    let (Some(wanted_members), Value::Object(changes)) = (wanted.as_object_mut(), changes) else {
        unreachable!()
    };
    for (name, value) in changes {
        if value.is_null() {
            wanted_members.remove(&name);
        } else {
            wanted_members.insert(name, value);
        }
    }
    wanted
}

fn members(group: &Value) -> BTreeSet<String> {
    let members = group["members"].as_array();
    members
        .into_iter()
        .flatten()
        .map(|member| member["value"].as_str().unwrap().to_owned())
        .collect()
}

fn patch_group(before: &[&str], operations: Value) -> Value {
    attempt(ResourceType::Group, group(before), operations).unwrap()
}

/// The bodies that Microsoft documents for Entra ID's provisioning service.
mod entra_id {
    use super::*;

    #[test]
    fn several_attributes_change() {
        let after = patch_user(json!([
            { "op": "Replace", "path": "emails[type eq \"work\"].value", "value": "updated@example.com" },
            { "op": "Replace", "path": "name.familyName", "value": "updatedFamilyName" },
        ]));
        let wanted = user_but(json!({
            "name": { "familyName": "updatedFamilyName", "givenName": "Barbara" },
            "emails": [
                { "value": "updated@example.com", "type": "work", "primary": true },
                { "value": "babs@home.example", "type": "home" },
            ],
        }));
        assert_eq!(after, wanted);
    }

    #[test]
    fn a_user_is_disabled_and_enabled() {
        for value in [json!("False"), json!(false), json!("false")] {
            let operation = json!([{ "op": "Replace", "path": "active", "value": value }]);
            assert_eq!(patch_user(operation), user_but(json!({ "active": false })));
        }
        let operation = json!([{ "op": "Replace", "path": "active", "value": "True" }]);
        let after = attempt(
            ResourceType::User,
            user_but(json!({ "active": false })),
            operation,
        );
        assert_eq!(after.unwrap(), user());
    }

    #[test]
    fn a_user_is_renamed() {
        let after = patch_user(json!([
            { "op": "Replace", "path": "userName", "value": "5b50642d@example.com" },
        ]));
        assert_eq!(
            after,
            user_but(json!({ "userName": "5b50642d@example.com" }))
        );
    }

    #[test]
    fn an_address_that_was_not_there_is_added() {
        let after = patch_user(json!([
            { "op": "Add", "path": "emails[type eq \"other\"].value", "value": "b@example.org" },
        ]));
        assert_eq!(
            after["emails"][2],
            json!({ "type": "other", "value": "b@example.org" })
        );
        assert_eq!(after["emails"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn what_the_default_mapping_has_and_is_not_kept_is_passed_over() {
        let after = patch_user(json!([
            { "op": "Add", "path": "title", "value": "Manager" },
            { "op": "Add", "path": "addresses[type eq \"work\"].formatted", "value": "Here" },
            { "op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "555" },
            { "op": "Add", "path": "roles[primary eq \"True\"].value", "value": "x" },
            { "op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "Sales" },
            { "op": "Replace", "value": {
                "displayName": "Babs",
                "name.givenName": "Babs",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber": "42",
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "manager": "1" },
            } },
        ]));
        let wanted = user_but(json!({
            "displayName": "Babs",
            "name": { "familyName": "Jensen", "givenName": "Babs" },
        }));
        assert_eq!(after, wanted);
    }

    #[test]
    fn a_group_is_renamed() {
        let after = patch_group(
            &["m1"],
            json!([{ "op": "Replace", "path": "displayName", "value": "1879db59" }]),
        );
        assert_eq!(after["displayName"], "1879db59");
        assert_eq!(members(&after), ["m1".to_owned()].into());
    }

    #[test]
    fn members_come_and_go() {
        let after = patch_group(
            &["m1"],
            json!([{ "op": "Add", "path": "members", "value": [{ "$ref": null, "value": "m2" }] }]),
        );
        assert_eq!(members(&after), ["m1".to_owned(), "m2".to_owned()].into());
        let after = patch_group(
            &["m1", "m2"],
            json!([{ "op": "Remove", "path": "members", "value": [{ "$ref": null, "value": "m1" }] }]),
        );
        assert_eq!(members(&after), ["m2".to_owned()].into());
        let after = patch_group(
            &["m1", "m2"],
            json!([{ "op": "Remove", "path": "members[value eq \"m1\"]" }]),
        );
        assert_eq!(members(&after), ["m2".to_owned()].into());
    }
}

/// The bodies that Okta documents.
mod okta {
    use super::*;

    #[test]
    fn a_user_is_deactivated() {
        let after = patch_user(json!([{ "op": "replace", "value": { "active": false } }]));
        assert_eq!(after, user_but(json!({ "active": false })));
    }

    #[test]
    fn a_password_is_refused() {
        let operation = json!([{ "op": "replace", "value": { "password": "correct horse" } }]);
        let error = attempt(ResourceType::User, user(), operation).unwrap_err();
        assert_eq!(error.kind, ScimType::InvalidValue);
        assert!(!error.detail.contains("correct horse"));
    }

    #[test]
    fn a_group_is_renamed_with_its_identifier_repeated() {
        let after = patch_group(
            &["m1"],
            json!([{ "op": "replace", "value": { "id": ID, "displayName": "Test SCIMv2" } }]),
        );
        assert_eq!(after["displayName"], "Test SCIMv2");
        assert_eq!(after["id"], ID);
        assert_eq!(members(&after), ["m1".to_owned()].into());
    }

    #[test]
    fn members_are_exchanged() {
        let after = patch_group(
            &["m1", "m2"],
            json!([
                { "op": "remove", "path": "members[value eq \"m1\"]" },
                { "op": "add", "path": "members", "value": [{ "value": "m3", "display": "test.user@okta.local" }] },
            ]),
        );
        assert_eq!(members(&after), ["m2".to_owned(), "m3".to_owned()].into());
        let after = patch_group(
            &["m1", "m2"],
            json!([{ "op": "replace", "path": "members", "value": [
                { "value": "m3", "display": "a" }, { "value": "m4", "display": "b" },
            ] }]),
        );
        assert_eq!(members(&after), ["m3".to_owned(), "m4".to_owned()].into());
    }
}

#[test]
fn examples_of_the_standard() {
    // RFC 7644 sections 3.5.2.1 to 3.5.2.3.
    let after = patch_user(json!([{ "op": "add", "value": {
        "emails": [{ "value": "babs@jensen.org", "type": "home" }], "displayName": "Babs",
    } }]));
    assert_eq!(after["emails"].as_array().unwrap().len(), 3);
    assert_eq!(after["displayName"], "Babs");

    let after = patch_group(
        &["m1", "m2"],
        json!([{ "op": "remove", "path": "members" }]),
    );
    assert_eq!(after.get("members"), None);

    let after = patch_user(json!([
        { "op": "remove", "path": "emails[type eq \"work\" and value ew \"example.com\"]" },
    ]));
    assert_eq!(
        after["emails"],
        json!([{ "value": "babs@home.example", "type": "home" }])
    );

    let after = patch_user(
        json!([{ "op": "replace", "path": "emails[type eq \"home\"]",
        "value": { "type": "home", "value": "new@home.example", "primary": true } }]),
    );
    assert_eq!(
        after["emails"],
        json!([
            { "value": "bjensen@example.com", "type": "work", "primary": false },
            { "value": "new@home.example", "type": "home", "primary": true },
        ])
    );
}

#[test]
fn one_value_is_primary() {
    let after = patch_user(json!([
        { "op": "replace", "path": "emails[type eq \"home\"].primary", "value": "True" },
    ]));
    assert_eq!(after["emails"][0]["primary"], false);
    assert_eq!(after["emails"][1]["primary"], true);
    let all = json!([{ "op": "replace", "path": "emails.primary", "value": true }]);
    assert_eq!(refused(all), ScimType::InvalidValue);
    let two = json!([{ "op": "replace", "path": "emails", "value": [
        { "value": "a@example.com", "primary": true }, { "value": "b@example.com", "primary": true },
    ] }]);
    assert_eq!(refused(two), ScimType::InvalidValue);
}

#[test]
fn removing_nobody_removes_nobody() {
    for operation in [
        json!({ "op": "remove", "path": "members", "value": [] }),
        json!({ "op": "remove", "path": "members", "value": [{ "value": "m9" }] }),
        json!({ "op": "remove", "path": "members[value eq \"m9\"]" }),
        json!({ "op": "add", "path": "members", "value": [] }),
        json!({ "op": "add", "path": "members", "value": [{ "value": "m1" }] }),
    ] {
        let after = patch_group(&["m1", "m2"], json!([operation]));
        assert_eq!(after, group(&["m1", "m2"]));
    }
}

/// That each of these operations alone is refused for this.
fn check_refusals<const N: usize>(refusals: [(Value, ScimType); N]) {
    for (operation, kind) in refusals {
        assert_eq!(refused(json!([operation.clone()])), kind, "{operation}");
    }
}

#[test]
fn paths_that_lead_nowhere_are_refused() {
    check_refusals([
        // Passwords, however they are spelt.
        (
            json!({ "op": "add", "path": "password", "value": "x" }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "op": "replace", "value": { "Password": "x" } }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "op": "add", "path": "urn:ietf:params:scim:schemas:core:2.0:User:password", "value": "x" }),
            ScimType::InvalidValue,
        ),
        // Paths.
        (
            json!({ "op": "replace", "path": "shoeSize", "value": "44" }),
            ScimType::InvalidPath,
        ),
        (
            json!({ "op": "replace", "path": "name.shoeSize", "value": "44" }),
            ScimType::InvalidPath,
        ),
        (
            json!({ "op": "replace", "path": "userName.first", "value": "44" }),
            ScimType::InvalidPath,
        ),
        (
            json!({ "op": "replace", "path": "emails[shoeSize eq \"44\"].value", "value": "x" }),
            ScimType::InvalidPath,
        ),
        (
            json!({ "op": "remove", "path": "emails[shoeSize ne \"44\"]" }),
            ScimType::InvalidPath,
        ),
        (
            json!({ "op": "replace", "path": "name[familyName eq \"Jensen\"].givenName", "value": "x" }),
            ScimType::InvalidPath,
        ),
        (
            json!({ "op": "replace", "path": "emails[type eq", "value": "x" }),
            ScimType::InvalidPath,
        ),
        (
            json!({ "op": "replace", "path": 7, "value": "x" }),
            ScimType::InvalidPath,
        ),
        (
            json!({ "op": "replace", "value": { "shoeSize": 44 } }),
            ScimType::InvalidPath,
        ),
        // What is the appliance's to set.
        (
            json!({ "op": "replace", "path": "id", "value": "x" }),
            ScimType::Mutability,
        ),
        (
            json!({ "op": "replace", "path": "meta.created", "value": "x" }),
            ScimType::Mutability,
        ),
        (
            json!({ "op": "add", "path": "groups", "value": [{ "value": "g2" }] }),
            ScimType::Mutability,
        ),
        (
            json!({ "op": "remove", "path": "groups[value eq \"g1\"]" }),
            ScimType::Mutability,
        ),
    ]);
}

#[test]
fn values_that_cannot_be_are_refused() {
    check_refusals([
        // What must be there.
        (
            json!({ "op": "remove", "path": "userName" }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "op": "replace", "path": "userName", "value": "" }),
            ScimType::InvalidValue,
        ),
        // Values.
        (
            json!({ "op": "replace", "path": "active", "value": "perhaps" }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "op": "replace", "path": "displayName", "value": 7 }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "op": "replace", "path": "displayName", "value": "x".repeat(1025) }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "op": "replace", "path": "displayName", "value": "a\u{1b}[2J" }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "op": "replace", "value": "x" }),
            ScimType::InvalidValue,
        ),
        // What chooses nothing.
        (json!({ "op": "remove" }), ScimType::NoTarget),
        (
            json!({ "op": "replace", "path": "emails[type eq \"other\"].value", "value": "x" }),
            ScimType::NoTarget,
        ),
        (
            json!({ "op": "add", "path": "emails[type ne \"work\" and type ne \"home\"].value", "value": "x" }),
            ScimType::NoTarget,
        ),
        // What compares nothing.
        (
            json!({ "op": "remove", "path": "emails[primary gt true]" }),
            ScimType::InvalidFilter,
        ),
        (
            json!({ "op": "move", "path": "userName", "value": "x" }),
            ScimType::InvalidSyntax,
        ),
        (
            json!({ "path": "userName", "value": "x" }),
            ScimType::InvalidSyntax,
        ),
    ]);
    // A member comes and goes, and does not become another.
    let becomes =
        json!([{ "op": "replace", "path": "members[value eq \"m1\"].value", "value": "m2" }]);
    let error = attempt(ResourceType::Group, group(&["m1"]), becomes).unwrap_err();
    assert_eq!(error.kind, ScimType::Mutability);
}

#[test]
fn what_is_too_much_is_refused() {
    let deep = format!(
        "emails[{}type pr{}].value",
        "not (".repeat(500),
        ")".repeat(500)
    );
    let operation = json!([{ "op": "remove", "path": deep }]);
    assert_eq!(refused(operation), ScimType::InvalidPath);
    let long = format!("emails[value eq \"{}\"]", "x".repeat(LONGEST));
    let operation = json!([{ "op": "remove", "path": long }]);
    assert_eq!(refused(operation), ScimType::InvalidPath);
    let operation = json!({ "op": "replace", "path": "active", "value": true });
    let many = vec![operation; MOST_OPERATIONS + 1];
    assert_eq!(refused(many.into()), ScimType::InvalidSyntax);
    let addresses: Vec<_> = (0..65)
        .map(|n| json!({ "op": "add", "path": "emails", "value": [{ "value": format!("{n}@example.com") }] }))
        .collect();
    assert_eq!(refused(addresses.into()), ScimType::InvalidValue);
}

#[test]
fn what_is_no_patch_is_refused() {
    for body in [
        json!(null),
        json!([]),
        json!({ "Operations": [{ "op": "remove", "path": "title" }] }),
        json!({ "schemas": [SCHEMA] }),
        json!({ "schemas": [SCHEMA], "Operations": [] }),
        json!({ "schemas": [ResourceType::User.schema()], "Operations": [{ "op": "remove", "path": "title" }] }),
    ] {
        let error = Patch::parse(&body).unwrap_err();
        assert_eq!(error.kind, ScimType::InvalidSyntax, "{body}");
    }
    // A member's name is that whatever its case.
    let body = json!({ "SCHEMAS": [SCHEMA], "operations": [{ "OP": "REMOVE", "Path": "title" }] });
    assert!(Patch::parse(&body).is_ok());
}
