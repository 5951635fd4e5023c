//! A gateway: takes what sensors sealed for it out of a store that can read nothing, and opens it.
//!
//! ```console
//! $ gateway /etc/gateway /mnt/store
//! 2026-11-27T18:00:00.000Z 01934c1e-7d5a-7cc0-8f3e-0123456789ab 21.5 C
//! ```
//!
//! Prints when each reading was sealed, by which account, and the reading: the envelope vouches for all three. What cannot be opened stays in
//! the store, and the exit code is 1. `/etc/gateway` is as the [sensor](sensor.rs)'s.

mod device_folder;

use std::error::Error;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, fs};

use strongroom_client::Protect as _;

/// So many readings are opened with one request.
const BATCH: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, store] = arguments.as_slice() else {
        return Err("usage: gateway FOLDER STORE".into());
    };
    let gateway = device_folder::device(Path::new(folder))?;
    let mut failed = 0;
    for batch in sealed(Path::new(store))?.chunks(BATCH) {
        let envelopes = batch.iter().map(fs::read).collect::<Result<Vec<_>, _>>()?;
        for (name, opened) in batch.iter().zip(gateway.open_messages(&envelopes)?) {
            match opened {
                Ok(message) => {
                    let reading = String::from_utf8_lossy(&message.plaintext);
                    let header = &message.header;
                    writeln!(io::stdout(), "{} {} {reading}", header.time, header.sender)?;
                    fs::remove_file(name)?;
                }
                Err(error) => {
                    failed += 1;
                    writeln!(io::stderr(), "{}: {error}", name.display())?;
                }
            }
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} readings were not opened").into()),
    }
}

/// What is in the store, the oldest first.
fn sealed(store: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(store)? {
        let name = entry?.path();
        if name.extension().is_some_and(|ending| ending == "sealed") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}
