//! A protected object from a stranger: nothing panics, and what [`check`] says holds.

#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

#[path = "../checks/object.rs"]
mod check;

fuzz_target!(|data: &[u8]| check::check(data));

// What is mutated begins as it was made, now and then: noise alone is hardly ever anything.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    let mut size = size;
    let made = check::SEALED.as_slice();
    if seed % 4 == 0 && made.len() <= max_size {
        data[..made.len()].copy_from_slice(made);
        size = made.len();
    }
    fuzzer_mutate(data, size, max_size)
});
