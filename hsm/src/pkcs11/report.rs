//! What an operator wants to know of a token before choosing it.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use cryptoki::{
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::ObjectHandle,
    session::Session,
};

use super::{
    MechanismUse, Pkcs11Hsm, generate_ed25519, keys,
    module::Module,
    pool::CallError,
    read_and_destroy,
    token::{self, Token},
    token_info, wrapping,
};
use crate::{Aes256Key, Hsm as _, HsmError, TokenInfo, WrapScheme};

/// A token and what it offers: all that can be said of it without its PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// What the token says of itself.
    pub token: TokenInfo,
    /// Each mechanism that Strongroom needs or could use.
    pub mechanisms: Vec<MechanismUse>,
}

/// Looks at a token without logging in: for an operator to see what it lacks, also where [`Pkcs11Hsm::open`] refuses it. `token` is its label or
/// an RFC 7512 URI.
pub fn survey(module: &Path, token: &str) -> Result<Survey, HsmError> {
    let module = Module::load(module)?;
    let (_, info, mechanisms) = token::offered(&module, &token.parse()?)?;
    Ok(Survey {
        token: token_info(&info),
        mechanisms,
    })
}

/// A token, what it offers and how fast it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The module's path.
    pub module: PathBuf,
    /// What the token says of itself.
    pub token: TokenInfo,
    /// Each mechanism that Strongroom needs or could use.
    pub mechanisms: Vec<MechanismUse>,
    /// How the token would wrap account KEKs.
    pub scheme: WrapScheme,
    /// Why the token cannot make master KEKs that custodians can recover, or recover them; none when it can.
    pub recovery: Option<HsmError>,
    /// How fast it is.
    pub measured: Measured,
}

/// Calls a second on one thread, as the backend makes them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Account KEKs put in and wrapped.
    pub wraps: f64,
    /// Account KEKs unwrapped and read.
    pub unwraps: f64,
    /// Signatures of 200 bytes, the length of a checkpoint.
    pub signs: f64,
}

impl Pkcs11Hsm {
    /// Describes the token and measures it, each figure for the time given. It uses keys that exist in the session only: nothing
    /// is left in the token.
    pub fn report(&self, each: Duration) -> Result<Report, HsmError> {
        let scheme = self.scheme();
        let measured = self
            .pool
            .run_once(|session| measure(session, self.token(), scheme, each))?;
        let recovery = self
            .pool
            .run_once(|session| super::recovery::probe(session, scheme));
        Ok(Report {
            module: self.token().module().path().to_owned(),
            token: self.token_info()?,
            mechanisms: self.token().mechanisms()?,
            scheme,
            recovery: recovery.err(),
            measured,
        })
    }
}

fn measure(
    session: &Session,
    token: &Token,
    scheme: WrapScheme,
    each: Duration,
) -> Result<Measured, CallError> {
    let kek = session.generate_key(
        &Mechanism::AesKeyGen,
        &keys::in_session(keys::master_kek_template("strongroom/measured")),
    )?;
    let done = measure_wrapping(session, token, scheme, kek, each);
    session.destroy_object(kek).map_err(CallError::Leftover)?;
    let (wraps, unwraps) = done?;

    let (public, private) = generate_ed25519(session, "strongroom/measured", keys::in_session)?;
    let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
    let signs = rate(each, || {
        session.sign(&mechanism, private, &[0x2a; 200])?;
        Ok(())
    });
    for key in [public, private] {
        session.destroy_object(key).map_err(CallError::Leftover)?;
    }
    Ok(Measured {
        wraps,
        unwraps,
        signs: signs?,
    })
}

fn measure_wrapping(
    session: &Session,
    token: &Token,
    scheme: WrapScheme,
    kek: ObjectHandle,
    each: Duration,
) -> Result<(f64, f64), CallError> {
    let key = Aes256Key::from_bytes([0x5a; 32]);
    let blob = wrapping::wrap(session, scheme, kek, &key)?;
    let wraps = rate(each, || {
        wrapping::wrap(session, scheme, kek, &key)?;
        Ok(())
    })?;
    let unwraps = rate(each, || {
        let key = wrapping::unwrap(session, scheme, kek, &blob)?;
        read_and_destroy(session, token, key)?;
        Ok(())
    })?;
    Ok((wraps, unwraps))
}

fn rate(each: Duration, mut call: impl FnMut() -> Result<(), CallError>) -> Result<f64, CallError> {
    let started = Instant::now();
    let mut calls = 0_u32;
    loop {
        call()?;
        calls += 1;
        let elapsed = started.elapsed();
        if elapsed >= each {
            return Ok(f64::from(calls) / elapsed.as_secs_f64());
        }
    }
}
