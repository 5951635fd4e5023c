//! AES-GCM (SP 800-38D).
//!
//! A whole message with a 96-bit initialisation vector goes through AWS-LC in one pass, without an allocation and with a key that was set up
//! before. Encryption in parts, other initialisation vectors and short tags go through GHASH and counter mode here. Decryption gives nothing
//! before the tag was verified: its parts are collected until the end.

use aws_lc_rs::aead::{Aad, Nonce};
use aws_lc_rs::cipher::EncryptionContext;
use aws_lc_rs::iv::FixedLength;
use cryptoki_sys::*;
use ghash::GHash;
use ghash::universal_hash::UniversalHash;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::soft::{AesKey, KeyUse};
use super::{Mechanism, Parameter};
use crate::error::{CkError, CkResult, fail};
use crate::token::{Input, Use};

const BLOCK: usize = 16;
/// The most that is collected, in bytes.
pub(crate) const MOST_COLLECTED: usize = 256 * 1024 * 1024;

/// An encryption or decryption under way.
pub(crate) struct Gcm {
    key: KeyUse,
    mechanism: Mechanism,
    tag: usize,
    encrypts: bool,
    parts: Parts,
}

enum Parts {
    /// Nothing came yet.
    None,
    /// All that came.
    Collected(Zeroizing<Vec<u8>>),
    /// Encryption in parts, here.
    Stream(Box<Stream>),
}

impl Gcm {
    pub(crate) fn new(mechanism: Mechanism, key: KeyUse, encrypts: bool) -> CkResult<Self> {
        let Parameter::Gcm { tag_bits, .. } = &mechanism.parameter else {
            return fail(
                CKR_MECHANISM_PARAM_INVALID,
                "AES-GCM takes another parameter",
            );
        };
        let tag = match tag_bits {
            bits @ (32 | 64 | 96 | 104 | 112 | 120 | 128) => bits / 8,
            _ => return fail(CKR_MECHANISM_PARAM_INVALID, "a tag cannot have this length"),
        };
        if let KeyUse::Here(key) = &key {
            key.aes()?;
        }
        Ok(Self {
            tag: tag as usize,
            key,
            mechanism,
            encrypts,
            parts: Parts::None,
        })
    }

    /// How long the outcome for so much more data is, when that ends it.
    pub(crate) fn whole_length(&self, more: usize) -> CkResult<usize> {
        let all = more
            + match &self.parts {
                Parts::Collected(data) => data.len(),
                _ => 0,
            };
        if self.encrypts {
            Ok(all + self.tag)
        } else {
            match all.checked_sub(self.tag) {
                Some(length) => Ok(length),
                None => fail(CKR_ENCRYPTED_DATA_LEN_RANGE, "not even a tag"),
            }
        }
    }

    /// How many bytes [`Self::update`] gives for so many.
    pub(crate) fn update_length(&self, more: usize) -> usize {
        if self.streams() { more } else { 0 }
    }

    pub(crate) fn update(&mut self, data: &[u8], out: &mut [u8]) -> CkResult<()> {
        if matches!(self.parts, Parts::None) {
            self.parts = match &self.key {
                KeyUse::Here(key) if self.encrypts => {
                    Parts::Stream(Box::new(Stream::new(key.aes()?, self.iv(), self.aad())?))
                }
                _ => Parts::Collected(Zeroizing::default()),
            };
        }
        match (&mut self.parts, &self.key) {
            (Parts::Collected(all), _) => collect(all, data),
            (Parts::Stream(stream), KeyUse::Here(key)) => {
                out.copy_from_slice(data);
                stream.encrypt(key.aes()?, out)
            }
            _ => fail(CKR_GENERAL_ERROR, "a stream without its key"),
        }
    }

    /// The most bytes that [`Self::finish`] gives.
    pub(crate) fn final_length(&self) -> CkResult<usize> {
        if self.streams() {
            Ok(self.tag)
        } else {
            self.whole_length(0)
        }
    }

    pub(crate) fn finish(&mut self, out: &mut [u8]) -> CkResult<()> {
        match (std::mem::replace(&mut self.parts, Parts::None), &self.key) {
            (Parts::Stream(stream), _) => {
                let tag = stream.tag();
                out.copy_from_slice(&tag[..self.tag]);
                Ok(())
            }
            (Parts::Collected(data), _) => self.whole(&data, out),
            _ => self.whole(&[], out),
        }
    }

    /// A whole message, into a buffer of exactly the length that follows.
    pub(crate) fn whole(&self, data: &[u8], out: &mut [u8]) -> CkResult<()> {
        let key = match &self.key {
            KeyUse::Here(key) => key.aes()?,
            KeyUse::There(key) => {
                let what = if self.encrypts {
                    Use::Encrypt
                } else {
                    Use::Decrypt
                };
                let done = key.operate(what, &self.mechanism, Input::Data(data))?;
                if done.len() != out.len() {
                    return fail(CKR_DEVICE_ERROR, "the appliance gave another length");
                }
                out.copy_from_slice(&done);
                return Ok(());
            }
        };
        let nonce = <[u8; 12]>::try_from(self.iv());
        match (self.encrypts, nonce) {
            (true, Ok(nonce)) => {
                let (text, tag) = out.split_at_mut(data.len());
                text.copy_from_slice(data);
                let made = key
                    .gcm()?
                    .seal_in_place_separate_tag(Nonce::from(&nonce), Aad::from(self.aad()), text)
                    .map_err(|_| CkError::new(CKR_DATA_LEN_RANGE, "too much for AES-GCM"))?;
                tag.copy_from_slice(&made.as_ref()[..self.tag]);
                Ok(())
            }
            (false, Ok(nonce)) if self.tag == BLOCK => {
                let (text, tag) = data.split_at(out.len());
                key.gcm()?
                    .open_separate_gather(
                        Nonce::from(&nonce),
                        Aad::from(self.aad()),
                        text,
                        tag,
                        out,
                    )
                    .map_err(|_| altered())
            }
            (true, Err(_)) => {
                let mut stream = Stream::new(key, self.iv(), self.aad())?;
                let (text, tag) = out.split_at_mut(data.len());
                text.copy_from_slice(data);
                stream.encrypt(key, text)?;
                tag.copy_from_slice(&stream.tag()[..self.tag]);
                Ok(())
            }
            (false, _) => {
                let mut stream = Stream::new(key, self.iv(), self.aad())?;
                let (text, tag) = data.split_at(out.len());
                let mut check = stream.clone();
                check.authenticate(text);
                let made = check.tag();
                if !bool::from(made[..self.tag].ct_eq(tag)) {
                    return Err(altered());
                }
                out.copy_from_slice(text);
                stream.count(key, out)
            }
        }
    }

    fn iv(&self) -> &[u8] {
        match &self.mechanism.parameter {
            Parameter::Gcm { iv, .. } => iv.as_ref(),
            _ => &[],
        }
    }

    fn aad(&self) -> &[u8] {
        match &self.mechanism.parameter {
            Parameter::Gcm { aad, .. } => aad,
            _ => &[],
        }
    }

    fn streams(&self) -> bool {
        self.encrypts && matches!(self.key, KeyUse::Here(_))
    }
}

/// Counter mode and GHASH side by side.
#[derive(Clone)]
struct Stream {
    ghash: GHash,
    /// The encrypted first counter block, which masks the tag.
    mask: [u8; BLOCK],
    counter: [u8; BLOCK],
    /// Keystream of the block under way, of which `used` bytes are used, and its ciphertext so far.
    keystream: [u8; BLOCK],
    pending: [u8; BLOCK],
    used: usize,
    aad: u64,
    text: u64,
}

impl Stream {
    fn new(key: &AesKey, iv: &[u8], aad: &[u8]) -> CkResult<Self> {
        let mut h = [0; BLOCK];
        encrypt_block(key, &mut h)?;
        let ghash = GHash::new(&h.into());
        let first = if let Ok(nonce) = <[u8; 12]>::try_from(iv) {
            let mut first = [0; BLOCK];
            first[..12].copy_from_slice(&nonce);
            first[BLOCK - 1] = 1;
            first
        } else {
            let mut hash = ghash.clone();
            hash.update_padded(iv);
            hash.update(&[lengths(0, iv.len() as u64).into()]);
            hash.finalize().into()
        };
        let mut mask = first;
        encrypt_block(key, &mut mask)?;
        let mut stream = Self {
            ghash,
            mask,
            counter: first,
            keystream: [0; BLOCK],
            pending: [0; BLOCK],
            used: 0,
            aad: aad.len() as u64,
            text: 0,
        };
        stream.ghash.update_padded(aad);
        stream.increment();
        Ok(stream)
    }

    fn increment(&mut self) {
        let [.., a, b, c, d] = self.counter;
        let next = u32::from_be_bytes([a, b, c, d]).wrapping_add(1);
        self.counter[12..].copy_from_slice(&next.to_be_bytes());
    }

    fn encrypt(&mut self, key: &AesKey, text: &mut [u8]) -> CkResult<()> {
        self.count(key, text)?;
        self.authenticate(text);
        Ok(())
    }

    /// Counter mode, 32 bits of counter.
    fn count(&mut self, key: &AesKey, text: &mut [u8]) -> CkResult<()> {
        let offset = usize::try_from(self.text % BLOCK as u64).unwrap_or_default();
        let left = if offset == 0 { 0 } else { BLOCK - offset };
        let (first, mut rest) = text.split_at_mut(left.min(text.len()));
        for (at, byte) in first.iter_mut().enumerate() {
            *byte ^= self.keystream[offset + at];
        }
        while !rest.is_empty() {
            let [.., a, b, c, d] = self.counter;
            // AWS-LC counts in 128 bits: no call goes past the end of the 32.
            let blocks = (u64::from(u32::MAX - u32::from_be_bytes([a, b, c, d])) + 1)
                .min((rest.len() / BLOCK) as u64);
            if blocks == 0 {
                let mut block = [0; BLOCK];
                self.block(key, &mut block)?;
                self.keystream = block;
                let length = rest.len().min(BLOCK);
                for (byte, stream) in rest.iter_mut().zip(block) {
                    *byte ^= stream;
                }
                rest = &mut rest[length..];
                continue;
            }
            let length = usize::try_from(blocks).unwrap_or_default() * BLOCK;
            let (now, later) = rest.split_at_mut(length);
            self.block(key, now)?;
            rest = later;
        }
        Ok(())
    }

    /// Whole blocks, and the counter behind them.
    fn block(&mut self, key: &AesKey, blocks: &mut [u8]) -> CkResult<()> {
        let context = EncryptionContext::Iv128(FixedLength::from(self.counter));
        key.ctr()?
            .less_safe_encrypt(blocks, context)
            .map_err(|_| CkError::new(CKR_FUNCTION_FAILED, "AWS-LC refused"))?;
        let [.., a, b, c, d] = self.counter;
        let count = u32::try_from(blocks.len() / BLOCK).unwrap_or_default();
        let next = u32::from_be_bytes([a, b, c, d]).wrapping_add(count);
        self.counter[12..].copy_from_slice(&next.to_be_bytes());
        Ok(())
    }

    fn authenticate(&mut self, text: &[u8]) {
        self.text += text.len() as u64;
        let (first, rest) = text.split_at(((BLOCK - self.used) % BLOCK).min(text.len()));
        self.pending[self.used..self.used + first.len()].copy_from_slice(first);
        self.used += first.len();
        if self.used == BLOCK {
            self.ghash.update(&[self.pending.into()]);
            self.used = 0;
        }
        let (blocks, tail) = rest.as_chunks::<BLOCK>();
        for block in blocks {
            self.ghash.update(&[(*block).into()]);
        }
        if !tail.is_empty() {
            self.pending[..tail.len()].copy_from_slice(tail);
            self.used = tail.len();
        }
    }

    fn tag(mut self) -> [u8; BLOCK] {
        self.ghash.update_padded(&self.pending[..self.used]);
        self.ghash.update(&[lengths(self.aad, self.text).into()]);
        let mut tag: [u8; BLOCK] = self.ghash.finalize().into();
        tag.iter_mut()
            .zip(self.mask)
            .for_each(|(byte, mask)| *byte ^= mask);
        tag
    }
}

/// The last block of GHASH: both lengths in bits.
fn lengths(aad: u64, text: u64) -> [u8; BLOCK] {
    let bits = ((u128::from(aad) * 8) << 64) | (u128::from(text) * 8);
    bits.to_be_bytes()
}

fn encrypt_block(key: &AesKey, block: &mut [u8; BLOCK]) -> CkResult<()> {
    key.ecb()?
        .0
        .less_safe_encrypt(block, EncryptionContext::None)
        .map(|_| ())
        .map_err(|_| CkError::new(CKR_FUNCTION_FAILED, "AWS-LC refused"))
}

/// Collects data for one operation on the whole of it.
pub(crate) fn collect(all: &mut Zeroizing<Vec<u8>>, data: &[u8]) -> CkResult<()> {
    if all.len() + data.len() > MOST_COLLECTED {
        return fail(CKR_DATA_LEN_RANGE, "too much data for one operation");
    }
    // Growing in place would leave parts of it behind on the heap.
    if all.capacity() - all.len() < data.len() {
        let wanted = (all.len() + data.len()).next_power_of_two();
        let mut larger = Zeroizing::new(Vec::with_capacity(wanted));
        larger.extend_from_slice(all);
        *all = larger;
    }
    all.extend_from_slice(data);
    Ok(())
}

fn altered() -> CkError {
    CkError::new(
        CKR_ENCRYPTED_DATA_INVALID,
        "the tag does not match: other data, or another key",
    )
}
