//! Builds Kryoptic, a PKCS#11 3.x module in Rust, for the tests of `tests/kryoptic`: it goes to `kryoptic/libkryoptic_pkcs11.so`
//! in cargo's target folder.
//!
//! It needs a C compiler, make, perl, libclang (Debian: `libclang-14-dev`) and SQLite (`libsqlite3-dev`). Kryoptic does
//! Ed25519 with OpenSSL 3.2 or newer only, which Debian 12 does not have: so OpenSSL's libcrypto is built first, from the crate `openssl-src`,
//! and linked statically. All of it takes about seven minutes on two cores.

use std::{
    env,
    error::Error,
    fs::{self, OpenOptions},
    io::Write as _,
    path::Path,
    process::Command,
    thread,
};

const MANIFEST: &str = r#"[package]
name = "sources"
version = "0.1.0"
edition = "2024"

[lib]
path = "lib.rs"

[dependencies]
kryoptic = "=1.5.4"
openssl-src = "=300.6.1"

[workspace]
"#;

/// What the crate `ossl-sys` would choose, less what Kryoptic does not link.
const OPENSSL: [&str; 36] = [
    "no-shared",
    "no-deprecated",
    "no-aria",
    "no-argon2",
    "no-atexit",
    "no-des",
    "no-dsa",
    "no-cast",
    "no-mdc2",
    "no-ec2m",
    "no-rc2",
    "no-rc4",
    "no-rc5",
    "no-rmd160",
    "no-seed",
    "no-sm2",
    "no-sm3",
    "no-sm4",
    "no-docs",
    "no-tests",
    "no-apps",
    "no-ssl",
    "no-tls",
    "no-quic",
    "no-cms",
    "no-ts",
    "no-ocsp",
    "no-cmp",
    "no-dynamic-engine",
    "no-engine",
    "no-legacy",
    "no-dtls",
    "no-srtp",
    "no-uplink",
    "-fPIC",
    "enable-ec_nistp_64_gcc_128",
];

fn main() -> Result<(), Box<dyn Error>> {
    let own = env::current_exe()?;
    let target = own.ancestors().nth(3).ok_or("no target folder")?;
    let folder = target.join("kryoptic");
    let module = folder.join("libkryoptic_pkcs11.so");
    if module.exists() {
        return Ok(());
    }
    let sources = folder.join("sources");
    fs::create_dir_all(&sources)?;
    fs::write(sources.join("Cargo.toml"), MANIFEST)?;
    fs::write(sources.join("lib.rs"), "")?;
    let vendor = sources.join("vendor");
    if !vendor.exists() {
        run(&sources, cargo().args(["vendor", "--quiet", "vendor"]))?;
        // It is no member of the workspace that it lies in.
        OpenOptions::new()
            .append(true)
            .open(vendor.join("kryoptic/Cargo.toml"))?
            .write_all(b"\n[workspace]\n")?;
    }
    let openssl = vendor.join("openssl-src/openssl");
    if !openssl.join("libcrypto.a").exists() {
        let jobs = format!("-j{}", thread::available_parallelism()?);
        run(
            &openssl,
            Command::new("perl").arg("Configure").args(OPENSSL),
        )?;
        run(
            &openssl,
            Command::new("make").args([&jobs, "build_generated"]),
        )?;
        run(&openssl, Command::new("make").args([&jobs, "libcrypto.a"]))?;
    }
    run(
        &vendor.join("kryoptic"),
        cargo()
            .args(["build", "--release", "--lib", "--no-default-features"])
            .args(["--features", "standard,ossl/ossl-sys"])
            .env("KRYOPTIC_OPENSSL_SOURCES", &openssl)
            .env("CARGO_TARGET_DIR", folder.join("target")),
    )?;
    fs::copy(folder.join("target/release/libkryoptic_pkcs11.so"), &module)?;
    Ok(())
}

fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

fn run(folder: &Path, command: &mut Command) -> Result<(), Box<dyn Error>> {
    let status = command.current_dir(folder).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?} in {}: {status}", folder.display()).into())
    }
}
