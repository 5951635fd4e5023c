//! Operations: the appliance uses a key for a client.
//!
//! | module | what lives there |
//! |---|---|
//! | here | operations as acts: who may, with which version, in which order things are done |
//! | `perform` | what an operation does with the material, once it may |
//! | `hardware` | what the HSM does with its own keys |
//!
//! ```text
//! foresee on the request's own thread: may the caller? the material is opened from the caller's grant
//! work    on the same thread, with no transaction open: the mechanism is run, by the HSM where the key is there
//! act     in the writer's transaction: may the caller, still? the leaf is appended, new keys are made
//! answer  once the leaf is durable
//! ```
//!
//! What decides is the act, as everywhere. That the work was done before it changes nothing for whoever is refused: they get none of it.
//! So a signature costs the writer no more than a leaf, and the leaf says how it went.

mod hardware;
mod perform;

use std::net::IpAddr;

use strongroom_wire::audit::Act;
use strongroom_wire::id::{IdempotencyKey, KeyId};
use strongroom_wire::key::{Algorithm, CreatedKey, Protection, Right};
use strongroom_wire::operation::{
    KeyOperation, MOST_OPERATIONS_A_REQUEST, Operate, OperateMany, Operated, Operation,
    OperationOutcome, OperationResult, Performed, PublicKey,
};
use strongroom_wire::proposal::ProposedRequest;
use zeroize::Zeroizing;

use self::perform::{Done, Failure, Inputs, Secret};
use crate::act::{Caller, Presented, Scope, View};
use crate::error::{Answer, Error, Refusal};
use crate::keys::access::{self, Access};
use crate::keys::{self, NewRequest, Once, changed_meanwhile};
use crate::keystore::Keystore;

impl Keystore {
    /// Uses a key for the caller. The leaf that says so is durable before the result leaves the keystore.
    pub fn operate(&self, caller: &Presented, key: KeyId, request: Operate) -> Answer<Performed> {
        self.perform_one(caller, key, request, None)
    }

    /// The same, and when the request is made again with this idempotency key within
    /// [`REMEMBERED_FOR`](strongroom_wire::key::REMEMBERED_FOR) seconds it makes no other key.
    pub fn operate_once(
        &self,
        caller: &Presented,
        key: KeyId,
        request: Operate,
        once: IdempotencyKey,
    ) -> Answer<Performed> {
        let makes_key = matches!(
            request.operation,
            Operation::Unwrap { new: Some(_), .. } | Operation::Derive { new: Some(_), .. }
        );
        if !makes_key {
            return Err(Error::Invalid(
                "Only an operation that makes a key takes an idempotency key.".to_owned(),
            )
            .into());
        }
        let once = Once::new(once, &(key, &request))?;
        self.perform_one(caller, key, request, Some(once))
    }

    fn perform_one(
        &self,
        caller: &Presented,
        key: KeyId,
        request: Operate,
        once: Option<Once>,
    ) -> Answer<Performed> {
        let operation = KeyOperation {
            key,
            operation: request.operation,
            version: request.version,
        };
        let mut outcomes = self.perform(caller, vec![operation], once)?;
        outcomes
            .pop()
            .unwrap_or_else(|| Err(Error::Internal("an operation has no outcome").into()))
    }

    /// Uses keys for the caller many times, each time as [`operate`](Self::operate) would: with a decision and a leaf of its own. That one is
    /// refused stops no other.
    pub fn operate_many(&self, caller: &Presented, request: OperateMany) -> Answer<Operated> {
        let count = request.operations.len();
        if count == 0 || count > MOST_OPERATIONS_A_REQUEST {
            return Err(Error::Invalid(format!(
                "One request has 1 to {MOST_OPERATIONS_A_REQUEST} operations."
            ))
            .into());
        }
        let outcomes = self.perform(caller, request.operations, None)?;
        let operations = outcomes
            .into_iter()
            .map(|outcome| match outcome {
                Ok(performed) => OperationOutcome::Done(Box::new(performed)),
                Err(refusal) => OperationOutcome::Refused(Box::new(refusal.problem())),
            })
            .collect();
        Ok(Operated { operations })
    }

    /// The public key of one version of a key pair, or of the newest, for whoever has a grant to it.
    pub fn public_key(
        &self,
        caller: &Presented,
        key: KeyId,
        version: Option<u32>,
    ) -> Answer<PublicKey> {
        self.core.look(caller, |view, caller, _| {
            let access::Standing::Holds(access) =
                access::standing(view, caller.account.id, key, None)?
            else {
                return Err(Error::GrantRevoked);
            };
            if !access.key.algorithm.is_pair() {
                return Err(Error::Invalid("This key has no public key.".to_owned()));
            }
            let version = version_of(&access, version)?;
            Ok(PublicKey {
                key,
                version,
                algorithm: access.key.algorithm,
                public_key: keys::public_key(view, &access.key, version)?.into(),
            })
        })
    }

    fn perform(
        &self,
        presented: &Presented,
        operations: Vec<KeyOperation>,
        once: Option<Once>,
    ) -> Answer<Vec<Result<Performed, Refusal>>> {
        let wanted = operations
            .into_iter()
            .map(Wanted::new)
            .collect::<Result<Vec<_>, _>>()?;
        let foreseen = self
            .core
            .foresee(presented, |view, caller| open(view, caller, &wanted));
        if foreseen.is_none() {
            // Who is not signed in is refused without the writer.
            self.core.look(presented, |_, _, _| Ok(()))?;
        }
        let mut opened = foreseen.unwrap_or_default().into_iter();
        let prepared: Vec<Option<Prepared>> = wanted
            .iter()
            .map(|wanted| {
                opened.next().flatten().map(|inputs| Prepared {
                    version: inputs.version,
                    done: perform::perform(
                        self.core.domain.hsm(),
                        &wanted.operation,
                        wanted.new.as_ref(),
                        &inputs,
                    ),
                })
            })
            .collect();
        let act = wanted.first().map_or(Act::KeySign, |wanted| wanted.act);
        let (presented, source): (Presented, IpAddr) = (presented.clone(), presented.source);
        self.core.act(act, source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            let who = scope.detail.clone();
            let mut outcomes = Vec::with_capacity(wanted.len());
            let mut needed = Vec::new();
            for (wanted, prepared) in wanted.iter().zip(&prepared) {
                scope.detail = who.clone();
                match record_once(scope, &caller, wanted, prepared.as_ref(), once.as_ref()) {
                    Ok(performed) => outcomes.push(Ok(performed)),
                    Err(Error::NeedKeks(names)) => needed.extend(names),
                    Err(error) => {
                        scope.detail.key = Some(wanted.key);
                        scope.detail.note = Some(wanted.operation.mechanism().to_string());
                        outcomes.push(Err(scope.refuse(wanted.act, error)?));
                    }
                }
            }
            if needed.is_empty() {
                return Ok(outcomes);
            }
            needed.sort_unstable();
            needed.dedup();
            Err(Error::NeedKeks(needed))
        })
    }
}

/// An operation that was asked for.
struct Wanted {
    key: KeyId,
    operation: Operation,
    version: Option<u32>,
    act: Act,
    /// The key that comes of it.
    new: Option<NewRequest>,
}

/// An operation that is done, and only wants recording.
struct Prepared {
    version: u32,
    done: Result<Done, Failure>,
}

impl Wanted {
    fn new(wanted: KeyOperation) -> Result<Self, Error> {
        let new = match &wanted.operation {
            Operation::Unwrap { new: Some(new), .. } | Operation::Derive { new: Some(new), .. } => {
                Some(NewRequest::new((**new).clone())?)
            }
            _ => None,
        };
        if let Operation::Unwrap { alternatives, .. } = &wanted.operation {
            check_alternatives(new.as_ref(), alternatives)?;
        }
        Ok(Self {
            key: wanted.key,
            version: wanted.version,
            act: act_of(&wanted.operation),
            operation: wanted.operation,
            new,
        })
    }
}

/// What an unwrapped key may be for beside what its request says is of the same nature: what was said of its parts holds for it.
fn check_alternatives(new: Option<&NewRequest>, alternatives: &[Algorithm]) -> Result<(), Error> {
    let fit = new.is_some_and(|new| {
        let is_pair = new.key().algorithm.is_pair();
        alternatives.len() < Algorithm::ALL.len()
            && alternatives.iter().all(|other| other.is_pair() == is_pair)
    });
    if alternatives.is_empty() || fit {
        return Ok(());
    }
    Err(Error::Invalid(
        "The alternatives for a new key are all secret keys or all key pairs, as it is.".to_owned(),
    ))
}

/// Opens what each operation needs. None for one that is refused: the act says why.
fn open(view: &View<'_>, caller: &Caller, wanted: &[Wanted]) -> Result<Vec<Option<Inputs>>, Error> {
    let mut needed = Vec::new();
    let mut opened = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        opened.push(match inputs(view, caller, wanted) {
            Ok(inputs) => Some(inputs),
            Err(Error::NeedKeks(names)) => {
                needed.extend(names);
                None
            }
            Err(_) => None,
        });
    }
    if needed.is_empty() {
        return Ok(opened);
    }
    needed.sort_unstable();
    needed.dedup();
    Err(Error::NeedKeks(needed))
}

fn inputs(view: &View<'_>, caller: &Caller, wanted: &Wanted) -> Result<Inputs, Error> {
    let (access, version) = decide(view, caller, wanted)?;
    let algorithm = access.key.algorithm;
    let mut in_hsm = None;
    let key = if wanted.operation.is_with_public_key(algorithm) {
        keys::public_key(view, &access.key, version)?.into()
    } else {
        in_hsm = keys::Hardware::of(view, &access, version)?;
        match in_hsm {
            // Its grant has no material.
            Some(_) => Zeroizing::default(),
            None => access.open(view, version)?,
        }
    };
    let other = match decide_other(view, caller, wanted)? {
        Some((other, version)) => Some(other.open(view, version)?),
        None => None,
    };
    Ok(Inputs {
        algorithm,
        version,
        key,
        in_hsm,
        other,
    })
}

/// The access by which the caller may do this, and the version of the key that it is done with.
fn decide(view: &View<'_>, caller: &Caller, wanted: &Wanted) -> Result<(Access, u32), Error> {
    let right = wanted.operation.right();
    let access = access::require(view, caller, wanted.key, right)?;
    if protects(&wanted.operation) {
        access.check_protects()?;
    } else {
        access.check_state(caller.account.id == access.key.owner)?;
    }
    access.allow_operation(caller, &wanted.operation, view.now)?;
    if matches!(wanted.operation, Operation::Unwrap { new: None, .. }) {
        // As a key of the appliance it would be under the domain's policy.
        keys::allow(caller, Right::Release, view.now)?;
    }
    let version = version_of(&access, wanted.version)?;
    if protects(&wanted.operation) && version != access.key.version {
        return Err(Error::Invalid(
            "Only a key's newest version protects; older ones verify, decrypt and unwrap."
                .to_owned(),
        ));
    }
    Ok((access, version))
}

/// The same for the key that is to be wrapped, which is released by that.
fn decide_other(
    view: &View<'_>,
    caller: &Caller,
    wanted: &Wanted,
) -> Result<Option<(Access, u32)>, Error> {
    let Operation::Wrap { key, version, .. } = &wanted.operation else {
        return Ok(None);
    };
    let access = access::require(view, caller, *key, Right::Release)?;
    access.check_state(caller.account.id == access.key.owner)?;
    access.allow(caller, Right::Release, view.now)?;
    access.require_releasable()?;
    let version = version_of(&access, *version)?;
    Ok(Some((access, version)))
}

/// Records what was done, unless it was done before under the same idempotency key: then it is answered as of now.
fn record_once(
    scope: &mut Scope<'_>,
    caller: &Caller,
    wanted: &Wanted,
    prepared: Option<&Prepared>,
    once: Option<&Once>,
) -> Result<Performed, Error> {
    let Some(once) = once else {
        return record(scope, caller, wanted, prepared);
    };
    if let Some(created) = once.repeat(scope, caller, false)? {
        scope.detail.key = Some(wanted.key);
        let (_, version) = decide(&scope.view(), caller, wanted)?;
        let created = created.into_iter().next();
        let created = created.ok_or(Error::Internal("a remembered request made no key"))?;
        return Ok(Performed {
            key: wanted.key,
            version,
            result: OperationResult::Created {
                key: Box::new(created.key),
            },
            leaf: created.leaf,
        });
    }
    let performed = record(scope, caller, wanted, prepared)?;
    if let OperationResult::Created { key } = &performed.result {
        let created = CreatedKey {
            key: (**key).clone(),
            material: None,
            leaf: performed.leaf,
        };
        once.remember(scope, caller, &[created])?;
    }
    Ok(performed)
}

/// Decides once more, in the transaction, and records what was done.
fn record(
    scope: &mut Scope<'_>,
    caller: &Caller,
    wanted: &Wanted,
    prepared: Option<&Prepared>,
) -> Result<Performed, Error> {
    scope.detail.key = Some(wanted.key);
    let (access, version) = decide(&scope.view(), caller, wanted)?;
    let mechanism = wanted.operation.mechanism();
    scope.detail.key_version = Some(version);
    scope.detail.owner = Some(access.key.owner);
    scope.detail.grant = Some(access.grant.id);
    let other = decide_other(&scope.view(), caller, wanted)?;
    let Some(prepared) = prepared.filter(|prepared| prepared.version == version) else {
        // A row that does not match its seal stood in the way, or it would have been refused then and would not be now.
        inputs(&scope.view(), caller, wanted)?;
        return Err(changed_meanwhile());
    };
    let done = prepared.done.as_ref().map_err(Failure::error)?;
    let of_operation = scope.detail.clone();
    if let Some((mut other, version)) = other {
        scope.detail.key = Some(other.key.id);
        scope.detail.key_version = Some(version);
        scope.detail.owner = Some(other.key.owner);
        scope.detail.grant = Some(other.grant.id);
        scope.detail.note = Some(format!("{mechanism} under {}", wanted.key));
        let (key, label) = (other.key.id, other.key.label.as_str());
        scope.require_quorum(caller, &ProposedRequest::KeyRelease { key }, Some(label))?;
        scope.record(Act::KeyRelease)?;
        keys::release::count(scope, caller, &mut other)?;
    }
    let mut note = mechanism.to_string();
    if access.key.traits.protection == Protection::Hsm
        && !wanted.operation.is_with_public_key(access.key.algorithm)
    {
        note = format!("{note} {}", keys::IN_HSM);
    }
    let result = match done {
        Done::Result(result) => {
            if matches!(result, OperationResult::Verified { valid: false }) {
                note.push_str(": not valid");
            }
            result.clone()
        }
        Done::Agreed(Secret { secret, ciphertext }) => OperationResult::Secret {
            wrapped: caller
                .transport
                .wrap_agreed(wanted.key, version, secret)
                .map_err(|_| Error::Internal("a secret is too long to be wrapped"))?
                .into(),
            ciphertext: ciphertext.clone().map(Into::into),
        },
        Done::Key(fresh, algorithm) => {
            let request = wanted
                .new
                .as_ref()
                .ok_or(Error::Internal("a key was not asked for"))?
                .of(*algorithm);
            scope.detail.note = Some(format!("{mechanism} with {}", wanted.key));
            let (key, _) = keys::one(scope, caller, &request, fresh)?;
            note = format!("{note}: {}", key.id);
            let key = keys::to_wire(&scope.view(), &key, &Right::ALL)?;
            OperationResult::Created { key: Box::new(key) }
        }
    };
    scope.detail = of_operation;
    scope.detail.note = Some(note);
    let leaf = scope.record(wanted.act)?;
    Ok(Performed {
        key: wanted.key,
        version,
        result,
        leaf,
    })
}

fn version_of(access: &Access, version: Option<u32>) -> Result<u32, Error> {
    let version = version.unwrap_or(access.key.version);
    if version == 0 || version > access.key.version {
        return Err(Error::NoSuchVersion(version));
    }
    Ok(version)
}

/// Whether an operation protects something new, rather than processing what was protected before (SP 800-57 part 1 section 7).
const fn protects(operation: &Operation) -> bool {
    match operation {
        Operation::Sign { .. }
        | Operation::Mac { .. }
        | Operation::Encrypt { .. }
        | Operation::Encapsulate { .. }
        | Operation::Wrap { .. }
        | Operation::Derive { .. } => true,
        Operation::Verify { .. }
        | Operation::VerifyMac { .. }
        | Operation::Decrypt { .. }
        | Operation::Decapsulate { .. }
        | Operation::Unwrap { .. } => false,
    }
}

const fn act_of(operation: &Operation) -> Act {
    match operation {
        Operation::Sign { .. } | Operation::Mac { .. } => Act::KeySign,
        Operation::Verify { .. } | Operation::VerifyMac { .. } => Act::KeyVerify,
        Operation::Encrypt { .. } | Operation::Encapsulate { .. } => Act::KeyEncrypt,
        Operation::Decrypt { .. } | Operation::Decapsulate { .. } => Act::KeyDecrypt,
        Operation::Wrap { .. } => Act::KeyWrap,
        Operation::Unwrap { .. } => Act::KeyUnwrap,
        Operation::Derive { .. } => Act::KeyDerive,
    }
}
