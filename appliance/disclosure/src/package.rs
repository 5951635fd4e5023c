//! The delivery package: one file with the manifest, the delivery record of each item and the sealed keys.
//!
//! The file is a tape archive in the `ustar` interchange format (IEEE Std 1003.1, `pax`), so that any `tar` unpacks it, with exactly these
//! members in this order:
//!
//! | member | content |
//! |---|---|
//! | `manifest.json` | the manifest, in the form of RFC 8785 |
//! | `00001.record.json` | the first item's delivery record |
//! | `00001.p7m` or `00001.hpke` | the first item's sealed key |
//! | … | and so on, to the last item |
//!
//! Every header field that says nothing of an item is fixed, so that the same delivery is the same file. The leaf `disclosure.release` has the
//! SHA-256 of the manifest, which has those of all the rest.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use strongroom_approval::canonical;
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::id::{AuthorisationId, DisclosureId};

use crate::DisclosureError;
use crate::agency::{SealedForm, sha256};
use crate::record::DeliveryRecord;

/// What a manifest's `format` says.
pub const FORMAT: &str = "strongroom-delivery/1";
/// The most items that one delivery has.
pub const MOST_ITEMS: u32 = 10_000;

const BLOCK: usize = 512;
const MANIFEST: &str = "manifest.json";

/// What a delivery is, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`FORMAT`].
    pub format: String,
    /// The name of the log that its leaves are in.
    pub domain_origin: String,
    /// The authorisation's identifier.
    pub authorisation: AuthorisationId,
    /// Its generation.
    pub generation: u32,
    /// The hash of that generation's authorisation record: SHA-256 in hexadecimal.
    pub authorisation_sha256: String,
    /// The order's reference.
    pub reference: String,
    /// The delivery.
    pub delivery: DisclosureId,
    /// When it was released.
    pub released: Timestamp,
    /// How its keys are sealed.
    pub form: SealedForm,
    /// The fingerprint of the certificate or key to which they are sealed.
    pub sealing_key_sha256: String,
    /// Its items, in order.
    pub items: Vec<ManifestItem>,
}

/// An item of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestItem {
    /// The hash of its delivery record: SHA-256 in hexadecimal.
    pub record_sha256: String,
    /// The hash of its sealed key.
    pub sealed_sha256: String,
}

/// Why a package cannot be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// What the manifest says and what is in the package differ.
    #[error("{0} is not what the manifest says")]
    Differs(String),
    /// It is no delivery package.
    #[error("this is no delivery package: {0}")]
    NoPackage(&'static str),
    /// It could not be written.
    #[error("the package could not be written: {0}")]
    Io(#[from] io::Error),
}

impl Manifest {
    /// Its bytes.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Failed`], never for what is well-formed.
    pub fn to_bytes(&self) -> Result<Vec<u8>, DisclosureError> {
        canonical::to_vec(self).map_err(|_| DisclosureError::Failed)
    }

    /// The manifest of these bytes.
    ///
    /// # Errors
    ///
    /// [`DisclosureError::Malformed`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DisclosureError> {
        canonical::from_slice(bytes)
            .ok()
            .filter(|manifest: &Self| {
                manifest.format == FORMAT
                    && manifest.items.len() <= MOST_ITEMS as usize
                    // No identifier in capitals, either.
                    && manifest.to_bytes().is_ok_and(|again| again == bytes)
            })
            .ok_or(DisclosureError::Malformed)
    }

    /// How many bytes the package has whose items' records and sealed keys are so long.
    #[must_use]
    pub fn package_length(manifest: usize, lengths: impl IntoIterator<Item = usize>) -> u64 {
        let member = |length: usize| (BLOCK + length.next_multiple_of(BLOCK)) as u64;
        let members: u64 = lengths.into_iter().map(member).sum();
        member(manifest) + members + 2 * BLOCK as u64
    }
}

/// A package, in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its manifest.
    pub manifest: Manifest,
    /// The items' delivery records and sealed keys, in order.
    pub items: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Package {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// [`PackageError::Differs`], [`PackageError::Io`].
    pub fn write(&self, into: impl Write) -> Result<(), PackageError> {
        let mut writer = PackageWriter::new(into, &self.manifest)?;
        for (record, sealed) in &self.items {
            writer.item(record, sealed)?;
        }
        writer.finish().map(|_| ())
    }

    /// Reads one, and holds everything in it against the manifest. What the leaves say is not looked at.
    ///
    /// # Errors
    ///
    /// [`PackageError::NoPackage`], [`PackageError::Differs`].
    pub fn read(bytes: &[u8]) -> Result<Self, PackageError> {
        let mut reader = Members { rest: bytes };
        let manifest = Manifest::from_bytes(reader.member(MANIFEST)?)
            .map_err(|_| PackageError::NoPackage("its manifest cannot be read"))?;
        let mut items = Vec::with_capacity(manifest.items.len());
        for (position, item) in manifest.items.iter().enumerate() {
            let [record_name, sealed_name] = names(position, manifest.form);
            let record = reader.member(&record_name)?;
            let sealed = reader.member(&sealed_name)?;
            check(&manifest, position, item, record, sealed)?;
            items.push((record.to_vec(), sealed.to_vec()));
        }
        if reader.rest != [0; 2 * BLOCK] {
            return Err(PackageError::NoPackage("it does not end where it should"));
        }
        Ok(Self { manifest, items })
    }
}

/// Writes a package item by item.
#[derive(Debug)]
pub struct PackageWriter<'a, W: Write> {
    into: W,
    manifest: &'a Manifest,
    written: usize,
}

impl<'a, W: Write> PackageWriter<'a, W> {
    /// Begins a package.
    ///
    /// # Errors
    ///
    /// [`PackageError::Io`].
    pub fn new(mut into: W, manifest: &'a Manifest) -> Result<Self, PackageError> {
        let bytes = manifest
            .to_bytes()
            .map_err(|_| PackageError::NoPackage("its manifest cannot be written"))?;
        write_member(&mut into, MANIFEST, &bytes)?;
        Ok(Self {
            into,
            manifest,
            written: 0,
        })
    }

    /// Writes the next item.
    ///
    /// # Errors
    ///
    /// [`PackageError::Differs`] when it is not the next one of the manifest; [`PackageError::Io`].
    pub fn item(&mut self, record: &[u8], sealed: &[u8]) -> Result<(), PackageError> {
        let item = self
            .manifest
            .items
            .get(self.written)
            .ok_or_else(|| PackageError::Differs("the number of items".to_owned()))?;
        check(self.manifest, self.written, item, record, sealed)?;
        let [record_name, sealed_name] = names(self.written, self.manifest.form);
        write_member(&mut self.into, &record_name, record)?;
        write_member(&mut self.into, &sealed_name, sealed)?;
        self.written += 1;
        Ok(())
    }

    /// Ends the package.
    ///
    /// # Errors
    ///
    /// [`PackageError::Differs`] when items are missing; [`PackageError::Io`].
    pub fn finish(mut self) -> Result<W, PackageError> {
        if self.written != self.manifest.items.len() {
            return Err(PackageError::Differs("the number of items".to_owned()));
        }
        self.into.write_all(&[0; 2 * BLOCK])?;
        Ok(self.into)
    }
}

/// The names of an item's record and sealed key.
#[must_use]
pub fn names(position: usize, form: SealedForm) -> [String; 2] {
    let sequence = position + 1;
    [
        format!("{sequence:05}.record.json"),
        format!("{sequence:05}.{}", form.extension()),
    ]
}

/// Holds an item against the manifest and its own record.
fn check(
    manifest: &Manifest,
    position: usize,
    item: &ManifestItem,
    record: &[u8],
    sealed: &[u8],
) -> Result<(), PackageError> {
    let [record_name, sealed_name] = names(position, manifest.form);
    if item.record_sha256 != hex::encode(sha256(record)) {
        return Err(PackageError::Differs(record_name));
    }
    if item.sealed_sha256 != hex::encode(sha256(sealed)) {
        return Err(PackageError::Differs(sealed_name));
    }
    let agrees = DeliveryRecord::from_bytes(record).is_ok_and(|record| {
        record.domain_origin == manifest.domain_origin
            && record.authorisation == manifest.authorisation
            && record.generation == manifest.generation
            && record.authorisation_sha256 == manifest.authorisation_sha256
            && record.reference == manifest.reference
            && record.delivery == manifest.delivery
            && record.released == manifest.released
            && record.sequence as usize == position + 1
            && record.last_sequence as usize == manifest.items.len()
            && record.sealing_key_sha256 == manifest.sealing_key_sha256
            && record.sealed_sha256 == item.sealed_sha256
    });
    if agrees {
        Ok(())
    } else {
        Err(PackageError::Differs(record_name))
    }
}

fn write_member(into: &mut impl Write, name: &str, content: &[u8]) -> Result<(), PackageError> {
    let header =
        header(name, content.len()).ok_or(PackageError::NoPackage("a member is too long"))?;
    into.write_all(&header)?;
    into.write_all(content)?;
    let padding = content.len().next_multiple_of(BLOCK) - content.len();
    into.write_all(&[0; BLOCK][..padding])?;
    Ok(())
}

/// The header of a regular file that anybody may read, of nobody in particular, from the beginning of 1970.
fn header(name: &str, length: usize) -> Option<[u8; BLOCK]> {
    // Eleven octal digits: up to 8 GiB.
    let length = u64::try_from(length)
        .ok()
        .filter(|length| *length < 1 << 33)?;
    let mut header = [0; BLOCK];
    let mut put = |at: usize, field: &[u8]| header[at..at + field.len()].copy_from_slice(field);
    put(0, name.as_bytes());
    put(100, b"0000444\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{length:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Some(header)
}

/// The members that are left of a package.
struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Members<'a> {
    /// The next member's content, which has to have this name.
    fn member(&mut self, name: &str) -> Result<&'a [u8], PackageError> {
        const TRUNCATED: PackageError = PackageError::NoPackage("it is truncated");
        let (header, rest) = self.rest.split_first_chunk::<BLOCK>().ok_or(TRUNCATED)?;
        let length = std::str::from_utf8(&header[124..135])
            .ok()
            .and_then(|octal| usize::from_str_radix(octal, 8).ok())
            .ok_or(PackageError::NoPackage("a member has no length"))?;
        if self::header(name, length).as_ref() != Some(header) {
            return Err(PackageError::NoPackage(
                "a member is another one than should be there",
            ));
        }
        let padded = length.checked_next_multiple_of(BLOCK).ok_or(TRUNCATED)?;
        let (content, rest) = rest.split_at_checked(padded).ok_or(TRUNCATED)?;
        let (content, padding) = content.split_at(length);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(PackageError::NoPackage("a member is not padded with zeros"));
        }
        self.rest = rest;
        Ok(content)
    }
}
