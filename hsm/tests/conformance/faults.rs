//! What every backend must do when its HSM refuses, restarts or goes away: functions over a [`Rig`], which does that to an HSM of
//! its own, initialised and without keys.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use strongroom_hsm::{
    Hsm, HsmError,
    supervised::{Backend, Supervised, SupervisedConfig},
};

use super::{id, random_key};

pub(crate) type Case = (&'static str, fn(&dyn Rig));

pub(crate) const CASES: &[Case] = &[
    ("a_wrong_pin_is_named", a_wrong_pin_is_named),
    ("a_locked_pin_is_named", a_locked_pin_is_named),
    ("lost_sessions_are_replaced", lost_sessions_are_replaced),
    ("a_removed_hsm_comes_back", a_removed_hsm_comes_back),
];

/// An HSM, and what can happen to it.
pub(crate) trait Rig {
    /// The PIN or password that it takes.
    fn pin(&self) -> &'static str;

    /// Opens it as the appliance does.
    fn opener(
        &self,
        pin: &'static str,
    ) -> Box<dyn Fn() -> Result<Arc<dyn Hsm>, HsmError> + Send + Sync>;

    /// How messages name it.
    fn name(&self) -> String;

    /// Offers wrong PINs until it locks; false for one that never does.
    fn lock(&self) -> bool;

    /// Ends all sessions, as when it restarts.
    fn lose_sessions(&self);

    fn take_away(&self);

    fn bring_back(&self);
}

fn a_wrong_pin_is_named(rig: &dyn Rig) {
    let Err(error) = rig.opener("wrong-horse-1")() else {
        panic!("it was opened with a wrong PIN");
    };
    assert!(
        matches!(
            error,
            HsmError::PinIncorrect { .. } | HsmError::AuthKeyRefused { .. }
        ),
        "{error:?}"
    );
    let sentence = error.to_string();
    assert!(sentence.contains(&rig.name()), "{sentence}");
    assert!(!sentence.contains("horse"), "{sentence}");
    assert!(!error.is_transient());
    let hsm = rig.opener(rig.pin())().unwrap();
    hsm.generate_master_kek(&id("default", 1)).unwrap();
}

fn a_locked_pin_is_named(rig: &dyn Rig) {
    if !rig.lock() {
        return;
    }
    let Err(error) = rig.opener(rig.pin())() else {
        panic!("it was opened with a locked PIN");
    };
    assert!(matches!(error, HsmError::PinLocked { .. }), "{error:?}");
    let sentence = error.to_string();
    assert!(
        sentence.contains(&rig.name()) && sentence.contains("CKR_PIN_LOCKED"),
        "{sentence}"
    );
}

fn lost_sessions_are_replaced(rig: &dyn Rig) {
    let hsm = rig.opener(rig.pin())().unwrap();
    let kek = id("default", 1);
    hsm.generate_master_kek(&kek).unwrap();
    let public = hsm.generate_signing_key("checkpoint").unwrap();
    let key = random_key(&*hsm);
    let wrapped = hsm.wrap(&kek, &key).unwrap();
    let calls: [&dyn Fn(); 7] = [
        &|| drop(hsm.wrap(&kek, &key).unwrap()),
        &|| {
            let unwrapped = hsm.unwrap("default", &wrapped).unwrap();
            assert_eq!(unwrapped.as_bytes(), key.as_bytes());
        },
        &|| assert_eq!(hsm.sign("checkpoint", b"message").unwrap().len(), 64),
        &|| assert_eq!(hsm.signing_public_key("checkpoint").unwrap(), public),
        &|| hsm.fill_random(&mut [0; 32]).unwrap(),
        &|| assert_eq!(hsm.master_kek_versions("default").unwrap(), [1]),
        &|| drop(hsm.token_info().unwrap()),
    ];
    for call in calls {
        rig.lose_sessions();
        call();
    }
}

/// The appliance has 10 seconds to notice that it is back.
fn a_removed_hsm_comes_back(rig: &dyn Rig) {
    const PATIENCE: Duration = Duration::from_secs(10);
    let backend = Backend {
        name: "the HSM under test".to_owned(),
        open: rig.opener(rig.pin()).into(),
    };
    let hsm =
        Supervised::start(vec![backend], SupervisedConfig::default(), Arc::new(|_| {})).unwrap();
    assert!(hsm.wait_until_usable(PATIENCE));
    let kek = id("default", 1);
    hsm.generate_master_kek(&kek).unwrap();
    let key = random_key(&hsm);
    let wrapped = hsm.wrap(&kek, &key).unwrap();
    for _ in 0..2 {
        rig.take_away();
        let away = Instant::now();
        // A module may serve a little longer from its memory.
        while hsm.unwrap("default", &wrapped).is_ok() || hsm.is_usable() {
            assert!(away.elapsed() < PATIENCE);
            thread::sleep(Duration::from_millis(10));
        }
        let error = hsm.unwrap("default", &wrapped).unwrap_err();
        assert!(error.is_transient(), "{error:?}");
        assert!(error.to_string().contains("the HSM under test"), "{error}");
        rig.bring_back();
        let back = Instant::now();
        let unwrapped = loop {
            match hsm.unwrap("default", &wrapped) {
                Ok(unwrapped) => break unwrapped,
                Err(error) => assert!(back.elapsed() < PATIENCE, "{error}"),
            }
            thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(unwrapped.as_bytes(), key.as_bytes());
    }
}
