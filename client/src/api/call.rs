//! Requests.

use std::borrow::Cow;

use serde::Serialize;
use ureq::http::Method;
use zeroize::Zeroizing;

use crate::ClientError;

/// A request.
pub(crate) struct Call<'a> {
    pub(super) method: Method,
    pub(super) path: Cow<'a, str>,
    /// Zeroised: sign-in and enrolment messages stand in some.
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
    pub(super) content_type: &'static str,
    repeatable: bool,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A `GET` whose query holds the members of `query` that are not absent.
    pub(crate) fn find(path: &str, query: &impl Serialize) -> Self {
        let mut pairs = url::form_urlencoded::Serializer::new(String::new());
        if let Ok(serde_json::Value::Object(members)) = serde_json::to_value(query) {
            for (name, value) in members {
                match value {
                    serde_json::Value::Null => {}
                    serde_json::Value::String(text) => {
                        pairs.append_pair(&name, &text);
                    }
                    other => {
                        pairs.append_pair(&name, &other.to_string());
                    }
                }
            }
        }
        let pairs = pairs.finish();
        let separator = if pairs.is_empty() { "" } else { "?" };
        Self::get(format!("{path}{separator}{pairs}"))
    }

    /// A `POST` whose query holds the members of `query` that are not absent.
    pub(crate) fn post_with(path: &str, query: &impl Serialize) -> Self {
        let mut call = Self::find(path, query);
        call.method = Method::POST;
        call
    }

    pub(crate) fn post(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn put(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::PUT, path)
    }

    pub(crate) fn patch(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::PATCH, path)
    }

    pub(crate) fn delete(path: impl Into<Cow<'a, str>>) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(crate) fn with(mut self, body: &impl Serialize) -> Result<Self, ClientError> {
        let body = serde_json::to_vec(body).map_err(|_| ClientError::Library)?;
        self.body = Some(Zeroizing::new(body));
        Ok(self)
    }

    /// With a body that is no JSON of ours.
    pub(crate) fn with_text(mut self, content_type: &'static str, body: Vec<u8>) -> Self {
        self.content_type = content_type;
        self.body = Some(Zeroizing::new(body));
        self
    }

    /// The same address by `POST`, with a body that is no JSON of ours.
    pub(crate) fn posted(mut self, content_type: &'static str, body: Vec<u8>) -> Self {
        self.method = Method::POST;
        self.with_text(content_type, body)
    }

    /// The same address by `PUT`.
    pub(crate) fn by_put(mut self) -> Self {
        self.method = Method::PUT;
        self
    }

    /// The same address by `DELETE`.
    pub(crate) fn by_delete(mut self) -> Self {
        self.method = Method::DELETE;
        self
    }

    /// Making it twice does no harm, whatever its method.
    pub(crate) fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }

    /// Whether making it twice does no harm.
    pub(super) fn is_repeatable(&self) -> bool {
        self.repeatable || self.method == Method::GET
    }

    /// The method, in capitals.
    pub(crate) fn method(&self) -> &str {
        self.method.as_str()
    }

    /// The path, and the query without its question mark.
    pub(crate) fn path_and_query(&self) -> (&str, &str) {
        self.path.split_once('?').unwrap_or((&self.path, ""))
    }

    /// The body, empty where there is none.
    pub(crate) fn body(&self) -> &[u8] {
        self.body.as_ref().map_or(&[], |body| body.as_slice())
    }

    fn new(method: Method, path: impl Into<Cow<'a, str>>) -> Self {
        Self {
            method,
            path: path.into(),
            body: None,
            content_type: "application/json",
            repeatable: false,
        }
    }
}
