//! The TPM's structures, as far as a quote by an attestation key of ours consists of them (TCG TPM 2.0 Library 1.59, Part 2).

use crate::{Error, sha256};

/// All of an attestation key's public area before its point (`TPMT_PUBLIC`, section 12.2.4): an ECC key (0x0023) whose name is by SHA-256 (0x000b); made in the TPM,
/// not to be taken out, for signing what the TPM says and nothing else (`fixedTPM`, `fixedParent`, `sensitiveDataOrigin`, `userWithAuth`, `noDA`, `restricted`,
/// `sign`); no policy; no symmetric algorithm (0x0010); ECDSA (0x0018) with SHA-256 on the curve NIST P-256 (0x0003); no key derivation.
const TEMPLATE: [u8; 22] = [
    0x00, 0x23, 0x00, 0x0b, 0x00, 0x05, 0x04, 0x72, 0x00, 0x00, 0x00, 0x10, 0x00, 0x18, 0x00, 0x0b,
    0x00, 0x03, 0x00, 0x10, 0x00, 0x20,
];
/// `TPM_RH_ENDORSEMENT`, whose primary key it is (section 7.4).
const ENDORSEMENT: [u8; 4] = 0x4000_000b_u32.to_be_bytes();
/// `TPM_ALG_SHA256` (section 6.3).
const BY_SHA256: [u8; 2] = [0x00, 0x0b];
/// `TPM_GENERATED_VALUE` and `TPM_ST_ATTEST_QUOTE` (sections 6.2 and 6.9): no data from outside that a restricted key signs begins with the first.
const QUOTE: [u8; 6] = [0xff, b'T', b'C', b'G', 0x80, 0x18];
/// One selection: SHA-256, three bytes of bits, registers 7 and 11 (section 10.9.7).
const REGISTERS: [u8; 10] = [0, 0, 0, 1, 0x00, 0x0b, 3, 0x80, 0x08, 0x00];

/// An attestation key.
pub(crate) struct Key([u8; 65]);

impl Key {
    pub(crate) fn read(public: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader(public);
        if reader.take(TEMPLATE.len()) != Some(TEMPLATE.as_slice()) {
            return Err(Error::Key);
        }
        let x = reader.take(32).ok_or(Error::Key)?;
        if reader.take(2) != Some(&[0, 32]) {
            return Err(Error::Key);
        }
        let y = reader.take(32).ok_or(Error::Key)?;
        reader.end().ok_or(Error::Key)?;
        // Uncompressed (SEC 1, section 2.3.3).
        let mut point = [4; 65];
        point[1..33].copy_from_slice(x);
        point[33..].copy_from_slice(y);
        Ok(Self(point))
    }

    pub(crate) fn point(&self) -> &[u8] {
        &self.0
    }
}

/// `r` and `s` of an ECDSA signature with SHA-256 (`TPMT_SIGNATURE`, section 11.3.4), each of 32 bytes.
pub(crate) fn signature(bytes: &[u8]) -> Result<[u8; 64], Error> {
    let read = || {
        let mut reader = Reader(bytes);
        // TPM_ALG_ECDSA, and the algorithm of its hash.
        (reader.take(4)? == [0x00, 0x18, 0x00, 0x0b]).then_some(())?;
        let mut signature = [0; 64];
        for half in signature.chunks_mut(32) {
            let number = reader.sized()?;
            // A TPM may leave zeros away at the beginning.
            half.get_mut(32_usize.checked_sub(number.len())?..)?
                .copy_from_slice(number);
        }
        reader.end()?;
        Some(signature)
    };
    read().ok_or(Error::Malformed("the signature"))
}

/// The qualified name of a primary key of the endorsement hierarchy (Part 1, section 16.5) whose name has this digest.
pub(crate) fn qualified_name(name: &[u8; 32]) -> Vec<u8> {
    let name = [&BY_SHA256[..], name].concat();
    [&BY_SHA256[..], &sha256(&[&ENDORSEMENT[..], &name].concat())].concat()
}

/// What a quote says (`TPMS_ATTEST`, section 10.12.8, with `TPMS_QUOTE_INFO`, section 10.12.1).
pub(crate) struct Said {
    /// The qualified name of the key that signed it.
    pub(crate) signer: Vec<u8>,
    /// What it was asked to sign besides.
    pub(crate) qualifying: Vec<u8>,
    /// How often the TPM was reset (section 10.11.1).
    pub(crate) resets: u32,
    /// The digest over the registers.
    pub(crate) registers: Vec<u8>,
}

impl Said {
    pub(crate) fn read(attest: &[u8]) -> Result<Self, Error> {
        let read = || {
            let mut reader = Reader(attest);
            (reader.take(QUOTE.len())? == QUOTE).then_some(())?;
            let signer = reader.sized()?.to_vec();
            let qualifying = reader.sized()?.to_vec();
            // The clock in milliseconds; then how often it was reset and restarted, and whether the clock is sure not to have gone back.
            reader.take(8)?;
            let resets = u32::from_be_bytes(reader.take(4)?.try_into().ok()?);
            reader.take(4 + 1)?;
            // The version of the TPM's firmware.
            reader.take(8)?;
            (reader.take(REGISTERS.len())? == REGISTERS).then_some(())?;
            let registers = reader.sized()?.to_vec();
            reader.end()?;
            Some(Self {
                signer,
                qualifying,
                resets,
                registers,
            })
        };
        read().ok_or(Error::Malformed("the quote"))
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// Bytes behind their length.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        self.take(length.into())
    }

    fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
