//! Files and folders of the tests.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;

/// Makes a folder for its owner alone.
pub(crate) fn make_folder(path: &Path) {
    fs::DirBuilder::new().mode(0o700).create(path).unwrap();
}

/// All that a file has, and nothing where there is none.
pub(crate) fn read_text(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(path) {
        file.read_to_end(&mut bytes).unwrap();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Copies all files of a folder into another that is there, with their modes. Sockets are left where they are.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            if !target.exists() {
                make_folder(&target);
            }
            copy_folder(&entry.path(), &target);
        } else if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
