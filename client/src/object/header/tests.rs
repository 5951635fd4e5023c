#![expect(clippy::unwrap_used, reason = "tests")]

use coset::{Header as CoseHeader, iana};
use proptest::prelude::*;

use super::*;

fn header() -> Header {
    let key = KeyId::from_bytes([0x5a; 16]);
    Header::new(key, 3, "https://keys.example.com:8443", Some("text/plain")).unwrap()
}

/// A file's start around any COSE message.
fn start(cose: &[u8]) -> Vec<u8> {
    let length = u32::try_from(cose.len()).unwrap();
    [MAGIC.as_slice(), &length.to_be_bytes(), cose].concat()
}

fn read(bytes: &[u8]) -> Result<Header, HeaderError> {
    Header::read(&mut &*bytes).map(|(header, _)| header)
}

/// The error for the usual header after an edit of its COSE structure.
fn edited(edit: impl FnOnce(&mut CoseEncrypt0)) -> HeaderError {
    let mut message = header().to_cose();
    edit(&mut message);
    read(&start(&message.to_tagged_vec().unwrap())).unwrap_err()
}

fn parameters(edit: impl FnOnce(&mut CoseHeader)) -> HeaderError {
    edited(|message| edit(&mut message.protected.header))
}

#[test]
fn encoding_is_deterministic_cbor() {
    let encoded = header().encode().unwrap();
    let expected = concat!(
        "d083",                                 // tag 16, array of 3
        "584f",                                 // protected: 79 bytes
        "a5",                                   // map of 5
        "013a0001116f",                         // alg: -70000
        "036a746578742f706c61696e",             // content type: "text/plain"
        "04505a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a", // kid
        "3a0001117003",                         // key version: 3
        "3a00011171781d68747470733a2f2f6b6579732e6578616d706c652e636f6d3a38343433", // server
        "a0f6",                                 // unprotected: {}, ciphertext: nil
    );
    assert_eq!(hex::encode(&encoded[MAGIC.len() + LENGTH_LEN..]), expected);
    assert_eq!(read(&encoded).unwrap(), header());
}

#[test]
fn other_files_are_told_from_objects() {
    assert!(matches!(read(b""), Err(HeaderError::NotAnObject)));
    assert!(matches!(read(b"%PDF-1.7"), Err(HeaderError::NotAnObject)));
    assert!(matches!(read(&[0; 100]), Err(HeaderError::NotAnObject)));
    assert!(matches!(
        read(b"strongroom-object/v2\n...."),
        Err(HeaderError::UnknownVersion)
    ));
    assert!(matches!(read(MAGIC), Err(HeaderError::Truncated)));
}

#[test]
fn a_long_header_is_refused_before_it_is_read() {
    let claim = [MAGIC.as_slice(), &u32::MAX.to_be_bytes()].concat();
    assert!(matches!(
        read(&claim),
        Err(HeaderError::TooLong { length: u32::MAX })
    ));
}

#[test]
fn the_largest_header_fits() {
    let server = format!("https://{}.com", "a.".repeat(1017) + "ab");
    assert_eq!(server.len(), MAX_SERVER_LEN);
    let content_type = format!("a/{}", "b".repeat(253));
    let key = KeyId::from_bytes([1; 16]);
    let largest = Header::new(key, u32::MAX, &server, Some(&content_type)).unwrap();
    assert_eq!(read(&largest.encode().unwrap()).unwrap(), largest);
    assert!(Header::new(key, 1, &format!("{server}m"), None).is_err());
    assert!(Header::new(key, 1, &server, Some(&format!("{content_type}b"))).is_err());
}

#[test]
fn invalid_parameters_are_refused() {
    let key = KeyId::from_bytes([1; 16]);
    for server in [
        "",
        "keys.example.com",
        "http://keys.example.com",
        "https://keys.example.com/",
        "https://keys.example.com:443",
        "https://KEYS.example.com",
        "https://user@keys.example.com",
        "https://keys.example.com\n",
    ] {
        assert!(
            matches!(
                Header::new(key, 1, server, None),
                Err(HeaderError::Invalid(Field::Server))
            ),
            "{server:?}"
        );
    }
    for content_type in [
        "", "text", "/", "text/", "/plain", "a/b/c", " a/b", "a/\u{1b}", "a/é",
    ] {
        assert!(
            matches!(
                Header::new(key, 1, "https://[::1]:8443", Some(content_type)),
                Err(HeaderError::Invalid(Field::ContentType))
            ),
            "{content_type:?}"
        );
    }
    assert!(matches!(
        Header::new(key, 0, "https://127.0.0.1:8443", None),
        Err(HeaderError::Invalid(Field::KeyVersion))
    ));
}

#[test]
fn other_cose_messages_are_refused() {
    use HeaderError as E;
    let is = |error, field| matches!(error, E::Invalid(found) if found == field);
    assert!(matches!(
        parameters(|p| p.alg = Some(Algorithm::Assigned(iana::Algorithm::A256GCM))),
        E::UnknownAlgorithm
    ));
    assert!(matches!(parameters(|p| p.alg = None), E::UnknownAlgorithm));
    assert!(is(parameters(|p| p.key_id = vec![1; 15]), Field::Key));
    assert!(is(parameters(|p| p.key_id.clear()), Field::Key));
    assert!(is(
        parameters(|p| p.rest[0].1 = Value::from(1u64 << 32)),
        Field::KeyVersion
    ));
    assert!(is(
        parameters(|p| p.rest[0].1 = Value::from("1")),
        Field::KeyVersion
    ));
    assert!(is(
        parameters(|p| drop(p.rest.remove(0))),
        Field::KeyVersion
    ));
    assert!(is(
        parameters(|p| p.rest[1].1 = Value::from(1)),
        Field::Server
    ));
    assert!(is(parameters(|p| drop(p.rest.pop())), Field::Server));
    assert!(is(
        parameters(
            |p| p.content_type = Some(coset::ContentType::Assigned(iana::CoapContentFormat::Json))
        ),
        Field::ContentType
    ));
    assert!(matches!(
        parameters(|p| p.rest.push((Label::Int(-70_003), Value::Null))),
        E::UnknownParameter
    ));
    assert!(matches!(
        parameters(|p| p.rest.push((Label::Text("x".into()), Value::Null))),
        E::UnknownParameter
    ));
    // Another order, and parts this format leaves empty.
    assert!(matches!(
        parameters(|p| p.rest.swap(0, 1)),
        E::NotDeterministic
    ));
    assert!(matches!(
        parameters(|p| p.iv = vec![1; 12]),
        E::NotDeterministic
    ));
    assert!(matches!(
        edited(|m| m.unprotected.key_id = vec![1]),
        E::NotDeterministic
    ));
    assert!(matches!(
        edited(|m| m.ciphertext = Some(Vec::new())),
        E::NotDeterministic
    ));
    // No tag, another tag, bytes behind, nothing at all.
    let cose = header().to_cose().to_tagged_vec().unwrap();
    assert!(matches!(read(&start(&cose[1..])), Err(E::NotCose)));
    let tag_18 = [&[0xd2], &cose[1..]].concat();
    assert!(matches!(read(&start(&tag_18)), Err(E::NotCose)));
    let longer = [cose.as_slice(), &[0]].concat();
    assert!(matches!(read(&start(&longer)), Err(E::NotCose)));
    assert!(matches!(read(&start(b"")), Err(E::NotCose)));
    // The tag in two bytes instead of one.
    let wide_tag = [&[0xd8, 0x10], &cose[1..]].concat();
    assert!(matches!(read(&start(&wide_tag)), Err(E::NotDeterministic)));
}

proptest! {
    #[test]
    fn any_header_round_trips(
        key in any::<[u8; 16]>(),
        version in 1u32..,
        port in 1u16..,
        content_type in prop::option::of("[a-z]{1,20}/[a-z0-9.+-]{1,40}"),
    ) {
        prop_assume!(port != 443);
        let server = format!("https://keys.example.com:{port}");
        let key = KeyId::from_bytes(key);
        let header = Header::new(key, version, &server, content_type.as_deref()).unwrap();
        let encoded = header.encode().unwrap();
        prop_assert_eq!(read(&encoded).unwrap(), header);
    }

    /// Whatever is read as a header is exactly what its values encode to.
    #[test]
    fn any_bytes_are_read_without_panic(
        cose in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        prop_assert!(read(&start(&cose)).is_err());
        let mut near = header().encode().unwrap();
        let at = at.index(near.len());
        near[at] = byte;
        if let Ok(header) = read(&near) {
            prop_assert_eq!(header.encode().unwrap(), near);
        }
    }
}
