//! The token over HTTPS: where a configured token comes from.
//!
//! | module | what lives there |
//! |---|---|
//! | here | [`connect`], and signing in |
//! | `token` | [`Token`] over the client library |
//! | `keys` | making keys and holding them to their attributes |
//! | `crossing` | keys that come out of keys: wrapped, unwrapped, derived, agreed on |
//! | `objects` | objects of the appliance as attributes, and back |
//! | `operations` | mechanisms as operations of the appliance |
//! | `policy` | mechanisms as usage policies know them |
//! | `encoding` | attributes as the appliance keeps them |
//! | `failure` | what a failure of the client library means here |
//!
//! [`connect`] is the one place that chooses what stands behind [`Token`].

/// Does the same with whoever makes the requests.
macro_rules! ask {
    ($token:expr, $who:ident => $call:expr) => {{
        let who = $token.who()?;
        let answer = match &*who {
            $crate::https::Who::Device($who) => {
                let $who = &**$who;
                $call
            }
            $crate::https::Who::Session($who) => {
                let $who = &**$who;
                $call
            }
        };
        match answer {
            Err(error)
                if $token.by_certificate && $crate::https::failure::wants_sign_in(&error) =>
            {
                // The session has ended, or is too old for this key; the certificate opens another.
                $token.sign_in_by_certificate()?;
                match &*$token.who()? {
                    $crate::https::Who::Device($who) => {
                        let $who = &**$who;
                        $call
                    }
                    $crate::https::Who::Session($who) => {
                        let $who = &**$who;
                        $call
                    }
                }
            }
            answer => answer,
        }
        .map_err($crate::https::failure::refused)
    }};
}

mod crossing;
mod encoding;
mod failure;
mod keys;
mod objects;
mod operations;
mod policy;
mod token;

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cryptoki_sys::*;
use strongroom_client::device::AccountSecret;
use strongroom_client::objects::Objects;
use strongroom_client::{Client, ClientError, Device, Session};
use strongroom_wire::id::{AccountId, KeyId, ObjectId as WireId};
use strongroom_wire::key::Protection;

use self::failure::refused;
use crate::config::TokenConfig;
use crate::ffi;
use crate::token::{
    Answer, Change, ObjectId, Token, TokenError, TokenErrorKind as Kind, TokenResult,
};

/// For how long the state that was heard of goes with answers that do not say it.
const HEARD_FOR: Duration = Duration::from_millis(500);

/// The token that a configuration names. Asks nothing of the appliance: that is done when the token is first used.
///
/// # Errors
/// [`TokenErrorKind::Configuration`](Kind::Configuration): the slot is there, its token is not, and the log says this.
pub fn connect(config: &TokenConfig) -> TokenResult<Arc<dyn Token>> {
    let wrong = |why: String| {
        let what = format!("the token {:?} cannot be used: {why}", config.label);
        TokenError::new(Kind::Configuration, what)
    };
    let set_up = |error: ClientError| wrong(error.to_string());
    let client = config
        .client()
        .map_err(set_up)?
        .tells_waits(ffi::fork::waits);
    let account = config.account_id().map_err(set_up)?;
    let secret = config.read_secret().map_err(set_up)?;
    let by_certificate = config.certificate.is_some();
    let by_itself = secret.is_some() || by_certificate;
    let signed_in = match (account, secret) {
        (Some(account), Some(secret)) => Some(Arc::new(Who::Device(Box::new(Device::new(
            client.clone(),
            account,
            secret,
        ))))),
        _ => None,
    };
    Ok(Arc::new(HttpsToken {
        label: config.label.clone(),
        client,
        account,
        by_certificate,
        by_itself,
        signed_in: RwLock::new(signed_in),
        heard: Mutex::new(None),
        forbidden: Mutex::new(policy::usually_forbidden()),
        protection: config.protection,
    }))
}

fn secret_of(text: &[u8]) -> Option<AccountSecret> {
    AccountSecret::from_text(std::str::from_utf8(text).ok()?.trim())
}

struct HttpsToken {
    label: String,
    client: Client,
    account: Option<AccountId>,
    by_certificate: bool,
    /// Whether nobody has to give a PIN.
    by_itself: bool,
    signed_in: RwLock<Option<Arc<Who>>>,
    heard: Mutex<Option<(Change, Instant)>>,
    /// The mechanisms that the domain forbids, as was last said.
    forbidden: Mutex<Vec<CK_MECHANISM_TYPE>>,
    /// Where generated keys are kept that are not extractable.
    protection: Protection,
}

/// Who makes the requests.
enum Who {
    Device(Box<Device>),
    Session(Box<Session>),
}

impl HttpsToken {
    /// The mechanisms of PKCS #11 that the domain forbids. Only whoever has signed in is told.
    fn ask_forbidden(&self) -> TokenResult<Vec<CK_MECHANISM_TYPE>> {
        let allowed = ask!(self, who => who.allowed_mechanisms())?;
        let forbidden = policy::forbidden(&allowed);
        let mut last = self
            .forbidden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.clone_from(&forbidden);
        Ok(forbidden)
    }

    /// The same as it was last said; before that, what is forbidden where nothing is said.
    fn last_forbidden(&self) -> Vec<CK_MECHANISM_TYPE> {
        let last = self
            .forbidden
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        last.clone()
    }

    fn who(&self) -> TokenResult<Arc<Who>> {
        let known = self
            .signed_in
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if known.is_none() && self.by_certificate {
            self.sign_in_by_certificate()?;
            return self.who_now();
        }
        known.ok_or_else(|| TokenError::new(Kind::NotSignedIn, "nobody has signed in"))
    }

    fn who_now(&self) -> TokenResult<Arc<Who>> {
        let known = self
            .signed_in
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        known
            .clone()
            .ok_or_else(|| TokenError::new(Kind::NotSignedIn, "nobody has signed in"))
    }

    fn sign_in_by_certificate(&self) -> TokenResult<()> {
        let session = self.client.sign_in_by_certificate().map_err(refused)?;
        self.become_signed_in(Some(Who::Session(Box::new(session))));
        Ok(())
    }

    fn become_signed_in(&self, who: Option<Who>) {
        *self
            .signed_in
            .write()
            .unwrap_or_else(PoisonError::into_inner) = who.map(Arc::new);
    }

    fn hear(&self, change: u64) -> Change {
        let change = Change(change);
        *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some((change, Instant::now()));
        change
    }

    /// An answer that does not say the state: with the one that was heard of lately, or is asked for.
    fn answer<T>(&self, value: T) -> TokenResult<Answer<T>> {
        let heard = *self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let change = match heard {
            Some((change, at)) if at.elapsed() < HEARD_FOR => change,
            _ => self.change()?,
        };
        Ok(Answer { value, change })
    }
}

fn wire(id: ObjectId) -> WireId {
    WireId::from_bytes(*id.uuid.as_bytes())
}

fn key(id: ObjectId) -> KeyId {
    KeyId::from_bytes(*id.uuid.as_bytes())
}
