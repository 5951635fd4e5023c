//! Keys.

use rusqlite::{Row, params};
use strongroom_wire::id::{AccountId, KeyId};
use strongroom_wire::key::{KeyState, Protection};
use strongroom_wire::object::ObjectPart;

use super::finding;
use super::memo::Query;
use super::rows::{
    Rows, all, array, count, flag, millis, number, numbered, one, optional_number, pack, policy,
    time, unpack,
};
use crate::store::{
    DomainNumber, FoundKeys, KeyFilter, KeyRecord, KeyTraits, PublicKeyRecord, ReadKeys,
    StoreError, WriteKeys, algorithm_from, algorithm_number, key_state_from, key_state_number,
    object_part_number, origin_from, origin_number, policies, protection_from, protection_number,
    releasable_from, releasable_number,
};

pub(super) const COLUMNS: &str = "k.id, k.domain, k.owner, k.sender, k.recipients, k.algorithm, k.state, k.label, k.content_type, \
     k.version, k.not_before, k.not_after, k.max_releases, k.restrictions, k.releases, k.created, k.length, k.releasable, \
     k.origin, k.protection, k.authenticate_each, k.mac";

impl ReadKeys for Rows<'_> {
    fn key(&self, id: KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.remembered(Query::Key, id.as_bytes(), || {
            one(
                &mut self
                    .connection()
                    .prepare_cached(&format!("SELECT {COLUMNS} FROM keys k WHERE k.id = ?1"))?,
                [id.as_bytes()],
                key,
            )
        })
    }

    fn public_key(&self, key: KeyId, version: u32) -> Result<Option<PublicKeyRecord>, StoreError> {
        const WHAT: &str = "public key";
        one(
            &mut self.connection().prepare_cached(
                "SELECT key, version, public_key, mac FROM public_keys WHERE key = ?1 AND version = ?2",
            )?,
            params![key.as_bytes(), version],
            |row| {
                let public_key = row.get_ref("public_key")?.as_blob();
                Ok(PublicKeyRecord {
                    key: KeyId::from_bytes(array(row, "key", WHAT)?),
                    version: number(row, "version", WHAT)?,
                    public_key: public_key
                        .map_err(|_| StoreError::MalformedRow(WHAT))?
                        .to_vec(),
                    mac: array(row, "mac", WHAT)?,
                })
            },
        )
    }

    fn keys_in_hsm(&self, domain: DomainNumber) -> Result<Vec<KeyId>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT id FROM keys WHERE domain = ?1 AND protection = ?2 AND state <> ?3 ORDER BY id",
            )?,
            params![
                domain,
                protection_number(Protection::Hsm),
                key_state_number(KeyState::Destroyed)
            ],
            |row| Ok(KeyId::from_bytes(array(row, "id", "key")?)),
        )
    }

    fn find_keys(
        &self,
        holders: &[AccountId],
        filter: &KeyFilter,
    ) -> Result<FoundKeys, StoreError> {
        finding::find(self.connection(), holders, filter)
    }
}

impl WriteKeys for Rows<'_> {
    fn create_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO keys (id, domain, owner, sender, recipients, algorithm, state, label, content_type,
                 version, not_before, not_after, max_releases, restrictions, releases, created, length,
                 releasable, origin, protection, authenticate_each, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22)",
            )?
            .execute(params![
                key.id.as_bytes(),
                key.domain,
                key.owner.as_bytes(),
                key.sender.as_bytes(),
                pack(&key.recipients),
                algorithm_number(key.algorithm),
                key_state_number(key.state),
                key.label,
                key.content_type,
                key.version,
                key.policy.not_before.map(millis),
                key.policy.not_after.map(millis),
                key.policy.max_releases.map(count),
                policies::restrictions(&key.policy),
                count(key.releases),
                millis(key.created),
                key.traits.length,
                releasable_number(key.traits.releasable),
                origin_number(key.traits.origin),
                protection_number(key.traits.protection),
                key.traits.authenticate_each,
                key.mac,
            ])?;
        let mut insert = self
            .connection()
            .prepare_cached("INSERT INTO key_recipients (recipient, key) VALUES (?1, ?2)")?;
        for recipient in &key.recipients {
            insert.execute(params![recipient.as_bytes(), key.id.as_bytes()])?;
        }
        Ok(())
    }

    fn add_public_key(&mut self, key: &PublicKeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO public_keys (key, version, public_key, mac) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                key.key.as_bytes(),
                key.version,
                key.public_key,
                key.mac
            ])?;
        Ok(())
    }

    fn update_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "UPDATE keys SET state = ?2, version = ?3, releases = ?4, mac = ?5, not_before = ?6,
                 not_after = ?7, max_releases = ?8, restrictions = ?9, releasable = ?10, authenticate_each = ?11 WHERE id = ?1",
            )?
            .execute(params![
                key.id.as_bytes(),
                key_state_number(key.state),
                key.version,
                count(key.releases),
                key.mac,
                key.policy.not_before.map(millis),
                key.policy.not_after.map(millis),
                key.policy.max_releases.map(count),
                policies::restrictions(&key.policy),
                releasable_number(key.traits.releasable),
                key.traits.authenticate_each,
            ])?;
        Ok(())
    }

    fn destroy_key(&mut self, key: &KeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "DELETE FROM grant_copies WHERE grant_id IN (SELECT id FROM grants WHERE key = ?1)",
            )?
            .execute([key.id.as_bytes()])?;
        // The public half outlives the key, where somebody says something of it and has not removed it.
        self.connection()
            .prepare_cached("DELETE FROM objects WHERE key = ?1 AND (part <> ?2 OR gone = 1)")?
            .execute(params![
                key.id.as_bytes(),
                object_part_number(ObjectPart::Public)
            ])?;
        self.update_key(key)
    }
}

pub(super) fn key(row: &Row<'_>) -> Result<KeyRecord, StoreError> {
    const WHAT: &str = "key";
    Ok(KeyRecord {
        id: KeyId::from_bytes(array(row, "id", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        owner: AccountId::from_bytes(array(row, "owner", WHAT)?),
        sender: AccountId::from_bytes(array(row, "sender", WHAT)?),
        recipients: unpack(row, "recipients", WHAT)?,
        algorithm: numbered(row, "algorithm", algorithm_from, WHAT)?,
        state: numbered(row, "state", key_state_from, WHAT)?,
        label: row.get("label")?,
        content_type: row.get("content_type")?,
        version: number(row, "version", WHAT)?,
        policy: policy(row, WHAT)?,
        releases: number(row, "releases", WHAT)?,
        created: time(row, "created", WHAT)?,
        traits: KeyTraits {
            length: optional_number(row, "length", WHAT)?
                .map(|length| u16::try_from(length).map_err(|_| StoreError::MalformedRow(WHAT)))
                .transpose()?,
            releasable: numbered(row, "releasable", releasable_from, WHAT)?,
            origin: numbered(row, "origin", origin_from, WHAT)?,
            protection: numbered(row, "protection", protection_from, WHAT)?,
            authenticate_each: flag(row, "authenticate_each", WHAT)?,
        },
        mac: array(row, "mac", WHAT)?,
    })
}
