//! Roles: what each may do beyond its own keys, and which exclude each other. `docs/roles.md` says the same, and a test holds the two
//! together.

use strongroom_wire::account::Role;

use crate::error::Error;

/// What needs a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum May {
    /// Create accounts, suspend and activate them, give roles, make enrolment codes.
    ManageAccounts,
    /// Approve the recovery of an account that somebody else has started.
    ApproveRecoveries,
    /// Set the domain's policy.
    SetDomainPolicy,
    /// Rotate the master KEK and others' KEKs, retire and destroy versions of the master KEK.
    RotateKeks,
    /// Read the whole audit log.
    ReadAudit,
    /// Enter an authorisation.
    EnterAuthorisations,
    /// Approve an authorisation or reject it.
    ApproveAuthorisations,
    /// Suspend an authorisation or cancel it.
    SuspendAuthorisations,
    /// See the authorisations that one has to do with.
    SeeAuthorisations,
    /// Carry out the disclosure that an approved authorisation names.
    ExecuteDisclosures,
    /// Hand out a disclosure that was carried out.
    ReleaseDisclosures,
}

/// What each role may do.
const TABLE: [(Role, &[May]); 7] = [
    (
        Role::Administrator,
        &[
            May::ManageAccounts,
            May::ApproveRecoveries,
            May::SetDomainPolicy,
            May::RotateKeks,
        ],
    ),
    (
        Role::SecurityOfficer,
        &[
            May::ApproveRecoveries,
            May::SetDomainPolicy,
            May::RotateKeks,
        ],
    ),
    (
        Role::CaseOfficer,
        &[
            May::EnterAuthorisations,
            May::SuspendAuthorisations,
            May::SeeAuthorisations,
        ],
    ),
    (
        Role::LegalApprover,
        &[
            May::ApproveAuthorisations,
            May::SuspendAuthorisations,
            May::SeeAuthorisations,
        ],
    ),
    (
        Role::Executor,
        &[May::ExecuteDisclosures, May::SeeAuthorisations],
    ),
    (
        Role::Releaser,
        &[May::ReleaseDisclosures, May::SeeAuthorisations],
    ),
    (Role::Auditor, &[May::ReadAudit, May::SeeAuthorisations]),
];

const NOBODY_AUDITS_THEMSELVES: &str = "nobody audits themselves";
const NOBODY_DISCLOSES_ALONE: &str = "nobody discloses alone";
const NOT_BY_THEIR_OWN_LEAVE: &str =
    "who decides over accounts or policies has no part in disclosures";

/// Which roles no account has both of, and why.
const EXCLUDING: [(Role, Role, &str); 20] = {
    use Role::{
        Administrator, Auditor, CaseOfficer, Executor, LegalApprover, Releaser, SecurityOfficer,
    };
    [
        (Auditor, Administrator, NOBODY_AUDITS_THEMSELVES),
        (Auditor, SecurityOfficer, NOBODY_AUDITS_THEMSELVES),
        (Auditor, CaseOfficer, NOBODY_AUDITS_THEMSELVES),
        (Auditor, LegalApprover, NOBODY_AUDITS_THEMSELVES),
        (Auditor, Executor, NOBODY_AUDITS_THEMSELVES),
        (Auditor, Releaser, NOBODY_AUDITS_THEMSELVES),
        (CaseOfficer, LegalApprover, NOBODY_DISCLOSES_ALONE),
        (CaseOfficer, Executor, NOBODY_DISCLOSES_ALONE),
        (CaseOfficer, Releaser, NOBODY_DISCLOSES_ALONE),
        (LegalApprover, Executor, NOBODY_DISCLOSES_ALONE),
        (LegalApprover, Releaser, NOBODY_DISCLOSES_ALONE),
        (Executor, Releaser, NOBODY_DISCLOSES_ALONE),
        (Administrator, CaseOfficer, NOT_BY_THEIR_OWN_LEAVE),
        (Administrator, LegalApprover, NOT_BY_THEIR_OWN_LEAVE),
        (Administrator, Executor, NOT_BY_THEIR_OWN_LEAVE),
        (Administrator, Releaser, NOT_BY_THEIR_OWN_LEAVE),
        (SecurityOfficer, CaseOfficer, NOT_BY_THEIR_OWN_LEAVE),
        (SecurityOfficer, LegalApprover, NOT_BY_THEIR_OWN_LEAVE),
        (SecurityOfficer, Executor, NOT_BY_THEIR_OWN_LEAVE),
        (SecurityOfficer, Releaser, NOT_BY_THEIR_OWN_LEAVE),
    ]
};

/// Whether one of these roles allows this.
pub(crate) fn allow(roles: &[Role], may: May) -> bool {
    TABLE
        .iter()
        .any(|(role, allowed)| roles.contains(role) && allowed.contains(&may))
}

/// Refuses roles that no account has together.
pub(crate) fn check(roles: &[Role]) -> Result<(), Error> {
    match EXCLUDING
        .iter()
        .find(|(one, other, _)| roles.contains(one) && roles.contains(other))
    {
        None => Ok(()),
        Some((one, other, reason)) => Err(Error::Conflict(format!(
            "The roles {} and {} exclude each other: {reason}.",
            one.as_str(),
            other.as_str()
        ))),
    }
}

/// What each role may do, in words.
pub(crate) fn powers() -> Vec<(Role, Vec<&'static str>)> {
    let words = |allowed: &[May]| allowed.iter().map(|may| may.in_words()).collect();
    TABLE
        .iter()
        .map(|(role, allowed)| (*role, words(allowed)))
        .collect()
}

/// Which roles no account has both of, and why.
pub(crate) fn conflicts() -> Vec<(Role, Role, &'static str)> {
    EXCLUDING.to_vec()
}

impl May {
    /// What it is, in words.
    pub(crate) const fn in_words(self) -> &'static str {
        match self {
            Self::ManageAccounts => "manages accounts",
            Self::ApproveRecoveries => "approves recoveries that somebody else has started",
            Self::SetDomainPolicy => "sets the domain's policy",
            Self::RotateKeks => "rotates the master KEK and others' KEKs",
            Self::ReadAudit => "reads the whole audit log",
            Self::EnterAuthorisations => "enters authorisations",
            Self::ApproveAuthorisations => "approves or rejects authorisations",
            Self::SuspendAuthorisations => "suspends and cancels authorisations",
            Self::SeeAuthorisations => "sees the authorisations that it has to do with",
            Self::ExecuteDisclosures => "carries out approved disclosures",
            Self::ReleaseDisclosures => "hands out disclosures that were carried out",
        }
    }

    /// What an account without it lacks, for the sentence of a refusal.
    pub(crate) const fn needs(self) -> &'static str {
        match self {
            Self::ManageAccounts => "the role administrator",
            Self::ApproveRecoveries | Self::SetDomainPolicy | Self::RotateKeks => {
                "the role administrator or security-officer"
            }
            Self::ReadAudit => "the role auditor",
            Self::EnterAuthorisations => "the role case-officer",
            Self::ApproveAuthorisations => "the role legal-approver",
            Self::SuspendAuthorisations => "the role case-officer or legal-approver",
            Self::SeeAuthorisations => {
                "the role case-officer, legal-approver, executor, releaser or auditor"
            }
            Self::ExecuteDisclosures => "the role executor",
            Self::ReleaseDisclosures => "the role releaser",
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fmt::Write as _;

    use super::*;

    const DOCUMENT: &str = include_str!("../../../docs/roles.md");

    const ALL: [May; 11] = [
        May::ManageAccounts,
        May::ApproveRecoveries,
        May::SetDomainPolicy,
        May::RotateKeks,
        May::ReadAudit,
        May::EnterAuthorisations,
        May::ApproveAuthorisations,
        May::SuspendAuthorisations,
        May::SeeAuthorisations,
        May::ExecuteDisclosures,
        May::ReleaseDisclosures,
    ];

    #[test]
    fn the_document_says_what_the_tables_say() {
        let mut tables = String::from("| role | may |\n|---|---|\n");
        for (role, allowed) in TABLE {
            let allowed: Vec<_> = allowed.iter().map(|may| may.in_words()).collect();
            writeln!(tables, "| {} | {} |", role.as_str(), allowed.join("; ")).unwrap();
        }
        assert!(DOCUMENT.contains(&tables), "docs/roles.md lacks:\n{tables}");
        let mut tables = String::from("| role | excludes | because |\n|---|---|---|\n");
        for (one, other, reason) in EXCLUDING {
            writeln!(
                tables,
                "| {} | {} | {reason} |",
                one.as_str(),
                other.as_str()
            )
            .unwrap();
        }
        assert!(DOCUMENT.contains(&tables), "docs/roles.md lacks:\n{tables}");
    }

    #[test]
    fn every_role_is_in_the_table_once_and_everything_is_allowed_to_somebody() {
        for role in Role::ALL {
            let rows = TABLE.iter().filter(|(other, _)| *other == role);
            assert_eq!(rows.count(), 1, "{role:?}");
            assert!(check(&[role]).is_ok());
            assert_eq!(
                serde_json::to_string(&role).unwrap(),
                format!("{:?}", role.as_str())
            );
        }
        for may in ALL {
            let holders: Vec<_> = Role::ALL
                .into_iter()
                .filter(|role| allow(&[*role], may))
                .collect();
            assert!(!holders.is_empty(), "{may:?}");
            for role in holders {
                assert!(may.needs().contains(role.as_str()), "{may:?} {role:?}");
            }
        }
        assert!(!ALL.iter().any(|may| allow(&[], *may)));
    }

    #[test]
    fn only_an_administrator_and_a_security_officer_are_one() {
        for (position, one) in Role::ALL.into_iter().enumerate() {
            for other in &Role::ALL[position + 1..] {
                let together = check(&[one, *other]);
                let both = [one, *other].contains(&Role::Administrator)
                    && [one, *other].contains(&Role::SecurityOfficer);
                assert_eq!(together.is_ok(), both, "{one:?} {other:?}");
                if let Err(error) = together {
                    let sentence = error.to_string();
                    assert!(sentence.contains("exclude each other: "), "{sentence}");
                }
            }
        }
    }
}
