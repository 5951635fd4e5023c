//! Protects a stream, and reads the middle of the object from a store that can read nothing.
//!
//! ```console
//! $ cargo run --example objects -- bob@example.com log.sealed                          # writes an object
//! $ cargo run --example objects -- https://storage.example/film.sealed 1000000 100     # 100 bytes from the millionth on
//! ```

use std::error::Error;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write};
use std::{env, fs};

use strongroom_client::object::{HttpRange, RangeSource};
use strongroom_client::{Client, Protect as _, Protection, Roots, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let roots = Roots::from_pem(&fs::read(env::var("STRONGROOM_CA")?)?)?;
    let client = Client::new(&env::var("STRONGROOM_SERVER")?, &roots)?;
    let password = fs::read_to_string(env::var("STRONGROOM_PASSWORD_FILE")?)?;
    let session = client.sign_in(
        &env::var("STRONGROOM_ACCOUNT")?,
        password.trim_end().as_bytes(),
    )?;

    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.as_slice() {
        [reader, file] => {
            protect_log(&session, reader, 1000, fs::File::create_new(file)?)?;
        }
        [url, offset, length] => {
            let storage = Roots::from_pem(&fs::read("/etc/ssl/certs/ca-certificates.crt")?)?;
            let stored = HttpRange::new(url, &storage)?;
            let part = middle(&session, stored, offset.parse()?, length.parse()?)?;
            io::stdout().write_all(&part)?;
        }
        _ => return Err("a reader and a file, or an address, an offset and a length".into()),
    }
    Ok(())
}

/// Encrypts lines as they are written: they are never on the disk in plain.
pub(crate) fn protect_log<W: Write>(
    session: &Session,
    reader: &str,
    lines: u32,
    store: W,
) -> Result<W, Box<dyn Error>> {
    let protection = Protection {
        label: "machine log".to_owned(),
        content_type: Some("text/plain".to_owned()),
        ..Protection::default()
    };
    let mut object = session.writer(&protection.to(reader), store)?;
    for line in 0..lines {
        writeln!(object, "line {line:>9}")?;
    }
    // Without this it is truncated, and every reader says so.
    Ok(object.finish()?)
}

/// Reads a part of an object, wherever it is stored: only the chunks that hold the part are fetched.
pub(crate) fn middle(
    session: &Session,
    stored: impl RangeSource,
    offset: u64,
    length: usize,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut object = session.open_at(stored)?;
    object.seek(SeekFrom::Start(offset))?;
    let mut part = vec![0; length];
    object.read_exact(&mut part)?;
    Ok(part)
}
