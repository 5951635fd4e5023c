//! Keys that were obtained, held, and used again.

use std::thread;
use std::time::{Duration, Instant};

use strongroom_client::{ErrorKind, Keeping, Metadata, Protect as _};
use strongroom_wire::key::UsagePolicy;

use super::{Scene, kind, requests, scene};

#[test]
fn a_held_key_is_used_while_the_appliance_is_away_as_long_as_policies_allow() {
    let Scene {
        mut appliance,
        alice,
        bob,
        ..
    } = scene();
    let seal = |text: &str, policy| {
        let metadata = Metadata::new(text).under(policy);
        let sealed = alice.seal_message(text.as_bytes(), &["bob@example.com"], &metadata);
        sealed.unwrap().bytes
    };
    let free = UsagePolicy::default;
    let (kept, never) = (seal("kept", free()), seal("never", free()));
    let short = UsagePolicy {
        keep_for: Some(3),
        ..free()
    };
    let short = seal("short", short);
    // How often, and from where, the appliance alone can judge.
    let counted = UsagePolicy {
        max_releases: Some(5),
        ..free()
    };
    let placed = UsagePolicy {
        networks: Some(vec!["127.0.0.0/8".parse().unwrap()]),
        ..free()
    };
    let bound = [seal("counted", counted), seal("placed", placed)];
    for message in [&kept, &short, &bound[0], &bound[1]] {
        bob.open_message(message).unwrap();
    }
    let obtained = Instant::now();
    appliance.kill();

    assert_eq!(*bob.open_message(&kept).unwrap().plaintext, b"kept");
    assert_eq!(*bob.open_message(&short).unwrap().plaintext, b"short");
    let error = bob.open_message(&never).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.safe_to_retry(), "nothing was sent");
    for message in &bound {
        assert_eq!(
            kind(bob.open_message(message)),
            Some(ErrorKind::Unreachable)
        );
    }
    let together = bob.open_messages(&[&kept, &never, &short]).unwrap();
    let kinds: Vec<_> = together.into_iter().map(kind).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::Unreachable), None]);

    thread::sleep(Duration::from_secs(3).saturating_sub(obtained.elapsed()));
    assert_eq!(kind(bob.open_message(&short)), Some(ErrorKind::Unreachable));
    bob.open_message(&kept).unwrap();
    bob.forget();
    assert_eq!(kind(bob.open_message(&kept)), Some(ErrorKind::Unreachable));
}

#[test]
fn what_is_revoked_is_not_held_on_to() {
    let Scene {
        mut appliance,
        alice,
        bob,
        ..
    } = scene();
    let sealed = alice
        .seal_message(b"mine", &["bob@example.com"], &Metadata::default())
        .unwrap();
    bob.keep_keys(Keeping {
        fresh_for: Duration::from_mins(10),
        ..Keeping::default()
    });
    bob.open_message(&sealed.bytes).unwrap();
    let before = requests(&appliance);
    bob.open_message(&sealed.bytes).unwrap();
    bob.open_messages(&[&sealed.bytes]).unwrap();
    assert_eq!(requests(&appliance), before, "it is fresh");
    bob.keep_keys(Keeping::default());
    alice.revoke_from(sealed.key.id, "bob@example.com").unwrap();
    assert_eq!(
        kind(bob.open_message(&sealed.bytes)),
        Some(ErrorKind::Revoked)
    );
    appliance.kill();
    assert_eq!(
        kind(bob.open_message(&sealed.bytes)),
        Some(ErrorKind::Unreachable)
    );
}
