//! A directory that manages accounts by SCIM 2.0, and the addresses that it asks.

use serde_json::{Value, json};

use crate::Api;
use crate::api::Listener;
use crate::http::{Connection, Response};

/// The form of requests that change a resource.
pub const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// What a user is.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// What a group is.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";
const SEARCH: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

/// A directory on the network: it has an address and a token, and nothing else.
pub struct Directory {
    /// The connection that it keeps.
    pub connection: Connection,
    /// Its token.
    pub token: String,
}

impl Directory {
    /// A directory that reaches the administration listener.
    pub fn new(api: &Api, token: &str) -> Self {
        Self {
            connection: api.connect(Listener::Administration).unwrap(),
            token: token.to_owned(),
        }
    }

    /// Sends a request to an address below `/scim/v2`.
    pub fn send(&mut self, method: &str, path: &str, body: Option<&Value>) -> Response {
        let body = body.map(Value::to_string);
        let path = format!("/scim/v2{path}");
        let body = body.as_deref().map(str::as_bytes);
        self.connection
            .send(method, &path, Some(&self.token), body)
            .unwrap()
    }

    /// What an address answers that takes the request.
    pub fn ask(&mut self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let response = self.send(method, path, body);
        assert!(
            response.status < 300,
            "{method} {path}: {}",
            response.text()
        );
        assert_eq!(
            response.header("content-type"),
            Some("application/scim+json")
        );
        response.json()
    }

    /// The status and the `scimType` of a refusal.
    #[track_caller]
    pub fn refused(&mut self, method: &str, path: &str, body: Option<&Value>) -> (u16, String) {
        let response = self.send(method, path, body);
        assert!(response.status >= 400, "{method} {path}");
        let error: Value = response.json();
        assert_eq!(error["schemas"], json!([ERROR]));
        assert_eq!(error["status"], response.status.to_string());
        assert!(error["detail"].as_str().unwrap().ends_with('.'));
        let kind = error["scimType"].as_str().unwrap_or_default();
        (response.status, kind.to_owned())
    }

    /// Patches a resource.
    pub fn patch(&mut self, path: &str, operations: &Value) -> Value {
        let body = json!({ "schemas": [PATCH], "Operations": operations });
        self.ask("PATCH", path, Some(&body))
    }
}

/// A user as Entra ID creates it.
pub fn user(name: &str, external_id: &str) -> Value {
    json!({
        "schemas": [USER, "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],
        "externalId": external_id,
        "userName": name,
        "active": true,
        "displayName": "Somebody",
        "emails": [{ "primary": true, "type": "work", "value": name }],
        "meta": { "resourceType": "User" },
        "name": { "formatted": "Some Body", "familyName": "Body", "givenName": "Some" },
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": { "department": "Law" },
    })
}

/// A resource's identifier.
pub fn id(resource: &Value) -> String {
    resource["id"].as_str().unwrap().to_owned()
}

/// A request that SCIM has (RFC 7644 table 2), at an appliance.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The method.
    pub method: &'static str,
    /// The address below `/scim/v2`, with `{id}` for a resource's identifier.
    pub path: String,
    /// A body that it takes, where it takes one.
    pub body: Option<Value>,
}

impl Directory {
    /// Every request that the appliance takes of directories, by its own description: the resources' endpoints and what describes them.
    pub fn operations(&mut self) -> Vec<Operation> {
        let mut all = Vec::new();
        let mut add = |method, path: String, body: Option<Value>| {
            all.push(Operation { method, path, body });
        };
        let search = || Some(json!({ "schemas": [SEARCH], "count": 1 }));
        let described = self.ask("GET", "/ResourceTypes", None);
        for resource_type in described["Resources"].as_array().unwrap() {
            let endpoint = resource_type["endpoint"].as_str().unwrap();
            let schema = resource_type["schema"].as_str().unwrap();
            let name = resource_type["name"].as_str().unwrap();
            let resource = json!({ "schemas": [schema], "userName": "x", "displayName": "x" });
            let operations = json!([{ "op": "replace", "path": "externalId", "value": "x" }]);
            let patch = json!({ "schemas": [PATCH], "Operations": operations });
            add("GET", endpoint.to_owned(), None);
            add("POST", endpoint.to_owned(), Some(resource.clone()));
            add("POST", format!("{endpoint}/.search"), search());
            add("GET", format!("{endpoint}/{{id}}"), None);
            add("PUT", format!("{endpoint}/{{id}}"), Some(resource));
            add("PATCH", format!("{endpoint}/{{id}}"), Some(patch));
            add("DELETE", format!("{endpoint}/{{id}}"), None);
            add("GET", format!("/ResourceTypes/{name}"), None);
            add("GET", format!("/Schemas/{schema}"), None);
        }
        add("POST", "/.search".to_owned(), search());
        for path in ["/ServiceProviderConfig", "/ResourceTypes", "/Schemas"] {
            add("GET", path.to_owned(), None);
        }
        assert!(all.len() >= 22, "{all:?}");
        all
    }
}
