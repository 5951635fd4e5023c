//! Whether an appliance is reached at an address, how it does, and what its clock says: for those who look for a fault.

use serde::Serialize;
use strongroom_wire::health::Health;
use ureq::http::{StatusCode, header};

use super::{Call, Client};
use crate::ClientError;

/// What the appliance answered.
///
/// ```no_run
/// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
/// let reached = client.reach()?;
/// println!("version {}, at {}", reached.health.version, reached.date.unwrap_or_default());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reached {
    /// How it does.
    pub health: Health,
    /// What its clock said, as in the header `Date` (RFC 9110 section 6.6.1), if it said so.
    pub date: Option<String>,
}

impl Client {
    /// As [`Self::health`], with what the appliance's clock says.
    ///
    /// ```no_run
    /// # fn run(client: &strongroom_client::Client) -> Result<(), strongroom_client::ClientError> {
    /// println!("{:?}", client.reach()?.health.state);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reach(&self) -> Result<Reached, ClientError> {
        let call = Call::get("/v1/health");
        self.attempt(|address| {
            let mut response = self.begin(address, &call, &[], false)?;
            let date = response.headers().get(header::DATE);
            let date = date.and_then(|date| date.to_str().ok().map(str::to_owned));
            let (status, body) = self.read(&mut response, address, &call)?;
            match status {
                StatusCode::OK | StatusCode::SERVICE_UNAVAILABLE => serde_json::from_slice(&body)
                    .map(|health| Reached { health, date })
                    .map_err(|_| self.unexpected("not a health report")),
                _ => Err(self.refusal(status, &body)),
            }
        })
    }
}
