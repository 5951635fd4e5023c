//! Digests: SHA-1, SHA-2 (FIPS 180-4) and SHA-3 (FIPS 202).
//!
//! By the RustCrypto crates and not by AWS-LC, because theirs are the ones whose state can be saved: `C_GetOperationState` is answered with
//! the state itself, which any later session takes up again.

use cryptoki_sys::*;
use sha1::Sha1;
use sha2_0_11::digest::common::hazmat::SerializableState;
use sha2_0_11::digest::{Digest, FixedOutputReset};
use sha2_0_11::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};
use zeroize::Zeroizing;

macro_rules! hashes {
    ($($name:ident: $type:ty, $length:literal, $kind:ident, $mgf:ident;)*) => {
        /// A hash function.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "the standards' names")]
        pub enum Hash { $($name),* }

        /// A digest under way.
        #[derive(Clone)]
        pub(crate) enum Hasher { $($name($type)),* }

        impl Hash {
            /// The length of a digest, in bytes.
            #[must_use]
            pub const fn length(self) -> usize {
                match self { $(Self::$name => $length),* }
            }

            /// The number of the mechanism that digests.
            #[must_use]
            pub const fn mechanism(self) -> CK_MECHANISM_TYPE {
                match self { $(Self::$name => $kind),* }
            }

            /// The hash that this mechanism digests with.
            #[must_use]
            pub const fn of_mechanism(kind: CK_MECHANISM_TYPE) -> Option<Self> {
                match kind { $($kind => Some(Self::$name),)* _ => None }
            }

            /// The hash of a mask generation function.
            #[must_use]
            pub const fn of_mgf(mgf: CK_RSA_PKCS_MGF_TYPE) -> Option<Self> {
                match mgf { $($mgf => Some(Self::$name),)* _ => None }
            }
        }

        impl Hasher {
            pub(crate) fn new(hash: Hash) -> Self {
                match hash { $(Hash::$name => Self::$name(<$type>::default())),* }
            }

            pub(crate) fn hash(&self) -> Hash {
                match self { $(Self::$name(_) => Hash::$name),* }
            }

            pub(crate) fn update(&mut self, data: &[u8]) {
                match self { $(Self::$name(hasher) => Digest::update(hasher, data)),* }
            }

            /// The digest; the hasher begins anew.
            pub(crate) fn finish(&mut self) -> Zeroizing<Vec<u8>> {
                Zeroizing::new(match self {
                    $(Self::$name(hasher) => hasher.finalize_fixed_reset().to_vec()),*
                })
            }

            /// The state, in the crates' encoding.
            pub(crate) fn state(&self) -> Zeroizing<Vec<u8>> {
                Zeroizing::new(match self {
                    $(Self::$name(hasher) => hasher.serialize().to_vec()),*
                })
            }

            /// From a state.
            pub(crate) fn of_state(hash: Hash, state: &[u8]) -> Option<Self> {
                match hash {
                    $(Hash::$name => {
                        let state = state.try_into().ok()?;
                        <$type>::deserialize(state).ok().map(Self::$name)
                    }),*
                }
            }
        }
    };
}

hashes! {
    Sha1: Sha1, 20, CKM_SHA_1, CKG_MGF1_SHA1;
    Sha224: Sha224, 28, CKM_SHA224, CKG_MGF1_SHA224;
    Sha256: Sha256, 32, CKM_SHA256, CKG_MGF1_SHA256;
    Sha384: Sha384, 48, CKM_SHA384, CKG_MGF1_SHA384;
    Sha512: Sha512, 64, CKM_SHA512, CKG_MGF1_SHA512;
    Sha512_224: Sha512_224, 28, CKM_SHA512_224, NO_MGF_1;
    Sha512_256: Sha512_256, 32, CKM_SHA512_256, NO_MGF_2;
    Sha3_224: Sha3_224, 28, CKM_SHA3_224, CKG_MGF1_SHA3_224;
    Sha3_256: Sha3_256, 32, CKM_SHA3_256, CKG_MGF1_SHA3_256;
    Sha3_384: Sha3_384, 48, CKM_SHA3_384, CKG_MGF1_SHA3_384;
    Sha3_512: Sha3_512, 64, CKM_SHA3_512, CKG_MGF1_SHA3_512;
}

// The truncated hashes of SHA-512 have no mask generation function: numbers that no application gives.
const NO_MGF_1: CK_RSA_PKCS_MGF_TYPE = CK_RSA_PKCS_MGF_TYPE::MAX - 1;
const NO_MGF_2: CK_RSA_PKCS_MGF_TYPE = CK_RSA_PKCS_MGF_TYPE::MAX - 2;

impl Hash {
    /// The digest of all of these one after the other.
    #[must_use]
    pub fn digest(self, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
        let mut hasher = Hasher::new(self);
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_state_is_taken_up_again() {
        for line in super::super::list::ALL {
            let super::super::Family::Digest(hash) = line.family else {
                continue;
            };
            let mut hasher = Hasher::new(hash);
            hasher.update(b"the first part, ");
            let mut other = Hasher::of_state(hash, &hasher.state()).unwrap();
            other.update(b"and the second");
            assert_eq!(
                *other.finish(),
                *hash.digest(&[b"the first part, and the second"])
            );
            assert_eq!(hash.digest(&[]).len(), hash.length());
            assert_eq!(Hash::of_mechanism(line.kind), Some(hash));
            assert!(Hasher::of_state(hash, b"too short").is_none());
        }
    }

    #[test]
    fn digests_are_the_standards() {
        // FIPS 180-4 and FIPS 202, the example "abc".
        let abc = |hash: Hash| hex::encode(&*hash.digest(&[b"a", b"bc"]));
        assert_eq!(abc(Hash::Sha1), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(
            abc(Hash::Sha256),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            abc(Hash::Sha3_256),
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
        );
        assert_eq!(
            abc(Hash::Sha512_224),
            "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"
        );
    }
}
