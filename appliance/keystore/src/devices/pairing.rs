//! Devices without a keyboard, paired by a person: the OAuth 2.0 device authorization grant (RFC 8628).
//!
//! The device asks for two codes. It shows one, which a person who is signed in types and approves, and asks with the other until it is
//! given its secret. What waits lives in memory only: a device whose codes are lost asks for new ones.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use strongroom_session::AccountSecret;
use strongroom_wire::account::{AccountKind, AccountState};
use strongroom_wire::audit::Act;
use strongroom_wire::device::{
    DecidePairing, DecidedPairing, LONGEST_CLIENT, PairedDevice, Pairing, PairingStarted,
};
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::AccountId;

use super::{device_of, open_secret, seal_secret, shown};
use crate::accounts::{account_record, check_name, find};
use crate::act::Presented;
use crate::domains::Counted;
use crate::error::{Answer, Error, Refusal};
use crate::hierarchy::hsm_random_key;
use crate::keystore::Keystore;
use crate::roles::May;
use crate::seal;
use crate::store::{DeviceRecord, StoreError};

/// How long both codes are good for, in seconds.
pub const PAIRING_LIFETIME: u64 = 600;
/// How long a device waits between two requests for its secret, in seconds; what RFC 8628 section 3.5 adds for each that comes too soon.
pub const PAIRING_INTERVAL: u64 = 5;
/// How long it is remembered that a code has lapsed, in seconds.
const REMEMBERED: u64 = 600;
/// The most pairings that wait at once.
const MOST_PAIRINGS: usize = 10_000;
/// The letters of a user code: no vowels, so that no words come of them (RFC 8628 section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
const LETTERS_A_CODE: usize = 8;
/// The type of what a device is given.
const TOKEN_TYPE: &str = "urn:strongroom:account-secret";

/// The pairings that wait, by the hash of their device code.
#[derive(Default)]
pub(crate) struct Pairings(Mutex<HashMap<[u8; 32], Waiting>>);

struct Waiting {
    user_code: String,
    client: String,
    source: IpAddr,
    requested: Timestamp,
    expires: Timestamp,
    interval: u64,
    next_poll: Timestamp,
    outcome: Outcome,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nobody has decided yet.
    Open,
    /// Somebody is deciding at this moment.
    Deciding,
    Approved(AccountId),
    Denied,
}

/// What a device that asks for its secret is told (RFC 8628 section 3.5).
#[derive(Clone, PartialEq, Eq)]
pub enum PairingAnswer {
    /// `authorization_pending`.
    Pending,
    /// `slow_down`: it asked too soon, and waits five seconds longer from now on.
    SlowDown,
    /// `access_denied`.
    Denied,
    /// `expired_token`.
    Expired,
    /// `invalid_grant`: there is no such device code, or it has been used.
    Unknown,
    /// Its secret.
    Paired(Box<PairedDevice>),
}

impl Pairings {
    pub(crate) fn forget_expired(&self, now: Timestamp) {
        self.held()
            .retain(|_, waiting| now < waiting.expires.plus_seconds(REMEMBERED));
    }

    pub(crate) fn wipe(&self) {
        self.held().clear();
    }

    fn held(&self) -> MutexGuard<'_, HashMap<[u8; 32], Waiting>> {
        // A panic while the map was held leaves a whole map behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the pairing that waits for a decision under this code.
    fn with_open<T>(
        &self,
        code: &str,
        now: Timestamp,
        then: impl FnOnce(&mut Waiting) -> T,
    ) -> Result<T, Error> {
        let code = normal_user_code(code);
        self.held()
            .values_mut()
            .find(|waiting| {
                waiting.user_code == code
                    && waiting.outcome == Outcome::Open
                    && now < waiting.expires
            })
            .map(then)
            .ok_or(Error::PairingNotFound)
    }

    /// Ends what [`Outcome::Deciding`] began.
    fn decided(&self, code: &str, outcome: Outcome) {
        let code = normal_user_code(code);
        let mut held = self.held();
        let deciding = held
            .values_mut()
            .find(|waiting| waiting.user_code == code && waiting.outcome == Outcome::Deciding);
        if let Some(waiting) = deciding {
            waiting.outcome = outcome;
        }
    }
}

impl Keystore {
    /// Gives a device that wants to be paired its two codes. `verification_uri` is where a person finds out what to do with theirs.
    pub fn start_pairing(
        &self,
        source: IpAddr,
        client: &str,
        verification_uri: String,
    ) -> Answer<PairingStarted> {
        let client = client.trim();
        let good = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        if client.is_empty() || client.len() > LONGEST_CLIENT || !client.bytes().all(good) {
            return Err(Error::Invalid(format!(
                "A device calls itself by 1 to {LONGEST_CLIENT} printable ASCII characters."
            ))
            .into());
        }
        let device_code = Base64(seal::random::<32>()?.to_vec()).to_text();
        let now = self.core.clock.now();
        let mut held = self.core.pairings.held();
        if held.len() >= MOST_PAIRINGS {
            return Err(Error::Store(StoreError::Busy).into());
        }
        let user_code = loop {
            let code = generate_user_code()?;
            if held.values().all(|waiting| waiting.user_code != code) {
                break code;
            }
        };
        held.insert(
            seal::sha256(device_code.as_bytes()),
            Waiting {
                user_code: user_code.clone(),
                client: client.to_owned(),
                source,
                requested: now,
                expires: now.plus_seconds(PAIRING_LIFETIME),
                interval: PAIRING_INTERVAL,
                next_poll: now,
                outcome: Outcome::Open,
            },
        );
        let (first, second) = user_code.split_at(LETTERS_A_CODE / 2);
        Ok(PairingStarted {
            device_code,
            user_code: format!("{first}-{second}"),
            verification_uri,
            expires_in: PAIRING_LIFETIME,
            interval: PAIRING_INTERVAL,
        })
    }

    /// The device that waits under a code; for people, who see by it what they approve.
    pub fn pairing(&self, caller: &Presented, code: &str) -> Answer<Pairing> {
        self.core.look(caller, |view, caller, _| {
            require_person(caller.account.kind)?;
            self.core
                .pairings
                .with_open(code, view.now, |waiting| Pairing {
                    client: waiting.client.clone(),
                    source: waiting.source.to_string(),
                    requested: waiting.requested,
                    expires: waiting.expires,
                })
        })
    }

    /// Approves or denies a device that waits; people only. An approved one gets an account, and whoever approved it is its owner.
    pub fn decide_pairing(
        &self,
        caller: &Presented,
        code: &str,
        request: DecidePairing,
    ) -> Answer<DecidedPairing> {
        let core = &self.core;
        core.look(caller, |_, caller, _| require_person(caller.account.kind))?;
        let client = core.pairings.with_open(code, core.clock.now(), |waiting| {
            waiting.outcome = Outcome::Deciding;
            waiting.client.clone()
        });
        let decided = match client {
            Ok(client) if request.approve => self.approve(caller, &client, request.name),
            client => self.deny(caller, client.ok()),
        };
        let outcome = match &decided {
            Ok(DecidedPairing {
                device: Some(device),
                ..
            }) => Outcome::Approved(device.account.id),
            Ok(_) => Outcome::Denied,
            Err(_) => Outcome::Open,
        };
        if !matches!(
            decided,
            Err(Refusal {
                error: Error::PairingNotFound,
                ..
            })
        ) {
            core.pairings.decided(code, outcome);
        }
        decided
    }

    /// Answers a device that asks for its secret. It is handed out once.
    pub fn pairing_token(&self, source: IpAddr, device_code: &str) -> Answer<PairingAnswer> {
        let core = &self.core;
        let hash = seal::sha256(device_code.as_bytes());
        let now = core.clock.now();
        let waiting = {
            let mut held = core.pairings.held();
            let Some(waiting) = held.get_mut(&hash) else {
                return Ok(PairingAnswer::Unknown);
            };
            if now >= waiting.expires {
                return Ok(PairingAnswer::Expired);
            }
            if now < waiting.next_poll {
                waiting.interval += PAIRING_INTERVAL;
                waiting.next_poll = now.plus_seconds(waiting.interval);
                return Ok(PairingAnswer::SlowDown);
            }
            waiting.next_poll = now.plus_seconds(waiting.interval);
            match waiting.outcome {
                Outcome::Open | Outcome::Deciding => return Ok(PairingAnswer::Pending),
                Outcome::Denied => return Ok(PairingAnswer::Denied),
                // Taken out, so that nobody else is given the secret meanwhile.
                Outcome::Approved(_) => held.remove(&hash),
            }
        };
        let Some(waiting) = waiting else {
            return Ok(PairingAnswer::Unknown);
        };
        let Outcome::Approved(account) = waiting.outcome else {
            return Ok(PairingAnswer::Unknown);
        };
        let handed_out = self.hand_out(source, account);
        if handed_out.is_err() {
            core.pairings.held().insert(hash, waiting);
        }
        handed_out.map(|device| PairingAnswer::Paired(Box::new(device)))
    }

    fn approve(
        &self,
        caller: &Presented,
        client: &str,
        name: Option<String>,
    ) -> Answer<DecidedPairing> {
        let core = &self.core;
        let name = check_name(&name.unwrap_or_else(|| client.replace(' ', "-")))?;
        let _wrapping = core.rotation.wrapping();
        // The HSM makes the KEK, so it is made before the transaction begins; a refusal lets it fall unused.
        let id = AccountId::generate();
        let (kek, kek_record) = core.new_kek(id, 1)?;
        let secret = AccountSecret::from_bytes(*hsm_random_key(core.domain.hsm())?.as_bytes());
        let client = client.to_owned();
        let presented = caller.clone();
        core.act(Act::DevicePair, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            require_person(caller.account.kind)?;
            if scope.view().account_by_name(&name)?.is_some() {
                return Err(Error::AccountExists(name.clone()));
            }
            let tell = caller.may(May::ManageAccounts);
            scope.require_room(Counted::Accounts, 1, tell)?;
            scope.require_room(Counted::Bytes, 1, tell)?;
            let account = account_record(
                scope.domain,
                id,
                name.clone(),
                AccountKind::Device,
                AccountState::Pending,
                Vec::new(),
                scope.now,
            );
            scope.tx.create_account(&account, &kek_record)?;
            let mut device = DeviceRecord {
                account: id,
                domain: scope.domain.number,
                serial: None,
                fleet: None,
                paired_by: Some(caller.account.id),
                admitted: None,
                revoked: None,
                mac: [0; 32],
            };
            scope.domain.authenticate_device(&mut device);
            scope.tx.put_device(&device)?;
            scope
                .tx
                .add_secret(&seal_secret(&secret, id, 1, &kek, 1, scope.now)?)?;
            scope.detail.subject = Some(id);
            scope.detail.note = Some(format!("approved {client:?}"));
            let leaf = scope.record(Act::DevicePair)?;
            let device = Some(shown(&scope.view(), device)?);
            Ok(DecidedPairing { device, leaf })
        })
    }

    fn deny(&self, caller: &Presented, client: Option<String>) -> Answer<DecidedPairing> {
        let presented = caller.clone();
        self.core.act(Act::DevicePair, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            require_person(caller.account.kind)?;
            let client = client.as_ref().ok_or(Error::PairingNotFound)?;
            scope.detail.note = Some(format!("denied {client:?}"));
            let leaf = scope.record(Act::DevicePair)?;
            Ok(DecidedPairing { device: None, leaf })
        })
    }

    fn hand_out(&self, source: IpAddr, account: AccountId) -> Answer<PairedDevice> {
        self.core.act(Act::AccountSecret, source, move |scope| {
            scope.record_strangers = true;
            scope.detail.subject = Some(account);
            let view = scope.view();
            let record = find(&view, account)?;
            let device = device_of(&view, account)?.ok_or(Error::DeviceNotFound)?;
            if record.state != AccountState::Pending || device.admitted.is_some() {
                return Err(Error::DeviceNotFound);
            }
            let secrets = view.snapshot.secrets_of(account)?;
            let newest = secrets.first().ok_or(Error::DeviceNotFound)?;
            let secret = open_secret(&view, &record, newest)?;
            scope.detail.note = Some(format!("generation {}, handed out", newest.generation));
            let leaf = scope.record(Act::AccountSecret)?;
            Ok(PairedDevice {
                access_token: secret.to_text().to_string(),
                token_type: TOKEN_TYPE.to_owned(),
                account,
                name: record.name,
                generation: newest.generation,
                leaf,
            })
        })
    }
}

fn require_person(kind: AccountKind) -> Result<(), Error> {
    match kind {
        AccountKind::Person => Ok(()),
        _ => Err(Error::NotPermitted("to be a person")),
    }
}

fn generate_user_code() -> Result<String, Error> {
    let mut code = String::with_capacity(LETTERS_A_CODE);
    while code.len() < LETTERS_A_CODE {
        let [byte] = seal::random::<1>()?;
        // 240 is the largest multiple of 20 that fits: so each letter is as likely.
        if byte < 240 {
            code.push(char::from(LETTERS[usize::from(byte % 20)]));
        }
    }
    Ok(code)
}

/// A user code as it is compared: letters in capitals, separators do not count.
fn normal_user_code(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphabetic)
        .map(|c| c.to_ascii_uppercase())
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn user_codes_are_letters_that_make_no_words() {
        let code = generate_user_code().unwrap();
        assert_eq!(code.len(), 8);
        assert!(
            code.bytes().all(|letter| LETTERS.contains(&letter)),
            "{code}"
        );
        assert_ne!(code, generate_user_code().unwrap());
        let typed = format!(" {}-{} ", code[..4].to_lowercase(), &code[4..]);
        assert_eq!(normal_user_code(&typed), code);
    }
}
