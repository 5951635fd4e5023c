//! Every mechanism, in one table.

use cryptoki_sys::*;

use super::Hash;

/// What a mechanism is, apart from its number: mechanisms of one family are done by the same code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// A digest.
    Digest(Hash),
    /// HMAC; the length of the MAC is a parameter where `general`.
    Hmac {
        /// The hash.
        hash: Hash,
        /// Whether the parameter gives the MAC's length.
        general: bool,
    },
    /// AES-CMAC (SP 800-38B).
    Cmac {
        /// Whether the parameter gives the MAC's length.
        general: bool,
    },
    /// AES-ECB.
    AesEcb,
    /// AES-CBC.
    AesCbc,
    /// AES-CBC with the padding of PKCS #7.
    AesCbcPad,
    /// AES-CTR.
    AesCtr,
    /// AES-GCM.
    AesGcm,
    /// AES key wrap (RFC 3394).
    AesKw,
    /// AES key wrap with padding (RFC 5649).
    AesKwp,
    /// Deriving a key by encrypting data with AES.
    AesEncryptData,
    /// RSA PKCS #1 v1.5; hashed first, or not.
    RsaPkcs(Option<Hash>),
    /// RSA-PSS; hashed first, or not.
    RsaPss(Option<Hash>),
    /// RSA-OAEP.
    RsaOaep,
    /// Raw RSA.
    RsaRaw,
    /// ECDSA; hashed first, or not.
    Ecdsa(Option<Hash>),
    /// `EdDSA`.
    Eddsa,
    /// ECDH.
    Ecdh,
    /// ML-DSA (FIPS 204).
    MlDsa,
    /// ML-KEM (FIPS 203).
    MlKem,
    /// HKDF.
    Hkdf,
    /// Concatenating a key and data.
    Concatenate,
    /// Making a secret key of this type.
    MakeKey(CK_KEY_TYPE),
    /// Making a key pair of this type.
    MakePair(CK_KEY_TYPE),
}

impl Family {
    /// Whether the token does it with keys that stay there, which `CKF_HW` tells: some applications choose no other mechanisms.
    #[must_use]
    pub const fn by_token(self) -> bool {
        !matches!(
            self,
            Self::Digest(_) | Self::AesEncryptData | Self::Concatenate
        )
    }
}

/// A line of the table.
#[derive(Debug, Clone, Copy)]
pub struct Listed {
    /// The mechanism.
    pub kind: CK_MECHANISM_TYPE,
    /// Its family.
    pub family: Family,
    /// The smallest key, in the standard's unit for the mechanism.
    pub smallest: CK_ULONG,
    /// The largest key.
    pub largest: CK_ULONG,
    /// What it is for: `CKF_SIGN` and its like.
    pub flags: CK_FLAGS,
}

/// The line of a mechanism.
#[must_use]
pub fn listed(kind: CK_MECHANISM_TYPE) -> Option<&'static Listed> {
    ALL.binary_search_by_key(&kind, |listed| listed.kind)
        .ok()
        .and_then(|at| ALL.get(at))
}

const SIGN: CK_FLAGS = CKF_SIGN | CKF_VERIFY;
const CRYPT: CK_FLAGS = CKF_ENCRYPT | CKF_DECRYPT;
const WRAP: CK_FLAGS = CKF_WRAP | CKF_UNWRAP;
const EC: CK_FLAGS = CKF_EC_F_P | CKF_EC_OID | CKF_EC_UNCOMPRESS;
const CURVE: CK_FLAGS = CKF_EC_OID | CKF_EC_CURVENAME;
const LONGEST_SECRET: CK_ULONG = 4096;

const fn line(
    kind: CK_MECHANISM_TYPE,
    family: Family,
    sizes: (CK_ULONG, CK_ULONG),
    flags: CK_FLAGS,
) -> Listed {
    Listed {
        kind,
        family,
        smallest: sizes.0,
        largest: sizes.1,
        flags,
    }
}

const fn hmac(kind: CK_MECHANISM_TYPE, hash: Hash, general: bool) -> Listed {
    line(
        kind,
        Family::Hmac { hash, general },
        (1, LONGEST_SECRET),
        SIGN,
    )
}

const fn digest(kind: CK_MECHANISM_TYPE, hash: Hash) -> Listed {
    line(kind, Family::Digest(hash), (0, 0), CKF_DIGEST)
}

const RSA: (CK_ULONG, CK_ULONG) = (1024, 4096);
const AES: (CK_ULONG, CK_ULONG) = (16, 32);
const P: (CK_ULONG, CK_ULONG) = (256, 521);
const C25519: (CK_ULONG, CK_ULONG) = (255, 255);
const SECRET: (CK_ULONG, CK_ULONG) = (1, LONGEST_SECRET);

/// Every mechanism, by its number.
pub static ALL: &[Listed] = &{
    let mut all = UNSORTED;
    // Insertion sort, at compile time.
    let mut next = 1;
    while next < all.len() {
        let mut at = next;
        while at > 0 && all[at].kind < all[at - 1].kind {
            let line = all[at];
            all[at] = all[at - 1];
            all[at - 1] = line;
            at -= 1;
        }
        next += 1;
    }
    all
};

const COUNT: usize = 71;

#[rustfmt::skip]
const UNSORTED: [Listed; COUNT] = [
    line(CKM_RSA_PKCS_KEY_PAIR_GEN, Family::MakePair(CKK_RSA), RSA, CKF_GENERATE_KEY_PAIR),
    line(CKM_RSA_PKCS, Family::RsaPkcs(None), RSA, SIGN | CRYPT | WRAP | CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER),
    line(CKM_RSA_X_509, Family::RsaRaw, RSA, SIGN | CRYPT | CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER),
    line(CKM_RSA_PKCS_OAEP, Family::RsaOaep, RSA, CRYPT | WRAP),
    line(CKM_RSA_PKCS_PSS, Family::RsaPss(None), RSA, SIGN),
    line(CKM_SHA1_RSA_PKCS, Family::RsaPkcs(Some(Hash::Sha1)), RSA, SIGN),
    line(CKM_SHA224_RSA_PKCS, Family::RsaPkcs(Some(Hash::Sha224)), RSA, SIGN),
    line(CKM_SHA256_RSA_PKCS, Family::RsaPkcs(Some(Hash::Sha256)), RSA, SIGN),
    line(CKM_SHA384_RSA_PKCS, Family::RsaPkcs(Some(Hash::Sha384)), RSA, SIGN),
    line(CKM_SHA512_RSA_PKCS, Family::RsaPkcs(Some(Hash::Sha512)), RSA, SIGN),
    line(CKM_SHA1_RSA_PKCS_PSS, Family::RsaPss(Some(Hash::Sha1)), RSA, SIGN),
    line(CKM_SHA224_RSA_PKCS_PSS, Family::RsaPss(Some(Hash::Sha224)), RSA, SIGN),
    line(CKM_SHA256_RSA_PKCS_PSS, Family::RsaPss(Some(Hash::Sha256)), RSA, SIGN),
    line(CKM_SHA384_RSA_PKCS_PSS, Family::RsaPss(Some(Hash::Sha384)), RSA, SIGN),
    line(CKM_SHA512_RSA_PKCS_PSS, Family::RsaPss(Some(Hash::Sha512)), RSA, SIGN),
    line(CKM_EC_KEY_PAIR_GEN, Family::MakePair(CKK_EC), P, CKF_GENERATE_KEY_PAIR | EC),
    line(CKM_ECDSA, Family::Ecdsa(None), P, SIGN | EC),
    line(CKM_ECDSA_SHA1, Family::Ecdsa(Some(Hash::Sha1)), P, SIGN | EC),
    line(CKM_ECDSA_SHA224, Family::Ecdsa(Some(Hash::Sha224)), P, SIGN | EC),
    line(CKM_ECDSA_SHA256, Family::Ecdsa(Some(Hash::Sha256)), P, SIGN | EC),
    line(CKM_ECDSA_SHA384, Family::Ecdsa(Some(Hash::Sha384)), P, SIGN | EC),
    line(CKM_ECDSA_SHA512, Family::Ecdsa(Some(Hash::Sha512)), P, SIGN | EC),
    line(CKM_ECDH1_DERIVE, Family::Ecdh, (255, 521), CKF_DERIVE | EC),
    line(CKM_ECDH1_COFACTOR_DERIVE, Family::Ecdh, (255, 521), CKF_DERIVE | EC),
    line(CKM_EC_EDWARDS_KEY_PAIR_GEN, Family::MakePair(CKK_EC_EDWARDS), C25519, CKF_GENERATE_KEY_PAIR | CURVE),
    line(CKM_EDDSA, Family::Eddsa, C25519, SIGN | CURVE),
    line(CKM_EC_MONTGOMERY_KEY_PAIR_GEN, Family::MakePair(CKK_EC_MONTGOMERY), C25519, CKF_GENERATE_KEY_PAIR | CURVE),
    line(CKM_AES_KEY_GEN, Family::MakeKey(CKK_AES), AES, CKF_GENERATE),
    line(CKM_AES_ECB, Family::AesEcb, AES, CRYPT | WRAP),
    line(CKM_AES_CBC, Family::AesCbc, AES, CRYPT | WRAP),
    line(CKM_AES_CBC_PAD, Family::AesCbcPad, AES, CRYPT | WRAP),
    line(CKM_AES_CTR, Family::AesCtr, AES, CRYPT),
    line(CKM_AES_GCM, Family::AesGcm, AES, CRYPT | WRAP),
    line(CKM_AES_CMAC, Family::Cmac { general: false }, AES, SIGN),
    line(CKM_AES_CMAC_GENERAL, Family::Cmac { general: true }, AES, SIGN),
    line(CKM_AES_KEY_WRAP, Family::AesKw, AES, CRYPT | WRAP),
    line(CKM_AES_KEY_WRAP_PAD, Family::AesKwp, AES, CRYPT | WRAP),
    line(CKM_AES_KEY_WRAP_KWP, Family::AesKwp, AES, CRYPT | WRAP),
    line(CKM_AES_ECB_ENCRYPT_DATA, Family::AesEncryptData, AES, CKF_DERIVE),
    line(CKM_AES_CBC_ENCRYPT_DATA, Family::AesEncryptData, AES, CKF_DERIVE),
    line(CKM_CONCATENATE_BASE_AND_DATA, Family::Concatenate, SECRET, CKF_DERIVE),
    line(CKM_CONCATENATE_DATA_AND_BASE, Family::Concatenate, SECRET, CKF_DERIVE),
    line(CKM_HKDF_DERIVE, Family::Hkdf, SECRET, CKF_DERIVE),
    line(CKM_GENERIC_SECRET_KEY_GEN, Family::MakeKey(CKK_GENERIC_SECRET), SECRET, CKF_GENERATE),
    hmac(CKM_SHA_1_HMAC, Hash::Sha1, false),
    hmac(CKM_SHA_1_HMAC_GENERAL, Hash::Sha1, true),
    hmac(CKM_SHA224_HMAC, Hash::Sha224, false),
    hmac(CKM_SHA224_HMAC_GENERAL, Hash::Sha224, true),
    hmac(CKM_SHA256_HMAC, Hash::Sha256, false),
    hmac(CKM_SHA256_HMAC_GENERAL, Hash::Sha256, true),
    hmac(CKM_SHA384_HMAC, Hash::Sha384, false),
    hmac(CKM_SHA384_HMAC_GENERAL, Hash::Sha384, true),
    hmac(CKM_SHA512_HMAC, Hash::Sha512, false),
    hmac(CKM_SHA512_HMAC_GENERAL, Hash::Sha512, true),
    digest(CKM_SHA_1, Hash::Sha1),
    digest(CKM_SHA224, Hash::Sha224),
    digest(CKM_SHA256, Hash::Sha256),
    digest(CKM_SHA384, Hash::Sha384),
    digest(CKM_SHA512, Hash::Sha512),
    digest(CKM_SHA512_224, Hash::Sha512_224),
    digest(CKM_SHA512_256, Hash::Sha512_256),
    digest(CKM_SHA3_224, Hash::Sha3_224),
    digest(CKM_SHA3_256, Hash::Sha3_256),
    digest(CKM_SHA3_384, Hash::Sha3_384),
    digest(CKM_SHA3_512, Hash::Sha3_512),
    line(CKM_ML_KEM_KEY_PAIR_GEN, Family::MakePair(CKK_ML_KEM), (768, 768), CKF_GENERATE_KEY_PAIR),
    line(CKM_ML_KEM, Family::MlKem, (768, 768), CKF_ENCAPSULATE | CKF_DECAPSULATE),
    line(CKM_ML_DSA_KEY_PAIR_GEN, Family::MakePair(CKK_ML_DSA), (65, 65), CKF_GENERATE_KEY_PAIR),
    line(CKM_ML_DSA, Family::MlDsa, (65, 65), SIGN),
    line(CKM_SHA256_KEY_GEN, Family::MakeKey(CKK_SHA256_HMAC), SECRET, CKF_GENERATE),
    line(CKM_SHA512_KEY_GEN, Family::MakeKey(CKK_SHA512_HMAC), SECRET, CKF_GENERATE),
];

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_mechanism_is_found_and_stands_once() {
        assert!(ALL.windows(2).all(|two| two[0].kind < two[1].kind));
        for line in UNSORTED {
            assert_eq!(listed(line.kind).unwrap().family, line.family);
        }
        assert!(listed(CKM_DES3_CBC).is_none());
    }
}
