//! Failures in SCIM's form (RFC 7644 section 3.12).

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use strongroom_keystore::Error;
use strongroom_scim::{MEDIA_TYPE, ScimError, ScimType, error_body};
use strongroom_wire::problem::Code;

use crate::problems::{Failure, Refused};

/// A failure in SCIM's form.
#[derive(Debug)]
pub(super) struct ScimFailure {
    pub(super) failure: Failure,
    status: u16,
    kind: Option<ScimType>,
}

impl From<Failure> for ScimFailure {
    fn from(failure: Failure) -> Self {
        Self {
            // What cannot be read or is not acceptable is one status in SCIM (RFC 7644 table 9).
            status: match failure.code() {
                Code::Invalid => 400,
                code => code.status(),
            },
            kind: match failure.code() {
                Code::Malformed => Some(ScimType::InvalidSyntax),
                Code::Invalid => Some(ScimType::InvalidValue),
                Code::AccountExists => Some(ScimType::Uniqueness),
                _ => None,
            },
            failure,
        }
    }
}

impl From<ScimError> for ScimFailure {
    fn from(error: ScimError) -> Self {
        strongroom_keystore::Refusal::from(Error::from(error)).into()
    }
}

impl From<strongroom_keystore::Refusal> for ScimFailure {
    fn from(refusal: strongroom_keystore::Refusal) -> Self {
        let kind = match &refusal.error {
            Error::Scim(error) => Some(error.kind),
            _ => None,
        };
        let failure = Self::from(Failure::from(refusal));
        match kind {
            Some(kind) => Self {
                status: kind.status(),
                kind: Some(kind),
                ..failure
            },
            None => failure,
        }
    }
}

impl fmt::Display for ScimFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)
    }
}

impl ResponseError for ScimFailure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let plain = self.failure.error_response();
        let mut response = HttpResponse::build(self.status_code());
        for name in [RETRY_AFTER, WWW_AUTHENTICATE] {
            if let Some(value) = plain.headers().get(&name) {
                response.insert_header((name, value.clone()));
            }
        }
        let refused = plain.extensions().get::<Refused>().copied();
        if let Some(leaf) = refused.and_then(|refused| refused.leaf) {
            response.insert_header((super::LEAF, leaf));
        }
        let body = error_body(self.status, self.kind, &self.failure.to_string());
        let mut response = response.content_type(MEDIA_TYPE).body(body.to_string());
        if let Some(refused) = refused {
            response.extensions_mut().insert(refused);
        }
        response
    }
}
