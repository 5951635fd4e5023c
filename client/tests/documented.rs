//! Each public item of the library is shown at work: its documentation has an example, which compiles, and runs where it needs no appliance.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// What begins a public item that is to be shown. Fields, variants and modules are shown by what has them.
const ITEMS: [&str; 8] = [
    "pub fn ",
    "pub const fn ",
    "pub struct ",
    "pub enum ",
    "pub trait ",
    "pub const ",
    "pub static ",
    "pub type ",
];

/// The library's files, without the command line and tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("src/bin") {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs")
            && !path.ends_with("tests.rs")
        {
            found.push(path);
        }
    }
}

/// The items of a file that no example shows, and how many items it has.
fn unshown(text: &str) -> (Vec<&str>, usize) {
    let (mut missing, mut items) = (Vec::new(), 0);
    let (mut in_trait, mut shown) = (false, false);
    for line in text.lines() {
        let item = line.trim_start();
        if item.starts_with("mod tests") || item.starts_with("pub(crate) mod tests") {
            break;
        }
        if item.starts_with("///") {
            shown |= item.starts_with("/// ```");
            continue;
        }
        in_trait = (in_trait && line != "}") || line.starts_with("pub trait ");
        // What a trait requires has no body; the example of the trait shows it.
        let provided = in_trait && item.starts_with("fn ") && !item.ends_with(';');
        if provided || ITEMS.iter().any(|beginning| item.starts_with(beginning)) {
            items += 1;
            if !shown {
                missing.push(line);
            }
        }
        // Attributes stand between an item and its documentation, over several lines.
        let ends = item.ends_with(['{', '}', ';']) || item.is_empty();
        shown &= !ends;
    }
    (missing, items)
}

#[test]
fn each_public_item_has_an_example() {
    let mut files = Vec::new();
    sources(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
        &mut files,
    );
    let mut missing = Vec::new();
    let mut all = 0;
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let (here, items) = unshown(&text);
        all += items;
        missing.extend(
            here.iter()
                .map(|line| format!("{}: {line}", file.display())),
        );
    }
    assert!(all > 250, "{all} items in {} files", files.len());
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn an_item_without_an_example_is_found() {
    let text = "/// Says it.\n///\n/// ```\n/// a();\n/// ```\n#[must_use]\npub fn a() {\n}\n\n/// Says nothing.\n#[cfg(\n    x\n)]\npub struct B;\n\
                \n/// ```\n/// ```\npub trait C {\n    /// Required.\n    fn d(&self);\n\n    /// Provided.\n    fn e(&self) {}\n}\n";
    assert_eq!(
        unshown(text),
        (vec!["pub struct B;", "    fn e(&self) {}"], 4)
    );
}
