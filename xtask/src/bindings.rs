//! `cargo xtask bindings`: the client library for Python, C, Kotlin and Swift, in one folder.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::{
    packages, process, python,
    terminal::{Spinner, say},
    workspace::Workspace,
};

/// The flags of `cargo xtask bindings`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where to put them [default: target/bindings].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Where the C library will be installed, for its pkg-config file.
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    pub(crate) prefix: String,
}

/// The library that the Kotlin and Swift sources go with.
const LIBRARY: &str = "libstrongroom_bindings.so";

pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let workspace = Workspace::find()?;
    packages::ensure(packages::BUILD)?;
    let environment = python::environment(&workspace.target().join("test-venv"))?;
    // The whole workspace is selected, so that features are resolved alike for every chore and no dependency is built twice.
    process::succeed(workspace.cargo().args([
        "build",
        "--release",
        "--workspace",
        "--lib",
        "--bin=strongroom-bindgen",
    ]))?;
    let out = match &options.out {
        Some(out) => env::current_dir()
            .context("there is no current folder")?
            .join(out),
        None => workspace.target().join("bindings"),
    };
    let wheel = wheel(&workspace, &environment, &out.join("python"))?;
    for language in ["kotlin", "swift"] {
        let folder = out.join(language);
        process::answer(
            Command::new(workspace.target().join("release/strongroom-bindgen"))
                .current_dir(workspace.root())
                .args([
                    "generate",
                    "--no-format",
                    "--language",
                    language,
                    "--out-dir",
                ])
                .arg(&folder)
                .arg("--library")
                .arg(workspace.target().join("release").join(LIBRARY)),
        )?;
        copy(&workspace, LIBRARY, &folder)?;
    }
    c(&workspace, &out.join("c"), &options.prefix)?;
    say!("Python:  {}", wheel.display());
    for language in ["kotlin", "swift", "c"] {
        say!(
            "{:8} {}",
            format!("{language}:"),
            out.join(language).display()
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Builds the wheel of the Python package into `out`, which then holds no other. The workspace must have been built.
pub(crate) fn wheel(workspace: &Workspace, python: &Path, out: &Path) -> Result<PathBuf> {
    let _spinner = Spinner::start("building the Python package");
    let unusable = || format!("{} cannot be used", out.display());
    if out.exists() {
        fs::remove_dir_all(out).with_context(unusable)?;
    }
    // maturin looks for the generator by this name, and would build another in another profile.
    let tools = out.join("tools");
    fs::create_dir_all(&tools).with_context(unusable)?;
    std::os::unix::fs::symlink(
        workspace.target().join("release/strongroom-bindgen"),
        tools.join("uniffi-bindgen"),
    )
    .with_context(unusable)?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([tools.clone()].into_iter().chain(env::split_paths(&path)))
        .context("PATH cannot be written")?;
    process::answer(
        Command::new(python)
            .args(["-m", "maturin", "build", "--release", "--locked", "--quiet"])
            .arg("--out")
            .arg(out)
            .arg("--manifest-path")
            .arg(workspace.root().join("bindings/uniffi/Cargo.toml"))
            .env("PATH", path)
            .env("CARGO_TARGET_DIR", workspace.target()),
    )?;
    fs::remove_dir_all(tools).with_context(unusable)?;
    let made = fs::read_dir(out).with_context(unusable)?;
    made.flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|ending| ending == "whl"))
        .context("maturin made no wheel")
}

/// Header, libraries and the file for pkg-config, as they are installed below a prefix.
fn c(workspace: &Workspace, out: &Path, prefix: &str) -> Result<()> {
    let source = workspace.root().join("bindings/c");
    let (include, lib) = (out.join("include"), out.join("lib"));
    let description = lib.join("pkgconfig");
    for folder in [&include, &description] {
        fs::create_dir_all(folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
    }
    fs::copy(
        source.join("include/strongroom.h"),
        include.join("strongroom.h"),
    )
    .context("the header cannot be copied")?;
    for library in ["libstrongroom.so", "libstrongroom.a"] {
        copy(workspace, library, &lib)?;
    }
    let template = fs::read_to_string(source.join("strongroom.pc.in"))
        .context("the template for pkg-config cannot be read")?;
    fs::write(
        description.join("strongroom.pc"),
        package_description(&template, prefix),
    )
    .context("the file for pkg-config cannot be written")
}

fn package_description(template: &str, prefix: &str) -> String {
    template
        .replace("@PREFIX@", prefix)
        .replace("@VERSION@", env!("CARGO_PKG_VERSION"))
}

fn copy(workspace: &Workspace, library: &str, to: &Path) -> Result<()> {
    let built = workspace.target().join("release").join(library);
    fs::copy(&built, to.join(library))
        .with_context(|| format!("{} cannot be copied", built.display()))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pkg_config_is_told_where_and_what() {
        let template = include_str!("../../bindings/c/strongroom.pc.in");
        let made = package_description(template, "/opt/strongroom");
        assert!(made.starts_with("prefix=/opt/strongroom\n"), "{made}");
        assert!(!made.contains('@'), "{made}");
    }
}
