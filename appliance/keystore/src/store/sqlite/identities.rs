//! Identities at OpenID providers.

use rusqlite::{Row, params};
use strongroom_wire::id::AccountId;

use super::rows::{Rows, all, array, millis, number, one, optional_time, time};
use crate::store::{
    DomainNumber, IdentityLinkRecord, IdentityMembershipRecord, ReadIdentities, StoreError,
    WriteIdentities,
};

const LINK: &str =
    "SELECT domain, issuer, subject, account, created, used, mac FROM identity_links";

impl ReadIdentities for Rows<'_> {
    fn identity_link(
        &self,
        domain: DomainNumber,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<IdentityLinkRecord>, StoreError> {
        one(
            &mut self.connection().prepare_cached(&format!(
                "{LINK} WHERE domain = ?1 AND issuer = ?2 AND subject = ?3"
            ))?,
            params![domain, issuer, subject],
            link,
        )
    }

    fn identity_links_of(&self, account: AccountId) -> Result<Vec<IdentityLinkRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{LINK} WHERE account = ?1 ORDER BY created, issuer"
            ))?,
            [account.as_bytes()],
            link,
        )
    }

    fn identity_memberships_of(
        &self,
        member: AccountId,
    ) -> Result<Vec<IdentityMembershipRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT group_id, member, issuer, created, mac FROM identity_memberships
                 WHERE member = ?1 ORDER BY group_id",
            )?,
            [member.as_bytes()],
            membership,
        )
    }
}

impl WriteIdentities for Rows<'_> {
    fn put_identity_link(&mut self, link: &IdentityLinkRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO identity_links
                 (domain, issuer, subject, account, created, used, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                link.domain,
                link.issuer,
                link.subject,
                link.account.as_bytes(),
                millis(link.created),
                link.used.map(millis),
                link.mac,
            ])?;
        Ok(())
    }

    fn delete_identity_link(&mut self, account: AccountId, issuer: &str) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM identity_links WHERE account = ?1 AND issuer = ?2")?
            .execute(params![account.as_bytes(), issuer])?;
        Ok(())
    }

    fn put_identity_membership(
        &mut self,
        membership: &IdentityMembershipRecord,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO identity_memberships (group_id, member, issuer, created, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                membership.group.as_bytes(),
                membership.member.as_bytes(),
                membership.issuer,
                millis(membership.created),
                membership.mac,
            ])?;
        Ok(())
    }
}

fn link(row: &Row<'_>) -> Result<IdentityLinkRecord, StoreError> {
    const WHAT: &str = "identity";
    Ok(IdentityLinkRecord {
        domain: number(row, "domain", WHAT)?,
        issuer: row.get("issuer")?,
        subject: row.get("subject")?,
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        created: time(row, "created", WHAT)?,
        used: optional_time(row, "used", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

fn membership(row: &Row<'_>) -> Result<IdentityMembershipRecord, StoreError> {
    const WHAT: &str = "identity's membership";
    Ok(IdentityMembershipRecord {
        group: AccountId::from_bytes(array(row, "group_id", WHAT)?),
        member: AccountId::from_bytes(array(row, "member", WHAT)?),
        issuer: row.get("issuer")?,
        created: time(row, "created", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}
