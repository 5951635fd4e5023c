//! Applications in C: a program that calls every function, and the module as it ships, which has no token without a configuration.

#![expect(clippy::unwrap_used, unsafe_code, reason = "tests")]

mod support;

use std::ffi::{CString, c_char, c_int};
use std::path::PathBuf;

use cryptoki_sys::*;
use strongroom_pkcs11::ffi::table;

type Run = unsafe extern "C" fn(*const CK_FUNCTION_LIST_3_2, *const c_char, *const c_char) -> c_int;

#[test]
fn a_c_program_calls_every_function() {
    let folder = tempfile::tempdir().unwrap();
    let running = support::run();
    // It begins and ends the module itself.
    running.api.finalize();
    let program = support::compile(folder.path(), "calls.c");
    let text = |text: &[u8]| CString::new(text).unwrap();
    let (configuration, pin) = (
        text(support::configuration().as_bytes()),
        text(support::PIN),
    );
    // SAFETY: the program that was just compiled, and arguments as it takes them.
    let line = unsafe {
        let library = libloading::Library::new(program).unwrap();
        let run: libloading::Symbol<'_, Run> = library.get(b"run").unwrap();
        run(
            &raw const table::LIST_3_2,
            configuration.as_ptr(),
            pin.as_ptr(),
        )
    };
    assert_eq!(line, 0, "calls.c, line {line}");
    assert_eq!(table::COUNT, 104);
}

/// The shared object that was built beside this test.
fn shipped() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let names = ["deps/libstrongroom_pkcs11.so", "libstrongroom_pkcs11.so"];
    let folders = here.ancestors().skip(1).take(2);
    let mut paths = folders.flat_map(|folder| names.map(|name| folder.join(name)));
    paths.find(|path| path.is_file()).unwrap()
}

#[test]
fn the_shipped_module_has_no_token_without_an_appliance() {
    let _turn = support::run();
    let folder = tempfile::tempdir().unwrap();
    let configuration = folder.path().join("pkcs11.toml");
    let log = folder.path().join("log");
    let text = format!(
        "[[token]]\nlabel = \"web\"\naddresses = [\"https://192.0.2.1:1\"]\nroots = \"/nowhere\"\n[log]\nfile = {log:?}\n"
    );
    std::fs::write(&configuration, text).unwrap();
    // SAFETY: a library without constructors, and calls as the standard has them.
    unsafe {
        let library = libloading::Library::new(shipped()).unwrap();
        let get: libloading::Symbol<'_, unsafe extern "C" fn(*mut *mut CK_FUNCTION_LIST) -> CK_RV> =
            library.get(b"C_GetFunctionList").unwrap();
        for name in [&b"C_GetInterface"[..], b"C_GetInterfaceList"] {
            assert!(library.get::<unsafe extern "C" fn()>(name).is_ok());
        }
        assert!(
            library
                .get::<unsafe extern "C" fn()>(b"C_Initialize")
                .is_err(),
            "three functions are exported"
        );
        let mut list = std::ptr::null_mut();
        assert_eq!(get(&raw mut list), CKR_OK);
        let list = &*list;
        let reserved = CString::new(format!("config={}", configuration.display())).unwrap();
        let mut args = CK_C_INITIALIZE_ARGS {
            pReserved: reserved.as_ptr().cast_mut().cast(),
            ..Default::default()
        };
        assert_eq!(list.C_Initialize.unwrap()((&raw mut args).cast()), CKR_OK);
        let mut count = 0;
        assert_eq!(
            list.C_GetSlotList.unwrap()(CK_FALSE, std::ptr::null_mut(), &raw mut count),
            CKR_OK
        );
        assert_eq!(count, 1);
        assert_eq!(
            list.C_GetSlotList.unwrap()(CK_TRUE, std::ptr::null_mut(), &raw mut count),
            CKR_OK
        );
        assert_eq!(count, 0);
        let mut session = 0;
        let opened = list.C_OpenSession.unwrap()(
            0,
            CKF_SERIAL_SESSION,
            std::ptr::null_mut(),
            None,
            &raw mut session,
        );
        assert_eq!(opened, CKR_TOKEN_NOT_PRESENT);
        assert_eq!(list.C_Finalize.unwrap()(std::ptr::null_mut()), CKR_OK);
    }
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("the token \"web\" cannot be used"), "{log}");
    assert!(
        log.contains("C_OpenSession: CKR_TOKEN_NOT_PRESENT"),
        "{log}"
    );
}
