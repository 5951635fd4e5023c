//! A quote of a software TPM, and every way in which a byte of it may be another.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;
use strongroom_wire::attestation::{Attestation, Registers};

use super::*;

/// Of swtpm 0.7, whose register 11 was measured into once.
fn attestation() -> Attestation {
    serde_json::from_str(include_str!("../tests/quote.json")).unwrap()
}

/// The members of an attestation that hold bytes.
fn bytes(attestation: &mut Attestation) -> [&mut Vec<u8>; 4] {
    let Attestation {
        statement, quote, ..
    } = attestation;
    [
        &mut statement.nonce.as_mut().unwrap().0,
        &mut quote.public.0,
        &mut quote.attest.0,
        &mut quote.signature.0,
    ]
}

/// The members of an attestation that are text.
fn texts(attestation: &mut Attestation) -> [&mut String; 7] {
    let Attestation {
        tpm,
        registers,
        statement,
        ..
    } = attestation;
    [
        tpm,
        &mut registers.pcr7,
        &mut registers.pcr11,
        &mut statement.release,
        &mut statement.certificate,
        &mut statement.log,
        &mut statement.root,
    ]
}

#[test]
fn a_quote_of_a_tpm_holds() {
    let attestation = attestation();
    let attested = verify(&attestation).unwrap();
    assert_eq!(attested.tpm.to_string(), attestation.tpm);
    let pairs: Vec<String> = attested.tpm.0.map(|byte| format!("{byte:02X}")).into();
    assert_eq!(pairs.join(":").parse(), Ok(attested.tpm));
    assert_eq!("12:34".parse::<Fingerprint>(), Err(NoFingerprint));
}

#[test]
fn each_bit_of_it_counts() {
    for member in 0..4 {
        let length = bytes(&mut attestation())[member].len();
        for at in 0..length {
            for bit in 0..8 {
                let mut changed = attestation();
                bytes(&mut changed)[member][at] ^= 1 << bit;
                assert!(verify(&changed).is_err(), "{member} {at} {bit}");
            }
        }
    }
}

#[test]
fn what_is_missing_or_too_much_is_refused() {
    for member in 0..4 {
        let mut longer = attestation();
        bytes(&mut longer)[member].push(0);
        assert!(verify(&longer).is_err(), "{member}");
        let length = bytes(&mut longer)[member].len();
        for short in 0..length - 1 {
            let mut cut = attestation();
            bytes(&mut cut)[member].truncate(short);
            assert!(verify(&cut).is_err(), "{member} {short}");
        }
    }
    let mut unasked = attestation();
    unasked.statement.nonce = None;
    assert_eq!(verify(&unasked), Err(Error::Binding));
    let mut grown = attestation();
    grown.statement.size += 1;
    assert_eq!(verify(&grown), Err(Error::Binding));
}

#[test]
fn a_key_that_signs_anything_is_no_attestation_key() {
    // Without `restricted`: whoever may use it could have it sign what no TPM ever said.
    let mut changed = attestation();
    changed.quote.public.0[5] &= !1;
    changed.tpm = Fingerprint(sha256(&changed.quote.public.0)).to_string();
    assert_eq!(verify(&changed), Err(Error::Key));
}

#[test]
fn which_register_differs_is_told() {
    let of = |pcr7: &str, pcr11: &str| Registers {
        pcr7: pcr7.to_owned(),
        pcr11: pcr11.to_owned(),
    };
    assert!(differing(&of("aa", "bb"), &of("AA", "bb")).is_empty());
    assert_eq!(differing(&of("aa", "bb"), &of("aa", "bc")), [11]);
    assert_eq!(differing(&of("aa", "bb"), &of("ab", "bb")), [7]);
    assert_eq!(differing(&of("aa", "bb"), &of("bb", "aa")), [7, 11]);
}

#[test]
fn a_note_is_read_as_it_was_written() {
    let mut attestation = attestation();
    attestation.statement.nonce = None;
    let note = note::write(&attestation);
    assert!(note.len() <= 1024, "{}", note.len());
    assert_eq!(
        note::read(&note, &attestation.statement.log),
        Ok(attestation)
    );
    for wrong in ["", "release 0.1.0", &note[1..], &note[..note.len() - 1]] {
        assert!(note::read(wrong, "log").is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn each_character_of_it_counts(member in 0_usize..7, at in any::<prop::sample::Index>(), to in "[ -~\n]") {
        let mut changed = attestation();
        let all = texts(&mut changed);
        let text = &mut *all[member];
        let at = at.index(text.len());
        let before = text.clone();
        text.replace_range(at..=at, &to);
        prop_assume!(*text != before);
        prop_assert!(verify(&changed).is_err());
    }

    #[test]
    fn no_bytes_are_more_than_a_refusal(public: Vec<u8>, attest: Vec<u8>, signature: Vec<u8>, behind in any::<bool>()) {
        let mut changed = attestation();
        let [_, a, b, c] = bytes(&mut changed);
        for (member, other) in [(a, public), (b, attest), (c, signature)] {
            // Behind a beginning that is read, too.
            member.truncate(if behind { 30 } else { 0 });
            member.extend(other);
        }
        prop_assert!(verify(&changed).is_err());
    }
}
