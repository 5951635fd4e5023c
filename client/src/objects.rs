//! Objects: certificates, data, and what an application says of keys, as PKCS #11 has them; requests that a program names itself, so that it
//! can make them again; and what else such a program wants to know of keys and to say of them.

use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{IdempotencyKey, KeyId, ObjectId};
use strongroom_wire::key::{
    ChangedKey, CreatedKey, Material, NewKey, ReleaseKey, TightenKey, UsagePolicy,
};
use strongroom_wire::object::{
    ChangedObject, ObjectDescription, ObjectPage, ObjectPart, ObjectQuery, PartQuery,
    RemovedObject, ShownObject,
};
use strongroom_wire::operation::{
    AllowedMechanisms, Mechanism, Operate as OperateRequest, OperateQuery, Operation, Performed,
};
use zeroize::Zeroizing;

use crate::ClientError;
use crate::api::Call;
use crate::keys;
use crate::operations::Operate;

/// A key's material, and for how long it may be kept.
///
/// ```no_run
/// # fn run(device: &strongroom_client::device::Device, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::objects::Objects as _;
///
/// let released = device.release_once(key)?;
/// println!("{} bytes, for {:?} seconds", released.material.len(), released.keep_for);
/// # Ok(())
/// # }
/// ```
pub struct ReleasedOnce {
    /// The material.
    pub material: Zeroizing<Vec<u8>>,
    /// It must be forgotten at this moment, if there is one.
    pub not_after: Option<Timestamp>,
    /// It must be forgotten so many seconds after it came, if there is such a span.
    pub keep_for: Option<u32>,
}

/// The objects of an account.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::ClientError;
/// use strongroom_client::objects::Objects;
/// use strongroom_wire::object::ObjectQuery;
///
/// /// Works in a session and on a device alike.
/// fn has_objects(account: &impl Objects) -> Result<bool, ClientError> {
///     Ok(!account.find_objects(&ObjectQuery::default())?.objects.is_empty())
/// }
/// has_objects(session)?;
/// # Ok(())
/// # }
/// ```
pub trait Objects: Operate {
    /// A page of objects.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::objects::Objects as _;
    /// use strongroom_wire::object::ObjectQuery;
    ///
    /// let query = ObjectQuery { label: Some(b"web".as_slice().into()), ..ObjectQuery::default() };
    /// for object in session.find_objects(&query)?.objects {
    ///     println!("{} of class {}", object.id, object.description.class);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason.
    fn find_objects(&self, query: &ObjectQuery) -> Result<ObjectPage, ClientError> {
        Ok(self.request(&Call::find("/v1/objects", query))?.0)
    }

    /// One object.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, object: strongroom_wire::id::ObjectId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::objects::Objects as _;
    /// use strongroom_wire::object::ObjectPart;
    ///
    /// let certificate = session.object(object, ObjectPart::Object)?.object;
    /// println!("made at {}", certificate.created);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] when there is no such object.
    fn object(&self, object: ObjectId, part: ObjectPart) -> Result<ShownObject, ClientError> {
        Ok(self.request(&address(object, part))?.0)
    }

    /// Makes an object, or changes what is said of one. Its maker chooses the identifier; of a part of a key it is the key's.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, der: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::objects::Objects as _;
    /// use strongroom_wire::id::ObjectId;
    /// use strongroom_wire::object::{ObjectDescription, ObjectPart};
    ///
    /// let certificate = ObjectDescription {
    ///     class: 1, // CKO_CERTIFICATE
    ///     kind: Some(0), // CKC_X_509
    ///     label: b"web".as_slice().into(),
    ///     id: b"\x01".as_slice().into(),
    ///     attributes: der.into(),
    /// };
    /// session.put_object(ObjectId::generate(), ObjectPart::Object, &certificate)?;
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, object: strongroom_wire::id::ObjectId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::objects::Objects as _;
    /// use strongroom_wire::object::ObjectPart;
    ///
    /// session.remove_object(object, ObjectPart::Object)?;
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::objects::Objects as _;
    /// use strongroom_wire::id::IdempotencyKey;
    /// use strongroom_wire::key::{Algorithm, NewKey};
    ///
    /// let once = IdempotencyKey::generate();
    /// let first = session.create_key_once(once, NewKey::new(Algorithm::EcP256), None)?;
    /// let again = session.create_key_once(once, NewKey::new(Algorithm::EcP256), None)?;
    /// assert_eq!(first.key.id, again.key.id);
    /// # Ok(())
    /// # }
    /// ```
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
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, kek: strongroom_wire::id::KeyId, wrapped: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::objects::Objects as _;
    /// use strongroom_wire::id::IdempotencyKey;
    /// use strongroom_wire::key::{Algorithm, NewKey};
    /// use strongroom_wire::operation::{Mechanism, Operation};
    ///
    /// let unwrap = Operation::Unwrap {
    ///     mechanism: Mechanism::AesKwp,
    ///     wrapped: wrapped.into(),
    ///     iv: None,
    ///     associated_data: None,
    ///     new: Some(Box::new(NewKey::new(Algorithm::Aes256))),
    ///     alternatives: Vec::new(),
    /// };
    /// session.operate_once(IdempotencyKey::generate(), kek, unwrap)?;
    /// # Ok(())
    /// # }
    /// ```
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

    /// By which mechanisms the appliance may use keys, as the domain's usage policy says now. A key's and a grant's may allow fewer.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::objects::Objects as _;
    /// use strongroom_wire::operation::Mechanism;
    ///
    /// if !session.allowed_mechanisms()?.contains(&Mechanism::RsaPkcs1) {
    ///     println!("The site does not want PKCS #1 v1.5 encryption.");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason.
    fn allowed_mechanisms(&self) -> Result<Vec<Mechanism>, ClientError> {
        let (allowed, _) = self.request::<AllowedMechanisms>(&Call::get("/v1/mechanisms"))?;
        Ok(allowed.mechanisms)
    }

    /// Gives a key this usage policy in place of the one it has; its owner only.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::objects::Objects as _;
    /// use strongroom_wire::key::UsagePolicy;
    ///
    /// let policy = UsagePolicy { not_after: Some("2027-12-31T23:59:59Z".parse()?), ..UsagePolicy::default() };
    /// session.set_key_policy(key, &policy)?;
    /// # Ok(())
    /// # }
    /// ```
    fn set_key_policy(&self, key: KeyId, policy: &UsagePolicy) -> Result<ChangedKey, ClientError> {
        let call = Call::put(format!("/v1/keys/{key}/policy")).with(policy)?;
        Ok(self.request(&call)?.0)
    }

    /// Puts restrictions on a key of the caller's own that nobody lifts.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::objects::Objects as _;
    /// use strongroom_wire::key::{Releasable, TightenKey};
    ///
    /// let request = TightenKey { releasable: Some(Releasable::NoMore), ..TightenKey::default() };
    /// let key = session.tighten_key(key, &request)?.key;
    /// assert_eq!(key.releasable, Releasable::NoMore);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the reason.
    fn tighten_key(&self, key: KeyId, request: &TightenKey) -> Result<ChangedKey, ClientError> {
        let call = Call::patch(format!("/v1/keys/{key}")).with(request)?;
        Ok(self.request(&call.repeatable())?.0)
    }

    /// The key's material, which this library does not keep.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, key: strongroom_wire::id::KeyId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::objects::Objects as _;
    ///
    /// let released = session.release_once(key)?;
    /// println!("to be forgotten at {:?}", released.not_after);
    /// # Ok(())
    /// # }
    /// ```
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
