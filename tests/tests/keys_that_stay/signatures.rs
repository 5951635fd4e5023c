//! Signatures, which `openssl` verifies.

use super::*;

#[test]
fn openssl_verifies_what_is_signed() {
    let house = House::new();
    let folder = tempfile::tempdir().unwrap();
    let verifies = |public: &ObjectRecord, signature: &[u8], words: &[&str]| {
        let key = public.attributes.bytes(CKA_PUBLIC_KEY_INFO).unwrap();
        for (name, bytes) in [
            ("key.der", key),
            ("message", MESSAGE),
            ("signature", signature),
        ] {
            fs::write(folder.path().join(name), bytes).unwrap();
        }
        openssl(folder.path(), words)
    };
    let dgst = [
        "dgst",
        "-keyform",
        "DER",
        "-verify",
        "key.der",
        "-signature",
        "signature",
    ];
    let (public, key) = house.rsa();
    let info = |head: &str, hash: Hash| {
        [&hex::decode(head).unwrap()[..], &hash.digest(&[MESSAGE])].concat()
    };
    for (mechanism, data, hash) in [
        (
            CKM_RSA_PKCS,
            info("3031300d060960864801650304020105000420", Hash::Sha256),
            "-sha256",
        ),
        (
            CKM_RSA_PKCS,
            info("3051300d060960864801650304020305000440", Hash::Sha512),
            "-sha512",
        ),
        (CKM_SHA384_RSA_PKCS, MESSAGE.to_vec(), "-sha384"),
    ] {
        let mechanism = Mechanism::plain(mechanism).unwrap();
        let signature = house.operate(&key, Use::Sign, &mechanism, &data).unwrap();
        let words = [&dgst[..], &[hash, "message"]].concat();
        assert!(verifies(&public, &signature, &words));
    }
    let digest = Hash::Sha256.digest(&[MESSAGE]).to_vec();
    for salt in [0, 20, 32, 222] {
        let parameter = Parameter::Pss {
            hash: Hash::Sha256,
            mgf: Hash::Sha256,
            salt,
        };
        let plain = of(CKM_RSA_PKCS_PSS, parameter.clone());
        let hashing = of(CKM_SHA256_RSA_PKCS_PSS, parameter);
        let option = format!("rsa_pss_saltlen:{salt}");
        let words = [
            "-sha256",
            "-sigopt",
            "rsa_padding_mode:pss",
            "-sigopt",
            &option,
            "message",
        ];
        for (mechanism, data) in [(plain, &digest[..]), (hashing, MESSAGE)] {
            let signature = house.operate(&key, Use::Sign, &mechanism, data).unwrap();
            assert!(verifies(&public, &signature, &[&dgst[..], &words].concat()));
        }
    }
    let parameter = Parameter::Pss {
        hash: Hash::Sha256,
        mgf: Hash::Sha256,
        salt: 223,
    };
    let too_long = of(CKM_RSA_PKCS_PSS, parameter);
    let refused = house.operate(&key, Use::Sign, &too_long, &digest);
    assert_eq!(refused, Err(TokenErrorKind::Data));
    let md5_and_sha_1 = Mechanism::plain(CKM_RSA_PKCS).unwrap();
    let signature = house.operate(&key, Use::Sign, &md5_and_sha_1, &[7; 36]);
    fs::write(folder.path().join("digests"), [7; 36]).unwrap();
    let words = "pkeyutl -verify -pubin -keyform DER -inkey key.der -sigfile signature -in digests";
    let words: Vec<&str> = words.split(' ').collect();
    assert!(verifies(&public, &signature.unwrap(), &words));
    let refused = house.operate(&key, Use::Sign, &md5_and_sha_1, &[7; 246]);
    assert_eq!(refused, Err(TokenErrorKind::Data));
    let _ = house.appliance.verify_audit();
}
