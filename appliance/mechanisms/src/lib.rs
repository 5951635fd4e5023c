//! The mechanisms of keys: what is done with a key's bytes, by the appliance for its clients and by a client for itself.
//!
//! | module | what lives there |
//! |---|---|
//! | [`material`] | a key's material: generated, or brought by somebody and checked |
//! | [`sign`] | signatures: ECDSA, Ed25519, RSA, ML-DSA |
//! | [`mac`] | HMAC and CMAC |
//! | [`encrypt`] | AES in its modes, RSAES |
//! | [`wrap`] | AES-KW and AES-KWP |
//! | [`agree`] | Diffie-Hellman and ML-KEM |
//! | [`derive`] | key derivation functions: X9.63 and HKDF |
//!
//! Every function takes bytes and gives bytes, and knows nothing of accounts, rights or states: who may call it is decided elsewhere. The
//! primitives are those of AWS-LC, and of `aes-kw` where that has none. What it does not offer is not here: nonces of AES-GCM that have not 12
//! bytes, and signatures of ML-DSA with a context.
//!
//! What must never happen here: a primitive of our own; an error that says more of a ciphertext than that it was refused; private material
//! that is not zeroised; `unsafe` outside of `rsa.rs` (decision 18).

#![deny(unsafe_code)]

pub mod agree;
mod der;
pub mod derive;
pub mod encrypt;
pub mod mac;
pub mod material;
mod refusal;
mod rsa;
pub mod sign;
pub mod wrap;

pub use refusal::Refusal;
