//! Remembered requests.

use rusqlite::{Row, params};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AccountId, IdempotencyKey};

use super::rows::{Rows, array, millis, one, time};
use crate::store::{CreatedThen, ReadRequests, RequestRecord, StoreError, WriteRequests};

impl ReadRequests for Rows<'_> {
    fn request(
        &self,
        account: AccountId,
        idempotency_key: IdempotencyKey,
    ) -> Result<Option<RequestRecord>, StoreError> {
        one(
            &mut self.connection().prepare_cached(
                "SELECT account, idempotency_key, digest, keys, expires, mac FROM requests
                 WHERE account = ?1 AND idempotency_key = ?2",
            )?,
            params![account.as_bytes(), idempotency_key.as_bytes()],
            request,
        )
    }
}

impl WriteRequests for Rows<'_> {
    fn remember_request(&mut self, request: &RequestRecord) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached(
                "INSERT OR REPLACE INTO requests (account, idempotency_key, digest, keys, expires, mac)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                request.account.as_bytes(),
                request.idempotency_key.as_bytes(),
                request.digest,
                CreatedThen::pack(&request.keys),
                millis(request.expires),
                request.mac,
            ])?;
        Ok(())
    }

    fn forget_requests(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.connection()
            .prepare_cached("DELETE FROM requests WHERE expires < ?1")?
            .execute([millis(now)])?;
        // Whose time is over is of no use anyway: the log does not tell of it.
        self.untouch()
    }
}

fn request(row: &Row<'_>) -> Result<RequestRecord, StoreError> {
    const WHAT: &str = "request";
    let keys: Vec<u8> = row.get("keys")?;
    Ok(RequestRecord {
        account: AccountId::from_bytes(array(row, "account", WHAT)?),
        idempotency_key: IdempotencyKey::from_bytes(array(row, "idempotency_key", WHAT)?),
        digest: array(row, "digest", WHAT)?,
        keys: CreatedThen::unpack(&keys).ok_or(StoreError::MalformedRow(WHAT))?,
        expires: time(row, "expires", WHAT)?,
        mac: array(row, "mac", WHAT)?,
    })
}
