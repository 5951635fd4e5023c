//! The OpenAPI 3.1 document, from the handlers' own annotations.

use std::sync::LazyLock;

use actix_web::App;
use strongroom_wire::audit::Act;
use strongroom_wire::operation::Mechanism;
use strongroom_wire::problem::{Code, MEDIA_TYPE, Problem};
use strongroom_wire::proposal::GuardedAct;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, Required, ResponseBuilder, Schema, SecurityRequirement,
};
use utoipa::{OpenApi as _, PartialSchema as _, ToSchema as _};
use utoipa_actix_web::AppExt as _;

use super::Listener;
use crate::problems::Failure;

/// The extension that says on which listeners an operation is.
const LISTENERS: &str = "x-strongroom-listeners";
const SESSION: &str = "session";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Strongroom",
        description = "The HTTP interface of the Strongroom key-management appliance. There are two listeners, one for clients and one for administration; \
            `x-strongroom-listeners` says on which an operation is. Every answer of status 400 or above is a problem document (RFC 9457), except where \
            an OAuth 2.0 standard says otherwise: branch on its `code`. Devices and services sign their requests (RFC 9421) in place of a session. Unknown fields in requests are refused; clients ignore unknown fields in answers.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    tags(
        (name = "enrolments", description = "An account's holder registers a password with a one-time code."),
        (name = "sessions", description = "Sign-in by OPAQUE, and the sessions it opens."),
        (name = "credentials", description = "Authenticator apps, passkeys and recovery codes."),
        (name = "recoveries", description = "The way back for whoever has lost their password."),
        (name = "accounts", description = "People, devices, services and groups."),
        (name = "devices", description = "Devices and the secrets of devices and services; pairing by RFC 8628."),
        (name = "directories", description = "Directories that manage accounts by SCIM 2.0, which describes itself under `/scim/v2`."),
        (name = "groups", description = "Members of groups."),
        (name = "keys", description = "Keys and their material."),
        (name = "objects", description = "Certificates, data, and what applications say of keys, as PKCS #11 has them."),
        (name = "operations", description = "The appliance uses a key for a client, which never receives its material."),
        (name = "grants", description = "Who has a key."),
        (name = "policies", description = "Usage policies of the domain, of keys and of grants; what they decide."),
        (name = "authorisations", description = "Lawful access: orders, which nobody puts into effect alone."),
        (name = "disclosures", description = "Lawful access: what an order reaches, letting it out, what is kept, and who is told."),
        (name = "proposals", description = "Acts that several people have to approve, because the domain's policy says so. `Strongroom-Proposal` in a request names the proposal by whose approvals it is made."),
        (name = "rotation", description = "New versions of the master KEK and of account KEKs."),
        (name = "updates", description = "Releases of the image that the appliance runs from, and updates to another."),
        (name = "audit", description = "The record of every act."),
        (name = "health", description = "For the monitoring and for tools.")
    )
)]
struct Base;

/// The document, in pretty JSON with a line end.
pub(crate) fn text() -> Result<&'static str, Failure> {
    static TEXT: LazyLock<Option<String>> = LazyLock::new(|| {
        whole()
            .to_pretty_json()
            .ok()
            .map(|text| plain(&text) + "\n")
    });
    TEXT.as_deref().ok_or_else(Failure::internal)
}

/// Descriptions are the types' own documentation, in which names link to other types: here the names alone are of use,
/// wherever the code has them.
fn plain(text: &str) -> String {
    let mut parts = text.split("`](");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        named.push('`');
        named.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    named.replace("[`", "`").replace("`]", "`")
}

/// The addresses of a listener and the methods that each takes.
pub(crate) fn methods(listener: Listener) -> Vec<(String, Vec<&'static str>)> {
    of_listener(listener)
        .paths
        .paths
        .into_iter()
        .map(|(path, mut item)| {
            let methods = operations(&mut item).into_iter().map(|(name, _)| name);
            (path, methods.collect())
        })
        .collect()
}

fn of_listener(listener: Listener) -> OpenApi {
    let (_, document) = App::new()
        .into_utoipa_app()
        .configure(|services| listener.routes(services))
        .split_for_parts();
    document
}

/// Both listeners' operations in one document.
fn whole() -> OpenApi {
    let mut document = Base::openapi();
    for listener in [Listener::Client, Listener::Administration] {
        let mut part = of_listener(listener);
        for (path, item) in &mut part.paths.paths {
            for (method, operation) in operations(item) {
                complete(operation);
                let known = document.paths.paths.get_mut(path).and_then(|item| {
                    operations(item)
                        .into_iter()
                        .find_map(|(name, known)| (name == method).then_some(known))
                });
                on_listener(known.unwrap_or(operation), listener);
            }
        }
        document.merge(part);
    }
    let components = document.components.get_or_insert_default();
    let mut schemas = vec![(Problem::name().into_owned(), Problem::schema())];
    Problem::schemas(&mut schemas);
    components.schemas.extend(schemas);
    // Their variants are named by a macro, which the derived schema does not see through.
    for (name, values) in [
        (
            Code::name(),
            Code::ALL
                .iter()
                .map(|code| code.as_str())
                .collect::<Vec<_>>(),
        ),
        (
            Act::name(),
            Act::ALL.iter().map(|act| act.as_str()).collect(),
        ),
        (
            GuardedAct::name(),
            GuardedAct::ALL.iter().map(|act| act.as_str()).collect(),
        ),
        (
            Mechanism::name(),
            Mechanism::ALL
                .iter()
                .map(|mechanism| mechanism.as_str())
                .collect(),
        ),
    ] {
        if let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(&*name) {
            schema.enum_values = Some(values.into_iter().map(Into::into).collect());
        }
    }
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(
            "The token of a session: 32 bytes in base64url without padding.",
        ))
        .build();
    components.add_security_scheme(SESSION, SecurityScheme::Http(scheme));
    document.security = Some(vec![SecurityRequirement::new(SESSION, [""; 0])]);
    document
}

/// Adds what all operations have in common.
fn complete(operation: &mut Operation) {
    let problem = ResponseBuilder::new()
        .description("A problem document (RFC 9457).")
        .content(
            MEDIA_TYPE,
            Content::new(Some(Ref::from_schema_name(Problem::name()))),
        )
        .build();
    let responses = &mut operation.responses.responses;
    responses.insert("default".to_owned(), problem.into());
    let parameters = operation.parameters.get_or_insert_default();
    parameters.push(RefOr::T(
        ParameterBuilder::new()
            .name("Strongroom-Domain")
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(
                "The domain that the request is for; without it, the one that the host name stands for, or else the appliance's first.",
            ))
            .schema(Some(
                ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)),
            ))
            .build(),
    ));
}

fn on_listener(operation: &mut Operation, listener: Listener) {
    let extensions = operation.extensions.get_or_insert_with(Extensions::default);
    let listeners = extensions
        .entry(LISTENERS.to_owned())
        .or_insert_with(|| serde_json::Value::Array(Vec::new()));
    if let Some(listeners) = listeners.as_array_mut() {
        listeners.push(listener.name().into());
    }
}

fn operations(item: &mut PathItem) -> Vec<(&'static str, &mut Operation)> {
    [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("PATCH", &mut item.patch),
        ("DELETE", &mut item.delete),
    ]
    .into_iter()
    .filter_map(|(name, operation)| Some((name, operation.as_mut()?)))
    .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Where the document stands in the repository.
    const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");

    #[test]
    fn the_committed_document_is_this_one() {
        let committed = std::fs::read_to_string(COMMITTED).unwrap_or_default();
        assert!(
            committed == text().unwrap(),
            "docs/openapi.json is not what the code says; refresh it with `cargo run --release -p strongroomd -- openapi > docs/openapi.json`"
        );
    }

    #[test]
    fn names_are_told_without_where_the_code_has_them() {
        assert_eq!(
            plain("1 to [`MOST`](super::MOST) items, or [`ALL`] (see [`FEW`](crate::FEW))."),
            "1 to `MOST` items, or `ALL` (see `FEW`)."
        );
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(members) => {
                    for (name, member) in members {
                        if name == "$ref" {
                            found.insert(member.as_str().unwrap().to_owned());
                        }
                        references(member, found);
                    }
                }
                Value::Array(members) => {
                    for member in members {
                        references(member, found);
                    }
                }
                _ => {}
            }
        }
        let document: Value = serde_json::from_str(text().unwrap()).unwrap();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(found.len() > 20, "{found:?}");
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    #[test]
    fn values_are_spelt_as_in_json() {
        let document: Value = serde_json::from_str(text().unwrap()).unwrap();
        let values = |name: &str| document["components"]["schemas"][name]["enum"].clone();
        assert_eq!(values("Code"), serde_json::to_value(Code::ALL).unwrap());
        assert_eq!(values("Act"), serde_json::to_value(Act::ALL).unwrap());
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            for value in schema["enum"].as_array().into_iter().flatten() {
                let value = value.as_str().unwrap();
                assert!(!value.contains(char::is_uppercase), "{name}: {value}");
            }
        }
    }

    #[test]
    fn every_operation_is_whole() {
        let document: Value = serde_json::from_str(text().unwrap()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut identifiers = BTreeSet::new();
        let mut open = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let what = format!("{method} {path}");
                let listeners = operation[LISTENERS].as_array().unwrap();
                assert!((1..=2).contains(&listeners.len()), "{what}");
                assert!(operation["responses"]["default"].is_object(), "{what}");
                assert!(
                    operation["summary"].as_str().unwrap().ends_with('.'),
                    "{what}"
                );
                let identifier = operation["operationId"].as_str().unwrap();
                assert!(identifiers.insert(identifier.to_owned()), "{what}");
                let parameters = operation["parameters"].as_array();
                let in_path = parameters.into_iter().flatten();
                let in_path = in_path.filter(|parameter| parameter["in"] == "path");
                assert_eq!(in_path.count(), path.matches('{').count(), "{what}");
                if operation.get("security").is_some() {
                    open.insert(what);
                }
            }
        }
        assert_eq!(identifiers.len(), 138);
        let expected = [
            "get /metrics",
            "get /v1/health",
            "get /v1/oidc",
            "get /v1/openapi.json",
            "post /v1/enrolments/finish",
            "post /v1/enrolments/start",
            "post /v1/pairings",
            "post /v1/pairings/token",
            "post /v1/recoveries/finish",
            "post /v1/recoveries/start",
            "post /v1/sessions/certificate",
            "post /v1/sessions/finish",
            "post /v1/sessions/oidc/finish",
            "post /v1/sessions/oidc/start",
            "post /v1/sessions/passkey/finish",
            "post /v1/sessions/passkey/start",
            "post /v1/sessions/second-factor",
            "post /v1/sessions/start",
        ];
        assert!(open.iter().eq(expected.iter()), "{open:?}");
    }
}
