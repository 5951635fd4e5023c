//! What the interface answers before it asks the keystore: wrong addresses, wrong methods, missing sessions, bodies that cannot be read.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use actix_web::http::header::HeaderMap;
use actix_web::http::{Method, header};
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service, read_body, try_call_service};
use actix_web::{App, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use strongroom_wire::problem::{Code, MEDIA_TYPE, Problem};
use utoipa_actix_web::AppExt as _;

use super::*;
use crate::auth::limits::SignInLimits;
use crate::config::Limits;
use crate::observe::observe;

const KEY: &str = "01934c1e-7d5a-7cc0-8f3e-0123456789ab";

async fn panics() -> HttpResponse {
    panic!("a handler that panics");
}

/// Sends a request to a listener that has all its routes and no keystore.
async fn send(listener: Listener, request: TestRequest) -> (HeaderMap, Problem) {
    let limits = Limits {
        body: 2048,
        keys_body: 8192,
        ..Limits::default()
    };
    let app = App::new()
        .app_data(web::Data::new(listener))
        .app_data(web::Data::new(RouteTable::new(listener)))
        .app_data(web::Data::new(SignInLimits::new(&limits)))
        .app_data(web::Data::new(crate::auth::oidc::Oidc::default()))
        .app_data(web::Data::new(BodyLimits::from(&limits)))
        .app_data(web::Data::new(updates::Image::None))
        .app_data(web::Data::new(attestation::Attesting::None))
        .configure(extractor_settings)
        .into_utoipa_app()
        .configure(|services| listener.routes(services))
        .into_app()
        .service(web::resource("/panic").to(panics))
        .default_service(web::to(unrouted))
        .wrap(from_fn(observe));
    let service = init_service(app).await;
    let (head, body) = match try_call_service(&service, request.to_request()).await {
        Ok(response) => {
            let head = response.headers().clone();
            (head, read_body(response).await)
        }
        // What actix makes of it when it is about to send it.
        Err(error) => {
            let response = error.error_response();
            let head = response.headers().clone();
            let body = actix_web::body::to_bytes(response.into_body()).await;
            (head, body.unwrap_or_default())
        }
    };
    let problem = serde_json::from_slice(&body)
        .unwrap_or_else(|_| panic!("no problem: {}", String::from_utf8_lossy(&body)));
    (head, problem)
}

fn signed_in(request: TestRequest) -> TestRequest {
    let token = URL_SAFE_NO_PAD.encode([7; 32]);
    request.append_header((header::AUTHORIZATION, format!("Bearer {token}")))
}

#[actix_web::test]
async fn addresses_are_unknown_where_they_are_not_of_this_listener() {
    for (listener, path) in [
        (Listener::Client, "/"),
        (Listener::Client, "/v1"),
        (Listener::Client, "/v1/keys/"),
        (Listener::Client, "/v1/accounts"),
        (Listener::Client, "/metrics"),
        (Listener::Administration, "/v1/keys"),
        (Listener::Administration, "/v1/sessions/../keys"),
    ] {
        let (head, problem) = send(listener, TestRequest::with_uri(path)).await;
        assert_eq!(problem.code, Code::NoSuchRoute, "{path}");
        assert_eq!(head.get("content-type").unwrap(), MEDIA_TYPE);
        assert_eq!(head.get("cache-control").unwrap(), "no-store");
        assert_eq!(head.get("x-content-type-options").unwrap(), "nosniff");
        assert!(head.contains_key("strict-transport-security"));
    }
}

#[actix_web::test]
async fn a_wrong_method_is_told_the_right_ones() {
    for (listener, method, path, allowed) in [
        (Listener::Client, Method::PUT, "/v1/keys", "GET, POST"),
        (Listener::Client, Method::HEAD, "/v1/health", "GET"),
        (
            Listener::Client,
            Method::POST,
            "/v1/keys/nonsense",
            "GET, PATCH, DELETE",
        ),
        (
            Listener::Client,
            Method::GET,
            "/v1/sessions/current",
            "DELETE",
        ),
        (
            Listener::Administration,
            Method::DELETE,
            "/v1/accounts",
            "GET, POST",
        ),
        (
            Listener::Administration,
            Method::GET,
            "/v1/accounts/x/enrolment",
            "POST",
        ),
    ] {
        let request = TestRequest::with_uri(path).method(method);
        let (head, problem) = send(listener, request).await;
        assert_eq!(problem.code, Code::MethodNotAllowed, "{path}");
        assert_eq!(head.get("allow").unwrap(), allowed, "{path}");
    }
}

#[actix_web::test]
async fn every_operation_that_needs_a_session_asks_for_one_first() {
    let mut asked = 0;
    for listener in [Listener::Client, Listener::Administration] {
        for (path, methods) in document::methods(listener) {
            let open = [
                "/metrics",
                "/v1/health",
                "/v1/openapi.json",
                "/v1/oidc",
                "/v1/sessions/certificate",
                "/v1/sessions/start",
                "/v1/sessions/finish",
                "/v1/sessions/second-factor",
                "/v1/pairings",
                "/v1/pairings/token",
            ];
            if open.contains(&path.as_str())
                || path.starts_with("/v1/enrolments/")
                || path.starts_with("/v1/recoveries/")
                || path.starts_with("/v1/sessions/passkey/")
                || path.starts_with("/v1/sessions/oidc/")
            {
                continue;
            }
            let path = path.replace(['{', '}'], "");
            for method in methods {
                // Neither the identifiers nor the body could be read.
                let request = TestRequest::with_uri(&path)
                    .method(method.parse().unwrap())
                    .set_payload("{");
                let (head, problem) = send(listener, request).await;
                assert_eq!(problem.code, Code::NotSignedIn, "{method} {path}");
                assert_eq!(head.get("www-authenticate").unwrap(), "Bearer");
                asked += 1;
            }
        }
    }
    assert_eq!(asked, 164);
}

#[actix_web::test]
async fn bodies_that_cannot_be_read_are_refused_without_an_echo() {
    let create = |body: String| {
        signed_in(TestRequest::post().uri("/v1/keys"))
            .insert_header((header::CONTENT_TYPE, "application/json"))
            .set_payload(body)
    };
    let (_, problem) = send(Listener::Client, create("{\"SECRET\":1}".to_owned())).await;
    assert_eq!(problem.code, Code::Malformed);
    assert!(!problem.detail.contains("SECRET"), "{}", problem.detail);

    let (_, problem) = send(Listener::Client, create(" ".repeat(8193))).await;
    assert_eq!(problem.code, Code::TooLarge);
    assert!(problem.detail.contains("8192"), "{}", problem.detail);
    let (_, problem) = send(Listener::Client, create(" ".repeat(8192))).await;
    assert_eq!(problem.code, Code::Malformed);

    let path = format!("/v1/keys/{KEY}/release");
    let release = signed_in(TestRequest::post().uri(&path))
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .set_payload(" ".repeat(2049));
    let (_, problem) = send(Listener::Client, release).await;
    assert_eq!(problem.code, Code::TooLarge);

    let typeless = signed_in(TestRequest::post().uri(&path)).set_payload("{}");
    let (_, problem) = send(Listener::Client, typeless).await;
    assert_eq!(problem.code, Code::Malformed);
    assert!(problem.detail.contains("application/json"));
}

#[actix_web::test]
async fn a_panic_is_a_problem_like_any_other() {
    let (head, problem) = send(Listener::Client, TestRequest::with_uri("/panic")).await;
    assert_eq!(problem.code, Code::Internal);
    assert!(!problem.detail.contains("panics"), "{}", problem.detail);
    assert_eq!(head.get("cache-control").unwrap(), "no-store");
}
