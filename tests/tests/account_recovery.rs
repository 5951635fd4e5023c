//! Recovery of an account at the command line: who starts it, who sees it, what it takes. What comes after its delay is tested where the
//! clock can be moved, in the keystore's own tests.

use strongroom_tests::{Failed, Person};
use strongroom_wire::account::{Done, EnrolmentStarted};
use strongroom_wire::encoding::Base64;
use strongroom_wire::problem::Code;
use strongroom_wire::recovery::{PresentRecovery, SecondCode, StartRecovery};

use crate::people::{Scene, assert_refused, scene};

const ALICE: &str = "alice@example.com";

#[test]
fn a_recovery_is_seen_by_its_holder_and_takes_two_codes_and_time() {
    let Scene {
        appliance,
        admin: session,
        alice: mut holder,
        mut bob,
    } = scene();
    let alice = Person::new(&appliance, ALICE);
    let _ = alice.login().success();
    let codes = alice.json(&["recovery-codes", "new"])["codes"].clone();
    let own = codes[0].as_str().unwrap();
    assert_eq!(
        alice.json(&["recovery", "show"])["recovery"],
        serde_json::Value::Null
    );
    alice.refused(&["recovery", "cancel"], "conflict");

    let admin = Person::administrator(&appliance);
    let _ = admin.login().success();
    admin.refused(&["accounts", "recover", &admin.name], "not-permitted");
    let started = admin.json(&["accounts", "recover", ALICE]);
    let code = started["code"].as_str().unwrap();
    admin.refused(&["accounts", "recover", ALICE], "conflict");
    // The one who started it is not the second hand.
    admin.refused(&["accounts", "approve-recovery", ALICE], "not-permitted");

    // Its holder is told wherever they look.
    for words in [&["status"][..], &["sessions", "list"]] {
        let seen = alice.run(words).success();
        assert!(
            seen.stderr
                .contains("a recovery of this account was started by admin@"),
            "{seen:?}"
        );
    }
    let seen = alice.login().success();
    assert!(
        seen.stderr.contains("strongroom recovery cancel"),
        "{seen:?}"
    );
    assert_eq!(
        alice.json(&["recovery", "show"])["recovery"]["started_by_name"],
        admin.name
    );

    let present: PresentRecovery = holder.get("/v1/accounts/me/recovery").unwrap();
    assert_eq!(present.recovery.unwrap().started_by, session.account.id);

    let elsewhere = Person::new(&appliance, ALICE);
    let (url, ca) = (appliance.client_url(), appliance.ca());
    let password = elsewhere.password_file();
    let recover = |code: &str, second: [&str; 2], problem: &str| {
        let words = [
            "recover",
            ALICE,
            "--server",
            &url,
            "--ca",
            ca.to_str().unwrap(),
            "--password-file",
            password.to_str().unwrap(),
            "--code",
            code,
        ];
        elsewhere.refused(&[&words[..], &second].concat(), problem)
    };
    // One code alone, twice, or in the other's place, is none.
    recover(code, ["--recovery-code", code], "recovery-refused");
    recover(code, ["--approval-code", code], "recovery-refused");
    recover(own, ["--recovery-code", own], "recovery-refused");
    let sentence = recover(code, ["--recovery-code", own], "recovery-too-early");
    assert!(sentence.contains("takes effect at"), "{sentence}");
    // The recovery code was not used up by that.
    assert_eq!(alice.json(&["recovery-codes", "show"])["left"], 10);

    // Others' recoveries are nobody's business.
    let account = &session.account.id;
    let refused: Result<Done, Failed> = bob.delete(&format!("/v1/accounts/{account}/recovery"));
    assert_eq!(refused.unwrap_err().code(), Code::NotPermitted);
    let none: Result<Done, Failed> = bob.delete("/v1/accounts/me/recovery");
    assert_refused(none, Code::Conflict);

    let _ = alice.run(&["recovery", "cancel"]).success();
    recover(code, ["--recovery-code", own], "recovery-refused");
    let quiet = alice.run(&["status"]).success();
    assert_eq!(quiet.stderr, "");
    let records = alice.run(&["audit", "tail"]).success().stdout;
    for act in [
        "account-recovery.start",
        "account-recovery.cancel",
        "account-recovery.finish",
    ] {
        assert!(records.contains(act), "{act} in {records}");
    }
    // An account that there is not is refused alike.
    let request = StartRecovery {
        account: "nobody@example.com".to_owned(),
        code: code.to_owned(),
        second: SecondCode::RecoveryCode(own.to_owned()),
        request: Base64(curve_point()),
    };
    let refused: Result<EnrolmentStarted, _> =
        appliance
            .api()
            .ask("POST", "/v1/recoveries/start", Some(&request));
    assert_refused(refused, Code::RecoveryRefused);
}

/// A registration request of OPAQUE: the encoding of ristretto255's base point (RFC 9496 section A.1).
fn curve_point() -> Vec<u8> {
    hex::decode("e2f2ae0a6abc4e71a884a961c500515f58e30b6aa582dd8db6a65945e08d2d76").unwrap()
}
