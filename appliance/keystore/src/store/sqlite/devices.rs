//! Devices, account secrets and spent nonces.

use rusqlite::{Row, ToSql, params};
use strongroom_wire::certificate::CertificateName;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;

use super::memo::Query;
use super::rows::{Rows, all, array, millis, number, numbered, one, optional_time, time};
use crate::store::{
    AccountRecord, AccountSecretRecord, CertificateNameRecord, DeviceFilter, DeviceRecord,
    DomainNumber, ReadDevices, SpentNonce, StoreError, WriteDevices, certificate_name_from,
    certificate_name_number,
};

const DEVICE: &str =
    "SELECT account, domain, serial, fleet, paired_by, admitted, revoked, mac FROM devices";
const CERTIFICATE: &str =
    "SELECT domain, kind, value, account, created, mac FROM certificate_names";
const SECRET: &str =
    "SELECT account, generation, created, kek_version, sealed FROM account_secrets";

impl ReadDevices for Rows<'_> {
    fn spent_nonces(&self, now: Timestamp) -> Result<Vec<SpentNonce>, StoreError> {
        all(
            &mut self.connection().prepare_cached(
                "SELECT expires, account, nonce FROM spent_nonces WHERE expires >= ?1 ORDER BY expires",
            )?,
            [millis(now)],
            |row| {
                Ok(SpentNonce {
                    account: AccountId::from_bytes(array(row, "account", "spent nonce")?),
                    sha256: array(row, "nonce", "spent nonce")?,
                    expires: time(row, "expires", "spent nonce")?,
                })
            },
        )
    }

    fn device(&self, account: AccountId) -> Result<Option<DeviceRecord>, StoreError> {
        self.remembered(Query::Device, account.as_bytes(), || {
            one(
                &mut self
                    .connection()
                    .prepare_cached(&format!("{DEVICE} WHERE account = ?1"))?,
                [account.as_bytes()],
                device,
            )
        })
    }

    fn device_by_serial(
        &self,
        domain: DomainNumber,
        serial: &str,
    ) -> Result<Option<DeviceRecord>, StoreError> {
        one(
            &mut self
                .connection()
                .prepare_cached(&format!("{DEVICE} WHERE domain = ?1 AND serial = ?2"))?,
            params![domain, serial],
            device,
        )
    }

    fn devices(
        &self,
        domain: DomainNumber,
        filter: &DeviceFilter,
    ) -> Result<Vec<DeviceRecord>, StoreError> {
        let after = filter.after.map_or([0; 16], |after| *after.as_bytes());
        let paired_by = filter.paired_by.as_ref().map(AccountId::as_bytes);
        let mut parameters: Vec<&dyn ToSql> = vec![&domain, &after, &filter.limit];
        // For each combination there is an index that begins with what it asks for and goes on with the account.
        let wanted = match (&filter.fleet, &paired_by) {
            (None, None) => "",
            (Some(fleet), None) => {
                parameters.push(fleet);
                "AND fleet = ?4"
            }
            (None, Some(owner)) => {
                parameters.push(owner);
                "AND paired_by = ?4"
            }
            (Some(fleet), Some(owner)) => {
                parameters.extend([fleet as &dyn ToSql, owner]);
                "AND fleet = ?4 AND paired_by = ?5"
            }
        };
        let sql = format!(
            "{DEVICE} WHERE domain = ?1 AND account > ?2 {wanted} ORDER BY account LIMIT ?3"
        );
        all(
            &mut self.connection().prepare_cached(&sql)?,
            parameters.as_slice(),
            device,
        )
    }

    fn secrets_of(&self, account: AccountId) -> Result<Vec<AccountSecretRecord>, StoreError> {
        self.remembered(Query::Secrets, account.as_bytes(), || {
            all(
                &mut self.connection().prepare_cached(&format!(
                    "{SECRET} WHERE account = ?1 ORDER BY generation DESC"
                ))?,
                [account.as_bytes()],
                secret,
            )
        })
    }

    fn certificate_name(
        &self,
        domain: DomainNumber,
        name: &CertificateName,
    ) -> Result<Option<CertificateNameRecord>, StoreError> {
        one(
            &mut self.connection().prepare_cached(&format!(
                "{CERTIFICATE} WHERE domain = ?1 AND kind = ?2 AND value = ?3"
            ))?,
            params![domain, certificate_name_number(name.kind), name.value],
            certificate_name,
        )
    }

    fn certificate_names_of(
        &self,
        account: AccountId,
    ) -> Result<Vec<CertificateNameRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{CERTIFICATE} WHERE account = ?1 ORDER BY kind, value"
            ))?,
            [account.as_bytes()],
            certificate_name,
        )
    }

    fn older_secrets(
        &self,
        account: &AccountRecord,
        after: u32,
        limit: u32,
    ) -> Result<Vec<AccountSecretRecord>, StoreError> {
        all(
            &mut self.connection().prepare_cached(&format!(
                "{SECRET} WHERE account = ?1 AND generation > ?2 AND kek_version >= ?3 AND kek_version < ?4
                 ORDER BY generation LIMIT ?5"
            ))?,
            params![
                account.id.as_bytes(),
                after,
                account.oldest_kek_version,
                account.kek_version,
                limit
            ],
            secret,
        )
    }
}

impl WriteDevices for Rows<'_> {
    fn put_device(&mut self, device: &DeviceRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO devices (account, domain, serial, fleet, paired_by, admitted, revoked, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (account) DO UPDATE SET fleet = ?4, admitted = ?6, revoked = ?7, mac = ?8",
            )?
            .execute(params![
                device.account.as_bytes(),
                device.domain,
                device.serial,
                device.fleet,
                device.paired_by.as_ref().map(AccountId::as_bytes),
                device.admitted.map(millis),
                device.revoked.map(millis),
                device.mac,
            ])?;
        Ok(())
    }

    fn add_secret(&mut self, secret: &AccountSecretRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO account_secrets (account, generation, created, kek_version, sealed)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                secret.account.as_bytes(),
                secret.generation,
                millis(secret.created),
                secret.kek_version,
                secret.sealed,
            ])?;
        Ok(())
    }

    fn forget_secrets_but(
        &mut self,
        account: AccountId,
        generation: Option<u32>,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "DELETE FROM account_secrets WHERE account = ?1 AND generation IS NOT ?2",
            )?
            .execute(params![account.as_bytes(), generation])?;
        Ok(())
    }

    fn reseal_secret(
        &mut self,
        before: &[u8],
        secret: &AccountSecretRecord,
    ) -> Result<bool, StoreError> {
        let changed = self
            .connection()
            .prepare_cached(
                "UPDATE account_secrets SET kek_version = ?3, sealed = ?4
                 WHERE account = ?1 AND generation = ?2 AND sealed = ?5",
            )?
            .execute(params![
                secret.account.as_bytes(),
                secret.generation,
                secret.kek_version,
                secret.sealed,
                before
            ])?;
        Ok(changed == 1)
    }

    fn add_certificate_name(&mut self, name: &CertificateNameRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO certificate_names (domain, kind, value, account, created, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                name.domain,
                certificate_name_number(name.name.kind),
                name.name.value,
                name.account.as_bytes(),
                millis(name.created),
                name.mac,
            ])?;
        Ok(())
    }

    fn remove_certificate_name(
        &mut self,
        domain: DomainNumber,
        name: &CertificateName,
    ) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "DELETE FROM certificate_names WHERE domain = ?1 AND kind = ?2 AND value = ?3",
            )?
            .execute(params![
                domain,
                certificate_name_number(name.kind),
                name.value
            ])?;
        Ok(())
    }

    fn forget_certificate_names(&mut self, account: AccountId) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM certificate_names WHERE account = ?1")?
            .execute([account.as_bytes()])?;
        Ok(())
    }

    fn keep_nonce(&mut self, nonce: &SpentNonce) -> Result<(), StoreError> {
        self.unremembered(|connection| {
            connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO spent_nonces (expires, account, nonce) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![
                    millis(nonce.expires),
                    nonce.account.as_bytes(),
                    nonce.sha256
                ])?;
            Ok(())
        })
    }

    fn forget_nonces(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.unremembered(|connection| {
            connection
                .prepare_cached("DELETE FROM spent_nonces WHERE expires < ?1")?
                .execute([millis(now)])?;
            Ok(())
        })
    }
}

fn device(row: &Row<'_>) -> Result<DeviceRecord, StoreError> {
    const WHAT: &str = "device";
    let paired_by: Option<Vec<u8>> = row.get("paired_by")?;
    let paired_by = paired_by
        .map(|id| id.as_slice().try_into().map(AccountId::from_bytes))
        .transpose()
        .map_err(|_| StoreError::MalformedRow(WHAT))?;
    Ok(DeviceRecord {
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        domain: number(row, "domain", WHAT)?,
        serial: row.get("serial")?,
        fleet: row.get("fleet")?,
        paired_by,
        admitted: optional_time(row, "admitted", WHAT)?,
        revoked: optional_time(row, "revoked", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}

fn secret(row: &Row<'_>) -> Result<AccountSecretRecord, StoreError> {
    const WHAT: &str = "account secret";
    Ok(AccountSecretRecord {
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        generation: number(row, "generation", WHAT)?,
        created: time(row, "created", WHAT)?,
        kek_version: number(row, "kek_version", WHAT)?,
        sealed: row.get("sealed")?,
    })
}

fn certificate_name(row: &Row<'_>) -> Result<CertificateNameRecord, StoreError> {
    const WHAT: &str = "certificate name";
    Ok(CertificateNameRecord {
        domain: number(row, "domain", WHAT)?,
        name: CertificateName {
            kind: numbered(row, "kind", certificate_name_from, WHAT)?,
            value: row.get("value")?,
        },
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        created: time(row, "created", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}
