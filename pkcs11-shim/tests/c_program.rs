//! Applications in C, and one that loads modules by their path: a program that calls every function, the crate `cryptoki`, and the module as
//! it ships, which has no token without a configuration.

#![expect(clippy::unwrap_used, unsafe_code, reason = "tests")]

mod support;

use std::ffi::{CString, c_char, c_int};
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use cryptoki_sys::*;
use strongroom_pkcs11::ffi::table;

/// Compiles C source to a shared object.
fn compile(folder: &Path, source: &str) -> PathBuf {
    let out = folder.join(source).with_extension("so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/c")
        .join(source);
    let status = Command::new("gcc")
        .args([
            "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o",
        ])
        .arg(&out)
        .arg(&source)
        .status()
        .unwrap();
    assert!(status.success());
    out
}

type Run = unsafe extern "C" fn(*const CK_FUNCTION_LIST_3_2, *const c_char, *const c_char) -> c_int;

#[test]
fn a_c_program_calls_every_function() {
    let folder = tempfile::tempdir().unwrap();
    let running = support::run();
    // It begins and ends the module itself.
    running.api.finalize();
    let program = compile(folder.path(), "calls.c");
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

#[test]
fn the_cryptoki_crate_gets_along() {
    let folder = tempfile::tempdir().unwrap();
    let running = support::run();
    running.api.finalize();
    let bridge = compile(folder.path(), "bridge.c");
    // SAFETY: the bridge that was just compiled, and a function list that is never gone.
    let library = unsafe { libloading::Library::new(&bridge) }.unwrap();
    unsafe {
        let set: libloading::Symbol<'_, unsafe extern "C" fn(*const CK_FUNCTION_LIST)> =
            library.get(b"bridge_set").unwrap();
        set(&raw const table::LIST_2_40);
    }
    // The crate has no place for the reserved string.
    // SAFETY: this test has its turn, and no other reads the environment meanwhile.
    unsafe {
        std::env::set_var(
            strongroom_pkcs11::config::VARIABLE,
            support::configuration(),
        );
    };
    let module = Pkcs11::new(&bridge).unwrap();
    module
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .unwrap();
    let slot = module.get_slots_with_token().unwrap()[0];
    assert_eq!(module.get_token_info(slot).unwrap().label(), "memory");
    assert!(module.get_mechanism_list(slot).unwrap().len() > 40);
    let session = module.open_rw_session(slot).unwrap();
    let pin = AuthPin::new(std::str::from_utf8(support::PIN).unwrap().into());
    session.login(UserType::User, Some(&pin)).unwrap();
    let template = [
        Attribute::Token(true),
        Attribute::ValueLen(32.into()),
        Attribute::Label(b"crate".to_vec()),
    ];
    let key = session
        .generate_key(&Mechanism::AesKeyGen, &template)
        .unwrap();
    let mut iv = [3; 12];
    let gcm = Mechanism::AesGcm(GcmParams::new(&mut iv, b"aad", 128.into()).unwrap());
    let sealed = session.encrypt(&gcm, key, b"by the crate").unwrap();
    let mut iv = [3; 12];
    let gcm = Mechanism::AesGcm(GcmParams::new(&mut iv, b"aad", 128.into()).unwrap());
    assert_eq!(
        session.decrypt(&gcm, key, &sealed).unwrap(),
        b"by the crate"
    );
    let curve = vec![6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    let (public, private) = session
        .generate_key_pair(
            &Mechanism::EccKeyPairGen,
            &[Attribute::EcParams(curve), Attribute::Token(true)],
            &[Attribute::Token(true)],
        )
        .unwrap();
    let signature = session
        .sign(&Mechanism::EcdsaSha256, private, b"signed")
        .unwrap();
    session
        .verify(&Mechanism::EcdsaSha256, public, b"signed", &signature)
        .unwrap();
    let found = session
        .find_objects(&[Attribute::Label(b"crate".to_vec())])
        .unwrap();
    assert_eq!(found, [key]);
    let given = session
        .get_attributes(
            key,
            &[
                AttributeType::Sensitive,
                AttributeType::Value,
                AttributeType::Local,
            ],
        )
        .unwrap();
    assert_eq!(given, [Attribute::Sensitive(true), Attribute::Local(true)]);
    session.destroy_object(key).unwrap();
    drop(session);
    module.finalize().unwrap();
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
