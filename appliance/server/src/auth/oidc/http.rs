//! HTTPS to a provider: within a deadline, with answers of bounded size.

use std::path::Path;
use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse, SyncHttpClient};
use ureq::Agent;

use crate::https::{self, FileError, Patience};

/// How much of an answer is read, in bytes.
const LONGEST_ANSWER: u64 = 1024 * 1024;

/// What speaks to one provider.
pub(super) struct Http(Agent);

/// The provider did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct NoAnswer(#[from] ureq::Error);

impl Http {
    /// Trusts the authorities in this file, in PEM, and no others. One request may take so long, from looking up the name to the answer's
    /// last byte.
    pub(super) fn new(authorities: &Path, deadline: Duration) -> Result<Self, FileError> {
        let tls = https::trusting(authorities, None)?;
        Ok(Self(https::agent(Some(tls), Patience::Whole(deadline))))
    }
}

impl SyncHttpClient for Http {
    type Error = NoAnswer;

    fn call(&self, request: HttpRequest) -> Result<HttpResponse, NoAnswer> {
        let (head, mut body) = self.0.run(request)?.into_parts();
        let body = body.with_config().limit(LONGEST_ANSWER).read_to_vec()?;
        Ok(HttpResponse::from_parts(head, body))
    }
}
