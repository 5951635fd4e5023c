#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const MATERIAL: [u8; 32] = [7; 32];

pub(crate) fn header() -> MessageHeader {
    MessageHeader {
        key: "01934c1e-7d5a-7cc0-8f3e-0123456789ab".parse().unwrap(),
        key_version: 1,
        server: "https://keys.example.com:8443".to_owned(),
        content_type: Some("text/plain".to_owned()),
        sender: "01934c1e-7d5a-7cc0-8f3e-aaaaaaaaaaaa".parse().unwrap(),
        recipients: vec!["bob@example.com".to_owned(), "carol@example.com".to_owned()],
        time: "2026-11-27T18:00:00Z".parse().unwrap(),
    }
}

fn sealed() -> Vec<u8> {
    Envelope::seal(&header(), &MATERIAL, b"at noon").unwrap()
}

#[test]
fn what_was_sealed_opens() {
    for (header, plaintext) in [
        (header(), b"at noon".to_vec()),
        (
            MessageHeader {
                content_type: None,
                recipients: Vec::new(),
                key_version: u32::MAX,
                ..header()
            },
            Vec::new(),
        ),
        (header(), vec![5; 1_000_000]),
    ] {
        let sealed = Envelope::seal(&header, &MATERIAL, &plaintext).unwrap();
        let envelope = Envelope::parse(&sealed).unwrap();
        assert_eq!(envelope.header(), &header);
        assert_eq!(*envelope.open(&MATERIAL).unwrap(), plaintext);
        let error = envelope.open(&[8; 32]).unwrap_err();
        assert_eq!(error, MessageError::Altered);
        assert_eq!(envelope.open(&[7; 16]).unwrap_err(), MessageError::Altered);
        assert!(!format!("{envelope:?}").contains("at noon"));
    }
    assert_ne!(sealed(), sealed(), "the IV is random");
}

/// The bytes that `client/FORMAT.md` gives as the example.
#[test]
fn the_documented_example_is_what_is_written() {
    let material: [u8; 32] = std::array::from_fn(|place| u8::try_from(place).unwrap());
    let iv = std::array::from_fn(|place| 0xa0 + u8::try_from(place).unwrap());
    let header = MessageHeader {
        recipients: vec!["bob@example.com".to_owned()],
        ..header()
    };
    let sealed = Envelope::seal_with_iv(&header, &material, b"Strongroom", iv).unwrap();
    let format = include_str!("../../../FORMAT.md");
    let example = format.split("<!-- message example -->").nth(1).unwrap();
    let example = example.split("```").nth(1).unwrap();
    let example: String = example
        .lines()
        .filter_map(|line| line.split('#').next())
        .flat_map(str::chars)
        .filter(|character| !character.is_whitespace())
        .collect();
    assert_eq!(hex::encode(&sealed), example);
    let envelope = Envelope::parse(&sealed).unwrap();
    assert_eq!(*envelope.open(&material).unwrap(), b"Strongroom");
}

#[test]
fn a_header_that_cannot_be_read_is_not_written() {
    let refused = |header: MessageHeader| Envelope::seal(&header, &MATERIAL, b"").unwrap_err();
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    for (header, what) in [
        (
            MessageHeader {
                key_version: 0,
                ..header()
            },
            "key version",
        ),
        (
            MessageHeader {
                server: "http://keys.example.com".to_owned(),
                ..header()
            },
            "server",
        ),
        (
            MessageHeader {
                content_type: Some("text".to_owned()),
                ..header()
            },
            "content type",
        ),
        (
            MessageHeader {
                recipients: names(&["b", "a"]),
                ..header()
            },
            "recipients",
        ),
        (
            MessageHeader {
                recipients: names(&["a", "a"]),
                ..header()
            },
            "recipients",
        ),
        (
            MessageHeader {
                recipients: names(&["a\n"]),
                ..header()
            },
            "recipients",
        ),
        (
            MessageHeader {
                recipients: names(&[&"a".repeat(321)]),
                ..header()
            },
            "recipients",
        ),
    ] {
        assert_eq!(refused(header), MessageError::Invalid(what));
    }
    let long = vec![0; MAX_PLAINTEXT_LEN + 1];
    let error = Envelope::seal(&header(), &MATERIAL, &long).unwrap_err();
    assert_eq!(error, MessageError::TooLong);
}

#[test]
fn the_largest_message_is_read_again() {
    let recipients = (0..MOST_RECIPIENTS).map(|number| format!("{number:0>320}"));
    let header = MessageHeader {
        recipients: recipients.collect(),
        ..header()
    };
    let sealed = Envelope::seal(&header, &MATERIAL, &vec![1; MAX_PLAINTEXT_LEN]).unwrap();
    assert!(Envelope::parse(&sealed).is_ok());
    let error = Envelope::parse(&vec![0; MAX_ENVELOPE_LEN + 1]).unwrap_err();
    assert_eq!(error, MessageError::TooLong);
}

#[test]
fn the_same_bytes_for_another_purpose_do_not_open() {
    // A COSE_Encrypt0 under the same key, made without this format's external_aad.
    let other = header()
        .to_cose([9; 12])
        .try_create_ciphertext(b"at noon", b"", |plaintext, associated| {
            let mut buffer = plaintext.to_vec();
            let nonce = Nonce::assume_unique_for_key([9; 12]);
            aead(&MATERIAL)?
                .seal_in_place_append_tag(nonce, Aad::from(associated), &mut buffer)
                .map_err(|_| MessageError::Library)?;
            Ok::<_, MessageError>(buffer)
        })
        .unwrap()
        .build()
        .to_tagged_vec()
        .unwrap();
    let envelope = Envelope::parse(&other).unwrap();
    assert_eq!(envelope.open(&MATERIAL).unwrap_err(), MessageError::Altered);
}

#[test]
fn every_way_of_cutting_it_short_is_truncation() {
    let sealed = sealed();
    assert_eq!(Envelope::parse(&[]).unwrap_err(), MessageError::NotAMessage);
    for length in 1..sealed.len() {
        let error = Envelope::parse(&sealed[..length]).unwrap_err();
        assert_eq!(error, MessageError::Truncated, "{length}");
    }
    let mut longer = sealed;
    longer.push(0);
    assert_eq!(
        Envelope::parse(&longer).unwrap_err(),
        MessageError::NotDeterministic
    );
}

#[test]
fn another_form_of_the_same_is_refused() {
    let whole = Envelope::parse(&sealed()).unwrap();
    let written = |change: &dyn Fn(&mut CoseEncrypt0)| {
        let mut cose = whole.cose.clone();
        cose.protected.original_data = None;
        change(&mut cose);
        Envelope::parse(&cose.to_tagged_vec().unwrap()).unwrap_err()
    };
    assert_eq!(
        written(&|cose| cose.unprotected.iv = vec![1; 12]),
        MessageError::NotDeterministic
    );
    assert_eq!(
        written(&|cose| cose.protected.header.rest.reverse()),
        MessageError::NotDeterministic
    );
    assert_eq!(
        written(&|cose| cose
            .protected
            .header
            .rest
            .push((Label::Int(-70_006), Value::from(1)))),
        MessageError::UnknownParameter
    );
    assert_eq!(
        written(
            &|cose| cose.protected.header.alg = Some(Algorithm::Assigned(iana::Algorithm::A128GCM))
        ),
        MessageError::UnknownAlgorithm
    );
    assert_eq!(
        written(&|cose| cose.protected.header.iv = vec![1; 13]),
        MessageError::Invalid("IV")
    );
    assert_eq!(
        written(&|cose| cose.protected.header.key_id.push(1)),
        MessageError::Invalid("key identifier")
    );
    for label in [KEY_VERSION, SERVER, SENDER, RECIPIENTS, TIME] {
        let missing = written(&|cose| {
            let rest = &mut cose.protected.header.rest;
            rest.retain(|(other, _)| *other != Label::Int(label));
        });
        assert!(matches!(missing, MessageError::Invalid(_)), "{label}");
    }
    assert_eq!(
        written(&|cose| cose.ciphertext = None),
        MessageError::Invalid("ciphertext")
    );
    assert_eq!(
        written(&|cose| cose.ciphertext = Some(vec![1; 15])),
        MessageError::Invalid("ciphertext")
    );
}
