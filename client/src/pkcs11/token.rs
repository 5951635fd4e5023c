//! A token: the account, where it is reached, how it signs in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strongroom_wire::id::AccountId;
use strongroom_wire::key::Protection;
use zeroize::Zeroizing;

use crate::device::AccountSecret;
use crate::{Client, ClientError, Identity, Retries, Roots};

/// The longest label of a token, in bytes (PKCS #11 3.0 section 3.2, `CK_TOKEN_INFO`).
///
/// ```
/// use strongroom_client::pkcs11::LONGEST_LABEL;
///
/// assert!("payroll".len() <= LONGEST_LABEL);
/// ```
pub const LONGEST_LABEL: usize = 32;

/// The longest and the usual time that the appliance has to begin an answer, in seconds.
///
/// ```
/// use strongroom_client::pkcs11::{ANSWERS_WITHIN, LONGEST_ANSWERS_WITHIN};
///
/// assert!(ANSWERS_WITHIN < LONGEST_ANSWERS_WITHIN);
/// ```
pub const LONGEST_ANSWERS_WITHIN: u64 = 120;
/// The time that the appliance has to begin an answer where nothing is said, in seconds: several times what making the largest RSA key takes.
///
/// ```
/// use strongroom_client::pkcs11::{ANSWERS_WITHIN, TokenConfig};
///
/// let token = TokenConfig::new("web", "https://keys.example.com:8443", "/etc/strongroom/ca.pem");
/// assert_eq!(token.answers_within, ANSWERS_WITHIN);
/// ```
pub const ANSWERS_WITHIN: u64 = 20;

/// How much later than an answer is due another attempt may begin.
const ANOTHER: Duration = Duration::from_secs(5);

/// A token: what one service account sees.
///
/// ```
/// use strongroom_client::pkcs11::TokenConfig;
///
/// let token = TokenConfig {
///     account: Some("01934c1e-7d5a-7cc0-8f3e-0123456789ab".to_owned()),
///     ..TokenConfig::new("web", "https://keys.example.com:8443", "/etc/strongroom/ca.pem")
/// };
/// assert!(!token.signs_in_by_itself(), "its PIN is the account's secret");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct TokenConfig {
    /// The name that applications choose it by: at most [`LONGEST_LABEL`] bytes of it are seen.
    pub label: String,
    /// The appliance's addresses, such as `https://keys.example.com:8443`; the first that answers is used.
    pub addresses: Vec<String>,
    /// The file of the certificates that the appliance's is checked against, in PEM.
    pub roots: PathBuf,
    /// The account's identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The file of the client certificate with its chain, in PEM, where the account signs in by that and without a PIN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The file of the client certificate's private key, in PEM; absent: it stands in the certificate's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
    /// The file of the account's secret, where the account signs in by that and without a PIN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<PathBuf>,
    /// The appliance's domain, where it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// How long the appliance has to begin an answer, in seconds, before the next address is tried where that does no harm: 1 to
    /// [`LONGEST_ANSWERS_WITHIN`], and [`ANSWERS_WITHIN`] where nothing is said.
    #[serde(default = "answers_within", skip_serializing_if = "is_answers_within")]
    pub answers_within: u64,
    /// Where the keys are kept that applications have generated and that are not extractable: in software, which is what is meant where nothing is
    /// said, or inside the appliance's HSM.
    #[serde(default, skip_serializing_if = "super::is_default")]
    pub protection: Protection,
}

const fn answers_within() -> u64 {
    ANSWERS_WITHIN
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_answers_within(seconds: &u64) -> bool {
    *seconds == ANSWERS_WITHIN
}

impl TokenConfig {
    /// The token of an account at this address of the appliance, vouched for by the certificates in the file `roots`.
    ///
    /// ```
    /// use strongroom_client::pkcs11::TokenConfig;
    ///
    /// let mut token = TokenConfig::new("web", "https://keys-1.example.com:8443", "/etc/strongroom/ca.pem");
    /// token.addresses.push("https://keys-2.example.com:8443".to_owned());
    /// token.certificate = Some("/etc/strongroom/web.pem".into());
    /// assert!(token.signs_in_by_itself());
    /// ```
    #[must_use]
    pub fn new(
        label: impl Into<String>,
        address: impl Into<String>,
        roots: impl Into<PathBuf>,
    ) -> Self {
        Self {
            label: label.into(),
            addresses: vec![address.into()],
            roots: roots.into(),
            account: None,
            certificate: None,
            key: None,
            secret: None,
            domain: None,
            answers_within: ANSWERS_WITHIN,
            protection: Protection::Software,
        }
    }

    /// Whether nobody has to give a PIN: the account signs in by its certificate or the file of its secret.
    ///
    /// ```
    /// use strongroom_client::pkcs11::TokenConfig;
    ///
    /// let token = TokenConfig::new("web", "https://keys.example.com:8443", "/etc/strongroom/ca.pem");
    /// assert!(!token.signs_in_by_itself());
    /// ```
    #[must_use]
    pub fn signs_in_by_itself(&self) -> bool {
        self.certificate.is_some() || self.secret.is_some()
    }

    /// A client that is set up with the token's addresses, roots, certificate and domain. Reads their files; asks nothing of the appliance.
    ///
    /// ```no_run
    /// # fn run(token: &strongroom_client::pkcs11::TokenConfig) -> Result<(), strongroom_client::ClientError> {
    /// println!("{:?}", token.client()?.health()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when there is no address, one of them or the domain is none, or a file cannot be read or is not what it should be.
    pub fn client(&self) -> Result<Client, ClientError> {
        self.client_at(&self.addresses)
    }

    /// The same with these addresses in place of the token's.
    ///
    /// ```no_run
    /// # fn run(token: &strongroom_client::pkcs11::TokenConfig) -> Result<(), strongroom_client::ClientError> {
    /// for address in &token.addresses {
    ///     println!("{address}: {:?}", token.client_at(&[address])?.health());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Self::client`].
    pub fn client_at(&self, addresses: &[impl AsRef<str>]) -> Result<Client, ClientError> {
        let (first, others) = addresses
            .split_first()
            .ok_or_else(|| ClientError::Setup("it has no address".to_owned()))?;
        let roots = Roots::from_pem(&read(&self.roots)?)?;
        let mut client = match self.identity()? {
            None => Client::new(first.as_ref(), &roots),
            Some(identity) => Client::with_identity(first.as_ref(), &roots, &identity),
        }?;
        for other in others {
            client = client.or_at(other.as_ref())?;
        }
        let within = Duration::from_secs(self.answers_within);
        let retries = Retries::default();
        // So that there is time to begin another attempt after one that was not answered.
        let client = client.answers_within(within).retries(Retries {
            within: retries.within.max(within.saturating_add(ANOTHER)),
            ..retries
        });
        match &self.domain {
            Some(domain) => client.in_domain(domain),
            None => Ok(client),
        }
    }

    /// The client certificate and its key, if the account signs in by one. Reads their files.
    ///
    /// ```no_run
    /// # fn run(token: &strongroom_client::pkcs11::TokenConfig) -> Result<(), strongroom_client::ClientError> {
    /// if token.identity()?.is_none() {
    ///     println!("{} signs in by the account's secret", token.label);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when a file cannot be read or is not what it should be.
    pub fn identity(&self) -> Result<Option<Identity>, ClientError> {
        match (&self.certificate, &self.key) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ClientError::Setup(
                "it has a private key and no certificate".to_owned(),
            )),
            (Some(certificate), key) => {
                let certificate = read(certificate)?;
                let key = key.as_deref().map(read).transpose()?;
                let key = key.as_ref().unwrap_or(&certificate);
                Identity::from_pem(&certificate, key).map(Some)
            }
        }
    }

    /// The account.
    ///
    /// ```
    /// use strongroom_client::pkcs11::TokenConfig;
    ///
    /// let token = TokenConfig::new("web", "https://keys.example.com:8443", "/etc/strongroom/ca.pem");
    /// assert!(token.account_id().is_err(), "without a certificate, it must be said whose secret the PIN is");
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when it is no identifier, or there is none and no certificate that stands for one.
    pub fn account_id(&self) -> Result<Option<AccountId>, ClientError> {
        match &self.account {
            Some(account) => account.parse().map(Some).map_err(|_| {
                ClientError::Setup(format!("{account:?} is no identifier of an account"))
            }),
            None if self.certificate.is_some() => Ok(None),
            None => Err(ClientError::Setup("it names no account".to_owned())),
        }
    }

    /// The account's secret, if a file is named that holds it.
    ///
    /// ```no_run
    /// # fn run(token: &strongroom_client::pkcs11::TokenConfig) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_client::Device;
    ///
    /// if let (Some(account), Some(secret)) = (token.account_id()?, token.read_secret()?) {
    ///     println!("{}", Device::new(token.client()?, account, secret).own_account()?.name);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Setup`] when the file cannot be read or holds no secret of an account.
    pub fn read_secret(&self) -> Result<Option<AccountSecret>, ClientError> {
        let Some(path) = &self.secret else {
            return Ok(None);
        };
        let text = read(path)?;
        let secret = std::str::from_utf8(&text).ok();
        let secret = secret.and_then(|text| AccountSecret::from_text(text.trim()));
        secret.map(Some).ok_or_else(|| {
            ClientError::Setup(format!("{} holds no secret of an account", path.display()))
        })
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, ClientError> {
    std::fs::read(path)
        .map(Zeroizing::new)
        .map_err(|error| ClientError::Setup(format!("{} cannot be read: {error}", path.display())))
}
