//! Disclosures: executing and releasing them, what people are told of them, and what an agency does with what it gets.
//!
//! What an agency does needs no appliance: it reads the package, opens the sealed keys with its private key, and what the keys protect with those.
//!
//! ```no_run
//! # fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use strongroom_client::disclosure::{self, AgencyKey, DisclosedKey, Package};
//!
//! let key = AgencyKey::parse(&std::fs::read("agency.key")?)?;
//! let package = Package::read(&std::fs::read("delivery.tar")?)?;
//! for (record, sealed) in &package.items {
//!     let disclosed = DisclosedKey::from_bytes(&key.open(sealed, None)?)?;
//!     let mail = disclosure::open_mail(&disclosed, &std::fs::read("intercepted.eml")?)?;
//!     println!("{} bytes", mail.plaintext.len());
//! }
//! # Ok(())
//! # }
//! ```

use std::io::Read;

use strongroom_wire::disclosure::{
    ChangedDisclosure, Disclosure, DisclosurePreview, Disclosures, Hold, Notifications,
};
use strongroom_wire::id::{AuthorisationId, DisclosureId, KeyId};
use strongroom_wire::key::Algorithm;
use zeroize::Zeroizing;

pub use strongroom_disclosure::agency::{PRIVATE, PUBLIC};
pub use strongroom_disclosure::cms::SealingCertificate;
pub use strongroom_disclosure::hpke::HpkePrivateKey;
pub use strongroom_disclosure::package::names;
pub use strongroom_disclosure::{
    AgencyKey, DeliveryRecord, DisclosedKey, DisclosedVersion, DisclosureError, Manifest, Package,
    PackageError, SealingKey,
};

use crate::ClientError;
use crate::api::Call;
use crate::mail;
use crate::message::{Envelope, MessageError, MessageHeader};
use crate::object::{self, DecryptReader, Header, ObjectKey};
use crate::session::Session;

/// A message that was opened with a disclosed key. What it says of itself was written by somebody who had the key.
///
/// ```no_run
/// # fn run(key: &strongroom_client::disclosure::DisclosedKey) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::disclosure;
///
/// let opened = disclosure::open_message(key, &std::fs::read("report.sealed")?)?;
/// println!("{} bytes, protected by {}", opened.plaintext.len(), opened.header.key);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct OpenedWithDisclosed {
    /// What it says of itself.
    pub header: MessageHeader,
    /// The content, zeroised when dropped.
    pub plaintext: Zeroizing<Vec<u8>>,
}

/// Opens a sealed message with the disclosed key that it names.
///
/// ```no_run
/// # fn run(key: &strongroom_client::disclosure::DisclosedKey) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::disclosure;
///
/// let opened = disclosure::open_message(key, &std::fs::read("report.sealed")?)?;
/// std::fs::write("report.txt", &*opened.plaintext)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::NotDisclosed`] when it is protected by another key; [`ClientError::Message`] when it is no message or was altered.
pub fn open_message(
    key: &DisclosedKey,
    envelope: &[u8],
) -> Result<OpenedWithDisclosed, ClientError> {
    let envelope = Envelope::parse(envelope)?;
    let header = envelope.header().clone();
    let material = material(key, header.key, header.key_version)?;
    let plaintext = envelope.open(&*material)?;
    Ok(OpenedWithDisclosed { header, plaintext })
}

/// Opens sealed mail with the disclosed key that it names.
///
/// ```no_run
/// # fn run(key: &strongroom_client::disclosure::DisclosedKey) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::disclosure;
///
/// let mail = disclosure::open_mail(key, &std::fs::read("intercepted.eml")?)?;
/// std::fs::write("opened.eml", &*mail.plaintext)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`open_message`]; [`ClientError::Mail`] when nothing in it is sealed, or no mail is.
pub fn open_mail(key: &DisclosedKey, message: &[u8]) -> Result<OpenedWithDisclosed, ClientError> {
    let opened = open_message(key, &mail::sealed_part(message)?)?;
    if opened.header.content_type.as_deref() == Some(mail::CONTENT_TYPE) {
        Ok(opened)
    } else {
        Err(mail::MailError::SealedOther.into())
    }
}

/// Opens a protected object with the disclosed key that it names: its header, and the reader of its content.
///
/// ```no_run
/// # fn run(key: &strongroom_client::disclosure::DisclosedKey) -> Result<(), Box<dyn std::error::Error>> {
/// use strongroom_client::disclosure;
///
/// let (header, mut content) = disclosure::open_object(key, std::fs::File::open("plan.object")?)?;
/// println!("protected by {}", header.key());
/// std::io::copy(&mut content, &mut std::fs::File::create("plan.pdf")?)?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ClientError::NotDisclosed`] when it is protected by another key; [`ClientError::Object`] when it is no object or was altered.
pub fn open_object<R: Read>(
    key: &DisclosedKey,
    reader: R,
) -> Result<(Header, DecryptReader<R>), ClientError> {
    let object = object::open(reader)?;
    let header = object.header().clone();
    let material = material(key, header.key(), header.key_version())?;
    Ok((header, object.with_key(&ObjectKey::new(material))?))
}

/// The material of the version of a disclosed key that something is protected by.
fn material(
    disclosed: &DisclosedKey,
    key: KeyId,
    version: u32,
) -> Result<Zeroizing<[u8; 32]>, ClientError> {
    if disclosed.key != key {
        return Err(ClientError::NotDisclosed {
            wanted: key,
            disclosed: disclosed.key,
        });
    }
    let material = disclosed.material(version);
    let material = material.filter(|_| disclosed.algorithm == Algorithm::Aes256);
    material
        .and_then(|material| material.try_into().ok())
        .map(Zeroizing::new)
        .ok_or_else(|| MessageError::Altered.into())
}

impl Session {
    /// What the scope of an authorisation in effect reaches now: counts and metadata. For executors and releasers.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, order: strongroom_wire::id::AuthorisationId) -> Result<(), strongroom_client::ClientError> {
    /// let preview = session.preview_disclosure(order)?;
    /// println!("it reaches {} keys, and at most {} may still be delivered", preview.items, preview.left);
    /// # Ok(())
    /// # }
    /// ```
    pub fn preview_disclosure(
        &self,
        authorisation: AuthorisationId,
    ) -> Result<DisclosurePreview, ClientError> {
        self.call(&Call::post(format!(
            "/v1/authorisations/{authorisation}/preview"
        )))
    }

    /// Executes an authorisation in effect: another person can release what it reaches. For executors.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, order: strongroom_wire::id::AuthorisationId) -> Result<(), strongroom_client::ClientError> {
    /// let executed = session.execute_disclosure(order)?.disclosure;
    /// println!("{} awaits release: {} keys", executed.id, executed.items);
    /// # Ok(())
    /// # }
    /// ```
    pub fn execute_disclosure(
        &self,
        authorisation: AuthorisationId,
    ) -> Result<ChangedDisclosure, ClientError> {
        self.call(&Call::post(format!(
            "/v1/authorisations/{authorisation}/disclosures"
        )))
    }

    /// The disclosures under an authorisation, the oldest first. For those who have a role in cases, and auditors.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, order: strongroom_wire::id::AuthorisationId) -> Result<(), strongroom_client::ClientError> {
    /// for disclosure in session.disclosures(order)?.disclosures {
    ///     println!("{}: {} keys, executed by {}", disclosure.id, disclosure.items, disclosure.executor);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn disclosures(&self, authorisation: AuthorisationId) -> Result<Disclosures, ClientError> {
        self.call(&Call::get(format!(
            "/v1/authorisations/{authorisation}/disclosures"
        )))
    }

    /// What an authorisation keeps from destruction. For those who have a role in cases, and auditors.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, order: strongroom_wire::id::AuthorisationId) -> Result<(), strongroom_client::ClientError> {
    /// for kept in session.hold(order)?.kept {
    ///     println!("{} of {} is kept", kept.key, kept.owner);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn hold(&self, authorisation: AuthorisationId) -> Result<Hold, ClientError> {
        self.call(&Call::get(format!(
            "/v1/authorisations/{authorisation}/hold"
        )))
    }

    /// A disclosure. For those who have a role in cases, and auditors.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::DisclosureId) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::disclosure::DisclosureState;
    ///
    /// if session.disclosure(id)?.state == DisclosureState::Released {
    ///     println!("it can be delivered");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn disclosure(&self, disclosure: DisclosureId) -> Result<Disclosure, ClientError> {
        self.call(&Call::get(format!("/v1/disclosures/{disclosure}")))
    }

    /// Releases a disclosure that another person has executed. For releasers.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::DisclosureId) -> Result<(), strongroom_client::ClientError> {
    /// let released = session.release_disclosure(id)?;
    /// println!("released, as leaf {} says", released.leaf);
    /// # Ok(())
    /// # }
    /// ```
    pub fn release_disclosure(
        &self,
        disclosure: DisclosureId,
    ) -> Result<ChangedDisclosure, ClientError> {
        self.call(&Call::post(format!("/v1/disclosures/{disclosure}/release")))
    }

    /// The package of a released disclosure, as it goes to the agency; held against its own manifest. For releasers.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, id: strongroom_wire::id::DisclosureId) -> Result<(), Box<dyn std::error::Error>> {
    /// std::fs::write("delivery.tar", session.delivery(id)?)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delivery(&self, disclosure: DisclosureId) -> Result<Vec<u8>, ClientError> {
        let call = Call::post(format!("/v1/disclosures/{disclosure}/delivery")).repeatable();
        let package = self.bytes(&call)?;
        let is_it =
            Package::read(&package).is_ok_and(|package| package.manifest.delivery == disclosure);
        if is_it {
            Ok(package)
        } else {
            Err(self.client().unexpected("another package"))
        }
    }

    /// What was disclosed of the caller's, as far as its delay is over, the newest first.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// for told in session.notifications()?.notifications {
    ///     println!("{}: {} keys were disclosed to {}", told.released, told.items.len(), told.issuing_authority);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn notifications(&self) -> Result<Notifications, ClientError> {
        self.call(&Call::get("/v1/notifications"))
    }
}
