//! Keys and grants as text for a person.

use std::fmt::Write as _;

use strongroom_wire::key::{Grant, GrantState, Key, KeyPage, Protection, Releasable, Right};

use crate::output::{facts, plain, spelling, spellings, table};
use crate::policy;

/// A page of keys as a table.
pub(super) fn describe_page(page: &KeyPage) -> String {
    if page.keys.is_empty() {
        return "No keys.".to_owned();
    }
    let rows: Vec<_> = page
        .keys
        .iter()
        .map(|key| {
            [
                key.id.to_string(),
                spelling(&key.state),
                key.version.to_string(),
                key.created.to_string(),
                plain(&key.sender),
                plain(&key.recipients.join(", ")),
                plain(&key.label),
            ]
        })
        .collect();
    let heading = [
        "KEY",
        "STATE",
        "VERSION",
        "CREATED",
        "SENDER",
        "RECIPIENTS",
        "LABEL",
    ];
    let mut text = table(heading, &rows);
    if let Some(next) = page.next {
        // Writing to a String does not fail.
        let _ = writeln!(text, "There are more: --after {next}, or --all.");
    }
    text
}

/// What is known of a key, and who has it.
pub(super) fn describe(key: &Key, grants: Option<&[Grant]>) -> String {
    let mut text = facts(&[
        ("key", key.id.to_string()),
        ("label", plain(&key.label)),
        (
            "content type",
            plain(key.content_type.as_deref().unwrap_or_default()),
        ),
        ("algorithm", spelling(&key.algorithm)),
        ("state", spelling(&key.state)),
        ("version", key.version.to_string()),
        ("created", key.created.to_string()),
        ("owner", plain(&key.owner_name)),
        ("sender", plain(&key.sender)),
        ("recipients", plain(&key.recipients.join(", "))),
        (
            "policy",
            key.policy.as_ref().map_or_else(String::new, |policy| {
                policy::describe(policy, Some(key.releases.unwrap_or_default()))
            }),
        ),
        ("restrictions", restrictions(key).join(", ")),
        ("your rights", describe_rights(&key.rights)),
    ]);
    if let Some(grants) = grants {
        let rows: Vec<_> = grants
            .iter()
            .map(|grant| {
                [
                    plain(&grant.grantee_name),
                    match grant.state {
                        GrantState::Active => "active".to_owned(),
                        GrantState::Revoked => "revoked".to_owned(),
                    },
                    grant.created.to_string(),
                    describe_rights(&grant.rights),
                    policy::describe(&grant.policy, Some(grant.releases.unwrap_or_default())),
                ]
            })
            .collect();
        text.push('\n');
        text.push_str(&table(
            ["GRANTEE", "STATE", "SINCE", "RIGHTS", "POLICY"],
            &rows,
        ));
    }
    text
}

/// What nobody lifts.
pub(super) fn restrictions(key: &Key) -> Vec<&'static str> {
    let release = match key.releasable {
        Releasable::ByPolicy => None,
        Releasable::Never => Some("never released"),
        Releasable::NoMore => Some("released no more"),
    };
    let each = key
        .authenticate_each
        .then_some("each use wants a signed request or a sign-in just before it");
    let place = (key.protection == Protection::Hsm).then_some("inside the HSM");
    release.into_iter().chain(each).chain(place).collect()
}

/// Rights as a list, or in one word.
pub(super) fn describe_rights(rights: &[Right]) -> String {
    if Right::ALL.iter().all(|right| rights.contains(right)) {
        return "all".to_owned();
    }
    spellings(rights)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::id::{AccountId, KeyId};
    use strongroom_wire::key::{Algorithm, KeyState, Origin, UsagePolicy};

    use super::*;

    fn key() -> Key {
        Key {
            id: KeyId::generate(),
            algorithm: Algorithm::Aes256,
            state: KeyState::Active,
            label: "report\x1b.pdf".to_owned(),
            content_type: None,
            owner: AccountId::generate(),
            owner_name: "alice@example.com".to_owned(),
            sender: "alice@example.com".to_owned(),
            recipients: vec!["bob@example.com".to_owned(), "eve@example.com".to_owned()],
            version: 2,
            policy: Some(UsagePolicy {
                max_releases: Some(5),
                ..UsagePolicy::default()
            }),
            releases: Some(3),
            created: "2026-11-27T18:00:00Z".parse().unwrap(),
            rights: vec![Right::Release, Right::Administer],
            length: None,
            releasable: Releasable::ByPolicy,
            authenticate_each: false,
            origin: Origin::Generated,
            protection: Protection::Software,
            public_key: None,
        }
    }

    #[test]
    fn a_page_names_every_key_and_where_to_go_on() {
        let key = key();
        let mut page = KeyPage {
            keys: vec![key.clone()],
            next: Some(key.id),
        };
        let text = describe_page(&page);
        assert!(text.contains(&format!("--after {}", key.id)), "{text}");
        assert!(
            text.contains("bob@example.com, eve@example.com  report\u{fffd}.pdf"),
            "{text}"
        );
        page.keys.clear();
        assert_eq!(describe_page(&page), "No keys.");
    }

    #[test]
    fn a_key_is_described_with_what_restricts_it() {
        let text = describe(&key(), None);
        assert!(
            text.contains("policy:       3 of 5 releases used"),
            "{text}"
        );
        assert!(text.contains("your rights:  release, administer"), "{text}");
        assert!(!text.contains("content type"), "{text}");
        assert!(!text.contains('\x1b'));
    }
}
