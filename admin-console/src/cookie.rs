//! Cookies: which a browser sends, and which it is told to keep (RFC 6265bis).

use actix_web::HttpResponse;
use actix_web::http::header::{COOKIE, HeaderMap, HeaderValue, SET_COOKIE};

/// The cookie of this name. Where a browser sends two, there is none: somebody has put one in.
pub(crate) fn sent(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut found = headers
        .get_all(COOKIE)
        .filter_map(|header| header.to_str().ok())
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(other, _)| *other == name)
        .map(|(_, value)| value.to_owned());
    match (found.next(), found.next()) {
        (Some(value), None) => Some(value),
        _ => None,
    }
}

/// Has the browser keep a cookie until it is closed, and send it to this very site alone, out of reach of scripts. The value is base64url.
pub(crate) fn keep(response: &mut HttpResponse, name: &'static str, value: &str) {
    set(response, &format!("{name}={value}; {ATTRIBUTES}"));
}

/// Has the browser forget a cookie.
pub(crate) fn forget(response: &mut HttpResponse, name: &'static str) {
    set(response, &format!("{name}=; {ATTRIBUTES}; Max-Age=0"));
}

const ATTRIBUTES: &str = "Path=/; Secure; HttpOnly; SameSite=Strict";

fn set(response: &mut HttpResponse, cookie: &str) {
    // Names and attributes stand here, and base64url is what a header may hold.
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_cookie_is_sent_once_or_not_at_all() {
        let read = |cookies: &[&str]| {
            let mut request = TestRequest::default();
            for cookie in cookies {
                request = request.append_header((COOKIE, *cookie));
            }
            sent(request.to_http_request().headers(), "__Host-a")
        };
        assert_eq!(read(&["b=1; __Host-a=x_-; c=2"]).as_deref(), Some("x_-"));
        assert_eq!(read(&["b=1", "__Host-a=y"]).as_deref(), Some("y"));
        assert_eq!(read(&["__Host-a=x; __Host-a=y"]), None);
        assert_eq!(read(&["__Host-ab=x; a=y"]), None);
        assert_eq!(read(&[]), None);
    }

    #[test]
    fn cookies_are_for_this_site_alone() {
        let mut response = HttpResponse::Ok().finish();
        keep(&mut response, "__Host-a", "x");
        forget(&mut response, "__Host-b");
        let set: Vec<&str> = response
            .headers()
            .get_all(SET_COOKIE)
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(set.len(), 2);
        for cookie in set {
            for part in ["; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
                assert!(cookie.contains(part), "{cookie}");
            }
            assert!(!cookie.contains("Domain"), "{cookie}");
        }
    }
}
