//! Sign-in by client certificate.
//!
//! The site's authority vouches for certificates; which account one stands for is registered here, so that the authority alone makes nobody
//! anybody. Who may register a name may also give the account a new secret, by the same reasons.

use std::net::IpAddr;

use strongroom_session::TransportKey;
use strongroom_session::certificate::seal;
use strongroom_wire::account::Done;
use strongroom_wire::audit::Act;
use strongroom_wire::certificate::{
    CertificateName, CertificateNameKind, CertificateNames, OpenByCertificate, RegisteredName,
    SignedInByCertificate,
};
use strongroom_wire::id::AccountId;
use strongroom_wire::session::SignInStrength;

use super::admit::{first_request, may_sign};
use super::device_of;
use super::secrets::may_issue;
use crate::accounts::find;
use crate::act::{Caller, Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::roles::May;
use crate::seal::random;
use crate::sessions;
use crate::store::{AccountRecord, CertificateNameRecord};

/// The most names of one account.
const MOST_NAMES: usize = 16;
/// The longest URI, in bytes.
const LONGEST_URI: usize = 1024;
/// The longest DNS name (RFC 1035 section 2.3.4, without the length of the root), in bytes.
const LONGEST_DNS_NAME: usize = 253;

impl Keystore {
    /// The names in certificates by which an account is known; for itself, who paired it, and administrators.
    pub fn certificate_names(
        &self,
        caller: &Presented,
        account: AccountId,
    ) -> Answer<CertificateNames> {
        self.core.look(caller, |view, caller, _| {
            may_see(view, caller, account)?;
            let names = view
                .snapshot
                .certificate_names_of(account)?
                .into_iter()
                .map(|record| {
                    let record = view.domain.check_certificate_name(record)?;
                    Ok(RegisteredName {
                        name: record.name,
                        created: record.created,
                    })
                })
                .collect::<Result<Vec<_>, Error>>()?;
            Ok(CertificateNames { names })
        })
    }

    /// Registers a name in certificates for a device or service: by itself, by who paired it, or, until it first signs in, by an
    /// administrator.
    pub fn register_certificate(
        &self,
        caller: &Presented,
        account: AccountId,
        name: CertificateName,
    ) -> Answer<Done> {
        let name = check_name(name)?;
        let presented = caller.clone();
        self.core
            .act(Act::CertificateRegister, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(account);
                let record = known(&scope.view(), &caller, account)?;
                may_issue(&scope.view(), &caller, &record)?;
                if scope
                    .tx
                    .certificate_name(scope.domain.number, &name)?
                    .is_some()
                {
                    return Err(Error::Conflict(
                        "The name stands for an account already.".to_owned(),
                    ));
                }
                if scope.tx.certificate_names_of(account)?.len() >= MOST_NAMES {
                    return Err(Error::Conflict(format!(
                        "An account has at most {MOST_NAMES} such names."
                    )));
                }
                let mut record = CertificateNameRecord {
                    domain: scope.domain.number,
                    name: name.clone(),
                    account,
                    created: scope.now,
                    mac: [0; 32],
                };
                scope.domain.authenticate_certificate_name(&mut record);
                scope.tx.add_certificate_name(&record)?;
                scope.detail.note = Some(describe(&name));
                let leaf = scope.record(Act::CertificateRegister)?;
                Ok(Done { leaf })
            })
    }

    /// Removes a name: certificates with it stand for the account no more, and its sessions end. By the account itself, by who paired it, or by an
    /// administrator.
    pub fn remove_certificate(
        &self,
        caller: &Presented,
        account: AccountId,
        name: CertificateName,
    ) -> Answer<Done> {
        let name = check_name(name)?;
        let presented = caller.clone();
        self.core
            .act(Act::CertificateRemove, caller.source, move |scope| {
                let caller = scope.authenticate(&presented)?;
                scope.detail.subject = Some(account);
                may_see(&scope.view(), &caller, account)?;
                let found = scope.tx.certificate_name(scope.domain.number, &name)?;
                if found.is_none_or(|record| record.account != account) {
                    return Err(Error::CertificateNotFound);
                }
                scope
                    .tx
                    .remove_certificate_name(scope.domain.number, &name)?;
                scope.tx.end_sessions(account)?;
                scope.detail.note = Some(describe(&name));
                let leaf = scope.record(Act::CertificateRemove)?;
                Ok(Done { leaf })
            })
    }

    /// Opens a session for the account that one of these names of a certificate stands for. TLS has checked the certificate, and that
    /// the client has its key.
    pub fn open_by_certificate(
        &self,
        source: IpAddr,
        names: Vec<CertificateName>,
        request: OpenByCertificate,
    ) -> Answer<SignedInByCertificate> {
        let transport = TransportKey::from_bytes(random()?);
        let core = self.core.clone();
        self.core.act(Act::SessionOpen, source, move |scope| {
            scope.record_strangers = true;
            let account = signer(scope, &names)?;
            scope.detail.actor = Some(account.id);
            scope.detail.subject = None;
            first_request(scope, account.clone())?;
            let account = find(&scope.view(), account.id)?;
            let strength = SignInStrength::Secret;
            let signed_in =
                sessions::open(scope, &account, &transport, strength, source, &core.options)?;
            let sealed = seal(
                &request.wrapping_key.0,
                account.id,
                signed_in.session,
                &transport,
            )
            .map_err(|_| {
                Error::Invalid("The client's ephemeral public key is no key of X-Wing.".to_owned())
            })?;
            Ok(SignedInByCertificate {
                signed_in,
                encapsulated: sealed.encapsulated.into(),
                sealed: sealed.ciphertext.into(),
            })
        })
    }
}

/// The account that may sign in with a certificate of these names. One error for every reason why there is none.
fn signer(scope: &mut Scope<'_>, names: &[CertificateName]) -> Result<AccountRecord, Error> {
    let mut found = None;
    for name in names {
        if let Some(record) = scope.tx.certificate_name(scope.domain.number, name)? {
            let record = scope.domain.check_certificate_name(record)?;
            // A certificate that stands for two accounts stands for none.
            if found.is_some_and(|account| account != record.account) {
                return Err(Error::CertificateRefused);
            }
            found = Some(record.account);
        }
    }
    let account = found.ok_or(Error::CertificateRefused)?;
    scope.detail.subject = Some(account);
    scope
        .view()
        .account(account)?
        .filter(may_sign)
        .ok_or(Error::CertificateRefused)
}

/// The account, for whoever may know that it is there.
fn known(view: &View<'_>, caller: &Caller, account: AccountId) -> Result<AccountRecord, Error> {
    match find(view, account) {
        Err(Error::AccountNotFound(_)) => {
            caller.require(May::ManageAccounts)?;
            find(view, account)
        }
        found => found,
    }
}

fn may_see(view: &View<'_>, caller: &Caller, account: AccountId) -> Result<(), Error> {
    let paired_it =
        device_of(view, account)?.is_some_and(|device| device.paired_by == Some(caller.account.id));
    if caller.account.id == account || paired_it {
        return Ok(());
    }
    caller.require(May::ManageAccounts)?;
    find(view, account).map(drop)
}

fn check_name(name: CertificateName) -> Result<CertificateName, Error> {
    let value = name.value.trim().to_owned();
    let good = match name.kind {
        CertificateNameKind::Fingerprint => {
            value.len() == 64
                && value
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        }
        CertificateNameKind::Uri => {
            value.len() <= LONGEST_URI
                && value.bytes().all(|byte| byte.is_ascii_graphic())
                && value
                    .split_once(':')
                    .is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.is_empty())
        }
        CertificateNameKind::Dns => is_dns_name(&value),
    };
    if !good {
        return Err(Error::Invalid(
            "A certificate's fingerprint is its SHA-256 in 64 lower-case hexadecimal digits; its URI begins with a scheme; its DNS name is whole, \
             in lower case and without a wildcard."
                .to_owned(),
        ));
    }
    Ok(CertificateName {
        kind: name.kind,
        value,
    })
}

/// Whether a text is a DNS name as certificates have them (RFC 5280 section 4.2.1.6), in lower case: labels of letters, digits and hyphens. A
/// wildcard stands for many hosts, and so for no account.
fn is_dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= LONGEST_DNS_NAME && text.split('.').all(is_label)
}

fn describe(name: &CertificateName) -> String {
    let kind = match name.kind {
        CertificateNameKind::Fingerprint => "fingerprint",
        CertificateNameKind::Uri => "uri",
        CertificateNameKind::Dns => "dns",
    };
    format!("{kind} {}", name.value)
}
