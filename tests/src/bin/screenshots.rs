//! The pictures of the README and of the documentation: a small appliance with people, keys and devices, and its pages in a real browser.
//!
//! `cargo xtask screenshots` builds and runs it. It writes PNG files into the folder that is given.

#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a chore: what does not work ends it"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use clap::Parser;
use strongroom_session::FactoryKey;
use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::browser::{Browser, Settings};
use strongroom_tests::{Appliance, Session};
use strongroom_wire::account::{AccountKind, AddMember, Membership, Role};
use strongroom_wire::encoding::Base64;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{CreateKeys, KeyState, ShareKey};
use strongroom_wire::policy::UsagePolicy;

/// The pictures that stand in the README and in `docs/`.
const DOCUMENTED: [&str; 6] = [
    "keys",
    "key",
    "key-phone",
    "record",
    "overview",
    "overview-dark",
];

const NAME: &str = "strongroom.local";
const ANNA: &str = "anna.keller@example.com";
const MARC: &str = "marc.dubois@example.com";
const SARA: &str = "sara.rossi@example.com";
const AUDITOR: &str = "audit@example.com";
const BOARD: &str = "board@example.com";

/// What it takes.
#[derive(Parser)]
struct Arguments {
    /// Where the pictures go.
    folder: PathBuf,
    /// Every page, and not only those of the documentation.
    #[arg(long)]
    all: bool,
}

#[expect(clippy::too_many_lines, reason = "one picture after the other")]
fn main() {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.folder).unwrap();
    let (appliance, key, leaf) = furnish();
    let port = |url: &str| url.rsplit(':').next().unwrap().trim_matches('/').to_owned();
    let owners = format!("https://{NAME}:{}", port(&appliance.client_url()));
    let office = format!("https://{NAME}:{}", port(&appliance.admin_url()));
    let certificate = appliance.data().join("tls/server.pem");
    {
        let browser = Browser::start(NAME, &certificate, Settings::default());
        sign_in(
            &browser,
            &office,
            ADMINISTRATOR,
            &appliance.password_of(ADMINISTRATOR),
        );
        import(&browser, &office);
    }
    let take = |side: &str, name: &str, settings: Settings, pages: &[(&str, &str)]| {
        let wanted = |file: &str| arguments.all || DOCUMENTED.contains(&file);
        if !pages.iter().any(|(file, _)| wanted(file)) {
            return;
        }
        let browser = Browser::start(NAME, &certificate, settings);
        if name.is_empty() {
            browser.go(&format!("{side}/sign-in"));
        } else {
            sign_in(&browser, side, name, &appliance.password_of(name));
        }
        if settings.dark {
            browser.run("localStorage.setItem('theme', 'dark')", &[]);
        }
        for (file, page) in pages.iter().filter(|(file, _)| wanted(file)) {
            browser.go(&format!("{side}{page}"));
            picture(&browser, &arguments.folder, file, settings);
        }
    };
    let wide = Settings::default();
    let dark = Settings { dark: true, ..wide };
    let phone = Settings {
        window: (390, 844),
        ..wide
    };
    let key = format!("/keys/{key}");
    let share = format!("{key}/share");
    let destroy = format!("{key}/destroy");
    let record = format!("/history/{leaf}");
    take(&owners, "", wide, &[("sign-in", "/sign-in")]);
    take(
        &owners,
        ANNA,
        wide,
        &[
            ("keys", "/keys"),
            ("key", &key),
            ("share", &share),
            ("destroy", &destroy),
            ("history", "/history"),
            ("record", &record),
            ("security", "/security"),
            ("totp", "/security/totp"),
            ("groups", "/groups"),
            ("empty", "/keys?label=nothing"),
            ("missing", "/nowhere"),
        ],
    );
    take(
        &owners,
        ANNA,
        dark,
        &[("keys-dark", "/keys"), ("key-dark", &key)],
    );
    take(
        &owners,
        ANNA,
        phone,
        &[
            ("keys-phone", "/keys"),
            ("key-phone", &key),
            ("share-phone", &share),
        ],
    );
    take(
        &office,
        ADMINISTRATOR,
        wide,
        &[
            ("overview", "/overview"),
            ("accounts", "/accounts"),
            ("account-new", "/accounts/new"),
            ("devices", "/fleet"),
            ("import", "/fleet/import"),
            ("roles", "/roles"),
            ("policy", "/policy"),
            ("policy-change", "/policy/change"),
            ("master-key", "/master-key"),
            ("hsm", "/hsm"),
            ("backups", "/backups"),
            ("certificates", "/certificates"),
            ("configuration", "/configuration"),
        ],
    );
    take(
        &office,
        ADMINISTRATOR,
        dark,
        &[("overview-dark", "/overview")],
    );
    take(
        &office,
        ADMINISTRATOR,
        phone,
        &[("overview-phone", "/overview")],
    );
    take(
        &office,
        AUDITOR,
        wide,
        &[("log", "/log"), ("checkpoints", "/checkpoints")],
    );
}

fn sign_in(browser: &Browser, side: &str, name: &str, password: &str) {
    browser.go(&format!("{side}/sign-in"));
    browser.fill("account", name);
    browser.fill("password", password);
    browser.press("Sign in");
}

/// The whole page, from top to bottom.
fn picture(browser: &Browser, folder: &Path, name: &str, settings: Settings) {
    let (width, height) = settings.window;
    browser.resize(width, height);
    let whole = u32::try_from(browser.page_height()).unwrap_or(height);
    // The window has a frame of its own; what is a little too high does not matter.
    browser.resize(width, (whole + 150).clamp(height, 3000));
    let path = folder.join(format!("{name}.png"));
    fs::write(&path, browser.picture()).unwrap();
    println!("{}", path.display());
}

/// An appliance in use: its people, keys, devices, refusals and backups; and a key with its release for the pages about one.
#[expect(clippy::too_many_lines, reason = "one thing after the other, in order")]
fn furnish() -> (Appliance, KeyId, u64) {
    let mut appliance = Appliance::new();
    fs::create_dir(appliance.data().join("backups")).unwrap();
    appliance.configure("[backup]\nfolder = \"backups\"");
    appliance.serve();
    let mut administrator = appliance.administrator();
    let mut anna = appliance.person(&mut administrator, ANNA);
    let mut marc = appliance.person(&mut administrator, MARC);
    drop(appliance.person(&mut administrator, SARA));
    for (name, roles) in [
        (AUDITOR, [Role::Auditor]),
        ("security@example.com", [Role::SecurityOfficer]),
    ] {
        let created = administrator
            .create_account(name, AccountKind::Person, &roles, None)
            .unwrap();
        appliance
            .api()
            .enrol(
                name,
                &created.enrolment_code.unwrap(),
                &appliance.password_of(name),
            )
            .unwrap();
    }
    drop(
        administrator
            .create_account("payroll", AccountKind::Service, &[], None)
            .unwrap(),
    );
    drop(
        administrator
            .create_account("new.colleague@example.com", AccountKind::Person, &[], None)
            .unwrap(),
    );
    let group = administrator
        .create_account(BOARD, AccountKind::Group, &[], Some(ANNA))
        .unwrap();
    let member = AddMember {
        account: MARC.to_owned(),
        membership: Membership::Member,
    };
    let _done: serde_json::Value = anna
        .ask(
            "PUT",
            &format!("/v1/groups/{}/members", group.account.id),
            &member,
        )
        .unwrap();
    let mut keys = Vec::new();
    for (label, recipients) in [
        ("Payroll archive 2025", &[][..]),
        ("Patent drafts, sensor housing", &[SARA]),
        ("Laptop backup, Zurich", &[]),
        ("Mail: quarterly figures", &[MARC, SARA]),
        ("Contract with Northwind", &[MARC]),
        ("Board minutes, November", &[]),
    ] {
        keys.push(create(&mut anna, label, recipients));
    }
    let _mail = create(&mut marc, "Mail: offer for Anna", &[ANNA]);
    let board = *keys.last().unwrap();
    let share = |grantee: &str, policy: &str| ShareKey {
        grantee: grantee.to_owned(),
        rights: None,
        policy: serde_json::from_str::<UsagePolicy>(policy).unwrap(),
    };
    let shared = share(
        BOARD,
        r#"{"not_after":"2027-06-30T22:00:00Z","min_sign_in":"two-factor"}"#,
    );
    let _shared: serde_json::Value = anna
        .ask("POST", &format!("/v1/keys/{board}/grants"), &shared)
        .unwrap();
    let shared = share(SARA, r#"{"max_releases":3,"networks":["10.20.0.0/16"]}"#);
    let _shared: serde_json::Value = anna
        .ask("POST", &format!("/v1/keys/{board}/grants"), &shared)
        .unwrap();
    let policy: UsagePolicy = serde_json::from_str(
        r#"{"hours":[{"days":["monday","tuesday","wednesday","thursday","friday"],"from":"07:00","until":"20:00","zone":"Europe/Zurich"}],"keep_for":3600}"#,
    )
    .unwrap();
    anna.rotate(board).unwrap();
    let (material, _) = anna.release(board).unwrap();
    let _changed: serde_json::Value = anna
        .ask("PUT", &format!("/v1/keys/{board}/policy"), &policy)
        .unwrap();
    for key in &keys[..4] {
        for _ in 0..5 {
            anna.release(*key).unwrap();
        }
    }
    for key in &keys[3..5] {
        marc.release(*key).unwrap();
    }
    assert!(marc.release(keys[0]).is_err());
    anna.change_state(keys[0], KeyState::Deactivated).unwrap();
    anna.change_state(keys[2], KeyState::Suspended).unwrap();
    for _ in 0..2 {
        assert!(appliance.api().sign_in(MARC, "guessed").is_err());
    }
    (appliance, board, material.leaf)
}

fn create(session: &mut Session, label: &str, recipients: &[&str]) -> KeyId {
    let request = CreateKeys {
        keys: vec![strongroom_tests::session::new_key(label, recipients)],
        release: false,
    };
    session.create(&request).unwrap().keys[0].key.id
}

/// A list of devices, as an administrator imports it.
fn import(browser: &Browser, office: &str) {
    let lines = (1..=6).map(|number| {
        let fleet = if number < 5 {
            "plant-north"
        } else {
            "plant-south"
        };
        format!("SR-2026-{number:04},sensor-{number:02},{fleet}")
    });
    let factory = Base64(FactoryKey::generate().public_key().to_bytes());
    browser.go(&format!("{office}/fleet/import"));
    browser.fill("factory_key", &factory.to_text());
    browser.fill("manifest", &lines.collect::<Vec<_>>().join("\n"));
    browser.named("Import").click();
    while !browser.text().contains("Done: 6 made") {
        thread::sleep(Duration::from_millis(100));
    }
}
