//! Objects: files, streams and ranges.

use std::ffi::{c_char, c_int, c_void};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::ptr;

use strongroom_client::object::{CobblestoneError, RangeSource};
use strongroom_client::{ObjectAt, Protect as _, Protection};

use crate::client::{sr_session, with};
use crate::error::{sr_error, sr_kind};
use crate::ffi::{self, Out, Outcome, entry, invalid, names, shared, text, unique};
use crate::messages::sr_metadata;
use crate::values::hand_out;

/// Bytes that one call of the caller's functions reads or writes at most.
const PIECE: usize = 256 * 1024;

/// Reads bytes into `out`, at most so many; answers how many, 0 at the end, -1 when reading fails. `context` is what was given with it.
pub type sr_read =
    Option<unsafe extern "C" fn(context: *mut c_void, out: *mut u8, most: usize) -> isize>;

/// Writes all of these bytes; answers 0, or anything else when writing fails. `context` is what was given with it.
pub type sr_write =
    Option<unsafe extern "C" fn(context: *mut c_void, bytes: *const u8, length: usize) -> c_int>;

/// Reads exactly so many bytes from `offset` on into `out`; answers 0, or anything else when reading fails. `context` is what was given with it.
pub type sr_read_range = Option<
    unsafe extern "C" fn(context: *mut c_void, offset: u64, out: *mut u8, length: usize) -> c_int,
>;

/// An object of which any part can be read. Freed with sr_object_free.
pub struct sr_object(ObjectAt<Box<dyn RangeSource>>);

/// A stream that the caller reads for us.
struct Reader {
    read: unsafe extern "C" fn(*mut c_void, *mut u8, usize) -> isize,
    context: *mut c_void,
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = out.len().min(isize::MAX.unsigned_abs());
        // SAFETY: so many bytes can be written there, and the context is the caller's own.
        let read = unsafe { (self.read)(self.context, out.as_mut_ptr(), most) };
        usize::try_from(read)
            .ok()
            .filter(|read| *read <= most)
            .ok_or_else(|| io::Error::other("the caller's function could not read"))
    }
}

/// A stream that the caller writes for us.
struct Writer {
    write: unsafe extern "C" fn(*mut c_void, *const u8, usize) -> c_int,
    context: *mut c_void,
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: so many bytes are there, and the context is the caller's own.
        match unsafe { (self.write)(self.context, bytes.as_ptr(), bytes.len()) } {
            0 => Ok(bytes.len()),
            _ => Err(io::Error::other("the caller's function could not write")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Ranges that the caller reads for us.
struct Ranges {
    length: u64,
    read: unsafe extern "C" fn(*mut c_void, u64, *mut u8, usize) -> c_int,
    context: *mut c_void,
}

impl RangeSource for Ranges {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn read_range(&mut self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        // SAFETY: so many bytes can be written there, and the context is the caller's own.
        match unsafe { (self.read)(self.context, offset, out.as_mut_ptr(), out.len()) } {
            0 => Ok(()),
            _ => Err(io::Error::other("the caller's function could not read")),
        }
    }
}

/// Who may open an object, and what people know it by: of a file by its name, but for what is said.
///
/// # Safety
/// They are as the header says.
unsafe fn protection(
    file: Option<&str>,
    recipients: *const *const c_char,
    count: usize,
    metadata: *const sr_metadata,
) -> Outcome<Protection> {
    // SAFETY: as this function's.
    let (recipients, metadata) =
        unsafe { (names(recipients, count)?, sr_metadata::read(metadata)?) };
    let mut protection = file
        .map(|file| Protection::of_file(Path::new(file)))
        .unwrap_or_default();
    if !metadata.label.is_empty() {
        protection.label = metadata.label;
    }
    if metadata.content_type.is_some() {
        protection.content_type = metadata.content_type;
    }
    protection.policy = metadata.policy;
    for recipient in recipients {
        protection = protection.to(recipient);
    }
    Ok(protection)
}

/// Protects a file for the accounts with these names, and for oneself. The object appears under the name `to` when it is complete, and replaces
/// no file.
///
/// `metadata` may be NULL; label and content type are the file's own where they are. `key`, which may be NULL, receives the identifier of the
/// object's key, freed with sr_text_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_protect_file(
    session: *const sr_session,
    from: *const c_char,
    to: *const c_char,
    recipients: *const *const c_char,
    recipients_count: usize,
    metadata: *const sr_metadata,
    key: *mut *mut c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let key = Out::optional(key, ptr::null_mut());
            let (from, to) = (text(from, "the file")?, text(to, "the object's file")?);
            let protection = protection(Some(from), recipients, recipients_count, metadata)?;
            let session = shared(session, "the session")?;
            let protected = with!(session, |who| who.protect_file(
                Path::new(from),
                Path::new(to),
                &protection
            ))?;
            key.set(|| hand_out(&protected.key.id.to_string()));
            Ok(())
        })
    }
}

/// Opens an object into a file, which only its owner may read. It appears under the name `to` when the whole object has been authenticated, and
/// replaces no file. `length`, which may be NULL, receives the number of bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_open_file(
    session: *const sr_session,
    from: *const c_char,
    to: *const c_char,
    length: *mut u64,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let length = Out::optional(length, 0);
            let (from, to) = (text(from, "the object's file")?, text(to, "the file")?);
            let session = shared(session, "the session")?;
            let opened = with!(session, |who| who.open_file(Path::new(from), Path::new(to)))?;
            length.set(|| opened);
            Ok(())
        })
    }
}

/// Protects all that `read` gives, and writes the object by `write`. When it fails, what was written is no object and is to be discarded.
///
/// `metadata` may be NULL. `key`, which may be NULL, receives the identifier of the object's key, freed with sr_text_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_protect(
    session: *const sr_session,
    read: sr_read,
    read_context: *mut c_void,
    write: sr_write,
    write_context: *mut c_void,
    recipients: *const *const c_char,
    recipients_count: usize,
    metadata: *const sr_metadata,
    key: *mut *mut c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let key = Out::optional(key, ptr::null_mut());
            let (mut reader, mut writer) = streams(read, read_context, write, write_context)?;
            let protection = protection(None, recipients, recipients_count, metadata)?;
            let session = shared(session, "the session")?;
            let protected = with!(session, |who| who.protect(
                &protection,
                &mut reader,
                &mut writer
            ))?;
            writer.flush().map_err(CobblestoneError::Write)?;
            key.set(|| hand_out(&protected.key.id.to_string()));
            Ok(())
        })
    }
}

/// Opens the object that `read` gives, and writes its content by `write`. Only authentic content is written; when it fails, what was written is
/// a part of it, and to be discarded. `length`, which may be NULL, receives the number of bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_open(
    session: *const sr_session,
    read: sr_read,
    read_context: *mut c_void,
    write: sr_write,
    write_context: *mut c_void,
    length: *mut u64,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let length = Out::optional(length, 0);
            let (reader, mut writer) = streams(read, read_context, write, write_context)?;
            let session = shared(session, "the session")?;
            let mut object = with!(session, |who| who.open(reader))?;
            let copied = object.copy_to(&mut writer)?;
            writer.flush().map_err(CobblestoneError::Write)?;
            length.set(|| copied);
            Ok(())
        })
    }
}

fn streams(
    read: sr_read,
    read_context: *mut c_void,
    write: sr_write,
    write_context: *mut c_void,
) -> Outcome<(BufReader<Reader>, BufWriter<Writer>)> {
    let reader = Reader {
        read: read.ok_or_else(|| invalid("the function that reads is NULL"))?,
        context: read_context,
    };
    let writer = Writer {
        write: write.ok_or_else(|| invalid("the function that writes is NULL"))?,
        context: write_context,
    };
    Ok((
        BufReader::with_capacity(PIECE, reader),
        BufWriter::with_capacity(PIECE, writer),
    ))
}

/// Opens an object in a file, to read any part of it. Free it with sr_object_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_object_open_file(
    session: *const sr_session,
    path: *const c_char,
    object: *mut *mut sr_object,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(object, ptr::null_mut())?;
            let file = File::open(text(path, "the path")?).map_err(CobblestoneError::Read)?;
            let session = shared(session, "the session")?;
            open_at(session, Box::new(file), out)
        })
    }
}

/// Opens an object of `length` bytes whose bytes come in ranges, such as somebody's cloud storage: only what is read is asked for. The function
/// and its context are used until the object is freed with sr_object_free. What it gives is trusted with nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_object_open_at(
    session: *const sr_session,
    length: u64,
    read: sr_read_range,
    read_context: *mut c_void,
    object: *mut *mut sr_object,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(object, ptr::null_mut())?;
            let ranges = Ranges {
                length,
                read: read.ok_or_else(|| invalid("the function that reads is NULL"))?,
                context: read_context,
            };
            let session = shared(session, "the session")?;
            open_at(session, Box::new(ranges), out)
        })
    }
}

fn open_at(
    session: &sr_session,
    source: Box<dyn RangeSource>,
    out: Out<*mut sr_object>,
) -> Outcome {
    let object = with!(session, |who| who.open_at(source))?;
    out.set(|| Box::into_raw(Box::new(sr_object(object))));
    Ok(())
}

/// The length of the object's content in bytes. Authentic.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_object_length(
    object: *mut sr_object,
    length: *mut u64,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(length, 0)?;
            let length = unique(object, "the object")?.0.length()?;
            out.set(|| length);
            Ok(())
        })
    }
}

/// Reads content from `offset` on into `out`, until so many bytes are read or the content ends; `read` receives how many it were.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_object_read_at(
    object: *mut sr_object,
    offset: u64,
    out: *mut u8,
    length: usize,
    read: *mut usize,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules. The place is written to first, for it may hold nothing yet.
    unsafe {
        entry(error, || {
            let count = Out::new(read, 0)?;
            let object = &mut unique(object, "the object")?.0;
            if length == 0 {
                return Ok(());
            }
            if out.is_null() || isize::try_from(length).is_err() {
                return Err(invalid(
                    "the place for the content is NULL, or its length cannot be",
                ));
            }
            out.write_bytes(0, length);
            let place = std::slice::from_raw_parts_mut(out, length);
            let filled = object.read_at(offset, place)?;
            count.set(|| filled);
            Ok(())
        })
    }
}

/// Frees an object; what it was opened from stays the caller's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_object_free(object: *mut sr_object) {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { ffi::free(object) };
}
