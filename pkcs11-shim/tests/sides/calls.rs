//! Random calls.

use cryptoki_sys::*;
use proptest::prelude::*;

/// A call. Sessions and objects are numbers of those that were made; what is beyond them is a handle that never was.
#[derive(Debug, Clone)]
pub enum Call {
    Open {
        writes: bool,
    },
    Close(usize),
    Info(usize),
    Login {
        session: usize,
        pin: bool,
    },
    Logout(usize),
    GenerateAes {
        session: usize,
        token: bool,
        length: u8,
        sensitive: bool,
    },
    GeneratePair {
        session: usize,
    },
    CreateData {
        session: usize,
        token: bool,
        private: bool,
    },
    Destroy {
        session: usize,
        object: usize,
    },
    Get {
        session: usize,
        object: usize,
        attribute: usize,
        room: Option<u8>,
    },
    Set {
        session: usize,
        object: usize,
        attribute: usize,
        yes: bool,
    },
    FindInit(usize),
    Find(usize),
    FindFinal(usize),
    Init {
        session: usize,
        what: What,
        mechanism: usize,
        object: usize,
    },
    Whole {
        session: usize,
        what: What,
        length: u8,
        room: Option<u8>,
    },
    Update {
        session: usize,
        what: What,
        length: u8,
        room: Option<u8>,
    },
    Final {
        session: usize,
        what: What,
        room: Option<u8>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum What {
    Encrypt,
    Decrypt,
    Digest,
    Sign,
    Verify,
}

pub const ATTRIBUTES: [CK_ATTRIBUTE_TYPE; 12] = [
    CKA_CLASS,
    CKA_TOKEN,
    CKA_PRIVATE,
    CKA_LABEL,
    CKA_SENSITIVE,
    CKA_EXTRACTABLE,
    CKA_ALWAYS_SENSITIVE,
    CKA_NEVER_EXTRACTABLE,
    CKA_LOCAL,
    CKA_VALUE,
    CKA_ENCRYPT,
    CKA_MODULUS,
];

pub fn mechanisms(what: What) -> &'static [CK_MECHANISM_TYPE] {
    match what {
        What::Encrypt | What::Decrypt => &[CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_AES_ECB, CKM_SHA256],
        What::Digest => &[CKM_SHA256, CKM_SHA512, CKM_SHA_1, CKM_AES_CBC],
        What::Sign | What::Verify => &[CKM_AES_CMAC, CKM_ECDSA, CKM_SHA256_HMAC, CKM_SHA256],
    }
}

/// Calls with operations of one kind: SoftHSM has one operation in a session, whatever its kind.
pub fn calls() -> impl Strategy<Value = Vec<Call>> {
    let kinds = [
        What::Encrypt,
        What::Decrypt,
        What::Digest,
        What::Sign,
        What::Verify,
    ];
    let kind = proptest::sample::select(kinds.to_vec());
    kind.prop_flat_map(|what| proptest::collection::vec(call(what), 1..60))
}

fn call(what: What) -> impl Strategy<Value = Call> {
    let what = move || Just(what);
    let session = || 0_usize..3;
    let object = || 0_usize..5;
    let room = || proptest::option::weighted(0.8, prop_oneof![Just(255_u8), any::<u8>()]);
    prop_oneof![
        2 => any::<bool>().prop_map(|writes| Call::Open { writes }),
        1 => session().prop_map(Call::Close),
        1 => session().prop_map(Call::Info),
        3 => (session(), prop::bool::weighted(0.8)).prop_map(|(session, pin)| Call::Login { session, pin }),
        1 => session().prop_map(Call::Logout),
        4 => (session(), any::<bool>(), prop_oneof![4 => Just(16_u8), 1 => Just(17)], any::<bool>())
            .prop_map(|(session, token, length, sensitive)| Call::GenerateAes { session, token, length, sensitive }),
        2 => session().prop_map(|session| Call::GeneratePair { session }),
        2 => (session(), any::<bool>(), any::<bool>()).prop_map(|(session, token, private)| Call::CreateData { session, token, private }),
        1 => (session(), object()).prop_map(|(session, object)| Call::Destroy { session, object }),
        5 => (session(), object(), 0..ATTRIBUTES.len(), room()).prop_map(|(session, object, attribute, room)| Call::Get { session, object, attribute, room }),
        2 => (session(), object(), 0..ATTRIBUTES.len(), any::<bool>()).prop_map(|(session, object, attribute, yes)| Call::Set { session, object, attribute, yes }),
        1 => session().prop_map(Call::FindInit),
        2 => session().prop_map(Call::Find),
        1 => session().prop_map(Call::FindFinal),
        8 => (session(), what(), 0_usize..4, object()).prop_map(|(session, what, mechanism, object)| Call::Init { session, what, mechanism, object }),
        4 => (session(), what(), 0_u8..65, room()).prop_map(|(session, what, length, room)| Call::Whole { session, what, length, room }),
        4 => (session(), what(), 0_u8..65, room()).prop_map(|(session, what, length, room)| Call::Update { session, what, length, room }),
        4 => (session(), what(), room()).prop_map(|(session, what, room)| Call::Final { session, what, room }),
    ]
}
