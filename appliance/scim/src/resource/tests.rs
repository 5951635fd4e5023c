#![expect(clippy::unwrap_used, reason = "tests")]

use serde_json::json;

use super::*;

fn read_user(body: &Value) -> Result<Resource, ScimError> {
    read(ResourceType::User, body)
}

#[test]
fn a_user_as_entra_id_makes_it() {
    let body = json!({
        "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
        ],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User_ab6490ee@example.com",
        "active": "True",
        "emails": [{ "primary": true, "type": "work", "value": "Test_User@example.com" }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Given Family", "familyName": "Family", "givenName": "Given" },
        "roles": [],
        "title": "Manager",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Sales" },
    });
    let wanted = json!({
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User_ab6490ee@example.com",
        "active": true,
        "emails": [{ "primary": true, "type": "work", "value": "Test_User@example.com" }],
        "name": { "formatted": "Given Family", "familyName": "Family", "givenName": "Given" },
    });
    assert_eq!(Value::Object(read_user(&body).unwrap()), wanted);
}

#[test]
fn a_user_as_okta_makes_it() {
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
        "userName": "test.user@okta.local",
        "name": { "givenName": "Test", "familyName": "User" },
        "emails": [{ "primary": true, "value": "test.user@okta.local", "type": "work" }],
        "displayName": "Test User",
        "locale": "en-US",
        "externalId": "00ujl29u0le5T6Aj10h7",
        "groups": [],
        "active": true,
    });
    let user = read_user(&body).unwrap();
    assert_eq!(user["displayName"], "Test User");
    assert!(!user.contains_key("locale") && !user.contains_key("groups"));
    // With password synchronisation switched on.
    body["password"] = "1mz050nq".into();
    let error = read_user(&body).unwrap_err();
    assert_eq!(error.kind, ScimType::InvalidValue);
    assert!(error.detail.contains("password") && !error.detail.contains("1mz050nq"));
}

#[test]
fn what_is_no_resource_is_refused() {
    let schemas = [ResourceType::User.schema()];
    for (body, kind) in [
        (json!([]), ScimType::InvalidSyntax),
        (json!({ "userName": "bob" }), ScimType::InvalidSyntax),
        (
            json!({ "schemas": [ResourceType::Group.schema()], "userName": "bob" }),
            ScimType::InvalidSyntax,
        ),
        (json!({ "schemas": schemas }), ScimType::InvalidValue),
        (
            json!({ "schemas": schemas, "userName": null }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "schemas": schemas, "userName": ["bob"] }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "schemas": schemas, "userName": "bob", "name": "Bob" }),
            ScimType::InvalidValue,
        ),
        (
            json!({ "schemas": schemas, "userName": "bob", "emails": [7] }),
            ScimType::InvalidValue,
        ),
    ] {
        assert_eq!(read_user(&body).unwrap_err().kind, kind, "{body}");
    }
    let nameless = json!({ "schemas": [ResourceType::Group.schema()], "displayName": "Staff", "members": [{ "type": "User" }] });
    let error = read(ResourceType::Group, &nameless).unwrap_err();
    assert_eq!(error.kind, ScimType::InvalidValue);
}

#[test]
fn members_are_read_however_they_are_written() {
    for members in [
        json!([{ "value": "m1", "display": "One" }, { "value": "m2" }, { "value": "m2" }]),
        json!(["m1", "m2"]),
    ] {
        let body = json!({ "schemas": [ResourceType::Group.schema()], "displayName": "Staff", "Members": members });
        let group = read(ResourceType::Group, &body).unwrap();
        assert_eq!(
            group["members"],
            json!([{ "value": "m1" }, { "value": "m2" }])
        );
    }
}

fn names(text: &str) -> Vec<String> {
    text.split(',').map(str::to_owned).collect()
}

#[test]
fn an_answer_shows_what_was_asked_for() {
    let user = json!({
        "schemas": [ResourceType::User.schema()],
        "id": "1",
        "userName": "bob",
        "name": { "givenName": "Bob", "familyName": "Jones" },
        "emails": [{ "value": "bob@example.com", "type": "work" }],
    });
    let shown = |only, without| {
        let selection = Selection::new(only, without).unwrap();
        selection.apply(user.as_object().unwrap().clone())
    };
    assert_eq!(shown(None, None), user);
    assert_eq!(
        shown(Some(names("USERNAME, name.givenName")), None),
        json!({
            "schemas": [ResourceType::User.schema()],
            "id": "1",
            "userName": "bob",
            "name": { "givenName": "Bob" },
        })
    );
    assert_eq!(
        shown(
            Some(names(
                "urn:ietf:params:scim:schemas:core:2.0:User:emails.value"
            )),
            None
        ),
        json!({
            "schemas": [ResourceType::User.schema()],
            "id": "1",
            "emails": [{ "value": "bob@example.com" }],
        })
    );
    assert_eq!(
        shown(None, Some(names("id,name,emails.type"))),
        json!({
            "schemas": [ResourceType::User.schema()],
            "id": "1",
            "userName": "bob",
            "emails": [{ "value": "bob@example.com" }],
        })
    );
    let both = Selection::new(Some(names("userName")), Some(names("name"))).unwrap_err();
    assert_eq!(both.kind, ScimType::InvalidValue);
    let without = Selection::new(None, Some(names("members"))).unwrap();
    assert!(!without.shows("members") && without.shows("displayName"));
}
