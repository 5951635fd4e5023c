//! A key shared with an address that has no account: the code comes by mail, and what was shared opens once its holder has enrolled.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use strongroom_tests::relay::Relay;
use strongroom_tests::{Appliance, Person};
use strongroom_wire::account::CreatedAccount;

const CAROL: &str = "carol@partner.example";

fn mail_settings(relay: &Relay, tls: &str, ca: &Path) -> String {
    format!(
        "[mail]\nrelay = \"127.0.0.1\"\nport = {}\ntls = \"{tls}\"\nca = \"{}\"\nfrom = \"keys@example.com\"\n",
        relay.port,
        ca.display()
    )
}

/// Somebody who has enrolled and signed in at the command line.
fn alice(appliance: &Appliance) -> Person {
    let mut admin = appliance.administrator();
    let _ = appliance.person(&mut admin, "alice@example.com");
    let alice = Person::new(appliance, "alice@example.com");
    let _ = alice.login().success();
    alice
}

/// The administrator lets people of the house invite partners.
fn allow_invitations(admin: &Person) {
    let _ = admin.login().success();
    let policy = admin.json(&[
        "domain",
        "policy",
        "set",
        "--inviter",
        "*@example.com",
        "--invitee",
        "*@partner.example",
    ]);
    assert_eq!(
        policy["policy"]["accounts"]["invitees"][0],
        "*@partner.example"
    );
}

#[test]
fn what_was_shared_with_an_address_opens_once_its_holder_has_enrolled() {
    let relay = Relay::plain();
    let appliance = Appliance::start_with(&mail_settings(&relay, "none", Path::new("none")));
    let alice = alice(&appliance);
    fs::write(alice.file("plan.txt"), "for partners only").unwrap();
    let _ = alice.run(&["protect", "plan.txt"]).success();

    let share = ["keys", "share", "plan.txt.sealed", "--with", CAROL];
    alice.refused(&share, "account-not-found");
    let share = [&share[..], &["--invite"]].concat();
    // Nobody may invite until the domain's policy says so.
    alice.refused(&share, "not-permitted");
    let admin = Person::administrator(&appliance);
    allow_invitations(&admin);
    let rival = [
        "keys",
        "share",
        "plan.txt.sealed",
        "--invite",
        "--with",
        "eve@rival.example",
    ];
    alice.refused(&rival, "not-permitted");
    let shared = alice.json(&share);
    assert_eq!(shared["grant"]["grantee_name"], CAROL);

    // The code goes to the address, and neither to who invited nor to the administrator.
    let message = relay.wait_for(CAROL, 1);
    let code = message.code();
    assert!(
        message.text.contains("From: Strongroom <keys@example.com>"),
        "{}",
        message.text
    );
    assert!(
        message
            .text
            .contains("Subject: alice@example.com wants to share keys with you")
    );
    assert!(!shared.to_string().contains(&code) && !appliance.log().contains(&code));
    let again = admin.json(&["accounts", "invite", CAROL]);
    assert!(again.get("enrolment_code").is_none(), "{again}");
    let again = relay.wait_for(CAROL, 2).code();
    assert_ne!(again, code);

    let carol = Person::new(&appliance, CAROL);
    let old = carol.enrol(&code).failure();
    assert_eq!(old.status.code(), Some(3), "{old:?}");
    let _ = carol.enrol(&again).success();
    let _ = carol.login().success();
    fs::copy(alice.file("plan.txt.sealed"), carol.file("plan.txt.sealed")).unwrap();
    let _ = carol.run(&["open", "plan.txt.sealed"]).success();
    let opened = fs::read_to_string(carol.file("plan.txt")).unwrap();
    assert_eq!(opened, "for partners only");
    // Who has enrolled is not invited again, and sharing with them needs no invitation.
    let _ = alice
        .run(&["keys", "revoke", "plan.txt.sealed", "--from", CAROL])
        .success();
    let _ = alice.run(&share).success();
    assert_eq!(relay.messages_to(CAROL).len(), 2);
    let records = carol.run(&["audit", "tail"]).success().stdout;
    assert!(records.contains("mail.send"), "{records}");
}

/// Whoever holds an account is told of new ways to sign in to it, and the change waits for no relay.
#[test]
fn the_holder_of_an_account_is_told_of_a_changed_credential() {
    let relay = Relay::plain();
    let appliance = Appliance::start_with(&mail_settings(&relay, "none", Path::new("none")));
    let alice = alice(&appliance);
    let codes = alice.json(&["recovery-codes", "new"])["codes"].clone();
    let message = relay.wait_for("alice@example.com", 1);
    assert!(
        message
            .text
            .contains("Subject: A way to sign in to your account at"),
        "{}",
        message.text
    );
    let said = message.text.replace("=\r\n", "");
    for told in ["there are new recovery codes", "from 127.0.0.1"] {
        assert!(said.contains(told), "{said}");
    }
    for code in codes.as_array().unwrap() {
        assert!(!said.contains(code.as_str().unwrap()), "{said}");
    }
    // A relay that nobody answers for.
    let nowhere =
        "[mail]\nrelay = \"127.0.0.1\"\nport = 9\ntls = \"none\"\nfrom = \"keys@example.com\"\n";
    let appliance = Appliance::start_with(nowhere);
    let alice = self::alice(&appliance);
    let codes = alice.json(&["recovery-codes", "new"])["codes"].clone();
    assert_eq!(codes.as_array().unwrap().len(), 10);
}

#[test]
fn the_relay_must_prove_who_it_is() {
    let mut appliance = Appliance::new();
    let tls = appliance.data().join("tls");
    let relay = Relay::with_tls(&tls.join("server.pem"), &tls.join("server.key"));
    appliance.configure(&mail_settings(&relay, "tls", &appliance.ca()));
    appliance.serve();
    let alice = alice(&appliance);
    let admin = Person::administrator(&appliance);
    allow_invitations(&admin);
    let key = alice.json(&["keys", "create", "--label", "shared over TLS"]);
    let key = key["key"]["id"].as_str().unwrap().to_owned();
    let _ = alice
        .run(&["keys", "share", &key, "--invite", "--with", CAROL])
        .success();
    let _ = relay.wait_for(CAROL, 1).code();

    // A relay of another site's authority is told nothing.
    let other = Appliance::new();
    let tls = other.data().join("tls");
    let stranger = Relay::with_tls(&tls.join("server.pem"), &tls.join("server.key"));
    let mut careful = Appliance::new();
    careful.configure(&mail_settings(&stranger, "tls", &careful.ca()));
    careful.serve();
    let mut session = careful.administrator();
    let created: CreatedAccount = session
        .create_account(
            "alice@example.com",
            strongroom_wire::account::AccountKind::Person,
            &[],
            None,
        )
        .unwrap();
    let password = careful.password_of("alice@example.com");
    let code = created.enrolment_code.unwrap();
    careful
        .api()
        .enrol("alice@example.com", &code, &password)
        .unwrap();
    let account = created.account.id;
    let _: strongroom_wire::recovery::RecoveryCode = session
        .ask("POST", &format!("/v1/accounts/{account}/recovery"), &())
        .unwrap();
    let started = Instant::now();
    while !careful.log().contains("cannot prove who it is") {
        assert!(
            started.elapsed() < Duration::from_mins(1),
            "{}",
            careful.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(stranger.messages_to("alice@example.com").is_empty());
}
