//! Whether everybody can read the pages: WCAG 2.2 AA by axe-core, phones, and text that stays text whatever people write.

use std::thread;

use strongroom_console::Side;
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::browser::Settings;
use strongroom_wire::account::Role;

use super::every_page;
use super::site::{ALICE, Site, Visit};

/// What somebody may write who wants to have others' browsers do something.
pub(crate) const EVIL: &str =
    "<img/src=x/onerror=window.evil=1>\"'><script>window.evil=1</script>{{7*7}}";
/// The same as an account's name: printable ASCII without spaces.
pub(crate) const EVIL_NAME: &str = "<img/src=x/onerror=window.evil=1>\"'";

/// Pages as they are when they find nothing, by who reads them.
const EMPTY: &[(&str, &str)] = &[
    (ALICE, "/keys?label=nothing"),
    (ALICE, "/nothing/here"),
    (ADMINISTRATOR, "/accounts?name=nobody"),
    (ADMINISTRATOR, "/fleet/all"),
];

pub(crate) fn read_all(visit: &Visit, pages: &[String], wrong: &mut Vec<String>) {
    for page in pages {
        visit.open(page);
        for found in visit.accessibility() {
            wrong.push(format!("{page}: {found}"));
        }
        let wide = visit.run(
            "const room = document.documentElement.clientWidth;\
             if (document.documentElement.scrollWidth <= room) return '';\
             return [...document.querySelectorAll('main *, .bar *')]\
                 .filter((one) => one.getBoundingClientRect().right > room + 1 && !one.closest('.table, pre'))\
                 .map((one) => one.tagName + '.' + one.className + '#' + one.id).slice(0, 8).join(' ') || 'something';",
            &[],
        );
        if wide != "" {
            wrong.push(format!("{page}: is wider than the window: {wide}"));
        }
        let evil = visit.run(
            "return window.evil || document.querySelectorAll('img').length",
            &[],
        );
        if evil != 0 {
            wrong.push(format!("{page}: what somebody wrote was taken for markup"));
        }
    }
}

/// Every page that is routed, as it is furnished for [`every_page`], dark, light and on a telephone.
#[test]
fn everybody_can_read_every_page() {
    let (mut site, names) = every_page::furnish();
    let readers = every_page::readers(&mut site);
    let mut wrong = Vec::new();
    let mut pages = every_page::pages(&site, &names, &readers, &mut wrong);
    for (_, name, paths) in &mut pages {
        let empty = EMPTY.iter().filter(|(reader, _)| reader == name);
        paths.extend(empty.map(|(_, page)| (*page).to_owned()));
    }
    let (site, pages) = (&site, &pages);
    let found: Vec<_> = thread::scope(|scope| {
        let looks = [
            (false, (1280, 900)),
            (true, (1280, 900)),
            (false, (390, 844)),
        ];
        let readings = looks.map(|(dark, window)| {
            let settings = Settings {
                dark,
                window,
                ..Settings::default()
            };
            scope.spawn(move || read_in(site, pages, settings))
        });
        readings.map(|reading| reading.join().unwrap()).concat()
    });
    wrong.extend(found);
    assert!(
        wrong.is_empty(),
        "{} things are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What is wrong with pages, each as its reader sees it in such a browser.
fn read_in(site: &Site, pages: &[(Side, &str, Vec<String>)], settings: Settings) -> Vec<String> {
    let outside = ["/sign-in", "/enrol", "/recover"].map(str::to_owned);
    let mut wrong = Vec::new();
    for (side, name, paths) in pages {
        let at = match side {
            Side::Owners => &site.owners,
            Side::Administration => &site.office,
        };
        let visit = Visit::new(site.browser(settings), at);
        if settings.dark {
            visit.open("/sign-in");
            visit.run("localStorage.setItem('theme', 'dark')", &[]);
        }
        read_all(&visit, &outside, &mut wrong);
        visit.sign_in(name, &site.appliance.password_of(name));
        read_all(&visit, paths, &mut wrong);
    }
    wrong
}

/// Names, labels and whatever else people write stay text, for those who wrote it and for others.
#[test]
fn what_people_write_stays_text() {
    let mut site = Site::start();
    drop(site.person("auditor@example.com", &[Role::Auditor]));
    let mut evil = site.person(EVIL_NAME, &[]);
    drop(site.person(ALICE, &[]));
    let key = evil.create_key(EVIL, &[ALICE]).unwrap().key.id;
    let key_page = format!("/keys/{key}");
    let victim = site.owner(ALICE);
    let harmless = |visit: &Visit, page: &str| {
        visit.open(page);
        let evil = visit.run("return [window.evil === undefined, document.querySelectorAll('img, main script').length]", &[]);
        assert_eq!(evil, serde_json::json!([true, 0]), "{page}");
    };
    for page in [
        "/keys",
        key_page.as_str(),
        "/history",
        "/keys?label=%3Cimg%2Fsrc%3Dx%3E%22%3E&sender=%22%3E%3Cscript%3E",
        "/history?account=%3Cscript%3Ealert(1)%3C/script%3E",
        "/sign-in?then=javascript:alert(1)&done=%3Cimg%3E",
        "/pair?code=%3Cimg+src=x+onerror=window.evil=1%3E",
    ] {
        harmless(&victim, page);
    }
    victim.open("/keys");
    victim.expect(EVIL);
    victim.open(&key_page);
    victim.expect(EVIL_NAME);
    // Forms that come back with what was wrong in them.
    victim.open("/keys/new");
    victim.fill("label", EVIL);
    victim.fill("recipients", "<b>nobody</b>");
    victim.press("Make the key");
    assert_eq!(
        victim.find("[name=label]").attribute("value").as_deref(),
        Some(EVIL)
    );
    assert_eq!(
        victim.run("return document.querySelectorAll('img').length", &[]),
        0
    );

    let administrator = site.administers();
    administrator.open("/accounts");
    administrator.expect(EVIL_NAME);
    for page in [
        "/accounts?name=%3Cimg%3E",
        "/fleet?fleet=%22%3E%3Cimg%3E",
        "/fleet/all?fleet=%3Cimg/src=x%3E",
        "/overview",
    ] {
        harmless(&administrator, page);
    }
    let auditor = site.officer("auditor@example.com");
    auditor.open("/log");
    auditor.expect(EVIL_NAME);
    harmless(&auditor, "/log");
    harmless(&auditor, "/log?key=%3Cimg%3E&from=%3Cimg%3E");
}
