//! Directories that manage accounts by SCIM: what they may do, and what they may not.

use std::env;
use std::net::{IpAddr, Ipv4Addr};

use rusqlite::Connection;
use serde_json::{Value, json};

use strongroom_keystore::directories::{
    Change, DirectoryCall, DirectoryToken, Find, IfMatch, Written,
};
use strongroom_keystore::{Error, MailContent, Options};

use strongroom_scim::filter::Filter;
use strongroom_scim::patch::Patch;
use strongroom_scim::{Resource, ResourceType, ScimType, resource};
use strongroom_wire::account::{Account, AccountState, AddMember, Membership, Role, UpdateAccount};
use strongroom_wire::audit::{Act, Record, RecordQuery};
use strongroom_wire::directory::{AddDirectory, AdoptAccount, RenewToken};
use strongroom_wire::id::{AccountId, DirectoryId};

use crate::house::{House, PASSWORD, Person, SOURCE, enrol, sign_in};
use crate::rotation::{finish, id_of, share_with};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "a_directory_makes_people_who_enrol_by_mail",
        a_directory_makes_people_who_enrol_by_mail,
    ),
    (
        "deactivation_ends_sessions_and_is_undone",
        deactivation_ends_sessions_and_is_undone,
    ),
    (
        "an_administrators_suspension_is_not_a_directorys_to_lift",
        an_administrators_suspension_is_not_a_directorys_to_lift,
    ),
    (
        "who_was_suspended_before_enrolment_has_still_to_enrol",
        who_was_suspended_before_enrolment_has_still_to_enrol,
    ),
    (
        "deleted_users_leave_no_personal_data",
        deleted_users_leave_no_personal_data,
    ),
    (
        "directories_groups_open_what_was_shared_while_one_is_in_them",
        directories_groups_open_what_was_shared_while_one_is_in_them,
    ),
    (
        "directories_see_and_touch_their_own",
        directories_see_and_touch_their_own,
    ),
    (
        "tokens_are_held_to_networks_and_days",
        tokens_are_held_to_networks_and_days,
    ),
    (
        "resources_changed_meanwhile_are_not_overwritten",
        resources_changed_meanwhile_are_not_overwritten,
    ),
    ("many_users_are_found", many_users_are_found),
    (
        "edited_directory_records_are_refused",
        edited_directory_records_are_refused,
    ),
];

const DAY: u64 = 24 * 3600;

fn house(label: &str) -> House {
    let options = Options {
        sends_mail: true,
        ..Options::default()
    };
    House::with(label, options)
}

/// A directory as its administrator registered it.
struct Directory<'a> {
    house: &'a House,
    id: DirectoryId,
    call: DirectoryCall,
}

fn call(token: &str) -> DirectoryCall {
    DirectoryCall {
        token: DirectoryToken::parse(token).unwrap(),
        source: SOURCE,
    }
}

fn directory<'a>(house: &'a House, name: &str) -> Directory<'a> {
    let request = AddDirectory {
        name: name.to_owned(),
        expires: None,
        networks: Vec::new(),
    };
    let added = house
        .keystore
        .add_directory(&house.admin.presented, request)
        .unwrap();
    Directory {
        house,
        id: added.directory.id,
        call: call(&added.token),
    }
}

fn read(of: ResourceType, body: &Value) -> Resource {
    resource::read(of, body).unwrap()
}

/// The address of whoever the directory calls by this name.
fn mailbox(name: &str) -> String {
    let local = name.split('@').next().unwrap();
    format!("mailbox-of-{local}@mail.example")
}

fn user_body(name: &str, active: bool) -> Value {
    json!({
        "schemas": [ResourceType::User.schema()],
        "userName": name,
        "active": active,
        "emails": [{ "value": mailbox(name), "primary": true }],
    })
}

fn group_body(name: &str, members: &[AccountId]) -> Value {
    let members: Vec<_> = members
        .iter()
        .map(|member| json!({ "value": member.to_string() }))
        .collect();
    json!({ "schemas": [ResourceType::Group.schema()], "displayName": name, "members": members })
}

fn patch(operations: &Value) -> Change {
    let body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": operations,
    });
    Change::Patch(Patch::parse(&body).unwrap())
}

fn set_active(active: bool) -> Change {
    patch(&json!([{ "op": "replace", "path": "active", "value": active }]))
}

fn id(written: &Written) -> AccountId {
    written.resource["id"].as_str().unwrap().parse().unwrap()
}

impl Directory<'_> {
    fn create(&self, name: &str, active: bool) -> Result<Written, Error> {
        let wanted = read(ResourceType::User, &user_body(name, active));
        let made = self.house.keystore.create_user(&self.call, wanted);
        made.map_err(|refusal| refusal.error)
    }

    fn user(&self, name: &str) -> AccountId {
        id(&self.create(name, true).unwrap())
    }

    fn change(&self, user: AccountId, change: Change) -> Result<Written, Error> {
        let changed = self
            .house
            .keystore
            .change_user(&self.call, user, change, None);
        changed.map_err(|refusal| refusal.error)
    }

    fn group(&self, name: &str, members: &[AccountId]) -> Result<Written, Error> {
        let wanted = read(ResourceType::Group, &group_body(name, members));
        let made = self.house.keystore.create_group(&self.call, wanted);
        made.map_err(|refusal| refusal.error)
    }

    fn change_group(&self, group: AccountId, change: Change) -> Result<Written, Error> {
        let changed = self
            .house
            .keystore
            .change_group(&self.call, group, change, None);
        changed.map_err(|refusal| refusal.error)
    }

    fn show(&self, user: AccountId) -> Result<Resource, Error> {
        self.house
            .keystore
            .directory_resource(&self.call, ResourceType::User, user, true)
            .map_err(|refusal| refusal.error)
    }

    fn found(&self, filter: &str) -> Vec<Resource> {
        let find = Find {
            resource_type: ResourceType::User,
            filter: Some(Filter::parse(ResourceType::User, filter).unwrap()),
            after: 0,
            limit: 100,
            with_members: true,
        };
        let found = self.house.keystore.directory_resources(&self.call, &find);
        found.unwrap().1
    }

    /// Somebody whom the directory made, and who has enrolled with the code that was mailed.
    fn person(&self, name: &str) -> Person {
        let _ = self.user(name);
        enrolled(self.house, name)
    }
}

fn mailed(house: &House, name: &str) -> Vec<String> {
    let mail = house.keystore.due_mail(1000).unwrap().into_iter();
    mail.filter(|mail| mail.to == mailbox(name))
        .map(|mail| match mail.content {
            MailContent::Account { code, account, .. } => {
                assert_eq!(account, name);
                code
            }
            other => panic!("{other:?}"),
        })
        .collect()
}

fn enrolled(house: &House, name: &str) -> Person {
    let code = mailed(house, name).pop().unwrap();
    enrol(&house.keystore, name, &code, PASSWORD).unwrap();
    sign_in(&house.keystore, name, PASSWORD).unwrap()
}

fn account(house: &House, id: AccountId) -> Account {
    let account = house.keystore.account(&house.admin.presented, id);
    account.unwrap()
}

fn set_state(house: &House, id: AccountId, state: AccountState) -> Account {
    let request = UpdateAccount {
        state: Some(state),
        roles: None,
    };
    let changed = house
        .keystore
        .update_account(&house.admin.presented, id, request);
    changed.unwrap().account
}

fn leaves(house: &House, auditor: &Person) -> Vec<Record> {
    let query = RecordQuery::default();
    let page = house.keystore.records(&auditor.presented, query).unwrap();
    page.records
}

fn kind_of(error: &Error) -> Option<ScimType> {
    match error {
        Error::Scim(error) => Some(error.kind),
        _ => None,
    }
}

fn a_directory_makes_people_who_enrol_by_mail() {
    let house = house("directory-people");
    let auditor = house.person_with("auditor", &[Role::Auditor]);
    let entra = directory(&house, "entra");
    let made = entra.create("Bob@example.com", true).unwrap();
    assert_eq!(made.resource["active"], true);
    let bob = account(&house, id(&made));
    assert_eq!(
        (bob.name.as_str(), bob.state),
        ("bob@example.com", AccountState::Pending)
    );
    assert_eq!(
        kind_of(&entra.create("bob@EXAMPLE.com", true).unwrap_err()),
        Some(ScimType::Uniqueness)
    );
    assert_eq!(
        kind_of(&entra.create("admin@example.com", true).unwrap_err()),
        Some(ScimType::Uniqueness)
    );

    // The code is in the mail: neither in the answer nor for the administrator.
    let mail = house.keystore.due_mail(10).unwrap();
    let [mail] = &mail[..] else {
        panic!("{} messages", mail.len())
    };
    assert_eq!(mail.to, mailbox("Bob@example.com"));
    let MailContent::Account { code, by, .. } = &mail.content else {
        panic!("{:?}", mail.content)
    };
    assert_eq!(by, "entra");
    assert!(!format!("{made:?}").contains(code.as_str()));
    let again = house
        .keystore
        .invite_account(&house.admin.presented, bob.id)
        .unwrap();
    assert_eq!(again.enrolment_code, None);
    assert!(matches!(
        enrol(&house.keystore, "bob@example.com", code, PASSWORD),
        Err(Error::EnrolmentRefused)
    ));
    let mail = house.keystore.due_mail(10).unwrap();
    let mut codes = mail.iter().filter_map(|mail| match &mail.content {
        MailContent::Account { code: newer, .. } if newer != code => Some(newer),
        _ => None,
    });
    let newer = codes.next_back().unwrap();
    enrol(&house.keystore, "bob@example.com", newer, PASSWORD).unwrap();
    let bob = sign_in(&house.keystore, "bob@example.com", PASSWORD).unwrap();
    let (key, material) = house.key(&bob, &[]);
    assert_eq!(house.release(&bob, key).unwrap(), material);

    // Each act has a leaf that names the directory, and no personal data.
    let records = leaves(&house, &auditor);
    let by_directory: Vec<_> = records
        .iter()
        .filter(|leaf| leaf.actor == Some(AccountId::from_bytes(*entra.id.as_bytes())))
        .collect();
    let acts: Vec<_> = by_directory
        .iter()
        .map(|leaf| (leaf.act, leaf.done))
        .collect();
    assert_eq!(
        acts,
        [
            (Act::AccountCreate, false),
            (Act::AccountCreate, false),
            (Act::AccountInvite, true),
            (Act::AccountCreate, true)
        ]
    );
    assert!(!format!("{by_directory:?}").contains("mailbox-of"));
}

fn deactivation_ends_sessions_and_is_undone() {
    let house = house("directory-deactivate");
    let entra = directory(&house, "entra");
    let bob = entra.person("bob");
    let (key, material) = house.key(&bob, &[]);
    let user = id_of(&house, &bob);
    // As Entra ID writes it.
    let inactive = patch(&json!([{ "op": "Replace", "path": "active", "value": "False" }]));
    let changed = entra.change(user, inactive).unwrap();
    assert_eq!(changed.resource["active"], false);
    assert!(matches!(house.release(&bob, key), Err(Error::NotSignedIn)));
    assert!(sign_in(&house.keystore, "bob", PASSWORD).is_none());
    // What says nothing of it lets nobody in again.
    let mut body = user_body("bob", true);
    body.as_object_mut().unwrap().remove("active");
    body["displayName"] = json!("Bob");
    let replaced = Change::Replace(read(ResourceType::User, &body));
    assert_eq!(
        entra.change(user, replaced).unwrap().resource["active"],
        false
    );
    let removed = patch(&json!([{ "op": "remove", "path": "active" }]));
    assert_eq!(
        entra.change(user, removed).unwrap().resource["active"],
        false
    );
    assert!(sign_in(&house.keystore, "bob", PASSWORD).is_none());

    let changed = entra.change(user, set_active(true)).unwrap();
    assert_eq!(changed.resource["active"], true);
    let bob = sign_in(&house.keystore, "bob", PASSWORD).unwrap();
    assert_eq!(house.release(&bob, key).unwrap(), material);
    // Nothing to change, nothing written.
    assert_eq!(entra.change(user, set_active(true)).unwrap().leaf, None);
    // A name may change; that with which one signs in stays.
    let renamed = patch(&json!([{ "op": "replace", "value": { "userName": "robert" } }]));
    let changed = entra.change(user, renamed).unwrap();
    assert_eq!(changed.resource["userName"], "robert");
    assert_eq!(account(&house, user).name, "bob");
    assert_eq!(entra.found("userName eq \"ROBERT\"").len(), 1);
    assert!(sign_in(&house.keystore, "bob", PASSWORD).is_some());
}

fn an_administrators_suspension_is_not_a_directorys_to_lift() {
    let house = house("directory-suspension");
    let entra = directory(&house, "entra");
    let bob = entra.person("bob");
    let user = id_of(&house, &bob);
    set_state(&house, user, AccountState::Suspended);
    assert_eq!(entra.show(user).unwrap()["active"], false);
    assert!(matches!(
        entra.change(user, set_active(true)),
        Err(Error::NotPermitted(_))
    ));
    // Nor after the directory's own, once an administrator has decided.
    set_state(&house, user, AccountState::Active);
    entra.change(user, set_active(false)).unwrap();
    set_state(&house, user, AccountState::Active);
    set_state(&house, user, AccountState::Suspended);
    assert!(matches!(
        entra.change(user, set_active(true)),
        Err(Error::NotPermitted(_))
    ));

    // Whoever has a role is not a directory's to lock out or delete.
    let carol = entra.person("carol");
    let roles = UpdateAccount {
        state: None,
        roles: Some(vec![Role::Administrator]),
    };
    let carol = id_of(&house, &carol);
    house
        .keystore
        .update_account(&house.admin.presented, carol, roles)
        .unwrap();
    assert!(matches!(
        entra.change(carol, set_active(false)),
        Err(Error::NotPermitted(_))
    ));
    let deleted = house.keystore.delete_user(&entra.call, carol, None);
    assert!(matches!(deleted.unwrap_err().error, Error::NotPermitted(_)));
    assert_eq!(account(&house, carol).state, AccountState::Active);
    let adopt = AdoptAccount {
        account: "admin@example.com".to_owned(),
    };
    let adopted = house
        .keystore
        .adopt_account(&house.admin.presented, entra.id, adopt);
    assert!(matches!(adopted.unwrap_err().error, Error::Conflict(_)));
}

fn who_was_suspended_before_enrolment_has_still_to_enrol() {
    let house = house("directory-pending");
    let admin = &house.admin.presented;
    let entra = directory(&house, "entra");
    // No code for whoever is made inactive, until they are active.
    let bob = id(&entra.create("bob", false).unwrap());
    assert_eq!(account(&house, bob).state, AccountState::Suspended);
    assert!(mailed(&house, "bob").is_empty());
    entra.change(bob, set_active(true)).unwrap();
    assert_eq!(account(&house, bob).state, AccountState::Pending);
    let code = mailed(&house, "bob").pop().unwrap();
    // A suspension voids the code.
    entra.change(bob, set_active(false)).unwrap();
    let refused = enrol(&house.keystore, "bob", &code, PASSWORD);
    assert!(matches!(refused, Err(Error::EnrolmentRefused)));
    // Activated by an administrator he can be invited as before.
    let activated = set_state(&house, bob, AccountState::Active);
    assert_eq!(activated.state, AccountState::Pending);
    let _ = house.keystore.invite_account(admin, bob).unwrap();
    let _ = enrolled(&house, "bob");

    // So can those who outlive their directory, or are taken from it.
    let [carol, dave, eve] = ["carol", "dave", "eve"].map(|name| {
        let user = entra.user(name);
        entra.change(user, set_active(false)).unwrap();
        user
    });
    let frank = entra.person("frank");
    entra
        .change(id_of(&house, &frank), set_active(false))
        .unwrap();
    house
        .keystore
        .release_account(admin, entra.id, carol)
        .unwrap();
    assert_eq!(account(&house, carol).state, AccountState::Pending);
    assert_eq!(account(&house, dave).state, AccountState::Suspended);
    house.keystore.remove_directory(admin, entra.id).unwrap();
    for user in [dave, eve] {
        assert_eq!(account(&house, user).state, AccountState::Pending);
        assert!(house.keystore.invite_account(admin, user).is_ok());
    }
    let frank = id_of_name(&house, "frank");
    assert_eq!(account(&house, frank).state, AccountState::Suspended);
    assert!(matches!(entra.show(dave), Err(Error::NotSignedIn)));
}

fn id_of_name(house: &House, name: &str) -> AccountId {
    let page = house
        .keystore
        .accounts(&house.admin.presented, None, None)
        .unwrap();
    let found = page.accounts.iter().find(|account| account.name == name);
    found.unwrap().id
}

fn deleted_users_leave_no_personal_data() {
    let house = house("directory-delete");
    let entra = directory(&house, "entra");
    let bob = entra.person("bob@example.com");
    let alice = house.person("alice");
    let (key, material) = house.key(&bob, &[&alice]);
    let user = id_of(&house, &bob);
    house.keystore.delete_user(&entra.call, user, None).unwrap();
    assert!(matches!(house.release(&bob, key), Err(Error::NotSignedIn)));
    assert!(sign_in(&house.keystore, "bob@example.com", PASSWORD).is_none());
    assert!(matches!(entra.show(user), Err(Error::AccountNotFound(_))));
    let again = house.keystore.delete_user(&entra.call, user, None);
    assert!(matches!(
        again.unwrap_err().error,
        Error::AccountNotFound(_)
    ));
    let left = account(&house, user);
    assert_eq!(left.name, format!("deleted-{user}"));
    assert_eq!(left.state, AccountState::Suspended);
    // What was shared before stays with whom it was shared.
    assert_eq!(house.release(&alice, key).unwrap(), material);
    let database = Connection::open(house.database()).unwrap();
    for table in ["credentials", "passkeys", "outbox", "sessions"] {
        let rows: i64 = database
            .query_row(
                &format!("SELECT count(*) FROM {table} WHERE account = ?1"),
                [user.as_bytes()],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    // The name is free, for another account.
    assert_ne!(entra.user("bob@example.com"), user);
}

fn directories_groups_open_what_was_shared_while_one_is_in_them() {
    let house = house("directory-groups");
    let entra = directory(&house, "entra");
    let [bob, carol] = ["bob", "carol"].map(|name| entra.person(name));
    let alice = house.person("alice");
    let [bob_id, carol_id] = [&bob, &carol].map(|person| id_of(&house, person));
    let made = entra.group("The Lawyers", &[bob_id, carol_id]).unwrap();
    let lawyers = id(&made);
    assert_eq!(account(&house, lawyers).name, "the-lawyers");
    let (key, material) = house.key(&alice, &[]);
    share_with(&house, &alice, key, "the-lawyers");
    assert_eq!(house.release(&bob, key).unwrap(), material);
    assert_eq!(house.release(&carol, key).unwrap(), material);
    let groups = &entra.show(bob_id).unwrap()["groups"];
    assert_eq!(groups[0]["value"], lawyers.to_string());

    // As Entra ID and Okta remove a member.
    let removal = patch(&json!([
        { "op": "Remove", "path": "members", "value": [{ "value": carol_id.to_string() }] }
    ]));
    let changed = entra.change_group(lawyers, removal).unwrap();
    assert_eq!(changed.resource["members"].as_array().unwrap().len(), 1);
    assert!(house.release(&carol, key).is_err());
    assert_eq!(account_kek(&house, lawyers), 2);
    finish(&house, 10);
    assert_eq!(house.release(&bob, key).unwrap(), material);
    let (later, _) = house.key(&alice, &[]);
    share_with(&house, &alice, later, "the-lawyers");
    assert!(house.release(&carol, later).is_err());
    let filtered = patch(&json!([
        { "op": "add", "path": "members", "value": [{ "value": carol_id.to_string() }] }
    ]));
    entra.change_group(lawyers, filtered).unwrap();
    assert!(house.release(&carol, later).is_ok());
    let filtered = patch(&json!([
        { "op": "remove", "path": format!("members[value eq \"{carol_id}\"]") }
    ]));
    entra.change_group(lawyers, filtered).unwrap();
    assert!(house.release(&carol, later).is_err());

    // Members are users of this directory; people add nobody to its groups, and may leave them.
    let alice_id = id_of(&house, &alice);
    let stranger = patch(&json!([
        { "op": "add", "path": "members", "value": [{ "value": alice_id.to_string() }] }
    ]));
    let refused = entra.change_group(lawyers, stranger).unwrap_err();
    assert_eq!(kind_of(&refused), Some(ScimType::InvalidValue));
    let request = AddMember {
        account: "alice".to_owned(),
        membership: Membership::Member,
    };
    for person in [&bob, &house.admin] {
        let added = house
            .keystore
            .add_member(&person.presented, lawyers, request.clone());
        assert!(matches!(added.unwrap_err().error, Error::NotPermitted(_)));
    }
    house
        .keystore
        .remove_member(&bob.presented, lawyers, bob_id)
        .unwrap();
    assert!(house.release(&bob, later).is_err());

    // A renamed group is still reached by the name that people shared with.
    let renamed = patch(&json!([
        { "op": "replace", "path": "displayName", "value": "Counsel" },
        { "op": "add", "path": "members", "value": [{ "value": bob_id.to_string() }] }
    ]));
    entra.change_group(lawyers, renamed).unwrap();
    assert_eq!(account(&house, lawyers).name, "the-lawyers");
    assert!(house.release(&bob, later).is_ok());
    house
        .keystore
        .delete_group(&entra.call, lawyers, None)
        .unwrap();
    assert!(house.release(&bob, later).is_err());
    assert_eq!(account(&house, lawyers).name, format!("deleted-{lawyers}"));
    // A deleted user leaves the groups, whose KEK gets a new version.
    let other = id(&entra.group("Others", &[bob_id, carol_id]).unwrap());
    house
        .keystore
        .delete_user(&entra.call, bob_id, None)
        .unwrap();
    assert_eq!(account_kek(&house, other), 2);
}

fn account_kek(house: &House, account: AccountId) -> u32 {
    let database = Connection::open(house.database()).unwrap();
    database
        .query_row(
            "SELECT kek_version FROM accounts WHERE id = ?1",
            [account.as_bytes()],
            |row| row.get(0),
        )
        .unwrap()
}

fn directories_see_and_touch_their_own() {
    let house = house("directory-own");
    let (entra, okta) = (directory(&house, "entra"), directory(&house, "okta"));
    let bob = entra.user("bob");
    let alice = house.person("alice");
    let alice_id = id_of(&house, &alice);
    for stranger in [bob, alice_id, AccountId::generate()] {
        assert!(matches!(
            okta.show(stranger),
            Err(Error::AccountNotFound(_))
        ));
        assert!(matches!(
            okta.change(stranger, set_active(false)),
            Err(Error::AccountNotFound(_))
        ));
        let deleted = house.keystore.delete_user(&okta.call, stranger, None);
        assert!(matches!(
            deleted.unwrap_err().error,
            Error::AccountNotFound(_)
        ));
    }
    assert!(okta.found("userName pr").is_empty());
    let refused = okta.group("Team", &[bob]).unwrap_err();
    assert_eq!(kind_of(&refused), Some(ScimType::InvalidValue));
    // What an administrator puts under its management it finds by name.
    let adopt = AdoptAccount {
        account: "alice".to_owned(),
    };
    house
        .keystore
        .adopt_account(&house.admin.presented, okta.id, adopt.clone())
        .unwrap();
    assert_eq!(okta.found("userName eq \"alice\"").len(), 1);
    let twice = house
        .keystore
        .adopt_account(&house.admin.presented, entra.id, adopt.clone());
    assert!(matches!(twice.unwrap_err().error, Error::Conflict(_)));
    okta.change(alice_id, set_active(false)).unwrap();
    assert!(sign_in(&house.keystore, "alice", PASSWORD).is_none());
    // People without the role register, renew and remove nothing.
    let carol = house.person("carol");
    let request = AddDirectory {
        name: "own".to_owned(),
        expires: None,
        networks: Vec::new(),
    };
    let keystore = &house.keystore;
    let by_carol = [
        keystore
            .add_directory(&carol.presented, request.clone())
            .map(drop),
        keystore
            .renew_directory_token(&carol.presented, okta.id, RenewToken::default())
            .map(drop),
        keystore
            .remove_directory(&carol.presented, okta.id)
            .map(drop),
        keystore
            .adopt_account(&carol.presented, okta.id, adopt)
            .map(drop),
        keystore
            .release_account(&carol.presented, okta.id, alice_id)
            .map(drop),
        keystore.directories(&carol.presented).map(drop),
    ];
    for outcome in by_carol {
        assert!(matches!(outcome.unwrap_err().error, Error::NotPermitted(_)));
    }
    let mut taken = request;
    "okta".clone_into(&mut taken.name);
    let taken = keystore.add_directory(&house.admin.presented, taken);
    assert!(matches!(taken.unwrap_err().error, Error::Conflict(_)));
}

fn tokens_are_held_to_networks_and_days() {
    let house = house("directory-tokens");
    let _ = house.person_with("auditor", &[Role::Auditor]);
    let admin = &house.admin.presented;
    let request = AddDirectory {
        name: "entra".to_owned(),
        expires: Some(house.now().plus_seconds(DAY)),
        networks: vec!["127.0.0.0/8".parse().unwrap()],
    };
    let added = house.keystore.add_directory(admin, request).unwrap();
    let directory = added.directory.id;
    let good = call(&added.token);
    let check = |call: &DirectoryCall| {
        house
            .keystore
            .check_directory(call)
            .map_err(|refusal| refusal.error)
    };
    check(&good).unwrap();
    let elsewhere = DirectoryCall {
        source: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        ..good.clone()
    };
    assert!(matches!(check(&elsewhere), Err(Error::DirectoryRefused)));
    house.clock.advance(DAY);
    assert!(matches!(check(&good), Err(Error::DirectoryRefused)));
    let used = leaves(
        &house,
        &sign_in(&house.keystore, "auditor", PASSWORD).unwrap(),
    );
    let used: Vec<_> = used
        .iter()
        .filter(|leaf| leaf.act == Act::DirectoryUse)
        .collect();
    assert_eq!(used.len(), 2);
    assert!(used.iter().all(|leaf| !leaf.done));
    let lapsed = RenewToken {
        expires: Some(house.now()),
    };
    let admin = crate::house::sign_in(&house.keystore, "admin@example.com", PASSWORD).unwrap();
    let renewed = house
        .keystore
        .renew_directory_token(&admin.presented, directory, lapsed);
    assert!(matches!(renewed.unwrap_err().error, Error::Invalid(_)));
    let renewed = house
        .keystore
        .renew_directory_token(&admin.presented, directory, RenewToken::default())
        .unwrap();
    check(&call(&renewed.token)).unwrap();
    assert!(matches!(check(&good), Err(Error::NotSignedIn)));
    for text in ["", "srd_", "srd_AAAA", &added.token[4..]] {
        assert!(DirectoryToken::parse(text).is_none(), "{text}");
    }
    assert!(!format!("{:?}", call(&renewed.token)).contains(&renewed.token[4..]));
}

fn resources_changed_meanwhile_are_not_overwritten() {
    let house = house("directory-match");
    let entra = directory(&house, "entra");
    let made = entra.create("bob", true).unwrap();
    let (user, seen) = (id(&made), made.resource["meta"]["version"].clone());
    let seen: IfMatch = Some(seen.as_str().unwrap().to_owned());
    let keystore = &house.keystore;
    let change = |name: &str, condition: &IfMatch| {
        let change = patch(&json!([{ "op": "replace", "path": "displayName", "value": name }]));
        keystore.change_user(&entra.call, user, change, condition.clone())
    };
    change("Bob", &seen).unwrap();
    let late = change("Robert", &seen).unwrap_err();
    assert!(matches!(late.error, Error::ChangedMeanwhile));
    assert!(late.leaf.is_some());
    let late = keystore.delete_user(&entra.call, user, seen).unwrap_err();
    assert!(matches!(late.error, Error::ChangedMeanwhile));
    assert_eq!(entra.show(user).unwrap()["displayName"], "Bob");
    change("Robert", &Some("*".to_owned())).unwrap();
}

fn many_users_are_found() {
    let house = House::new("directory-many");
    let entra = directory(&house, "entra");
    let count = if env::var_os("STRONGROOM_LONG").is_some() {
        10_000
    } else {
        250
    };
    for index in 0..count {
        let mut body = user_body(&format!("user{index:05}"), true);
        body["externalId"] = json!(format!("x{index}"));
        let wanted = read(ResourceType::User, &body);
        house.keystore.create_user(&entra.call, wanted).unwrap();
    }
    let mut seen: Vec<String> = Vec::new();
    loop {
        let find = Find {
            resource_type: ResourceType::User,
            filter: None,
            after: seen.len() as u64,
            limit: 100,
            with_members: true,
        };
        let page = house.keystore.directory_resources(&entra.call, &find);
        let (total, page) = page.unwrap();
        assert_eq!(total, count);
        if page.is_empty() {
            break;
        }
        let names = page.into_iter();
        seen.extend(names.map(|user| user["userName"].as_str().unwrap().to_owned()));
    }
    let expected: Vec<_> = (0..count).map(|index| format!("user{index:05}")).collect();
    seen.sort_unstable();
    assert_eq!(seen, expected);
    assert_eq!(
        entra.found("externalId eq \"x17\"")[0]["userName"],
        "user00017"
    );
    assert_eq!(entra.found("userName sw \"user0001\"").len(), 10);
    assert_eq!(entra.found("active eq false").len(), 0);
}

fn edited_directory_records_are_refused() {
    let house = house("directory-edited");
    let entra = directory(&house, "entra");
    let okta = directory(&house, "okta");
    let bob = entra.user("bob");
    let alice = id_of(&house, &house.person("alice"));
    let edit = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
        let database = Connection::open(house.database()).unwrap();
        assert_eq!(database.execute(sql, parameters).unwrap(), 1, "{sql}");
    };
    // Another's token for a directory; its record is found not to match.
    let stolen = "UPDATE directories SET networks = '192.0.2.0/24' WHERE id = ?1";
    edit(stolen, &[&okta.id.as_bytes()]);
    assert!(matches!(okta.show(bob), Err(Error::Integrity(_))));
    // Somebody else's account under a directory's management.
    let planted = "INSERT INTO directory_accounts \
        (account, directory, kind, name, external_id, document, suspended, invited, created, updated, mac) \
        SELECT ?1, directory, kind, name, external_id, document, suspended, invited, created, updated, mac \
        FROM directory_accounts WHERE account = ?2";
    edit(planted, &[&alice.as_bytes(), &bob.as_bytes()]);
    assert!(matches!(entra.show(alice), Err(Error::Integrity(_))));
    assert!(matches!(
        entra.change(alice, set_active(false)),
        Err(Error::Integrity(_))
    ));
    // A suspension that the directory would lift.
    let lifted = "UPDATE directory_accounts SET suspended = 2 WHERE account = ?1";
    edit(lifted, &[&bob.as_bytes()]);
    assert!(matches!(
        entra.change(bob, set_active(true)),
        Err(Error::Integrity(_))
    ));
}
