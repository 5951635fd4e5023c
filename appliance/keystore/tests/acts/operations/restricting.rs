//! What restricts operations besides rights: mechanisms, a sign-in for each use, and what owners make stricter for good.

use rusqlite::Connection;
use strongroom_keystore::Error;
use strongroom_wire::audit::Act;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{
    AUTHENTICATED_FOR, Algorithm, CreateKeys, Key, NewKey, Releasable, Right, TightenKey,
    UsagePolicy,
};
use strongroom_wire::object::{ObjectPart, ObjectQuery};
use strongroom_wire::operation::{Mechanism, Operate, Operation};
use strongroom_wire::policy::{DomainPolicy, PreviewQuery, Verdict};
use strongroom_wire::problem::Code;

use super::{
    decrypting, encrypting, key_for, macking, make, operate, records, share, signature_of, signing,
    verifying,
};
use crate::house::{House, PASSWORD, Person, step_up};
use crate::policies::{of, set_domain};
use crate::signers::device;

pub(crate) const TRIALS: &[(&str, fn())] = &[
    (
        "mechanisms_are_restricted_at_each_level",
        mechanisms_are_restricted_at_each_level,
    ),
    (
        "a_preview_knows_mechanisms_and_sign_ins",
        a_preview_knows_mechanisms_and_sign_ins,
    ),
    (
        "each_use_wants_a_sign_in_where_that_is_said",
        each_use_wants_a_sign_in_where_that_is_said,
    ),
    (
        "a_signed_request_is_a_sign_in",
        a_signed_request_is_a_sign_in,
    ),
    (
        "restrictions_only_ever_get_stricter",
        restrictions_only_ever_get_stricter,
    ),
    (
        "a_key_gets_to_want_a_sign_in_for_each_use",
        a_key_gets_to_want_a_sign_in_for_each_use,
    ),
    (
        "an_edited_restriction_is_found",
        an_edited_restriction_is_found,
    ),
];

pub(super) fn only(mechanisms: &[Mechanism]) -> UsagePolicy {
    of(|policy| policy.mechanisms = Some(mechanisms.to_vec()))
}

pub(super) fn code(outcome: Result<impl Sized, Error>) -> Option<Code> {
    outcome.err().map(|error| error.code())
}

fn tighten(house: &House, who: &Person, key: KeyId, request: TightenKey) -> Result<Key, Error> {
    let tightened = house.keystore.tighten(&who.presented, key, request);
    tightened
        .map(|changed| changed.key)
        .map_err(|refusal| refusal.error)
}

/// That its material goes where it did, or no more.
fn releasable(releasable: Releasable) -> TightenKey {
    TightenKey {
        releasable: Some(releasable),
        ..TightenKey::default()
    }
}

/// Whether each use wants a sign-in.
fn each(each: bool) -> TightenKey {
    TightenKey {
        authenticate_each: Some(each),
        ..TightenKey::default()
    }
}

fn mechanisms_are_restricted_at_each_level() {
    use Mechanism::{AesCbcPad, AesCtr, AesGcm};
    let house = House::new("mechanisms");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let new = NewKey {
        policy: only(&[AesGcm, AesCtr]),
        ..NewKey::new(Algorithm::Aes256)
    };
    let key = make(&house, &alice, new).unwrap();
    assert_eq!(key.policy, Some(only(&[AesGcm, AesCtr])));
    let key = key.id;
    let encrypts = |who: &Person, mechanism| code(operate(&house, who, key, encrypting(mechanism)));
    assert_eq!(encrypts(&alice, AesGcm), None);
    assert_eq!(encrypts(&alice, AesCtr), None);
    assert_eq!(encrypts(&alice, AesCbcPad), Some(Code::MechanismRefused));
    let leaf = &records(&house, &alice)[0];
    assert_eq!((leaf.act, leaf.done), (Act::KeyEncrypt, false));
    let note = leaf.note.as_deref().unwrap();
    assert_eq!(note, "mechanism-refused policy:key:mechanisms aes-cbc-pad",);
    // A grant's may only restrict further.
    let grant = strongroom_wire::key::ShareKey {
        grantee: "bob".to_owned(),
        rights: Some(vec![Right::Encrypt, Right::Decrypt]),
        policy: only(&[AesGcm, AesCbcPad]),
    };
    house.keystore.share(&alice.presented, key, grant).unwrap();
    assert_eq!(encrypts(&bob, AesGcm), None);
    assert_eq!(encrypts(&bob, AesCtr), Some(Code::MechanismRefused));
    assert_eq!(encrypts(&bob, AesCbcPad), Some(Code::MechanismRefused));
    // What was made by a mechanism is not undone by another, either.
    let made = operate(&house, &alice, key, encrypting(AesGcm)).unwrap();
    set_domain(&house, only(&[AesCtr, AesCbcPad]));
    assert_eq!(encrypts(&alice, AesGcm), Some(Code::MechanismRefused));
    assert_eq!(encrypts(&bob, AesGcm), Some(Code::MechanismRefused));
    assert_eq!(encrypts(&alice, AesCtr), None);
    let opened = operate(&house, &alice, key, decrypting(AesGcm, &made));
    assert_eq!(code(opened), Some(Code::MechanismRefused));
    // Whether the material is released is for other rules.
    assert_eq!(house.release(&alice, key).unwrap().len(), 32);
    set_domain(&house, UsagePolicy::default());
    assert_eq!(encrypts(&bob, AesGcm), None);
    let nothing = house
        .keystore
        .change_key_policy(&alice.presented, key, only(&[]));
    assert_eq!(nothing.unwrap_err().error.code(), Code::Invalid);
}

fn a_preview_knows_mechanisms_and_sign_ins() {
    let house = House::new("restricted previews");
    let alice = house.person("alice");
    let new = NewKey {
        policy: only(&[Mechanism::EcdsaSha256]),
        releasable: Releasable::Never,
        authenticate_each: true,
        ..NewKey::new(Algorithm::EcP256)
    };
    let key = make(&house, &alice, new).unwrap().id;
    let preview = |right, mechanism| {
        let query = PreviewQuery {
            right: Some(right),
            mechanism,
            ..PreviewQuery::default()
        };
        let preview = house.keystore.preview(&alice.presented, key, query);
        let preview = preview.unwrap();
        (preview.verdict, preview.code, preview.decided_by)
    };
    let depends = |by: &str| (Verdict::Depends, None, Some(by.to_owned()));
    let sign = |mechanism| preview(Right::Sign, mechanism);
    assert_eq!(sign(None), depends("policy:key:mechanisms"));
    let (verdict, code, by) = sign(Some(Mechanism::Ecdsa));
    assert_eq!(
        (verdict, code, by.as_deref()),
        (
            Verdict::Refused,
            Some(Code::MechanismRefused),
            Some("policy:key:mechanisms")
        )
    );
    let allowed = (Verdict::Allowed, None, None);
    assert_eq!(sign(Some(Mechanism::EcdsaSha256)), allowed);
    house.clock.advance(AUTHENTICATED_FOR.into());
    assert_eq!(
        sign(Some(Mechanism::EcdsaSha256)),
        depends("key:authenticate-each")
    );
    // Of the public key everybody may make use.
    assert_eq!(
        preview(Right::Verify, Some(Mechanism::EcdsaSha256)),
        allowed
    );
}

fn each_use_wants_a_sign_in_where_that_is_said() {
    let house = House::new("authenticated");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let with = |algorithm| NewKey {
        releasable: Releasable::Never,
        authenticate_each: true,
        ..NewKey::new(algorithm)
    };
    let pair = make(&house, &alice, with(Algorithm::EcP256)).unwrap();
    assert!(pair.authenticate_each);
    let pair = pair.id;
    share(&house, &alice, pair, &bob, &[Right::Sign, Right::Verify]);
    let sign = |who: &Person| operate(&house, who, pair, signing(Mechanism::EcdsaSha256));
    let signature = signature_of(sign(&alice).unwrap());
    sign(&bob).unwrap();
    house.clock.advance(u64::from(AUTHENTICATED_FOR) - 1);
    sign(&alice).unwrap();
    house.clock.advance(1);
    for who in [&alice, &bob] {
        assert!(matches!(
            sign(who),
            Err(Error::StepUpRequired(AUTHENTICATED_FOR))
        ));
        let leaf = &records(&house, who)[0];
        assert_eq!((leaf.act, leaf.done), (Act::KeySign, false));
        let note = leaf.note.as_deref().unwrap();
        assert!(note.starts_with("step-up-required"), "{note}");
    }
    // The public key needs none.
    let verify = verifying(Mechanism::EcdsaSha256, &signature);
    operate(&house, &bob, pair, verify).unwrap();
    // Whoever signs in again may go on for a moment, and nobody else.
    step_up(&house.keystore, &bob, PASSWORD).unwrap().unwrap();
    sign(&bob).unwrap();
    assert_eq!(code(sign(&alice)), Some(Code::StepUpRequired));
    house.clock.advance(AUTHENTICATED_FOR.into());
    assert_eq!(code(sign(&bob)), Some(Code::StepUpRequired));

    // Of a secret key all uses do, and each of many.
    let secret = make(&house, &alice, with(Algorithm::Aes256)).unwrap().id;
    let mac = make(&house, &alice, with(Algorithm::HmacSha256))
        .unwrap()
        .id;
    let plain = key_for(&house, &alice, Algorithm::HmacSha256).id;
    let outcomes = |house: &House| {
        let one = |key, operation| strongroom_wire::operation::KeyOperation {
            key,
            operation,
            version: None,
        };
        let request = strongroom_wire::operation::OperateMany {
            operations: vec![
                one(secret, encrypting(Mechanism::AesGcm)),
                one(plain, macking()),
                one(mac, macking()),
            ],
        };
        let done = house.keystore.operate_many(&alice.presented, request);
        let refused = done
            .unwrap()
            .operations
            .into_iter()
            .map(|outcome| match outcome {
                strongroom_wire::operation::OperationOutcome::Done(_) => None,
                strongroom_wire::operation::OperationOutcome::Refused(problem) => {
                    Some(problem.code)
                }
            });
        refused.collect::<Vec<_>>()
    };
    let wanted = Some(Code::StepUpRequired);
    assert_eq!(outcomes(&house), [wanted, None, wanted]);
    step_up(&house.keystore, &alice, PASSWORD).unwrap().unwrap();
    assert_eq!(outcomes(&house), [None, None, None]);

    // Released it would be used without anybody's being asked.
    for releasable in [Releasable::ByPolicy, Releasable::NoMore] {
        let new = NewKey {
            releasable,
            ..with(Algorithm::Aes256)
        };
        assert_eq!(code(make(&house, &alice, new)), Some(Code::Invalid));
    }
    // What it is stays with its versions.
    let rotated = house.keystore.rotate(&alice.presented, pair).unwrap().key;
    assert!(rotated.authenticate_each);
    house.clock.advance(AUTHENTICATED_FOR.into());
    assert_eq!(code(sign(&alice)), Some(Code::StepUpRequired));
}

fn a_signed_request_is_a_sign_in() {
    let house = House::new("signed uses");
    let device = device(&house, "SN-1");
    let signed = || device.admitted(&house).unwrap().presented;
    let request = CreateKeys {
        keys: vec![NewKey {
            releasable: Releasable::Never,
            authenticate_each: true,
            ..NewKey::new(Algorithm::EcP256)
        }],
        release: false,
    };
    let made = house.keystore.create_keys(&signed(), request).unwrap();
    let key = made.keys[0].key.id;
    for _ in 0..3 {
        house.clock.advance(3600);
        let request = Operate {
            operation: signing(Mechanism::EcdsaSha256),
            version: None,
        };
        house.keystore.operate(&signed(), key, request).unwrap();
    }
}

fn restrictions_only_ever_get_stricter() {
    let house = House::new("tightened");
    let [alice, bob] = ["alice", "bob"].map(|name| house.person(name));
    let (key, material) = house.key(&alice, &[&bob]);
    let refused = |request| code(tighten(&house, &alice, key, request)).unwrap();
    assert_eq!(refused(TightenKey::default()), Code::Invalid);
    assert_eq!(refused(each(true)), Code::Conflict, "it is released");
    assert_eq!(
        refused(releasable(Releasable::Never)),
        Code::Conflict,
        "it may have been"
    );
    tighten(&house, &alice, key, releasable(Releasable::ByPolicy)).unwrap();
    tighten(&house, &alice, key, each(false)).unwrap();
    assert_eq!(house.release(&bob, key).unwrap(), material);
    // By its owner alone.
    share_all(&house, &alice, key);
    let carol = crate::house::sign_in(&house.keystore, "carol", PASSWORD).unwrap();
    let not = code(tighten(&house, &carol, key, releasable(Releasable::NoMore)));
    assert_eq!(not, Some(Code::NotPermitted));
    assert_eq!(house.release(&carol, key).unwrap(), material);

    let state = |who: &Person| {
        let query = ObjectQuery {
            limit: Some(0),
            ..ObjectQuery::default()
        };
        house
            .keystore
            .objects(&who.presented, query)
            .unwrap()
            .change
    };
    let before = state(&bob);
    let key_then = tighten(&house, &alice, key, releasable(Releasable::NoMore)).unwrap();
    assert_eq!(key_then.releasable, Releasable::NoMore);
    assert!(key_then.policy.unwrap().operations_only);
    assert!(state(&bob) > before, "who has it is told");
    let leaf = &records(&house, &alice)[0];
    assert_eq!((leaf.act, leaf.done), (Act::KeyTighten, true));
    assert_eq!(leaf.note.as_deref(), Some(r#"{"releasable":"no-more"}"#));
    for who in [&alice, &bob, &carol] {
        assert_eq!(code(house.release(who, key)), Some(Code::PolicyRefused));
    }
    operate(&house, &alice, key, encrypting(Mechanism::AesGcm)).unwrap();
    let kek = key_for(&house, &alice, Algorithm::Aes256).id;
    let wrap = Operation::Wrap {
        mechanism: Mechanism::AesKwp,
        key,
        version: None,
        iv: None,
        associated_data: None,
    };
    let wrapped = operate(&house, &alice, kek, wrap);
    assert_eq!(code(wrapped), Some(Code::PolicyRefused));
    // Nobody takes it back, neither so nor by a policy.
    assert_eq!(refused(releasable(Releasable::ByPolicy)), Code::Conflict);
    assert_eq!(refused(releasable(Releasable::Never)), Code::Conflict);
    let policy = house
        .keystore
        .change_key_policy(&alice.presented, key, UsagePolicy::default());
    assert_eq!(policy.unwrap_err().error.code(), Code::Conflict);
    tighten(&house, &alice, key, releasable(Releasable::NoMore)).unwrap();
    house.keystore.rotate(&alice.presented, key).unwrap();
    assert_eq!(code(house.release(&alice, key)), Some(Code::PolicyRefused));
    // A later grant gives what the others have left.
    let dave = house.person("dave");
    share(
        &house,
        &alice,
        key,
        &dave,
        &[Right::Release, Right::Encrypt],
    );
    assert_eq!(code(house.release(&dave, key)), Some(Code::PolicyRefused));
}

fn a_key_gets_to_want_a_sign_in_for_each_use() {
    let house = House::new("tightened uses");
    let alice = house.person("alice");
    let (key, _) = house.key(&alice, &[]);
    let refused = |request| code(tighten(&house, &alice, key, request)).unwrap();
    let both = TightenKey {
        authenticate_each: Some(true),
        ..releasable(Releasable::NoMore)
    };
    assert!(
        tighten(&house, &alice, key, both)
            .unwrap()
            .authenticate_each
    );
    assert_eq!(refused(each(false)), Code::Conflict);
    house.clock.advance(AUTHENTICATED_FOR.into());
    let used = operate(&house, &alice, key, encrypting(Mechanism::AesGcm));
    assert_eq!(code(used), Some(Code::StepUpRequired));
    // Of a key that never was released it can be said, and that it is no-more changes nothing.
    let new = NewKey {
        releasable: Releasable::Never,
        ..NewKey::new(Algorithm::EcP256)
    };
    let never = make(&house, &alice, new).unwrap().id;
    let still = tighten(&house, &alice, never, releasable(Releasable::NoMore)).unwrap();
    assert_eq!(still.releasable, Releasable::Never);
    let both = TightenKey {
        releasable: Some(Releasable::Never),
        authenticate_each: Some(true),
    };
    assert!(
        tighten(&house, &alice, never, both)
            .unwrap()
            .authenticate_each
    );
    // As with policies, where the domain wants a recent sign-in for that.
    let policy = DomainPolicy {
        step_up_within: 60,
        ..DomainPolicy::default()
    };
    let admin = crate::house::sign_in(&house.keystore, "admin@example.com", PASSWORD).unwrap();
    house
        .keystore
        .set_domain_policy(&admin.presented, policy)
        .unwrap();
    house.clock.advance(60);
    assert_eq!(
        refused(releasable(Releasable::NoMore)),
        Code::StepUpRequired
    );
}

/// Shares the key with carol, with every right.
fn share_all(house: &House, owner: &Person, key: KeyId) {
    let carol = house.person("carol");
    share(house, owner, key, &carol, &Right::ALL);
}

fn an_edited_restriction_is_found() {
    let house = House::new("edited restrictions");
    let alice = house.person("alice");
    let new = NewKey {
        policy: only(&[Mechanism::EcdsaSha256]),
        releasable: Releasable::Never,
        authenticate_each: true,
        ..NewKey::new(Algorithm::EcP256)
    };
    let key = make(&house, &alice, new).unwrap().id;
    house.clock.advance(AUTHENTICATED_FOR.into());
    for edit in [
        "authenticate_each = 0",
        "authenticate_each = 2",
        "releasable = 1",
        "releasable = 3",
        "restrictions = NULL",
        // The same without the mechanisms.
        "restrictions = CAST(x'87' || substr(restrictions, 2, 6) AS BLOB)",
    ] {
        let database = Connection::open(house.database()).unwrap();
        let row = |sql: &str| database.execute(sql, [key.as_bytes()]).unwrap();
        let keep = "CREATE TABLE kept AS SELECT * FROM keys WHERE id = ?1";
        row(keep);
        assert_eq!(row(&format!("UPDATE keys SET {edit} WHERE id = ?1")), 1);
        let signed = operate(&house, &alice, key, signing(Mechanism::EcdsaSha256));
        assert_eq!(code(signed), Some(Code::IntegrityFailure), "{edit}");
        let shown = house
            .keystore
            .objects(&alice.presented, ObjectQuery::default());
        assert!(shown.unwrap().objects.is_empty(), "{edit}");
        let back = "UPDATE keys SET (authenticate_each, releasable, restrictions) = \
             (SELECT authenticate_each, releasable, restrictions FROM kept) WHERE id = ?1";
        assert_eq!(row(back), 1);
        database.execute("DROP TABLE kept", []).unwrap();
    }
    let whole = house.keystore.object(
        &alice.presented,
        strongroom_wire::id::ObjectId::from_bytes(*key.as_bytes()),
        ObjectPart::Private,
    );
    assert!(whole.unwrap().object.key.unwrap().authenticate_each);
}
