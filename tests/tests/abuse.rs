//! What abuse of the interface comes to: guessing passwords across accounts, and bodies and queries that make no sense, at every route.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use strongroom_tests::Appliance;
use strongroom_tests::api::{Api, Listener};
use strongroom_tests::directory::{Directory, GROUP, id, user};
use strongroom_tests::http::Response;
use strongroom_wire::directory::DirectoryWithToken;
use strongroom_wire::health::{Health, Status};
use strongroom_wire::problem::{Code, MEDIA_TYPE};

/// An identifier that is none of anything.
const NOBODY: &str = "01934c1e-7d5a-7cc0-8f3e-0123456789ab";

/// The value of a counter of the appliance, 0 where it has not counted yet.
fn counted(appliance: &Appliance, counter: &str) -> u64 {
    let metrics = appliance.metrics();
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

fn refusals(appliance: &Appliance, code: Code) -> u64 {
    let counter = format!("strongroom_refusals_total{{code=\"{code}\"}}");
    counted(appliance, &counter)
}

/// Each refusal that was counted has a line in the log.
#[track_caller]
fn logged(appliance: &Appliance, code: Code) {
    let log = appliance.log();
    let lines = log.lines().filter(|line| line.contains("refused"));
    let lines = lines.filter(|line| line.contains(code.as_str())).count();
    assert_eq!(
        u64::try_from(lines).unwrap(),
        refusals(appliance, code),
        "{code}"
    );
}

#[test]
fn credential_stuffing_slows_its_address_down_and_nobody_else() {
    const BUDGET: usize = 12;
    let appliance = Appliance::start_with(&format!(
        "[limits]\naddress_failures = {BUDGET}\naddress_failure_seconds = 600"
    ));
    let mut admin = appliance.administrator();
    let _ = appliance.person(&mut admin, "alice@example.com");
    let home = appliance.api();
    // One password for each of many accounts, one of which exists: no account is tried twice, so only the address can give it away.
    let bot = home.from("127.0.0.77".parse().unwrap());
    let mut codes = BTreeMap::<String, usize>::new();
    for number in 0..3 * BUDGET {
        let name = match number {
            4 => "alice@example.com".to_owned(),
            _ => format!("leaked-{number}@example.com"),
        };
        let refused = bot.sign_in(&name, "hunter2").map(drop).unwrap_err();
        *codes.entry(refused.code().to_string()).or_default() += 1;
    }
    assert_eq!(codes["sign-in-refused"], BUDGET, "{codes:?}");
    assert_eq!(codes["too-many-attempts"], 2 * BUDGET, "{codes:?}");
    // A right password from there is not looked at either; from elsewhere it opens, for the account that was tried, too.
    let password = appliance.password_of("alice@example.com");
    let late = bot.sign_in("alice@example.com", &password).map(drop);
    let problem = late.unwrap_err().problem();
    assert_eq!(problem.code, Code::TooManyAttempts);
    assert!(problem.retry_after.unwrap() > 60);
    let _ = appliance.sign_in("alice@example.com");
    assert_eq!(
        refusals(&appliance, Code::TooManyAttempts),
        2 * u64::try_from(BUDGET).unwrap() + 1
    );
    logged(&appliance, Code::TooManyAttempts);
    assert!(!appliance.log().contains("hunter2"));
}

/// The largest body that the appliance of these tests takes, in bytes.
const LIMIT: usize = 4096;

/// A request in a session, or of a stranger.
#[derive(Debug, Clone, Copy)]
struct Request<'a> {
    listener: Listener,
    method: &'a str,
    path: &'a str,
    token: &'a str,
    content_type: &'a str,
}

/// Bodies that no address takes.
fn malformed() -> [(&'static str, Vec<u8>); 9] {
    let unknown = br#"{"__proto__": {"role": "administrator"}}"#;
    [
        ("nothing", Vec::new()),
        ("half an object", b"{".to_vec()),
        ("nothing but null", b"null".to_vec()),
        ("an array", b"[]".to_vec()),
        ("a number beyond all numbers", b"1e999999".to_vec()),
        ("no UTF-8", b"{\"\xff\xfe\": 1}".to_vec()),
        ("a NUL", b"\0".to_vec()),
        ("nesting", b"[".repeat(LIMIT)),
        ("unknown members", unknown.to_vec()),
    ]
}

/// The headers and the bytes of bodies that are too large: one that is announced and does not come, and one that comes unannounced.
fn too_large() -> [(String, Vec<u8>); 2] {
    let mut chunks = format!("{:x}\r\n", LIMIT + 1).into_bytes();
    chunks.extend([b' '; LIMIT + 1]);
    chunks.extend_from_slice(b"\r\n0\r\n\r\n");
    [
        (format!("content-length: {}", LIMIT + 1), Vec::new()),
        ("transfer-encoding: chunked".to_owned(), chunks),
    ]
}

/// Whoever tries it all, and what it came to.
struct Abuser {
    api: Api,
    refusals: BTreeMap<&'static str, u64>,
    bodies: usize,
    queries: usize,
}

impl Abuser {
    fn of(api: Api) -> Self {
        Self {
            api,
            refusals: BTreeMap::new(),
            bodies: 0,
            queries: 0,
        }
    }

    /// Sends a request with this header beside the usual ones, and this body.
    fn send(&self, request: Request<'_>, header: &str, body: &[u8]) -> Response {
        let Request {
            listener,
            method,
            path,
            token,
            content_type,
        } = request;
        let mut bytes = format!(
            "{method} {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\ncontent-type: {content_type}\r\n{header}\r\n\r\n"
        )
        .into_bytes();
        bytes.extend_from_slice(body);
        let mut connection = self.api.connect(listener).unwrap();
        connection
            .raw(&bytes)
            .unwrap_or_else(|error| panic!("{request:?}, {header}: {error}"))
    }

    fn count(&mut self, response: &Response) -> Option<Code> {
        if response.header("content-type") != Some(MEDIA_TYPE) {
            // Pairing has its own words for what is malformed; it is counted all the same.
            if response.status == 400 {
                *self.refusals.entry(Code::Malformed.as_str()).or_default() += 1;
            }
            return None;
        }
        let code = response.problem().code;
        *self.refusals.entry(code.as_str()).or_default() += 1;
        Some(code)
    }

    /// Counts a response, which has to be one of these refusals.
    #[track_caller]
    fn refused(&mut self, response: &Response, expected: &[Code], what: &str) {
        let text = response.text();
        if let Some(code) = self.count(response) {
            assert!(expected.contains(&code), "{what}: {code}, {text}");
        } else {
            // RFC 6749 and RFC 8628 have answers of their own for pairing.
            assert_eq!(response.status, 400, "{what}: {text}");
            let body: Value = serde_json::from_str(&text).unwrap();
            assert!(body["error"].is_string(), "{what}: {text}");
        }
    }

    /// Whether an address is at this listener. A stranger asks, so that nothing comes of what needs no body.
    fn is_here(&mut self, request: Request<'_>) -> bool {
        let stranger = Request {
            token: "nobody's",
            ..request
        };
        let response = self.send(stranger, "x: y", b"");
        let code = self.count(&response);
        ![Some(Code::NoSuchRoute), Some(Code::MethodNotAllowed)].contains(&code)
    }

    fn try_bodies(&mut self, request: Request<'_>) {
        self.bodies += 1;
        for (kind, body) in malformed() {
            let what = format!("{request:?}, {kind}");
            let length = format!("content-length: {}", body.len());
            let response = self.send(request, &length, &body);
            self.refused(&response, &[Code::Malformed, Code::Invalid], &what);
        }
        let what = format!("{request:?}, too large");
        for (header, body) in too_large() {
            let response = self.send(request, &header, &body);
            self.refused(&response, &[Code::TooLarge], &what);
        }
    }

    fn try_queries(&mut self, request: Request<'_>, parameter: &str) {
        self.queries += 1;
        for value in ["%00", "%ff%fe", "-1", "99999999999999999999999", "%7B%22"] {
            let path = format!("{}?{parameter}={value}", request.path);
            let request = Request {
                path: &path,
                ..request
            };
            let response = self.send(request, "x: y", b"");
            assert!(response.status < 500, "{request:?}: {response:?}");
            if response.status >= 400 {
                let expected = [
                    Code::Malformed,
                    Code::Invalid,
                    Code::KeyNotFound,
                    Code::AccountNotFound,
                    Code::IdentityNotFound,
                    Code::ObjectNotFound,
                    Code::NotPermitted,
                ];
                self.refused(&response, &expected, &path);
            }
        }
    }
}

#[test]
fn bodies_and_queries_that_make_no_sense_are_refused_at_every_route() {
    let appliance = Appliance::start_with(&format!(
        "[limits]\nbody = {LIMIT}\nkeys_body = {LIMIT}\naddress_failures = 100000\naccount_failures = 100000"
    ));
    let mut admin = appliance.administrator();
    let document: Value = admin.get("/v1/openapi.json").unwrap();
    let token = admin.token.to_text();
    let mut abuser = Abuser::of(appliance.api());
    for (template, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let parameters = operation["parameters"].as_array();
            let named = |place: &'static str| {
                let parameters = parameters.into_iter().flatten();
                parameters
                    .filter(move |parameter| parameter["in"] == place)
                    .map(|parameter| parameter["name"].as_str().unwrap())
            };
            let path = named("path").fold(template.clone(), |path, name| {
                let value = match name {
                    "index" | "version" => "0",
                    "code" => "WDJB-MJHT",
                    _ => NOBODY,
                };
                path.replace(&format!("{{{name}}}"), value)
            });
            // What a query must have, so that it is not that which is refused.
            let needed: Vec<String> = parameters
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
                .map(|parameter| {
                    let value = parameter["schema"]["enum"][0].as_str().unwrap_or("x");
                    format!("{}={value}", parameter["name"].as_str().unwrap())
                })
                .collect();
            let whole = match needed.as_slice() {
                [] => path.clone(),
                needed => format!("{path}?{}", needed.join("&")),
            };
            for listener in [Listener::Client, Listener::Administration] {
                let request = Request {
                    listener,
                    method: &method.to_uppercase(),
                    path: &path,
                    token: &token,
                    content_type: "text/plain",
                };
                if !abuser.is_here(request) {
                    continue;
                }
                let types = operation["requestBody"]["content"].as_object();
                // Pieces of updates are bytes of any kind, which an appliance takes that runs from an image: `updates` has what it refuses.
                let types = types.into_iter().flat_map(|types| types.keys());
                for content_type in types.filter(|name| *name != "application/octet-stream") {
                    abuser.try_bodies(Request {
                        content_type,
                        path: &whole,
                        ..request
                    });
                }
                for parameter in named("query") {
                    abuser.try_queries(request, parameter);
                }
            }
        }
    }
    let (bodies, queries) = (abuser.bodies, abuser.queries);
    assert!(bodies > 30, "only {bodies} bodies were tried");
    assert!(queries > 20, "only {queries} queries were tried");
    // Each was counted, and the appliance serves on, in the same session.
    for code in [Code::Malformed, Code::TooLarge] {
        let counted = refusals(&appliance, code);
        assert_eq!(counted, abuser.refusals[code.as_str()], "{code}");
        logged(&appliance, code);
    }
    assert_eq!(counted(&appliance, "strongroom_panics_total"), 0);
    let health: Health = admin.get("/v1/health").unwrap();
    assert_eq!(health.status, Status::Ok);
}

/// SCIM describes itself and has errors of its own form, so its addresses stand in no OpenAPI document.
#[test]
fn bodies_and_queries_that_make_no_sense_are_refused_at_every_address_of_scim() {
    let appliance = Appliance::start_with(&format!(
        "[limits]\nbody = {LIMIT}\nkeys_body = {LIMIT}\naddress_failures = 100000\naccount_failures = 100000"
    ));
    let mut admin = appliance.administrator();
    let request = json!({ "name": "entra" });
    let added: DirectoryWithToken = admin.ask("POST", "/v1/directories", &request).unwrap();
    let api = appliance.api();
    let mut entra = Directory::new(&api, &added.token);
    let alice = entra.ask("POST", "/Users", Some(&user("alice@example.com", "7")));
    let group = json!({ "schemas": [GROUP], "displayName": "Legal" });
    let legal = entra.ask("POST", "/Groups", Some(&group));
    let abuser = Abuser::of(api.clone());
    // How often each status was the answer.
    let mut statuses = BTreeMap::<u16, u64>::new();
    let mut bodies = 0;
    for operation in entra.operations() {
        let one = if operation.path.starts_with("/Groups") {
            id(&legal)
        } else {
            id(&alice)
        };
        let path = operation.path.replace("{id}", &one);
        let whole = format!("/scim/v2{path}");
        let request = Request {
            listener: Listener::Administration,
            method: operation.method,
            path: &whole,
            token: &added.token,
            content_type: "application/scim+json",
        };
        let mut answer = |response: &Response, what: &str| {
            let error: Value = response.json();
            assert_eq!(error["status"], response.status.to_string(), "{what}");
            assert!(error["detail"].as_str().unwrap().ends_with('.'), "{what}");
            *statuses.entry(response.status).or_default() += 1;
            response.status
        };
        if operation.body.is_some() {
            bodies += 1;
            for (kind, body) in malformed() {
                let what = format!("{request:?}, {kind}");
                let length = format!("content-length: {}", body.len());
                let response = abuser.send(request, &length, &body);
                assert_eq!(answer(&response, &what), 400, "{what}: {response:?}");
            }
            for (header, body) in too_large() {
                let response = abuser.send(request, &header, &body);
                assert_eq!(answer(&response, &header), 413, "{request:?}");
            }
            // JSON by another name.
            let other = Request {
                content_type: "text/plain",
                ..request
            };
            let response = abuser.send(other, "content-length: 2", b"{}");
            assert_eq!(answer(&response, "text/plain"), 400, "{request:?}");
        } else if operation.method == "GET" {
            for query in [
                "filter=%00",
                "filter=%ff%fe",
                "filter=((((((((((((((((((((",
                "startIndex=99999999999999999999999",
                "count=x",
                "attributes=%00,%ff",
                "excludedAttributes=%7B%22",
            ] {
                let path = format!("{whole}?{query}");
                let request = Request {
                    path: &path,
                    ..request
                };
                let response = abuser.send(request, "x: y", b"");
                assert!(response.status < 500, "{request:?}: {response:?}");
                if response.status >= 400 {
                    assert_eq!(answer(&response, &path), 400, "{response:?}");
                }
            }
        }
    }
    assert!(bodies >= 9, "only {bodies} bodies were tried");
    // Each was counted and is in the log, nothing was changed, and the directory goes on.
    let counted_as = |code| refusals(&appliance, code);
    assert_eq!(
        counted_as(Code::Malformed) + counted_as(Code::Invalid),
        statuses[&400]
    );
    assert_eq!(counted_as(Code::TooLarge), statuses[&413]);
    assert_eq!(counted(&appliance, "strongroom_panics_total"), 0);
    logged(&appliance, Code::TooLarge);
    let path = format!("/Users/{}", id(&alice));
    assert_eq!(entra.ask("GET", &path, None), alice);
}
