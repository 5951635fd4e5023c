//! Where the workspace is, and building it with cargo.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process;

/// The workspace this xtask belongs to.
pub(crate) struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo where the workspace and its target folder are.
    pub(crate) fn find() -> Result<Self> {
        #[derive(Deserialize)]
        struct Metadata {
            workspace_root: PathBuf,
            target_directory: PathBuf,
        }
        // Set by `cargo run` to the folder of this crate, wherever the command was typed.
        let here = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let mut cargo = cargo(&here);
        let metadata =
            process::answer(cargo.args(["metadata", "--no-deps", "--format-version=1"]))?;
        let metadata: Metadata = serde_json::from_slice(&metadata)
            .context("cargo's description of the workspace cannot be read")?;
        Ok(Self {
            root: metadata.workspace_root,
            target: metadata.target_directory,
        })
    }

    /// The folder with the workspace's Cargo.toml.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The folder that holds all that is built.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// cargo, to be run at the root.
    pub(crate) fn cargo(&self) -> Command {
        cargo(&self.root)
    }

    /// Builds one of the client library's sample programs.
    pub(crate) fn build_example(&self, name: &str) -> Result<()> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--release", "--workspace", "--example", name]);
        process::succeed(&mut cargo)
    }

    /// Builds the PKCS#11 module, beside the programs.
    pub(crate) fn build_module(&self) -> Result<()> {
        let mut cargo = self.cargo();
        cargo.args(["build", "--release", "-p", "strongroom-pkcs11", "--lib"]);
        process::succeed(&mut cargo)
    }

    /// Builds these programs, showing cargo's own progress, and says where they are.
    pub(crate) fn build<const N: usize>(&self, programs: [&str; N]) -> Result<[PathBuf; N]> {
        // The whole workspace is selected, so that features are resolved alike for every chore and no
        // dependency is built twice; only what these programs need is built.
        let mut cargo = self.cargo();
        cargo.args(["build", "--release", "--workspace"]);
        for program in programs {
            cargo.args(["--bin", program]);
        }
        process::succeed(&mut cargo)?;
        Ok(programs.map(|program| self.target.join("release").join(program)))
    }
}

fn cargo(folder: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder);
    cargo
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_workspace_is_found_from_its_member() {
        let workspace = Workspace::find().unwrap();
        assert!(workspace.root().join("xtask/src/workspace.rs").is_file());
        assert!(workspace.target().is_absolute());
    }
}
