//! Whether enough people approved the very same act.

use serde::{Deserialize, Serialize};
use strongroom_wire::account::Role;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;

use crate::evidence::Approval;
use crate::statement::{Decision, Statement};

/// How many people of which role an act needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// How many.
    pub count: u32,
    /// Of which role.
    pub role: Role,
}

/// Why an approval does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Discount {
    /// It decides on another act, or on another generation or record of it.
    AnotherAct,
    /// It is against the act.
    Rejects,
    /// It was given in another role.
    AnotherRole,
    /// The person is excluded: they entered or proposed what is decided on.
    Excluded,
    /// The person's approval counts already.
    Repeated,
    /// Another person's approval by the same key counts already.
    SharedKey,
    /// It was out of date.
    Expired,
}

/// Which approvals count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The accounts whose approvals count, each once, in the order of the approvals.
    pub counted: Vec<AccountId>,
    /// Those that do not, by their place among the approvals, and why.
    pub discounted: Vec<(usize, Discount)>,
    needed: usize,
}

impl Tally {
    /// Whether they are enough.
    #[must_use]
    pub const fn is_met(&self) -> bool {
        self.counted.len() >= self.needed
    }
}

impl Quorum {
    /// Which of these approvals of the act that `act` decides on count at the moment `at`. `excluded` are the people who may have no part in it.
    ///
    /// The approvals' evidence has been verified by whoever passes them; a quorum of nobody is never met.
    #[must_use]
    pub fn tally(
        &self,
        act: &Statement,
        approvals: &[Approval],
        excluded: &[AccountId],
        at: Timestamp,
    ) -> Tally {
        let mut counted: Vec<&Approval> = Vec::new();
        let mut discounted = Vec::new();
        for (position, approval) in approvals.iter().enumerate() {
            let statement = &approval.statement;
            let discount = if !statement.same_act(act) {
                Some(Discount::AnotherAct)
            } else if statement.decision != Decision::Approve {
                Some(Discount::Rejects)
            } else if approval.role != self.role {
                Some(Discount::AnotherRole)
            } else if excluded.contains(&approval.account) {
                Some(Discount::Excluded)
            } else if at >= statement.valid_until || approval.time > at {
                Some(Discount::Expired)
            } else if counted.iter().any(|by| by.account == approval.account) {
                Some(Discount::Repeated)
            } else if counted.iter().any(|by| by.key == approval.key) {
                Some(Discount::SharedKey)
            } else {
                None
            };
            match discount {
                Some(discount) => discounted.push((position, discount)),
                None => counted.push(approval),
            }
        }
        Tally {
            counted: counted.iter().map(|approval| approval.account).collect(),
            discounted,
            needed: self.count.max(1) as usize,
        }
    }

    /// Whether enough of these approvals count: see [`tally`](Self::tally).
    #[must_use]
    pub fn met(
        &self,
        act: &Statement,
        approvals: &[Approval],
        excluded: &[AccountId],
        at: Timestamp,
    ) -> bool {
        self.tally(act, approvals, excluded, at).is_met()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statement::Of;

    const NOW: u64 = 1_000;

    fn act() -> Statement {
        Statement {
            domain_origin: "strongroom.example/default".to_owned(),
            subject: "01939c2f-1a00-7a11-8111-111111111111".to_owned(),
            of: Of::Authorisation {
                generation: 2,
                record_sha256: [7; 32],
            },
            decision: Decision::Approve,
            valid_until: Timestamp::from_millis(NOW + 1),
        }
    }

    fn approval(person: u8) -> Approval {
        Approval {
            statement: act(),
            account: AccountId::from_bytes([person; 16]),
            role: Role::LegalApprover,
            key: [person; 32],
            time: Timestamp::from_millis(NOW),
        }
    }

    const TWO: Quorum = Quorum {
        count: 2,
        role: Role::LegalApprover,
    };

    fn tally(approvals: &[Approval], excluded: &[AccountId]) -> Tally {
        TWO.tally(&act(), approvals, excluded, Timestamp::from_millis(NOW))
    }

    #[test]
    fn each_reason_discounts() {
        let good = approval(1);
        let with = |change: &dyn Fn(&mut Approval)| {
            let mut other = approval(2);
            change(&mut other);
            tally(&[good.clone(), other], &[AccountId::from_bytes([9; 16])])
        };
        assert!(with(&|_| ()).is_met());
        let expect = |change: &dyn Fn(&mut Approval), why: Discount| {
            let tally = with(change);
            assert_eq!(tally.discounted, vec![(1, why)]);
            assert!(!tally.is_met(), "{why:?}");
        };
        let generation = |approval: &mut Approval| {
            approval.statement.of = Of::Authorisation {
                generation: 1,
                record_sha256: [7; 32],
            };
        };
        let record = |approval: &mut Approval| {
            approval.statement.of = Of::Authorisation {
                generation: 2,
                record_sha256: [8; 32],
            };
        };
        expect(&generation, Discount::AnotherAct);
        expect(&record, Discount::AnotherAct);
        expect(&|a| a.statement.subject.push('x'), Discount::AnotherAct);
        expect(&|a| a.statement.domain_origin.clear(), Discount::AnotherAct);
        expect(
            &|a| a.statement.decision = Decision::Reject,
            Discount::Rejects,
        );
        expect(&|a| a.role = Role::Executor, Discount::AnotherRole);
        expect(
            &|a| a.account = AccountId::from_bytes([9; 16]),
            Discount::Excluded,
        );
        expect(
            &|a| a.account = AccountId::from_bytes([1; 16]),
            Discount::Repeated,
        );
        expect(&|a| a.key = [1; 32], Discount::SharedKey);
        let late = |a: &mut Approval| a.statement.valid_until = Timestamp::from_millis(NOW);
        expect(&late, Discount::Expired);
        expect(
            &|a| a.time = Timestamp::from_millis(NOW + 1),
            Discount::Expired,
        );
    }

    #[test]
    fn a_quorum_of_nobody_is_not_met_by_nobody() {
        let none = Quorum { count: 0, ..TWO };
        assert!(!none.met(&act(), &[], &[], Timestamp::from_millis(NOW)));
    }

    proptest! {
        /// However approvals repeat and mix, a quorum is met exactly when that many different people who are not excluded approve by keys of
        /// their own.
        #[test]
        fn only_different_people_count(people in prop::collection::vec((0u8..6, any::<bool>()), 0..12), excluded in 0u8..6, count in 1u32..5) {
            let approvals: Vec<_> = people
                .iter()
                .map(|(person, approves)| {
                    let mut approval = approval(*person);
                    if !approves {
                        approval.statement.decision = Decision::Reject;
                    }
                    approval
                })
                .collect();
            let different: std::collections::BTreeSet<_> = people
                .iter()
                .filter(|(person, approves)| *approves && *person != excluded)
                .collect();
            let quorum = Quorum { count, ..TWO };
            let excluded = [AccountId::from_bytes([excluded; 16])];
            let tally = quorum.tally(&act(), &approvals, &excluded, Timestamp::from_millis(NOW));
            prop_assert_eq!(tally.counted.len(), different.len());
            prop_assert_eq!(tally.counted.len() + tally.discounted.len(), approvals.len());
            prop_assert_eq!(tally.is_met(), different.len() >= count as usize);
        }
    }
}
