//! Quotes: what the TPM's registers hold, signed by a key that signs nothing but what the TPM says of itself.

use std::io::{Read, Write};

use super::{Error, Password, SHA256, Tpm, sized};

/// A quote over registers 7 and 11 of the bank of SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quote {
    /// The key's public area (`TPMT_PUBLIC`).
    pub(crate) public: Vec<u8>,
    /// What was signed (`TPMS_ATTEST`).
    pub(crate) attest: Vec<u8>,
    /// The signature (`TPMT_SIGNATURE`).
    pub(crate) signature: Vec<u8>,
    /// What the registers hold, 7 first.
    pub(crate) registers: [[u8; 32]; 2],
}

/// `TPM_RH_ENDORSEMENT` (Part 2, section 7.4).
const ENDORSEMENT: u32 = 0x4000_000b;
/// `TPM_ALG_NULL`, `TPM_ALG_ECDSA` and `TPM_ALG_ECC` (section 6.3), `TPM_ECC_NIST_P256` (section 6.4).
const NULL: u16 = 0x0010;
const ECDSA: u16 = 0x0018;
const ECC: u16 = 0x0023;
const P256: u16 = 0x0003;
/// `TPMA_OBJECT`: `fixedTPM`, `fixedParent`, `sensitiveDataOrigin`, `userWithAuth`, `noDA`, `restricted`, `sign` (section 8.3).
const ATTRIBUTES: u32 = 0x0005_0472;
/// One selection (section 10.9.7): SHA-256, and three bytes of bits, of which 7 and 11 are set.
const REGISTERS: [u8; 10] = [0, 0, 0, 1, 0x00, 0x0b, 3, 0x80, 0x08, 0x00];

impl<C: Read + Write> Tpm<C> {
    /// Has the TPM sign what registers 7 and 11 hold, and this besides.
    ///
    /// # Errors
    /// [`Error::EndorsementPassword`] where somebody took the endorsement hierarchy, and what else the TPM answers.
    pub(crate) fn quote(&mut self, qualifying: &[u8; 32]) -> Result<Quote, Error> {
        let (key, public) = self.make_attestation_key()?;
        let quoted = self.sign_registers(key, qualifying);
        // Room for such a key there is for a few only.
        self.send("TPM2_FlushContext", 0x165, &[key], None, &[])?;
        let (attest, signature) = quoted?;
        Ok(Quote {
            public,
            attest,
            signature,
            registers: self.read_registers()?,
        })
    }

    /// Makes the attestation key: of the endorsement hierarchy's seed and this template, and so the same each time. Gives its handle and its public area.
    fn make_attestation_key(&mut self) -> Result<(u32, Vec<u8>), Error> {
        const COMMAND: &str = "TPM2_CreatePrimary";
        let mut public = Vec::new();
        public.extend(ECC.to_be_bytes());
        public.extend(SHA256.to_be_bytes());
        public.extend(ATTRIBUTES.to_be_bytes());
        // No policy. No symmetric algorithm; ECDSA with SHA-256; the curve; no key derivation.
        for number in [0, NULL, ECDSA, SHA256, P256, NULL] {
            public.extend(number.to_be_bytes());
        }
        // What is unique about it is for the TPM to say.
        for coordinate in [[0; 32], [0; 32]] {
            public.extend(sized(&coordinate).as_slice());
        }
        let parameters = [
            // No password of its own, no data.
            [0, 4, 0, 0, 0, 0].as_slice(),
            &sized(&public),
            // Nothing from outside, and no registers at its creation.
            &[0, 0],
            &[0, 0, 0, 0],
        ]
        .concat();
        let password = Some(Password(&[]));
        let said = self.send(COMMAND, 0x131, &[ENDORSEMENT], password, &parameters);
        let said = said.map_err(|error| match error {
            Error::Password => Error::EndorsementPassword,
            error => error,
        })?;
        // Handle, length of the parameters, the public area behind its length.
        let read = || {
            let handle = u32::from_be_bytes(said.get(..4)?.try_into().ok()?);
            Some((handle, behind_length(said.get(8..)?)?.0.to_vec()))
        };
        read().ok_or(Error::Unreadable(COMMAND))
    }

    /// What was signed, and the signature.
    fn sign_registers(
        &mut self,
        key: u32,
        qualifying: &[u8; 32],
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        const COMMAND: &str = "TPM2_Quote";
        // By the key's own scheme.
        let scheme = NULL.to_be_bytes();
        let parameters = [sized(qualifying).as_slice(), &scheme, &REGISTERS].concat();
        let said = self.send(COMMAND, 0x158, &[key], Some(Password(&[])), &parameters)?;
        let read = || {
            let length = u32::from_be_bytes(said.get(..4)?.try_into().ok()?);
            let parameters = said.get(4..)?.get(..usize::try_from(length).ok()?)?;
            let (attest, signature) = behind_length(parameters)?;
            Some((attest.to_vec(), signature.to_vec()))
        };
        read().ok_or(Error::Unreadable(COMMAND))
    }

    /// What registers 7 and 11 hold.
    fn read_registers(&mut self) -> Result<[[u8; 32]; 2], Error> {
        const COMMAND: &str = "TPM2_PCR_Read";
        let said = self.send(COMMAND, 0x17e, &[], None, &REGISTERS)?;
        // How often registers were changed, which of them these are, and how many values.
        let read = || {
            (said.get(4..14)? == REGISTERS).then_some(())?;
            (said.get(14..18)? == 2_u32.to_be_bytes()).then_some(())?;
            let (first, rest) = behind_length(said.get(18..)?)?;
            let (second, _) = behind_length(rest)?;
            Some([first.try_into().ok()?, second.try_into().ok()?])
        };
        read().ok_or(Error::Unreadable(COMMAND))
    }
}

/// Bytes behind their length, and what comes after them.
fn behind_length(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_attestation::{Error as Refusal, verify};
    use strongroom_wire::attestation::{self, Attestation, Registers, Statement};

    use super::*;
    use crate::tpm::software::Software;

    fn statement() -> Statement {
        Statement {
            release: "0.1.0".to_owned(),
            nonce: Some([7; 32].as_slice().into()),
            certificate: "ab".repeat(32),
            log: "strongroom.example/default".to_owned(),
            size: 42,
            root: "cd".repeat(32),
        }
    }

    fn attested<C: Read + Write>(tpm: &mut Tpm<C>) -> Attestation {
        let statement = statement();
        let qualifying = strongroom_attestation::qualifying_data(&statement).unwrap();
        let quote = tpm.quote(&qualifying).unwrap();
        let [pcr7, pcr11] = quote.registers.map(hex::encode);
        Attestation {
            tpm: crate::attest::fingerprint_of(&quote.public),
            registers: Registers { pcr7, pcr11 },
            statement,
            quote: attestation::Quote {
                public: quote.public.into(),
                attest: quote.attest.into(),
                signature: quote.signature.into(),
            },
        }
    }

    #[test]
    fn what_a_tpm_signs_is_verified() {
        let software = Software::start();
        let mut tpm = software.open();
        let blank = attested(&mut tpm);
        verify(&blank).unwrap();
        assert_eq!(blank.registers.pcr7, "00".repeat(32));

        tpm.extend(11, [7; 32]).unwrap();
        let measured = attested(&mut tpm);
        verify(&measured).unwrap();
        assert_ne!(measured.registers.pcr11, blank.registers.pcr11);
        assert_eq!(measured.registers.pcr7, blank.registers.pcr7);
        // What was signed before something was measured is not said of it afterwards.
        let mixed = Attestation {
            registers: measured.registers,
            ..blank
        };
        assert_eq!(verify(&mixed), Err(Refusal::Registers));
    }

    #[test]
    fn the_key_is_the_same_for_as_long_as_the_tpm_is() {
        let (one, other) = (Software::start(), Software::start());
        let mut tpm = one.open();
        let first = attested(&mut tpm).tpm;
        // More often than there is room for keys, and with an owner who has a password.
        tpm.change_owner_password(&[], b"secret").unwrap();
        for _ in 0..8 {
            assert_eq!(attested(&mut tpm).tpm, first);
        }
        // TPM2_Clear, by the platform: what the owner has is gone.
        let platform = 0x4000_000c;
        tpm.send("TPM2_Clear", 0x126, &[platform], Some(Password(&[])), &[])
            .unwrap();
        assert!(!tpm.owner_has_password().unwrap());
        assert_eq!(attested(&mut tpm).tpm, first);
        assert_ne!(attested(&mut other.open()).tpm, first);
    }

    #[test]
    fn a_password_of_the_endorsement_hierarchy_is_said() {
        let software = Software::start();
        let mut tpm = software.open();
        let password = sized(b"taken");
        tpm.send(
            "TPM2_HierarchyChangeAuth",
            0x129,
            &[ENDORSEMENT],
            Some(Password(&[])),
            &password,
        )
        .unwrap();
        assert!(matches!(
            tpm.quote(&[0; 32]),
            Err(Error::EndorsementPassword)
        ));
    }

    #[test]
    fn what_is_cut_off_is_no_answer() {
        assert_eq!(
            behind_length(&[0, 2, 7, 8, 9]),
            Some((&[7, 8][..], &[9][..]))
        );
        for cut in [&[][..], &[0], &[0, 2, 7]] {
            assert_eq!(behind_length(cut), None);
        }
    }
}
