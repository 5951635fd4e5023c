//! What stands on a page.

use serde_json::{Value, json};

use super::Browser;

/// An element of the page that is shown.
pub struct Element<'a> {
    pub(super) browser: &'a Browser,
    pub(super) id: String,
}

impl Element<'_> {
    /// Its text as a reader sees it.
    #[must_use]
    pub fn text(&self) -> String {
        self.get("text")
    }

    /// An attribute.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        let value = self.browser.call(
            "GET",
            &format!("/element/{}/attribute/{name}", self.id),
            &Value::Null,
        );
        value.as_str().map(str::to_owned)
    }

    /// Whether a reader sees it.
    #[must_use]
    pub fn is_shown(&self) -> bool {
        let shown = self.browser.call(
            "GET",
            &format!("/element/{}/displayed", self.id),
            &Value::Null,
        );
        shown == true
    }

    /// Clicks on it.
    pub fn click(&self) {
        self.post("click", &json!({}));
    }

    /// Empties it.
    pub fn clear(&self) {
        self.post("clear", &json!({}));
    }

    /// Types.
    pub fn type_in(&self, text: &str) {
        self.post("value", &json!({ "text": text }));
    }

    fn get(&self, what: &str) -> String {
        let value = self
            .browser
            .call("GET", &format!("/element/{}/{what}", self.id), &Value::Null);
        value.as_str().unwrap_or_default().to_owned()
    }

    fn post(&self, what: &str, body: &Value) {
        self.browser
            .call("POST", &format!("/element/{}/{what}", self.id), body);
    }
}
