//! Whether everybody can read the pages: WCAG 2.2 AA by axe-core, phones, and text that stays text whatever people write.

use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::browser::Settings;
use strongroom_wire::account::{AccountKind, Role};
use strongroom_wire::key::CreateKeys;

use super::site::{ALICE, BOB, Site, Visit};

/// What somebody may write who wants to have others' browsers do something.
const EVIL: &str = "<img/src=x/onerror=window.evil=1>\"'><script>window.evil=1</script>{{7*7}}";
/// The same as an account's name: printable ASCII without spaces.
const EVIL_NAME: &str = "<img/src=x/onerror=window.evil=1>\"'";

/// Keys, groups, grants and policies, so that there is something on every page.
fn furnish(site: &mut Site) -> (Vec<String>, Vec<String>) {
    let mut alice = site.person(ALICE, &[]);
    drop(site.person(BOB, &[]));
    let group = site
        .administrator
        .create_account("team@example.com", AccountKind::Group, &[], Some(ALICE))
        .unwrap()
        .account
        .id;
    let mut key = None;
    for label in ["Plans", EVIL] {
        let request = CreateKeys {
            keys: vec![strongroom_tests::session::new_key(label, &[BOB])],
            release: false,
        };
        key = Some(alice.create(&request).unwrap().keys[0].key.id);
    }
    let key = key.unwrap();
    let shared = alice.share(key, "team@example.com").unwrap();
    alice.release(key).unwrap();
    let grant = shared.grant.id;
    let own = [
        "/keys".to_owned(),
        "/keys/new".to_owned(),
        format!("/keys/{key}"),
        format!("/keys/{key}/share"),
        format!("/keys/{key}/policy"),
        format!("/keys/{key}/rotate"),
        format!("/keys/{key}/state"),
        format!("/keys/{key}/destroy"),
        format!("/keys/{key}/preview?account={BOB}"),
        format!("/keys/{key}/grants/{grant}/policy"),
        format!("/keys/{key}/grants/{grant}/revoke"),
        "/keys?label=nothing".to_owned(),
        "/groups".to_owned(),
        format!("/groups/{group}"),
        format!("/groups/{group}/add"),
        "/history".to_owned(),
        format!("/history/{}", shared.leaf),
        "/devices".to_owned(),
        "/pair".to_owned(),
        "/sessions".to_owned(),
        "/security".to_owned(),
        "/security/passkey".to_owned(),
        "/security/totp".to_owned(),
        "/security/recovery-codes".to_owned(),
        "/security/remove?which=password".to_owned(),
        "/step-up".to_owned(),
        "/nothing/here".to_owned(),
    ];
    let administrator = site.administrator.account.id;
    let office = [
        "/overview".to_owned(),
        "/accounts".to_owned(),
        "/accounts/new".to_owned(),
        format!("/accounts/{administrator}"),
        format!("/accounts/{administrator}/roles"),
        format!("/accounts/{administrator}/state"),
        format!("/accounts/{administrator}/recovery"),
        "/fleet".to_owned(),
        "/fleet/import".to_owned(),
        "/fleet/all?fleet=kitchen".to_owned(),
        "/directories".to_owned(),
        "/directories/new".to_owned(),
        "/roles".to_owned(),
        "/policy".to_owned(),
        "/policy/change".to_owned(),
        "/master-key".to_owned(),
        "/master-key/rotate".to_owned(),
        "/hsm".to_owned(),
        "/backups".to_owned(),
        "/certificates".to_owned(),
        "/configuration".to_owned(),
        "/log".to_owned(),
        "/sessions".to_owned(),
    ];
    (own.into(), office.into())
}

fn read_all(visit: &Visit, pages: &[String], wrong: &mut Vec<String>) {
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

#[test]
fn everybody_can_read_every_page() {
    let mut site = Site::start();
    let (own, office) = furnish(&mut site);
    let outside = ["/sign-in", "/enrol", "/recover"].map(str::to_owned);
    let mut wrong = Vec::new();
    for (dark, window) in [
        (false, (1280, 900)),
        (true, (1280, 900)),
        (false, (390, 844)),
    ] {
        let settings = Settings {
            dark,
            window,
            ..Settings::default()
        };
        let visit = Visit::new(site.browser(settings), &site.owners);
        if dark {
            visit.open("/sign-in");
            visit.run("localStorage.setItem('theme', 'dark')", &[]);
        }
        read_all(&visit, &outside, &mut wrong);
        visit.sign_in(ALICE, &site.appliance.password_of(ALICE));
        read_all(&visit, &own, &mut wrong);
        let visit = visit.over_to(&site.office);
        visit.open("/sign-in");
        if dark {
            visit.run("localStorage.setItem('theme', 'dark')", &[]);
        }
        visit.sign_in(ADMINISTRATOR, &site.appliance.password_of(ADMINISTRATOR));
        read_all(&visit, &office, &mut wrong);
    }
    assert!(
        wrong.is_empty(),
        "{} things are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
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
