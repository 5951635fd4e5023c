//! Attestation: what the machine's TPM says of the firmware's settings and the kernel image that it was started with.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::encoding::Base64;

/// How many bytes a nonce has.
pub const NONCE_LEN: usize = 32;

/// `POST /v1/appliance/attestation`: what the TPM is to sign besides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AttestationRequest {
    /// 32 random bytes, by which whoever asks knows that the answer is not an old one.
    pub nonce: Base64,
}

/// `POST /v1/appliance/attestation`: what the TPM has measured, and signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attestation {
    /// Which TPM: SHA-256 of the public area of its attestation key (`TPMT_PUBLIC`), in hexadecimal. The machine's console shows it.
    pub tpm: String,
    /// What the TPM has measured.
    pub registers: Registers,
    /// What the quote is bound to.
    pub statement: Statement,
    /// What the TPM signed.
    pub quote: Quote,
}

/// Two of a TPM's registers (PCRs), of its bank of SHA-256, in hexadecimal; as in the file `strongroom_VERSION.pcr.json` of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Registers {
    /// Secure Boot, and the keys that it checks with.
    pub pcr7: String,
    /// The kernel image, and how far the start of the system has come.
    pub pcr11: String,
}

/// What a quote is bound to: its qualifying data is the SHA-256 of this, as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Statement {
    /// The version of the release that the service belongs to.
    pub release: String,
    /// What whoever asked has sent; absent where the appliance recorded it by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Base64>,
    /// SHA-256 of the certificate that the appliance shows at its administration address, in hexadecimal.
    pub certificate: String,
    /// The name (origin) of the audit log of the appliance's first domain.
    pub log: String,
    /// How many leaves the newest signed checkpoint of that log is over; none where there is no checkpoint yet.
    pub size: u64,
    /// The root of the tree of so many leaves, in hexadecimal.
    pub root: String,
}

/// A quote (`TPM2_Quote`) in the bytes of TPM 2.0 Library, Part 2.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quote {
    /// The public area of the attestation key: `TPMT_PUBLIC`.
    pub public: Base64,
    /// What was signed: `TPMS_ATTEST`.
    pub attest: Base64,
    /// The signature: `TPMT_SIGNATURE`.
    pub signature: Base64,
}
