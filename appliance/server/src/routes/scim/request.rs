//! What is read of a directory's request: who calls, the body, which resources and what of them.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};
use actix_web::{FromRequest, HttpRequest, web};
use serde::Deserialize;
use serde_json::Value;
use strongroom_keystore::directories::{DirectoryCall, DirectoryToken};
use strongroom_scim::{MEDIA_TYPE, Selection};
use strongroom_wire::problem::Code;

use super::failure::ScimFailure;
use crate::auth::Source;
use crate::problems::Failure;
use crate::routes::BodyLimits;
use crate::routes::body::bytes;

const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// A directory's request: `Authorization: Bearer` with its token (RFC 6750 section 2.1).
pub(super) struct Directory {
    pub(super) call: DirectoryCall,
    /// Scheme and authority of the address that it asked.
    pub(super) base: String,
}

impl FromRequest for Directory {
    type Error = ScimFailure;
    type Future = Ready<Result<Self, ScimFailure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let source = Source::from_request(request, payload).into_inner();
        let call = token(request).and_then(|token| {
            let Source(source) = source.ok()?;
            Some(DirectoryCall { token, source })
        });
        let host = header(request, &HOST).filter(|host| {
            host.bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte))
        });
        let base = host.map_or_else(String::new, |host| format!("https://{host}"));
        ready(call.map(|call| Self { call, base }).ok_or_else(|| {
            Failure::new(Code::NotSignedIn, "The request has no directory's token.").into()
        }))
    }
}

fn token(request: &HttpRequest) -> Option<DirectoryToken> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| DirectoryToken::parse(text))?
}

pub(super) fn header(request: &HttpRequest, name: &HeaderName) -> Option<String> {
    let value = request.headers().get(name)?;
    value.to_str().ok().map(str::to_owned)
}

/// A body of bounded size, in JSON.
pub(super) async fn read_body(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Value, ScimFailure> {
    let limits = request
        .app_data::<web::Data<BodyLimits>>()
        .ok_or_else(Failure::internal)?;
    let media_type = header(request, &CONTENT_TYPE).unwrap_or_default();
    let media_type = media_type.split(';').next().unwrap_or_default().trim();
    if ![MEDIA_TYPE, "application/json"]
        .iter()
        .any(|known| media_type.eq_ignore_ascii_case(known))
    {
        return Err(Failure::new(
            Code::Malformed,
            "The body must be JSON with the content type application/scim+json.",
        )
        .into());
    }
    let body = bytes(request, payload, limits.of(true)).await?;
    serde_json::from_slice(&body)
        .map_err(|_| Failure::new(Code::Malformed, "The body is not JSON.").into())
}

/// Which resources, and what of them (RFC 7644 section 3.4.2).
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Query {
    filter: Option<String>,
    start_index: Option<i64>,
    count: Option<i64>,
    attributes: Option<String>,
    excluded_attributes: Option<String>,
}

/// The same in a body (RFC 7644 section 3.4.3).
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Search {
    schemas: Vec<String>,
    pub(super) filter: Option<String>,
    pub(super) start_index: Option<i64>,
    pub(super) count: Option<i64>,
    pub(super) attributes: Option<Vec<String>>,
    pub(super) excluded_attributes: Option<Vec<String>>,
}

impl From<Query> for Search {
    fn from(query: Query) -> Self {
        Self {
            schemas: Vec::new(),
            filter: query.filter,
            start_index: query.start_index,
            count: query.count,
            attributes: names(query.attributes),
            excluded_attributes: names(query.excluded_attributes),
        }
    }
}

fn names(text: Option<String>) -> Option<Vec<String>> {
    text.map(|text| text.split(',').map(str::to_owned).collect())
}

pub(super) fn query(request: &HttpRequest) -> Result<Query, ScimFailure> {
    web::Query::from_query(request.query_string())
        .map(web::Query::into_inner)
        .map_err(|error| Failure::from(error).into())
}

pub(super) fn selection(request: &HttpRequest) -> Result<Selection, ScimFailure> {
    let query = query(request)?;
    Ok(Selection::new(
        names(query.attributes),
        names(query.excluded_attributes),
    )?)
}

pub(super) async fn read_search(
    request: &HttpRequest,
    payload: web::Payload,
) -> Result<Search, ScimFailure> {
    serde_json::from_value(read_body(request, payload).await?)
        .ok()
        .filter(|search: &Search| search.schemas.iter().any(|schema| schema == SEARCH))
        .ok_or_else(|| Failure::new(Code::Malformed, "The body is no search request.").into())
}
