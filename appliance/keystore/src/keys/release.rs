//! A key's material goes to a client.

use strongroom_wire::audit::Act;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{Material, ReleaseKey, Right};
use strongroom_wire::proposal::ProposedRequest;

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
            decide_and_release(scope, &caller, key, request.version)
        })
    }
}

/// Releases one version of a key, or the newest, if states, grants and usage policies allow it.
pub(super) fn decide_and_release(
    scope: &mut Scope<'_>,
    caller: &Caller,
    key: KeyId,
    version: Option<u32>,
) -> Result<Material, Error> {
    scope.detail.key = Some(key);
    let mut access = access::require(&scope.view(), caller, key, Right::Release)?;
    let version = version.unwrap_or(access.key.version);
    scope.detail.owner = Some(access.key.owner);
    access.check_state(caller.account.id == access.key.owner)?;
    access.allow(caller, Right::Release, scope.now)?;
    let material = release(scope, caller, &access, version)?;
    count(scope, caller, &mut access)?;
    Ok(material)
}

/// Releases one version of a key by a grant that holds and has the right to it, whatever usage policies say: whoever calls this has held
/// it against them.
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
    // Its policy says so too. Whatever that came to say, this holds.
    access.require_releasable()?;
    let material = access.open(&scope.view(), version)?;
    let wrapped = caller
        .transport
        .wrap(access.key.id, version, &material)
        .map_err(|_| Error::Integrity("grant"))?;
    let (key, label) = (access.key.id, access.key.label.as_str());
    scope.require_quorum(caller, &ProposedRequest::KeyRelease { key }, Some(label))?;
    let leaf = scope.record(Act::KeyRelease)?;
    let strictest = policy::strictest(
        &policy::strictest(&access.key.policy, &access.grant.policy),
        &caller.policy.usage,
    );
    let kept_until = strictest
        .keep_for
        .map(|seconds| scope.now.plus_seconds(seconds.into()));
    let hours_end = policy::hours_end(&strictest, scope.now);
    Ok(Material {
        key: access.key.id,
        version,
        algorithm: access.key.algorithm,
        sender: access.key.sender,
        wrapped: wrapped.into(),
        not_after: [kept_until, strictest.not_after, hours_end]
            .into_iter()
            .flatten()
            .min(),
        keep_for: strictest.keep_for,
        ask_again: strictest.max_releases.is_some() || strictest.networks.is_some(),
        leaf,
    })
}

/// Counts the release where a policy limits them. What no policy limits is not counted: the audit tree has it.
pub(crate) fn count(
    scope: &mut Scope<'_>,
    caller: &Caller,
    access: &mut Access,
) -> Result<(), Error> {
    let of_all = [&access.key.policy, &caller.policy.usage];
    if of_all.iter().any(|policy| policy.max_releases.is_some()) {
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
