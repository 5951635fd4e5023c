//! Usage policies of every kind, seen to bite: source networks, kinds of accounts, sign-ins, hours; "until Friday, three times, from the
//! office"; and the recent sign-in that grave acts need.

use std::fs;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use strongroom_tests::{Failed, Person, Session};
use strongroom_wire::account::AccountKind;
use strongroom_wire::id::KeyId;
use strongroom_wire::key::{ShareKey, Shared, UsagePolicy};
use strongroom_wire::policy::{
    ChangedDomainPolicy, DomainPolicy, Hours, Network, Preview, TimeOfDay,
};
use strongroom_wire::problem::Code;
use strongroom_wire::session::SignInStrength;

use crate::people::{Scene, assert_refused, scene};

fn share(
    session: &mut Session,
    key: KeyId,
    grantee: &str,
    policy: UsagePolicy,
) -> Result<Shared, Failed> {
    let request = ShareKey {
        grantee: grantee.to_owned(),
        rights: None,
        policy,
    };
    session.ask("POST", &format!("/v1/keys/{key}/grants"), &request)
}

fn from(network: &str) -> UsagePolicy {
    UsagePolicy {
        networks: Some(vec![network.parse::<Network>().unwrap()]),
        ..UsagePolicy::default()
    }
}

#[test]
fn networks_kinds_strengths_and_hours_decide() {
    let Scene {
        appliance,
        mut admin,
        mut alice,
        bob,
    } = scene();
    let key = alice.create_key("conditions", &[]).unwrap().key.id;
    let shared = share(&mut alice, key, "bob@example.com", from("127.0.0.2")).unwrap();
    let at = |address: &str| bob.at(&appliance.api().from(address.parse().unwrap()));
    let (mut near, mut far) = (at("127.0.0.2"), at("127.0.0.3"));
    near.release(key).unwrap();
    assert_refused(far.release(key), Code::PolicyRefused);

    let path = format!("/v1/keys/{key}/grants/{}/policy", shared.grant.id);
    let mut set = |policy: UsagePolicy| -> Shared { alice.ask("PUT", &path, &policy).unwrap() };
    set(from("127.0.0.0/8"));
    far.release(key).unwrap();
    set(UsagePolicy {
        kinds: Some(vec![AccountKind::Device, AccountKind::Service]),
        ..UsagePolicy::default()
    });
    assert_refused(near.release(key), Code::PolicyRefused);
    let strength = |min| UsagePolicy {
        min_sign_in: Some(min),
        ..UsagePolicy::default()
    };
    set(strength(SignInStrength::TwoFactor));
    assert_refused(near.release(key), Code::PolicyRefused);
    set(strength(SignInStrength::Password));
    near.release(key).unwrap();
    // An hour of the day that is now, and the others.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let minute = since.as_secs() / 60 % 1440;
    let time =
        |minutes: u64| TimeOfDay::from_minutes(u16::try_from(minutes % 1440).unwrap()).unwrap();
    let hours = |from, until| UsagePolicy {
        hours: vec![Hours {
            days: None,
            from: time(from),
            until: time(until),
            zone: "UTC".to_owned(),
        }],
        ..UsagePolicy::default()
    };
    set(hours(minute + 1440 - 30, minute + 30));
    near.release(key).unwrap();
    set(hours(minute + 30, minute + 1440 - 30));
    assert_refused(near.release(key), Code::PolicyRefused);

    // A device has the right kind.
    let created = admin.create_account("sensor-1", AccountKind::Device, &[], None);
    let code = created.unwrap().enrolment_code.unwrap();
    let password = appliance.password_of("sensor-1");
    appliance.api().enrol("sensor-1", &code, &password).unwrap();
    let mut sensor = appliance.sign_in("sensor-1");
    let devices = UsagePolicy {
        kinds: Some(vec![AccountKind::Device]),
        ..UsagePolicy::default()
    };
    share(&mut alice, key, "sensor-1", devices).unwrap();
    sensor.release(key).unwrap();
    // The domain's policy stands above all.
    let policy = DomainPolicy {
        usage: from("10.0.0.0/8"),
        ..DomainPolicy::default()
    };
    let _: ChangedDomainPolicy = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
    let leaf = assert_refused(sensor.release(key), Code::PolicyRefused);
    let records = alice.records_after(None).unwrap();
    let record = records.iter().find(|record| record.index == leaf).unwrap();
    let note = record.note.as_deref();
    assert_eq!(note, Some("policy-refused policy:domain:networks"));
    let preview: Preview = alice
        .get(&format!(
            "/v1/keys/{key}/preview?account=sensor-1&source=10.1.2.3"
        ))
        .unwrap();
    assert_eq!(preview.decided_by, None, "{preview:?}");
}

#[test]
fn until_friday_three_times_from_the_office() {
    let Scene { appliance, .. } = scene();
    let [alice, bob] =
        ["alice@example.com", "bob@example.com"].map(|name| Person::new(&appliance, name));
    for person in [&alice, &bob] {
        let _ = person.login().success();
    }
    fs::write(alice.file("plans.txt"), "the plans").unwrap();
    let _ = alice.run(&["protect", "plans.txt"]).success();
    let object = alice.file("plans.txt.sealed");
    fs::copy(&object, bob.file("plans.txt.sealed")).unwrap();
    let key = "plans.txt.sealed";
    let shared = alice
        .run(&[
            "keys",
            "share",
            key,
            "--with",
            "bob@example.com",
            "--until",
            "friday",
            "--releases",
            "3",
            "--from",
            "10.0.0.0/8",
            "--hours",
            "00:00-24:00 UTC",
            "--kinds",
            "person",
            "--min-sign-in",
            "password",
        ])
        .success();
    for part in ["until 20", "3 releases", "from 10.0.0.0/8", "by a person"] {
        assert!(shared.stdout.contains(part), "{shared:?}");
    }
    let open = ["open", key, "--force", "-o", "opened.txt"];
    let set = |words: &[&str]| {
        let set = ["keys", "policy", "set", key, "--grant", "bob@example.com"];
        let _ = alice.run(&[set.as_slice(), words].concat()).success();
    };
    let decided = || {
        alice.json(&[
            "keys",
            "preview",
            key,
            "--for",
            "bob@example.com",
            "--from",
            "127.0.0.1",
            "--sign-in",
            "password",
        ])
    };

    // From elsewhere: bob learns that, alice why.
    let sentence = bob.refused(&open, "policy-refused");
    assert_eq!(sentence, "strongroom: A usage policy does not allow this.");
    assert_eq!(decided()["decided_by"], "policy:grant:networks");
    let log = alice.run(&["audit", "tail"]).success();
    assert!(
        log.stdout.contains("policy-refused policy:grant:networks"),
        "{log:?}"
    );
    let own = bob.run(&["audit", "tail"]).success();
    assert!(own.stdout.contains("policy-refused"), "{own:?}");
    assert!(!own.stdout.contains("policy:grant"), "{own:?}");

    // Three times.
    set(&["--from", "10.0.0.0/8,127.0.0.0/8"]);
    assert_eq!(decided()["verdict"], "allowed");
    for _ in 0..3 {
        let _ = bob.run(&open).success();
        assert_eq!(fs::read(bob.file("opened.txt")).unwrap(), b"the plans");
    }
    bob.refused(&open, "policy-releases-used-up");
    assert_eq!(decided()["decided_by"], "policy:grant:max-releases");

    // And when Friday is over.
    set(&["--releases", "4", "--until", "2020-01-03"]);
    bob.refused(&open, "policy-expired");
    assert_eq!(decided()["decided_by"], "policy:grant:not-after");
    let policies = alice.run(&["keys", "policy", "show", key]).success();
    assert!(
        policies.stdout.contains("3 of 4 releases used"),
        "{policies:?}"
    );
    set(&["--until", "friday"]);
    let _ = bob.run(&open).success();
}

#[test]
fn what_is_grave_needs_a_recent_sign_in_where_the_domain_says_so() {
    let Scene {
        appliance,
        mut admin,
        alice: mut session,
        ..
    } = scene();
    let alice = Person::new(&appliance, "alice@example.com");
    let _ = alice.login().success();
    let key = session.create_key("grave", &[]).unwrap().key.id.to_string();
    thread::sleep(Duration::from_millis(1100));
    let policy = DomainPolicy {
        step_up_within: 1,
        ..DomainPolicy::default()
    };
    let _: ChangedDomainPolicy = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
    let destroy = ["keys", "destroy", key.as_str(), "--yes"];
    let sentence = alice.refused(&destroy, "step-up-required");
    assert!(sentence.ends_with("strongroom step-up"), "{sentence}");
    let policy = DomainPolicy {
        step_up_within: 600,
        ..DomainPolicy::default()
    };
    thread::sleep(Duration::from_millis(1100));
    let refused = admin.ask::<ChangedDomainPolicy>("PUT", "/v1/domain/policy", &policy);
    assert_refused(refused, Code::StepUpRequired);
    // In time for a second: signed in again, and at once.
    let mut admin = appliance.sign_in("admin@example.com");
    let _: ChangedDomainPolicy = admin.ask("PUT", "/v1/domain/policy", &policy).unwrap();
    let file = alice.password_file();
    let file = file.to_str().unwrap();
    let _ = alice.run(&["step-up", "--password-file", file]).success();
    let _ = alice.run(&destroy).success();
}
