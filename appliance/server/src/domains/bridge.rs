//! Two HSMs as one, while a domain's master KEK moves from the one to the other.
//!
//! What the old HSM's versions wrapped it unwraps; everything new is made by the new one, whose versions are the newer ones. So the
//! rotation of a master KEK moves a domain from slot to slot, and no key leaves its HSM.

use std::sync::Arc;

use strongroom_hsm::{
    Aes256Key, Ed25519PublicKey, Hsm, HsmError, MasterKekId, NamedKeys, RecoveryBlob,
    RecoveryKekId, TokenInfo, WrappedKey,
};

/// The two HSMs.
pub(super) struct Bridge {
    from: Arc<dyn Hsm>,
    to: Arc<dyn Hsm>,
}

impl Bridge {
    pub(super) fn new(from: Arc<dyn Hsm>, to: Arc<dyn Hsm>) -> Self {
        Self { from, to }
    }

    /// The HSM that holds this version.
    fn holder(&self, domain: &str, version: u32) -> Result<&dyn Hsm, HsmError> {
        let new = self.to.master_kek_versions(domain)?;
        Ok(if new.contains(&version) {
            &*self.to
        } else {
            &*self.from
        })
    }
}

impl Hsm for Bridge {
    fn token_info(&self) -> Result<TokenInfo, HsmError> {
        self.to.token_info()
    }

    fn generate_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        self.to.generate_master_kek(id)
    }

    fn master_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        let mut versions = self.from.master_kek_versions(domain)?;
        versions.extend(self.to.master_kek_versions(domain)?);
        versions.sort_unstable();
        versions.dedup();
        Ok(versions)
    }

    fn destroy_master_kek(&self, id: &MasterKekId) -> Result<(), HsmError> {
        self.holder(&id.domain, id.version)?.destroy_master_kek(id)
    }

    fn wrap(&self, kek: &MasterKekId, key: &Aes256Key) -> Result<WrappedKey, HsmError> {
        // Until its first version is there, what is made is still wrapped by the old one.
        match self.to.wrap(kek, key) {
            Err(HsmError::KeyNotFound { .. }) => self.from.wrap(kek, key),
            wrapped => wrapped,
        }
    }

    fn unwrap(&self, domain: &str, wrapped: &WrappedKey) -> Result<Aes256Key, HsmError> {
        match self.to.unwrap(domain, wrapped) {
            Err(HsmError::KeyNotFound { .. }) => self.from.unwrap(domain, wrapped),
            unwrapped => unwrapped,
        }
    }

    fn put_recovery_kek(&self, id: &RecoveryKekId, key: &Aes256Key) -> Result<(), HsmError> {
        self.to.put_recovery_kek(id, key)
    }

    fn recovery_kek_versions(&self, domain: &str) -> Result<Vec<u32>, HsmError> {
        self.to.recovery_kek_versions(domain)
    }

    fn destroy_recovery_kek(&self, id: &RecoveryKekId) -> Result<(), HsmError> {
        self.to.destroy_recovery_kek(id)
    }

    fn generate_recoverable_master_kek(
        &self,
        id: &MasterKekId,
        recovery: &RecoveryKekId,
    ) -> Result<RecoveryBlob, HsmError> {
        self.to.generate_recoverable_master_kek(id, recovery)
    }

    fn recover_master_kek(
        &self,
        id: &MasterKekId,
        recovery_kek: &Aes256Key,
        blob: &RecoveryBlob,
    ) -> Result<(), HsmError> {
        self.to.recover_master_kek(id, recovery_kek, blob)
    }

    fn generate_signing_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        self.to.generate_signing_key(label)
    }

    fn destroy_signing_key(&self, label: &str) -> Result<(), HsmError> {
        self.to.destroy_signing_key(label)
    }

    fn signing_public_key(&self, label: &str) -> Result<Ed25519PublicKey, HsmError> {
        self.to.signing_public_key(label)
    }

    fn sign(&self, label: &str, message: &[u8]) -> Result<[u8; 64], HsmError> {
        // The old HSM's key signs until the new one has its own.
        match self.to.sign(label, message) {
            Err(HsmError::KeyNotFound { .. }) => self.from.sign(label, message),
            signed => signed,
        }
    }

    /// None: they cannot move, so that a domain which has some is not moved, and makes none meanwhile.
    fn named(&self) -> Result<&dyn NamedKeys, HsmError> {
        Err(HsmError::NotOffered {
            token: "a domain that moves to another HSM slot".to_owned(),
            what: "keys of the protection level hsm".to_owned(),
        })
    }

    fn fill_random(&self, out: &mut [u8]) -> Result<(), HsmError> {
        self.to.fill_random(out)
    }
}
