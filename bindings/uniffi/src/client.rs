//! Whom to talk to, and signing in.

use std::sync::Arc;

use strongroom_client::device::AccountSecret;
use strongroom_client::sign_in;
use strongroom_client::{Client as Inner, Roots};
use strongroom_wire::credential::{CredentialKind, SecondFactor};

use crate::StrongroomError;
use crate::keys::identifier;
use crate::session::{Device, Session};

/// Which appliance, and who vouches for it.
#[derive(uniffi::Record)]
pub struct ClientSettings {
    /// Its address, such as `https://keys.example.com:8443`.
    pub server: String,
    /// The certificates of the authorities that vouch for it, in PEM.
    pub ca: Vec<u8>,
    /// Further addresses at which it, or another that serves the same domain, is reached: they are tried in turn.
    #[uniffi(default = [])]
    pub or_at: Vec<String>,
    /// Further addresses under which others know it: objects that name one of them are opened here, too.
    #[uniffi(default = [])]
    pub also_known_as: Vec<String>,
    /// The domain of the appliance, where the address does not stand for it.
    #[uniffi(default = None)]
    pub domain: Option<String>,
    /// The client certificate that it presents wherever it is asked for one.
    #[uniffi(default = None)]
    pub identity: Option<Identity>,
    /// How often every address is tried when a request comes to nothing and may be made again; 4 where it is absent.
    #[uniffi(default = None)]
    pub rounds: Option<u32>,
}

/// A client certificate and its private key.
#[derive(uniffi::Record)]
pub struct Identity {
    /// The certificate, followed by those between it and the site's authority, in PEM.
    pub certificate: Vec<u8>,
    /// Its private key, in PEM.
    pub key: Vec<u8>,
}

/// An appliance this client is set up with.
#[derive(uniffi::Object)]
pub struct Client(Inner);

/// Where a sign-in has come to.
#[derive(uniffi::Enum)]
pub enum SignIn {
    /// The session is open.
    Done {
        /// The session.
        session: Arc<Session>,
    },
    /// The password was right, and the account has a second factor.
    SecondFactorNeeded {
        /// What waits for it.
        sign_in: Arc<SecondFactorSignIn>,
    },
}

/// A sign-in whose password was right and that waits for a second factor.
#[derive(uniffi::Object)]
pub struct SecondFactorSignIn(sign_in::SecondFactorSignIn);

#[uniffi::export]
impl Client {
    /// Sets up a client. Connects to nothing yet.
    #[uniffi::constructor]
    pub fn new(settings: ClientSettings) -> Result<Arc<Self>, StrongroomError> {
        let roots = Roots::from_pem(&settings.ca)?;
        let mut client = match &settings.identity {
            Some(identity) => {
                let identity =
                    strongroom_client::Identity::from_pem(&identity.certificate, &identity.key)?;
                Inner::with_identity(&settings.server, &roots, &identity)?
            }
            None => Inner::new(&settings.server, &roots)?,
        };
        for address in &settings.or_at {
            client = client.or_at(address)?;
        }
        for address in &settings.also_known_as {
            client = client.also_known_as(address)?;
        }
        if let Some(domain) = &settings.domain {
            client = client.in_domain(domain)?;
        }
        if let Some(rounds) = settings.rounds {
            client = client.retries(strongroom_client::Retries {
                rounds,
                ..strongroom_client::Retries::default()
            });
        }
        Ok(Arc::new(Self(client)))
    }

    /// The appliance's origin, such as `https://keys.example.com:8443`.
    #[must_use]
    pub fn origin(&self) -> String {
        self.0.origin().to_owned()
    }

    /// Sets the password of an account with the one-time code that the administrator handed out.
    pub fn enrol(
        &self,
        account: String,
        code: String,
        password: Vec<u8>,
    ) -> Result<(), StrongroomError> {
        self.0.enrol(&account, &code, &password)?;
        Ok(())
    }

    /// Signs in with a password, up to where a second factor is asked for if the account has one. The appliance never sees the password.
    pub fn sign_in(&self, account: String, password: Vec<u8>) -> Result<SignIn, StrongroomError> {
        Ok(match self.0.begin_sign_in(&account, &password)? {
            sign_in::SignIn::Done(session) => SignIn::Done {
                session: Session::new(*session),
            },
            sign_in::SignIn::SecondFactor(waiting) => SignIn::SecondFactorNeeded {
                sign_in: Arc::new(SecondFactorSignIn(*waiting)),
            },
        })
    }

    /// Signs in by the certificate that this client was set up with.
    pub fn sign_in_by_certificate(&self) -> Result<Arc<Session>, StrongroomError> {
        Ok(Session::new(self.0.sign_in_by_certificate()?))
    }

    /// The device or service with this account and account secret, which signs each of its requests. Nothing is asked of the appliance yet.
    pub fn device(
        &self,
        account_id: String,
        secret: String,
    ) -> Result<Arc<Device>, StrongroomError> {
        let account = identifier(&account_id)?;
        let secret = AccountSecret::from_text(&secret)
            .ok_or_else(|| StrongroomError::invalid("that is no account secret"))?;
        let device = strongroom_client::Device::new(self.0.clone(), account, secret);
        Ok(Device::new(device))
    }
}

#[uniffi::export]
impl SecondFactorSignIn {
    /// Whether an authenticator app's code is taken.
    #[must_use]
    pub fn takes_totp(&self) -> bool {
        self.0.needed().kinds.contains(&CredentialKind::Totp)
    }

    /// Whether a recovery code is taken.
    #[must_use]
    pub fn takes_recovery_code(&self) -> bool {
        let kinds = &self.0.needed().kinds;
        kinds.contains(&CredentialKind::RecoveryCodes)
    }

    /// How many tries this sign-in is good for.
    #[must_use]
    pub fn tries(&self) -> u32 {
        self.0.needed().tries
    }

    /// Proves the second factor by the six digits that the authenticator app shows, and opens the session. When they are wrong it may be tried
    /// again, as long as tries are left.
    pub fn prove_totp(&self, code: String) -> Result<Arc<Session>, StrongroomError> {
        Ok(Session::new(self.0.prove(SecondFactor::Totp(code))?))
    }

    /// The same by a recovery code, which is used up.
    pub fn prove_recovery_code(&self, code: String) -> Result<Arc<Session>, StrongroomError> {
        Ok(Session::new(
            self.0.prove(SecondFactor::RecoveryCode(code))?,
        ))
    }
}
