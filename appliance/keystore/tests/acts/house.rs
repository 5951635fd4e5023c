//! A domain with a token, a database and a clock of its own, and people who enrol and sign in as a client does.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use strongroom_hsm::Hsm;
use strongroom_keystore::recovery::NewRecovery;
use strongroom_keystore::store::Store;
use strongroom_keystore::store::sqlite::SqliteStore;
use strongroom_keystore::{Clock, Error, Keystore, NewDomain, Options, Presented, SessionToken};
use strongroom_session::opaque::{CONTEXT, identifiers, server_identity};
use strongroom_session::opaque_ke::ksf::Identity;
use strongroom_session::opaque_ke::{
    CipherSuite, ClientLogin, ClientLoginFinishParameters, ClientRegistration,
    ClientRegistrationFinishParameters, CredentialResponse, RegistrationResponse,
};
use strongroom_session::{OsRng, Suite, TransportKey};
use strongroom_wire::account::{AccountKind, CreateAccount, FinishEnrolment, Role, StartEnrolment};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Algorithm, CreateKeys, Material, NewKey, ReleaseKey, UsagePolicy};
use strongroom_wire::session::{
    FinishSignIn, SignInFinished, SignedIn, StartSignIn, StartStepUp, SteppedUp,
};
use tempfile::TempDir;

use crate::support::TestToken;

pub(crate) const SOURCE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(crate) const PASSWORD: &str = "a horse, a staple and a battery";
pub(crate) const ADMIN: &str = "admin@example.com";

/// `SoftHSM`'s slot table is not safe against a token being made while another is opened.
static TOKENS: Mutex<()> = Mutex::new(());

/// A new token.
pub(crate) fn token(label: &str) -> Arc<dyn Hsm> {
    let _one_at_a_time = TOKENS.lock().unwrap();
    Arc::new(TestToken::initialise(label).open())
}

/// A clock that stands still until it is told otherwise.
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// A domain.
pub(crate) struct House {
    pub(crate) keystore: Keystore,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) admin: Person,
    pub(crate) hsm: Arc<dyn Hsm>,
    options: Options,
    folder: TempDir,
}

/// Somebody who is signed in.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) presented: Presented,
    pub(crate) transport: TransportKey,
}

impl House {
    pub(crate) fn new(label: &str) -> Self {
        Self::with(label, Options::default())
    }

    pub(crate) fn with(label: &str, options: Options) -> Self {
        Self::on(token(label), label, options, None)
    }

    /// A domain on this HSM, recoverable or not.
    pub(crate) fn on(
        hsm: Arc<dyn Hsm>,
        label: &str,
        options: Options,
        recovery: Option<NewRecovery>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::create(&folder.path().join("strongroom.db")).unwrap());
        let clock = Arc::new(ManualClock(AtomicU64::new(1_800_000_000_000)));
        let domain = NewDomain {
            name: options.domain.clone(),
            origin: format!("strongroom.test/{label}"),
            administrator: ADMIN.to_owned(),
            adopt_keys: false,
            seed: Some([0xab; 32]),
            recovery,
        };
        let created =
            Keystore::initialise(&*store, Arc::clone(&hsm), &*clock, &domain, &options).unwrap();
        let keystore = Keystore::open(
            Arc::clone(&store),
            Arc::clone(&hsm),
            Arc::<ManualClock>::clone(&clock),
            options.clone(),
        )
        .unwrap();
        let code = created.enrolment_code.unwrap();
        enrol(&keystore, ADMIN, &code, PASSWORD).unwrap();
        let admin = sign_in(&keystore, ADMIN, PASSWORD).unwrap();
        Self {
            keystore,
            store,
            clock,
            admin,
            hsm,
            options,
            folder,
        }
    }

    /// What its clock says.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The database's file.
    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("strongroom.db")
    }

    /// Leaves the keystore where it is, as a kill would, and opens it anew.
    pub(crate) fn reopen(&mut self) {
        self.store = Arc::new(SqliteStore::open(&self.database()).unwrap());
        self.keystore = Keystore::open(
            Arc::clone(&self.store),
            Arc::clone(&self.hsm),
            Arc::<ManualClock>::clone(&self.clock),
            self.options.clone(),
        )
        .unwrap();
    }

    /// The keystore as operators open it while nobody serves it, with this HSM.
    pub(crate) fn attended(&self, store: Arc<dyn Store>, hsm: &Arc<dyn Hsm>) -> Keystore {
        let clock = Arc::<ManualClock>::clone(&self.clock);
        Keystore::attend(store, Arc::clone(hsm), clock, Options::default()).unwrap()
    }

    /// The keystore of another database of this house, such as one that was restored.
    pub(crate) fn reopened(&self, store: Arc<dyn Store>) -> Keystore {
        let clock = Arc::<ManualClock>::clone(&self.clock);
        Keystore::open(store, Arc::clone(&self.hsm), clock, Options::default()).unwrap()
    }

    /// An account that has been created and not enrolled; its enrolment code.
    pub(crate) fn invite(&self, name: &str, roles: &[Role]) -> String {
        let request = CreateAccount {
            name: name.to_owned(),
            kind: AccountKind::Person,
            roles: roles.to_vec(),
            manager: None,
        };
        self.keystore
            .create_account(&self.admin.presented, request)
            .unwrap()
            .enrolment_code
            .unwrap()
    }

    /// Somebody who has enrolled and signed in.
    pub(crate) fn person(&self, name: &str) -> Person {
        self.person_with(name, &[])
    }

    pub(crate) fn person_with(&self, name: &str, roles: &[Role]) -> Person {
        let code = self.invite(name, roles);
        enrol(&self.keystore, name, &code, PASSWORD).unwrap();
        sign_in(&self.keystore, name, PASSWORD).unwrap()
    }

    /// So many keys of `owner`'s, each labelled `Report N of the series`.
    pub(crate) fn many_keys(&self, owner: &Person, count: u32) {
        for first in (0..count).step_by(1000) {
            let keys = (first..(first + 1000).min(count)).map(|number| NewKey {
                label: format!("Report {number} of the series"),
                ..NewKey::new(Algorithm::Aes256)
            });
            let request = CreateKeys {
                keys: keys.collect(),
                release: false,
            };
            self.keystore
                .create_keys(&owner.presented, request)
                .unwrap();
        }
    }

    /// A new key of `owner`'s for these recipients, and its material.
    pub(crate) fn key(&self, owner: &Person, recipients: &[&Person]) -> (KeyId, Vec<u8>) {
        self.key_with(owner, recipients, UsagePolicy::default())
    }

    pub(crate) fn key_with(
        &self,
        owner: &Person,
        recipients: &[&Person],
        policy: UsagePolicy,
    ) -> (KeyId, Vec<u8>) {
        let request = CreateKeys {
            keys: vec![NewKey {
                recipients: recipients
                    .iter()
                    .map(|person| person.name.clone())
                    .collect(),
                policy,
                ..new_key("report.pdf")
            }],
            release: true,
        };
        let mut created = self
            .keystore
            .create_keys(&owner.presented, request)
            .unwrap();
        let created = created.keys.remove(0);
        let material = owner.unwrap(&created.material.unwrap());
        (created.key.id, material)
    }

    pub(crate) fn release(&self, person: &Person, key: KeyId) -> Result<Vec<u8>, Error> {
        self.keystore
            .release(&person.presented, key, ReleaseKey::default())
            .map(|material| person.unwrap(&material))
            .map_err(|refusal| refusal.error)
    }
}

impl Person {
    pub(crate) fn unwrap(&self, material: &Material) -> Vec<u8> {
        self.transport
            .unwrap(material.key, material.version, &material.wrapped.0)
            .unwrap()
            .to_vec()
    }
}

pub(crate) fn new_key(label: &str) -> NewKey {
    NewKey {
        label: label.to_owned(),
        content_type: Some("application/pdf".to_owned()),
        ..NewKey::new(Algorithm::Aes256)
    }
}

/// The protocol as a client speaks it that does not stretch passwords. The appliance cannot tell, and Argon2id was four fifths of the time
/// that these tests took.
pub(crate) struct Unstretched;

impl CipherSuite for Unstretched {
    type OprfCs = <Suite as CipherSuite>::OprfCs;
    type KeyExchange = <Suite as CipherSuite>::KeyExchange;
    type Ksf = Identity;
}

/// Enrols as a client does.
pub(crate) fn enrol(
    keystore: &Keystore,
    name: &str,
    code: &str,
    password: &str,
) -> Result<(), Error> {
    let start = ClientRegistration::<Unstretched>::start(&mut OsRng, password.as_bytes()).unwrap();
    let request = StartEnrolment {
        account: name.to_owned(),
        code: code.to_owned(),
        request: start.message.serialize().to_vec().into(),
    };
    let started = keystore
        .start_enrolment(SOURCE, request)
        .map_err(|refusal| refusal.error)?;
    let server = server_identity(&started.domain);
    let finish = start
        .state
        .finish(
            &mut OsRng,
            password.as_bytes(),
            RegistrationResponse::deserialize(&started.response.0).unwrap(),
            ClientRegistrationFinishParameters::new(identifiers(name, &server), None),
        )
        .unwrap();
    let request = FinishEnrolment {
        account: name.to_owned(),
        code: code.to_owned(),
        upload: finish.message.serialize().to_vec().into(),
    };
    keystore
        .finish_enrolment(SOURCE, request)
        .map(|_| ())
        .map_err(|refusal| refusal.error)
}

/// Signs in as a client does; none when the client itself sees that the password is wrong, and when it is not enough.
pub(crate) fn sign_in(keystore: &Keystore, name: &str, password: &str) -> Option<Person> {
    match enter(keystore, name, password)? {
        (SignInFinished::SignedIn(signed_in), transport) => Some(entered(signed_in, transport)),
        (SignInFinished::SecondFactor { .. }, _) => None,
    }
}

/// Who has signed in.
pub(crate) fn entered(signed_in: SignedIn, transport: TransportKey) -> Person {
    Person {
        name: signed_in.account.name,
        presented: Presented::in_session(
            SessionToken::from_slice(&signed_in.token.0).unwrap(),
            SOURCE,
        ),
        transport,
    }
}

/// Proves a password as a client does, and says where that has led.
pub(crate) fn enter(
    keystore: &Keystore,
    name: &str,
    password: &str,
) -> Option<(SignInFinished, TransportKey)> {
    let start = ClientLogin::<Unstretched>::start(&mut OsRng, password.as_bytes()).unwrap();
    let request = StartSignIn {
        account: name.to_owned(),
        ke1: start.message.serialize().to_vec().into(),
    };
    let started = keystore.start_sign_in(SOURCE, request).unwrap();
    let server = server_identity(&started.domain);
    let finish = start
        .state
        .finish(
            &mut OsRng,
            password.as_bytes(),
            CredentialResponse::deserialize(&started.ke2.0).unwrap(),
            ClientLoginFinishParameters::new(Some(CONTEXT), identifiers(name, &server), None),
        )
        .ok()?;
    let request = FinishSignIn {
        sign_in: started.sign_in,
        ke3: finish.message.serialize().to_vec().into(),
    };
    let finished = keystore.finish_sign_in(SOURCE, request).ok()?;
    Some((finished, TransportKey::derive(&finish.session_key)))
}

/// Steps up as a client does; none when the client itself sees that the password is wrong.
pub(crate) fn step_up(
    keystore: &Keystore,
    person: &Person,
    password: &str,
) -> Option<Result<SteppedUp, Error>> {
    let request = start_step_up(keystore, person, password)?;
    let stepped = keystore.finish_step_up(&person.presented, request);
    Some(stepped.map_err(|refusal| refusal.error))
}

/// The last message of stepping up.
pub(crate) fn start_step_up(
    keystore: &Keystore,
    person: &Person,
    password: &str,
) -> Option<FinishSignIn> {
    let start = ClientLogin::<Unstretched>::start(&mut OsRng, password.as_bytes()).unwrap();
    let request = StartStepUp {
        ke1: start.message.serialize().to_vec().into(),
    };
    let started = keystore.start_step_up(&person.presented, request).unwrap();
    let server = server_identity(&started.domain);
    let names = identifiers(&person.name, &server);
    let finish = start
        .state
        .finish(
            &mut OsRng,
            password.as_bytes(),
            CredentialResponse::deserialize(&started.ke2.0).unwrap(),
            ClientLoginFinishParameters::new(Some(CONTEXT), names, None),
        )
        .ok()?;
    Some(FinishSignIn {
        sign_in: started.sign_in,
        ke3: finish.message.serialize().to_vec().into(),
    })
}
