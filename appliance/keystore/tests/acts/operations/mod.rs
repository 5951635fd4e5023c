//! The appliance uses keys for people: rights, usage policies, states, versions, leaves, and rows that somebody altered.

pub(crate) mod carrying;
pub(crate) mod deciding;
pub(crate) mod hardware;
pub(crate) mod legacy;
pub(crate) mod making;
pub(crate) mod performing;
pub(crate) mod restricting;

use strongroom_keystore::Error;
use strongroom_wire::audit::{Record, RecordQuery};
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{
    Algorithm, ChangeState, CreateKeys, Key, KeyState, NewKey, Right, ShareKey, UsagePolicy,
};
use strongroom_wire::operation::{
    Mechanism, Operate, Operation, OperationResult, Performed, SignatureEncoding,
};

use crate::house::{House, Person};

fn make(house: &House, who: &Person, new: NewKey) -> Result<Key, Error> {
    let request = CreateKeys {
        keys: vec![new],
        release: false,
    };
    let created = house.keystore.create_keys(&who.presented, request);
    created
        .map(|mut created| created.keys.remove(0).key)
        .map_err(|refusal| refusal.error)
}

fn key_for(house: &House, who: &Person, algorithm: Algorithm) -> Key {
    make(house, who, NewKey::new(algorithm)).unwrap()
}

fn operate(
    house: &House,
    who: &Person,
    key: KeyId,
    operation: Operation,
) -> Result<OperationResult, Error> {
    operate_with(house, who, key, None, operation).map(|performed| performed.result)
}

fn operate_with(
    house: &House,
    who: &Person,
    key: KeyId,
    version: Option<u32>,
    operation: Operation,
) -> Result<Performed, Error> {
    let request = Operate { operation, version };
    let performed = house.keystore.operate(&who.presented, key, request);
    performed.map_err(|refusal| {
        assert!(refusal.leaf.is_some(), "{refusal}");
        refusal.error
    })
}

fn signing(mechanism: Mechanism) -> Operation {
    Operation::Sign {
        mechanism,
        data: b"message".as_slice().into(),
        prehashed: false,
        encoding: SignatureEncoding::Der,
        salt_length: None,
    }
}

fn verifying(mechanism: Mechanism, signature: &[u8]) -> Operation {
    Operation::Verify {
        mechanism,
        data: b"message".as_slice().into(),
        signature: signature.into(),
        prehashed: false,
        encoding: SignatureEncoding::Der,
        salt_length: None,
    }
}

fn macking() -> Operation {
    Operation::Mac {
        mechanism: Mechanism::HmacSha256,
        data: b"message".as_slice().into(),
    }
}

fn encrypting(mechanism: Mechanism) -> Operation {
    Operation::Encrypt {
        mechanism,
        data: b"sixteen bytes...".as_slice().into(),
        iv: None,
        associated_data: None,
        tag_length: None,
    }
}

/// The decryption of what [`encrypting`] made.
fn decrypting(mechanism: Mechanism, made: &OperationResult) -> Operation {
    let OperationResult::Ciphertext { data, iv } = made else {
        panic!("{made:?}");
    };
    Operation::Decrypt {
        mechanism,
        data: data.clone(),
        iv: iv.clone(),
        associated_data: None,
        tag_length: None,
    }
}

fn signature_of(result: OperationResult) -> Vec<u8> {
    match result {
        OperationResult::Signature { signature } => signature.0,
        other => panic!("{other:?}"),
    }
}

fn is_valid(result: &OperationResult) -> bool {
    match result {
        OperationResult::Verified { valid } => *valid,
        other => panic!("{other:?}"),
    }
}

fn share(house: &House, who: &Person, key: KeyId, with: &Person, rights: &[Right]) {
    let request = ShareKey {
        grantee: with.name.clone(),
        rights: Some(rights.to_vec()),
        policy: UsagePolicy::default(),
    };
    house.keystore.share(&who.presented, key, request).unwrap();
}

fn state(house: &House, who: &Person, key: KeyId, state: KeyState) {
    let request = ChangeState { state };
    let changed = house.keystore.change_state(&who.presented, key, request);
    changed.unwrap();
}

fn records(house: &House, who: &Person) -> Vec<Record> {
    let page = house
        .keystore
        .records(&who.presented, RecordQuery::default());
    page.unwrap().records
}

fn secret_of(who: &Person, performed: &Performed) -> Vec<u8> {
    let OperationResult::Secret { wrapped, .. } = &performed.result else {
        panic!("{performed:?}");
    };
    let (key, version) = (performed.key, performed.version);
    // It is not taken for the key's own material.
    assert!(who.transport.unwrap(key, version, &wrapped.0).is_err());
    let secret = who.transport.unwrap_agreed(key, version, &wrapped.0);
    secret.unwrap().to_vec()
}
