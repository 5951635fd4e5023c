//! A device without a keyboard is paired by a person: the device's side of RFC 8628.

use std::fmt;
use std::thread;
use std::time::Duration;

use strongroom_session::AccountSecret;
use strongroom_wire::device::{PairedDevice, PairingError, PairingStarted};
use strongroom_wire::id::AccountId;
use url::form_urlencoded::Serializer;

use crate::ClientError;
use crate::api::{Call, Client};

const FORM: &str = "application/x-www-form-urlencoded";
const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// The codes of a pairing that has begun.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
/// let codes = client.start_pairing("thermostat")?;
/// println!("Type {} at {}.", codes.user_code(), codes.verification_uri());
/// # Ok(())
/// # }
/// ```
pub struct PairingCodes {
    started: PairingStarted,
    interval: Duration,
}

/// A device that was paired. Both belong in its protected storage.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client) -> Result<(), Box<dyn std::error::Error>> {
/// let codes = client.start_pairing("thermostat")?;
/// let paired = client.finish_pairing(codes)?;
/// std::fs::write("account", paired.account.to_string())?; // both in its protected storage
/// std::fs::write("secret", &*paired.secret.to_text())?;
/// # Ok(())
/// # }
/// ```
pub struct Paired {
    /// Its account.
    pub account: AccountId,
    /// Its account's name.
    pub name: String,
    /// Its secret.
    pub secret: AccountSecret,
}

/// Why a pairing came to nothing.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
/// use strongroom_client::device::PairingRefused;
///
/// let codes = client.start_pairing("thermostat")?;
/// match client.finish_pairing(codes) {
///     Ok(paired) => println!("this is {}", paired.name),
///     Err(PairingRefused::Denied) => println!("denied"),
///     Err(error) => println!("not paired: {error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PairingRefused {
    /// The person denied it.
    #[error("the device was denied")]
    Denied,
    /// Nobody approved it in time. Begin again.
    #[error("nobody approved the device in time")]
    Expired,
    /// The appliance could not be asked, or does not know the code any more.
    #[error(transparent)]
    Client(#[from] ClientError),
}

impl Client {
    /// Begins to pair this device, which calls itself `client_id`.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// let codes = client.start_pairing("thermostat")?;
    /// println!("Type {} at {}.", codes.user_code(), codes.verification_uri());
    /// # Ok(())
    /// # }
    /// ```
    pub fn start_pairing(&self, client_id: &str) -> Result<PairingCodes, ClientError> {
        let form = form(&[("client_id", client_id)]);
        let call = Call::post("/v1/pairings").with_text(FORM, form);
        let (status, body) = self.attempt(|address| self.send(address, &call, None))?;
        if !status.is_success() {
            return Err(self.refusal(status, &body));
        }
        let started: PairingStarted = serde_json::from_slice(&body)
            .map_err(|_| self.unexpected("an answer of an unknown form"))?;
        let interval = Duration::from_secs(started.interval.clamp(1, 60));
        Ok(PairingCodes { started, interval })
    }

    /// Asks for the device's secret until somebody has decided, at the intervals that the appliance wants.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::Device;
    ///
    /// let codes = client.start_pairing("thermostat")?;
    /// println!("Type {} at {}.", codes.user_code(), codes.verification_uri());
    /// let paired = client.finish_pairing(codes)?; // waits for the person
    /// let device = Device::new(client.clone(), paired.account, paired.secret);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`PairingRefused`].
    pub fn finish_pairing(&self, codes: PairingCodes) -> Result<Paired, PairingRefused> {
        let PairingCodes {
            started,
            mut interval,
        } = codes;
        let fields = [
            ("grant_type", GRANT_TYPE),
            ("device_code", started.device_code.as_str()),
        ];
        loop {
            thread::sleep(interval);
            let call = Call::post("/v1/pairings/token").with_text(FORM, form(&fields));
            let (status, body) = match self.attempt(|address| self.send(address, &call, None)) {
                // RFC 8628 section 3.5: on a timeout it goes on, more slowly.
                Err(ClientError::Unreachable { .. }) => {
                    interval *= 2;
                    continue;
                }
                sent => sent?,
            };
            if status.is_success() {
                let paired: PairedDevice = serde_json::from_slice(&body)
                    .map_err(|_| self.unexpected("an answer of an unknown form"))?;
                let secret = AccountSecret::from_text(&paired.access_token)
                    .ok_or_else(|| self.unexpected("a secret that is none"))?;
                return Ok(Paired {
                    account: paired.account,
                    name: paired.name,
                    secret,
                });
            }
            let Ok(PairingError { error, .. }) = serde_json::from_slice(&body) else {
                return Err(self.refusal(status, &body).into());
            };
            match error.as_str() {
                "authorization_pending" => {}
                "slow_down" => interval += Duration::from_secs(5),
                "access_denied" => return Err(PairingRefused::Denied),
                "expired_token" => return Err(PairingRefused::Expired),
                _ => return Err(self.unexpected("an error of an unknown kind").into()),
            }
        }
    }
}

impl PairingCodes {
    /// What the device shows for a person to type.
    ///
    /// ```no_run
    /// # fn run(codes: &strongroom_client::device::PairingCodes) -> Result<(), strongroom_client::ClientError> {
    /// println!("{}", codes.user_code());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.started.user_code
    }

    /// Where that person finds out how; to be shown beside the code.
    ///
    /// ```no_run
    /// # fn run(codes: &strongroom_client::device::PairingCodes) -> Result<(), strongroom_client::ClientError> {
    /// println!("Type {} at {}.", codes.user_code(), codes.verification_uri());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn verification_uri(&self) -> &str {
        &self.started.verification_uri
    }

    /// How long the codes are good for.
    ///
    /// ```no_run
    /// # fn run(codes: &strongroom_client::device::PairingCodes) -> Result<(), strongroom_client::ClientError> {
    /// println!("You have {} minutes.", codes.lifetime().as_secs() / 60);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn lifetime(&self) -> Duration {
        Duration::from_secs(self.started.expires_in)
    }
}

impl fmt::Debug for PairingCodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PairingCodes(hidden)")
    }
}

impl fmt::Debug for Paired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paired")
            .field("account", &self.account)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

fn form(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut form = Serializer::new(String::new());
    form.extend_pairs(fields);
    form.finish().into_bytes()
}
