//! The identifiers of partitions (UEFI 2.10 section 5.3): a kernel image finds its root by those that follow from its root hash. They stand in two
//! tables, of which the one at the disk's end is written first: broken off in between, either table is whole.

use std::io::{self, Read, Seek, SeekFrom, Write};

/// A disk's sector, in bytes. Those with larger ones are written differently, and the image is not.
const SECTOR: u64 = 512;
const SIGNATURE: &[u8] = b"EFI PART";
/// The longest table: 1024 entries of 128 bytes.
const LONGEST: u64 = 128 << 10;

/// Why a disk's partitions are not given other identifiers.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The disk cannot be read or written.
    #[error("the disk's partition table cannot be read or written: {0}")]
    Io(#[from] io::Error),
    /// It has no partition table, or one that is damaged.
    #[error("the disk's partition table is damaged")]
    Damaged,
    /// There is no such partition.
    #[error("the disk has no partition {0}")]
    Missing(u32),
}

/// Gives partitions, by number, these identifiers, as they stand in the table.
pub(crate) fn identify(
    disk: &mut (impl Read + Write + Seek),
    partitions: &[(u32, [u8; 16])],
) -> Result<(), Error> {
    let first = Table::read(disk, 1)?;
    let second = Table::read(disk, number(&first.header, 32, 8))?;
    for table in [second, first] {
        let mut table = table;
        for (number, id) in partitions {
            table.identify(*number, *id)?;
        }
        table.write(disk)?;
    }
    Ok(())
}

/// 32 hexadecimal digits' worth of bytes as an identifier: the first three groups of a UUID stand with the lowest byte first.
pub(crate) fn id(uuid: [u8; 16]) -> [u8; 16] {
    let mut id = uuid;
    for group in [0..4, 4..6, 6..8] {
        id[group].reverse();
    }
    id
}

/// One of the two tables: its header, in its sector, and its entries.
struct Table {
    at: u64,
    header: Vec<u8>,
    entries: Vec<u8>,
}

impl Table {
    fn read(disk: &mut (impl Read + Seek), sector: u64) -> Result<Self, Error> {
        let at = sector.checked_mul(SECTOR).ok_or(Error::Damaged)?;
        let mut header = vec![0; usize::try_from(SECTOR).map_err(|_| Error::Damaged)?];
        disk.seek(SeekFrom::Start(at))?;
        disk.read_exact(&mut header)?;
        let mut table = Self {
            at,
            header,
            entries: Vec::new(),
        };
        if !table.header.starts_with(SIGNATURE)
            || !(92..=SECTOR).contains(&number(&table.header, 12, 4))
            || table.header_checksum() != number(&table.header, 16, 4)
        {
            return Err(Error::Damaged);
        }
        let length = number(&table.header, 80, 4) * table.entry();
        if table.entry() < 128 || length > LONGEST {
            return Err(Error::Damaged);
        }
        disk.seek(SeekFrom::Start(table.entries_at()?))?;
        disk.by_ref().take(length).read_to_end(&mut table.entries)?;
        if u64::from(checksum(&table.entries)) != number(&table.header, 88, 4) {
            return Err(Error::Damaged);
        }
        Ok(table)
    }

    /// How long an entry is.
    fn entry(&self) -> u64 {
        number(&self.header, 84, 4)
    }

    fn entries_at(&self) -> Result<u64, Error> {
        number(&self.header, 72, 8)
            .checked_mul(SECTOR)
            .ok_or(Error::Damaged)
    }

    /// Over the header, with zeros for the checksum itself.
    fn header_checksum(&self) -> u64 {
        let length = usize::try_from(number(&self.header, 12, 4)).unwrap_or_default();
        let mut header = self.header.get(..length).unwrap_or_default().to_vec();
        if let Some(checksum) = header.get_mut(16..20) {
            checksum.fill(0);
        }
        u64::from(checksum(&header))
    }

    fn identify(&mut self, partition: u32, id: [u8; 16]) -> Result<(), Error> {
        let missing = Error::Missing(partition);
        let index = u64::from(partition).checked_sub(1);
        let at = index.and_then(|index| usize::try_from(index * self.entry()).ok());
        let entry = at.and_then(|at| self.entries.get_mut(at..at.checked_add(32)?));
        match entry {
            // The kind of partition is all zeros where there is none.
            Some(entry) if entry[..16] != [0; 16] => {
                entry[16..32].copy_from_slice(&id);
                Ok(())
            }
            _ => Err(missing),
        }
    }

    fn write(&mut self, disk: &mut (impl Write + Seek)) -> Result<(), Error> {
        let entries = checksum(&self.entries);
        self.header[88..92].copy_from_slice(&entries.to_le_bytes());
        let header = u32::try_from(self.header_checksum()).map_err(|_| Error::Damaged)?;
        self.header[16..20].copy_from_slice(&header.to_le_bytes());
        disk.seek(SeekFrom::Start(self.entries_at()?))?;
        disk.write_all(&self.entries)?;
        disk.seek(SeekFrom::Start(self.at))?;
        disk.write_all(&self.header)?;
        Ok(disk.flush()?)
    }
}

/// A number of up to 8 bytes, lowest first; the header is a whole sector, so that there are as many.
fn number(bytes: &[u8], at: usize, length: usize) -> u64 {
    let bytes = bytes.get(at..at + length).unwrap_or_default();
    bytes
        .iter()
        .rev()
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// CRC-32 as ISO 3309 has it.
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs::{File, OpenOptions};
    use std::process::{Command, Stdio};

    use super::*;

    /// A disk as `sfdisk` makes it.
    fn disk() -> tempfile::NamedTempFile {
        let disk = tempfile::NamedTempFile::new().unwrap();
        disk.as_file().set_len(8 << 20).unwrap();
        let mut sfdisk = Command::new("sfdisk")
            .args(["--quiet", "--no-reread", "--no-tell-kernel"])
            .arg(disk.path())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let table = "label: gpt\nsize=2048, name=one\nsize=2048, name=two\nsize=2048, name=three\n";
        sfdisk
            .stdin
            .take()
            .unwrap()
            .write_all(table.as_bytes())
            .unwrap();
        assert!(sfdisk.wait().unwrap().success());
        disk
    }

    fn open(disk: &tempfile::NamedTempFile) -> File {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(disk.path())
            .unwrap()
    }

    fn listed(disk: &tempfile::NamedTempFile) -> Vec<(String, String)> {
        let said = Command::new("sfdisk")
            .arg("--json")
            .arg(disk.path())
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(complaint.is_empty(), "{complaint}");
        let listing: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        listing["partitiontable"]["partitions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|partition| (text(&partition["name"]), text(&partition["uuid"])))
            .collect()
    }

    fn uuid(digit: u8) -> [u8; 16] {
        let mut uuid = [digit; 16];
        uuid[0] = 0x65;
        uuid[4] = 0xb6;
        uuid
    }

    #[test]
    fn another_program_reads_the_new_identifiers_and_all_else_as_it_was() {
        let disk = disk();
        let before = listed(&disk);
        let ids = [(2, id(uuid(0x11))), (3, id(uuid(0x22)))];
        identify(&mut open(&disk), &ids).unwrap();
        let after = listed(&disk);
        assert_eq!(after[0], before[0]);
        assert_eq!(after[1].1, "65111111-B611-1111-1111-111111111111");
        assert_eq!(after[2].1, "65222222-B622-2222-2222-222222222222");
        assert_eq!((&*after[1].0, &*after[2].0), ("two", "three"));
    }

    #[test]
    fn the_second_table_says_the_same() {
        let disk = disk();
        identify(&mut open(&disk), &[(2, id(uuid(0x11)))]).unwrap();
        // Without the first, `sfdisk` reads the second, and says so.
        let mut file = open(&disk);
        file.seek(SeekFrom::Start(SECTOR)).unwrap();
        file.write_all(&[0; 512]).unwrap();
        let said = Command::new("sfdisk")
            .arg("--json")
            .arg(disk.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(
            said.contains("65111111-B611-1111-1111-111111111111"),
            "{said}"
        );
    }

    #[test]
    fn a_damaged_table_is_left_as_it_is() {
        let disk = disk();
        let mut file = open(&disk);
        // A partition's name.
        file.seek(SeekFrom::Start(2 * SECTOR + 60)).unwrap();
        file.write_all(b"x").unwrap();
        let refused = identify(&mut file, &[(2, id(uuid(0x11)))]);
        assert!(matches!(refused, Err(Error::Damaged)));
        let disk = self::disk();
        for partition in [0, 4, 1000] {
            let refused = identify(&mut open(&disk), &[(partition, id(uuid(1)))]);
            assert!(matches!(refused, Err(Error::Missing(number)) if number == partition));
        }
    }
}
