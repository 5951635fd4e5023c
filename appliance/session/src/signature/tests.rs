#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

const DIGEST: &str = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
const REQUEST: Covered<'static> = Covered {
    method: "POST",
    path: "/v1/keys/0198d3c1-0000-7000-8000-000000000000/release",
    query: "",
    content_digest: DIGEST,
};

fn secret() -> AccountSecret {
    AccountSecret::from_bytes([7; 32])
}

fn signed() -> (AccountId, String, String) {
    let device = AccountId::generate();
    let (input, signature) = RequestSignature::sign(
        &secret(),
        device,
        1_795_445_700,
        "0123456789abcdef",
        &REQUEST,
    )
    .unwrap();
    (device, input, signature)
}

/// RFC 9421, appendix B.2.5.
#[test]
fn the_vector_of_rfc_9421_holds() {
    let secret = STANDARD
        .decode("uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==")
        .unwrap();
    let input = "strongroom=(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"";
    let params = serialise(&inner_list(input).unwrap()).unwrap();
    let components = [
        ("date", "Tue, 20 Apr 2021 02:07:55 GMT".to_owned()),
        ("@authority", "example.com".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    let signature = mac(&secret, &base(&components, &params)).finalize();
    assert_eq!(
        STANDARD.encode(signature.into_bytes()),
        "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8="
    );
}

#[test]
fn what_is_signed_is_what_the_documentation_says() {
    let (device, input, _) = signed();
    assert_eq!(
        input,
        format!(
            "strongroom=(\"@method\" \"@path\" \"@query\" \"content-digest\");created=1795445700;nonce=\"0123456789abcdef\";keyid=\"{device}\";alg=\"hmac-sha256\""
        )
    );
    let params = input.strip_prefix("strongroom=").unwrap();
    assert_eq!(
        base(&REQUEST.lines(), params),
        format!(
            "\"@method\": POST\n\"@path\": {}\n\"@query\": ?\n\"content-digest\": {DIGEST}\n\"@signature-params\": {params}",
            REQUEST.path
        )
    );
    assert_eq!(content_digest(b""), DIGEST);
}

#[test]
fn a_signature_verifies_for_its_request_and_no_other() {
    let (device, input, signature) = signed();
    let parsed = RequestSignature::parse(&input, &signature).unwrap();
    assert_eq!(
        (parsed.account, parsed.created, parsed.nonce.as_str()),
        (device, 1_795_445_700, "0123456789abcdef")
    );
    parsed.verify(&secret(), &REQUEST).unwrap();
    let other = AccountSecret::from_bytes([8; 32]);
    assert_eq!(
        parsed.verify(&other, &REQUEST),
        Err(SignatureError::Mismatch)
    );
    for altered in [
        Covered {
            method: "GET",
            ..REQUEST
        },
        Covered {
            path: "/v1/keys",
            ..REQUEST
        },
        Covered {
            query: "version=1",
            ..REQUEST
        },
        Covered {
            content_digest: "sha-256=:AAAA:",
            ..REQUEST
        },
    ] {
        assert_eq!(
            parsed.verify(&secret(), &altered),
            Err(SignatureError::Mismatch)
        );
    }
    for (from, to) in [
        ("1795445700", "1795445701"),
        ("0123456789abcdef", "0123456789abcdee"),
        (";alg=\"hmac-sha256\"", ""),
    ] {
        let altered = input.replace(from, to);
        assert_ne!(altered, input);
        let parsed = RequestSignature::parse(&altered, &signature).unwrap();
        assert_eq!(
            parsed.verify(&secret(), &REQUEST),
            Err(SignatureError::Mismatch)
        );
    }
}

#[test]
fn headers_that_do_not_say_enough_are_refused() {
    let (_, input, signature) = signed();
    for (from, to) in [
        ("strongroom=", "sig1="),
        (" \"@query\"", ""),
        ("\"@path\"", "\"@path\";req"),
        ("(\"@method\" \"@path\"", "(\"@path\" \"@method\""),
        (";created=1795445700", ""),
        ("created=1795445700", "created=-5"),
        ("created=1795445700", "created=\"1795445700\""),
        ("0123456789abcdef", "short"),
        ("hmac-sha256", "rsa-pss-sha512"),
        ("keyid=\"", "keyid=\"x"),
    ] {
        let altered = input.replace(from, to);
        assert_ne!(altered, input);
        assert!(
            RequestSignature::parse(&altered, &signature).is_err(),
            "{altered}"
        );
    }
    for bad in [
        "",
        "strongroom=:AAAA:",
        "strongroom=1",
        "strongroom=(\"a\")",
        "strongroom=::",
    ] {
        assert!(RequestSignature::parse(&input, bad).is_err(), "{bad}");
    }
    let long = format!("{input}, other=\"{}\"", "x".repeat(LONGEST_HEADER));
    assert!(RequestSignature::parse(&long, &signature).is_err());
}

#[test]
fn a_signature_among_others_is_found() {
    let (_, input, signature) = signed();
    let input = format!("other=(\"@authority\");created=1, {input}");
    let signature = format!("other=:AAAA:, {signature}");
    let parsed = RequestSignature::parse(&input, &signature).unwrap();
    parsed.verify(&secret(), &REQUEST).unwrap();
}

#[test]
fn bodies_are_held_against_their_digests() {
    let header = content_digest(b"{}");
    check_content_digest(&header, b"{}").unwrap();
    check_content_digest(&format!("sha-512=:AAAA:, {header}"), b"{}").unwrap();
    assert_eq!(
        check_content_digest(&header, b"{} "),
        Err(SignatureError::Digest)
    );
    for bad in ["", "sha-512=:AAAA:", "sha-256=1", "x y"] {
        assert!(matches!(
            check_content_digest(bad, b""),
            Err(SignatureError::Malformed(_))
        ));
    }
}

#[test]
fn the_transport_key_follows_from_secret_and_both_nonces() {
    let key = secret().transport_key("0123456789abcdef", "fedcba9876543210");
    // Computed by: openssl kdf -keylen 32 -kdfopt digest:SHA512 -kdfopt hexkey:0707… -kdfopt salt:0123456789abcdeffedcba9876543210
    // -kdfopt info:strongroom/v1/request-transport-key HKDF
    assert_eq!(
        hex::encode(key.as_bytes()),
        "21d6c5a17fa54bc6b6789735957020eeb233ccc2616961d3a3b426183874db34"
    );
    for other in [
        secret().transport_key("0123456789abcdeF", "fedcba9876543210"),
        secret().transport_key("0123456789abcdef", "fedcba9876543211"),
        AccountSecret::from_bytes([8; 32]).transport_key("0123456789abcdef", "fedcba9876543210"),
    ] {
        assert_ne!(other.as_bytes(), key.as_bytes());
    }
}

#[test]
fn the_import_key_follows_from_the_secret_alone() {
    // Computed by: openssl kdf -keylen 32 -kdfopt digest:SHA512 -kdfopt hexkey:0707… -kdfopt info:strongroom/v1/import-transport-key HKDF
    assert_eq!(
        hex::encode(secret().import_key().as_bytes()),
        "930f537193a093a7238f7939632741dff92c2ff3274eda6fa4cbc4c6f818b231"
    );
    let other = AccountSecret::from_bytes([8; 32]).import_key();
    assert_ne!(other.as_bytes(), secret().import_key().as_bytes());
}

#[test]
fn secrets_are_written_and_read_and_not_shown() {
    let text = secret().to_text();
    assert_eq!(text.len(), 43);
    assert_eq!(
        AccountSecret::from_text(&text).unwrap().as_bytes(),
        secret().as_bytes()
    );
    assert!(AccountSecret::from_text("short").is_none());
    assert_eq!(format!("{:?}", secret()), "AccountSecret(hidden)");
}

proptest! {
    #[test]
    fn nothing_that_headers_say_makes_it_panic(input in ".{0,200}", signature in ".{0,200}", digest in ".{0,80}") {
        let _ = RequestSignature::parse(&input, &signature);
        let _ = RequestSignature::parse(&format!("strongroom=({input}"), &format!("strongroom={signature}"));
        let _ = check_content_digest(&digest, b"");
    }

    #[test]
    fn every_request_that_is_signed_verifies(
        method in "[A-Z]{1,8}",
        path in "/[!-~]{0,60}",
        query in "[!-~]{0,60}",
        nonce in "[ -~]{16,64}",
        created in 0_u64..10_000_000_000,
        secret in proptest::array::uniform32(any::<u8>()),
    ) {
        let secret = AccountSecret::from_bytes(secret);
        let covered = Covered { method: &method, path: &path, query: &query, content_digest: DIGEST };
        let (input, signature) =
            RequestSignature::sign(&secret, AccountId::generate(), created, &nonce, &covered).unwrap();
        let parsed = RequestSignature::parse(&input, &signature).unwrap();
        prop_assert_eq!(parsed.nonce.as_str(), nonce.as_str());
        prop_assert!(parsed.verify(&secret, &covered).is_ok());
    }
}
