//! Wraps, unwraps and signatures a second on one thread: the raw module, the backend over it, and that under supervision; and the raw
//! commands of a YubiHSM 2 and the backend for it, both over `MockHsm`.
//!
//! With `--check` it fails when the backend costs more than a tenth over the raw calls: by the time on the processor, which a busy
//! machine does not change much, where it halves the calls a second.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark"
)]

#[path = "../tests/support/softhsm.rs"]
mod softhsm_child;
#[path = "../tests/support/mod.rs"]
#[expect(dead_code, reason = "other binaries use more of it")]
mod support;

use std::{
    env,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use cryptoki::{
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::{Attribute, AttributeType, KeyType, ObjectClass},
    session::Session,
};
use strongroom_hsm::{
    Aes256Key, Hsm, MasterKekId,
    supervised::{Backend, Supervised, SupervisedConfig},
};
use support::TestToken;

/// How long one round of one figure takes, and how many rounds there are. The best one counts: other programs only slow it.
const ROUND: Duration = Duration::from_millis(100);
const ROUNDS: usize = 10;

/// Wraps, unwraps and signatures.
type Figures = [Figure; 3];

#[derive(Clone, Copy, Default)]
struct Figure {
    /// Calls a second.
    rate: f64,
    /// Calls, and the nanoseconds that this thread was on a processor for them.
    calls: f64,
    on_processor: f64,
}

impl Figure {
    fn add(&mut self, round: Self) {
        self.rate = self.rate.max(round.rate);
        self.calls += round.calls;
        self.on_processor += round.on_processor;
    }

    fn cost(self) -> f64 {
        self.on_processor / self.calls
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if support::role().is_none() {
        let (code, _) = softhsm_child::run_again("bench", &arguments, "", false);
        return ExitCode::from(u8::try_from(code).unwrap_or(1));
    }
    let token = TestToken::initialise("bench");
    let backend: Arc<dyn Hsm> = Arc::new(token.open());
    backend.generate_master_kek(&kek()).unwrap();
    backend.generate_signing_key("checkpoint").unwrap();
    let session = token.raw_session();
    let opened = Arc::clone(&backend);
    let supervised = Supervised::start(
        vec![Backend {
            name: "SoftHSM".to_owned(),
            open: Arc::new(move || Ok(Arc::clone(&opened))),
        }],
        SupervisedConfig::default(),
        Arc::new(|_| {}),
    )
    .unwrap();
    assert!(supervised.wait_until_usable(Duration::from_secs(10)));

    let mut all = [Figures::default(); 3];
    for _ in 0..ROUNDS {
        let rounds = [raw(&session), through(&*backend), through(&supervised)];
        for (sum, round) in all.iter_mut().zip(rounds) {
            for (sum, figure) in sum.iter_mut().zip(round) {
                sum.add(figure);
            }
        }
    }
    println!(
        "{:34} {:>10} {:>10} {:>10}",
        "calls a second, one thread", "wrap", "unwrap", "sign"
    );
    show("SoftHSM, raw cryptoki", all[0]);
    show("SoftHSM, Pkcs11Hsm", all[1]);
    show("SoftHSM, Supervised", all[2]);
    yubihsm();
    let costs = [0, 1, 2].map(|figure| all[1][figure].cost() / all[0][figure].cost());
    println!(
        "time on the processor, backend over raw module: wrap {:.2}, unwrap {:.2}, sign {:.2}",
        costs[0], costs[1], costs[2]
    );
    if arguments.iter().any(|argument| argument == "--check")
        && costs.iter().any(|cost| *cost > 1.1)
    {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(feature = "yubihsm")]
fn yubihsm() {
    use strongroom_hsm::yubihsm::{AuthKey, Connection, YubiHsm, YubiHsmConfig};
    let config = YubiHsmConfig {
        connection: Connection::Http {
            address: "mock".to_owned(),
            port: 1,
        },
        auth_key: AuthKey::factory_default().unwrap(),
        device_domain: 1,
        allow_factory_default: true,
    };
    show("MockHsm, raw yubihsm", raw_yubihsm());
    let hsm = YubiHsm::open_over(::yubihsm::Connector::mockhsm(), config).unwrap();
    hsm.generate_master_kek(&kek()).unwrap();
    hsm.generate_signing_key("checkpoint").unwrap();
    show("MockHsm, YubiHsm", through(&hsm));
}

/// The same commands of the device, with identifiers that are known.
#[cfg(feature = "yubihsm")]
fn raw_yubihsm() -> Figures {
    use ::yubihsm::{
        Capability, Client, Connector, Credentials, Domain, asymmetric, object, opaque,
        wrap::Algorithm,
    };
    const OPAQUE: object::Type = object::Type::Opaque;
    let client = Client::open(Connector::mockhsm(), Credentials::default(), true).unwrap();
    let (label, all) = (|| object::Label::from("bench"), Capability::all());
    client
        .generate_wrap_key(1, label(), Domain::DOM1, all, all, Algorithm::Aes256Ccm)
        .unwrap();
    let ed25519 = asymmetric::Algorithm::Ed25519;
    client
        .generate_asymmetric_key(1, label(), Domain::DOM1, Capability::SIGN_EDDSA, ed25519)
        .unwrap();
    let wrap = || {
        let exportable = Capability::EXPORTABLE_UNDER_WRAP;
        let data = opaque::Algorithm::Data;
        client
            .put_opaque(2, label(), Domain::DOM1, exportable, data, [7_u8; 32])
            .unwrap();
        let message = client.export_wrapped(1, OPAQUE, 2).unwrap();
        client.delete_object(2, OPAQUE).unwrap();
        message
    };
    let message = wrap();
    [
        rate(|| drop(wrap())),
        rate(|| {
            client.import_wrapped(1, message.clone()).unwrap();
            client.get_opaque(2).unwrap();
            client.delete_object(2, OPAQUE).unwrap();
        }),
        rate(|| {
            client.sign_ed25519(1, [7; 200].as_slice()).unwrap();
        }),
    ]
}

#[cfg(not(feature = "yubihsm"))]
fn yubihsm() {}

fn show(name: &str, figures: Figures) {
    println!(
        "{name:34} {:>10.0} {:>10.0} {:>10.0}",
        figures[0].rate, figures[1].rate, figures[2].rate
    );
}

fn kek() -> MasterKekId {
    MasterKekId {
        domain: "default".to_owned(),
        version: 1,
    }
}

fn rate(mut call: impl FnMut()) -> Figure {
    let (started, before, mut calls) = (Instant::now(), on_processor(), 0_u32);
    while started.elapsed() < ROUND {
        call();
        calls += 1;
    }
    let calls = f64::from(calls);
    Figure {
        rate: calls / started.elapsed().as_secs_f64(),
        calls,
        on_processor: on_processor() - before,
    }
}

/// How many nanoseconds this thread has been on a processor.
fn on_processor() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

fn through(hsm: &dyn Hsm) -> Figures {
    let key = Aes256Key::from_bytes([7; 32]);
    let wrapped = hsm.wrap(&kek(), &key).unwrap();
    [
        rate(|| drop(hsm.wrap(&kek(), &key).unwrap())),
        rate(|| drop(hsm.unwrap("default", &wrapped).unwrap())),
        rate(|| {
            hsm.sign("checkpoint", &[7; 200]).unwrap();
        }),
    ]
}

/// The same calls of the module, with handles that are known.
fn raw(session: &Session) -> Figures {
    let find = |class| {
        let found = session.find_objects(&[Attribute::Class(class)]).unwrap();
        *found.first().unwrap()
    };
    let (kek, signing) = (
        find(ObjectClass::SECRET_KEY),
        find(ObjectClass::PRIVATE_KEY),
    );
    let template = |sensitive| {
        vec![
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Token(false),
            Attribute::Private(true),
            Attribute::Extractable(true),
            Attribute::Sensitive(sensitive),
        ]
    };
    let wrap = || {
        let mut given = template(true);
        given.push(Attribute::Value(vec![7; 32]));
        let key = session.create_object(&given).unwrap();
        let blob = session.wrap_key(&Mechanism::AesKeyWrap, kek, key).unwrap();
        session.destroy_object(key).unwrap();
        blob
    };
    let blob = wrap();
    let eddsa = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
    [
        rate(|| drop(wrap())),
        rate(|| {
            let key = session
                .unwrap_key(&Mechanism::AesKeyWrap, kek, &blob, &template(false))
                .unwrap();
            session
                .get_attributes(key, &[AttributeType::Value])
                .unwrap();
            session.destroy_object(key).unwrap();
        }),
        rate(|| drop(session.sign(&eddsa, signing, &[7; 200]).unwrap())),
    ]
}
