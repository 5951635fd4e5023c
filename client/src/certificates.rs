//! Services and devices that sign in by client certificate, and the names in certificates by which accounts are known.

use aws_lc_rs::digest;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use strongroom_session::certificate;
use strongroom_session::passkey::{EphemeralKey, SealedTransportKey};
use strongroom_wire::account::Done;
use strongroom_wire::certificate::{
    CertificateName, CertificateNameKind, CertificateNames, OpenByCertificate,
    SignedInByCertificate,
};
use strongroom_wire::id::AccountId;
use zeroize::Zeroizing;

pub use crate::api::Identity;

use crate::ClientError;
use crate::api::{Call, Client};
use crate::session::{Secrets, Session};

/// The fingerprint of the first certificate in a PEM text: what of it can be registered.
///
/// ```no_run
/// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::certificates::fingerprint;
///
/// let name = fingerprint(&std::fs::read("service.pem")?)?;
/// session.register_certificate(account, &name)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::Setup`] when there is no certificate in it.
pub fn fingerprint(pem: &[u8]) -> Result<CertificateName, ClientError> {
    let certificate = CertificateDer::from_pem_slice(pem)
        .map_err(|_| ClientError::Setup("the file holds no certificate in PEM".to_owned()))?;
    let digest = digest::digest(&digest::SHA256, &certificate);
    let value = hex::encode(digest);
    Ok(CertificateName {
        kind: CertificateNameKind::Fingerprint,
        value,
    })
}

impl Client {
    /// Signs in by the certificate that this client was set up with ([`Client::with_identity`]).
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::{Client, Identity};
    ///
    /// let identity = Identity::from_pem(&std::fs::read("service.pem")?, &std::fs::read("service.key")?)?;
    /// let client = Client::with_identity("https://keys.example.com:8443", roots, &identity)?;
    /// let session = client.sign_in_by_certificate()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] when the certificate stands for no account; [`ClientError::AlteredMaterial`] when the transport key that came
    /// is not for this client.
    pub fn sign_in_by_certificate(&self) -> Result<Session, ClientError> {
        let key = EphemeralKey::generate();
        let request = OpenByCertificate {
            wrapping_key: key.public().into(),
        };
        let answer: SignedInByCertificate = self.call(
            &Call::post("/v1/sessions/certificate").with(&request)?,
            None,
        )?;
        let signed_in = answer.signed_in;
        let sealed = SealedTransportKey {
            encapsulated: answer.encapsulated.0,
            ciphertext: answer.sealed.0,
        };
        let (account, session) = (signed_in.account.id, signed_in.session);
        let transport_key = certificate::open(&key, account, session, &sealed)
            .map_err(|_| ClientError::AlteredMaterial)?;
        let token = Zeroizing::new(signed_in.token.0);
        let secrets = Secrets::new(&token, transport_key)
            .ok_or_else(|| self.unexpected("a token that is none"))?;
        Ok(Session::resume(
            self.clone(),
            signed_in.session,
            signed_in.account,
            signed_in.expires,
            secrets,
        ))
    }
}

impl Session {
    /// The names in certificates by which an account is known.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// for registered in session.certificate_names(account)?.names {
    ///     println!("{} since {}", registered.name.value, registered.created);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn certificate_names(&self, account: AccountId) -> Result<CertificateNames, ClientError> {
        self.call(&Call::get(format!("/v1/accounts/{account}/certificates")))
    }

    /// Registers a name in certificates: for oneself, for a device that one paired or, before it first signs in, for any device or service.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::certificate::{CertificateName, CertificateNameKind};
    ///
    /// let value = "spiffe://example.com/billing".to_owned();
    /// session.register_certificate(account, &CertificateName { kind: CertificateNameKind::Uri, value })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn register_certificate(
        &self,
        account: AccountId,
        name: &CertificateName,
    ) -> Result<Done, ClientError> {
        self.call(&Call::post(format!("/v1/accounts/{account}/certificates")).with(name)?)
    }

    /// Removes a name in certificates.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, account: strongroom_wire::id::AccountId) -> Result<(), strongroom_client::ClientError> {
    /// for registered in session.certificate_names(account)?.names {
    ///     session.remove_certificate(account, &registered.name)?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_certificate(
        &self,
        account: AccountId,
        name: &CertificateName,
    ) -> Result<Done, ClientError> {
        let path = format!("/v1/accounts/{account}/certificates");
        self.call(&Call::find(&path, name).by_delete())
    }
}
