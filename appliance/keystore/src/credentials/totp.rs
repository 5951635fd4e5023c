//! Authenticator apps: time-based one-time passwords (TOTP, RFC 6238) with HMAC-SHA-1, six digits and steps of 30 seconds, which is what
//! every such app does. The secret is sealed under the domain's secrets key: it opens no key, and so need not move when an account's
//! KEK is rotated.

use aws_lc_rs::hmac;
use strongroom_wire::account::AccountKind;
use strongroom_wire::audit::Act;
use strongroom_wire::credential::{ConfirmTotp, FactorAdded, TotpStarted};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::AccountId;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::{listed, second_factor};
use crate::act::{Caller, Presented, Scope};
use crate::canonical::Canonical;
use crate::error::{Answer, Error};
use crate::hierarchy::Domain;
use crate::keystore::Keystore;
use crate::mail::{self, CredentialChange};
use crate::seal;
use crate::store::{CredentialKind, CredentialRecord};

/// A secret's length in bytes: what RFC 4226 section 4 recommends, and the length of the hash.
const SECRET: usize = 20;
/// A step's length in seconds.
const STEP: u64 = 30;
/// How many steps a clock may be ahead or behind.
const SKEW: u64 = 1;
/// How many digits a code has.
const DIGITS: usize = 6;
/// How long a new secret waits for its first code, in seconds.
const PENDING: u64 = 15 * 60;
/// After so many wrong codes in a row no code is looked at for a while: a minute at first, and every time twice as long.
const FAILURES: u32 = 5;
/// The longest such while, in seconds.
const LONGEST_LOCK: u64 = 24 * 3600;
const WHAT: &str = "credential";

impl Keystore {
    /// Makes the secret of a new authenticator app. It is asked for at sign-in from its first right code on.
    pub fn start_totp(&self, caller: &Presented) -> Answer<TotpStarted> {
        let presented = caller.clone();
        self.core
            .act(Act::CredentialAdd, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                caller.require_recent(scope.now)?;
                require_person(&caller)?;
                let secret = Zeroizing::new(seal::random::<SECRET>()?);
                let account = &caller.account;
                let state = State {
                    last_step: 0,
                    failures: 0,
                    locked_until: Timestamp::from_millis(0),
                    sealed: scope
                        .domain
                        .seal_secret(&associated_data(account.id), &*secret)?,
                };
                let expires = scope.now.plus_seconds(PENDING);
                let mut record = CredentialRecord::new(
                    account.id,
                    CredentialKind::TotpPending,
                    state.to_bytes(),
                    Some(expires),
                    scope.now,
                );
                scope.domain.authenticate_credential(&mut record);
                scope.tx.put_credential(&record)?;
                let text = base32(&*secret);
                Ok(TotpStarted {
                    uri: uri(&scope.domain.issuer(), &account.name, &text),
                    secret: text,
                    expires,
                })
            })
    }

    /// Takes the first code of a new authenticator app. From now on the password alone opens no session.
    pub fn confirm_totp(&self, caller: &Presented, request: ConfirmTotp) -> Answer<FactorAdded> {
        let presented = caller.clone();
        self.core
            .act(Act::CredentialAdd, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
 caller.require_recent(scope.now)?;
                let account = caller.account.id;
                let pending = scope
                    .view()
                    .credential(account, CredentialKind::TotpPending)?
                    .filter(|pending| pending.expires.is_some_and(|end| scope.now < end))
                    .ok_or_else(|| {
                        Error::Conflict(
                            "No authenticator app is being set up, or it was begun too long ago: begin again.".to_owned(),
                        )
                    })?;
                let mut state = State::from_bytes(&pending.data)?;
                let secret = open_secret(scope.domain, account, &state)?;
                state.last_step = matching_step(&secret, scope.now, 0, &request.code)
                    .ok_or(Error::SecondFactorRefused)?;
                let mut record = CredentialRecord::new(
                    account,
                    CredentialKind::Totp,
                    state.to_bytes(),
                    None,
                    scope.now,
                );
                scope.domain.authenticate_credential(&mut record);
                scope.tx.put_credential(&record)?;
                scope
                    .tx
                    .delete_credential(account, CredentialKind::TotpPending)?;
                let recovery_codes = second_factor::added(scope, account)?;
                scope.detail.note = Some("totp".to_owned());
                mail::tell_of_change(scope, &caller, CredentialChange::TotpAdded);
                let leaf = scope.record(Act::CredentialAdd)?;
                Ok(FactorAdded {
                    credential: listed(&record),
                    recovery_codes,
                    leaf,
                })
            })
    }
}

/// Only people have second factors: machines keep a secret.
pub(crate) fn require_person(caller: &Caller) -> Result<(), Error> {
    if caller.account.kind == AccountKind::Person {
        Ok(())
    } else {
        Err(Error::Invalid(
            "Only people have second factors, recovery codes and approval keys.".to_owned(),
        ))
    }
}

/// Looks at a code. What it came to is written to the record, so that it must be committed whether the code is right or wrong.
pub(super) fn try_code(
    scope: &mut Scope<'_>,
    mut record: CredentialRecord,
    code: &str,
) -> Result<Result<(), Error>, Error> {
    let mut state = State::from_bytes(&record.data)?;
    if scope.now < state.locked_until {
        let wait = state.locked_until.as_millis() - scope.now.as_millis();
        return Ok(Err(Error::SecondFactorLocked(wait.div_ceil(1000))));
    }
    let secret = open_secret(scope.domain, record.account, &state)?;
    let verdict = if let Some(step) = matching_step(&secret, scope.now, state.last_step, code) {
        state.last_step = step;
        state.failures = 0;
        record.used = Some(scope.now);
        Ok(())
    } else {
        state.failures = state.failures.saturating_add(1);
        if state.failures.is_multiple_of(FAILURES) {
            state.locked_until = scope.now.plus_seconds(lock_after(state.failures));
        }
        Err(Error::SecondFactorRefused)
    };
    record.data = state.to_bytes();
    scope.domain.authenticate_credential(&mut record);
    scope.tx.put_credential(&record)?;
    Ok(verdict)
}

/// How long no code is looked at after so many wrong ones in a row, in seconds.
fn lock_after(failures: u32) -> u64 {
    let doublings = (failures / FAILURES).saturating_sub(1).min(32);
    (60_u64 << doublings).min(LONGEST_LOCK)
}

/// What the record of an authenticator app holds.
struct State {
    /// The step whose code was used last: codes of it and of those before are not good any more.
    last_step: u64,
    /// Wrong codes since the last right one.
    failures: u32,
    /// Until when no code is looked at.
    locked_until: Timestamp,
    /// The secret, sealed.
    sealed: Vec<u8>,
}

impl State {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(20 + self.sealed.len());
        bytes.extend_from_slice(&self.last_step.to_be_bytes());
        bytes.extend_from_slice(&self.failures.to_be_bytes());
        bytes.extend_from_slice(&self.locked_until.as_millis().to_be_bytes());
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let read = || {
            let (last_step, rest) = bytes.split_first_chunk()?;
            let (failures, rest) = rest.split_first_chunk()?;
            let (locked_until, sealed) = rest.split_first_chunk()?;
            Some(Self {
                last_step: u64::from_be_bytes(*last_step),
                failures: u32::from_be_bytes(*failures),
                locked_until: Timestamp::from_millis(u64::from_be_bytes(*locked_until)),
                sealed: sealed.to_vec(),
            })
        };
        read().ok_or(Error::Integrity(WHAT))
    }
}

fn open_secret(
    domain: &Domain,
    account: AccountId,
    state: &State,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    domain.open_secret(&associated_data(account), &state.sealed, WHAT)
}

fn associated_data(account: AccountId) -> Vec<u8> {
    Canonical::new("totp-secret", 1)
        .bytes(account.as_bytes())
        .finish()
}

/// The step after `last` around `now` whose code this is.
fn matching_step(secret: &[u8], now: Timestamp, last: u64, given: &str) -> Option<u64> {
    let given: Zeroizing<String> =
        Zeroizing::new(given.chars().filter(|c| !c.is_whitespace()).collect());
    let now = now.as_millis() / 1000 / STEP;
    let steps = now.saturating_sub(SKEW)..=now + SKEW;
    // Every step is looked at, so that the time it takes does not say which fits.
    let mut found = None;
    for step in steps {
        let mut expected = format!("{:0DIGITS$}", code(secret, step));
        let fits = bool::from(expected.as_bytes().ct_eq(given.as_bytes()));
        expected.zeroize();
        if fits && step > last {
            found = Some(step);
        }
    }
    found
}

/// The code of a step: RFC 4226 section 5.3 with the step as counter.
fn code(secret: &[u8], step: u64) -> u32 {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let hash = tag.as_ref();
    let offset = usize::from(hash.last().copied().unwrap_or_default() & 0x0f);
    let mut chosen = [0; 4];
    for (byte, from) in chosen.iter_mut().zip(hash.iter().skip(offset)) {
        *byte = *from;
    }
    (u32::from_be_bytes(chosen) & 0x7fff_ffff) % 1_000_000
}

/// What authenticator apps read: the format that Google Authenticator's "Key URI Format" describes.
fn uri(issuer: &str, account: &str, secret: &str) -> String {
    let (issuer, account) = (percent(issuer), percent(account));
    format!(
        "otpauth://totp/{issuer}:{account}?secret={secret}&issuer={issuer}&algorithm=SHA1&digits={DIGITS}&period={STEP}"
    )
}

/// Percent-encodes all but the unreserved characters (RFC 3986 section 2.3).
fn percent(text: &str) -> String {
    use std::fmt::Write as _;

    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Base 32 (RFC 4648 section 6) without padding.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut group = [0; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let group = u64::from_be_bytes(group);
        for digit in 0..(chunk.len() * 8).div_ceil(5) {
            let value = group >> (35 - 5 * digit) & 0x1f;
            // Below 32, so it fits.
            text.push(char::from(
                ALPHABET[usize::try_from(value).unwrap_or_default()],
            ));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B: the SHA-1 rows, of whose eight digits the last six are the code of six digits.
    #[test]
    fn the_vectors_of_rfc_6238_hold() {
        let secret = b"12345678901234567890";
        for (seconds, expected) in [
            (59, 287_082),
            (1_111_111_109, 81_804),
            (1_111_111_111, 50_471),
            (1_234_567_890, 5_924),
            (2_000_000_000, 279_037),
            (20_000_000_000, 353_130),
        ] {
            assert_eq!(code(secret, seconds / STEP), expected, "{seconds}");
        }
    }

    #[test]
    fn the_vectors_of_rfc_4226_hold() {
        let secret = b"12345678901234567890";
        let expected = [
            755_224, 287_082, 359_152, 969_429, 338_314, 254_676, 287_922, 162_583, 399_871,
            520_489,
        ];
        for (counter, expected) in (0..).zip(expected) {
            assert_eq!(code(secret, counter), expected, "{counter}");
        }
    }

    #[test]
    fn a_clock_may_be_one_step_off_and_a_code_is_good_once() {
        let secret = [7; SECRET];
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        let text = format!("{:06}", code(&secret, 100));
        let step = |seconds, last| matching_step(&secret, at(seconds), last, &text);
        assert_eq!(step(99 * 30 - 1, 0), None);
        for seconds in [99 * 30, 100 * 30, 101 * 30, 102 * 30 - 1] {
            assert_eq!(step(seconds, 0), Some(100), "{seconds}");
            assert_eq!(step(seconds, 99), Some(100), "{seconds}");
            assert_eq!(step(seconds, 100), None, "{seconds}");
        }
        assert_eq!(step(102 * 30, 0), None);
        let spaced = format!(" {} {}", &text[..3], &text[3..]);
        assert_eq!(matching_step(&secret, at(3000), 0, &spaced), Some(100));
        for wrong in ["", "12345", "1234567", "abcdef"] {
            assert_eq!(matching_step(&secret, at(3000), 0, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn wrong_codes_cost_ever_more_time() {
        assert_eq!(
            [5, 10, 15, 20].map(lock_after),
            [60, 120, 240, 480],
            "seconds"
        );
        assert_eq!(lock_after(5 * 11), 60 * 1024);
        assert_eq!(lock_after(5 * 12), LONGEST_LOCK);
        assert_eq!(lock_after(u32::MAX), LONGEST_LOCK);
    }

    /// RFC 4648 section 10.
    #[test]
    fn the_vectors_of_rfc_4648_hold() {
        for (bytes, expected) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), expected);
        }
    }

    #[test]
    fn the_uri_is_what_apps_read() {
        assert_eq!(
            uri(
                "Strongroom keys.example.com",
                "alice@example.com",
                "MZXW6YTB"
            ),
            "otpauth://totp/Strongroom%20keys.example.com:alice%40example.com?secret=MZXW6YTB\
             &issuer=Strongroom%20keys.example.com&algorithm=SHA1&digits=6&period=30"
        );
    }
}
