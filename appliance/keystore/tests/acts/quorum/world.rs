//! A domain whose policy demands quorums for everything that it can.

use strongroom_approval::{Decision, Of, Statement, canonical, sha256};
use strongroom_keystore::{Error, Presented};
use strongroom_wire::account::{Role, UpdateAccount};
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{Algorithm, CreateKeys, KeyVersion, NewKey, ReleaseKeys};
use strongroom_wire::operation::{Mechanism, Operate, Operation};
use strongroom_wire::policy::DomainPolicy;
use strongroom_wire::proposal::{GuardedAct, Proposal, Propose, ProposedRequest, QuorumRule};

use crate::house::{House, Person};
use crate::lawful::{DAY, Officer};

pub(super) const LABEL: &str = "root CA";

/// A domain whose policy demands quorums of security officers for everything that it can.
pub(super) struct World {
    pub(super) house: House,
    pub(super) alice: Person,
    pub(super) key: KeyId,
    pub(super) other: KeyId,
    pub(super) sam: Officer,
    pub(super) sue: Officer,
}

pub(super) fn rule(act: GuardedAct, label: Option<&str>, count: u32) -> QuorumRule {
    QuorumRule {
        act,
        label: label.map(str::to_owned),
        count,
        role: Role::SecurityOfficer,
        valid_for: 3600,
    }
}

pub(super) fn policy() -> DomainPolicy {
    let mut quorums = vec![
        rule(GuardedAct::KeyDestroy, Some(LABEL), 2),
        rule(GuardedAct::KeyRelease, Some(LABEL), 2),
    ];
    for act in [
        GuardedAct::DomainPolicy,
        GuardedAct::AccountUpdate,
        GuardedAct::MasterKekRotate,
        GuardedAct::MasterKekRetire,
        GuardedAct::MasterKekDestroy,
        GuardedAct::ApplianceReset,
    ] {
        quorums.push(rule(act, None, 2));
    }
    DomainPolicy {
        quorums,
        ..DomainPolicy::default()
    }
}

impl World {
    pub(super) fn new(label: &str) -> Self {
        let house = House::new(label);
        let alice = house.person("alice@example.com");
        let sam = Officer::new(&house, "sam@example.com", &[Role::SecurityOfficer]);
        let sue = Officer::new(&house, "sue@example.com", &[Role::SecurityOfficer]);
        let request = CreateKeys {
            keys: [LABEL, "a report"]
                .map(|label| NewKey {
                    label: label.to_owned(),
                    ..NewKey::new(Algorithm::Aes256)
                })
                .to_vec(),
            release: false,
        };
        let created = house
            .keystore
            .create_keys(&alice.presented, request)
            .unwrap();
        let [key, other] = [0, 1].map(|place: usize| created.keys[place].key.id);
        // A master KEK that could be retired.
        house
            .keystore
            .rotate_master_kek(&house.admin.presented)
            .unwrap();
        while house.keystore.rewrap_some(100).unwrap() > 0 {}
        house
            .keystore
            .set_domain_policy(&house.admin.presented, policy())
            .unwrap();
        Self {
            house,
            alice,
            key,
            other,
            sam,
            sue,
        }
    }

    pub(super) fn propose(
        &self,
        by: &Presented,
        request: ProposedRequest,
    ) -> Result<Proposal, Error> {
        let proposed = self.house.keystore.propose(by, Propose { request });
        proposed
            .map(|changed| changed.proposal)
            .map_err(|refusal| refusal.error)
    }

    pub(super) fn statement(&self, of: &Proposal, decision: Decision) -> Statement {
        let bytes = canonical::to_vec(&of.request).unwrap();
        assert_eq!(hex::encode(sha256(&bytes)), of.request_sha256);
        Statement {
            domain_origin: of.domain_origin.clone(),
            subject: of.id.to_string(),
            of: Of::Request {
                act: of.request.act().as_str().to_owned(),
                request_sha256: sha256(&bytes),
            },
            decision,
            valid_until: self.house.now().plus_seconds(DAY),
        }
    }

    pub(super) fn decide(
        &self,
        by: &Officer,
        of: &Proposal,
        decision: Decision,
    ) -> Result<Proposal, Error> {
        let decide = by.sign(&self.statement(of, decision));
        let decided = self
            .house
            .keystore
            .decide_proposal(&by.person.presented, of.id, decide);
        decided
            .map(|changed| changed.proposal)
            .map_err(|refusal| refusal.error)
    }

    /// Somebody's request by the approvals of a proposal that two people approve.
    pub(super) fn approved(&self, by: &Presented, request: ProposedRequest) -> Presented {
        let proposal = self.propose(by, request).unwrap();
        assert!(
            !self
                .decide(&self.sam, &proposal, Decision::Approve)
                .unwrap()
                .approved
        );
        assert!(
            self.decide(&self.sue, &proposal, Decision::Approve)
                .unwrap()
                .approved
        );
        with(by, &proposal)
    }

    pub(super) fn account(&self, name: &str) -> AccountId {
        let page = self
            .house
            .keystore
            .accounts(&self.house.admin.presented, None, None)
            .unwrap();
        page.accounts
            .iter()
            .find(|account| account.name == name)
            .unwrap()
            .id
    }
}

pub(super) fn with(by: &Presented, proposal: &Proposal) -> Presented {
    Presented {
        proposal: Some(proposal.id),
        ..by.clone()
    }
}

pub(super) fn roles(roles: &[Role]) -> UpdateAccount {
    UpdateAccount {
        state: None,
        roles: Some(roles.to_vec()),
    }
}

pub(super) fn many(key: KeyId) -> ReleaseKeys {
    ReleaseKeys {
        keys: vec![KeyVersion { key, version: None }],
    }
}

pub(super) fn wrap(key: KeyId) -> Operate {
    let operation = Operation::Wrap {
        mechanism: Mechanism::AesKwp,
        key,
        version: None,
        iv: None,
        associated_data: None,
    };
    Operate {
        operation,
        version: None,
    }
}
