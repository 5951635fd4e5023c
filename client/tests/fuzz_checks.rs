//! What the fuzz targets check, without a fuzzer: of what was made, of what differs from it in a few bytes, and of noise.

#![expect(clippy::expect_used, reason = "tests")]

#[path = "../fuzz/checks/mail.rs"]
mod mail;
#[path = "../fuzz/checks/message.rs"]
mod message;
#[path = "../fuzz/checks/object.rs"]
mod object;

use proptest::prelude::*;
use proptest::sample::Index;

type Check = (fn(&[u8]), &'static [u8]);

fn checks() -> [Check; 3] {
    [
        (mail::check, mail::SEALED.as_slice()),
        (message::check, message::SEALED.as_slice()),
        (object::check, object::SEALED.as_slice()),
    ]
}

#[test]
fn what_was_made_passes() {
    for (check, made) in checks() {
        check(made);
    }
    // The checks look at something: these bytes are what they say.
    let part = strongroom_client::mail::sealed_part(&mail::SEALED);
    assert_eq!(part, Ok(b"\xd0\x83\x40ABC".to_vec()));
    let mail = strongroom_client::mail::Mail::parse(&mail::SEALED).expect("it is mail");
    assert_eq!((mail.visible().len(), mail.hidden().len()), (3, 2));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_differs_in_a_few_bytes_passes(
        edits in proptest::collection::vec((any::<Index>(), any::<u8>(), 0_usize..3), 1..6),
        which in 0_usize..3,
    ) {
        let (check, made) = checks()[which];
        let mut bytes = made.to_vec();
        for (place, byte, how) in edits {
            let place = place.index(bytes.len());
            match how {
                0 => bytes[place] = byte,
                1 => bytes.insert(place, byte),
                _ => bytes.truncate(place.max(1)),
            }
        }
        check(&bytes);
    }

    #[test]
    fn noise_passes(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
        for (check, _) in checks() {
            check(&bytes);
        }
    }
}
