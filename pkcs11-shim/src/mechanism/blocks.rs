//! AES in the modes ECB, CBC, CBC with the padding of PKCS #7, and CTR (SP 800-38A): in parts, with constant memory, here or by the token.
//!
//! By AWS-LC's one-shot calls over whole blocks: what chains one call to the next (the last ciphertext block, the counter) is kept here.

use aws_lc_rs::cipher::{DecryptionContext, EncryptionContext};
use aws_lc_rs::iv::FixedLength;
use cryptoki_sys::*;
use zeroize::{Zeroize, Zeroizing};

use super::soft::KeyUse;
use super::{Family, Mechanism, Parameter};
use crate::error::{CkError, CkResult, fail};
use crate::token::{Input, Use};

const BLOCK: usize = 16;
/// The most that the token is asked to work on at once, in bytes.
const MOST_THERE: usize = 1024 * 1024;

/// An encryption or decryption under way.
pub(crate) struct Blocks {
    key: KeyUse,
    mechanism: Mechanism,
    encrypts: bool,
    /// CBC: the last block of ciphertext. CTR: the next counter block.
    chain: [u8; BLOCK],
    /// Data of a block that is not whole. CTR: keystream of a block, of which `kept` bytes are used.
    rest: [u8; BLOCK],
    kept: usize,
    /// CTR: how many more counter blocks there are, where the counter is too short for any data.
    counters_left: u128,
}

impl Blocks {
    pub(crate) fn new(mechanism: Mechanism, key: KeyUse, encrypts: bool) -> CkResult<Self> {
        let bad = || {
            fail(
                CKR_MECHANISM_PARAM_INVALID,
                "the mode takes another parameter",
            )
        };
        let (chain, counters_left) = match (mechanism.family, &mechanism.parameter) {
            (Family::AesEcb, Parameter::None) => ([0; BLOCK], u128::MAX),
            (Family::AesCbc | Family::AesCbcPad, Parameter::Block(iv)) => (*iv, u128::MAX),
            (Family::AesCtr, Parameter::Counter { bits: 128, block }) => (*block, u128::MAX),
            (
                Family::AesCtr,
                Parameter::Counter {
                    bits: bits @ 1..128,
                    block,
                },
            ) => {
                let mask = (1_u128 << bits) - 1;
                (*block, mask - (u128::from_be_bytes(*block) & mask) + 1)
            }
            _ => return bad(),
        };
        if let KeyUse::Here(key) = &key {
            key.aes()?;
        }
        Ok(Self {
            key,
            mechanism,
            encrypts,
            chain,
            rest: [0; BLOCK],
            kept: 0,
            counters_left,
        })
    }

    /// Whole blocks in the middle of longer data: nothing is padding.
    pub(crate) fn inner(mut mechanism: Mechanism, key: KeyUse, encrypts: bool) -> CkResult<Self> {
        if mechanism.family == Family::AesCbcPad {
            mechanism.family = Family::AesCbc;
        }
        Self::new(mechanism, key, encrypts)
    }

    /// The same operation from its beginning, where nothing came yet.
    pub(crate) fn again(&self) -> CkResult<Self> {
        Self::new(self.mechanism.clone(), self.key.clone(), self.encrypts)
    }

    /// How many bytes [`Self::update`] gives for so many.
    pub(crate) fn update_length(&self, more: usize) -> usize {
        if self.mechanism.family == Family::AesCtr {
            return more;
        }
        let all = self.kept + more;
        // The last block may be padding: it is held back.
        let all = if self.unpads() {
            all.saturating_sub(1)
        } else {
            all
        };
        all / BLOCK * BLOCK
    }

    /// Goes on with data, into a buffer of exactly the length that follows.
    pub(crate) fn update(&mut self, data: &[u8], out: &mut [u8]) -> CkResult<()> {
        if self.mechanism.family == Family::AesCtr {
            return self.count(data, out);
        }
        let from_data = out.len().saturating_sub(self.kept);
        if out.is_empty() {
            self.rest[self.kept..self.kept + data.len()].copy_from_slice(data);
            self.kept += data.len();
            return Ok(());
        }
        out[..self.kept].copy_from_slice(&self.rest[..self.kept]);
        out[self.kept..].copy_from_slice(&data[..from_data]);
        let left = &data[from_data..];
        self.rest[..left.len()].copy_from_slice(left);
        self.kept = left.len();
        self.transform(out)
    }

    /// The most bytes that [`Self::finish`] gives.
    pub(crate) fn final_length(&self) -> usize {
        if self.mechanism.family == Family::AesCbcPad {
            BLOCK
        } else {
            0
        }
    }

    /// Ends it: padding and all. Gives how many bytes were written.
    pub(crate) fn finish(&mut self, out: &mut [u8]) -> CkResult<usize> {
        match self.mechanism.family {
            Family::AesCtr => Ok(0),
            Family::AesCbcPad if self.encrypts => {
                let padding = BLOCK - self.kept;
                self.rest[self.kept..].fill(padding.to_le_bytes()[0]);
                let mut block = self.rest;
                self.transform(&mut block)?;
                out[..BLOCK].copy_from_slice(&block);
                Ok(BLOCK)
            }
            Family::AesCbcPad => {
                if self.kept != BLOCK {
                    return fail(CKR_ENCRYPTED_DATA_LEN_RANGE, "these are no whole blocks");
                }
                let mut block = Zeroizing::new(self.rest);
                self.transform(&mut *block)?;
                let length = unpadded(&block)?;
                out[..length].copy_from_slice(&block[..length]);
                Ok(length)
            }
            _ if self.kept == 0 => Ok(0),
            _ if self.encrypts => fail(CKR_DATA_LEN_RANGE, "these are no whole blocks"),
            _ => fail(CKR_ENCRYPTED_DATA_LEN_RANGE, "these are no whole blocks"),
        }
    }

    fn unpads(&self) -> bool {
        self.mechanism.family == Family::AesCbcPad && !self.encrypts
    }

    /// Whether the token works on this in several parts.
    fn is_too_much(&self, blocks: &[u8]) -> bool {
        matches!(self.key, KeyUse::There(_)) && blocks.len() > MOST_THERE
    }

    /// Encrypts or decrypts whole blocks in place.
    fn transform(&mut self, blocks: &mut [u8]) -> CkResult<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        if self.is_too_much(blocks) {
            return blocks
                .chunks_mut(MOST_THERE)
                .try_for_each(|part| self.transform(part));
        }
        let last_before = last_block(blocks);
        match &self.key {
            KeyUse::Here(key) => {
                let key = key.aes()?;
                let ecb = self.mechanism.family == Family::AesEcb;
                let iv = FixedLength::from(self.chain);
                let (encrypting, decrypting) = if ecb { key.ecb()? } else { key.cbc()? };
                if self.encrypts {
                    let context = if ecb {
                        EncryptionContext::None
                    } else {
                        EncryptionContext::Iv128(iv)
                    };
                    encrypting
                        .less_safe_encrypt(blocks, context)
                        .map_err(|_| failed())?;
                } else {
                    let context = if ecb {
                        DecryptionContext::None
                    } else {
                        DecryptionContext::Iv128(iv)
                    };
                    decrypting.decrypt(blocks, context).map_err(|_| failed())?;
                }
            }
            KeyUse::There(key) => {
                let mechanism = match self.mechanism.parameter {
                    Parameter::Block(_) => self.mechanism.with(Parameter::Block(self.chain)),
                    _ => self.mechanism.clone(),
                };
                let what = if self.encrypts {
                    Use::Encrypt
                } else {
                    Use::Decrypt
                };
                let done = key.operate(what, &mechanism, Input::Blocks(blocks))?;
                copy_all(blocks, &done)?;
            }
        }
        self.chain = if self.encrypts {
            last_block(blocks)
        } else {
            last_before
        };
        Ok(())
    }

    /// CTR: the same for encryption and decryption.
    fn count(&mut self, data: &[u8], out: &mut [u8]) -> CkResult<()> {
        // What is left of the last block's keystream; `kept` of it are used. 0 stands for none left.
        let left = if self.kept == 0 { 0 } else { BLOCK - self.kept };
        let (first, more) = data.split_at(left.min(data.len()));
        let (first_out, more_out) = out.split_at_mut(first.len());
        for (at, byte) in first.iter().enumerate() {
            first_out[at] = byte ^ self.rest[self.kept + at];
        }
        if left > 0 {
            self.kept = (self.kept + first.len()) % BLOCK;
        }
        let whole = more.len() / BLOCK * BLOCK;
        let count = u128::try_from(more.len().div_ceil(BLOCK)).unwrap_or(u128::MAX);
        if count > self.counters_left {
            return fail(CKR_DATA_LEN_RANGE, "the counter's bits are used up");
        }
        if self.counters_left != u128::MAX {
            self.counters_left -= count;
        }
        more_out[..whole].copy_from_slice(&more[..whole]);
        self.keystream(&mut more_out[..whole])?;
        let tail = &more[whole..];
        if !tail.is_empty() {
            let mut block = [0; BLOCK];
            block[..tail.len()].copy_from_slice(tail);
            self.keystream(&mut block)?;
            more_out[whole..].copy_from_slice(&block[..tail.len()]);
            self.rest = block;
            self.kept = tail.len();
        }
        Ok(())
    }

    fn keystream(&mut self, blocks: &mut [u8]) -> CkResult<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        if self.is_too_much(blocks) {
            return blocks
                .chunks_mut(MOST_THERE)
                .try_for_each(|part| self.keystream(part));
        }
        let count = u128::try_from(blocks.len() / BLOCK).unwrap_or_default();
        match &self.key {
            KeyUse::Here(key) => {
                let context = EncryptionContext::Iv128(FixedLength::from(self.chain));
                let key = key.aes()?.ctr()?;
                key.less_safe_encrypt(blocks, context)
                    .map_err(|_| failed())?;
            }
            KeyUse::There(key) => {
                let bits = match self.mechanism.parameter {
                    Parameter::Counter { bits, .. } => bits,
                    _ => 128,
                };
                let mechanism = self.mechanism.with(Parameter::Counter {
                    bits,
                    block: self.chain,
                });
                let what = if self.encrypts {
                    Use::Encrypt
                } else {
                    Use::Decrypt
                };
                let done = key.operate(what, &mechanism, Input::Blocks(blocks))?;
                copy_all(blocks, &done)?;
            }
        }
        let next = u128::from_be_bytes(self.chain).wrapping_add(count);
        self.chain = next.to_be_bytes();
        Ok(())
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        self.rest.zeroize();
    }
}

/// The length of a block without its padding. In constant time: which padding is wrong is nobody's business.
fn unpadded(block: &[u8; BLOCK]) -> CkResult<usize> {
    use subtle::{Choice, ConstantTimeEq, ConstantTimeGreater};
    let padding = block[BLOCK - 1];
    let mut good = padding.ct_gt(&0) & !padding.ct_gt(&16);
    for (from_end, byte) in (0_u8..).zip(block.iter().rev()) {
        let counts = padding.ct_gt(&from_end);
        good &= !counts | byte.ct_eq(&padding);
    }
    if bool::from(good & Choice::from(1)) {
        Ok(BLOCK - usize::from(padding))
    } else {
        fail(CKR_ENCRYPTED_DATA_INVALID, "the padding is none")
    }
}

fn last_block(blocks: &[u8]) -> [u8; BLOCK] {
    blocks.last_chunk().copied().unwrap_or_default()
}

fn copy_all(blocks: &mut [u8], done: &[u8]) -> CkResult<()> {
    if blocks.len() != done.len() {
        return fail(
            CKR_DEVICE_ERROR,
            "the appliance gave blocks of another length",
        );
    }
    blocks.copy_from_slice(done);
    Ok(())
}

fn failed() -> CkError {
    CkError::new(CKR_FUNCTION_FAILED, "AWS-LC refused")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::*;
    use crate::mechanism::soft::{Remote, SoftKey};
    use crate::mechanism::software;
    use crate::object::Attributes;
    use crate::secret_memory::Locked;

    /// A key in a token that takes so much at once and no more.
    struct There(Attributes);

    impl Remote for There {
        fn operate(
            &self,
            what: Use,
            mechanism: &Mechanism,
            input: Input<'_>,
        ) -> CkResult<Zeroizing<Vec<u8>>> {
            let Input::Blocks(blocks) = input else {
                return fail(CKR_FUNCTION_FAILED, "not in blocks");
            };
            assert!(blocks.len() <= MOST_THERE && blocks.len().is_multiple_of(BLOCK));
            software::operate(&self.0, what, mechanism, input)
        }

        fn verify(&self, _: &Mechanism, _: &[u8], _: &[u8]) -> CkResult<()> {
            fail(CKR_FUNCTION_FAILED, "no MAC")
        }
    }

    #[test]
    fn what_is_too_much_for_the_token_at_once_goes_in_parts() {
        let mut key = Attributes::new();
        key.set_number(CKA_CLASS, CKO_SECRET_KEY);
        key.set_number(CKA_KEY_TYPE, CKK_AES);
        key.set_bytes(CKA_VALUE, &[7; 32]);
        let counter = Parameter::Counter {
            bits: 128,
            block: [0xff; BLOCK],
        };
        let iv = || Parameter::Block([3; BLOCK]);
        for (kind, parameter, more) in [
            (CKM_AES_ECB, Parameter::None, 0),
            (CKM_AES_CBC, iv(), 0),
            (CKM_AES_CBC_PAD, iv(), 5),
            (CKM_AES_CTR, counter, 5),
        ] {
            let mechanism = Mechanism::plain(kind).unwrap().with(parameter);
            let all = |data: &[u8], there: bool, encrypts: bool| {
                let use_of = if there {
                    KeyUse::There(Arc::new(There(key.clone())))
                } else {
                    KeyUse::Here(Arc::new(Locked::new(SoftKey::of(&key).unwrap()).unwrap()))
                };
                let mut blocks = Blocks::new(mechanism.clone(), use_of, encrypts).unwrap();
                let mut done = vec![0; data.len() + BLOCK];
                let length = blocks.update_length(data.len());
                blocks.update(data, &mut done[..length]).unwrap();
                let last = blocks.finish(&mut done[length..]).unwrap();
                done.truncate(length + last);
                done
            };
            let data = vec![5; 2 * MOST_THERE + 3 * BLOCK + more];
            let here = all(&data, false, true);
            assert!(all(&data, true, true) == here, "{kind:#x}");
            assert!(all(&here, true, false) == data, "{kind:#x}");
        }
    }
}
