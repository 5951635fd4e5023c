//! The key hierarchy: the domain's keys and the accounts' KEKs.
//!
//! ```text
//! HSM       master KEK of the domain
//!            └─ wraps, inside the HSM (AES-KW, RFC 3394)
//! database  domain key ─ HKDF ─┬─ integrity key: HMAC over what decides access and holds no key
//!                              ├─ secrets key: seals the domain's OPAQUE set-up and the secrets of authenticator apps, and mail
//!                              └─ hold key: seals the copies of destroyed keys that a lawful hold keeps
//!           account KEK, one for each account and version
//!            └─ seals (AES-256-GCM): grants' copies, sessions' transport keys, groups' KEKs for their members, account secrets
//! ```

mod cache;
mod directories;
mod disclosures;
mod fetched;
mod lawful;
mod making;
mod people;
mod versions;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use strongroom_audit::cosignature::WitnessKey;
use strongroom_hsm::{Aes256Key, Hsm, HsmError, MasterKekId, WrappedKey};
use strongroom_session::Suite;
use strongroom_session::opaque_ke::ServerSetup;
use strongroom_wire::id::{AccountId, KeyId};

use self::cache::KekCache;
pub(crate) use self::fetched::{Fetched, Keks};
pub(crate) use self::versions::MasterKeks;
use crate::error::Error;
use crate::seal::{self, MacKey};
use crate::sessions::Uses;
use crate::store::{
    AccountKekRecord, AccountRecord, CertificateNameRecord, CredentialRecord, DeviceRecord,
    DomainNumber, DomainRecord, GrantRecord, KeyRecord, ObjectRecord, PublicKeyRecord,
    RequestRecord, RetiredMasterKekRecord, SessionRecord, Snapshot,
};

const ACCOUNT_KEK: &str = "account KEK";
const DOMAIN: &str = "domain";

/// One version of one account's KEK.
pub(crate) type KekName = (AccountId, u32);

/// The label of a domain's checkpoint key in the HSM.
#[must_use]
pub fn checkpoint_key_label(domain: &str) -> String {
    format!("strongroom/{domain}/checkpoint")
}

/// A domain's name, keys and HSM.
pub(crate) struct Domain {
    pub(crate) number: DomainNumber,
    pub(crate) name: String,
    pub(crate) origin: String,
    pub(crate) opaque_setup: ServerSetup<Suite>,
    /// Whether the site has a mail relay.
    pub(crate) sends_mail: bool,
    /// The witnesses that the configuration names.
    pub(crate) witnesses: Vec<WitnessKey>,
    /// When and from where its sessions were last used.
    pub(crate) uses: Uses,
    /// Keys that acts have destroyed, or tried to, and that are to be destroyed in the HSM where they are.
    pub(crate) doomed: Mutex<BTreeSet<KeyId>>,
    integrity: MacKey,
    secrets: Aes256Key,
    hold: Aes256Key,
    hsm: Arc<dyn Hsm>,
    keks: KekCache,
}

impl Domain {
    /// Unwraps the keys of a domain.
    pub(crate) fn open(
        record: &DomainRecord,
        hsm: Arc<dyn Hsm>,
        cache_size: usize,
        cache_ttl: Duration,
    ) -> Result<Self, Error> {
        const WHAT: &str = "domain";
        let wrapped =
            WrappedKey::from_bytes(&record.domain_key).map_err(|_| Error::Integrity(WHAT))?;
        let domain_key = hsm.unwrap(&record.name, &wrapped)?;
        let integrity = integrity_key(&domain_key);
        integrity.check(&record.canonical(), &record.mac, WHAT)?;
        let secrets = secrets_key(&domain_key);
        let setup = seal::open(
            &secrets,
            &secrets_data(&record.name),
            &record.opaque_setup,
            WHAT,
        )?;
        Ok(Self {
            number: record.number,
            name: record.name.clone(),
            origin: record.origin.clone(),
            opaque_setup: ServerSetup::deserialize(&setup).map_err(|_| Error::Integrity(WHAT))?,
            sends_mail: false,
            witnesses: Vec::new(),
            uses: Uses::default(),
            doomed: Mutex::default(),
            integrity,
            secrets,
            hold: disclosures::hold_key(&domain_key),
            hsm,
            keks: KekCache::new(cache_size, cache_ttl),
        })
    }

    pub(crate) fn hsm(&self) -> &dyn Hsm {
        &*self.hsm
    }

    /// A new KEK, and its record for `account`. It asks the HSM.
    pub(crate) fn new_kek(
        &self,
        snapshot: &dyn Snapshot,
        account: AccountId,
        version: u32,
    ) -> Result<(Aes256Key, AccountKekRecord), Error> {
        let kek = hsm_random_key(self.hsm())?;
        let master = self.master_kek(self.master_keks(snapshot)?.newest);
        self.wrapped_kek(&master, kek, account, version)
    }

    /// New KEKs and their records for these accounts. The HSM is asked for its newest master KEK and for random bytes once.
    pub(crate) fn new_keks(
        &self,
        snapshot: &dyn Snapshot,
        accounts: &[AccountId],
    ) -> Result<Vec<(Aes256Key, AccountKekRecord)>, Error> {
        let master = self.master_kek(self.master_keks(snapshot)?.newest);
        hsm_random_keys(self.hsm(), accounts.len())?
            .into_iter()
            .zip(accounts)
            .map(|(kek, account)| self.wrapped_kek(&master, kek, *account, 1))
            .collect()
    }

    fn wrapped_kek(
        &self,
        master: &MasterKekId,
        kek: Aes256Key,
        account: AccountId,
        version: u32,
    ) -> Result<(Aes256Key, AccountKekRecord), Error> {
        let mut record = AccountKekRecord {
            account,
            version,
            wrapped: self.hsm.wrap(master, &kek)?.to_bytes(),
            mac: [0; 32],
        };
        self.authenticate_account_kek(&mut record);
        Ok((kek, record))
    }

    /// The domain's master KEK of this version.
    pub(crate) fn master_kek(&self, version: u32) -> MasterKekId {
        MasterKekId {
            domain: self.name.clone(),
            version,
        }
    }

    /// Asks the HSM for a KEK. Not to be called while a transaction runs: it takes as long as the HSM takes.
    ///
    /// `cached_from` is [`kek_epoch`](Self::kek_epoch) from before the snapshot was taken.
    pub(crate) fn unwrap_kek(
        &self,
        snapshot: &dyn Snapshot,
        cached_from: u64,
        account: AccountId,
        version: u32,
    ) -> Result<Aes256Key, Error> {
        let record = snapshot
            .account_kek(account, version)?
            .ok_or(Error::Integrity(ACCOUNT_KEK))?;
        let owner = snapshot
            .account(account)?
            .ok_or(Error::Integrity(ACCOUNT_KEK))?;
        if !self.check_account(owner)?.kek_counts(version) {
            return Err(Error::Integrity(ACCOUNT_KEK));
        }
        let wrapped = self.check_account_kek(snapshot, &record)?;
        let kek = match self.hsm.unwrap(&self.name, &wrapped) {
            Err(HsmError::WrappedKeyRejected { .. }) => return Err(Error::Integrity(ACCOUNT_KEK)),
            unwrapped => unwrapped?,
        };
        self.keks.put(cached_from, account, version, &kek);
        Ok(kek)
    }

    /// Checks the record of an account's KEK: it is what was written, and no retired master KEK wrapped it.
    pub(crate) fn check_account_kek(
        &self,
        snapshot: &dyn Snapshot,
        record: &AccountKekRecord,
    ) -> Result<WrappedKey, Error> {
        self.integrity
            .check(&record.canonical(), &record.mac, ACCOUNT_KEK)?;
        let wrapped =
            WrappedKey::from_bytes(&record.wrapped).map_err(|_| Error::Integrity(ACCOUNT_KEK))?;
        if self.is_retired(snapshot, wrapped.master_kek_version)? {
            return Err(Error::Integrity(ACCOUNT_KEK));
        }
        Ok(wrapped)
    }

    /// Whether this version of the master KEK counts no more.
    pub(crate) fn is_retired(&self, snapshot: &dyn Snapshot, version: u32) -> Result<bool, Error> {
        let Some(retired) = snapshot.retired_master_kek(self.number, version)? else {
            return Ok(false);
        };
        self.integrity
            .check(&retired.canonical(), &retired.mac, "master KEK")?;
        Ok(true)
    }

    /// Taken before a snapshot from which KEKs are unwrapped.
    pub(crate) fn kek_epoch(&self) -> u64 {
        self.keks.epoch()
    }

    /// A KEK that is at hand.
    pub(crate) fn cached_kek(&self, account: AccountId, version: u32) -> Option<Aes256Key> {
        self.keks.get(account, version)
    }

    /// Forgets the versions of an account's KEK before this one, which count no more.
    pub(crate) fn forget_keks_before(&self, account: AccountId, version: u32) {
        self.keks.retire_before(account, version);
    }

    /// The MAC of a record.
    pub(crate) fn mac(&self, canonical: &[u8]) -> [u8; 32] {
        self.integrity.mac(canonical)
    }

    /// Checks the MAC of a record. `what` names it in the error.
    pub(crate) fn check_mac(
        &self,
        canonical: &[u8],
        mac: &[u8; 32],
        what: &'static str,
    ) -> Result<(), Error> {
        self.integrity.check(canonical, mac, what)
    }

    pub(crate) fn authenticate_account_kek(&self, kek: &mut AccountKekRecord) {
        kek.mac = self.integrity.mac(&kek.canonical());
    }

    pub(crate) fn authenticate_retired(&self, retired: &mut RetiredMasterKekRecord) {
        retired.mac = self.integrity.mac(&retired.canonical());
    }

    /// The domain's record as it is now, checked.
    pub(crate) fn record(&self, snapshot: &dyn Snapshot) -> Result<DomainRecord, Error> {
        let record = snapshot
            .domain(&self.name)?
            .ok_or(Error::Integrity(DOMAIN))?;
        self.integrity
            .check(&record.canonical(), &record.mac, DOMAIN)?;
        Ok(record)
    }

    /// The domain's record as it is now, checked, and its wrapped key.
    pub(crate) fn domain_key(
        &self,
        snapshot: &dyn Snapshot,
    ) -> Result<(DomainRecord, WrappedKey), Error> {
        let record = self.record(snapshot)?;
        let wrapped =
            WrappedKey::from_bytes(&record.domain_key).map_err(|_| Error::Integrity(DOMAIN))?;
        Ok((record, wrapped))
    }

    pub(crate) fn authenticate_domain(&self, domain: &mut DomainRecord) {
        domain.mac = self.integrity.mac(&domain.canonical());
    }

    pub(crate) fn cached_keks(&self) -> usize {
        self.keks.len()
    }

    pub(crate) fn forget_expired_keks(&self) {
        self.keks.forget_expired();
    }

    pub(crate) fn wipe(&self) {
        self.keks.wipe();
    }

    pub(crate) fn check_account(&self, account: AccountRecord) -> Result<AccountRecord, Error> {
        self.integrity
            .check(&account.canonical(), &account.mac, "account")?;
        Ok(account)
    }

    pub(crate) fn authenticate_account(&self, account: &mut AccountRecord) {
        account.mac = self.integrity.mac(&account.canonical());
    }

    pub(crate) fn check_credential(
        &self,
        credential: CredentialRecord,
    ) -> Result<CredentialRecord, Error> {
        self.integrity
            .check(&credential.canonical(), &credential.mac, "credential")?;
        Ok(credential)
    }

    pub(crate) fn authenticate_credential(&self, credential: &mut CredentialRecord) {
        credential.mac = self.integrity.mac(&credential.canonical());
    }

    pub(crate) fn check_session_use(&self, session: &SessionRecord) -> Result<(), Error> {
        self.integrity
            .check(&session.use_canonical(), &session.seen_mac, "session")
    }

    pub(crate) fn authenticate_session_use(&self, session: &mut SessionRecord) {
        session.seen_mac = self.integrity.mac(&session.use_canonical());
    }

    pub(crate) fn check_device(&self, device: DeviceRecord) -> Result<DeviceRecord, Error> {
        self.integrity
            .check(&device.canonical(), &device.mac, "device")?;
        Ok(device)
    }

    pub(crate) fn authenticate_device(&self, device: &mut DeviceRecord) {
        device.mac = self.integrity.mac(&device.canonical());
    }

    pub(crate) fn check_certificate_name(
        &self,
        name: CertificateNameRecord,
    ) -> Result<CertificateNameRecord, Error> {
        self.integrity
            .check(&name.canonical(), &name.mac, "certificate name")?;
        Ok(name)
    }

    pub(crate) fn authenticate_certificate_name(&self, name: &mut CertificateNameRecord) {
        name.mac = self.integrity.mac(&name.canonical());
    }

    pub(crate) fn check_key(&self, key: KeyRecord) -> Result<KeyRecord, Error> {
        self.integrity.check(&key.canonical(), &key.mac, "key")?;
        Ok(key)
    }

    pub(crate) fn authenticate_key(&self, key: &mut KeyRecord) {
        key.mac = self.integrity.mac(&key.canonical());
    }

    pub(crate) fn check_public_key(&self, key: PublicKeyRecord) -> Result<PublicKeyRecord, Error> {
        self.integrity
            .check(&key.canonical(), &key.mac, "public key")?;
        Ok(key)
    }

    pub(crate) fn authenticate_public_key(&self, key: &mut PublicKeyRecord) {
        key.mac = self.integrity.mac(&key.canonical());
    }

    pub(crate) fn check_object(&self, object: ObjectRecord) -> Result<ObjectRecord, Error> {
        self.integrity
            .check(&object.canonical(), &object.mac, "object")?;
        Ok(object)
    }

    pub(crate) fn authenticate_object(&self, object: &mut ObjectRecord) {
        object.mac = self.integrity.mac(&object.canonical());
    }

    pub(crate) fn check_request(&self, request: RequestRecord) -> Result<RequestRecord, Error> {
        self.integrity
            .check(&request.canonical(), &request.mac, "request")?;
        Ok(request)
    }

    pub(crate) fn authenticate_request(&self, request: &mut RequestRecord) {
        request.mac = self.integrity.mac(&request.canonical());
    }

    pub(crate) fn check_grant(&self, grant: GrantRecord) -> Result<GrantRecord, Error> {
        self.integrity
            .check(&grant.canonical(), &grant.mac, "grant")?;
        Ok(grant)
    }

    pub(crate) fn authenticate_grant(&self, grant: &mut GrantRecord) {
        grant.mac = self.integrity.mac(&grant.canonical());
    }
}

fn integrity_key(domain_key: &Aes256Key) -> MacKey {
    MacKey::new(seal::derive(domain_key, "strongroom/v1/integrity"))
}

fn secrets_key(domain_key: &Aes256Key) -> Aes256Key {
    Aes256Key::from_bytes(seal::derive(domain_key, "strongroom/v1/secrets"))
}

fn secrets_data(domain: &str) -> Vec<u8> {
    crate::canonical::Canonical::new("opaque-setup", 1)
        .text(domain)
        .finish()
}

/// As many keys as are asked for, as [`hsm_random_key`] makes them.
pub(crate) fn hsm_random_keys(hsm: &dyn Hsm, count: usize) -> Result<Vec<Aes256Key>, Error> {
    let mut from_hsm = zeroize::Zeroizing::new(vec![0; 32 * count]);
    hsm.fill_random(&mut from_hsm)?;
    from_hsm
        .chunks_exact(32)
        .map(|from_hsm| {
            let mut bytes = seal::random::<32>()?;
            bytes
                .iter_mut()
                .zip(from_hsm)
                .for_each(|(byte, other)| *byte ^= other);
            Ok(Aes256Key::from_bytes(bytes))
        })
        .collect()
}

/// A new AES-256 key from the HSM's generator and the operating system's, so that neither alone decides it.
pub(crate) fn hsm_random_key(hsm: &dyn Hsm) -> Result<Aes256Key, Error> {
    hsm_random_keys(hsm, 1)?
        .pop()
        .ok_or(Error::Internal("no random key was made"))
}
