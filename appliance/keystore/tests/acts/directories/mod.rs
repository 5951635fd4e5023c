//! Directories that manage accounts by SCIM: what they may do, and what they may not.

pub(crate) mod groups;
pub(crate) mod limits;
pub(crate) mod users;

use serde_json::{Value, json};
use strongroom_keystore::directories::{Change, DirectoryCall, DirectoryToken, Find, Written};
use strongroom_keystore::{Error, MailContent, Options};
use strongroom_scim::filter::Filter;
use strongroom_scim::patch::Patch;
use strongroom_scim::{Resource, ResourceType, ScimType, resource};
use strongroom_wire::account::{Account, AccountState, UpdateAccount};
use strongroom_wire::audit::{Record, RecordQuery};
use strongroom_wire::directory::AddDirectory;
use strongroom_wire::id::{AccountId, DirectoryId};

use crate::house::{House, PASSWORD, Person, SOURCE, enrol, sign_in};

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
