//! Writes the Python, Kotlin and Swift sources that go with the built library: `uniffi-bindgen` of the version that the library is built with.
//!
//! It goes by another name, for maturin builds a program of that name in another profile, and with it all of the library once more:
//! `cargo xtask bindings` hands it this one.

#![forbid(unsafe_code)]

fn main() {
    uniffi::uniffi_bindgen_main();
}
