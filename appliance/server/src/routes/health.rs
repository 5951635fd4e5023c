//! Whether the appliance works.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::{HttpResponse, get, web};
use strongroom_keystore::Keystore;
use strongroom_wire::health::{Health, Status};

use super::{Answer, wait_for};

/// For how long an answer is good: strangers may ask, and the HSM has better things to do.
const FRESH: Duration = Duration::from_secs(1);

/// The newest answer of the HSM and the storage.
#[derive(Debug, Default)]
pub(crate) struct NewestHealth(Mutex<Option<(Instant, Health)>>);

impl NewestHealth {
    /// The newest answer, asked for again when it is older than [`FRESH`]. One thread asks at a time.
    pub(crate) fn get(&self, ask: impl FnOnce() -> Health) -> Health {
        let mut newest = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((asked, health)) = &*newest
            && asked.elapsed() < FRESH
        {
            return health.clone();
        }
        let health = ask();
        *newest = Some((Instant::now(), health.clone()));
        health
    }
}

/// Tell whether the appliance works.
///
/// Needs no session. The answer may be a second old.
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
pub(super) async fn show(keystore: web::Data<Keystore>, newest: web::Data<NewestHealth>) -> Answer {
    let health = wait_for(move || newest.get(|| keystore.health())).await?;
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
        let newest = NewestHealth::default();
        let answer = |status| Health {
            status,
            hsm: status,
            storage: status,
            version: String::new(),
        };
        let first = newest.get(|| answer(Status::Failing));
        assert_eq!(first.status, Status::Failing);
        let again = newest.get(|| answer(Status::Ok));
        assert_eq!(again.status, Status::Failing);
        std::thread::sleep(FRESH);
        let later = newest.get(|| answer(Status::Ok));
        assert_eq!(later.status, Status::Ok);
    }
}
