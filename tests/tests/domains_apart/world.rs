//! Everybody in one domain, and what they have.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::Connection;
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};
use strongroom_tests::api::Listener;
use strongroom_tests::directory::{Directory, GROUP, id};
use strongroom_tests::{Api, Appliance, Device, Session};
use strongroom_wire::account::AccountKind;
use strongroom_wire::authorisation::ChangedAuthorisation;
use strongroom_wire::device::{DecidedPairing, IssuedSecret, PairingStarted};
use strongroom_wire::directory::DirectoryWithToken;
use strongroom_wire::proposal::ChangedProposal;

use crate::domains_apart::requests::ORDER;

/// Everybody in one domain, and what they have.
pub(crate) struct World {
    /// The domain's name.
    pub(crate) name: String,
    pub(crate) database: PathBuf,
    pub(crate) admin: Session,
    pub(crate) alice: Session,
    pub(crate) service: Device,
    /// The token of its directory, which manages Bob and a group.
    pub(crate) directory: String,
    /// Identifiers and names by what they stand for.
    pub(crate) names: BTreeMap<&'static str, String>,
}

impl World {
    #[expect(clippy::too_many_lines, reason = "one thing after the other, in order")]
    pub(crate) fn new(
        appliance: &Appliance,
        mut admin: Session,
        name: &str,
        database: PathBuf,
    ) -> Self {
        let api = admin.api().clone();
        let mut alice = appliance.person(&mut admin, &format!("alice@{name}.example"));
        let bob = appliance.person(&mut admin, &format!("bob@{name}.example"));
        let bob_name = bob.account.name.clone();
        let key = alice.create_key(&format!("{name}'s key"), &[]).unwrap().key;
        let grant = alice.share(key.id, &bob_name).unwrap().grant;
        let alice_name = alice.account.name.clone();
        let group = admin
            .create_account(
                &format!("group@{name}.example"),
                AccountKind::Group,
                &[],
                Some(&alice_name),
            )
            .unwrap();
        let service = admin
            .create_account(&format!("service-{name}"), AccountKind::Service, &[], None)
            .unwrap();
        let path = format!("/v1/accounts/{}/secret", service.account.id);
        let issued: IssuedSecret = admin.ask("POST", &path, &json!({})).unwrap();
        let secret = admin
            .transport()
            .unwrap_secret(issued.account, issued.generation, &issued.wrapped.0)
            .unwrap();
        let uri = format!("urn:service:{name}");
        let path = format!("/v1/accounts/{}/certificates", service.account.id);
        let _: Value = admin
            .ask("POST", &path, &json!({ "kind": "uri", "value": uri }))
            .unwrap();
        // One device is paired, another waits.
        let paired = start_pairing(&api);
        let path = format!("/v1/pairings/{}", paired.user_code);
        let decided: DecidedPairing = alice
            .ask("POST", &path, &json!({ "approve": true }))
            .unwrap();
        let device = decided.device.unwrap();
        let waiting = start_pairing(&api);
        let _: Value = alice
            .ask("POST", "/v1/accounts/me/recovery-codes", &json!({}))
            .unwrap();
        let path = format!("/v1/accounts/{}/recovery", bob.account.id);
        let _: Value = admin.ask("POST", &path, &json!({})).unwrap();

        let directory: DirectoryWithToken = admin
            .ask("POST", "/v1/directories", &json!({ "name": "entra" }))
            .unwrap();
        let path = format!("/v1/directories/{}/users", directory.directory.id);
        let _: Value = admin
            .ask("POST", &path, &json!({ "account": bob_name }))
            .unwrap();
        let mut entra = Directory::new(&api, &directory.token);
        let of_directory = json!({ "schemas": [GROUP], "displayName": "Legal" });
        let of_directory = entra.ask("POST", "/Groups", Some(&of_directory));

        // She is a case officer as well.
        let path = format!("/v1/accounts/{}", alice.account.id);
        let roles = json!({ "roles": ["case-officer"] });
        let _: Value = admin.ask("PATCH", &path, &roles).unwrap();
        let order: Value =
            serde_json::from_str(&ORDER.replace("{account_name}", &bob_name)).unwrap();
        let entered: ChangedAuthorisation =
            alice.ask("POST", "/v1/authorisations", &order).unwrap();
        let authorisation = entered.authorisation;

        // Destroying her key takes a case officer's approval.
        let rule = json!({ "act": "key.destroy", "label": format!("{name}'s key"), "count": 1, "role": "case-officer", "valid_for": 86_400 });
        let _: Value = admin
            .ask("PUT", "/v1/domain/policy", &json!({ "quorums": [rule] }))
            .unwrap();
        let request = json!({ "request": { "key.destroy": { "key": key.id } } });
        let proposed: ChangedProposal = alice.ask("POST", "/v1/proposals", &request).unwrap();

        let names = BTreeMap::from([
            ("proposal", proposed.proposal.id.to_string()),
            ("authorisation", authorisation.id.to_string()),
            ("sha256", authorisation.record_sha256),
            ("account", bob.account.id.to_string()),
            ("account_name", bob_name),
            ("group", group.account.id.to_string()),
            ("key", key.id.to_string()),
            ("object", key.id.to_string()),
            ("grant", grant.id.to_string()),
            ("session", alice.id.to_string()),
            ("device", device.account.id.to_string()),
            ("code", waiting.user_code),
            ("uri", uri),
            ("directory", directory.directory.id.to_string()),
            ("directory_group", id(&of_directory)),
            ("service", service.account.id.to_string()),
            // A passkey that nobody has; a fleet's name; numbers, of which each domain has its own.
            (
                "credential",
                "01934c1e-7d5a-7cc0-8f3e-0123456789ab".to_owned(),
            ),
            // A disclosure that nobody has made.
            (
                "disclosure",
                "01934c1e-7d5a-7cc0-8f3e-0123456789ad".to_owned(),
            ),
            ("fleet", format!("fleet-{name}")),
            ("index", "0".to_owned()),
            ("version", "1".to_owned()),
        ]);
        Self {
            name: name.to_owned(),
            database,
            service: Device {
                account: service.account.id,
                secret,
            },
            admin,
            alice,
            directory: directory.token,
            names,
        }
    }

    /// Every row of the domain, but for what follows from the time alone.
    pub(crate) fn rows(&self) -> BTreeMap<String, Vec<Vec<Sql>>> {
        let database = Connection::open(&self.database).unwrap();
        let mut tables = database
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .unwrap();
        let tables: Vec<String> = tables
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let all = tables.into_iter().map(|table| {
            let mut statement = database.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
            // When and from where a session was last used is written once a minute.
            let columns: Vec<usize> = (0..names.len())
                .filter(|column| table != "sessions" || !names[*column].starts_with("seen"))
                .collect();
            let rows = statement
                .query_map([], |row| {
                    columns.iter().map(|column| row.get(*column)).collect()
                })
                .unwrap()
                .map(Result::unwrap)
                .collect();
            (table, rows)
        });
        all.collect()
    }
}

fn start_pairing(api: &Api) -> PairingStarted {
    let fields = "client_id=Coffee+machine";
    let domain = api.domain.as_ref();
    let domain = domain.map(|name| format!("strongroom-domain: {name}\r\n"));
    let request = format!(
        "POST /v1/pairings HTTP/1.1\r\nhost: appliance\r\n{}content-type: application/x-www-form-urlencoded\r\n\
         content-length: {}\r\n\r\n{fields}",
        domain.unwrap_or_default(),
        fields.len()
    );
    let mut connection = api.connect(Listener::Client).unwrap();
    let response = connection.raw(request.as_bytes()).unwrap();
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}
