//! The backend for every HSM with a PKCS#11 module.

mod keys;
mod module;
mod named;
mod pin;
mod pool;
mod recovery;
mod report;
mod rv;
mod selector;
mod spki;
mod token;
mod wrapping;

use std::{fmt, path::PathBuf};

use cryptoki::{
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::{Attribute, ObjectHandle},
    session::Session,
};

pub use module::initialise_token;
pub use pin::{Pin, PinSource};
pub use report::{Measured, Report, Survey, survey};
pub use selector::TokenSelector;
pub use token::MechanismUse;

use self::{
    keys::Kind,
    module::Module,
    pool::{CallError, Pool},
    token::Token,
};
use crate::{
    Aes256Key, Ed25519PublicKey, Hsm, HsmError, MasterKekId, NamedKeys, RecoveryBlob,
    RecoveryKekId, TokenInfo, WrapScheme, WrappedKey, types::check_signing_label,
};

/// How many random bytes one call asks for: HSMs limit it.
const RANDOM_CHUNK: usize = 1024;

/// Where the HSM is and how to use it.
#[derive(Clone, Debug)]
pub struct Pkcs11Config {
    /// The vendor's PKCS#11 module: the path of a shared library.
    pub module: PathBuf,
    /// Which token: its label, or an RFC 7512 URI ([`TokenSelector`]).
    pub token_label: String,
    /// The PIN of the token's user.
    pub pin: Pin,
    /// The most sessions that may be open at once: about twice the number of threads that use the HSM, within what
    /// it allows. 0 is taken for 1.
    pub max_sessions: usize,
}

/// An HSM behind a PKCS#11 module.
pub struct Pkcs11Hsm {
    pool: Pool,
    /// By what the token wraps; the first is used for wrapping.
    schemes: Vec<WrapScheme>,
}

impl Pkcs11Hsm {
    /// Loads the module, finds the token, checks that it has all mechanisms that Strongroom needs, and logs in.
    ///
    /// Login belongs to the process: where another [`Pkcs11Hsm`] of this process is logged in to the same token, the token does
    /// not look at the PIN.
    pub fn open(config: Pkcs11Config) -> Result<Self, HsmError> {
        let module = Module::load(&config.module)?;
        let token = Token::new(module, config.token_label.parse()?, config.pin);
        let hsm = Self {
            schemes: match token.probe() {
                Err(HsmError::TokenNotFound { .. } | HsmError::Unavailable { .. })
                    if token.module().reinitialise() =>
                {
                    token.probe()?
                }
                probed => probed?,
            },
            pool: Pool::new(token, config.max_sessions),
        };
        // Opens the first session, so that a wrong PIN shows now.
        hsm.pool.run(|_| Ok(()))?;
        Ok(hsm)
    }

    fn token(&self) -> &Token {
        self.pool.token()
    }

    fn key(&self, session: &Session, kind: Kind, label: &str) -> Result<ObjectHandle, CallError> {
        self.pool.handles().get(session, self.token(), kind, label)
    }

    /// The scheme by which the token wraps.
    #[must_use]
    pub fn scheme(&self) -> WrapScheme {
        // There is one, or the token would have been refused.
        self.schemes.first().copied().unwrap_or(WrapScheme::Rfc3394)
    }

    /// The versions that labels of keys of that kind name, in ascending order.
    fn versions(
        &self,
        kind: Kind,
        version_in_label: impl Fn(&str) -> Result<Option<u32>, HsmError>,
    ) -> Result<Vec<u32>, HsmError> {
        let mut versions = self.pool.run(|session| {
            let mut versions = Vec::new();
            for key in keys::find(session, self.token(), kind, None)? {
                if let Some(label) = keys::label_of(session, key)? {
                    versions.extend(version_in_label(&label)?);
                }
            }
            Ok(versions)
        })?;
        versions.sort_unstable();
        versions.dedup();
        Ok(versions)
    }

    fn destroy(&self, kind: Kind, label: &str) -> Result<(), HsmError> {
        let _alone = self.token().module().generating();
        let destroyed = self.pool.run_once(|session| {
            let key = self.key(session, kind, label)?;
            Ok(session.destroy_object(key)?)
        });
        // Its handle must not be used again: a token may give the number to another object.
        self.pool.handles().forget();
        destroyed
    }

    /// Whether the master KEK wraps and unwraps, asked when a module does not say why it failed to unwrap a key.
    fn works(&self, session: &Session, scheme: WrapScheme, kek: ObjectHandle) -> bool {
        let probe = Aes256Key::from_bytes([0x5a; 32]);
        wrapping::wrap(session, scheme, kek, &probe)
            .and_then(|blob| {
                let key = wrapping::unwrap(session, scheme, kek, &blob)?;
                read_and_destroy(session, self.token(), key)
            })
            .is_ok_and(|read| read.as_bytes() == probe.as_bytes())
    }
}

impl Hsm for Pkcs11Hsm {
    fn token_info(&self) -> Result<TokenInfo, HsmError> {
        Ok(token_info(&self.token().info()?))
    }

    fn generate_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        let (label, kind) = (id.label()?, Kind::MasterKek);
        let _alone = self.token().module().generating();
        self.pool
            .run(|session| keys::check_free(session, self.token(), kind, &label))?;
        self.pool.run_once(|session| {
            let template = keys::master_kek_template(&label);
            let key = keys::generate_aes(session, self.token(), kind, &label, &template)?;
            keys::check_new(session, self.token(), kind, &label, key)
        })
    }

    fn master_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        self.versions(Kind::MasterKek, |label| {
            MasterKekId::version_in_label(domain, label)
        })
    }

    fn destroy_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        self.destroy(Kind::MasterKek, &id.label()?)
    }

    fn wrap(&self, kek: &MasterKekId, key: &Aes256Key) -> Result<WrappedKey, HsmError> {
        let label = kek.label()?;
        let scheme = self.scheme();
        let blob = self.pool.run(|session| {
            let kek = self.key(session, Kind::MasterKek, &label)?;
            wrapping::wrap(session, scheme, kek, key)
        })?;
        let wrapped = WrappedKey {
            scheme,
            master_kek_version: kek.version,
            blob,
        };
        wrapped.check_len()?;
        Ok(wrapped)
    }

    fn unwrap(&self, domain: &str, wrapped: &WrappedKey) -> Result<Aes256Key, HsmError> {
        let kek = MasterKekId {
            domain: domain.to_owned(),
            version: wrapped.master_kek_version,
        };
        let label = kek.label()?;
        wrapped.check_len()?;
        let scheme = wrapped.scheme;
        if !self.schemes.contains(&scheme) {
            return Err(HsmError::SchemeUnknown {
                token: self.token().name(),
                scheme,
            });
        }
        self.pool.run(|session| {
            let kek = self.key(session, Kind::MasterKek, &label)?;
            match wrapping::unwrap(session, scheme, kek, &wrapped.blob) {
                Ok(key) => read_and_destroy(session, self.token(), key),
                Err(CallError::Module(error))
                    if rv::rejects_wrapped_key(&error)
                        || (rv::may_reject_wrapped_key(&error)
                            && self.works(session, scheme, kek)) =>
                {
                    Err(CallError::Known(HsmError::WrappedKeyRejected {
                        token: self.token().name(),
                        label: label.clone(),
                        code: rv::answer(&error),
                    }))
                }
                Err(error) => Err(error),
            }
        })
    }

    fn put_recovery_kek(&self, id: &RecoveryKekId, key: &Aes256Key) -> Result<(), HsmError> {
        recovery::put(self, id, key)
    }

    fn recovery_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        self.versions(Kind::RecoveryKek, |label| {
            RecoveryKekId::version_in_label(domain, label)
        })
    }

    fn destroy_recovery_kek(&self, id: &RecoveryKekId) -> Result<(), HsmError> {
        self.destroy(Kind::RecoveryKek, &id.label()?)
    }

    fn generate_recoverable_master_kek(
        &self,
        id: &MasterKekId,
        recovery: &RecoveryKekId,
    ) -> Result<RecoveryBlob, HsmError> {
        recovery::generate(self, id, recovery)
    }

    fn recover_master_kek(
        &self,
        id: &MasterKekId,
        recovery_kek: &Aes256Key,
        blob: &RecoveryBlob,
    ) -> Result<(), HsmError> {
        recovery::recover(self, id, recovery_kek, blob)
    }

    fn generate_signing_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        check_signing_label(label)?;
        let _alone = self.token().module().generating();
        self.pool.run(|session| {
            keys::check_free(session, self.token(), Kind::SigningKey, label)?;
            keys::check_free(session, self.token(), Kind::SigningPublicKey, label)
        })?;
        self.pool.run_once(|session| {
            let (public, private) = generate_ed25519(session, label, |template| template)?;
            for (kind, key) in [
                (Kind::SigningKey, private),
                (Kind::SigningPublicKey, public),
            ] {
                keys::check_new(session, self.token(), kind, label, key)?;
            }
            keys::ed25519_point(session, self.token(), public)
        })
    }

    fn destroy_signing_key(&self, label: &str) -> Result<(), HsmError> {
        check_signing_label(label)?;
        // The public half first: where that was all that an attempt before this got to, the private one is still found.
        match self.destroy(Kind::SigningPublicKey, label) {
            Err(HsmError::KeyNotFound { .. }) => {}
            destroyed => destroyed?,
        }
        self.destroy(Kind::SigningKey, label)
    }

    fn signing_public_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        check_signing_label(label)?;
        self.pool.run(|session| {
            let key = self.key(session, Kind::SigningPublicKey, label)?;
            keys::ed25519_point(session, self.token(), key)
        })
    }

    fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], HsmError> {
        check_signing_label(label)?;
        let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Ed25519));
        let signature = self.pool.run(|session| {
            let key = self.key(session, Kind::SigningKey, label)?;
            Ok(session.sign(&mechanism, key, message)?)
        })?;
        signature
            .try_into()
            .map_err(|_: Vec<u8>| HsmError::WrongAnswer {
                token: self.token().name(),
                function: "C_Sign",
                reason: "the signature does not have the 64 bytes of an Ed25519 signature",
            })
    }

    fn named(&self) -> Result<&dyn NamedKeys, HsmError> {
        Ok(self)
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        for chunk in out.chunks_mut(RANDOM_CHUNK) {
            let len = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
            let random = self
                .pool
                .run(|session| Ok(zeroize::Zeroizing::new(session.generate_random_vec(len)?)))?;
            chunk.copy_from_slice(&random);
        }
        Ok(())
    }
}

impl fmt::Debug for Pkcs11Hsm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pkcs11Hsm")
            .field("module", &self.token().module().path())
            .field("token", &self.token().label())
            .finish_non_exhaustive()
    }
}

fn token_info(info: &cryptoki::slot::TokenInfo) -> TokenInfo {
    let firmware = info.firmware_version();
    TokenInfo {
        label: info.label().to_owned(),
        manufacturer: info.manufacturer_id().to_owned(),
        model: info.model().to_owned(),
        serial: info.serial_number().to_owned(),
        firmware: format!("{}.{}", firmware.major(), firmware.minor()),
    }
}

fn read_and_destroy(
    session: &Session,
    token: &Token,
    key: ObjectHandle,
) -> Result<Aes256Key, CallError> {
    let value = keys::read_value(session, token, key);
    session.destroy_object(key).map_err(CallError::Leftover)?;
    value
}

/// Generates a key pair, the curve named in the way that the token understands. Gives the public and the private half. `adapt` may change
/// the templates.
fn generate_ed25519(
    session: &Session,
    label: &str,
    adapt: impl Fn(Vec<Attribute>) -> Vec<Attribute>,
) -> Result<(ObjectHandle, ObjectHandle), CallError> {
    let generate = |curve| {
        let (public, private) = keys::signing_key_templates(label, curve);
        session.generate_key_pair(
            &Mechanism::EccEdwardsKeyPairGen,
            &adapt(public),
            &adapt(private),
        )
    };
    let [first, second] = keys::ED25519_NAMES;
    match generate(first) {
        Err(error) if rv::rejects_curve_name(&error) => Ok(generate(second)?),
        generated => Ok(generated?),
    }
}
