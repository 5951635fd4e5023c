//! SCIM 2.0 (RFC 7643, RFC 7644) as far as an appliance speaks it: which attributes there are, what a filter chooses, what a PATCH makes of
//! a resource. No I/O and nothing of ours: a resource is a JSON object, and what it stands for is known to the keystore.
//!
//! | module | what lives there |
//! |---|---|
//! | [`schema`] | the attributes of users and groups as tables, and the documents that publish them |
//! | [`resource`] | a client's JSON brought into the form of the tables; what of a resource an answer shows |
//! | [`filter`] | whether a filter (RFC 7644 section 3.4.2.2) chooses a resource |
//! | [`patch`] | PATCH (RFC 7644 section 3.5.2), also as Entra ID and Okta spell it |
//!
//! Never here: an attribute that is kept without standing in a table; a value of the client's in the sentence of an error.

#![forbid(unsafe_code)]

pub mod filter;
pub mod patch;
pub mod resource;
pub mod schema;

use serde_json::{Map, Value, json};

pub use resource::Selection;
pub use schema::ResourceType;

/// The media type of every body (RFC 7644 section 3.1).
pub const MEDIA_TYPE: &str = "application/scim+json";
/// Where the endpoints are.
pub const BASE: &str = "/scim/v2";

/// A resource: a JSON object with the names of the schema's table.
pub type Resource = Map<String, Value>;

/// What a request is refused for, in SCIM's own words (RFC 7644 section 3.12, table 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimType {
    /// The filter cannot be read, or compares what cannot be compared.
    InvalidFilter,
    /// Another resource has this `userName` or `externalId`.
    Uniqueness,
    /// The attribute cannot be changed.
    Mutability,
    /// The body has not the form that the operation takes.
    InvalidSyntax,
    /// The path of a PATCH cannot be read, or names no attribute.
    InvalidPath,
    /// The path of a PATCH chooses nothing.
    NoTarget,
    /// A value is missing or has not the form of its attribute.
    InvalidValue,
}

impl ScimType {
    /// Its spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidFilter => "invalidFilter",
            Self::Uniqueness => "uniqueness",
            Self::Mutability => "mutability",
            Self::InvalidSyntax => "invalidSyntax",
            Self::InvalidPath => "invalidPath",
            Self::NoTarget => "noTarget",
            Self::InvalidValue => "invalidValue",
        }
    }

    /// The HTTP status that goes with it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Uniqueness => 409,
            _ => 400,
        }
    }
}

/// Why a request is refused: the kind, and one sentence for a person that repeats nothing of what was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ScimError {
    /// The kind.
    pub kind: ScimType,
    /// The sentence.
    pub detail: String,
}

impl ScimError {
    /// A refusal of this kind.
    #[must_use]
    pub fn new(kind: ScimType, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    pub(crate) fn value(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidValue, detail)
    }

    pub(crate) fn syntax(detail: impl Into<String>) -> Self {
        Self::new(ScimType::InvalidSyntax, detail)
    }
}

/// The body of an error (RFC 7644 section 3.12). The status stands in it as text.
#[must_use]
pub fn error_body(status: u16, kind: Option<ScimType>, detail: &str) -> Value {
    let mut body = json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
        "status": status.to_string(),
        "detail": detail,
    });
    if let Some(kind) = kind {
        body["scimType"] = kind.as_str().into();
    }
    body
}

/// A page of resources (RFC 7644 section 3.4.2): how many there are in all, and which these are, the first being 1.
#[must_use]
pub fn list_response(total: u64, start: u64, resources: Vec<Value>) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": total,
        "startIndex": start,
        "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}
