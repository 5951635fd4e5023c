//! Recovery KEKs, recovery blobs, checkpoint keys and transcripts.

use rusqlite::params;

use super::rows::{Rows, all, array, count, millis, number, optional_number, time};
use crate::store::{
    CheckpointKeyRecord, DomainNumber, ReadRecovery, RecoveryBlobRecord, RecoveryKekRecord,
    StoreError, WriteRecovery,
};

impl ReadRecovery for Rows<'_> {
    fn recovery_keks(&self, domain: DomainNumber) -> Result<Vec<RecoveryKekRecord>, StoreError> {
        const WHAT: &str = "recovery KEK";
        all(
            &mut self.connection().prepare_cached(
                "SELECT domain, version, share_set, threshold, custodians, check_value, created, mac
                 FROM recovery_keks WHERE domain = ?1 ORDER BY version",
            )?,
            [domain],
            |row| {
                let custodians: String = row.get("custodians")?;
                Ok(RecoveryKekRecord {
                    domain: number(row, "domain", WHAT)?,
                    version: number(row, "version", WHAT)?,
                    set: number(row, "share_set", WHAT)?,
                    threshold: number(row, "threshold", WHAT)?,
                    custodians: custodians.split('\n').map(str::to_owned).collect(),
                    check_value: array(row, "check_value", WHAT)?,
                    created: time(row, "created", WHAT)?,
                    mac: array(row, "mac", WHAT)?,
                })
            },
        )
    }

    fn recovery_blobs(&self, domain: DomainNumber) -> Result<Vec<RecoveryBlobRecord>, StoreError> {
        const WHAT: &str = "recovery blob";
        all(
            &mut self.connection().prepare_cached(
                "SELECT domain, master_kek, blob, mac FROM recovery_blobs
                 WHERE domain = ?1 ORDER BY master_kek",
            )?,
            [domain],
            |row| {
                Ok(RecoveryBlobRecord {
                    domain: number(row, "domain", WHAT)?,
                    master_kek: number(row, "master_kek", WHAT)?,
                    blob: row.get("blob")?,
                    mac: array(row, "mac", WHAT)?,
                })
            },
        )
    }

    fn checkpoint_keys(
        &self,
        domain: DomainNumber,
    ) -> Result<Vec<CheckpointKeyRecord>, StoreError> {
        const WHAT: &str = "checkpoint key";
        all(
            &mut self.connection().prepare_cached(
                "SELECT domain, key, from_size, to_size, mac FROM checkpoint_keys
                 WHERE domain = ?1 ORDER BY from_size, key",
            )?,
            [domain],
            |row| {
                Ok(CheckpointKeyRecord {
                    domain: number(row, "domain", WHAT)?,
                    key: array(row, "key", WHAT)?,
                    from: number(row, "from_size", WHAT)?,
                    to: optional_number(row, "to_size", WHAT)?,
                    mac: array(row, "mac", WHAT)?,
                })
            },
        )
    }

    fn transcripts(&self, domain: DomainNumber) -> Result<Vec<(u64, String)>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT leaf, note FROM transcripts WHERE domain = ?1 ORDER BY leaf",
            )?,
            [domain],
            |row| Ok((number(row, "leaf", "transcript")?, row.get("note")?)),
        )
    }
}

impl WriteRecovery for Rows<'_> {
    fn create_recovery_kek(&mut self, kek: &RecoveryKekRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO recovery_keks
                 (domain, version, share_set, threshold, custodians, check_value, created, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                kek.domain,
                kek.version,
                kek.set,
                kek.threshold,
                kek.custodians.join("\n"),
                kek.check_value,
                millis(kek.created),
                kek.mac
            ])?;
        Ok(())
    }

    fn put_recovery_blob(&mut self, blob: &RecoveryBlobRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO recovery_blobs (domain, master_kek, blob, mac) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![blob.domain, blob.master_kek, blob.blob, blob.mac])?;
        Ok(())
    }

    fn forget_recovery_blob(
        &mut self,
        domain: DomainNumber,
        master_kek: u32,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM recovery_blobs WHERE domain = ?1 AND master_kek = ?2")?
            .execute(params![domain, master_kek])?;
        Ok(())
    }

    fn put_checkpoint_key(&mut self, key: &CheckpointKeyRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO checkpoint_keys (domain, key, from_size, to_size, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                key.domain,
                key.key,
                count(key.from),
                key.to.map(count),
                key.mac
            ])?;
        Ok(())
    }

    fn record_transcript(
        &mut self,
        domain: DomainNumber,
        leaf: u64,
        note: &str,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("INSERT INTO transcripts (domain, leaf, note) VALUES (?1, ?2, ?3)")?
            .execute(params![domain, count(leaf), note])?;
        Ok(())
    }
}
