//! A key's material goes to a client.

use strongroom_wire::audit::Act;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{KeyState, Material, ReleaseKey, Right};

use super::access::{self, Access};
use crate::act::{Caller, Presented, Scope};
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::policy;

impl Keystore {
    /// Releases a key's material to the caller, wrapped under the session's transport key. Its leaf is durable before the material
    /// leaves the keystore.
    pub fn release(&self, caller: &Presented, key: KeyId, request: ReleaseKey) -> Answer<Material> {
        let presented = caller.clone();
        self.core.act(Act::KeyRelease, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            scope.detail.key = Some(key);
            let access = access::require(&scope.view(), &caller, key, Right::Release)?;
            let version = request.version.unwrap_or(access.key.version);
            let mut access = access;
            scope.detail.owner = Some(access.key.owner);
            check_use(scope, &caller, &access)?;
            let material = release(scope, &caller, &access, version)?;
            count(scope, &mut access)?;
            Ok(material)
        })
    }
}

/// Releases one version of a key by a grant that holds and has the right to it, whatever the usage policy says: the caller has held it
/// against that, or the release belongs to the key's creation.
pub(super) fn release(
    scope: &mut Scope<'_>,
    caller: &Caller,
    access: &Access,
    version: u32,
) -> Result<Material, Error> {
    scope.detail.key = Some(access.key.id);
    scope.detail.key_version = Some(version);
    scope.detail.owner = Some(access.key.owner);
    scope.detail.grant = Some(access.grant.id);
    if version == 0 || version > access.key.version {
        return Err(Error::NoSuchVersion(version));
    }
    let material = access.open(&scope.view(), version)?;
    let wrapped = caller
        .transport
        .wrap(access.key.id, version, &material)
        .map_err(|_| Error::Integrity("grant"))?;
    let leaf = scope.record(Act::KeyRelease)?;
    Ok(Material {
        key: access.key.id,
        version,
        algorithm: access.key.algorithm,
        wrapped: wrapped.into(),
        not_after: policy::strictest(&access.key.policy, &access.grant.policy).not_after,
        leaf,
    })
}

/// Refuses what the key's state or a usage policy does not allow now.
fn check_use(scope: &Scope<'_>, caller: &Caller, access: &Access) -> Result<(), Error> {
    let by_owner = caller.account.id == access.key.owner;
    match access.key.state {
        KeyState::Active | KeyState::Deactivated => {}
        // What a compromised key protected is opened by its owner, to protect it anew.
        KeyState::Compromised if by_owner => {}
        KeyState::Destroyed => return Err(Error::KeyDestroyed),
        state => return Err(Error::KeyStateForbids(state)),
    }
    policy::allow_release(&access.key.policy, access.key.releases, scope.now)?;
    policy::allow_release(&access.grant.policy, access.grant.releases, scope.now)
}

/// Counts the release where a policy limits them. What no policy limits is not counted: the audit tree has it.
fn count(scope: &mut Scope<'_>, access: &mut Access) -> Result<(), Error> {
    if access.key.policy.max_releases.is_some() {
        access.key.releases += 1;
        scope.domain.authenticate_key(&mut access.key);
        scope.tx.update_key(&access.key)?;
    }
    if access.grant.policy.max_releases.is_some() {
        access.grant.releases += 1;
        scope.domain.authenticate_grant(&mut access.grant);
        scope.tx.count_release(&access.grant)?;
    }
    Ok(())
}
