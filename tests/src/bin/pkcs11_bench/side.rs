//! A side: an application that loads a module and does the work through it.

use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use strongroom_tests::programs;

use crate::{Arguments, Figure, GCM_OF_A_MEBIBYTE, SIGNATURE, SOFTHSM_PIN, Task};

/// The object identifier of P-256, as `CKA_EC_PARAMS` has it.
const P256: [u8; 10] = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// Does the task, and prints its figures.
pub(crate) fn be_a_side(arguments: &Arguments, module: &Path, pin: &str) {
    let figures = match arguments.task {
        Task::Prepare => {
            prepare(module, pin, arguments.objects);
            Vec::new()
        }
        Task::Measure => work(module, pin, Duration::from_secs(arguments.seconds.into())),
        Task::Find => find(module, pin, arguments),
    };
    serde_json::to_writer(io::stdout(), &figures).unwrap();
}

/// An application.
struct Application {
    context: Pkcs11,
    slot: Slot,
    session: Session,
}

impl Application {
    fn start(module: &Path, pin: &str) -> Self {
        let context = Pkcs11::new(module).unwrap();
        context
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .unwrap();
        let slot = context.get_slots_with_token().unwrap()[0];
        let session = context.open_rw_session(slot).unwrap();
        session
            .login(UserType::User, Some(&AuthPin::new(pin.into())))
            .unwrap();
        Self {
            context,
            slot,
            session,
        }
    }

    fn find(&self, label: &str, private: bool) -> ObjectHandle {
        let class = if private {
            Attribute::Sign(true)
        } else {
            Attribute::Encrypt(true)
        };
        self.session
            .find_objects(&[Attribute::Label(label.into()), class])
            .unwrap()[0]
    }
}

/// Makes what is measured with: the keys, or so many objects where it is more than one.
fn prepare(module: &Path, pin: &str, objects: u32) {
    if module == programs::softhsm() {
        let context = Pkcs11::new(module).unwrap();
        context
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .unwrap();
        let slot = context.get_all_slots().unwrap()[0];
        let pin = AuthPin::new(SOFTHSM_PIN.into());
        context.init_token(slot, &pin, "bench").unwrap();
        let session = context.open_rw_session(slot).unwrap();
        session.login(UserType::So, Some(&pin)).unwrap();
        session.init_pin(&pin).unwrap();
        // The module is loaded once a process.
        drop(session);
        context.finalize().unwrap();
    }
    let application = Application::start(module, pin);
    if objects > 1 {
        thread::scope(|scope| {
            for part in 0..16 {
                let (context, slot) = (&application.context, application.slot);
                scope.spawn(move || {
                    let session = context.open_rw_session(slot).unwrap();
                    for number in (part..objects).step_by(16) {
                        let template = [
                            Attribute::Class(cryptoki::object::ObjectClass::DATA),
                            Attribute::Token(true),
                            Attribute::Private(true),
                            Attribute::Label(label(number).into()),
                            Attribute::Value(vec![7; 32]),
                        ];
                        let _ = session.create_object(&template).unwrap();
                    }
                });
            }
        });
        return;
    }
    let session = &application.session;
    let private = |label: &str| {
        vec![
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Label(label.into()),
        ]
    };
    let public = |more: Vec<Attribute>| {
        [vec![Attribute::Token(true), Attribute::Verify(true)], more].concat()
    };
    session
        .generate_key_pair(
            &Mechanism::EccKeyPairGen,
            &public(vec![Attribute::EcParams(P256.to_vec())]),
            &private("p256"),
        )
        .unwrap();
    session
        .generate_key_pair(
            &Mechanism::RsaPkcsKeyPairGen,
            &public(vec![
                Attribute::ModulusBits(2048.into()),
                Attribute::PublicExponent(vec![1, 0, 1]),
            ]),
            &private("rsa"),
        )
        .unwrap();
    for (label, extractable) in [("released", true), ("kept", false)] {
        session
            .generate_key(
                &Mechanism::AesKeyGen,
                &[
                    Attribute::Token(true),
                    Attribute::Private(true),
                    Attribute::ValueLen(32.into()),
                    Attribute::Encrypt(true),
                    Attribute::Decrypt(true),
                    Attribute::Sensitive(true),
                    Attribute::Extractable(extractable),
                    Attribute::Label(label.into()),
                ],
            )
            .unwrap();
    }
}

fn label(number: u32) -> String {
    format!("object {number}")
}

/// How often something is done in a second, by so many threads at once, each with a session.
fn rate(
    application: &Application,
    threads: u32,
    during: Duration,
    done: impl Fn(&Session) + Sync,
) -> f64 {
    let began = Instant::now();
    let counts: Vec<u32> = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|_| {
                let (done, context, slot) = (&done, &application.context, application.slot);
                scope.spawn(move || {
                    let session = context.open_rw_session(slot).unwrap();
                    let mut count = 0;
                    while began.elapsed() < during {
                        done(&session);
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        running
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let count: u32 = counts.into_iter().sum();
    f64::from(count) / began.elapsed().as_secs_f64()
}

fn work(module: &Path, pin: &str, during: Duration) -> Vec<Figure> {
    let began = Instant::now();
    let application = Application::start(module, pin);
    let p256 = application.find("p256", true);
    let sign = |key: ObjectHandle, mechanism: fn() -> Mechanism<'static>| {
        move |session: &Session| {
            assert!(session.sign(&mechanism(), key, &[7; 32]).unwrap().len() >= 64);
        }
    };
    sign(p256, || Mechanism::Ecdsa)(&application.session);
    let first = began.elapsed();
    let mut figures = vec![Figure {
        what: "start to first P-256 signature".to_owned(),
        per_second: 1.0 / first.as_secs_f64(),
    }];
    let mut measure = |what: &str, threads: u32, done: &(dyn Fn(&Session) + Sync)| {
        figures.push(Figure {
            what: what.to_owned(),
            per_second: rate(&application, threads, during, done),
        });
    };
    let rsa = application.find("rsa", true);
    for threads in [1, 16] {
        let what = match threads {
            1 => SIGNATURE.to_owned(),
            _ => format!("P-256 signature, {threads} threads"),
        };
        measure(&what, threads, &sign(p256, || Mechanism::Ecdsa));
        measure(
            &format!("RSA-2048 signature, {threads} threads"),
            threads,
            &sign(rsa, || Mechanism::Sha256RsaPkcs),
        );
    }
    for (place, size, name) in [
        ("released", 1024, "AES-256-GCM of 1 KiB, key in the process"),
        ("released", 1024 * 1024, GCM_OF_A_MEBIBYTE),
        ("kept", 1024, "AES-256-GCM of 1 KiB, key stays"),
        ("kept", 1024 * 1024, "AES-256-GCM of 1 MiB, key stays"),
    ] {
        let key = application.find(place, false);
        let data = vec![7; size];
        measure(name, 1, &|session| {
            let mut nonce = [0; 12];
            getrandom::fill(&mut nonce).unwrap();
            let parameters = GcmParams::new(&mut nonce, &[], 128.into()).unwrap();
            let sealed = session
                .encrypt(&Mechanism::AesGcm(parameters), key, &data)
                .unwrap();
            assert_eq!(sealed.len(), size + 16);
        });
    }
    figures
}

/// Finds one object among many, each time another.
fn find(module: &Path, pin: &str, arguments: &Arguments) -> Vec<Figure> {
    let application = Application::start(module, pin);
    let mut next = arguments.objects / 2;
    let mut count = 0_u32;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(arguments.seconds.into()) {
        next = (next * 7 + 13) % arguments.objects;
        let found = application
            .session
            .find_objects(&[Attribute::Label(label(next).into())]);
        assert_eq!(found.unwrap().len(), 1);
        count += 1;
    }
    vec![Figure {
        what: format!("one of {} objects found by its label", arguments.objects),
        per_second: f64::from(count) / began.elapsed().as_secs_f64(),
    }]
}
