//! Whether the appliance works.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, get, web};
use strongroom_wire::health::{Health, Status};

use super::{Answer, wait_for};
use crate::gate::Gate;

/// For how long the storage's answer is good: strangers may ask, and it has better things to do.
const FRESH: Duration = Duration::from_secs(1);

/// The newest answer of the storage.
#[derive(Debug, Default)]
pub(crate) struct NewestStorage(Mutex<Option<(Instant, Status)>>);

impl NewestStorage {
    /// The newest answer, asked for again when it is older than [`FRESH`]. One thread asks at a time.
    pub(crate) fn get(&self, ask: impl FnOnce() -> Status) -> Status {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, status)) = *newest
            && asked.elapsed() < FRESH
        {
            return status;
        }
        let status = ask();
        *newest = Some((Instant::now(), status));
        status
    }
}

/// Tell whether the appliance works.
///
/// Needs no session, and is answered whatever the appliance's state is. What it says of the storage may be a second old.
#[utoipa::path(
    tag = "health",
    operation_id = "show_health",
    security(()),
    responses(
        (status = 200, description = "All is well.", body = Health),
        (status = 503, description = "Something is not.", body = Health),
    ),
)]
#[get("/v1/health")]
pub(super) async fn show(gate: web::Data<Gate>, storage: web::Data<NewestStorage>) -> Answer {
    let health = wait_for(move || gate.health(&storage)).await?;
    Ok(match health.status {
        Status::Ok => HttpResponse::Ok().json(health),
        Status::Failing => HttpResponse::ServiceUnavailable().json(health),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_kept_for_a_moment() {
        let newest = NewestStorage::default();
        assert_eq!(newest.get(|| Status::Failing), Status::Failing);
        assert_eq!(newest.get(|| Status::Ok), Status::Failing);
        std::thread::sleep(FRESH);
        assert_eq!(newest.get(|| Status::Ok), Status::Ok);
    }
}
