//! Grants and their sealed copies.

use rusqlite::{Row, params, params_from_iter};
use strongroom_wire::id::{AccountId, GrantId, KeyId};

use super::memo::Query;
use super::rows::{Rows, all, array, count, millis, number, numbered, one, policy, time};
use crate::store::{
    CopyRecord, GrantRecord, ReadGrants, StoreError, WriteGrants, grant_state_from,
    grant_state_number, policies, rights_bits, rights_from,
};

const GRANT: &str = "SELECT id, key, grantee, granted_by, state, rights, not_before, not_after, max_releases, \
     restrictions, releases, created, mac FROM grants";

impl ReadGrants for Rows<'_> {
    fn grants_to(&self, key: KeyId, holders: &[AccountId]) -> Result<Vec<GrantRecord>, StoreError> {
        let ids = || std::iter::once(key.as_bytes()).chain(holders.iter().map(AccountId::as_bytes));
        let of: Vec<u8> = ids().flatten().copied().collect();
        self.remembered(Query::Grants, &of, || {
            let places = vec!["?"; holders.len()].join(", ");
            all(
                &mut self.connection().prepare_cached(&format!(
                    "{GRANT} WHERE key = ? AND grantee IN ({places}) ORDER BY state, id"
                ))?,
                params_from_iter(ids()),
                grant,
            )
        })
    }

    fn grants_of(&self, key: KeyId) -> Result<Vec<GrantRecord>, StoreError> {
        all(
            &mut self
                .connection()
                .prepare_cached(&format!("{GRANT} WHERE key = ?1 ORDER BY id"))?,
            [key.as_bytes()],
            grant,
        )
    }

    fn copy(&self, grant: GrantId, version: u32) -> Result<Option<CopyRecord>, StoreError> {
        let mut of = grant.as_bytes().to_vec();
        of.extend(version.to_be_bytes());
        self.remembered(Query::Copy, &of, || {
            const WHAT: &str = "grant";
            one(
                &mut self.connection().prepare_cached(
                    "SELECT grant_id, version, kek_version, sealed FROM grant_copies
                 WHERE grant_id = ?1 AND version = ?2",
                )?,
                params![grant.as_bytes(), version],
                |row| {
                    Ok(CopyRecord {
                        grant: GrantId::from_bytes(array(row, "grant_id", WHAT)?),
                        version: number(row, "version", WHAT)?,
                        kek_version: number(row, "kek_version", WHAT)?,
                        sealed: row.get("sealed")?,
                    })
                },
            )
        })
    }
}

impl WriteGrants for Rows<'_> {
    fn create_grant(
        &mut self,
        grant: &GrantRecord,
        copies: &[CopyRecord],
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO grants (id, key, grantee, granted_by, state, rights, not_before, not_after,
                 max_releases, restrictions, releases, created, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                grant.id.as_bytes(),
                grant.key.as_bytes(),
                grant.grantee.as_bytes(),
                grant.granted_by.as_bytes(),
                grant_state_number(grant.state),
                rights_bits(&grant.rights),
                grant.policy.not_before.map(millis),
                grant.policy.not_after.map(millis),
                grant.policy.max_releases.map(count),
                policies::restrictions(&grant.policy),
                count(grant.releases),
                millis(grant.created),
                grant.mac,
            ])?;
        copies.iter().try_for_each(|copy| self.add_copy(copy))
    }

    fn add_copy(&mut self, copy: &CopyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO grant_copies (grant_id, version, kek_version, sealed) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                copy.grant.as_bytes(),
                copy.version,
                copy.kek_version,
                copy.sealed
            ])?;
        Ok(())
    }

    fn count_release(&mut self, grant: &GrantRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("UPDATE grants SET releases = ?2, mac = ?3 WHERE id = ?1")?
            .execute(params![
                grant.id.as_bytes(),
                count(grant.releases),
                grant.mac
            ])?;
        Ok(())
    }

    fn change_grant_policy(
        &mut self,
        grant: &GrantRecord,
        copies: &[CopyRecord],
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "UPDATE grants SET not_before = ?2, not_after = ?3, max_releases = ?4, restrictions = ?5, mac = ?6
                 WHERE id = ?1",
            )?
            .execute(params![
                grant.id.as_bytes(),
                grant.policy.not_before.map(millis),
                grant.policy.not_after.map(millis),
                grant.policy.max_releases.map(count),
                policies::restrictions(&grant.policy),
                grant.mac,
            ])?;
        let mut reseal = self.connection().prepare_cached(
            "UPDATE grant_copies SET kek_version = ?3, sealed = ?4 WHERE grant_id = ?1 AND version = ?2",
        )?;
        for copy in copies {
            reseal.execute(params![
                copy.grant.as_bytes(),
                copy.version,
                copy.kek_version,
                copy.sealed
            ])?;
        }
        Ok(())
    }

    fn revoke_grant(&mut self, grant: &GrantRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM grant_copies WHERE grant_id = ?1")?
            .execute([grant.id.as_bytes()])?;
        self.connection()
            .prepare_cached("UPDATE grants SET state = ?2, mac = ?3 WHERE id = ?1")?
            .execute(params![
                grant.id.as_bytes(),
                grant_state_number(grant.state),
                grant.mac
            ])?;
        Ok(())
    }
}

pub(super) fn grant(row: &Row<'_>) -> Result<GrantRecord, StoreError> {
    const WHAT: &str = "grant";
    Ok(GrantRecord {
        id: GrantId::from_bytes(array(row, "id", WHAT)?),
        key: KeyId::from_bytes(array(row, "key", WHAT)?),
        grantee: AccountId::from_bytes(array(row, "grantee", WHAT)?),
        granted_by: AccountId::from_bytes(array(row, "granted_by", WHAT)?),
        state: numbered(row, "state", grant_state_from, WHAT)?,
        rights: rights_from(number(row, "rights", WHAT)?).ok_or(StoreError::MalformedRow(WHAT))?,
        policy: policy(row, WHAT)?,
        releases: number(row, "releases", WHAT)?,
        created: time(row, "created", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}
