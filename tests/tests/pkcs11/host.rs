//! A host that lives dangerously, in C: it forks, ends, unloads the module and begins again while sixteen of its threads sign.

use std::path::Path;

use strongroom_tests::legacy::{SignsIn, module, said};

use crate::pkcs11::machine;

/// Has the host do something of this kind on a machine of its own.
fn host(act: &str) {
    let (appliance, machine) = machine(SignsIn::ByPin);
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut gcc = machine.command("gcc");
    gcc.args([
        "-std=gnu11",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
        "host",
    ])
    .arg(tests.join("tests/pkcs11/host.c"))
    .arg("-I")
    .arg(tests.join("../pkcs11-shim/tests/c"))
    .args(["-ldl", "-lpthread"]);
    let compiled = said(&mut gcc);
    assert!(compiled.success, "{}", compiled.text);
    // What hangs is killed.
    let mut command = machine.command("timeout");
    command.args([
        "--signal=KILL",
        "120",
        "./host",
        &module(),
        &machine.pin(),
        act,
    ]);
    let said = said(&mut command);
    assert!(said.success, "{act}: {}\n{}", said.text, machine.log());
    assert_eq!(said.text, "", "the module prints nothing");
    assert_eq!(appliance.verify_audit()["verified"], true);
}

#[test]
fn children_of_a_host_with_threads_begin_at_any_moment() {
    host("forks");
}

#[test]
fn a_host_ends_while_its_threads_sign() {
    host("exits");
}

#[test]
fn a_host_unloads_a_module_that_was_not_ended() {
    host("unloads");
}

#[test]
fn a_host_ends_the_module_while_its_threads_sign_and_begins_again() {
    host("ends");
}
