#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn user() -> Resource {
    let user = json!({
        "schemas": [ResourceType::User.schema()],
        "id": "01996dd5-0000-7000-8000-000000000001",
        "externalId": "Ext-7",
        "userName": "bjensen",
        "name": { "familyName": "O'Malley", "givenName": "Barbara" },
        "active": true,
        "emails": [
            { "value": "bjensen@example.com", "type": "work", "primary": true },
            { "value": "babs@home.example", "type": "home" },
        ],
        "meta": { "resourceType": "User", "lastModified": "2011-05-13T04:42:34Z" },
    });
    user.as_object().unwrap().clone()
}

fn chooses(text: &str) -> bool {
    let filter = Filter::parse(ResourceType::User, text).unwrap();
    filter.chooses(&user()).unwrap()
}

fn refused(text: &str) -> ScimType {
    Filter::parse(ResourceType::User, text).unwrap_err().kind
}

#[test]
fn examples_of_the_standard() {
    // RFC 7644 section 3.4.2.2, figure 1. What is not kept (title, userType, ims) has no value.
    for (filter, chosen) in [
        (r#"userName Eq "bjensen""#, true),
        (r#"Username eq "bjensen""#, true),
        (r#"userName eq "john""#, false),
        (r#"name.familyName co "O'Malley""#, true),
        (r#"userName sw "B""#, true),
        (r#"userName sw "J""#, false),
        (
            r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "B""#,
            true,
        ),
        ("title pr", false),
        (r#"meta.lastModified gt "2011-05-13T04:42:34Z""#, false),
        (r#"meta.lastModified ge "2011-05-13T04:42:34Z""#, true),
        (r#"meta.lastModified lt "2011-05-13T04:42:34Z""#, false),
        (r#"meta.lastModified le "2011-05-13T04:42:34Z""#, true),
        (r#"title pr and userType eq "Employee""#, false),
        (r#"title pr or userType eq "Intern""#, false),
        (
            r#"schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User""#,
            false,
        ),
        (
            r#"schemas eq "urn:ietf:params:scim:schemas:core:2.0:User""#,
            true,
        ),
        (
            r#"userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")"#,
            false,
        ),
        (
            r#"userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")"#,
            false,
        ),
        (
            r#"userType ne "Employee" and not (emails co "example.net" or emails.value co "example.org")"#,
            true,
        ),
        (
            r#"userType ne "Employee" and (emails.type eq "work")"#,
            true,
        ),
        (
            r#"userType ne "Employee" and emails[type eq "work" and value co "@example.com"]"#,
            true,
        ),
        (
            r#"emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]"#,
            true,
        ),
    ] {
        assert_eq!(chooses(filter), chosen, "{filter}");
    }
}

#[test]
fn brackets_are_about_one_value() {
    assert!(chooses(
        r#"emails.type eq "home" and emails.value co "example.com""#
    ));
    assert!(!chooses(
        r#"emails[type eq "home" and value co "example.com"]"#
    ));
    assert!(chooses(
        r#"emails[type eq "home" and not (primary eq true)]"#
    ));
    assert!(!chooses(
        r#"emails[not (type eq "home" or type eq "work")]"#
    ));
}

#[test]
fn and_binds_closer_than_or_and_not_closest() {
    assert!(chooses("userName pr or title pr and title pr"));
    assert!(!chooses("(userName pr or title pr) and title pr"));
    assert!(chooses("not (title pr) and userName pr"));
    assert!(!chooses("not (title pr or userName pr)"));
}

#[test]
fn case_counts_where_the_schema_says_so() {
    assert!(chooses(r#"userName eq "BJENSEN""#));
    assert!(chooses(r#"externalId eq "Ext-7""#));
    assert!(!chooses(r#"externalId eq "ext-7""#));
}

#[test]
fn what_is_absent_has_no_value() {
    for (filter, chosen) in [
        ("displayName pr", false),
        ("displayName eq null", true),
        ("displayName ne null", false),
        (r#"displayName ne "x""#, true),
        ("title eq null", true),
        ("title ne null", false),
        (r#"name.nothing ne "x""#, true),
        ("name.nothing ne null", false),
        (r#"emails[nothing eq "x"]"#, false),
        (r#"emails[nothing ne "x"]"#, true),
        // The other type's schema is not this one's.
        (
            r#"urn:ietf:params:scim:schemas:core:2.0:Group:userName eq "bjensen""#,
            false,
        ),
    ] {
        assert_eq!(chooses(filter), chosen, "{filter}");
    }
}

#[test]
fn moments_are_compared_as_such() {
    assert!(chooses(
        r#"meta.lastModified eq "2011-05-13T06:42:34+02:00""#
    ));
    assert!(chooses(
        r#"meta.lastModified lt "2011-05-13T04:42:34.001Z""#
    ));
}

#[test]
fn truth_is_written_either_way() {
    assert!(chooses("active eq true"));
    // Entra ID.
    assert!(chooses(r#"active eq "True""#));
    assert!(!chooses(r#"active eq "False""#));
}

#[test]
fn comparisons_that_mean_nothing_are_refused_whatever_the_resource() {
    for filter in [
        "userName eq 3",
        "userName eq true",
        "userName gt null",
        "active gt true",
        r#"active eq "perhaps""#,
        r#"meta.lastModified gt "yesterday""#,
        r#"meta.lastModified co "2011""#,
        // Also where the first operand has decided.
        r"userName pr or userName eq 3",
        r#"emails[type eq "other" and primary gt true]"#,
        "ims pr and emails[value eq 3]",
    ] {
        assert_eq!(refused(filter), ScimType::InvalidFilter, "{filter}");
    }
}

#[test]
fn what_is_no_filter_or_too_much_of_one_is_refused() {
    let deep = format!("{}userName pr{}", "not (".repeat(500), ")".repeat(500));
    let wide = vec!["id pr"; 1025].join(" or ");
    let long = format!(r#"userName eq "{}""#, "x".repeat(LONGEST));
    for filter in [
        "",
        "userName",
        "userName eq",
        r#"userName is "x""#,
        r#"userName eq "x" and"#,
        "(userName pr",
        r#"emails[type eq "work""#,
        &deep,
        &wide,
        &long,
    ] {
        let error = Filter::parse(ResourceType::User, filter).unwrap_err();
        assert_eq!(error.kind, ScimType::InvalidFilter, "{filter}");
        assert!(!error.detail.contains("userName"), "nothing is repeated");
    }
    let within = format!("{}userName pr{}", "not (".repeat(30), ")".repeat(30));
    assert!(chooses(&within));
}

#[test]
fn look_ups_are_told_from_searches() {
    let lookup = |of, text| Filter::parse(of, text).unwrap().lookup();
    let user = |text| lookup(ResourceType::User, text);
    assert_eq!(
        user(r#"userName eq "Bob@Example.com""#),
        Some(Lookup::Name("Bob@Example.com".to_owned()))
    );
    assert_eq!(
        user(r#"urn:ietf:params:scim:schemas:core:2.0:User:externalid eq "7""#),
        Some(Lookup::ExternalId("7".to_owned()))
    );
    assert_eq!(user(r#"id eq "7""#), Some(Lookup::Id("7".to_owned())));
    assert_eq!(
        lookup(ResourceType::Group, r#"displayName eq "Staff""#),
        Some(Lookup::Name("Staff".to_owned()))
    );
    for other in [
        r#"displayName eq "Bob""#,
        r#"userName sw "bob""#,
        r#"userName eq "bob" or userName eq "eve""#,
        r#"not (userName eq "bob")"#,
        r#"urn:ietf:params:scim:schemas:core:2.0:Group:userName eq "bob""#,
    ] {
        assert_eq!(user(other), None, "{other}");
    }
}

#[test]
fn what_a_filter_looks_at() {
    let filter = Filter::parse(ResourceType::Group, r#"Members[value eq "1"]"#).unwrap();
    assert!(filter.mentions("members"));
    let filter = Filter::parse(ResourceType::Group, r#"displayName sw "s""#).unwrap();
    assert!(!filter.mentions("members"));
}

/// A filter of which it is known whether it holds.
#[derive(Debug, Clone)]
enum Known {
    Atom(bool),
    Not(Box<Known>),
    And(Box<Known>, Box<Known>),
    Or(Box<Known>, Box<Known>),
}

impl Known {
    fn holds(&self) -> bool {
        match self {
            Self::Atom(holds) => *holds,
            Self::Not(inner) => !inner.holds(),
            Self::And(a, b) => a.holds() && b.holds(),
            Self::Or(a, b) => a.holds() || b.holds(),
        }
    }

    /// With no more brackets than precedence needs.
    fn text(&self) -> String {
        match self {
            Self::Atom(true) => r#"userName eq "bjensen""#.to_owned(),
            Self::Atom(false) => "title pr".to_owned(),
            Self::Not(inner) => format!("not ({})", inner.text()),
            Self::And(a, b) => format!("{} and {}", a.factor(), b.factor()),
            Self::Or(a, b) => format!("{} or {}", a.text(), b.text()),
        }
    }

    fn factor(&self) -> String {
        match self {
            Self::Or(..) => format!("({})", self.text()),
            _ => self.text(),
        }
    }
}

fn known() -> impl Strategy<Value = Known> {
    any::<bool>()
        .prop_map(Known::Atom)
        .prop_recursive(5, 32, 2, |inner| {
            let pair = || {
                (
                    inner.clone().prop_map(Box::new),
                    inner.clone().prop_map(Box::new),
                )
            };
            prop_oneof![
                inner.clone().prop_map(Box::new).prop_map(Known::Not),
                pair().prop_map(|(a, b)| Known::And(a, b)),
                pair().prop_map(|(a, b)| Known::Or(a, b)),
            ]
        })
}

proptest! {
    #[test]
    fn a_filter_holds_as_logic_says(known in known()) {
        prop_assert_eq!(chooses(&known.text()), known.holds(), "{}", known.text());
    }

    #[test]
    fn a_filter_and_its_negation_part_the_resources(known in known()) {
        let text = known.text();
        prop_assert_ne!(chooses(&text), chooses(&format!("not ({text})")));
    }

    #[test]
    fn texts_are_compared_as_texts(value in "[a-z]{1,8}", wanted in "[a-z]{1,8}") {
        let resource = Resource::from_iter([("userName".to_owned(), value.clone().into())]);
        for (operator, chosen) in [
            ("eq", value == wanted),
            ("ne", value != wanted),
            ("co", value.contains(&wanted)),
            ("sw", value.starts_with(&wanted)),
            ("ew", value.ends_with(&wanted)),
            ("gt", value > wanted),
            ("ge", value >= wanted),
            ("lt", value < wanted),
            ("le", value <= wanted),
        ] {
            let text = format!(r#"userName {operator} "{wanted}""#);
            let filter = Filter::parse(ResourceType::User, &text).unwrap();
            prop_assert_eq!(filter.chooses(&resource).unwrap(), chosen, "{}", text);
        }
    }

    /// Whatever is read as a filter can be asked of any resource.
    #[test]
    fn no_text_does_harm(text in r#"[ ()\[\]."a-z:0-9]{0,40}|(userName|emails|active|not|\(|\)|\[|\]| |eq|pr|and|or|"x"|true|\.type){0,12}"#) {
        for of in ResourceType::ALL {
            if let Ok(filter) = Filter::parse(of, &text) {
                prop_assert!(filter.chooses(&user()).is_ok(), "{}", text);
                // What is looked up by an index is a comparison, which the filter then decides.
                prop_assert!(filter.lookup().is_none() || text.to_lowercase().contains("eq"));
            }
        }
    }
}
