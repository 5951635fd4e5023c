//! The material of many keys goes to a client in one act.

use strongroom_wire::audit::Act;
use strongroom_wire::key::{KeyRelease, MOST_KEYS_A_REQUEST, ReleaseKeys, ReleasedKeys};

use super::release::decide_and_release;
use crate::act::Presented;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;

impl Keystore {
    /// Releases many keys' material to the caller, each as [`release`](Self::release) would: with a decision and a leaf of its own. That one
    /// is refused stops no other. All their leaves are durable before any of the material leaves the keystore.
    pub fn release_keys(&self, caller: &Presented, request: ReleaseKeys) -> Answer<ReleasedKeys> {
        if request.keys.is_empty() || request.keys.len() > MOST_KEYS_A_REQUEST {
            return Err(Error::Invalid(format!(
                "One request releases 1 to {MOST_KEYS_A_REQUEST} keys."
            ))
            .into());
        }
        let presented = caller.clone();
        self.core.act(Act::KeyRelease, caller.source, move |scope| {
            let caller = scope.authenticate(&presented)?;
            let who = scope.detail.clone();
            let mut keys = Vec::with_capacity(request.keys.len());
            // Fetched together: a run for each would be one too many where keys came by many groups.
            let mut needed = Vec::new();
            for wanted in &request.keys {
                scope.detail = who.clone();
                match decide_and_release(scope, &caller, wanted.key, wanted.version) {
                    Ok(material) => keys.push(KeyRelease::Released(Box::new(material))),
                    Err(Error::NeedKeks(names)) => needed.extend(names),
                    Err(error) => {
                        let refusal = scope.refuse(Act::KeyRelease, error)?;
                        keys.push(KeyRelease::Refused(Box::new(refusal.problem())));
                    }
                }
            }
            if needed.is_empty() {
                return Ok(ReleasedKeys { keys });
            }
            needed.sort_unstable();
            needed.dedup();
            Err(Error::NeedKeks(needed))
        })
    }
}
