//! Verifying what authenticators sign: the relying party's part of Web Authentication Level 3, sections 7.1 and 7.2.
//!
//! Taken are ES256, `EdDSA` over Ed25519, and RS256 (RFC 9053, RFC 8812). Attestation is neither asked for nor believed: what an
//! authenticator says of its own make decides nothing here, so its statement is not looked at.
//!
//! Never here: randomness, storage, a decision about an account.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use minicbor::Decoder;
use minicbor::data::Type;
use serde::Deserialize;

use crate::sha256;

/// COSE algorithms (RFC 9053 sections 2.1 and 2.2, RFC 8812 section 2), the preferred one first.
pub const ALGORITHMS: [i64; 3] = [ES256, EDDSA, RS256];

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

/// The longest credential identifier, in bytes (section 4, "Credential ID").
const LONGEST_CREDENTIAL: usize = 1023;
/// The shortest RSA modulus that is taken, in bytes.
const SHORTEST_RSA: usize = 256;

// Flags of the authenticator data (section 6.1).
const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const BACKUP_ELIGIBLE: u8 = 0x08;
const BACKED_UP: u8 = 0x10;
const ATTESTED: u8 = 0x40;

/// Whom passkeys are made for.
#[derive(Debug, Clone, Copy)]
pub struct Party<'a> {
    /// The relying party's identifier: a domain name.
    pub id: &'a str,
    /// The origins at which passkeys may be used.
    pub origins: &'a [String],
}

/// What is expected of a ceremony.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Whom the passkey was made for.
    pub party: Party<'a>,
    /// What the authenticator was asked to sign.
    pub challenge: &'a [u8],
    /// Whether the authenticator must have verified its user, by a PIN or a finger: so where it is the only factor.
    pub user_verified: bool,
}

/// A new passkey.
#[derive(Debug, PartialEq, Eq)]
pub struct Registered {
    /// The authenticator's identifier of the credential.
    pub credential: Vec<u8>,
    /// The `COSE_Key` as the authenticator wrote it.
    pub public_key: Vec<u8>,
    /// The authenticator's counter.
    pub sign_count: u32,
}

/// Why a ceremony is refused. For the appliance's log; the caller learns no more than that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejected {
    /// The client data is no JSON of the right shape.
    #[error("the client data cannot be read")]
    ClientData,
    /// A registration where an assertion is expected, or the other way round.
    #[error("the client data is of another ceremony")]
    Ceremony,
    /// The challenge is not the one that was asked for.
    #[error("the challenge is another one")]
    Challenge,
    /// The browser was at another origin, or in a frame of another.
    #[error("the origin is not one of this appliance")]
    Origin,
    /// The authenticator data has another shape, or contradicts itself.
    #[error("the authenticator data cannot be read")]
    AuthenticatorData,
    /// The relying party is another.
    #[error("the authenticator signed for another relying party")]
    Party,
    /// The flags lack the user's presence or verification.
    #[error("the authenticator did not see or did not verify its user")]
    User,
    /// The `COSE_Key` is of no algorithm that is taken.
    #[error("the public key is of no kind that is taken")]
    PublicKey,
    /// The signature is not that of the key.
    #[error("the signature is wrong")]
    Signature,
    /// The counter is not above the one before.
    #[error("the authenticator's counter went back: there may be a copy of it")]
    Counter,
}

/// Verifies a registration (section 7.1): the new passkey.
pub fn register(
    expected: &Expected<'_>,
    client_data: &[u8],
    attestation_object: &[u8],
) -> Result<Registered, Rejected> {
    check_client_data(expected, "webauthn.create", client_data)?;
    let data = authenticator_data_of(attestation_object).ok_or(Rejected::AuthenticatorData)?;
    let data = AuthenticatorData::read(data)?;
    data.check(expected)?;
    let (credential, public_key) = data.attested.ok_or(Rejected::AuthenticatorData)?;
    PublicKey::read(public_key).ok_or(Rejected::PublicKey)?;
    Ok(Registered {
        credential: credential.to_vec(),
        public_key: public_key.to_vec(),
        sign_count: data.sign_count,
    })
}

/// Verifies an assertion (section 7.2) of the passkey with this `COSE_Key` and counter: its new counter.
pub fn assert(
    expected: &Expected<'_>,
    public_key: &[u8],
    sign_count: u32,
    client_data: &[u8],
    authenticator_data: &[u8],
    signature: &[u8],
) -> Result<u32, Rejected> {
    let new = verify(
        expected,
        public_key,
        client_data,
        authenticator_data,
        signature,
    )?;
    // Those that do not count say 0 each time (section 6.1.1).
    if (new, sign_count) != (0, 0) && new <= sign_count {
        return Err(Rejected::Counter);
    }
    Ok(new)
}

/// Verifies an assertion as [`assert`] does but for its counter, which is the answer: for those who were not there for the one before.
pub fn verify(
    expected: &Expected<'_>,
    public_key: &[u8],
    client_data: &[u8],
    authenticator_data: &[u8],
    signature: &[u8],
) -> Result<u32, Rejected> {
    check_client_data(expected, "webauthn.get", client_data)?;
    let data = AuthenticatorData::read(authenticator_data)?;
    data.check(expected)?;
    let mut signed = authenticator_data.to_vec();
    signed.extend_from_slice(&sha256(client_data));
    PublicKey::read(public_key)
        .ok_or(Rejected::PublicKey)?
        .verify(&signed, signature)?;
    Ok(data.sign_count)
}

/// What the browser says of the ceremony (section 5.8.1). Members that are not known are passed over, as the section asks.
#[derive(Deserialize)]
struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

fn check_client_data(
    expected: &Expected<'_>,
    ceremony: &str,
    client_data: &[u8],
) -> Result<(), Rejected> {
    let data: ClientData = serde_json::from_slice(client_data).map_err(|_| Rejected::ClientData)?;
    if data.ceremony != ceremony {
        return Err(Rejected::Ceremony);
    }
    let challenge = URL_SAFE_NO_PAD
        .decode(&data.challenge)
        .map_err(|_| Rejected::ClientData)?;
    if challenge != expected.challenge {
        return Err(Rejected::Challenge);
    }
    if data.cross_origin || !expected.party.origins.contains(&data.origin) {
        return Err(Rejected::Origin);
    }
    Ok(())
}

/// The member `authData` of an attestation object (section 6.5.4).
fn authenticator_data_of(attestation_object: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(attestation_object);
    let members = decoder.map().ok()??;
    let mut found = None;
    for _ in 0..members {
        if decoder.str().ok()? == "authData" {
            found = Some(decoder.bytes().ok()?);
        } else {
            decoder.skip().ok()?;
        }
    }
    (decoder.position() == attestation_object.len())
        .then_some(found)
        .flatten()
}

/// Authenticator data (section 6.1).
struct AuthenticatorData<'a> {
    party: [u8; 32],
    flags: u8,
    sign_count: u32,
    /// Credential identifier and `COSE_Key`, at a registration.
    attested: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> AuthenticatorData<'a> {
    fn read(data: &'a [u8]) -> Result<Self, Rejected> {
        Self::split(data).ok_or(Rejected::AuthenticatorData)
    }

    fn split(data: &'a [u8]) -> Option<Self> {
        let (party, rest) = data.split_first_chunk()?;
        let (&flags, rest) = rest.split_first()?;
        let (sign_count, rest) = rest.split_first_chunk()?;
        let attested = if flags & ATTESTED == 0 {
            None
        } else {
            // 16 bytes name the authenticator's make.
            let (length, rest) = rest.get(16..)?.split_first_chunk()?;
            let length = usize::from(u16::from_be_bytes(*length));
            if length == 0 || length > LONGEST_CREDENTIAL {
                return None;
            }
            let (credential, rest) = rest.split_at_checked(length)?;
            let mut decoder = Decoder::new(rest);
            decoder.skip().ok()?;
            // Extensions may follow; none was asked for and none is looked at.
            Some((credential, rest.get(..decoder.position())?))
        };
        Some(Self {
            party: *party,
            flags,
            sign_count: u32::from_be_bytes(*sign_count),
            attested,
        })
    }

    fn check(&self, expected: &Expected<'_>) -> Result<(), Rejected> {
        if self.party != sha256(expected.party.id.as_bytes()) {
            return Err(Rejected::Party);
        }
        let has = |flag| self.flags & flag != 0;
        if !has(USER_PRESENT) || (expected.user_verified && !has(USER_VERIFIED)) {
            return Err(Rejected::User);
        }
        // What is backed up must be what can be (section 6.1.3).
        if has(BACKED_UP) && !has(BACKUP_ELIGIBLE) {
            return Err(Rejected::AuthenticatorData);
        }
        Ok(())
    }
}

/// A public key of a kind that is taken.
#[derive(Debug)]
enum PublicKey {
    /// The uncompressed point: 65 bytes.
    Es256([u8; 65]),
    EdDsa([u8; 32]),
    Rs256 {
        modulus: Vec<u8>,
        exponent: Vec<u8>,
    },
}

impl PublicKey {
    /// Reads a `COSE_Key` (RFC 9052 section 7, RFC 9053 section 7, RFC 8230 section 4).
    fn read(cose: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(cose);
        let members = decoder.map().ok()??;
        let (mut kind, mut algorithm, mut curve) = (None, None, None);
        let (mut minus_one, mut minus_two, mut minus_three) = (None, None, None);
        for _ in 0..members {
            match decoder.i64().ok()? {
                1 => kind = Some(decoder.i64().ok()?),
                3 => algorithm = Some(decoder.i64().ok()?),
                -1 if decoder.datatype().ok()? == Type::Bytes => {
                    minus_one = Some(decoder.bytes().ok()?);
                }
                -1 => curve = Some(decoder.i64().ok()?),
                -2 => minus_two = Some(decoder.bytes().ok()?),
                -3 => minus_three = Some(decoder.bytes().ok()?),
                _ => decoder.skip().ok()?,
            }
        }
        match (algorithm?, kind?) {
            (ES256, 2) if curve? == 1 => {
                let mut point = [4; 65];
                let (x, y) = (minus_two?, minus_three?);
                point[1..33].copy_from_slice(<&[u8; 32]>::try_from(x).ok()?);
                point[33..].copy_from_slice(<&[u8; 32]>::try_from(y).ok()?);
                Some(Self::Es256(point))
            }
            (EDDSA, 1) if curve? == 6 => Some(Self::EdDsa(minus_two?.try_into().ok()?)),
            (RS256, 3) if minus_one?.len() >= SHORTEST_RSA => Some(Self::Rs256 {
                modulus: minus_one?.to_vec(),
                exponent: minus_two?.to_vec(),
            }),
            _ => None,
        }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Rejected> {
        match self {
            Self::Es256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature)
            }
            Self::EdDsa(key) => UnparsedPublicKey::new(&ED25519, key).verify(message, signature),
            Self::Rs256 { modulus, exponent } => RsaPublicKeyComponents {
                n: modulus,
                e: exponent,
            }
            .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature),
        }
        .map_err(|_| Rejected::Signature)
    }
}

#[cfg(test)]
mod tests;
