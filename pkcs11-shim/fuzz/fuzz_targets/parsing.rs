//! Templates and mechanisms of any bytes: nothing panics, and nothing is read or written but what is there. There is no token, so that nothing but the
//! reading is tried; `tests/parsing.rs` tries what comes after it.

#![no_main]
#![allow(dead_code, clippy::unwrap_used, clippy::cast_possible_truncation)]

#[path = "../../tests/support/anything.rs"]
mod anything;

use std::ptr::null_mut;
use std::sync::LazyLock;

use anything::{AnyMechanism, AnyTemplate, Bytes};
use cryptoki_sys::*;
use libfuzzer_sys::fuzz_target;
use strongroom_pkcs11::ffi::table::LIST_3_2;
use strongroom_pkcs11::mechanism::list;

/// The module, which has been initialised, and the mechanisms that it knows.
static KNOWN: LazyLock<Vec<CK_MECHANISM_TYPE>> = LazyLock::new(|| {
    let mut args = CK_C_INITIALIZE_ARGS {
        flags: CKF_OS_LOCKING_OK,
        pReserved: c"/dev/null".as_ptr().cast_mut().cast(),
        ..Default::default()
    };
    // SAFETY: arguments as the standard has them.
    let rv = unsafe { LIST_3_2.C_Initialize.unwrap()((&raw mut args).cast()) };
    assert_eq!(rv, CKR_OK);
    list::ALL.iter().map(|listed| listed.kind).collect()
});

fuzz_target!(|data: &[u8]| {
    let known = &*KNOWN;
    let mut bytes = Bytes(data);
    let mut template = AnyTemplate::of(&mut bytes);
    let mut how = AnyMechanism::of(&mut bytes, known);
    let (at, count) = template.parts();
    let mut made = 0;
    // SAFETY: what is made of any bytes has pointers that are null or good.
    let answers = unsafe {
        [
            LIST_3_2.C_CreateObject.unwrap()(0, at, count, &raw mut made),
            LIST_3_2.C_SetAttributeValue.unwrap()(0, 0, at, count),
            LIST_3_2.C_EncryptInit.unwrap()(0, &raw mut how.mechanism, 0),
            LIST_3_2.C_DeriveKey.unwrap()(
                0,
                &raw mut how.mechanism,
                0,
                null_mut(),
                0,
                &raw mut made,
            ),
        ]
    };
    for rv in answers {
        assert!(rv != CKR_OK && rv != CKR_GENERAL_ERROR, "{rv:#x}");
    }
});
