//! What people's sign-in needs of the domain's keys: the seals of secrets that open no key, and the MACs of its records.

use zeroize::Zeroizing;

use super::Domain;
use crate::error::Error;
use crate::seal;
use crate::store::{
    AccountRecoveryRecord, IdentityLinkRecord, IdentityMembershipRecord, InvitationRecord,
    PasskeyRecord,
};

impl Domain {
    /// How the appliance calls itself to authenticator apps.
    pub(crate) fn issuer(&self) -> String {
        let name = self.origin.split('/').next().unwrap_or_default();
        format!("Strongroom {name}")
    }

    /// Seals what proves who somebody is and opens no key, such as the secret of an authenticator app.
    pub(crate) fn seal_secret(
        &self,
        associated_data: &[u8],
        secret: &[u8],
    ) -> Result<Vec<u8>, Error> {
        seal::seal(&self.secrets, associated_data, secret)
    }

    /// Opens what [`Self::seal_secret`] sealed. `what` names the record in the error.
    pub(crate) fn open_secret(
        &self,
        associated_data: &[u8],
        sealed: &[u8],
        what: &'static str,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        seal::open(&self.secrets, associated_data, sealed, what)
    }

    pub(crate) fn check_passkey(&self, passkey: PasskeyRecord) -> Result<PasskeyRecord, Error> {
        self.integrity
            .check(&passkey.canonical(), &passkey.mac, "passkey")?;
        Ok(passkey)
    }

    pub(crate) fn authenticate_passkey(&self, passkey: &mut PasskeyRecord) {
        passkey.mac = self.integrity.mac(&passkey.canonical());
    }

    pub(crate) fn check_account_recovery(
        &self,
        recovery: AccountRecoveryRecord,
    ) -> Result<AccountRecoveryRecord, Error> {
        self.integrity
            .check(&recovery.canonical(), &recovery.mac, "account recovery")?;
        Ok(recovery)
    }

    pub(crate) fn authenticate_account_recovery(&self, recovery: &mut AccountRecoveryRecord) {
        recovery.mac = self.integrity.mac(&recovery.canonical());
    }

    pub(crate) fn check_invitation(
        &self,
        invitation: InvitationRecord,
    ) -> Result<InvitationRecord, Error> {
        self.integrity
            .check(&invitation.canonical(), &invitation.mac, "invitation")?;
        Ok(invitation)
    }

    pub(crate) fn check_identity_link(
        &self,
        link: IdentityLinkRecord,
    ) -> Result<IdentityLinkRecord, Error> {
        self.integrity
            .check(&link.canonical(), &link.mac, "identity")?;
        Ok(link)
    }

    pub(crate) fn authenticate_identity_link(&self, link: &mut IdentityLinkRecord) {
        link.mac = self.integrity.mac(&link.canonical());
    }

    pub(crate) fn check_identity_membership(
        &self,
        membership: IdentityMembershipRecord,
    ) -> Result<IdentityMembershipRecord, Error> {
        self.integrity.check(
            &membership.canonical(),
            &membership.mac,
            "identity's membership",
        )?;
        Ok(membership)
    }

    pub(crate) fn authenticate_identity_membership(
        &self,
        membership: &mut IdentityMembershipRecord,
    ) {
        membership.mac = self.integrity.mac(&membership.canonical());
    }

    pub(crate) fn authenticate_invitation(&self, invitation: &mut InvitationRecord) {
        invitation.mac = self.integrity.mac(&invitation.canonical());
    }
}
