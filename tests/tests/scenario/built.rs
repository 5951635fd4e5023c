//! What the drivers are made with.

use std::env;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use strongroom_tests::programs;

/// The environment variable that names a Python with pip and mypy.
const PYTHON: &str = "STRONGROOM_TEST_PYTHON";
/// The environment variable that names the wheel of the Python package.
const WHEEL: &str = "STRONGROOM_TEST_WHEEL";

/// A file of this crate.
pub(crate) fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The folder with all of the project.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn variable(name: &str) -> PathBuf {
    let value = env::var_os(name);
    value.map_or_else(
        || panic!("{name} is not set: run `cargo xtask test`, which sets it up"),
        PathBuf::from,
    )
}

/// The Python of a new virtual environment that has the wheel and nothing else.
pub(crate) fn python(folder: &Path) -> PathBuf {
    let (maker, environment) = (variable(PYTHON), folder.join("venv"));
    run(Command::new(&maker)
        .args(["-m", "venv", "--without-pip"])
        .arg(&environment));
    let python = environment.join("bin/python");
    run(Command::new(&maker)
        .args([
            "-m",
            "pip",
            "--quiet",
            "--disable-pip-version-check",
            "--python",
        ])
        .arg(&python)
        .args(["install", "--no-index"])
        .arg(variable(WHEEL)));
    python
}

/// Checks the types of the installed package, and of programs that use it, strictly.
pub(crate) fn check_types(python: &Path, programs: &[&Path]) {
    let settings = repository().join("bindings/uniffi/pyproject.toml");
    let check = || {
        let mut mypy = Command::new(variable(PYTHON));
        mypy.args([
            "-m",
            "mypy",
            "--strict",
            "--no-incremental",
            "--config-file",
        ])
        .arg(&settings)
        .arg("--python-executable")
        .arg(python);
        mypy
    };
    run(check().args(["-p", "strongroom"]));
    run(check().args(programs));
}

/// Compiles a program against the built library, with every warning an error.
pub(crate) fn c_program(source: &Path, folder: &Path) -> PathBuf {
    let program = folder.join(source.file_stem().unwrap());
    let library = programs::library("libstrongroom.so");
    let libraries = library.parent().unwrap();
    let mut cc = Command::new("cc");
    cc.args([
        "-std=c11",
        "-O1",
        "-g",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-I",
    ])
    .arg(repository().join("bindings/c/include"))
    .arg(source)
    .arg("-L")
    .arg(libraries)
    .arg("-lstrongroom")
    .arg(format!("-Wl,-rpath,{}", libraries.display()))
    .arg("-o")
    .arg(&program);
    run(&mut cc);
    program
}

/// The program under valgrind, which fails it for each byte that is lost or wrongly used.
pub(crate) fn watched(program: &Path) -> Command {
    let mut valgrind = Command::new("valgrind");
    valgrind
        .args([
            "--quiet",
            "--error-exitcode=9",
            "--leak-check=full",
            "--errors-for-leak-kinds=definite,indirect",
        ])
        .arg(program);
    valgrind
}

/// Runs a command, which must succeed.
pub(crate) fn run(command: &mut Command) {
    run_with_input(command, "");
}

/// The same with this on its standard input; answers what it printed.
pub(crate) fn run_with_input(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // Whoever asks for nothing may have ended.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        text(&output.stdout),
        text(&output.stderr)
    );
    text(&output.stdout)
}
