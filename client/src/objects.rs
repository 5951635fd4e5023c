//! Objects: certificates, data, and what an application says of keys, as PKCS #11 has them; and requests that a program names itself, so that it
//! can make them again.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{IdempotencyKey, KeyId, ObjectId};
use strongroom_wire::key::{CreatedKey, Material, NewKey, ReleaseKey};
use strongroom_wire::object::{
    ChangedObject, ObjectDescription, ObjectPage, ObjectPart, ObjectQuery, PartQuery,
    RemovedObject, ShownObject,
};
use strongroom_wire::operation::{Operate as OperateRequest, OperateQuery, Operation, Performed};
use zeroize::Zeroizing;

use crate::ClientError;
use crate::api::Call;
use crate::keys;
use crate::operations::Operate;

/// A key's material, and for how long it may be kept.
pub struct ReleasedOnce {
    /// The material.
    pub material: Zeroizing<Vec<u8>>,
    /// It must be forgotten at this moment, if there is one.
    pub not_after: Option<Timestamp>,
    /// It must be forgotten so many seconds after it came, if there is such a span.
    pub keep_for: Option<u32>,
}

/// The objects of an account.
pub trait Objects: Operate {
    /// A page of objects.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason.
    fn find_objects(&self, query: &ObjectQuery) -> Result<ObjectPage, ClientError> {
        Ok(self.request(&Call::find("/v1/objects", query))?.0)
    }

    /// One object.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is no such object.
    fn object(&self, object: ObjectId, part: ObjectPart) -> Result<ShownObject, ClientError> {
        Ok(self.request(&address(object, part))?.0)
    }

    /// Makes an object, or changes what is said of one.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason.
    fn put_object(
        &self,
        object: ObjectId,
        part: ObjectPart,
        description: &ObjectDescription,
    ) -> Result<ChangedObject, ClientError> {
        let call = address(object, part).by_put().with(description)?;
        Ok(self.request(&call.repeatable())?.0)
    }

    /// Removes an object: of a secret key, or the private half of a pair, the key is destroyed.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason.
    fn remove_object(
        &self,
        object: ObjectId,
        part: ObjectPart,
    ) -> Result<RemovedObject, ClientError> {
        Ok(self.request(&address(object, part).by_delete())?.0)
    }

    /// Makes a key, or brings one, however often it is asked for under this name.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason.
    fn create_key_once(
        &self,
        once: IdempotencyKey,
        new: NewKey,
        material: Option<&[u8]>,
    ) -> Result<CreatedKey, ClientError> {
        keys::create_once(self, once, new, material)
    }

    /// Makes a key by an operation, however often it is asked for under this name.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason.
    fn operate_once(
        &self,
        once: IdempotencyKey,
        key: KeyId,
        operation: Operation,
    ) -> Result<Performed, ClientError> {
        let query = OperateQuery {
            idempotency_key: Some(once),
        };
        let request = OperateRequest {
            operation,
            version: None,
        };
        let path = format!("/v1/keys/{key}/operations");
        let call = Call::post_with(&path, &query).with(&request)?;
        Ok(self.request(&call.repeatable())?.0)
    }

    /// The key's material, which this library does not keep.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the appliance does not release it.
    fn release_once(&self, key: KeyId) -> Result<ReleasedOnce, ClientError> {
        let request = ReleaseKey { version: None };
        let call = Call::post(format!("/v1/keys/{key}/release")).with(&request)?;
        let (material, transport) = self.request::<Material>(&call)?;
        let (not_after, keep_for) = (material.not_after, material.keep_for);
        let mut released = keys::unwrap(&transport, material, key, None)?;
        Ok(ReleasedOnce {
            material: released.material()?,
            not_after,
            keep_for,
        })
    }
}

impl<T: Operate> Objects for T {}

fn address(object: ObjectId, part: ObjectPart) -> Call<'static> {
    Call::find(&format!("/v1/objects/{object}"), &PartQuery { part })
}
