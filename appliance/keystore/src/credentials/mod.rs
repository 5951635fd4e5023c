//! Credentials: one-time enrolment codes, and OPAQUE registration (RFC 9807 section 5), in which the appliance never sees the password.
//!
//! | module | what lives there |
//! |---|---|
//! | `totp` | authenticator apps |
//! | `recovery_codes` | one-time codes in place of the second factor |
//! | `second_factor` | what a right password waits for |
//! | `passkeys` | passkeys; `strongroom_approval::webauthn` verifies what authenticators sign |
//! | `list` | an account's credentials, and removing one |

mod list;
pub(crate) mod passkeys;
pub(crate) mod recovery_codes;
pub(crate) mod second_factor;
mod totp;

use std::net::IpAddr;

use strongroom_session::Suite;
use strongroom_session::opaque::{identifiers, server_identity};
use strongroom_session::opaque_ke::{RegistrationRequest, RegistrationUpload, ServerRegistration};
use strongroom_wire::account::{
    AccountState, Done, EnrolmentStarted, FinishEnrolment, StartEnrolment,
};
use strongroom_wire::audit::Act;
use strongroom_wire::id::AccountId;
use subtle::ConstantTimeEq;

use crate::accounts::normal_name;
use crate::act::{Scope, View};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::seal;
use crate::store::{AccountRecord, CredentialKind, CredentialRecord};

/// The digits of an enrolment code: Crockford's base 32, which has no I, L, O or U.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

use list::listed;
pub(crate) use totp::require_person;

impl Keystore {
    /// Begins an enrolment with a one-time code.
    pub fn start_enrolment(
        &self,
        source: IpAddr,
        request: StartEnrolment,
    ) -> Answer<EnrolmentStarted> {
        let message =
            RegistrationRequest::<Suite>::deserialize(&request.request.0).map_err(|_| {
                Error::Invalid("The registration request is not one of OPAQUE.".to_owned())
            })?;
        self.core.act(Act::AccountEnrol, source, move |scope| {
            scope.record_strangers = true;
            let account = enrolling(scope, &request.account, &request.code)?;
            let response = ServerRegistration::start(
                &scope.domain.opaque_setup,
                message.clone(),
                account.name.as_bytes(),
            )
            .map_err(|_| Error::EnrolmentRefused)?;
            Ok(EnrolmentStarted {
                domain: scope.domain.name.clone(),
                response: response.message.serialize().to_vec().into(),
            })
        })
    }

    /// Ends an enrolment: keeps the registration record and uses the code up.
    pub fn finish_enrolment(&self, source: IpAddr, request: FinishEnrolment) -> Answer<Done> {
        let upload = RegistrationUpload::<Suite>::deserialize(&request.upload.0).map_err(|_| {
            Error::Invalid("The registration record is not one of OPAQUE.".to_owned())
        })?;
        let data = ServerRegistration::finish(upload).serialize().to_vec();
        self.core.act(Act::AccountEnrol, source, move |scope| {
            scope.record_strangers = true;
            let mut account = enrolling(scope, &request.account, &request.code)?;
            let mut credential = CredentialRecord::new(
                account.id,
                CredentialKind::Opaque,
                data.clone(),
                None,
                scope.now,
            );
            scope.domain.authenticate_credential(&mut credential);
            scope.tx.put_credential(&credential)?;
            scope
                .tx
                .delete_credential(account.id, CredentialKind::EnrolmentCode)?;
            account.state = AccountState::Active;
            scope.domain.authenticate_account(&mut account);
            scope.tx.update_account(&account)?;
            scope.detail.actor = scope.detail.subject.take();
            let leaf = scope.record(Act::AccountEnrol)?;
            Ok(Done { leaf })
        })
    }
}

impl View<'_> {
    /// An account's credential of this kind, its record checked.
    pub(crate) fn credential(
        &self,
        account: AccountId,
        kind: CredentialKind,
    ) -> Result<Option<CredentialRecord>, Error> {
        self.snapshot
            .credential(account, kind)?
            .map(|credential| self.domain.check_credential(credential))
            .transpose()
    }
}

/// An account's OPAQUE record, if its holder has enrolled.
pub(crate) fn registration(
    view: &View<'_>,
    account: &AccountRecord,
) -> Result<Option<ServerRegistration<Suite>>, Error> {
    let Some(credential) = view.credential(account.id, CredentialKind::Opaque)? else {
        return Ok(None);
    };
    ServerRegistration::deserialize(&credential.data)
        .map(Some)
        .map_err(|_| Error::Integrity("credential"))
}

/// A new enrolment code: 120 random bits in six groups of four digits.
pub(crate) fn generate_code() -> Result<String, Error> {
    let random = seal::random::<24>()?;
    let mut code = String::with_capacity(29);
    for (position, byte) in random.iter().enumerate() {
        if position > 0 && position % 4 == 0 {
            code.push('-');
        }
        code.push(char::from(DIGITS[usize::from(byte % 32)]));
    }
    Ok(code)
}

/// What a code is kept as: SHA-256 of it as it is compared.
pub(crate) fn code_hash(code: &str) -> [u8; 32] {
    seal::sha256(normal_code(code).as_bytes())
}

/// A code as it is compared: what people mistype for a digit is that digit, and separators do not count.
fn normal_code(code: &str) -> String {
    code.chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            c => c,
        })
        .collect()
}

/// The account that may enrol with this code. One error for every reason why not.
fn enrolling(scope: &mut Scope<'_>, name: &str, code: &str) -> Result<AccountRecord, Error> {
    let account = scope
        .view()
        .account_by_name(&normal_name(name))?
        .ok_or(Error::EnrolmentRefused)?;
    scope.detail.subject = Some(account.id);
    let view = scope.view();
    let credential = view
        .credential(account.id, CredentialKind::EnrolmentCode)?
        .ok_or(Error::EnrolmentRefused)?;
    let matches = bool::from(code_hash(code).as_slice().ct_eq(&credential.data));
    let lapsed = credential.expires.is_some_and(|end| end <= view.now);
    if matches && !lapsed && account.state == AccountState::Pending {
        Ok(account)
    } else {
        Err(Error::EnrolmentRefused)
    }
}

/// The two identities that OPAQUE binds, for an account of a domain.
pub(crate) fn with_identifiers<T>(
    domain: &str,
    account: &str,
    then: impl FnOnce(strongroom_session::opaque_ke::Identifiers<'_>) -> T,
) -> T {
    then(identifiers(account, &server_identity(domain)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn codes_are_long_and_different_and_forgive_mistyping() {
        let code = generate_code().unwrap();
        assert_eq!(code.len(), 29, "{code}");
        assert_ne!(code, generate_code().unwrap());
        assert_eq!(normal_code(&code).len(), 24);
        assert_eq!(normal_code("o1il-ABCD "), "0111ABCD");
        assert_eq!(
            normal_code(&code.to_lowercase().replace('-', " ")),
            normal_code(&code)
        );
    }
}
