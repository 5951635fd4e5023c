//! What a domain allows of mechanisms, and legacy ones, which it has to allow first.

use strongroom_wire::audit::Act;
use strongroom_wire::key::{Algorithm, Right};
use strongroom_wire::operation::{Mechanism, Operation, OperationResult, SignatureEncoding};
use strongroom_wire::policy::{DomainPolicy, PreviewQuery, Verdict};
use strongroom_wire::problem::Code;

use super::restricting::{code, only};
use super::{decrypting, encrypting, key_for, operate, records, signing, verifying};
use crate::house::{House, Person};
use crate::policies::{allow_legacy, set_domain};

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "everybody_learns_what_the_domain_allows",
        everybody_learns_what_the_domain_allows,
    ),
    (
        "legacy_mechanisms_wait_for_the_domain_to_allow_them",
        legacy_mechanisms_wait_for_the_domain_to_allow_them,
    ),
];

fn everybody_learns_what_the_domain_allows() {
    use Mechanism::{Ecdsa, EcdsaSha256, RsaPkcs1};
    let house = House::new("allowed mechanisms");
    let alice = house.person("alice");
    let allowed = || {
        let allowed = house.keystore.allowed_mechanisms(&alice.presented);
        allowed.unwrap().mechanisms
    };
    let (legacy, usual) = Mechanism::ALL
        .iter()
        .copied()
        .partition::<Vec<_>, _>(|mechanism| mechanism.is_legacy());
    assert_eq!(allowed(), usual);
    allow_legacy(&house, &legacy);
    assert_eq!(allowed(), Mechanism::ALL);
    set_domain(&house, only(&[RsaPkcs1, EcdsaSha256, Ecdsa, EcdsaSha256]));
    assert_eq!(allowed(), [Ecdsa, EcdsaSha256, RsaPkcs1]);
    // To learn the rest of the policy takes a role.
    let policy = house.keystore.domain_policy(&alice.presented);
    assert_eq!(policy.unwrap_err().error.code(), Code::NotPermitted);
    // Keys that can be put to no use are made all the same: policies change.
    let key = key_for(&house, &alice, Algorithm::Ed25519).id;
    let signed = operate(&house, &alice, key, signing(Mechanism::Ed25519));
    assert_eq!(code(signed), Some(Code::MechanismRefused));
}

fn legacy_mechanisms_wait_for_the_domain_to_allow_them() {
    use Mechanism::{EcdsaSha1, RsaPkcs1Sha1, RsaRaw};
    let house = House::new("legacy mechanisms");
    let alice = house.person("alice");
    let rsa = key_for(&house, &alice, Algorithm::Rsa2048).id;
    let elliptic = key_for(&house, &alice, Algorithm::EcP256).id;
    let raw = || Operation::Sign {
        mechanism: RsaRaw,
        data: b"message".as_slice().into(),
        prehashed: true,
        encoding: SignatureEncoding::Der,
        salt_length: None,
    };
    let refused = Some(Code::MechanismRefused);
    let tries = |key, operation| code(operate(&house, &alice, key, operation));
    assert_eq!(tries(rsa, raw()), refused);
    assert_eq!(tries(rsa, encrypting(RsaRaw)), refused);
    assert_eq!(tries(rsa, signing(RsaPkcs1Sha1)), refused);
    assert_eq!(tries(rsa, verifying(RsaPkcs1Sha1, b"")), refused);
    assert_eq!(tries(elliptic, signing(EcdsaSha1)), refused);
    let leaf = &records(&house, &alice)[0];
    assert_eq!((leaf.act, leaf.done), (Act::KeySign, false));
    assert_eq!(
        leaf.note.as_deref(),
        Some("mechanism-refused policy:domain:legacy-mechanisms ecdsa-sha-1")
    );
    // Who may not set the policy does not; and what is none is not named so.
    let policy = |mechanisms: &[Mechanism]| DomainPolicy {
        legacy_mechanisms: mechanisms.to_vec(),
        ..DomainPolicy::default()
    };
    let set = |who: &Person, policy| {
        code(
            house
                .keystore
                .set_domain_policy(&who.presented, policy)
                .map_err(|refusal| refusal.error),
        )
    };
    assert_eq!(set(&alice, policy(&[RsaRaw])), Some(Code::NotPermitted));
    let not_legacy = policy(&[RsaRaw, Mechanism::RsaPkcs1]);
    assert_eq!(set(&house.admin, not_legacy), Some(Code::Invalid));
    assert_eq!(tries(rsa, raw()), refused);

    assert_eq!(set(&house.admin, policy(&[RsaRaw, RsaPkcs1Sha1])), None);
    assert_eq!(tries(rsa, raw()), None);
    let sealed = operate(&house, &alice, rsa, encrypting(RsaRaw)).unwrap();
    let opened = operate(&house, &alice, rsa, decrypting(RsaRaw, &sealed)).unwrap();
    let data = [&[0; 240][..], b"sixteen bytes..."].concat().into();
    assert_eq!(opened, OperationResult::Plaintext { data });
    assert_eq!(tries(rsa, signing(RsaPkcs1Sha1)), None);
    assert_eq!(tries(elliptic, signing(EcdsaSha1)), refused);
    // The policies of keys forbid it as they forbid any other.
    let strict = only(&[Mechanism::RsaPkcs1Sha256]);
    house
        .keystore
        .change_key_policy(&alice.presented, rsa, strict)
        .unwrap();
    assert_eq!(tries(rsa, raw()), refused);
    // A preview says who forbids it.
    let preview = |mechanism| {
        let query = PreviewQuery {
            right: Some(Right::Sign),
            mechanism: Some(mechanism),
            ..PreviewQuery::default()
        };
        let preview = house.keystore.preview(&alice.presented, elliptic, query);
        let preview = preview.unwrap();
        (preview.verdict, preview.decided_by)
    };
    let by_domain = Some("policy:domain:legacy-mechanisms".to_owned());
    assert_eq!(preview(EcdsaSha1), (Verdict::Refused, by_domain));
    assert_eq!(preview(Mechanism::EcdsaSha256), (Verdict::Allowed, None));
    allow_legacy(&house, &[]);
    assert_eq!(tries(rsa, signing(RsaPkcs1Sha1)), refused);
}
