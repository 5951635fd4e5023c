//! What is refused to whom: pages to those whose role they are not for, forms that come from elsewhere or without their token.

use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::api::Listener;
use strongroom_tests::http::Response;
use strongroom_wire::account::Role;
use strongroom_wire::audit::Act;

use super::site::{ALICE, BOB, Site};

/// A request as a browser makes it.
pub(crate) fn browse(
    site: &Site,
    listener: Listener,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Response {
    let mut connection = site.appliance.api().connect(listener).unwrap();
    let mut request = format!(
        "{method} {path} HTTP/1.1\r\nhost: strongroom.local\r\naccept: text/html\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in headers {
        request = format!("{request}{name}: {value}\r\n");
    }
    connection
        .raw(format!("{request}\r\n{body}").as_bytes())
        .unwrap()
}

#[test]
fn the_pages_of_one_side_are_not_on_the_other() {
    let mut site = Site::start();
    let mut cookies = vec![(
        None,
        format!(
            "__Host-strongroom-administration={}",
            site.person(BOB, &[]).token.to_text()
        ),
    )];
    for role in Role::ALL {
        let name = format!("{}@example.com", role.as_str());
        let session = site.person(&name, &[role]);
        cookies.push((
            Some(role),
            format!(
                "__Host-strongroom-administration={}",
                session.token.to_text()
            ),
        ));
    }
    // Auditors see all of the log; others what concerns them.
    let log = |cookie: &str| {
        browse(
            &site,
            Listener::Administration,
            "GET",
            "/log",
            &[("cookie", cookie)],
            "",
        )
        .text()
    };
    let auditor = cookies
        .iter()
        .find(|(role, _)| *role == Some(Role::Auditor))
        .unwrap();
    assert!(log(&auditor.1).contains(BOB));
    assert!(!log(&cookies[1].1).contains(BOB));
    // The pages of one side are not on the other.
    for path in ["/keys", "/groups", "/pair"] {
        assert_eq!(
            browse(
                &site,
                Listener::Administration,
                "GET",
                path,
                &[("cookie", &cookies[0].1)],
                ""
            )
            .status,
            404,
            "{path}"
        );
    }
    for path in ["/accounts", "/overview", "/log", "/backups"] {
        let cookie = cookies[1].1.replace("-administration", "");
        assert_eq!(
            browse(
                &site,
                Listener::Client,
                "GET",
                path,
                &[("cookie", &cookie)],
                ""
            )
            .status,
            404,
            "{path}"
        );
    }
}

#[test]
fn nobody_sees_anothers_key() {
    let mut site = Site::start();
    let mut alice = site.person(ALICE, &[]);
    let bob = site.person(BOB, &[]);
    let key = alice.create_key("Secret plans", &[]).unwrap().key.id;
    let cookie = format!("__Host-strongroom={}", bob.token.to_text());
    for page in [
        "", "/rotate", "/state", "/destroy", "/policy", "/share", "/preview",
    ] {
        let response = browse(
            &site,
            Listener::Client,
            "GET",
            &format!("/keys/{key}{page}"),
            &[("cookie", &cookie)],
            "",
        );
        assert_eq!(response.status, 404, "{page}");
        assert!(!response.text().contains("Secret plans"));
    }
    let response = browse(
        &site,
        Listener::Client,
        "GET",
        "/keys/not-a-key",
        &[("cookie", &cookie)],
        "",
    );
    assert_eq!(response.status, 404);
    assert!(response.text().contains("There is no page at this address"));
}

#[test]
fn forms_count_from_this_site_and_with_their_token_only() {
    let mut site = Site::start();
    let alice = site.person(ALICE, &[]);
    let bob = site.person(BOB, &[]);
    let cookie = format!("__Host-strongroom={}", alice.token.to_text());
    let token_of = |cookie: &str| {
        let page = browse(
            &site,
            Listener::Client,
            "GET",
            "/keys/new",
            &[("cookie", cookie)],
            "",
        )
        .text();
        page.split("name=\"form_token\" value=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .to_owned()
    };
    let own = token_of(&cookie);
    let others = token_of(&format!("__Host-strongroom={}", bob.token.to_text()));
    let origin = "https://strongroom.local";
    let send = |token: &str, headers: &[(&str, &str)]| {
        let body = format!("form_token={token}&label=made&algorithm=aes-256");
        let mut all = vec![
            ("cookie", cookie.as_str()),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        all.extend(headers);
        browse(&site, Listener::Client, "POST", "/keys/new", &all, &body).status
    };
    for (token, headers, why) in [
        (
            own.as_str(),
            &[][..],
            "a browser says where a form comes from",
        ),
        (
            own.as_str(),
            &[("origin", "https://evil.example")],
            "it comes from elsewhere",
        ),
        (
            own.as_str(),
            &[("origin", "https://strongroom.local:9443")],
            "it comes from another port",
        ),
        (own.as_str(), &[("origin", "null")], "it comes from nowhere"),
        (
            own.as_str(),
            &[("sec-fetch-site", "cross-site")],
            "the browser says that it is from elsewhere",
        ),
        (
            own.as_str(),
            &[("origin", origin), ("sec-fetch-site", "same-site")],
            "the browser says that it is from another port",
        ),
        ("", &[("origin", origin)], "it has no token"),
        (
            others.as_str(),
            &[("origin", origin)],
            "its token is another session's",
        ),
    ] {
        assert_eq!(send(token, headers), 403, "{why}");
    }
    assert_eq!(send(&own, &[("origin", origin)]), 303);
    assert_eq!(send(&own, &[("sec-fetch-site", "same-origin")]), 303);
    // What changes something takes no GET.
    let response = browse(
        &site,
        Listener::Client,
        "GET",
        "/sign-out",
        &[("cookie", &cookie)],
        "",
    );
    assert_eq!(response.status, 405);
}

#[test]
fn every_answer_says_what_a_page_may_do() {
    let mut site = Site::start();
    let alice = site.person(ALICE, &[]);
    let cookie = format!("__Host-strongroom={}", alice.token.to_text());
    for path in [
        "/sign-in",
        "/keys",
        "/nothing/here",
        "/keys/not-a-key",
        "/history/99999999",
    ] {
        let response = browse(
            &site,
            Listener::Client,
            "GET",
            path,
            &[("cookie", &cookie)],
            "",
        );
        let policy = response.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            assert_eq!(response.header(name), Some(value), "{path}");
        }
        assert!(response.header("strict-transport-security").is_some());
        let page = response.text();
        assert!(
            !page.contains("<script>") && !page.contains(" style=") && !page.contains(" onclick="),
            "{path}"
        );
        assert!(
            !page.contains("http://") || !page.contains("src=\"http"),
            "{path}"
        );
    }
    // Its files are kept by browsers.
    let page = browse(&site, Listener::Client, "GET", "/sign-in", &[], "").text();
    let style = page
        .split("rel=\"stylesheet\" href=\"")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap()
        .to_owned();
    let response = browse(&site, Listener::Client, "GET", &style, &[], "");
    assert_eq!(response.status, 200);
    assert!(
        response
            .header("cache-control")
            .unwrap()
            .contains("immutable")
    );
}

/// Programs that ask for nothing special get problem documents as ever.
#[test]
fn programs_are_answered_as_ever() {
    let site = Site::start();
    let mut connection = site.appliance.api().connect(Listener::Client).unwrap();
    let response = connection
        .raw(b"GET /nothing HTTP/1.1\r\nhost: strongroom.local\r\naccept: */*\r\n\r\n")
        .unwrap();
    assert_eq!(response.status, 404);
    assert_eq!(
        response.header("content-type"),
        Some("application/problem+json")
    );
}

/// Who looks after the machine seals it from the page, and the log says who that was.
#[test]
fn the_appliance_is_sealed_from_the_page() {
    let mut site = Site::start();
    let auditor = site.person("eva@example.com", &[Role::Auditor]);
    let visit = site.administers();
    visit.open("/hsm");
    visit.press("Seal the appliance");
    visit.expect("Nothing that is stored is lost");
    visit.fill("confirm", "no");
    visit.press("Seal the appliance");
    visit.expect("Nothing was sealed");
    visit.fill("confirm", "seal");
    visit.press("Seal the appliance");
    visit.expect("The appliance is being sealed");
    let is_sealed = || browse(&site, Listener::Client, "GET", "/keys", &[], "").status == 503;
    assert!((0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(200));
        is_sealed()
    }));
    let unsealed = site.appliance.operate(&["unseal"], "");
    assert!(unsealed.status.success());
    let mut auditor = auditor.at(&site.appliance.api());
    let records = auditor.records_after(None).unwrap();
    let sealed = records.iter().find(|record| record.act == Act::DomainSeal);
    let note = sealed.and_then(|record| record.note.as_deref()).unwrap();
    assert!(note.starts_with(ADMINISTRATOR), "{note}");
}

/// A sealed appliance tells people so, too.
#[test]
fn a_sealed_appliance_has_a_page() {
    let site = Site::start();
    let sealed = site.appliance.operate(&["seal"], "");
    assert!(sealed.status.success());
    let response = browse(&site, Listener::Client, "GET", "/keys", &[], "");
    assert_eq!(response.status, 503);
    assert!(
        response.text().contains("The appliance is sealed"),
        "{}",
        response.text()
    );
}
