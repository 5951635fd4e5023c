use proptest::prelude::*;

use super::*;

/// Any JSON, with names and paths that mean something among the others.
fn value() -> impl Strategy<Value = Value> {
    let address = ("[ab]", "work|home", prop::option::of(any::<bool>())).prop_map(
        |(value, kind, primary)| json!({ "value": value, "type": kind, "primary": primary }),
    );
    let leaf = prop_oneof![
        address.clone(),
        prop::collection::vec(address, 0..3).prop_map(Value::from),
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-zA-Z@. ]{0,6}|True|false".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::vec((path(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn path() -> impl Strategy<Value = String> {
    let whole = prop::sample::select(vec![
        "userName",
        "displayName",
        "name",
        "name.givenName",
        "active",
        "externalId",
        "id",
        "meta",
        "groups",
        "emails",
        "emails.type",
        "emails.primary",
        "emails[value pr].primary",
        "emails[type eq \"work\"]",
        "emails[type eq \"work\" and primary eq true].value",
        "emails[not (value pr)].primary",
        "emails[primary eq true].primary",
        "members",
        "members.value",
        "members[value eq \"m1\"]",
        "title",
        "value",
        "type",
        "primary",
        "urn:ietf:params:scim:schemas:core:2.0:User",
        "urn:ietf:params:scim:schemas:core:2.0:User:displayName",
    ]);
    prop_oneof![8 => whole.prop_map(str::to_owned), 1 => "[a-z.\\[\\]\" ]{0,10}"]
}

fn operation() -> impl Strategy<Value = Value> {
    let op = prop::sample::select(vec!["add", "Replace", "remove"]);
    (op, prop::option::of(path()), value())
        .prop_map(|(op, path, value)| json!({ "op": op, "path": path, "value": value }))
}

/// What holds of every resource that a PATCH leaves behind.
fn check(of: ResourceType, before: &Value, after: &Value) -> Result<(), TestCaseError> {
    let members = after.as_object().unwrap();
    for (name, value) in members {
        let attribute = of.attribute(name);
        prop_assert!(
            attribute.is_some_and(|attribute| attribute.name == name),
            "{}",
            name
        );
        if attribute.unwrap().mutability == Mutability::ReadOnly {
            prop_assert_eq!(value, &before[name]);
        } else {
            // What is written is in the form of the tables already.
            let normal = crate::resource::normal(attribute.unwrap(), value);
            prop_assert_eq!(normal.unwrap(), Some(value.clone()));
        }
    }
    for name in ["id", "schemas", "meta", "groups"] {
        prop_assert_eq!(before.get(name), after.get(name));
    }
    for required in of.required() {
        prop_assert!(members.contains_key(required.name));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn whatever_is_sent_leaves_a_resource(operations in prop::collection::vec(operation(), 1..4)) {
        for (of, before) in [
            (ResourceType::User, user()),
            (ResourceType::Group, group(&["m1", "m2"])),
        ] {
            if let Ok(after) = attempt(of, before.clone(), operations.clone().into()) {
                check(of, &before, &after)?;
            }
        }
    }

    /// The members of a group are a set, and operations on it are those on sets.
    #[test]
    fn members_are_a_set(steps in prop::collection::vec((0..4_usize, prop::collection::btree_set("m[0-9]", 0..4)), 1..12)) {
        let mut model = BTreeSet::new();
        let mut operations = Vec::new();
        for (step, named) in steps {
            let value: Vec<_> = named.iter().map(|member| json!({ "value": member })).collect();
            match step {
                0 => {
                    operations.push(json!({ "op": "add", "path": "members", "value": value }));
                    model.extend(named);
                }
                1 => {
                    operations.push(json!({ "op": "remove", "path": "members", "value": value }));
                    model.retain(|member| !named.contains(member));
                }
                2 => {
                    for member in &named {
                        operations.push(json!({ "op": "remove", "path": format!("members[value eq \"{member}\"]") }));
                    }
                    model.retain(|member| !named.contains(member));
                }
                _ => {
                    operations.push(json!({ "op": "replace", "path": "members", "value": value }));
                    model = named;
                }
            }
        }
        prop_assume!(!operations.is_empty());
        let after = patch_group(&[], operations.into());
        prop_assert_eq!(members(&after), model);
    }
}
