//! Mechanisms of PKCS #11 as usage policies of the appliance know them.

use cryptoki_sys::*;
use strongroom_wire::operation::Mechanism as Wire;

use super::operations::{ecdsa, hmac, pkcs1, pss};
use crate::mechanism::{Family, Listed, list::ALL, listed};

/// By which of its mechanisms the appliance does this one: none where it does not.
pub(super) fn by_appliance(family: Family) -> Vec<Wire> {
    match family {
        Family::Hmac { hash, .. } => hmac(hash).into_iter().collect(),
        Family::Cmac { .. } => vec![Wire::AesCmac],
        Family::AesEcb => vec![Wire::AesEcb],
        Family::AesCbc => vec![Wire::AesCbc],
        Family::AesCbcPad => vec![Wire::AesCbcPad],
        Family::AesCtr => vec![Wire::AesCtr],
        Family::AesGcm => vec![Wire::AesGcm],
        Family::AesKw => vec![Wire::AesKw],
        Family::AesKwp => vec![Wire::AesKwp],
        Family::RsaPkcs(None) => vec![
            Wire::RsaPkcs1,
            Wire::RsaPkcs1Sha256,
            Wire::RsaPkcs1Sha384,
            Wire::RsaPkcs1Sha512,
        ],
        Family::RsaPkcs(Some(hash)) => pkcs1(hash).into_iter().collect(),
        Family::RsaPss(None) => vec![
            Wire::RsaPssSha1,
            Wire::RsaPssSha224,
            Wire::RsaPssSha256,
            Wire::RsaPssSha384,
            Wire::RsaPssSha512,
        ],
        Family::RsaRaw => vec![Wire::RsaRaw],
        Family::RsaPss(Some(hash)) => pss(hash).into_iter().collect(),
        Family::RsaOaep => vec![
            Wire::RsaOaepSha1,
            Wire::RsaOaepSha256,
            Wire::RsaOaepSha384,
            Wire::RsaOaepSha512,
        ],
        Family::Ecdsa(None) => vec![Wire::Ecdsa],
        Family::Ecdsa(Some(hash)) => vec![ecdsa(hash)],
        Family::Eddsa => vec![Wire::Ed25519],
        Family::Ecdh => vec![Wire::Ecdh],
        Family::MlDsa => vec![Wire::MlDsa65],
        Family::MlKem => vec![Wire::MlKem768],
        Family::Hkdf => vec![Wire::Hkdf],
        Family::Digest(_)
        | Family::AesEncryptData
        | Family::Concatenate
        | Family::MakeKey(_)
        | Family::MakePair(_) => Vec::new(),
    }
}

/// What a domain forbids of which nothing is known but that no legacy mechanism was allowed.
pub(super) fn usually_forbidden() -> Vec<CK_MECHANISM_TYPE> {
    let usual = Wire::ALL.iter().filter(|wire| !wire.is_legacy());
    forbidden(&usual.copied().collect::<Vec<_>>())
}

/// Mechanisms of PKCS #11 that the appliance would do, and that a domain which allows these alone forbids.
pub(super) fn forbidden(allowed: &[Wire]) -> Vec<CK_MECHANISM_TYPE> {
    let is_forbidden = |listed: &&Listed| {
        let wires = by_appliance(listed.family);
        !wires.is_empty() && !wires.iter().any(|wire| allowed.contains(wire))
    };
    let forbidden = ALL.iter().filter(is_forbidden);
    forbidden.map(|listed| listed.kind).collect()
}

/// The appliance's mechanisms for `CKA_ALLOWED_MECHANISMS`.
pub(super) fn allowed(kinds: &[CK_MECHANISM_TYPE]) -> Vec<Wire> {
    let mut wires: Vec<Wire> = kinds
        .iter()
        .filter_map(|kind| listed(*kind))
        .flat_map(|listed| by_appliance(listed.family))
        .collect();
    wires.sort_unstable_by_key(|wire| wire.as_str());
    wires.dedup();
    wires
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_domain_allows_decides_what_is_listed() {
        let all = forbidden(Wire::ALL);
        assert!(all.is_empty(), "{all:x?}");
        let without = |wires: &[Wire]| {
            let left = Wire::ALL.iter().filter(|wire| !wires.contains(wire));
            forbidden(&left.copied().collect::<Vec<_>>())
        };
        assert!(without(&[Wire::RsaPkcs1]).is_empty());
        let padded = without(&[Wire::AesKwp]);
        assert!(padded.len() == 2 && padded.contains(&CKM_AES_KEY_WRAP_KWP));
        assert_eq!(
            without(&[Wire::RsaPssSha256, Wire::RsaPssSha384]),
            [CKM_SHA256_RSA_PKCS_PSS, CKM_SHA384_RSA_PKCS_PSS]
        );
        let mut legacy = usually_forbidden();
        legacy.sort_unstable();
        assert_eq!(
            legacy,
            [
                CKM_RSA_X_509,
                CKM_SHA1_RSA_PKCS,
                CKM_SHA1_RSA_PKCS_PSS,
                CKM_SHA224_RSA_PKCS,
                CKM_SHA224_RSA_PKCS_PSS,
                CKM_ECDSA_SHA1,
                CKM_ECDSA_SHA224,
            ]
        );
        // What the appliance has no part in stays.
        let none = forbidden(&[]);
        for kind in [CKM_SHA256, CKM_AES_KEY_GEN, CKM_EC_KEY_PAIR_GEN] {
            assert!(!none.contains(&kind));
        }
        for kind in [CKM_ECDSA, CKM_AES_GCM, CKM_SHA512_HMAC, CKM_ECDH1_DERIVE] {
            assert!(none.contains(&kind));
        }
    }
}
