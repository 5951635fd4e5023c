//! What rotation moves from old KEKs to new ones.
//!
//! Each change names the value that it replaces: where that has changed since it was read, nothing is written.

use rusqlite::params;
use strongroom_wire::id::AccountId;

use super::accounts::{ACCOUNT, MEMBERSHIP, account, account_kek, insert_account_kek, membership};
use super::credentials::{SESSION, session};
use super::grants::grant;
use super::rows::{Rows, all, array, millis, number, one, time};
use crate::store::{
    AccountKekRecord, AccountRecord, CopyPlace, CopyRecord, DomainNumber, DomainRecord,
    GrantRecord, MembershipRecord, ReadRotation, RetiredMasterKekRecord, SealedUnder,
    SessionRecord, StoreError, WriteRotation, policies,
};

impl ReadRotation for Rows<'_> {
    fn account_keks_wrapped_before(
        &self,
        domain: DomainNumber,
        master_kek: u32,
        after: Option<(AccountId, u32)>,
        limit: u32,
    ) -> Result<Vec<AccountKekRecord>, StoreError> {
        let (after, version) = place(after);
        // In the order of the primary key, whatever the index on the wrapped key offers.
        all(
            &mut self.connection().prepare_cached(
                "SELECT k.account, k.version, k.wrapped, k.mac FROM account_keks k NOT INDEXED
                 CROSS JOIN accounts a ON a.id = k.account
                 WHERE (k.account, k.version) > (?1, ?2) AND substr(k.wrapped, 2, 4) < ?3 AND a.domain = ?4
                 ORDER BY k.account, k.version LIMIT ?5",
            )?,
            params![after, version, master_kek.to_be_bytes(), domain, limit],
            account_kek,
        )
    }

    fn account_keks_by_master_kek(
        &self,
        domain: DomainNumber,
    ) -> Result<Vec<(u32, u64)>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT substr(k.wrapped, 2, 4) AS master_kek, count(*) AS wrapped FROM account_keks k
                 CROSS JOIN accounts a ON a.id = k.account
                 WHERE a.domain = ?1 GROUP BY master_kek ORDER BY master_kek",
            )?,
            [domain],
            |row| {
                Ok((
                    u32::from_be_bytes(array(row, "master_kek", "account KEK")?),
                    number(row, "wrapped", "account KEK")?,
                ))
            },
        )
    }

    fn is_account_kek_wrapped_before(
        &self,
        domain: DomainNumber,
        master_kek: u32,
    ) -> Result<bool, StoreError> {
        Ok(self
            .connection()
            .prepare_cached(
                "SELECT 1 FROM account_keks k CROSS JOIN accounts a ON a.id = k.account
                 WHERE substr(k.wrapped, 2, 4) < ?1 AND a.domain = ?2 LIMIT 1",
            )?
            .exists(params![master_kek.to_be_bytes(), domain])?)
    }

    fn count_account_keks_wrapped_before(
        &self,
        domain: DomainNumber,
        master_kek: u32,
    ) -> Result<u64, StoreError> {
        let count = one(
            &mut self.connection().prepare_cached(
                "SELECT count(*) AS wrapped FROM account_keks k CROSS JOIN accounts a ON a.id = k.account
                 WHERE substr(k.wrapped, 2, 4) < ?1 AND a.domain = ?2",
            )?,
            params![master_kek.to_be_bytes(), domain],
            |row| number(row, "wrapped", "account KEK"),
        )?;
        Ok(count.unwrap_or_default())
    }

    fn retired_master_kek(
        &self,
        domain: DomainNumber,
        version: u32,
    ) -> Result<Option<RetiredMasterKekRecord>, StoreError> {
        const WHAT: &str = "master KEK";
        one(
            &mut self.connection().prepare_cached(
                "SELECT domain, version, retired, mac FROM retired_master_keks
                 WHERE domain = ?1 AND version = ?2",
            )?,
            params![domain, version],
            |row| {
                Ok(RetiredMasterKekRecord {
                    domain: number(row, "domain", WHAT)?,
                    version: number(row, "version", WHAT)?,
                    retired: time(row, "retired", WHAT)?,
                    mac: array(row, "mac", WHAT)?,
                })
            },
        )
    }

    fn rotating_accounts(
        &self,
        domain: DomainNumber,
        limit: u32,
    ) -> Result<Vec<AccountRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{ACCOUNT} WHERE domain = ?1 AND oldest_kek_version < kek_version ORDER BY id LIMIT ?2"
            ))?,
            params![domain, limit],
            account,
        )
    }

    fn count_rotating_accounts(&self, domain: DomainNumber) -> Result<u64, StoreError> {
        let count = one(
            &mut self.connection().prepare_cached(
                "SELECT count(*) AS rotating FROM accounts WHERE domain = ?1 AND oldest_kek_version < kek_version",
            )?,
            [domain],
            |row| number(row, "rotating", "account"),
        )?;
        Ok(count.unwrap_or_default())
    }

    fn sealed_under(&self, account: &AccountRecord) -> Result<SealedUnder, StoreError> {
        let mut counts = SealedUnder::default();
        for (sql, names) in [
            (
                "SELECT coalesce(sum(c.kek_version < ?3), 0) AS older, coalesce(sum(c.kek_version = ?3), 0) AS newest
                 FROM grants g CROSS JOIN grant_copies c ON c.grant_id = g.id
                 WHERE g.grantee = ?1 AND c.kek_version BETWEEN ?2 AND ?3",
                "grant",
            ),
            (
                "SELECT coalesce(sum(member_kek_version < ?3), 0) AS older, coalesce(sum(member_kek_version = ?3), 0) AS newest
                 FROM memberships WHERE member = ?1 AND member_kek_version BETWEEN ?2 AND ?3",
                "membership",
            ),
            (
                "SELECT coalesce(sum(group_kek_version < ?3), 0) AS older, coalesce(sum(group_kek_version = ?3), 0) AS newest
                 FROM memberships WHERE group_id = ?1 AND group_kek_version BETWEEN ?2 AND ?3",
                "membership",
            ),
            (
                "SELECT coalesce(sum(kek_version < ?3), 0) AS older, coalesce(sum(kek_version = ?3), 0) AS newest
                 FROM sessions WHERE account = ?1 AND kek_version BETWEEN ?2 AND ?3",
                "session",
            ),
        ] {
            let found = one(
                &mut self.connection().prepare_cached(sql)?,
                params![
                    account.id.as_bytes(),
                    account.oldest_kek_version,
                    account.kek_version
                ],
                |row| Ok((number(row, "older", names)?, number(row, "newest", names)?)),
            )?;
            let (older, newest): (u64, u64) = found.unwrap_or_default();
            counts.older += older;
            counts.newest += newest;
        }
        Ok(counts)
    }

    fn older_copies(
        &self,
        account: &AccountRecord,
        after: Option<CopyPlace>,
        limit: u32,
    ) -> Result<Vec<(GrantRecord, CopyRecord)>, StoreError> {
        const WHAT: &str = "grant";
        let (key, grant_id, version) = after
            .map_or(([0; 16], [0; 16], 0), |(key, grant, version)| {
                (*key.as_bytes(), *grant.as_bytes(), version)
            });
        // The order of the index grants_by_grantee; its first condition lets SQLite begin in the middle of it.
        all(
            &mut self.connection().prepare_cached(
                "SELECT g.id, g.key, g.grantee, g.granted_by, g.state, g.rights, g.not_before, g.not_after, g.max_releases,
                        g.restrictions, g.releases, g.created, g.mac, c.version AS key_version, c.kek_version, c.sealed
                 FROM grants g INDEXED BY grants_by_grantee CROSS JOIN grant_copies c ON c.grant_id = g.id
                 WHERE g.grantee = ?1 AND g.key >= ?2 AND (g.key, g.id, c.version) > (?2, ?3, ?4)
                   AND c.kek_version >= ?5 AND c.kek_version < ?6
                 ORDER BY g.key, g.id, c.version LIMIT ?7",
            )?,
            params![
                account.id.as_bytes(),
                key,
                grant_id,
                version,
                account.oldest_kek_version,
                account.kek_version,
                limit
            ],
            |row| {
                let grant = grant(row)?;
                let copy = CopyRecord {
                    grant: grant.id,
                    version: number(row, "key_version", WHAT)?,
                    kek_version: number(row, "kek_version", WHAT)?,
                    sealed: row.get("sealed")?,
                };
                Ok((grant, copy))
            },
        )
    }

    fn older_memberships(
        &self,
        account: &AccountRecord,
        after: Option<(AccountId, AccountId)>,
        limit: u32,
    ) -> Result<Vec<MembershipRecord>, StoreError> {
        let (group, member) = after.map_or(([0; 16], [0; 16]), |(group, member)| {
            (*group.as_bytes(), *member.as_bytes())
        });
        all(
            &mut self.connection().prepare_cached(&format!(
                "{MEMBERSHIP} WHERE (group_id, member) > (?2, ?3)
                   AND ((member = ?1 AND member_kek_version >= ?4 AND member_kek_version < ?5)
                     OR (group_id = ?1 AND group_kek_version >= ?4 AND group_kek_version < ?5))
                 ORDER BY group_id, member LIMIT ?6"
            ))?,
            params![
                account.id.as_bytes(),
                group,
                member,
                account.oldest_kek_version,
                account.kek_version,
                limit
            ],
            membership,
        )
    }

    fn older_sessions(
        &self,
        account: &AccountRecord,
        after: Option<[u8; 32]>,
        limit: u32,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{SESSION} WHERE account = ?1 AND token_hash > ?2 AND kek_version >= ?3 AND kek_version < ?4
                 ORDER BY token_hash LIMIT ?5"
            ))?,
            params![
                account.id.as_bytes(),
                after.unwrap_or_default(),
                account.oldest_kek_version,
                account.kek_version,
                limit
            ],
            session,
        )
    }
}

impl WriteRotation for Rows<'_> {
    fn rewrap_domain_key(
        &mut self,
        before: &[u8],
        domain: &DomainRecord,
    ) -> Result<bool, StoreError> {
        let changed = self
            .connection()
            .prepare_cached(
                "UPDATE domains SET domain_key = ?2, mac = ?3 WHERE number = ?1 AND domain_key = ?4 AND policy IS ?5",
            )?
            .execute(params![
                domain.number,
                domain.domain_key,
                domain.mac,
                before,
                // A policy that was set meanwhile is not covered by this MAC.
                policies::domain_policy(&domain.policy)
            ])?;
        Ok(changed == 1)
    }

    fn rewrap_account_kek(
        &mut self,
        before: &[u8],
        kek: &AccountKekRecord,
    ) -> Result<bool, StoreError> {
        let changed = self
            .connection()
            .prepare_cached(
                "UPDATE account_keks SET wrapped = ?3, mac = ?4
                 WHERE account = ?1 AND version = ?2 AND wrapped = ?5",
            )?
            .execute(params![
                kek.account.as_bytes(),
                kek.version,
                kek.wrapped,
                kek.mac,
                before
            ])?;
        Ok(changed == 1)
    }

    fn forget_account_kek(&mut self, account: AccountId, version: u32) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM account_keks WHERE account = ?1 AND version = ?2")?
            .execute(params![account.as_bytes(), version])?;
        Ok(())
    }

    fn retire_master_kek(&mut self, retired: &RetiredMasterKekRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO retired_master_keks (domain, version, retired, mac) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                retired.domain,
                retired.version,
                millis(retired.retired),
                retired.mac
            ])?;
        Ok(())
    }

    fn begin_kek_rotation(
        &mut self,
        account: &AccountRecord,
        kek: &AccountKekRecord,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("UPDATE accounts SET kek_version = ?2, mac = ?3 WHERE id = ?1")?
            .execute(params![
                account.id.as_bytes(),
                account.kek_version,
                account.mac
            ])?;
        insert_account_kek(self, kek)
    }

    fn end_kek_rotation(&mut self, account: &AccountRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("UPDATE accounts SET oldest_kek_version = ?2, mac = ?3 WHERE id = ?1")?
            .execute(params![
                account.id.as_bytes(),
                account.oldest_kek_version,
                account.mac
            ])?;
        self.connection()
            .prepare_cached("DELETE FROM account_keks WHERE account = ?1 AND version < ?2")?
            .execute(params![account.id.as_bytes(), account.oldest_kek_version])?;
        Ok(())
    }

    fn reseal_copy(&mut self, before: &[u8], copy: &CopyRecord) -> Result<bool, StoreError> {
        let changed = self
            .connection()
            .prepare_cached(
                "UPDATE grant_copies SET kek_version = ?3, sealed = ?4
                 WHERE grant_id = ?1 AND version = ?2 AND sealed = ?5",
            )?
            .execute(params![
                copy.grant.as_bytes(),
                copy.version,
                copy.kek_version,
                copy.sealed,
                before
            ])?;
        Ok(changed == 1)
    }

    fn reseal_membership(
        &mut self,
        before: &[u8],
        membership: &MembershipRecord,
    ) -> Result<bool, StoreError> {
        let changed = self
            .connection()
            .prepare_cached(
                "UPDATE memberships SET group_kek_version = ?3, member_kek_version = ?4, sealed = ?5
                 WHERE group_id = ?1 AND member = ?2 AND sealed = ?6",
            )?
            .execute(params![
                membership.group.as_bytes(),
                membership.member.as_bytes(),
                membership.group_kek_version,
                membership.member_kek_version,
                membership.sealed,
                before
            ])?;
        Ok(changed == 1)
    }

    fn reseal_session(
        &mut self,
        before: &[u8],
        session: &SessionRecord,
    ) -> Result<bool, StoreError> {
        let changed = self
            .connection()
            .prepare_cached(
                "UPDATE sessions SET kek_version = ?2, sealed = ?3 WHERE token_hash = ?1 AND sealed = ?4",
            )?
            .execute(params![
                session.token_hash,
                session.kek_version,
                session.sealed,
                before
            ])?;
        Ok(changed == 1)
    }
}

fn place(after: Option<(AccountId, u32)>) -> ([u8; 16], u32) {
    after.map_or(([0; 16], 0), |(account, version)| {
        (*account.as_bytes(), version)
    })
}
