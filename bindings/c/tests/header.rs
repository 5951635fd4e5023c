//! The header that is committed is the one that cbindgen makes of the sources.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::{env, fs};

#[test]
fn the_header_is_the_one_that_is_made() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(here.join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_crate(here)
        .generate()
        .unwrap()
        .write(&mut made);
    let committed = here.join("include/strongroom.h");
    if env::var_os("STRONGROOM_WRITE_HEADER").is_some() {
        fs::write(&committed, &made).unwrap();
    }
    let committed = fs::read_to_string(committed).unwrap_or_default();
    assert_eq!(
        committed,
        String::from_utf8(made).unwrap(),
        "make it anew: STRONGROOM_WRITE_HEADER=1 cargo test --release -p strongroom-c"
    );
}
