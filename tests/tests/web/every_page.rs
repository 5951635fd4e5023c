//! Every page that is routed, so that none that is new is left out: who may see it, that it works without scripts, that what is sent stays text.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use strongroom_console::{Side, addresses};
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::api::Listener;
use strongroom_tests::browser::Settings;
use strongroom_tests::http::Response;
use strongroom_wire::account::{AccountKind, Membership, Role};
use strongroom_wire::device::DecidedPairing;
use strongroom_wire::directory::DirectoryWithToken;

use super::apart::browse;
use super::site::{ALICE, BOB, Site};

pub(crate) const AUDITOR: &str = "auditor@example.com";
const ADMINISTRATORS: &[Role] = &[Role::Administrator];
const KEEPERS: &[Role] = &[Role::Administrator, Role::SecurityOfficer];
const AUDITORS: &[Role] = &[Role::Auditor];
/// Whoever is signed in: what they see is about themselves.
const ALL: &[Role] = &[];

/// The pages of the administration listener by how their addresses begin, and the roles that they are for. The longest that fits counts.
const OFFICE: &[(&str, &[Role])] = &[
    ("/overview", ALL),
    ("/roles", ALL),
    ("/sessions", ALL),
    ("/security", ALL),
    ("/step-up", ALL),
    ("/log", ALL),
    ("/accounts", ADMINISTRATORS),
    ("/fleet", ADMINISTRATORS),
    ("/directories", ADMINISTRATORS),
    ("/policy", KEEPERS),
    ("/master-key", KEEPERS),
    ("/hsm", KEEPERS),
    ("/hsm/seal", KEEPERS),
    ("/backups", KEEPERS),
    ("/updates", KEEPERS),
    ("/certificates", KEEPERS),
    ("/configuration", KEEPERS),
    ("/checkpoints", AUDITORS),
    ("/proposals", ALL),
    ("/approval-keys", ALL),
    ("/export", ALL),
];

/// Pages of a case or of a proposal, with people and states of their own: `case_pages` and `cases` try them.
const OF_CASES: &[&str] = &[
    "/cases",
    "/cases/new",
    "/cases/new/file",
    "/cases/{case}",
    "/cases/{case}/change",
    "/cases/{case}/order.json",
    "/cases/{case}/decide",
    "/cases/{case}/decide/signature",
    "/cases/{case}/state",
    "/cases/{case}/documents/{sha256}",
    "/cases/{case}/hold",
    "/cases/{case}/preview",
    "/cases/{case}/execute",
    "/cases/{case}/disclosures/{disclosure}",
    "/cases/{case}/disclosures/{disclosure}/release",
    "/cases/{case}/disclosures/{disclosure}/delivery",
    "/proposals/{proposal}",
    "/proposals/{proposal}/decide",
    "/proposals/{proposal}/decide/signature",
    "/proposals/{proposal}/withdraw",
    "/proposals/{proposal}/run",
    "/approval-keys/add",
    "/approval-keys/to-sign",
    "/approval-keys/remove",
];

/// What the interface lets security officers do, too, who do not see the page that leads there.
const OF_KEEPERS: &str = "/accounts/{account}/rotate";

/// Pages for those who have not signed in.
const DOOR: &[&str] = &["/", "/sign-in", "/enrol", "/recover"];
/// What is no page: files to keep.
const FILES: &[&str] = &["/proof.json"];

/// What somebody may write who wants to have others' browsers do something.
const EVIL: &str = "<img/src=x/onerror=window.evil=1>\"'><script>window.evil=1</script>";

fn is_at(path: &str, beginning: &str) -> bool {
    path.strip_prefix(beginning)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_of_door(path: &str) -> bool {
    path == "/" || path == "/sign-out" || DOOR[1..].iter().any(|beginning| is_at(path, beginning))
}

fn roles_for(path: &str) -> &'static [Role] {
    OFFICE
        .iter()
        .filter(|(beginning, _)| is_at(path, beginning))
        .max_by_key(|(beginning, _)| beginning.len())
        .unwrap_or_else(|| panic!("{path} is new: say in OFFICE which roles it is for"))
        .1
}

/// What stands for the names in addresses.
pub(crate) type Names = BTreeMap<&'static str, String>;

/// The address with its names filled in.
fn filled(address: &str, names: &Names) -> String {
    let mut path = address.to_owned();
    for (name, value) in names {
        path = path.replace(&format!("{{{name}}}"), value);
    }
    assert!(
        !path.contains('{'),
        "{address} has a new name: say in `furnish` what it stands for"
    );
    path
}

/// A site with something on every page.
pub(crate) fn furnish() -> (Site, Names) {
    let mut site = Site::start();
    let mut alice = site.person(ALICE, &[]);
    let bob = site.person(BOB, &[]);
    let key = alice.create_key(EVIL, &[]).unwrap().key.id;
    let grant = alice.share(key, BOB).unwrap();
    let group = site
        .administrator
        .create_account("team@example.com", AccountKind::Group, &[], Some(ALICE))
        .unwrap()
        .account
        .id;
    let member = json!({ "account": BOB, "membership": Membership::Member });
    let _: Value = alice
        .ask("PUT", &format!("/v1/groups/{group}/members"), &member)
        .unwrap();
    let mut connection = site.appliance.api().connect(Listener::Client).unwrap();
    let asked = "client_id=scale";
    let request = format!(
        "POST /v1/pairings HTTP/1.1\r\nhost: strongroom.local\r\ncontent-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{asked}",
        asked.len()
    );
    let started: Value = connection.raw(request.as_bytes()).unwrap().json();
    let code = started["user_code"].as_str().unwrap();
    let paired: DecidedPairing = alice
        .ask(
            "POST",
            &format!("/v1/pairings/{code}"),
            &json!({ "approve": true }),
        )
        .unwrap();
    let directory: DirectoryWithToken = site
        .administrator
        .ask("POST", "/v1/directories", &json!({ "name": "entra" }))
        .unwrap();
    let names = Names::from([
        ("key", key.to_string()),
        ("grant", grant.grant.id.to_string()),
        ("index", grant.leaf.to_string()),
        ("group", group.to_string()),
        ("member", bob.account.id.to_string()),
        ("account", bob.account.id.to_string()),
        ("device", paired.device.unwrap().account.id.to_string()),
        ("directory", directory.directory.id.to_string()),
        ("version", "1".to_owned()),
    ]);
    (site, names)
}

fn cookie(side: Side, token: &str) -> String {
    match side {
        Side::Owners => format!("__Host-strongroom={token}"),
        Side::Administration => format!("__Host-strongroom-administration={token}"),
    }
}

const fn listener(side: Side) -> Listener {
    match side {
        Side::Owners => Listener::Client,
        Side::Administration => Listener::Administration,
    }
}

fn get(site: &Site, side: Side, path: &str, cookie: &str) -> Response {
    browse(site, listener(side), "GET", path, &[("cookie", cookie)], "")
}

/// The address with a query where the page wants to know what it is about.
fn about(path: &str) -> String {
    match path {
        "/security/remove" => format!("{path}?which=password"),
        "/security/link" => format!("{path}?sign_in=x&state=y&code=z"),
        "/fleet/all" => format!("{path}?fleet=kitchen"),
        path => path.to_owned(),
    }
}

fn is_page(path: &str) -> bool {
    !OF_CASES.contains(&path) && !is_of_door(path) && !FILES.iter().any(|end| path.ends_with(end))
}

/// Each page of the administration listener is refused to each role that it is not for, by GET and by POST, and sends strangers to the sign-in.
#[test]
fn every_page_is_refused_to_whom_it_is_not_for() {
    let (mut site, names) = furnish();
    let side = Side::Administration;
    let mut readers = vec![(None, site.person("nobody@example.com", &[]))];
    for role in Role::ALL {
        let name = format!("{}@example.com", role.as_str());
        readers.push((Some(role), site.person(&name, &[role])));
    }
    let readers: Vec<_> = readers
        .into_iter()
        .map(|(role, session)| (role, cookie(side, &session.token.to_text())))
        .collect();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for address in addresses(side).iter().filter(|address| is_page(address)) {
        let path = about(&filled(address, &names));
        let roles = roles_for(&path);
        for (role, cookie) in &readers {
            let allowed = roles.is_empty() || role.is_some_and(|role| roles.contains(&role));
            let answer = get(&site, side, &path, cookie);
            let fits = match answer.status {
                // It takes forms alone.
                405 => true,
                // People of cases are led on to them.
                303 => address == "/overview",
                200 => allowed,
                403 => !allowed,
                // What somebody may not see is not there for them.
                404 => !allowed || is_at(&path, "/log"),
                _ => false,
            };
            if !fits {
                wrong.push(format!("GET {path} as {role:?}: {}", answer.status));
            }
            if answer.status == 200 {
                seen.insert(address.clone());
            }
            let may_send = address == OF_KEEPERS && *role == Some(Role::SecurityOfficer);
            if !allowed && !may_send {
                let token = form_token(&get(&site, side, "/security", cookie).text());
                let body = format!("form_token={token}&confirm=destroy&state=suspended&act=start");
                let headers = [
                    ("cookie", cookie.as_str()),
                    ("sec-fetch-site", "same-origin"),
                    ("content-type", "application/x-www-form-urlencoded"),
                ];
                let answer = browse(&site, listener(side), "POST", &path, &headers, &body);
                if answer.status < 400 {
                    wrong.push(format!("POST {path} as {role:?}: {}", answer.status));
                }
            }
        }
        let answer = browse(&site, listener(side), "GET", &path, &[], "");
        if !matches!(answer.status, 303 | 405) {
            wrong.push(format!("GET {path} as a stranger: {}", answer.status));
        }
    }
    assert!(seen.len() > 30, "{seen:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn form_token(page: &str) -> String {
    let token = page.split("name=\"form_token\" value=\"").nth(1);
    let token = token.and_then(|rest| rest.split('"').next());
    token
        .unwrap_or_else(|| panic!("no form: {page}"))
        .to_owned()
}

/// Who reads the pages of a side: somebody for whom each of them is.
pub(crate) fn readers(site: &mut Site) -> Vec<(Side, &'static str, String)> {
    drop(site.person(AUDITOR, &[Role::Auditor]));
    let mut readers = Vec::new();
    for (side, name) in [
        (Side::Owners, ALICE),
        (Side::Administration, ADMINISTRATOR),
        (Side::Administration, AUDITOR),
    ] {
        let session = site.appliance.sign_in(name);
        readers.push((side, name, cookie(side, &session.token.to_text())));
    }
    readers
}

/// Every page that is routed, once, with who reads it: the first who may. A page that nobody may open is wrong.
pub(crate) fn pages(
    site: &Site,
    names: &Names,
    readers: &[(Side, &'static str, String)],
    wrong: &mut Vec<String>,
) -> Vec<(Side, &'static str, Vec<String>)> {
    let mut pages: Vec<_> = readers
        .iter()
        .map(|(side, name, _)| (*side, *name, Vec::new()))
        .collect();
    for side in [Side::Owners, Side::Administration] {
        for address in addresses(side).iter().filter(|address| is_page(address)) {
            let path = about(&filled(address, names));
            let answers = readers.iter().map(|(of, _, cookie)| {
                (*of == side).then(|| get(site, side, &path, cookie).status)
            });
            let answers: Vec<Option<u16>> = answers.collect();
            if let Some(reader) = answers.iter().position(|status| *status == Some(200)) {
                pages[reader].2.push(path);
            } else if !answers.contains(&Some(405)) {
                wrong.push(format!("{path}: nobody could open it"));
            }
        }
    }
    pages
}

/// Every page without a script: it has its heading, and every form that it shows has a button to send it.
#[test]
fn every_page_works_without_scripts() {
    let (mut site, names) = furnish();
    let readers = readers(&mut site);
    let mut wrong = Vec::new();
    for (side, name, paths) in pages(&site, &names, &readers, &mut wrong) {
        let at = match side {
            Side::Owners => site.owners.clone(),
            Side::Administration => site.office.clone(),
        };
        let settings = Settings {
            javascript: false,
            ..Settings::default()
        };
        let visit = site.signed_in(&at, name, settings);
        for path in paths {
            visit.open(&path);
            if visit.heading().is_empty() {
                wrong.push(format!("{path}: no heading"));
            }
            let forms = visit.all("main form:not([hidden])").len();
            let buttons = visit.all("main form:not([hidden]) button[type=submit]");
            if buttons.len() < forms || buttons.iter().any(|button| !button.is_shown()) {
                let without = visit.has("[data-without-passkeys]") || visit.has("section[hidden]");
                if !without {
                    wrong.push(format!("{path}: a form that nobody can send"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A form of a page: where it goes, by which method, and its fields of free text with those that go along.
struct Form {
    to: String,
    post: bool,
    free: Vec<String>,
    fixed: Vec<(String, String)>,
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag
        .split(&format!(" {name}=\""))
        .nth(1)?
        .split('"')
        .next()?;
    Some(
        value
            .replace("&#34;", "\"")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&#60;", "<")
            .replace("&lt;", "<")
            .replace("&#62;", ">")
            .replace("&gt;", ">")
            .replace("&#38;", "&")
            .replace("&amp;", "&"),
    )
}

fn forms(path: &str, page: &str) -> Vec<Form> {
    let here = path.split('?').next().unwrap();
    page.split("<form")
        .skip(1)
        .map(|rest| {
            let whole = rest.split("</form>").next().unwrap();
            let head = whole.split('>').next().unwrap();
            let mut form = Form {
                to: attribute(head, "action").unwrap_or_else(|| here.to_owned()),
                post: head.contains("method=\"post\""),
                free: Vec::new(),
                fixed: Vec::new(),
            };
            for tag in whole.split('<').skip(1) {
                let tag = tag.split('>').next().unwrap();
                let Some(name) = attribute(tag, "name") else {
                    continue;
                };
                let kind = attribute(tag, "type").unwrap_or_default();
                let is_field = tag.starts_with("input ") || tag.starts_with("textarea");
                match kind.as_str() {
                    "hidden" => form
                        .fixed
                        .push((name, attribute(tag, "value").unwrap_or_default())),
                    "checkbox" | "radio" if tag.contains(" checked") => form
                        .fixed
                        .push((name, attribute(tag, "value").unwrap_or_default())),
                    "checkbox" | "radio" | "password" | "file" => {}
                    _ if is_field => form.free.push(name),
                    _ => {}
                }
            }
            form
        })
        .filter(|form| !form.free.is_empty())
        .collect()
}

/// Every field of free text of every page: what is sent in it comes back as text, or not at all.
#[test]
fn what_is_sent_in_every_field_stays_text() {
    let (mut site, names) = furnish();
    let readers = readers(&mut site);
    let mut tried = BTreeSet::new();
    let mut wrong = Vec::new();
    for (side, _, cookie) in &readers {
        for address in addresses(*side) {
            if OF_CASES.contains(&address.as_str()) {
                continue;
            }
            let path = about(&filled(&address, &names));
            if FILES.iter().any(|end| path.ends_with(end)) || path == "/sign-out" {
                continue;
            }
            let page = get(&site, *side, &path, cookie);
            if page.status != 200 {
                continue;
            }
            for form in forms(&path, &page.text()) {
                let mut query = url::form_urlencoded::Serializer::new(String::new());
                for (name, value) in &form.fixed {
                    query.append_pair(name, value);
                }
                for name in &form.free {
                    query.append_pair(name, EVIL);
                    tried.insert((form.to.clone(), name.clone()));
                }
                let sent = query.finish();
                let headers = [
                    ("cookie", cookie.as_str()),
                    ("sec-fetch-site", "same-origin"),
                    ("content-type", "application/x-www-form-urlencoded"),
                ];
                let answer = if form.post {
                    browse(&site, listener(*side), "POST", &form.to, &headers, &sent)
                } else {
                    let to = format!("{}?{sent}", form.to);
                    browse(&site, listener(*side), "GET", &to, &headers, "")
                };
                let text = answer.text();
                if answer.status >= 500 || text.contains("<img") || text.contains("<script>") {
                    wrong.push(format!("{} on {path}: {}", form.to, answer.status));
                }
            }
        }
    }
    // And where it was kept: on every page, for each of them.
    for (side, _, cookie) in &readers {
        for address in addresses(*side).iter().filter(|address| is_page(address)) {
            let path = about(&filled(address, &names));
            let text = get(&site, *side, &path, cookie).text();
            if text.contains("<img") || text.contains("<script>") {
                wrong.push(format!("{path}: what somebody wrote is markup"));
            }
        }
    }
    assert!(tried.len() > 40, "{tried:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
