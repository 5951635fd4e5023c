//! Identities at OpenID providers: whose account they open, and which groups they bring.

use std::collections::BTreeSet;

use rusqlite::Connection;
use strongroom_keystore::Error;
use strongroom_keystore::identities::{Claimed, ClaimedGroups, IdentityRules};
use strongroom_session::oidc;
use strongroom_session::passkey::{EphemeralKey, SealedTransportKey};
use strongroom_wire::account::{AccountState, Role, UpdateAccount};
use strongroom_wire::audit::{Act, Record, RecordQuery};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::SignInId;
use strongroom_wire::session::SignInStrength;

use crate::house::{House, PASSWORD, Person, SOURCE, enrol, entered, sign_in};
use crate::rotation::{finish, group, id_of, share_with};
use crate::second_factor::set_up;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "an_identity_opens_a_session_with_a_transport_key",
        an_identity_opens_a_session_with_a_transport_key,
    ),
    (
        "a_name_takes_no_account_that_somebody_holds",
        a_name_takes_no_account_that_somebody_holds,
    ),
    (
        "a_pending_account_is_its_names_once",
        a_pending_account_is_its_names_once,
    ),
    (
        "holders_link_and_unlink_their_accounts",
        holders_link_and_unlink_their_accounts,
    ),
    (
        "who_may_not_sign_in_may_not_by_an_identity",
        who_may_not_sign_in_may_not_by_an_identity,
    ),
    (
        "a_provider_gives_and_takes_what_is_its_own",
        a_provider_gives_and_takes_what_is_its_own,
    ),
    ("edited_links_open_nothing", edited_links_open_nothing),
];

const ISSUER: &str = "https://login.example.com";
const OPEN: IdentityRules = IdentityRules {
    create: true,
    link_pending: true,
};
const CLOSED: IdentityRules = IdentityRules {
    create: false,
    link_pending: false,
};

fn claimed(subject: &str, name: &str) -> Claimed {
    Claimed {
        issuer: ISSUER.to_owned(),
        subject: subject.to_owned(),
        name: Some(name.to_owned()),
        groups: None,
        strength: SignInStrength::Password,
        authenticated: None,
    }
}

fn open(house: &House, claimed: Claimed, rules: IdentityRules) -> Result<Person, Error> {
    let (key, sign_in) = (EphemeralKey::generate(), SignInId::generate());
    let opened = house
        .keystore
        .open_by_identity(SOURCE, sign_in, key.public().to_vec(), claimed, rules)
        .map_err(|refusal| {
            let leafless = matches!(refusal.error, Error::Store(_));
            assert!(refusal.leaf.is_some() || leafless, "{refusal}");
            refusal.error
        })?;
    let sealed = SealedTransportKey {
        encapsulated: opened.transport_key.encapsulated.0,
        ciphertext: opened.transport_key.ciphertext.0,
    };
    let transport = oidc::open(&key, sign_in, opened.signed_in.session, &sealed).unwrap();
    Ok(entered(opened.signed_in, transport))
}

#[track_caller]
fn assert_refused(opened: Result<Person, Error>, why: &str) {
    match opened.err() {
        Some(Error::IdentityRefused(reason)) => assert!(reason.contains(why), "{reason}"),
        other => panic!("{other:?}"),
    }
}

/// The leaves that somebody may see, the newest first.
fn leaves(house: &House, person: &Person) -> Vec<Record> {
    let query = RecordQuery::default();
    let page = house.keystore.records(&person.presented, query).unwrap();
    page.records
}

fn an_identity_opens_a_session_with_a_transport_key() {
    let house = House::new("identities-open");
    let bob = house.person("bob");
    assert_refused(
        open(&house, claimed("1", "alice@example.com"), CLOSED),
        "no account is linked",
    );
    let alice = open(&house, claimed("1", "Alice@Example.com"), OPEN).unwrap();
    assert_eq!(alice.name, "alice@example.com");
    let acts: Vec<Act> = leaves(&house, &alice).iter().map(|leaf| leaf.act).collect();
    assert_eq!(
        acts,
        [Act::SessionOpen, Act::IdentityLink, Act::IdentityCreate]
    );
    let (key, material) = house.key(&bob, &[&alice]);
    assert_eq!(house.release(&alice, key).unwrap(), material);

    // Afterwards the subject decides, whatever the name.
    let renamed = open(&house, claimed("1", "bob"), CLOSED).unwrap();
    assert_eq!(renamed.name, "alice@example.com");
    assert_eq!(house.release(&renamed, key).unwrap(), material);
    assert_refused(
        open(&house, claimed("2", "alice@example.com"), OPEN),
        "held already",
    );
    let mut elsewhere = claimed("1", "alice@example.com");
    "https://other.example.com".clone_into(&mut elsewhere.issuer);
    assert_refused(open(&house, elsewhere, OPEN), "held already");
    let mut nameless = claimed("3", "");
    nameless.name = None;
    assert_refused(open(&house, nameless, OPEN), "no name");
    assert_refused(open(&house, claimed("3", "two words"), OPEN), "no name");

    // A session is confirmed when its holder signed in at the provider, which may be before it was opened.
    let mut earlier = claimed("1", "alice@example.com");
    earlier.authenticated = Some(Timestamp::from_millis(house.now().as_millis() - 600_000));
    earlier.strength = SignInStrength::TwoFactor;
    let again = open(&house, earlier.clone(), CLOSED).unwrap();
    let sessions = house.keystore.sessions(&again.presented).unwrap().sessions;
    let current = sessions.iter().find(|session| session.current).unwrap();
    assert_eq!(Some(current.confirmed), earlier.authenticated);
    assert_eq!(current.strength, SignInStrength::TwoFactor);
}

fn a_name_takes_no_account_that_somebody_holds() {
    let house = House::new("identities-names");
    let alice = house.person("alice");
    let _team = group(&house, &alice, &[]);
    assert_refused(open(&house, claimed("1", "alice"), OPEN), "held already");
    assert_refused(
        open(&house, claimed("1", "ADMIN@example.com "), OPEN),
        "held already",
    );
    assert_refused(open(&house, claimed("1", "team"), OPEN), "not a person's");
    house.invite("officer", &[Role::SecurityOfficer]);
    assert_refused(open(&house, claimed("1", "officer"), OPEN), "has a role");
    // The holder sees who tried.
    let seen = leaves(&house, &alice);
    let tried = seen.iter().find(|leaf| !leaf.done).unwrap();
    assert_eq!(tried.act, Act::SessionOpen);
    let note = tried.note.as_deref().unwrap();
    assert!(
        note.starts_with("sign-in-refused: the account of this name"),
        "{note}"
    );
}

fn a_pending_account_is_its_names_once() {
    let house = House::new("identities-pending");
    let code = house.invite("bob", &[]);
    assert_refused(
        open(&house, claimed("1", "bob"), CLOSED),
        "link no pending accounts",
    );
    let bob = open(&house, claimed("1", "bob"), OPEN).unwrap();
    assert_eq!(bob.name, "bob");
    // The administrator's code is of no use any more, and neither is the name.
    let enrolled = enrol(&house.keystore, "bob", &code, PASSWORD);
    assert!(matches!(enrolled, Err(Error::EnrolmentRefused)));
    assert_refused(open(&house, claimed("2", "bob"), OPEN), "held already");
}

fn holders_link_and_unlink_their_accounts() {
    let house = House::new("identities-links");
    let (alice, bob) = (house.person("alice"), house.person("bob"));
    let keystore = &house.keystore;
    assert_eq!(
        keystore.begin_identity_link(&alice.presented).unwrap(),
        id_of(&house, &alice)
    );
    keystore
        .link_identity(&alice.presented, claimed("1", "whoever"))
        .unwrap();
    let refused = |linked: Result<_, strongroom_keystore::Refusal>| {
        let linked: Result<strongroom_wire::account::Done, _> = linked;
        matches!(linked.unwrap_err().error, Error::Conflict(_))
    };
    // One identity, one account; one account, one identity of a provider.
    assert!(refused(
        keystore.link_identity(&bob.presented, claimed("1", "bob"))
    ));
    assert!(refused(
        keystore.link_identity(&alice.presented, claimed("2", "alice"))
    ));
    let by_identity = open(&house, claimed("1", "bob"), CLOSED).unwrap();
    assert_eq!(by_identity.name, "alice");
    let identities = keystore.identities(&alice.presented).unwrap().identities;
    assert_eq!(identities.len(), 1);
    assert_eq!(
        (
            identities[0].issuer.as_str(),
            identities[0].subject.as_str()
        ),
        (ISSUER, "1")
    );
    assert_eq!(identities[0].used, Some(house.now()));

    keystore
        .unlink_identity(&alice.presented, ISSUER.to_owned())
        .unwrap();
    let again = keystore.unlink_identity(&alice.presented, ISSUER.to_owned());
    assert!(matches!(again.unwrap_err().error, Error::IdentityNotFound));
    assert_refused(open(&house, claimed("1", "alice"), OPEN), "held already");
    // Who has nothing else keeps the identity.
    let carol = open(&house, claimed("3", "carol"), OPEN).unwrap();
    assert!(refused(
        keystore.unlink_identity(&carol.presented, ISSUER.to_owned())
    ));
}

fn who_may_not_sign_in_may_not_by_an_identity() {
    let house = House::new("identities-states");
    let alice = open(&house, claimed("1", "alice"), OPEN).unwrap();
    let id = id_of(&house, &alice);
    let state = |state| UpdateAccount {
        state: Some(state),
        roles: None,
    };
    let update = |change| {
        let changed = house
            .keystore
            .update_account(&house.admin.presented, id, change);
        changed.unwrap()
    };
    update(state(AccountState::Suspended));
    assert_refused(open(&house, claimed("1", "alice"), OPEN), "may not sign in");
    update(state(AccountState::Active));
    let _ = open(&house, claimed("1", "alice"), OPEN).unwrap();

    // An account with a second factor wants one at the provider, too.
    let bob = house.person("bob");
    house
        .keystore
        .link_identity(&bob.presented, claimed("2", "bob"))
        .unwrap();
    let _ = open(&house, claimed("2", "bob"), OPEN).unwrap();
    set_up(&house, &bob);
    assert_refused(open(&house, claimed("2", "bob"), OPEN), "second factor");
    let mut strong = claimed("2", "bob");
    strong.strength = SignInStrength::TwoFactor;
    let _ = open(&house, strong, OPEN).unwrap();
}

fn a_provider_gives_and_takes_what_is_its_own() {
    let house = House::new("identities-groups");
    let (owner, manual) = (house.person("owner"), house.person("manual"));
    let keystore = &house.keystore;
    let team = group(&house, &owner, &[&manual]);
    keystore
        .link_identity(&manual.presented, claimed("manual", ""))
        .unwrap();
    let with = |subject: &str, held: &[&str]| {
        let mut claimed = claimed(subject, subject);
        claimed.groups = Some(ClaimedGroups {
            mapped: vec!["Team".to_owned(), "nowhere".to_owned()],
            held: held.iter().map(|name| (*name).to_owned()).collect(),
        });
        claimed
    };
    let members = || -> BTreeSet<String> {
        let members = keystore
            .group_members(&owner.presented, team)
            .unwrap()
            .members;
        members.into_iter().map(|member| member.name).collect()
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();

    let (key, material) = house.key(&owner, &[]);
    share_with(&house, &owner, key, "team");
    let alice = open(&house, with("alice", &["Team", "nowhere"]), OPEN).unwrap();
    assert_eq!(members(), names(&["alice", "manual", "owner"]));
    assert_eq!(house.release(&alice, key).unwrap(), material);
    let newest = leaves(&house, &alice);
    assert!(newest.iter().any(
        |leaf| leaf.act == Act::IdentityGroupAdd && leaf.subject == Some(id_of(&house, &alice))
    ));

    // A provider that says nothing of groups changes nothing, nor does one that says the same again.
    let _ = open(&house, claimed("alice", ""), CLOSED).unwrap();
    let _ = open(&house, with("alice", &["Team"]), CLOSED).unwrap();
    assert_eq!(members(), names(&["alice", "manual", "owner"]));
    let unlinked = keystore.unlink_identity(&alice.presented, ISSUER.to_owned());
    assert!(matches!(unlinked.unwrap_err().error, Error::Conflict(_)));

    // What a manager gave, the provider does not take.
    let _ = open(&house, with("manual", &[]), CLOSED).unwrap();
    assert_eq!(members(), names(&["alice", "manual", "owner"]));

    let gone = open(&house, with("alice", &[]), CLOSED).unwrap();
    assert_eq!(members(), names(&["manual", "owner"]));
    assert!(matches!(house.release(&gone, key), Err(Error::KeyNotFound)));
    finish(&house, 100);
    assert_eq!(house.release(&manual, key).unwrap(), material);
    let versions: u32 = Connection::open(house.database())
        .unwrap()
        .query_row(
            "SELECT kek_version FROM accounts WHERE id = ?1",
            [team.as_bytes()],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(versions, 2);

    // Given by the provider, taken by the manager, given by the manager: it is the manager's from then on.
    let alice = open(&house, with("alice", &["Team"]), CLOSED).unwrap();
    let id = id_of(&house, &alice);
    keystore.remove_member(&owner.presented, team, id).unwrap();
    keystore
        .add_member(
            &owner.presented,
            team,
            strongroom_wire::account::AddMember {
                account: "alice".to_owned(),
                membership: strongroom_wire::account::Membership::Member,
            },
        )
        .unwrap();
    let _ = open(&house, with("alice", &[]), CLOSED).unwrap();
    assert_eq!(members(), names(&["alice", "manual", "owner"]));
}

fn edited_links_open_nothing() {
    let house = House::new("identities-edited");
    let (alice, mallory) = (house.person("alice"), house.person("mallory"));
    let team = group(&house, &alice, &[&mallory]);
    house
        .keystore
        .link_identity(&mallory.presented, claimed("m", ""))
        .unwrap();
    let edit = |sql: &str| {
        let database = Connection::open(house.database()).unwrap();
        database.pragma_update(None, "foreign_keys", false).unwrap();
        assert!(database.execute(sql, []).unwrap() > 0, "{sql}");
    };
    let refused = || {
        let opened = open(&house, claimed("m", ""), CLOSED);
        matches!(opened.err(), Some(Error::Integrity(_)))
    };
    let mut undo = String::new();
    for (what, how) in [
        ("account", "(SELECT id FROM accounts WHERE name = 'alice')"),
        ("created", "created - 1"),
        ("used", "created"),
        ("mac", "zeroblob(32)"),
    ] {
        Connection::open(house.database())
            .unwrap()
            .query_row(
                &format!("SELECT quote({what}) FROM identity_links"),
                [],
                |row| {
                    undo = format!(
                        "UPDATE identity_links SET {what} = {}",
                        row.get::<_, String>(0)?
                    );
                    Ok(())
                },
            )
            .unwrap();
        edit(&format!("UPDATE identity_links SET {what} = {how}"));
        assert!(refused(), "{what}");
        edit(&undo);
    }
    // Another subject's link: the row is found and does not match.
    edit("UPDATE identity_links SET subject = 'x'");
    let as_x = open(&house, claimed("x", ""), CLOSED);
    assert!(matches!(as_x.err(), Some(Error::Integrity(_))));
    edit("UPDATE identity_links SET subject = 'm'");
    let _ = open(&house, claimed("m", ""), CLOSED).unwrap();

    // Whose membership it is decides who may take it away.
    edit(&format!(
        "INSERT INTO identity_memberships SELECT group_id, member, '{ISSUER}', 0, zeroblob(32) FROM memberships"
    ));
    let mut without = claimed("m", "");
    without.groups = Some(ClaimedGroups {
        mapped: vec!["team".to_owned()],
        held: Vec::new(),
    });
    let opened = open(&house, without, CLOSED);
    assert!(matches!(opened.err(), Some(Error::Integrity(_))));
    let members = house
        .keystore
        .group_members(&alice.presented, team)
        .unwrap();
    assert_eq!(members.members.len(), 2);
    assert!(sign_in(&house.keystore, "mallory", PASSWORD).is_some());
}
