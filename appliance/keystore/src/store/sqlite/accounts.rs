//! Domains, accounts, their KEKs and groups.

use rusqlite::{Row, ToSql, named_params, params};
use strongroom_wire::account::AccountState;
use strongroom_wire::id::AccountId;

use super::counts;
use super::memo::Query;
use super::rows::{Rows, all, array, flag, millis, number, numbered, one, optional_bytes, time};
use crate::domains::Counted;
use crate::store::{
    AccountFilter, AccountKekRecord, AccountRecord, DomainNumber, DomainRecord, FoundAccounts,
    MembershipRecord, ReadAccounts, StoreError, WriteAccounts, account_state_from,
    account_state_number, kind_from, kind_number, membership_from, membership_number, policies,
    roles_bits, roles_from, settings,
};

pub(super) const ACCOUNT: &str = "SELECT id, domain, name, kind, state, roles, kek_version, oldest_kek_version, created, mac FROM accounts";
pub(super) const MEMBERSHIP: &str = "SELECT group_id, member, membership, group_kek_version, member_kek_version, sealed FROM memberships";

/// What passing by a name costs a search, and looking at an account, beside what a search may cost.
const A_NAME: u32 = 1;
const A_ROW: u32 = 10;
const MOST_LOOKED_AT: u32 = 50_000;

impl ReadAccounts for Rows<'_> {
    fn domain(&self, name: &str) -> Result<Option<DomainRecord>, StoreError> {
        self.remembered(Query::Domain, name.as_bytes(), || {
        one(
            &mut self.connection().prepare_cached(
                "SELECT number, name, origin, domain_key, opaque_setup, checkpoint_key, created, policy, settings, mac
                 FROM domains WHERE name = ?1",
            )?,
            [name],
            |row| {
                Ok(DomainRecord {
                    number: number(row, "number", "domain")?,
                    name: row.get("name")?,
                    origin: row.get("origin")?,
                    domain_key: row.get("domain_key")?,
                    opaque_setup: row.get("opaque_setup")?,
                    checkpoint_key: array(row, "checkpoint_key", "domain")?,
                    created: time(row, "created", "domain")?,
                    policy: policies::domain_policy_from(optional_bytes(row, "policy", "domain")?)
                        .ok_or(StoreError::MalformedRow("domain"))?,
                    settings: settings::from_bytes(optional_bytes(row, "settings", "domain")?)
                        .ok_or(StoreError::MalformedRow("domain"))?,
                    mac: array(row, "mac", "domain")?,
                })
            },
        )
        })
    }

    fn account(&self, id: AccountId) -> Result<Option<AccountRecord>, StoreError> {
        self.remembered(Query::Account, id.as_bytes(), || {
            one(
                &mut self
                    .connection()
                    .prepare_cached(&format!("{ACCOUNT} WHERE id = ?1"))?,
                [id.as_bytes()],
                account,
            )
        })
    }

    fn account_by_name(
        &self,
        domain: DomainNumber,
        name: &str,
    ) -> Result<Option<AccountRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{ACCOUNT} WHERE domain = ?1 AND name = ?2"))?,
            params![domain, name],
            account,
        )
    }

    fn accounts(
        &self,
        domain: DomainNumber,
        after: &str,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{ACCOUNT} WHERE domain = ?1 AND name > ?2 ORDER BY name LIMIT ?3"
            ))?,
            params![domain, after, limit],
            account,
        )
    }

    fn find_accounts(
        &self,
        domain: DomainNumber,
        filter: &AccountFilter,
    ) -> Result<FoundAccounts, StoreError> {
        // Names are passed by in the order of the narrowest index; the rest is looked at for those whose name fits.
        let (names, first) = passing(filter);
        let mut names = self.connection().prepare_cached(&names)?;
        let (look, rest) = looking(filter);
        let mut look = self.connection().prepare_cached(&look)?;
        let part = filter.contains.as_deref().unwrap_or_default();
        let mut values: Vec<&dyn ToSql> = vec![&domain, &filter.after, &part];
        values.extend(first.iter().map(|value| value as &dyn ToSql));
        let mut passed = names.query(values.as_slice())?;
        let mut found = FoundAccounts::default();
        let mut looked_at = 0;
        while let Some(row) = passed.next()? {
            let name: String = row.get("name")?;
            looked_at += A_NAME;
            if flag(row, "fits", "account")? {
                looked_at += A_ROW;
                let mut values: Vec<&dyn ToSql> = vec![&domain, &name];
                values.extend(rest.iter().map(|value| value as &dyn ToSql));
                found
                    .accounts
                    .extend(one(&mut look, values.as_slice(), account)?);
            }
            if found.accounts.len() == filter.limit as usize {
                break;
            }
            if looked_at >= MOST_LOOKED_AT {
                found.looked_until = Some(name);
                break;
            }
        }
        Ok(found)
    }

    fn accounts_with_roles(&self, domain: DomainNumber) -> Result<Vec<AccountRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{ACCOUNT} INDEXED BY accounts_with_roles WHERE domain = ?1 AND roles <> 0"
            ))?,
            [domain],
            account,
        )
    }

    fn account_kek(
        &self,
        account: AccountId,
        version: u32,
    ) -> Result<Option<AccountKekRecord>, StoreError> {
        one(
            &mut self.connection().prepare_cached(
                "SELECT account, version, wrapped, mac FROM account_keks
                 WHERE account = ?1 AND version = ?2",
            )?,
            params![account.as_bytes(), version],
            account_kek,
        )
    }

    fn memberships_of(&self, member: AccountId) -> Result<Vec<MembershipRecord>, StoreError> {
        self.remembered(Query::Memberships, member.as_bytes(), || {
            all(
                &mut self
                    .connection()
                    .prepare_cached(&format!("{MEMBERSHIP} WHERE member = ?1"))?,
                [member.as_bytes()],
                membership,
            )
        })
    }

    fn members_of(&self, group: AccountId) -> Result<Vec<MembershipRecord>, StoreError> {
        all(
            &mut self
                .connection()
                .prepare_cached(&format!("{MEMBERSHIP} WHERE group_id = ?1"))?,
            [group.as_bytes()],
            membership,
        )
    }

    fn count(&self, domain: DomainNumber, of: Counted) -> Result<u64, StoreError> {
        counts::count(self.connection(), domain, of)
    }
}

impl WriteAccounts for Rows<'_> {
    fn create_domain(&mut self, domain: &DomainRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO domains
                 (number, name, origin, domain_key, opaque_setup, checkpoint_key, created, policy, settings, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                domain.number,
                domain.name,
                domain.origin,
                domain.domain_key,
                domain.opaque_setup,
                domain.checkpoint_key,
                millis(domain.created),
                policies::domain_policy(&domain.policy),
                settings::to_bytes(&domain.settings),
                domain.mac,
            ])?;
        Ok(())
    }

    fn set_domain_policy(&mut self, domain: &DomainRecord) -> Result<bool, StoreError> {
        let changed = self
            .connection()
            .prepare_cached("UPDATE domains SET policy = ?2, mac = ?3 WHERE number = ?1")?
            .execute(params![
                domain.number,
                policies::domain_policy(&domain.policy),
                domain.mac,
            ])?;
        Ok(changed == 1)
    }

    fn set_domain_settings(&mut self, domain: &DomainRecord) -> Result<bool, StoreError> {
        let changed = self
            .connection()
            .prepare_cached("UPDATE domains SET settings = ?2, mac = ?3 WHERE number = ?1")?
            .execute(params![
                domain.number,
                settings::to_bytes(&domain.settings),
                domain.mac,
            ])?;
        Ok(changed == 1)
    }

    fn create_account(
        &mut self,
        account: &AccountRecord,
        kek: &AccountKekRecord,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO accounts (id, domain, name, kind, state, roles, kek_version,
                 oldest_kek_version, created, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                account.id.as_bytes(),
                account.domain,
                account.name,
                kind_number(account.kind),
                account_state_number(account.state),
                roles_bits(&account.roles),
                account.kek_version,
                account.oldest_kek_version,
                millis(account.created),
                account.mac,
            ])?;
        insert_account_kek(self, kek)
    }

    fn update_account(&mut self, account: &AccountRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "UPDATE accounts SET state = :state, roles = :roles, mac = :mac WHERE id = :id",
            )?
            .execute(named_params! {
                ":state": account_state_number(account.state),
                ":roles": roles_bits(&account.roles),
                ":mac": account.mac,
                ":id": account.id.as_bytes(),
            })?;
        Ok(())
    }

    fn add_member(&mut self, membership: &MembershipRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO memberships
                 (group_id, member, membership, group_kek_version, member_kek_version, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                membership.group.as_bytes(),
                membership.member.as_bytes(),
                membership_number(membership.membership),
                membership.group_kek_version,
                membership.member_kek_version,
                membership.sealed,
            ])?;
        Ok(())
    }

    fn remove_member(&mut self, group: AccountId, member: AccountId) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM memberships WHERE group_id = ?1 AND member = ?2")?
            .execute(params![group.as_bytes(), member.as_bytes()])?;
        self.connection()
            .prepare_cached("DELETE FROM identity_memberships WHERE group_id = ?1 AND member = ?2")?
            .execute(params![group.as_bytes(), member.as_bytes()])?;
        Ok(())
    }
}

/// The query for the names that a search passes by, and the values after the domain, the name to begin after and the part of it. It walks the index that leaves
/// out most.
fn passing(filter: &AccountFilter) -> (String, Option<u8>) {
    let (index, condition, value) = if filter.role.is_some() {
        ("accounts_with_roles", "AND roles <> 0", None)
    } else if filter
        .state
        .is_some_and(|state| state != AccountState::Active)
    {
        ("accounts_not_active", "AND state <> 2", None)
    } else if let Some(kind) = filter.kind {
        ("accounts_by_kind", "AND kind = ?4", Some(kind_number(kind)))
    } else {
        ("sqlite_autoindex_accounts_2", "", None)
    };
    let sql = format!(
        "SELECT name, instr(name, ?3) > 0 AS fits FROM accounts INDEXED BY {index}
         WHERE domain = ?1 AND name > ?2 {condition} ORDER BY name"
    );
    (sql, value)
}

/// The query for the account of a name where the rest fits, and the values after the domain and the name. It is put together from fixed pieces; every value is
/// bound.
fn looking(filter: &AccountFilter) -> (String, Vec<i64>) {
    let mut sql = format!("{ACCOUNT} WHERE domain = ? AND name = ?");
    let mut values = Vec::new();
    let mut condition = |text: &str, value: i64| {
        sql.push_str(text);
        values.push(value);
    };
    if let Some(kind) = filter.kind {
        condition(" AND kind = ?", kind_number(kind).into());
    }
    if let Some(state) = filter.state {
        condition(" AND state = ?", account_state_number(state).into());
    }
    if let Some(role) = filter.role {
        condition(" AND roles & ? <> 0", roles_bits(&[role]).into());
    }
    (sql, values)
}

pub(super) fn insert_account_kek(
    rows: &Rows<'_>,
    kek: &AccountKekRecord,
) -> Result<(), StoreError> {
    rows.connection()
        .prepare_cached(
            "INSERT INTO account_keks (account, version, wrapped, mac) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![
            kek.account.as_bytes(),
            kek.version,
            kek.wrapped,
            kek.mac
        ])?;
    Ok(())
}

pub(super) fn account_kek(row: &Row<'_>) -> Result<AccountKekRecord, StoreError> {
    const WHAT: &str = "account KEK";
    Ok(AccountKekRecord {
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        version: number(row, "version", WHAT)?,
        wrapped: row.get("wrapped")?,
        mac: array(row, "mac", WHAT)?,
    })
}

pub(super) fn account(row: &Row<'_>) -> Result<AccountRecord, StoreError> {
    const WHAT: &str = "account";
    Ok(AccountRecord {
        id: AccountId::from_bytes(array(row, "id", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        name: row.get("name")?,
        kind: numbered(row, "kind", kind_from, WHAT)?,
        state: numbered(row, "state", account_state_from, WHAT)?,
        roles: roles_from(number(row, "roles", WHAT)?).ok_or(StoreError::MalformedRow(WHAT))?,
        kek_version: number(row, "kek_version", WHAT)?,
        oldest_kek_version: number(row, "oldest_kek_version", WHAT)?,
        created: time(row, "created", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

pub(super) fn membership(row: &Row<'_>) -> Result<MembershipRecord, StoreError> {
    const WHAT: &str = "membership";
    Ok(MembershipRecord {
        group: AccountId::from_bytes(array(row, "group_id", WHAT)?),
        member: AccountId::from_bytes(array(row, "member", WHAT)?),
        membership: numbered(row, "membership", membership_from, WHAT)?,
        group_kek_version: number(row, "group_kek_version", WHAT)?,
        member_kek_version: number(row, "member_kek_version", WHAT)?,
        sealed: row.get("sealed")?,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use rusqlite::Connection;
    use strongroom_wire::account::{AccountKind, Role};

    use super::*;
    use crate::store::sqlite::plans::plan_of;
    use crate::store::sqlite::schema;

    #[test]
    fn accounts_are_passed_by_in_the_order_of_an_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection).unwrap();
        let by_kind = AccountFilter {
            kind: Some(AccountKind::Group),
            ..AccountFilter::default()
        };
        let suspended = AccountFilter {
            state: Some(AccountState::Suspended),
            ..by_kind.clone()
        };
        let auditors = AccountFilter {
            role: Some(Role::Auditor),
            ..suspended.clone()
        };
        for (filter, index) in [
            (AccountFilter::default(), "sqlite_autoindex_accounts_2"),
            (by_kind, "accounts_by_kind"),
            (suspended, "accounts_not_active"),
            (auditors, "accounts_with_roles"),
        ] {
            let plan = plan_of(&connection, &passing(&filter).0);
            assert!(plan.contains(index), "{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
            let plan = plan_of(&connection, &looking(&filter).0);
            assert!(plan.contains("(domain=? AND name=?)"), "{plan}");
        }
        // The literals of the partial indexes.
        assert_eq!(account_state_number(AccountState::Active), 2);
    }
}
