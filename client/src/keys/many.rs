//! Creating and obtaining many keys in few requests, in a session or by signed requests alike.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use strongroom_session::TransportKey;
use strongroom_wire::id::IdempotencyKey;
use strongroom_wire::key::{
    CreateKeys, CreateKeysQuery, CreatedKey, CreatedKeys, KeyRelease, KeyVersion,
    MOST_KEYS_A_REQUEST, Material, NewKey, ReleaseKey, ReleaseKeys, ReleasedKeys,
};

use super::{Released, unwrap};
use crate::ClientError;
use crate::api::Call;
use crate::held::HeldKeys;
use crate::requester::Requester;

/// Bytes of a request's body that describe keys; far below what the appliance takes.
const MOST_BYTES_A_REQUEST: usize = 1024 * 1024;

/// Has the appliance make keys, all or none.
pub(crate) fn create(
    requester: &impl Requester,
    keys: &[NewKey],
) -> Result<Vec<CreatedKey>, ClientError> {
    Ok(create_in_one_request(requester, keys, false)?.0)
}

/// Brings a key.
pub(crate) fn import(
    requester: &impl Requester,
    new: NewKey,
    material: &[u8],
) -> Result<CreatedKey, ClientError> {
    let wrapped = requester.import_key().wrap_import(material);
    let wrapped = wrapped.map_err(|error| ClientError::Setup(error.to_string()))?;
    let new = NewKey {
        material: Some(wrapped.into()),
        ..new
    };
    let mut made = create(requester, &[new])?;
    made.pop()
        .ok_or_else(|| requester.client().unexpected("another number of keys"))
}

/// Makes a key, or brings one, under this name of the request.
pub(crate) fn create_once(
    requester: &impl Requester,
    once: IdempotencyKey,
    mut new: NewKey,
    material: Option<&[u8]>,
) -> Result<CreatedKey, ClientError> {
    if let Some(material) = material {
        let wrapped = requester.import_key().wrap_import(material);
        let wrapped = wrapped.map_err(|error| ClientError::Setup(error.to_string()))?;
        new.material = Some(wrapped.into());
    }
    let (mut made, _) = create_named(requester, &[new], false, once)?;
    made.pop()
        .ok_or_else(|| requester.client().unexpected("another number of keys"))
}

/// Has the appliance make a key and release it.
pub(crate) fn create_and_obtain_one(
    requester: &impl Requester,
    key: NewKey,
) -> Result<(CreatedKey, Released), ClientError> {
    let mut made = create_and_obtain(requester, &[key])?;
    made.pop()
        .ok_or_else(|| requester.client().unexpected("another number of keys"))
}

/// Has the appliance make keys and release them, in as few requests as it takes. The keys of one request are all created or none; those of
/// earlier requests stay when a later one fails.
pub(crate) fn create_and_obtain(
    requester: &impl Requester,
    keys: &[NewKey],
) -> Result<Vec<(CreatedKey, Released)>, ClientError> {
    let mut made = Vec::with_capacity(keys.len());
    let mut rest = keys;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(fitting(rest)?);
        rest = after;
        let (created, transport) = create_in_one_request(requester, part, true)?;
        for (mut created, asked) in created.into_iter().zip(part) {
            let material = created
                .material
                .take()
                .ok_or_else(|| requester.client().unexpected("a key without its material"))?;
            let version = Some(created.key.version);
            let released = unwrap(&transport, material, created.key.id, version)?;
            if released.algorithm() != asked.algorithm {
                return Err(ClientError::AlteredMaterial);
            }
            made.push((created, released));
        }
    }
    Ok(made)
}

/// How many of the keys fit into one request: at least one.
fn fitting(keys: &[NewKey]) -> Result<usize, ClientError> {
    let mut bytes = 0;
    for (count, key) in keys.iter().take(MOST_KEYS_A_REQUEST).enumerate() {
        let text = serde_json::to_vec(key).map_err(|_| ClientError::Library)?;
        bytes += text.len();
        if bytes > MOST_BYTES_A_REQUEST {
            return Ok(count.max(1));
        }
    }
    Ok(keys.len().min(MOST_KEYS_A_REQUEST))
}

fn create_in_one_request(
    requester: &impl Requester,
    keys: &[NewKey],
    release: bool,
) -> Result<(Vec<CreatedKey>, TransportKey), ClientError> {
    create_named(requester, keys, release, IdempotencyKey::generate())
}

fn create_named(
    requester: &impl Requester,
    keys: &[NewKey],
    release: bool,
    once: IdempotencyKey,
) -> Result<(Vec<CreatedKey>, TransportKey), ClientError> {
    let query = CreateKeysQuery {
        idempotency_key: Some(once),
    };
    let request = CreateKeys {
        keys: keys.to_vec(),
        release,
    };
    let call = Call::post_with("/v1/keys", &query).with(&request)?;
    let (created, transport): (CreatedKeys, _) = requester.request(&call.repeatable())?;
    if created.keys.len() != keys.len() {
        return Err(requester.client().unexpected("another number of keys"));
    }
    Ok((created.keys, transport))
}

/// Obtains a key, or uses one that is held.
pub(crate) fn obtain_one(
    requester: &impl Requester,
    wanted: KeyVersion,
) -> Result<Released, ClientError> {
    let KeyVersion { key, version } = wanted;
    if let Some(released) = requester.held().fresh(key, version) {
        return Ok(released);
    }
    let call = Call::post(format!("/v1/keys/{key}/release")).with(&ReleaseKey { version })?;
    let answer = requester
        .request::<Material>(&call)
        .and_then(|(material, transport)| unwrap(&transport, material, key, version));
    settle(requester.held(), wanted, answer)
}

/// Obtains keys, each by the appliance's own decision, in as few requests as it takes; uses those that are held.
///
/// # Errors
/// When a request as a whole is refused.
pub(crate) fn obtain(
    requester: &impl Requester,
    wanted: &[KeyVersion],
) -> Result<Vec<Result<Released, ClientError>>, ClientError> {
    let held = requester.held();
    let mut found = HashMap::with_capacity(wanted.len());
    let mut missing = Vec::new();
    for one in wanted {
        if let Entry::Vacant(place) = found.entry(*one) {
            let fresh = held.fresh(one.key, one.version);
            if fresh.is_none() {
                missing.push(*one);
            }
            place.insert(fresh.ok_or(ClientError::Library));
        }
    }
    for part in missing.chunks(MOST_KEYS_A_REQUEST) {
        let answers = match obtain_in_one_request(requester, part) {
            Ok(answers) => answers,
            // What is held may do without the appliance.
            Err(error) if error.is_away() => part.iter().map(|_| Err(error.again())).collect(),
            Err(error) => {
                if matches!(error, ClientError::NotSignedIn) {
                    held.forget_all();
                }
                return Err(error);
            }
        };
        for (one, answer) in part.iter().zip(answers) {
            found.insert(*one, settle(held, *one, answer));
        }
    }
    Ok(wanted
        .iter()
        .map(|one| match found.get(one) {
            Some(Ok(released)) => Ok(released.another()),
            Some(Err(error)) => Err(error.again()),
            None => Err(ClientError::Library),
        })
        .collect())
}

fn obtain_in_one_request(
    requester: &impl Requester,
    keys: &[KeyVersion],
) -> Result<Vec<Result<Released, ClientError>>, ClientError> {
    let request = ReleaseKeys {
        keys: keys.to_vec(),
    };
    let call = Call::post("/v1/keys/release").with(&request)?;
    let (released, transport): (ReleasedKeys, _) = requester.request(&call)?;
    if released.keys.len() != keys.len() {
        return Err(requester.client().unexpected("another number of keys"));
    }
    let answers = released.keys.into_iter().zip(keys);
    Ok(answers
        .map(|(answer, wanted)| match answer {
            KeyRelease::Released(material) => {
                unwrap(&transport, *material, wanted.key, wanted.version)
            }
            KeyRelease::Refused(problem) => Err(ClientError::Refused(problem)),
        })
        .collect())
}

/// Holds what was obtained. While the appliance is away, what is held takes the answer's place; what is refused is forgotten.
fn settle(
    held: &HeldKeys,
    wanted: KeyVersion,
    answer: Result<Released, ClientError>,
) -> Result<Released, ClientError> {
    match answer {
        Ok(released) => {
            held.hold(&released);
            Ok(released)
        }
        Err(error) if error.is_away() => held.when_away(wanted.key, wanted.version).ok_or(error),
        Err(error) => {
            match error {
                // Whoever ended the session wants nothing to be left of it.
                ClientError::NotSignedIn => held.forget_all(),
                _ => held.forget(wanted.key),
            }
            Err(error)
        }
    }
}
