//! The one place where anything that goes wrong becomes a problem document (RFC 9457).
//!
//! A problem's `detail` never repeats what the client sent: requests hold codes, tokens and protocol messages, and a detail ends up in
//! logs on the other side.

use std::fmt;
use std::time::Duration;

use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use strongroom_keystore::Refusal;
use strongroom_wire::encoding::{MalformedBase64, MalformedTimestamp};
use strongroom_wire::policy::{MalformedNetwork, MalformedTimeOfDay};
use strongroom_wire::problem::{Code, MEDIA_TYPE, Problem};

use crate::auth::limits::TooMany;
use crate::observe;

/// A request that failed: the problem document that answers it, and the methods that the address takes where the problem is
/// the method.
#[derive(Debug)]
pub(crate) struct Failure {
    problem: Box<Problem>,
    allow: Option<String>,
}

/// What a response says of its problem to [`observe`]: it stands in the log and the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The problem's code.
    pub(crate) code: Code,
    /// The leaf that records the refusal.
    pub(crate) leaf: Option<u64>,
}

/// An error's words as a sentence of their own: with a capital letter and a full stop.
pub(crate) fn sentence(error: impl fmt::Display) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

impl Failure {
    /// A failure with this sentence.
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Problem::new(code, detail).into()
    }

    /// The problem's code.
    pub(crate) fn code(&self) -> Code {
        self.problem.code
    }

    /// Whether the appliance is to blame, and not the one who asked.
    pub(crate) fn is_fault(&self) -> bool {
        self.problem.status >= 500
    }

    /// A fault of the appliance of which the client learns no more than that.
    pub(crate) fn internal() -> Self {
        Self::new(
            Code::Internal,
            "The appliance failed; its log says more about it.",
        )
    }

    /// The address is not one of ours.
    pub(crate) fn no_such_route() -> Self {
        Self::new(
            Code::NoSuchRoute,
            "There is nothing at this address; the listener may be the wrong one.",
        )
    }

    /// There is no page at this address, for people.
    pub(crate) fn no_such_page() -> Self {
        Self::new(
            Code::NoSuchRoute,
            "There is no page at this address. It may have been mistyped, or what it showed is gone.",
        )
    }

    /// The problem itself.
    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The address is ours and takes only these methods.
    pub(crate) fn method_not_allowed(allow: &str) -> Self {
        Self {
            allow: Some(allow.to_owned()),
            ..Self::new(
                Code::MethodNotAllowed,
                format!("This address takes {allow}."),
            )
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.detail)
    }
}

impl std::error::Error for Failure {}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        observe::insert_headers(response.content_type(MEDIA_TYPE));
        if let Some(seconds) = self.problem.retry_after {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if let Some(allow) = &self.allow {
            response.insert_header((ALLOW, allow.as_str()));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        let body = serde_json::to_vec(&*self.problem).unwrap_or_default();
        let mut response = response.body(body);
        response.extensions_mut().insert(Refused {
            code: self.problem.code,
            leaf: self.problem.leaf,
        });
        response
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        *failure.problem
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self {
            problem: Box::new(problem),
            allow: None,
        }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let problem = refusal.problem();
        if problem.status >= 500 {
            tracing::error!(code = %problem.code, error = %refusal.error, "the keystore failed");
        }
        problem.into()
    }
}

impl From<TooMany> for Failure {
    fn from(TooMany(wait): TooMany) -> Self {
        let seconds = whole_seconds(wait);
        let mut problem = Problem::new(
            Code::TooManyAttempts,
            format!("Too many attempts have failed; try again in {seconds} s."),
        );
        problem.retry_after = Some(seconds);
        problem.into()
    }
}

/// Rounded up: who waits so long is let in.
fn whole_seconds(wait: Duration) -> u64 {
    let rest = u64::from(wait.subsec_nanos() > 0);
    (wait.as_secs() + rest).max(1)
}

impl From<JsonPayloadError> for Failure {
    fn from(error: JsonPayloadError) -> Self {
        match error {
            JsonPayloadError::OverflowKnownLength { limit, .. }
            | JsonPayloadError::Overflow { limit } => Self::new(
                Code::TooLarge,
                format!("The body is larger than the {limit} bytes that this address takes."),
            ),
            JsonPayloadError::ContentType => Self::new(
                Code::Malformed,
                "The body must be JSON with the content type application/json.",
            ),
            JsonPayloadError::Deserialize(error) => {
                Self::new(Code::Malformed, unreadable_json(&error))
            }
            JsonPayloadError::Payload(_) => {
                Self::new(Code::Malformed, "The body did not arrive whole.")
            }
            // Also what a later version of the library may add.
            _ => Self::new(Code::Malformed, "The body cannot be read."),
        }
    }
}

impl From<QueryPayloadError> for Failure {
    fn from(error: QueryPayloadError) -> Self {
        let QueryPayloadError::Deserialize(error) = error else {
            return Self::new(Code::Malformed, "The query of the address cannot be read.");
        };
        let about = harmless_part(&error.to_string());
        let detail = format!(
            "The query of the address cannot be read{}.",
            about.unwrap_or_default()
        );
        Self::new(Code::Malformed, detail)
    }
}

impl From<PathError> for Failure {
    fn from(_: PathError) -> Self {
        Self::new(
            Code::Malformed,
            "The address holds something else where an identifier or a number belongs.",
        )
    }
}

/// What is wrong with the JSON, without anything of its content.
fn unreadable_json(error: &serde_json::Error) -> String {
    let place = format!("line {}, column {}", error.line(), error.column());
    if error.is_data() {
        let about = harmless_part(&error.to_string()).unwrap_or_default();
        format!("The body does not have the form that this address takes ({place}){about}.")
    } else {
        format!("The body is not JSON ({place}).")
    }
}

/// The part of a message of serde's that is ours and not the client's: names of fields that we know, and our own sentences.
fn harmless_part(message: &str) -> Option<String> {
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(message, _)| message);
    for known in ["missing field ", "duplicate field "] {
        if message.starts_with(known) {
            return Some(format!(": {message}"));
        }
    }
    if message.starts_with("unknown field ") {
        let (_, expected) = message.rsplit_once(", expected ")?;
        return Some(format!(": it has an unknown field; expected {expected}"));
    }
    [
        MalformedBase64.to_string(),
        MalformedTimestamp.to_string(),
        MalformedNetwork.to_string(),
        MalformedTimeOfDay.to_string(),
    ]
    .into_iter()
    .find(|ours| message.starts_with(ours.as_str()))
    .map(|ours| format!(": {ours}"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use actix_web::body::to_bytes;
    use serde::de::DeserializeOwned;
    use strongroom_wire::account::{CreateAccount, StartEnrolment};
    use strongroom_wire::key::{CreateKeys, KeyQuery, ShareKey};
    use strongroom_wire::session::FinishSignIn;

    use super::*;

    async fn answer(failure: &Failure) -> (HttpResponse<()>, Problem) {
        let (head, body) = failure.error_response().into_parts();
        let body = to_bytes(body).await.unwrap();
        (head, serde_json::from_slice(&body).unwrap())
    }

    #[actix_web::test]
    async fn each_code_has_its_document() {
        for code in Code::ALL {
            let (head, problem) = answer(&Failure::new(*code, "A sentence.")).await;
            assert_eq!(head.status().as_u16(), code.status());
            assert_eq!(problem, Problem::new(*code, "A sentence."));
            let header = |name| {
                head.headers()
                    .get(name)
                    .map(|value| value.to_str().unwrap())
            };
            assert_eq!(header("content-type"), Some(MEDIA_TYPE));
            assert_eq!(header("cache-control"), Some("no-store"));
            assert_eq!(header("x-content-type-options"), Some("nosniff"));
            assert!(header("strict-transport-security").is_some());
            assert_eq!(
                header("www-authenticate"),
                (code.status() == 401).then_some("Bearer")
            );
            let refused = head.extensions().get::<Refused>().copied();
            assert_eq!(
                refused,
                Some(Refused {
                    code: *code,
                    leaf: None
                })
            );
        }
    }

    #[actix_web::test]
    async fn the_wait_is_told_twice_and_rounded_up() {
        for (wait, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (5999, 6)] {
            let failure = Failure::from(TooMany(Duration::from_millis(wait)));
            let (head, problem) = answer(&failure).await;
            assert_eq!(problem.code, Code::TooManyAttempts);
            assert_eq!(problem.retry_after, Some(seconds));
            let header = head.headers().get("retry-after").unwrap();
            assert_eq!(header.to_str().unwrap(), seconds.to_string());
        }
    }

    #[actix_web::test]
    async fn the_methods_that_an_address_takes_are_named() {
        let (head, problem) = answer(&Failure::method_not_allowed("GET, POST")).await;
        assert_eq!(problem.code, Code::MethodNotAllowed);
        assert_eq!(head.headers().get("allow").unwrap(), "GET, POST");
    }

    fn detail<T: DeserializeOwned>(json: &str) -> String {
        let Err(error) = serde_json::from_str::<T>(json) else {
            return "it was read".to_owned();
        };
        Failure::from(JsonPayloadError::Deserialize(error)).to_string()
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_repeated() {
        let secret = "k7-SECRET-9z";
        for (detail, expected) in [
            (detail::<StartEnrolment>(r#"{"account":"a"}"#), "`code`"),
            (
                detail::<StartEnrolment>(&format!(
                    r#"{{"account":"a","code":"{secret}","request":"{secret}!"}}"#
                )),
                "base64url",
            ),
            (
                detail::<StartEnrolment>(&format!(r#"{{"{secret}":1}}"#)),
                "`account`",
            ),
            (
                detail::<StartEnrolment>(&format!(r#"{{"{secret}, expected {secret}":1}}"#)),
                "`account`",
            ),
            (
                detail::<StartEnrolment>(&format!(r#"{{"account":"a","code":["{secret}"]}}"#)),
                "line 1",
            ),
            (
                detail::<CreateAccount>(&format!(r#"{{"name":"a","kind":"{secret}"}}"#)),
                "line 1",
            ),
            (
                detail::<FinishSignIn>(&format!(r#"{{"sign_in":"{secret}","ke3":""}}"#)),
                "line 1",
            ),
            (detail::<CreateKeys>(&format!("\"{secret}\"")), "form"),
            (detail::<CreateKeys>(&format!("{{{secret}}}")), "not JSON"),
            (
                detail::<CreateKeys>(
                    r#"{"keys":[{"algorithm":"aes-256","policy":{"not_after":"tomorrow"}}]}"#,
                ),
                "RFC 3339",
            ),
            (
                detail::<ShareKey>(r#"{"grantee":"b","policy":{"networks":["k7-SECRET-9z"]}}"#),
                "10.0.0.0/8",
            ),
            (
                detail::<ShareKey>(
                    r#"{"grantee":"b","policy":{"hours":[{"from":"k7-SECRET-9z"}]}}"#,
                ),
                "24:00",
            ),
        ] {
            assert!(detail.contains(expected), "{detail}");
            assert!(!detail.contains(secret), "{detail}");
        }
    }

    #[test]
    fn queries_are_explained_alike() {
        let read = |query: &str| {
            actix_web::web::Query::<KeyQuery>::from_query(query)
                .map_err(|error| Failure::from(error).to_string())
        };
        assert!(read("limit=5&from=2026-11-27T18:00:00Z").is_ok());
        let unknown = read("ower=SECRET").unwrap_err();
        assert!(unknown.contains("`sender`"), "{unknown}");
        let malformed = read("after=SECRET").unwrap_err();
        assert!(!malformed.contains("SECRET"), "{malformed}");
    }
}
