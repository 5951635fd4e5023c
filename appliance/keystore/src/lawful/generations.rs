//! Every generation of an authorisation: what was ordered before it was changed, and what was decided on that.

use strongroom_wire::audit::Act;
use strongroom_wire::authorisation::{Generation, Generations};
use strongroom_wire::id::AuthorisationId;

use super::{approvals, case, record, require_sight};
use crate::act::Presented;
use crate::error::{Answer, Error};
use crate::keystore::Keystore;
use crate::seal;

impl Keystore {
    /// Every generation of an authorisation, the newest first, for those who see it.
    pub fn generations(&self, caller: &Presented, id: AuthorisationId) -> Answer<Generations> {
        let about = Some(case(id));
        self.core
            .watched_look(caller, Act::AuthorisationRead, about, |view, caller, _| {
                require_sight(caller, &view.authorisation(id)?)?;
                let mut generations = view
                    .snapshot
                    .generations_of(id)?
                    .into_iter()
                    .map(|row| {
                        let row = view.domain.check_generation(row)?;
                        Ok(Generation {
                            record_sha256: seal::hex(&row.record),
                            record: record::read(view, &row.record)?,
                            approvals: approvals::given(view, id.as_bytes(), row.generation)?,
                        })
                    })
                    .collect::<Result<Vec<_>, Error>>()?;
                generations.reverse();
                Ok(Generations { generations })
            })
    }
}
