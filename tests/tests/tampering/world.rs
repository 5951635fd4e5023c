//! The appliance that the cases start from: people, keys and grants of every kind, and what one can attempt with them.

use std::collections::BTreeMap;
use std::fs;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};
use strongroom_tests::session::new_key;
use strongroom_tests::{Appliance, Failed, Session};
use strongroom_wire::account::{
    AccountKind, AccountPage, AccountState, AddMember, ChangedAccount, Done, GroupMembers,
    Membership, Role, UpdateAccount,
};
use strongroom_wire::audit::Record;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, GrantId, KeyId, ObjectId};
use strongroom_wire::key::{
    Algorithm, CreateKeys, CreatedKeys, KeyPage, KeyState, NewKey, ShareKey, Shared, UsagePolicy,
};
use strongroom_wire::object::{
    ChangedObject, ObjectDescription, ObjectPage, ObjectPart, RemovedObject, ShownObject,
};
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::session::Sessions;

use super::cases::Attempt;
use super::law::Law;

/// Who has not enrolled yet.
const CAROL: &str = "carol@example.com";
/// Whose enrolment code has lapsed.
const LATE: &str = "late@example.com";

/// Who attempts something.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    Admin,
    Alice,
    Bob,
    Mallory,
    /// Somebody who was suspended, in a session from before: its row was found in an old copy of the database.
    Suspended,
}

/// The prepared appliance, stopped, and what must be known to attack it.
pub(crate) struct World {
    pub(crate) appliance: Appliance,
    pub(crate) auditor: Session,
    pub(crate) newest_leaf: u64,
    admin: Session,
    alice: Session,
    bob: Session,
    mallory: Session,
    suspended: Session,
    group: AccountId,
    /// A certificate of alice's.
    object: ObjectId,
    keys: BTreeMap<&'static str, KeyId>,
    codes: BTreeMap<&'static str, String>,
    /// What stands for `{name}` in an edit.
    names: BTreeMap<String, String>,
    law: Law,
}

impl World {
    /// Prepares it: takes some seconds.
    pub(crate) fn prepare() -> Self {
        let appliance = Appliance::start();
        let mut admin = appliance.administrator();
        let auditor = enrolled(
            &appliance,
            &mut admin,
            "auditor@example.com",
            &[Role::Auditor],
        );
        let mut alice = appliance.person(&mut admin, "alice@example.com");
        let bob = appliance.person(&mut admin, "bob@example.com");
        let mut mallory = appliance.person(&mut admin, "mallory@example.com");
        let suspended = appliance.person(&mut admin, "suspended@example.com");
        let mut codes = BTreeMap::new();
        codes.insert(CAROL, code_for(&mut admin, CAROL));
        let mut group = |name: &str, manager: &str| {
            let created = admin.create_account(name, AccountKind::Group, &[], Some(manager));
            created.unwrap().account.id
        };
        let team = group("team", "alice@example.com");
        let gang = group("gang", "mallory@example.com");
        let add = AddMember {
            account: "bob@example.com".to_owned(),
            membership: Membership::Member,
        };
        let path = format!("/v1/groups/{team}/members");
        let _: Done = alice.ask("PUT", &path, &add).unwrap();

        let law = Law::prepare(&appliance, &mut admin, &mut alice);
        let mut world = Self {
            law,
            auditor,
            newest_leaf: 0,
            admin,
            alice,
            bob,
            mallory: mallory.at(&appliance.api()),
            suspended,
            group: team,
            object: ObjectId::generate(),
            keys: BTreeMap::new(),
            codes,
            names: BTreeMap::new(),
            appliance,
        };
        world.make_keys();
        world.make_objects();
        // What a database that was edited would rather be without.
        let path = "/v1/domain/policy";
        let mut policy: DomainPolicy = world.admin.get(path).unwrap();
        policy.usage.keep_for = Some(24 * 3600);
        let _: ChangedDomainPolicy = world.admin.ask("PUT", path, &policy).unwrap();
        let quota = ["quota", "default", "--accounts", "1000000"];
        world.appliance.domain(&quota).unwrap();
        let mallorys = mallory.create_key("mallory's own", &[]).unwrap().key.id;
        world.keys.insert("mallorys", mallorys);
        let suspend = UpdateAccount {
            state: Some(AccountState::Suspended),
            roles: None,
        };
        // Suspending ends the sessions; a copy of the row is kept, as a backup would.
        let row = world.session_row(&world.suspended);
        let path = format!("/v1/accounts/{}", world.suspended.account.id);
        let _: ChangedAccount = world.admin.ask("PATCH", &path, &suspend).unwrap();
        world.names.insert("suspended_session_row".to_owned(), row);
        world.learn_names(gang);

        world.make_lapsed_code();
        let newest = world.auditor.records_after(None).unwrap();
        world.newest_leaf = newest[0].index;
        world.appliance.stop();
        world
    }

    /// A code that was good for a second, of somebody who comes late.
    fn make_lapsed_code(&mut self) {
        let config = self.appliance.config();
        let settings = fs::read_to_string(&config).unwrap();
        self.appliance
            .configure("[keystore]\nenrolment_lifetime = 1");
        self.appliance.restart();
        self.admin = self.admin.at(&self.appliance.api());
        self.auditor = self.auditor.at(&self.appliance.api());
        self.codes.insert(LATE, code_for(&mut self.admin, LATE));
        fs::write(&config, settings).unwrap();
    }

    fn make_keys(&mut self) {
        let soon = Timestamp::from_millis(now() + 3_600_000);
        let over = Timestamp::from_millis(now() + 400);
        let policy = |from, until, most| UsagePolicy {
            not_before: from,
            not_after: until,
            max_releases: most,
            ..UsagePolicy::default()
        };
        let elsewhere = UsagePolicy {
            networks: Some(vec!["10.0.0.0/8".parse().unwrap()]),
            ..UsagePolicy::default()
        };
        let open = UsagePolicy::default();
        let of_keys = [
            ("shared", open.clone()),
            ("other", open.clone()),
            ("revoked", open.clone()),
            ("destroyed", open.clone()),
            ("suspended", open.clone()),
            ("compromised", open.clone()),
            ("rotated", open),
            ("too_early", policy(Some(soon), None, None)),
            ("too_late", policy(None, Some(over), None)),
            ("used_up", policy(None, None, Some(1))),
            ("elsewhere", elsewhere.clone()),
        ];
        let keys = of_keys.iter().map(|(name, policy)| NewKey {
            policy: policy.clone(),
            ..new_key(
                name,
                if *name == "other" {
                    &[]
                } else {
                    &["bob@example.com"]
                },
            )
        });
        let request = CreateKeys {
            keys: keys.collect(),
            release: false,
        };
        let created = self.alice.create(&request).unwrap().keys;
        for ((name, _), created) in of_keys.iter().zip(&created) {
            self.keys.insert(name, created.key.id);
        }
        for (name, recipient) in [("for_group", "team"), ("once_groups", "team")] {
            let created = self.alice.create_key(name, &[recipient]).unwrap();
            self.keys.insert(name, created.key.id);
        }
        let of_grants = [
            ("grant_too_early", policy(Some(soon), None, None)),
            ("grant_too_late", policy(None, Some(over), None)),
            ("grant_used_up", policy(None, None, Some(1))),
            ("grant_elsewhere", elsewhere),
        ];
        for (name, policy) in of_grants {
            let key = self.alice.create_key(name, &[]).unwrap().key.id;
            let share = ShareKey {
                grantee: "bob@example.com".to_owned(),
                rights: None,
                policy,
            };
            let path = format!("/v1/keys/{key}/grants");
            let _: Shared = self.alice.ask("POST", &path, &share).unwrap();
            self.keys.insert(name, key);
        }
        let key = |name: &str| self.keys[name];
        self.bob.release(key("used_up")).unwrap();
        self.bob.release(key("grant_used_up")).unwrap();
        self.alice.rotate(key("rotated")).unwrap();
        self.alice
            .change_state(key("suspended"), KeyState::Suspended)
            .unwrap();
        self.alice
            .change_state(key("compromised"), KeyState::Compromised)
            .unwrap();
        for name in ["revoked", "once_groups"] {
            let grants = self.alice.grants(key(name)).unwrap().grants;
            self.alice.revoke(key(name), grants[1].id).unwrap();
        }
        self.alice.destroy(key("destroyed")).unwrap();
        repeat(&mut self.alice).unwrap();
        thread::sleep(Duration::from_millis(450));
    }

    /// A certificate of alice's, and a key pair of hers whose public half bob does not want to see.
    fn make_objects(&mut self) {
        let _: ChangedObject = put(&mut self.alice, self.object).unwrap();
        let request = CreateKeys {
            keys: vec![NewKey {
                algorithm: Algorithm::EcP256,
                ..new_key("hidden", &["bob@example.com"])
            }],
            release: false,
        };
        let pair = self.alice.create(&request).unwrap().keys.remove(0).key.id;
        let path = format!("/v1/objects/{pair}?part=public");
        let _: RemovedObject = self.bob.delete(&path).unwrap();
        self.keys.insert("hidden", pair);
    }

    /// Names for edits: `{key.NAME}`, `{grant.NAME}` (bob's, or the group's), `{own.NAME}` (alice's), `{alice}` and so on.
    fn learn_names(&mut self, gang: AccountId) {
        let names = &mut self.names;
        let mut learn = |name: String, id: &[u8]| {
            names.insert(name, blob(id));
        };
        for (name, key) in &self.keys {
            learn(format!("key.{name}"), key.as_bytes());
        }
        for (name, session) in [
            ("admin", &self.admin),
            ("auditor", &self.auditor),
            ("alice", &self.alice),
            ("bob", &self.bob),
            ("mallory", &self.mallory),
            ("suspended", &self.suspended),
        ] {
            learn(name.to_owned(), session.account.id.as_bytes());
            learn(format!("session.{name}"), session.id.as_bytes());
        }
        let token_hash = Sha256::digest(&self.mallory.token.0);
        learn("token.mallory".to_owned(), &token_hash);
        learn("object".to_owned(), self.object.as_bytes());
        learn("object.hidden".to_owned(), self.keys["hidden"].as_bytes());
        learn("team".to_owned(), self.group.as_bytes());
        learn("gang".to_owned(), gang.as_bytes());
        for (name, bytes) in self.law.names() {
            learn(name, &bytes);
        }
        learn("new".to_owned(), GrantId::generate().as_bytes());
        let keys: Vec<_> = self.keys.iter().map(|(name, key)| (*name, *key)).collect();
        for (name, key) in keys {
            if name == "destroyed" || name == "mallorys" {
                continue;
            }
            let grants = self.alice.grants(key).unwrap().grants;
            let own = blob(grants[0].id.as_bytes());
            self.names.insert(format!("own.{name}"), own);
            if let Some(grant) = grants.get(1) {
                let grant = blob(grant.id.as_bytes());
                self.names.insert(format!("grant.{name}"), grant);
            }
        }
        let grants = self.mallory.grants(self.keys["mallorys"]).unwrap().grants;
        let own = blob(grants[0].id.as_bytes());
        self.names.insert("own.mallorys".to_owned(), own);
    }

    /// A session's row as the values of an INSERT.
    fn session_row(&self, session: &Session) -> String {
        let query = "SELECT quote(token_hash) || ',' || quote(id) || ',' || quote(account) || ',' || quote(created) || ',' ||
             quote(expires) || ',' || quote(source) || ',' || quote(kek_version) || ',' || quote(sealed) || ',' || quote(strength) || ',' ||
             quote(confirmed) || ',' || quote(seen) || ',' || quote(seen_from) || ',' || quote(seen_mac) FROM sessions WHERE id = ?1";
        self.appliance
            .database()
            .query_row(query, [session.id.as_bytes()], |row| row.get(0))
            .unwrap()
    }

    /// The statement with every `{name}` replaced.
    pub(crate) fn fill_in(&self, statement: &str) -> String {
        let mut filled = statement.to_owned();
        for (name, value) in &self.names {
            filled = filled.replace(&format!("{{{name}}}"), value);
        }
        assert!(!filled.contains('{'), "an unknown name in {filled}");
        filled
    }

    /// Makes an attempt at an appliance that is a copy of this one.
    pub(crate) fn attempt(
        &self,
        appliance: &Appliance,
        attempt: &Attempt,
    ) -> Result<(), Box<Problem>> {
        let api = appliance.api();
        let at = |who: Who| match who {
            Who::Admin => self.admin.at(&api),
            Who::Alice => self.alice.at(&api),
            Who::Bob => self.bob.at(&api),
            Who::Mallory => self.mallory.at(&api),
            Who::Suspended => self.suspended.at(&api),
        };
        let key = |name: &str| self.keys[name];
        let outcome = match *attempt {
            Attempt::Release(who, name) => at(who).release(key(name)).map(drop),
            Attempt::Repeat(who) => repeat(&mut at(who)).map(drop),
            Attempt::ReleaseVersion(who, name, version) => {
                at(who).release_version(key(name), Some(version)).map(drop)
            }
            Attempt::Show(who, name) => at(who).key(key(name)).map(drop),
            Attempt::List(who, name) => list(&mut at(who), key(name)),
            Attempt::Share(who, name, grantee) => at(who).share(key(name), grantee).map(drop),
            Attempt::Grants(who, name) => at(who).grants(key(name)).map(drop),
            Attempt::Rotate(who, name) => at(who).rotate(key(name)).map(drop),
            Attempt::Destroy(who, name) => at(who).destroy(key(name)).map(drop),
            Attempt::OwnAccount(who) => at(who)
                .get::<strongroom_wire::account::Account>("/v1/accounts/me")
                .map(drop),
            Attempt::ShowObject(who) => at(who)
                .get::<ShownObject>(&format!("/v1/objects/{}?part=object", self.object))
                .map(drop),
            Attempt::FindObject(Who::Bob) => {
                let hidden = ObjectId::from_bytes(*key("hidden").as_bytes());
                find(&mut at(Who::Bob), hidden, ObjectPart::Public)
            }
            Attempt::FindObject(who) => find(&mut at(who), self.object, ObjectPart::Object),
            Attempt::PutObject(who) => put(&mut at(who), self.object).map(drop),
            Attempt::Sessions(who) => at(who).get::<Sessions>("/v1/sessions").map(drop),
            Attempt::Accounts(who) => at(who).get::<AccountPage>("/v1/accounts").map(drop),
            Attempt::Audit(who) => audit(&mut at(who), self.auditor.leaf),
            Attempt::Members(who) => at(who)
                .get::<GroupMembers>(&format!("/v1/groups/{}/members", self.group))
                .map(drop),
            Attempt::AddMember(who, account) => {
                let add = AddMember {
                    account: account.to_owned(),
                    membership: Membership::Member,
                };
                let path = format!("/v1/groups/{}/members", self.group);
                at(who).ask::<Done>("PUT", &path, &add).map(drop)
            }
            Attempt::SignIn(account, password_of) => {
                let password = appliance.password_of(password_of);
                api.sign_in(account, &password).map(drop)
            }
            Attempt::Enrol(account, code_of) => api
                .enrol(account, &self.codes[code_of], "mallory knows it")
                .map(drop),
            Attempt::Law(attempt) => self.law.attempt(appliance, attempt, at),
            Attempt::Nothing => Ok(()),
        };
        outcome.map_err(|failed| Box::new(failed.problem()))
    }
}

/// Makes a request with an idempotency key, always the same.
fn repeat(session: &mut Session) -> Result<CreatedKeys, Failed> {
    let request = CreateKeys {
        keys: vec![new_key("made once", &[])],
        release: true,
    };
    let path = "/v1/keys?idempotency_key=01934c1e-7d5a-7cc0-8f3e-0123456789ab";
    session.ask("POST", path, &request)
}

/// Whether the key is in the list; that it is left out counts as a refusal.
fn list(session: &mut Session, key: KeyId) -> Result<(), Failed> {
    let page: KeyPage = session.get("/v1/keys?limit=1000")?;
    if page.keys.iter().any(|other| other.id == key) {
        return Ok(());
    }
    let problem = Problem::new(Code::KeyNotFound, "It was left out.");
    Err(Failed::Refused(Box::new(problem)))
}

/// Says of the object that it is a certificate.
fn put(session: &mut Session, object: ObjectId) -> Result<ChangedObject, Failed> {
    let certificate = ObjectDescription {
        class: 1,
        kind: Some(0),
        label: b"root".as_slice().into(),
        id: b"\x01".as_slice().into(),
        attributes: b"a certificate".as_slice().into(),
    };
    let path = format!("/v1/objects/{object}?part=object");
    session.ask("PUT", &path, &certificate)
}

/// Whether the object is found among all; that it is left out counts as a refusal.
fn find(session: &mut Session, object: ObjectId, part: ObjectPart) -> Result<(), Failed> {
    let page: ObjectPage = session.get("/v1/objects?limit=1000")?;
    if page
        .objects
        .iter()
        .any(|other| (other.id, other.part) == (object, part))
    {
        return Ok(());
    }
    let problem = Problem::new(Code::ObjectNotFound, "It was left out.");
    Err(Failed::Refused(Box::new(problem)))
}

/// Whether somebody sees a leaf of others; that they do not counts as a refusal.
fn audit(session: &mut Session, leaf: u64) -> Result<(), Failed> {
    let records: Vec<Record> = session.records_after(None)?;
    if records.iter().any(|record| record.index == leaf) {
        return Ok(());
    }
    let problem = Problem::new(Code::NotPermitted, "It was left out.");
    Err(Failed::Refused(Box::new(problem)))
}

pub(crate) fn enrolled(
    appliance: &Appliance,
    admin: &mut Session,
    name: &str,
    roles: &[Role],
) -> Session {
    let created = admin.create_account(name, AccountKind::Person, roles, None);
    let code = created.unwrap().enrolment_code.unwrap();
    let password = appliance.password_of(name);
    appliance.api().enrol(name, &code, &password).unwrap();
    appliance.sign_in(name)
}

/// Creates an account and answers its enrolment code.
fn code_for(admin: &mut Session, name: &str) -> String {
    let created = admin.create_account(name, AccountKind::Person, &[], None);
    created.unwrap().enrolment_code.unwrap()
}

pub(crate) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// As SQL writes bytes.
fn blob(bytes: &[u8]) -> String {
    format!("x'{}'", hex::encode(bytes))
}
