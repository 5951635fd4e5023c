//! The keys of a new domain.

use strongroom_hsm::{Hsm, HsmError, MasterKekId, RecoveryKekId};
use strongroom_session::opaque_ke::ServerSetup;
use strongroom_session::{OsRng, Suite};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::policy::DomainPolicy;

use super::{
    Domain, checkpoint_key_label, hsm_random_key, integrity_key, secrets_data, secrets_key,
};
use crate::domains::DomainSettings;
use crate::error::Error;
use crate::keystore::NewDomain;
use crate::seal;
use crate::store::{DomainNumber, DomainRecord, RecoveryBlobRecord, RecoveryKekRecord};

/// The records of a new domain's recovery KEK and of its master KEK's recovery blob.
type Recoverable = (RecoveryKekRecord, RecoveryBlobRecord);

impl Domain {
    /// Makes the keys of a new domain: the master KEK and the checkpoint key in the HSM, the domain key wrapped by the former.
    pub(crate) fn initialise(
        hsm: &dyn Hsm,
        number: DomainNumber,
        new: &NewDomain,
        now: Timestamp,
    ) -> Result<(DomainRecord, Option<Recoverable>), Error> {
        let NewDomain { name, origin, .. } = new;
        let label = checkpoint_key_label(name);
        let (master, recoverable) = new_master_kek(hsm, number, new, now)?;
        let checkpoint_key = match hsm.generate_signing_key(&label) {
            Err(HsmError::KeyExists { .. }) if new.adopt_keys => hsm.signing_public_key(&label)?,
            made => made?,
        };
        let domain_key = hsm_random_key(hsm)?;
        let setup = ServerSetup::<Suite>::new(&mut OsRng).serialize();
        let mut record = DomainRecord {
            number,
            name: name.clone(),
            origin: origin.clone(),
            domain_key: hsm.wrap(&master, &domain_key)?.to_bytes(),
            opaque_setup: seal::seal(&secrets_key(&domain_key), &secrets_data(name), &setup)?,
            checkpoint_key,
            created: now,
            policy: DomainPolicy::default(),
            settings: DomainSettings::default(),
            mac: [0; 32],
        };
        let integrity = integrity_key(&domain_key);
        record.mac = integrity.mac(&record.canonical());
        let recoverable = recoverable.map(|(mut kek, mut blob)| {
            kek.mac = integrity.mac(&kek.canonical());
            blob.mac = integrity.mac(&blob.canonical());
            (kek, blob)
        });
        Ok((record, recoverable))
    }
}

/// Makes the master KEK of a new domain, with a recovery KEK before it where there is to be one.
fn new_master_kek(
    hsm: &dyn Hsm,
    number: DomainNumber,
    new: &NewDomain,
    now: Timestamp,
) -> Result<(MasterKekId, Option<Recoverable>), Error> {
    let mut master = MasterKekId {
        domain: new.name.clone(),
        version: 1,
    };
    let Some(recovery) = &new.recovery else {
        match hsm.generate_master_kek(&master) {
            Err(HsmError::KeyExists { .. }) if new.adopt_keys => {}
            made => made?,
        }
        return Ok((master, None));
    };
    let mut id = RecoveryKekId {
        domain: new.name.clone(),
        version: 1,
    };
    if new.adopt_keys {
        // What an initialisation that did not end has left cannot be recovered: this one makes its own, and leaves that alone.
        let after = |versions: Vec<u32>| versions.last().map_or(1, |version| version + 1);
        master.version = after(hsm.master_kek_versions(&new.name)?);
        id.version = after(hsm.recovery_kek_versions(&new.name)?);
    }
    hsm.put_recovery_kek(&id, recovery.key())?;
    let blob = RecoveryBlobRecord {
        domain: number,
        master_kek: master.version,
        blob: hsm
            .generate_recoverable_master_kek(&master, &id)?
            .to_bytes(),
        mac: [0; 32],
    };
    let kek = recovery.record(number, id.version, now);
    Ok((master, Some((kek, blob))))
}
