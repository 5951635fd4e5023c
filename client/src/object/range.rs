//! Objects whose bytes come in ranges, so that the middle of an object is read without what stands before it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// Bytes that are fetched at least: two chunks of the stream.
const SMALLEST_FETCH: usize = 32 * 1024;
/// Bytes that are fetched at most, when one piece is read after the other.
const LARGEST_FETCH: usize = 1024 * 1024;

/// Anything that can give byte ranges: a file, a blob of a database, an object in somebody's cloud storage.
///
/// A source is trusted with nothing: whatever it gives is authenticated before it is used.
///
/// ```
/// use std::io;
/// use strongroom_client::object::RangeSource;
///
/// /// An object in memory.
/// struct InMemory(Vec<u8>);
///
/// impl RangeSource for InMemory {
///     fn length(&mut self) -> io::Result<u64> {
///         Ok(self.0.len() as u64)
///     }
///
///     fn read_range(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
///         let start = usize::try_from(offset).map_err(io::Error::other)?;
///         let range = self.0.get(start..start + out.len());
///         out.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
///         Ok(())
///     }
/// }
/// # assert_eq!(InMemory(vec![1, 2]).length().unwrap(), 2);
/// ```
pub trait RangeSource {
    /// How many bytes there are.
    ///
    /// # Errors
    /// When the source cannot be asked.
    fn length(&mut self) -> io::Result<u64>;

    /// Fills `out` with the bytes from `offset` on.
    ///
    /// # Errors
    /// When the source cannot be read, or ends before `out` is full ([`io::ErrorKind::UnexpectedEof`]).
    fn read_range(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()>;
}

impl RangeSource for File {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_range(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(out, offset)
    }
}

impl<S: RangeSource + ?Sized> RangeSource for Box<S> {
    fn length(&mut self) -> io::Result<u64> {
        (**self).length()
    }

    fn read_range(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        (**self).read_range(offset, out)
    }
}

/// Reads a [`RangeSource`] as a stream that can be sought in. Whoever jumps about fetches little; whoever reads on fetches more each time.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::io::{Read, Seek, SeekFrom};
/// use strongroom_client::object::RangeReader;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("text");
/// # std::fs::write(&path, "a text")?;
/// let mut reader = RangeReader::new(std::fs::File::open(&path)?)?;
/// reader.seek(SeekFrom::Start(2))?;
/// let mut rest = String::new();
/// reader.read_to_string(&mut rest)?;
/// assert_eq!(rest, "text");
/// # Ok(())
/// # }
/// ```
pub struct RangeReader<S> {
    source: S,
    length: u64,
    position: u64,
    /// What was fetched, and where it begins.
    fetched: Vec<u8>,
    fetched_at: u64,
}

impl<S: RangeSource> RangeReader<S> {
    /// A reader at the beginning of the source.
    ///
    /// ```no_run
    /// # fn run(roots: &strongroom_client::Roots) -> Result<(), Box<dyn std::error::Error>> {
    /// use strongroom_client::object::{HttpRange, RangeReader};
    ///
    /// let stored = HttpRange::new("https://storage.example/film.mp4.sealed", roots)?;
    /// let reader = RangeReader::new(stored)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the source's length cannot be found out.
    pub fn new(mut source: S) -> io::Result<Self> {
        Ok(Self {
            length: source.length()?,
            source,
            position: 0,
            fetched: Vec::new(),
            fetched_at: 0,
        })
    }

    /// What was fetched of the bytes at the position.
    fn at_hand(&self) -> &[u8] {
        let start = self.position.checked_sub(self.fetched_at);
        let start = start.and_then(|start| usize::try_from(start).ok());
        start
            .and_then(|start| self.fetched.get(start..))
            .unwrap_or_default()
    }

    fn fetch(&mut self) -> io::Result<()> {
        let reads_on = !self.fetched.is_empty()
            && self.position == self.fetched_at + self.fetched.len() as u64;
        let wanted = if reads_on {
            (self.fetched.len() * 2).min(LARGEST_FETCH)
        } else {
            SMALLEST_FETCH
        };
        let left = usize::try_from(self.length - self.position).unwrap_or(usize::MAX);
        // Emptied first: what a failed fetch leaves behind is nothing.
        let mut fetched = std::mem::take(&mut self.fetched);
        fetched.resize(wanted.max(SMALLEST_FETCH).min(left), 0);
        self.source.read_range(self.position, &mut fetched)?;
        self.fetched = fetched;
        self.fetched_at = self.position;
        Ok(())
    }
}

impl<S: RangeSource> Read for RangeReader<S> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() || self.position >= self.length {
            return Ok(0);
        }
        if self.at_hand().is_empty() {
            self.fetch()?;
        }
        let at_hand = self.at_hand();
        let length = at_hand.len().min(out.len());
        out[..length].copy_from_slice(&at_hand[..length]);
        self.position += length as u64;
        Ok(length)
    }
}

impl<S: RangeSource> Seek for RangeReader<S> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(delta) => self.length.checked_add_signed(delta),
            SeekFrom::Current(delta) => self.position.checked_add_signed(delta),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::cell::RefCell;
    use std::io::Write as _;
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;

    /// Bytes in memory, and the ranges that were asked for.
    struct Counted {
        bytes: Vec<u8>,
        asked: Rc<RefCell<Vec<(u64, usize)>>>,
    }

    impl RangeSource for Counted {
        fn length(&mut self) -> io::Result<u64> {
            Ok(self.bytes.len() as u64)
        }

        fn read_range(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
            self.asked.borrow_mut().push((offset, out.len()));
            let start = usize::try_from(offset).unwrap();
            let range = self.bytes.get(start..start + out.len());
            out.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        }
    }

    fn bytes(length: usize) -> Vec<u8> {
        (0..length)
            .map(|place| (place * 7 / 3).to_le_bytes()[0])
            .collect()
    }

    #[test]
    fn whoever_reads_on_fetches_more_each_time() {
        let asked = Rc::default();
        let source = Counted {
            bytes: bytes(5_000_000),
            asked: Rc::clone(&asked),
        };
        let mut reader = RangeReader::new(source).unwrap();
        let mut all = Vec::new();
        reader.read_to_end(&mut all).unwrap();
        assert_eq!(all, bytes(5_000_000));
        let lengths: Vec<_> = asked.borrow().iter().map(|(_, length)| *length).collect();
        assert!(lengths.len() < 12, "{lengths:?}");
        assert_eq!(lengths[..3], [32 * 1024, 64 * 1024, 128 * 1024]);

        asked.borrow_mut().clear();
        reader.seek(SeekFrom::Start(2_500_000)).unwrap();
        reader.read_exact(&mut [0; 100]).unwrap();
        assert_eq!(*asked.borrow(), [(2_500_000, SMALLEST_FETCH)]);
        assert!(reader.seek(SeekFrom::Current(-3_000_000)).is_err());
        reader.seek(SeekFrom::End(10)).unwrap();
        assert_eq!(reader.read(&mut [0; 10]).unwrap(), 0);
    }

    #[test]
    fn a_file_gives_its_ranges() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes(1000)).unwrap();
        assert_eq!(file.length().unwrap(), 1000);
        let mut out = [0; 10];
        file.read_range(990, &mut out).unwrap();
        assert_eq!(out, bytes(1000)[990..]);
        let error = file.read_range(991, &mut out).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn a_reader_over_ranges_reads_as_one_over_all(
            length in 0_usize..200_000,
            steps in proptest::collection::vec((0_u64..220_000, 0_usize..70_000), 1..20),
        ) {
            let source = Counted { bytes: bytes(length), asked: Rc::default() };
            let mut reader = RangeReader::new(source).unwrap();
            let mut expected = io::Cursor::new(bytes(length));
            for (position, count) in steps {
                let (mut here, mut there) = (Vec::new(), Vec::new());
                reader.seek(SeekFrom::Start(position)).unwrap();
                expected.seek(SeekFrom::Start(position)).unwrap();
                (&mut reader).take(count as u64).read_to_end(&mut here).unwrap();
                (&mut expected).take(count as u64).read_to_end(&mut there).unwrap();
                prop_assert_eq!(here, there);
            }
        }
    }
}
