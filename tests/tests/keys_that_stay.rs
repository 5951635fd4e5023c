//! The token of the PKCS#11 module over a real appliance, with keys that stay there: what it signs, opens, wraps and derives is what the
//! standard, `openssl`, SoftHSM and the module's own cryptography say.

mod agreement;
mod ciphers;
mod crossing;
mod newer;
mod signatures;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::token;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism as Theirs;
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use cryptoki_sys::*;
use strongroom_pkcs11::mechanism::{Hash, Iv, Mechanism, Parameter, software};
use strongroom_pkcs11::object::Attributes;
use strongroom_pkcs11::token::{
    Input, ObjectRecord, Outcome, RequestId, Token, TokenErrorKind, Use,
};
use strongroom_tests::{Appliance, legacy};
use strongroom_wire::operation::Mechanism as Wire;
use strongroom_wire::policy::{ChangedDomainPolicy, DomainPolicy};
use tempfile::TempDir;
use uuid::Uuid;

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
/// NIST CAVP, KAS ECC CDH on P-256, count 0: the private key, the other's point, the secret.
const OWN: &str = "7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534";
const THEIRS: &str = "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287\
                      db71e509e3fd9b060ddb20ba5c51dcc5948d46fbf640dfe0441782cab85fa4ac";
const AGREED: &str = "46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b";

/// A token that is signed in by itself.
struct House {
    appliance: Appliance,
    token: Arc<dyn Token>,
    _folder: TempDir,
}

impl House {
    fn new() -> Self {
        Self::with_legacy(&[])
    }

    /// Of a domain whose policy allows these legacy mechanisms.
    fn with_legacy(mechanisms: &[Wire]) -> Self {
        let appliance = Appliance::start();
        let mut admin = appliance.administrator();
        let policy = DomainPolicy {
            legacy_mechanisms: mechanisms.to_vec(),
            ..DomainPolicy::default()
        };
        let _: ChangedDomainPolicy = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
        let service = legacy::service(&mut admin, "web");
        let (token, folder) = token::of(&appliance, &service);
        Self {
            appliance,
            token,
            _folder: folder,
        }
    }

    fn secret(&self, key_type: CK_KEY_TYPE, length: CK_ULONG, extractable: bool) -> ObjectRecord {
        let attributes = secret(key_type, Some(length), extractable);
        let mechanism = Mechanism::plain(CKM_AES_KEY_GEN).unwrap();
        let made = self.token.generate_key(request(), &mechanism, &attributes);
        made.unwrap().value
    }

    fn pair(&self, kind: CK_MECHANISM_TYPE, public: Attributes) -> (ObjectRecord, ObjectRecord) {
        let mut public = public;
        public.set_number(CKA_CLASS, CKO_PUBLIC_KEY);
        let key_type = public.number(CKA_KEY_TYPE).unwrap();
        let private = private(key_type, true);
        let mechanism = Mechanism::plain(kind).unwrap();
        let made = self
            .token
            .generate_key_pair(request(), &mechanism, &public, &private);
        made.unwrap().value
    }

    fn rsa(&self) -> (ObjectRecord, ObjectRecord) {
        let mut public = Attributes::new();
        public.set_number(CKA_KEY_TYPE, CKK_RSA);
        public.set_number(CKA_MODULUS_BITS, 2048);
        self.pair(CKM_RSA_PKCS_KEY_PAIR_GEN, public)
    }

    fn operate(
        &self,
        key: &ObjectRecord,
        what: Use,
        mechanism: &Mechanism,
        data: &[u8],
    ) -> Result<Vec<u8>, TokenErrorKind> {
        let done = self
            .token
            .operate(key.id, what, mechanism, Input::Data(data));
        done.map(|answer| answer.value.to_vec())
            .map_err(|error| error.kind)
    }

    fn released(&self, key: &ObjectRecord) -> Vec<u8> {
        self.token.release(key.id).unwrap().value.material.to_vec()
    }
}

fn request() -> RequestId {
    RequestId(Uuid::now_v7())
}

fn of(kind: CK_MECHANISM_TYPE, parameter: Parameter) -> Mechanism {
    Mechanism {
        parameter,
        ..Mechanism::plain(kind).unwrap()
    }
}

fn secret(key_type: CK_KEY_TYPE, length: Option<CK_ULONG>, extractable: bool) -> Attributes {
    let mut attributes = Attributes::new();
    attributes.set_number(CKA_CLASS, CKO_SECRET_KEY);
    attributes.set_number(CKA_KEY_TYPE, key_type);
    if let Some(length) = length {
        attributes.set_number(CKA_VALUE_LEN, length);
    }
    for attribute in [
        CKA_ENCRYPT,
        CKA_DECRYPT,
        CKA_SIGN,
        CKA_VERIFY,
        CKA_WRAP,
        CKA_UNWRAP,
        CKA_DERIVE,
        CKA_TOKEN,
    ] {
        attributes.set_bool(attribute, true);
    }
    attributes.set_bool(CKA_EXTRACTABLE, extractable);
    attributes
}

fn private(key_type: CK_KEY_TYPE, extractable: bool) -> Attributes {
    let mut attributes = secret(key_type, None, extractable);
    attributes.set_number(CKA_CLASS, CKO_PRIVATE_KEY);
    attributes
}

fn ecdh(kdf: Option<Hash>, shared: &[u8]) -> Mechanism {
    let parameter = Parameter::Ecdh {
        kdf,
        shared: shared.to_vec(),
        public: hex::decode(THEIRS).unwrap(),
    };
    of(CKM_ECDH1_DERIVE, parameter)
}

const MESSAGE: &[u8] = b"the message";

fn openssl(folder: &Path, words: &[&str]) -> bool {
    let output = Command::new("openssl")
        .current_dir(folder)
        .args(words)
        .output()
        .unwrap();
    output.status.success()
}
