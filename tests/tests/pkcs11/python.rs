//! Python: `python-pkcs11` and `PyKCS11`.

use std::env;
use std::fs;

use strongroom_tests::legacy::{Machine, SignsIn, module, said};

use crate::pkcs11::machine;

/// Runs a program of Python, which asserts by itself.
fn python(machine: &Machine, program: &str) {
    let python = env::var("STRONGROOM_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    fs::write(machine.file("program.py"), program).unwrap();
    let mut command = machine.command(python);
    command
        .arg("program.py")
        .env("MODULE", module())
        .env("PIN", machine.pin());
    let said = said(&mut command);
    assert!(
        said.success,
        "{}\n{}\n{}",
        said.command,
        said.text,
        machine.log()
    );
}

#[test]
fn python_pkcs11_works_with_keys_of_the_appliance() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    python(&machine, include_str!("python_pkcs11.py"));
    assert!(machine.log().contains("works in the appliance"));
}

#[test]
fn pykcs11_works_with_keys_of_the_appliance() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    python(&machine, include_str!("pykcs11.py"));
    assert!(machine.log().contains("works in the appliance"));
}

#[test]
fn threads_forks_and_ends_leave_nothing_behind() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    python(&machine, include_str!("life.py"));
}
