//! Named keys among supervised HSMs. Each is in the one that generated it: no HSM copies a key that is not extractable.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{Shares, Supervised};
use crate::{Hsm, HsmError, NamedKeyId, NamedKeyType, NamedKeys, NamedOffer, NamedWork};

/// How long generating may take: an HSM looks for the primes of an RSA-4096 key for seconds, and some for many.
const GENERATING: Duration = Duration::from_mins(1);

impl NamedKeys for Supervised {
    /// What the primary offers: nothing where there is a replica, which would not have the keys.
    fn named_offer(&self) -> Result<NamedOffer, HsmError> {
        if self.members.len() > 1 {
            return Ok(NamedOffer::default());
        }
        self.on_primary("named_offer", |hsm| hsm.named()?.named_offer())
    }

    /// Refused where there is a replica: it would not have the key, and so could not serve it.
    fn generate_named_key(
        &self,
        id: &NamedKeyId,
        key_type: NamedKeyType,
    ) -> Result<Option<Vec<u8>>, HsmError> {
        if self.members.len() > 1 {
            let names: Vec<&str> = self.members.iter().map(|member| member.name()).collect();
            return Err(HsmError::SingleCopy {
                count: names.len(),
                names: names.join("; "),
            });
        }
        let Some((member, hsm)) = self
            .members
            .first()
            .and_then(|member| Some((member, member.usable()?)))
        else {
            return Err(self.out_of_service());
        };
        let id = id.clone();
        let deadline = self.deadline.max(GENERATING);
        member.call("generate_named_key", deadline, move || {
            hsm.named()?.generate_named_key(&id, key_type)
        })
    }

    fn named_public_key(
        &self,
        id: &NamedKeyId,
        key_type: NamedKeyType,
    ) -> Result<Vec<u8>, HsmError> {
        let id = id.clone();
        self.where_it_is("named_public_key", move |hsm| {
            hsm.named()?.named_public_key(&id, key_type)
        })
    }

    fn use_named_key(
        &self,
        id: &NamedKeyId,
        key_type: NamedKeyType,
        work: &NamedWork,
    ) -> Result<Zeroizing<Vec<u8>>, HsmError> {
        let (id, work) = (id.clone(), work.clone());
        self.where_it_is("use_named_key", move |hsm| {
            hsm.named()?.use_named_key(&id, key_type, &work)
        })
    }

    fn destroy_named_key(&self, id: &NamedKeyId) -> Result<(), HsmError> {
        let id = id.clone();
        self.destroy_everywhere("destroy_named_key", move |hsm| {
            hsm.named()?.destroy_named_key(&id)
        })
    }

    /// Those of all HSMs, which must all be usable: otherwise keys would seem to be gone that are in the one that is away.
    fn named_keys(&self, domain: &str) -> Result<Vec<NamedKeyId>, HsmError> {
        let mut named = Vec::new();
        for place in 0..self.members.len() {
            let domain = domain.to_owned();
            named.extend(self.on(place, "named_keys", move |hsm| {
                hsm.named()?.named_keys(&domain)
            })?);
        }
        named.sort_unstable();
        named.dedup();
        Ok(named)
    }
}

impl Supervised {
    /// A call that may be made again, on the HSM that holds the key. That none holds it is known only where all were asked.
    fn where_it_is<T: Send + 'static>(
        &self,
        function: &'static str,
        act: impl Fn(&dyn Hsm) -> Result<T, HsmError> + Clone + Send + Sync + 'static,
    ) -> Result<T, HsmError> {
        let mut missing = None;
        let mut all_asked = true;
        let mut time = Shares::new(self.deadline, self.members.len());
        for member in &self.members {
            let share = time.next();
            let Some(hsm) = member.usable() else {
                all_asked = false;
                continue;
            };
            let act = act.clone();
            match member.call(function, share, move || act(hsm.as_ref())) {
                Err(error @ (HsmError::KeyNotFound { .. } | HsmError::NotOffered { .. })) => {
                    missing.get_or_insert(error);
                }
                answer => return answer,
            }
        }
        match missing {
            Some(error) if all_asked => Err(error),
            _ => Err(self.out_of_service()),
        }
    }
}
