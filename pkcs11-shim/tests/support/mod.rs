//! What the tests of the module share: a token in memory with real cryptography that can be told to fail, and the function list as a C
//! application would call it.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::panic_in_result_fn,
    clippy::unnecessary_wraps,
    unreachable_pub,
    unsafe_code,
    reason = "tests"
)]

pub mod answers;
pub mod anything;
pub mod api;
pub mod memory;
pub mod values;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use cryptoki_sys::*;
use strongroom_pkcs11::config::TokenConfig;
use strongroom_pkcs11::ffi::{connect_by, table};
use strongroom_pkcs11::token::{Token, TokenResult};

pub use api::Api;
pub use memory::MemoryToken;

pub const PIN: &[u8] = b"an account's secret";

/// The token of this process. Tests that use it take turns: a module is one for a process.
static TOKEN: OnceLock<Arc<MemoryToken>> = OnceLock::new();
static PROCESS: OnceLock<u32> = OnceLock::new();
static TURN: Mutex<()> = Mutex::new(());
static FILE: OnceLock<tempfile::TempPath> = OnceLock::new();

/// The module, initialised with an empty token, until this is dropped.
pub struct Running {
    pub api: Api,
    pub token: Arc<MemoryToken>,
    _turn: MutexGuard<'static, ()>,
}

/// A forked child has a token of its own: that of its parent may have been locked by a thread that the child does not have.
fn connect(_config: &TokenConfig) -> TokenResult<Arc<dyn Token>> {
    if std::process::id() == *PROCESS.get_or_init(std::process::id) {
        return Ok(token());
    }
    Ok(Arc::new(MemoryToken::default()))
}

pub fn token() -> Arc<MemoryToken> {
    Arc::clone(TOKEN.get_or_init(Arc::default))
}

/// A configuration with one token.
pub fn configuration() -> &'static str {
    let file = FILE.get_or_init(|| {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "[[token]]\nlabel = \"memory\"\naddresses = [\"https://192.0.2.1:8443\"]\nroots = \"/nowhere\"\n";
        std::fs::write(file.path(), text).unwrap();
        file.into_temp_path()
    });
    file.to_str().unwrap()
}

/// Initialises the module.
pub fn run() -> Running {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    connect_by(connect);
    let token = token();
    token.reset();
    let api = Api {
        list: &table::LIST_3_2,
    };
    assert_eq!(api.initialize(configuration()), CKR_OK);
    Running {
        api,
        token,
        _turn: turn,
    }
}

/// Compiles C source to a shared object.
pub fn compile(folder: &Path, source: &str) -> PathBuf {
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

impl Running {
    /// A session that writes, of an account that has signed in.
    pub fn session(&self) -> CK_SESSION_HANDLE {
        let session = self.api.open(0, CKF_RW_SESSION).unwrap();
        match self.api.login(session, CKU_USER, PIN) {
            CKR_OK | CKR_USER_ALREADY_LOGGED_IN => session,
            rv => panic!("{rv:#x}"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.token.heal();
        self.api.finalize();
    }
}
