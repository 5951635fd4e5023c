//! `open` of a part of an object, or of one in somebody's storage: only the chunks that are needed are read.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use strongroom_client::file::NewFile;
use strongroom_client::object::{CobblestoneError, HttpRange, RangeSource};
use strongroom_client::{ClientError, Protect as _, Roots};
use zeroize::Zeroizing;

use super::{Target, is_stream, of_stream, shown, tell};
use crate::Context;
use crate::failure::Failure;
use crate::output::size;

/// Where systems keep the certificates of the public authorities.
const SYSTEM_CA: [&str; 2] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];
/// So much is read, authenticated and written at once.
const PIECE: u64 = 1024 * 1024;

/// Which part of an object is opened, and from where.
#[derive(Args, Debug)]
pub(super) struct Part {
    /// Open the content from this byte on, and read nothing of the object that stands before it.
    #[arg(long, value_name = "BYTES")]
    offset: Option<u64>,
    /// Open at most so many bytes of the content.
    #[arg(long, value_name = "BYTES")]
    length: Option<u64>,
    /// The certificates that vouch for the storage at an https address, in PEM [default: the system's, and the appliance's].
    #[arg(long, value_name = "FILE")]
    storage_ca: Option<PathBuf>,
}

/// Whether this is the address of an object, and no file's name.
pub(super) fn is_address(file: &Path) -> bool {
    let text = file.to_str().unwrap_or_default();
    text.starts_with("https://") || text.starts_with("http://")
}

impl Part {
    /// Whether not all of the content is wanted.
    pub(super) fn is_wanted(&self) -> bool {
        self.offset.is_some() || self.length.is_some()
    }

    /// Opens it.
    pub(super) fn open(
        &self,
        context: &Context,
        file: &Path,
        output: &Path,
        force: bool,
    ) -> Result<(), Failure> {
        if is_stream(file) {
            return Err(Failure::Usage(
                "a part of standard input cannot be opened: name a file or an address".to_owned(),
            ));
        }
        if let Some(url) = file.to_str().filter(|_| is_address(file)) {
            let stored = HttpRange::new(url, &self.roots(context)?)?;
            return self.open_from(context, stored, output, force);
        }
        let opened = File::open(file).map_err(|error| {
            Failure::local(format!("{} cannot be read", file.display()), &error)
        })?;
        self.open_from(context, opened, output, force)
    }

    fn open_from(
        &self,
        context: &Context,
        source: impl RangeSource,
        output: &Path,
        force: bool,
    ) -> Result<(), Failure> {
        let mut target = Target::new(output, force, NewFile::private)?;
        let session = context.session()?;
        let mut object = session.open_at(source)?;
        let whole = object.length()?;
        let offset = self.offset.unwrap_or(0);
        if offset > whole {
            return Err(Failure::Usage(format!(
                "the content has {whole} bytes: nothing of it is at byte {offset}"
            )));
        }
        let length = self.length.unwrap_or(u64::MAX).min(whole - offset);
        let mut done = 0;
        while done < length {
            let piece = usize::try_from(PIECE.min(length - done)).unwrap_or(usize::MAX);
            let mut bytes = Zeroizing::new(vec![0; piece]);
            let read = object.read_at(offset + done, &mut bytes)?;
            let written = target.write_all(&bytes[..read]);
            written
                .map_err(|error| ClientError::Object(CobblestoneError::Write(error).into()))
                .map_err(of_stream(output))?;
            done += read as u64;
            if read < piece {
                break;
            }
        }
        target.complete(output)?;

        let header = object.header();
        let answer = json!({
            "key_id": header.key(),
            "version": header.key_version(),
            "output": shown(output),
            "offset": offset,
            "bytes": done,
            "content_bytes": whole,
            "content_type": header.content_type(),
            "leaf": object.leaf(),
        });
        let text = || {
            format!(
                "{} is opened: {} of {}.",
                shown(output),
                size(done),
                size(whole)
            )
        };
        tell(context, output, &answer, text)
    }

    /// Who may vouch for the storage. What comes from there is authenticated whoever does.
    fn roots(&self, context: &Context) -> Result<Roots, Failure> {
        if let Some(file) = &self.storage_ca {
            let pem = fs::read(file).map_err(|error| {
                Failure::local(format!("{} cannot be read", file.display()), &error)
            })?;
            return Ok(Roots::from_pem(&pem)?);
        }
        let mut pem = context.home.ca()?;
        for file in SYSTEM_CA {
            if let Ok(system) = fs::read(file) {
                pem.push(b'\n');
                pem.extend_from_slice(&system);
            }
        }
        Ok(Roots::from_pem(&pem)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_files() {
        for address in ["https://storage.example/film.sealed?a=b", "http://[::1]/x"] {
            assert!(is_address(Path::new(address)), "{address}");
        }
        for file in ["film.sealed", "-", "https", "./https://a", "ftp://a/b"] {
            assert!(!is_address(Path::new(file)), "{file}");
        }
    }
}
