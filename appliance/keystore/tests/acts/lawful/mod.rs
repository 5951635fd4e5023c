//! Lawful access: the people, what they sign with, and an order.

pub(crate) mod ending;
pub(crate) mod evidence;
pub(crate) mod lifecycle;
pub(crate) mod roles;
pub(crate) mod waiting;

use std::time::Duration;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::json;
use strongroom_approval::{ApprovalKey, Decision, Of, Statement};
use strongroom_keystore::{Answer, Error, Options};
use strongroom_wire::account::Role;
use strongroom_wire::approval::{ADD_APPROVAL_KEY, AddApprovalKey, Decide, SignedBy};
use strongroom_wire::audit::{Act, Record, RecordQuery};
use strongroom_wire::authorisation::{
    Authorisation, AuthorisationOrder, ChangedAuthorisation, PutDocument,
};
use strongroom_wire::id::{AccountId, ApprovalKeyId};

use crate::house::{House, Person};

pub(crate) const DAY: u64 = 24 * 3600;
/// Whom the order is about.
pub(crate) const TARGET: &str = "eve@example.com";

/// Somebody with an approval key.
pub(crate) struct Officer {
    pub(crate) person: Person,
    pub(crate) account: AccountId,
    pub(crate) key: ApprovalKeyId,
    pair: Ed25519KeyPair,
}

/// A domain with everybody whom lawful access needs.
pub(crate) struct Office {
    pub(crate) house: House,
    pub(crate) target: Person,
    pub(crate) officer: Person,
    pub(crate) ruth: Officer,
    pub(crate) ruben: Officer,
    pub(crate) auditor: Person,
}

impl Office {
    pub(crate) fn new(label: &str) -> Self {
        // Months go by here, and nobody signs in again.
        let options = Options {
            session_lifetime: Duration::from_hours(24 * 400),
            session_idle_lifetime: Duration::from_hours(24 * 400),
            ..Options::default()
        };
        let house = House::with(label, options);
        let target = house.person(TARGET);
        let officer = house.person_with("carl@example.com", &[Role::CaseOfficer]);
        let auditor = house.person_with("otto@example.com", &[Role::Auditor]);
        let ruth = Officer::new(&house, "ruth@example.com", &[Role::LegalApprover]);
        let ruben = Officer::new(&house, "ruben@example.com", &[Role::LegalApprover]);
        Self {
            house,
            target,
            officer,
            ruth,
            ruben,
            auditor,
        }
    }

    /// An order about the target's messages, for so many days from now.
    pub(crate) fn order(&self, days: u64) -> AuthorisationOrder {
        let warrant = PutDocument {
            content: b"In the name of the law".as_slice().into(),
        };
        let warrant = self
            .house
            .keystore
            .put_warrant(&self.officer.presented, warrant);
        let now = self.house.now();
        serde_json::from_value(json!({
            "reference": "GS 17/2027",
            "legal_type": "disclosure of stored content",
            "legal_basis": "StPO 269",
            "jurisdiction": "ZH",
            "country_code": "CH",
            "issuing_authority": "Staatsanwaltschaft",
            "validating_authority": "Zwangsmassnahmengericht",
            "timespan": { "start": now, "end": now.plus_seconds(days * DAY) },
            "warrant": { "name": "warrant.txt", "media_type": "text/plain", "sha256": warrant.unwrap().sha256 },
            "necessity": "Nothing milder leads there.",
            "proportionality": "A month of mail with one person.",
            "notification_delay": 90 * DAY,
            "notification_delay_basis": "StPO 279",
            "agency_key": { "certificate": "MIIBwzCCAWmgAwIBAgIUCCWI5v2TODJue2lvVTEPDAhNuSIwCgYIKoZIzj0EAwIwNzELMAkGA1UEBhMCREUxFzAVBgNVBAoMDlBydTAwZmNmc3RlbGxlMQ8wDQYDVQQDDAZBZ2VuY3kwHhcNMjYxMTMwMDgwNjM4WhcNMjYxMjMwMDgwNjM4WjA3MQswCQYDVQQGEwJERTEXMBUGA1UECgwOUHJ1MDBmY2ZzdGVsbGUxDzANBgNVBAMMBkFnZW5jeTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABINAxqdv-ICedLgSMU-G8iz-O4KxvGVndPYdl8eXHzfYULc8czjhhxuzzkom-T2ppETlC0DL3E2LtqWxROYUHDSjUzBRMB0GA1UdDgQWBBQp1zOsoC0IPZ9dd03FvmelszE_yDAfBgNVHSMEGDAWgBQp1zOsoC0IPZ9dd03FvmelszE_yDAPBgNVHRMBAf8EBTADAQH_MAoGCCqGSM49BAMCA0gAMEUCIQDj6eg7rHGtlB_uktzl_hyFaeULmxVsKCAeRYiItKgROgIgNvWReqjVPWwnbVbm4T2WdQNl2CKGSaYIgPoPpi4EghA" },
            "max_items": 100,
            "tasks": [ { "reference": "1", "scope": { "messages": { "person": TARGET, "direction": "to-or-from",
                "window": { "start": "2026-01-01T00:00:00Z", "end": "2027-12-01T00:00:00Z" } } } } ],
        }))
        .unwrap()
    }

    /// The same for an emergency.
    pub(crate) fn emergency(&self, days: u64) -> AuthorisationOrder {
        let mut order = self.order(days);
        order.flags.emergency = true;
        order
    }

    pub(crate) fn enter(&self, order: AuthorisationOrder) -> Authorisation {
        let entered = self
            .house
            .keystore
            .enter_authorisation(&self.officer.presented, order);
        entered.unwrap().authorisation
    }

    /// What is approved about an authorisation, for a day.
    pub(crate) fn statement(&self, of: &Authorisation, decision: Decision) -> Statement {
        let record = strongroom_approval::canonical::to_vec(&of.record).unwrap();
        Statement {
            domain_origin: of.record.domain_origin.clone(),
            subject: of.id.to_string(),
            of: Of::Authorisation {
                generation: of.generation,
                record_sha256: strongroom_approval::sha256(&record),
            },
            decision,
            valid_until: self.house.now().plus_seconds(DAY),
        }
    }

    pub(crate) fn decide(
        &self,
        by: &Officer,
        of: &Authorisation,
        decision: Decision,
    ) -> Result<Authorisation, Error> {
        let decide = by.sign(&self.statement(of, decision));
        refused(
            self.house
                .keystore
                .decide_authorisation(&by.person.presented, of.id, decide),
        )
    }

    pub(crate) fn approve(&self, by: &Officer, of: &Authorisation) -> Result<Authorisation, Error> {
        self.decide(by, of, Decision::Approve)
    }

    /// An authorisation that is in effect.
    pub(crate) fn approved(&self) -> Authorisation {
        let entered = self.enter(self.order(30));
        self.approve(&self.ruth, &entered).unwrap();
        self.approve(&self.ruben, &entered).unwrap()
    }

    /// The authorisation as the case officer sees it now.
    pub(crate) fn now(&self, of: &Authorisation) -> Authorisation {
        self.house
            .keystore
            .authorisation(&self.officer.presented, of.id)
            .unwrap()
    }

    /// The newest leaf.
    pub(crate) fn newest(&self) -> Record {
        self.records().remove(0)
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        let all = RecordQuery::default();
        let records = self.house.keystore.records(&self.auditor.presented, all);
        records.unwrap().records
    }

    /// The newest leaf, which must say that this act was refused.
    pub(crate) fn expect_refused(&self, act: Act, note: &str) {
        let newest = self.newest();
        assert_eq!((newest.act, newest.done), (act, false), "{newest:?}");
        assert!(
            newest.note.as_deref().unwrap().starts_with(note),
            "{newest:?}"
        );
    }
}

impl Officer {
    pub(crate) fn new(house: &House, name: &str, roles: &[Role]) -> Self {
        let person = house.person_with(name, roles);
        let pair = Ed25519KeyPair::generate().unwrap();
        let account = house.keystore.own_account(&person.presented).unwrap().id;
        let add = add_key(house, account, &pair);
        let added = house.keystore.add_approval_key(&person.presented, add);
        Self {
            key: added.unwrap().key.id,
            person,
            account,
            pair,
        }
    }

    /// The decision that a statement says, signed.
    pub(crate) fn sign(&self, statement: &Statement) -> Decide {
        let bytes = statement.to_bytes();
        Decide {
            signed_by: SignedBy::ApprovalKey {
                id: self.key,
                jws: jws(&self.pair, &bytes),
            },
            statement: bytes.into(),
        }
    }
}

/// What adds a key to an account.
pub(crate) fn add_key(house: &House, account: AccountId, pair: &Ed25519KeyPair) -> AddApprovalKey {
    let key = public(pair);
    let statement = Statement {
        domain_origin: origin(house),
        subject: account.to_string(),
        of: Of::Request {
            act: ADD_APPROVAL_KEY.to_owned(),
            request_sha256: key.fingerprint(),
        },
        decision: Decision::Approve,
        valid_until: house.now().plus_seconds(60),
    };
    let statement = statement.to_bytes();
    AddApprovalKey {
        name: "a card".to_owned(),
        public_key: key.spki().into(),
        jws: jws(pair, &statement),
        statement: statement.into(),
    }
}

pub(crate) fn public(pair: &Ed25519KeyPair) -> ApprovalKey {
    let prefix = [
        0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
    ];
    ApprovalKey::from_spki(&[&prefix[..], pair.public_key().as_ref()].concat()).unwrap()
}

pub(crate) fn jws(pair: &Ed25519KeyPair, payload: &[u8]) -> String {
    let key = public(pair);
    key.jws(pair.sign(&key.signing_input(payload)).as_ref())
        .unwrap()
}

pub(crate) fn origin(house: &House) -> String {
    let credentials = house.keystore.approval_credentials(&house.admin.presented);
    credentials.unwrap().domain_origin
}

pub(crate) fn refused(answer: Answer<ChangedAuthorisation>) -> Result<Authorisation, Error> {
    answer
        .map(|changed| changed.authorisation)
        .map_err(|refusal| refusal.error)
}
