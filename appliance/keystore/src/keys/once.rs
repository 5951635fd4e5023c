//! Requests that create keys and are made again, because their answer was lost: the keys are there already.
//!
//! A request is remembered with the keys that it created, in the same transaction, for [`REMEMBERED_FOR`] seconds. It is bound to the account
//! that made it and to everything that it asked for. Made again, it is answered as of now: from the keys' present records, and where it asked
//! for their material, by another release, which leaves a leaf of its own and is refused where states and grants have changed since.

use serde::Serialize;
use strongroom_wire::id::IdempotencyKey;
use strongroom_wire::key::{CreatedKey, REMEMBERED_FOR, Right};

use super::access;
use super::create::allow;
use super::{release, to_wire};
use crate::act::{Caller, Scope};
use crate::error::Error;
use crate::seal;
use crate::store::{CreatedThen, RequestRecord};

/// A request and the name that its client gave it.
#[derive(Clone)]
pub(crate) struct Once {
    idempotency_key: IdempotencyKey,
    digest: [u8; 32],
}

impl Once {
    /// The name of this request, which has been checked.
    pub(crate) fn new(
        idempotency_key: IdempotencyKey,
        request: &impl Serialize,
    ) -> Result<Self, Error> {
        let bytes =
            serde_json::to_vec(request).map_err(|_| Error::Internal("a request has no digest"))?;
        Ok(Self {
            idempotency_key,
            digest: seal::sha256(&bytes),
        })
    }

    /// The keys that the caller's request created before, if it was made before.
    pub(crate) fn repeat(
        &self,
        scope: &mut Scope<'_>,
        caller: &Caller,
        with_material: bool,
    ) -> Result<Option<Vec<CreatedKey>>, Error> {
        let snapshot = scope.tx.as_snapshot();
        let Some(record) = snapshot.request(caller.account.id, self.idempotency_key)? else {
            return Ok(None);
        };
        let record = scope.domain.check_request(record)?;
        if record.expires <= scope.now {
            return Ok(None);
        }
        if record.digest != self.digest {
            return Err(Error::IdempotencyKeyReused);
        }
        if with_material {
            allow(caller, Right::Release, scope.now)?;
        }
        let mut keys = Vec::with_capacity(record.keys.len());
        for CreatedThen { key, leaf } in record.keys {
            scope.detail.key = Some(key);
            let access = access::require(&scope.view(), caller, key, Right::Release)?;
            scope.detail.owner = Some(access.key.owner);
            let material = if with_material {
                access.check_state(caller.account.id == access.key.owner)?;
                Some(release::release(
                    scope,
                    caller,
                    &access,
                    access.key.version,
                )?)
            } else {
                None
            };
            let key = to_wire(&scope.view(), &access.key, &access.grant.rights)?;
            keys.push(CreatedKey {
                key,
                material,
                leaf,
            });
        }
        Ok(Some(keys))
    }

    /// Remembers that the caller's request created these.
    pub(crate) fn remember(
        &self,
        scope: &mut Scope<'_>,
        caller: &Caller,
        keys: &[CreatedKey],
    ) -> Result<(), Error> {
        let mut record = RequestRecord {
            account: caller.account.id,
            idempotency_key: self.idempotency_key,
            digest: self.digest,
            keys: keys
                .iter()
                .map(|created| CreatedThen {
                    key: created.key.id,
                    leaf: created.leaf,
                })
                .collect(),
            expires: scope.now.plus_seconds(REMEMBERED_FOR),
            mac: [0; 32],
        };
        scope.domain.authenticate_request(&mut record);
        Ok(scope.tx.remember_request(&record)?)
    }
}
