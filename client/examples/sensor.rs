//! A sensor: seals readings for a gateway and puts them into a store that can read nothing.
//!
//! ```console
//! $ thermometer | sensor /etc/sensor /mnt/store gateway-1
//! ```
//!
//! Readings come on standard input, one a line. `/etc/sensor` holds what the device was given (`server`, `ca.pem`, `account`, `secret`); the
//! store is a folder, such as one of a file server. `cargo xtask bench --device` builds this program as for a small device and measures it.

mod device_folder;

use std::error::Error;
use std::io::{self, BufRead as _};
use std::path::Path;
use std::{env, fs};

use strongroom_client::message::Outgoing;
use strongroom_client::{Device, Metadata, Protect as _};

/// So many readings are sealed with one request.
const BATCH: usize = 32;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, store, gateway] = arguments.as_slice() else {
        return Err("usage: sensor FOLDER STORE GATEWAY".into());
    };
    let sensor = device_folder::device(Path::new(folder))?;
    let mut readings = Vec::with_capacity(BATCH);
    for line in io::stdin().lock().lines() {
        readings.push(line?);
        if readings.len() == BATCH {
            put(&sensor, &readings, gateway, Path::new(store))?;
            readings.clear();
        }
    }
    put(&sensor, &readings, gateway, Path::new(store))
}

/// Seals readings, each under a key of its own, and puts them into the store.
fn put(
    sensor: &Device,
    readings: &[String],
    gateway: &str,
    store: &Path,
) -> Result<(), Box<dyn Error>> {
    let metadata = Metadata::new("reading").of_type("text/plain");
    let recipients = [gateway];
    let outgoing: Vec<_> = readings
        .iter()
        .map(|reading| Outgoing {
            plaintext: reading.as_bytes(),
            recipients: &recipients,
            metadata: &metadata,
        })
        .collect();
    for message in sensor.seal_messages(&outgoing)? {
        // Identifiers of keys ascend with time. The name is there when the message is complete.
        let name = store.join(message.key.id.to_string());
        let part = name.with_extension("part");
        fs::write(&part, &message.bytes)?;
        fs::rename(&part, name.with_extension("sealed"))?;
    }
    Ok(())
}
