//! How the module is linked.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Once loaded it stays until the process ends: a thread that overwrites keys, one that looks up a name, and what runs around a fork are never left
    // without their code, whenever an application closes the library.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
