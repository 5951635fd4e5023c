//! Reading and writing the application's memory.

use std::ops::Deref;
use std::slice;

use cryptoki_sys::*;
use zeroize::Zeroizing;

use crate::error::{CkError, CkResult, fail};
use crate::object::{Attributes, Kind, Value, Wanted, kind_of};
use crate::session::{Output, ulong};

/// No outcome is longer, in bytes.
const LONGEST: usize = 1 << 30;
/// No template has more attributes.
const MOST_ATTRIBUTES: CK_ULONG = 1024;
/// No template has templates in it below this.
const DEEPEST: u32 = 4;

/// Bytes to read.
///
/// # Safety
/// `data` is null, or points to `length` bytes that nobody writes meanwhile.
pub(super) unsafe fn bytes<'a>(data: *const u8, length: CK_ULONG) -> CkResult<&'a [u8]> {
    let length = usize::try_from(length)
        .ok()
        .filter(|length| isize::try_from(*length).is_ok())
        .ok_or(CkError::new(CKR_ARGUMENTS_BAD, "nothing is so long"))?;
    if length == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return fail(
            CKR_ARGUMENTS_BAD,
            "a pointer is null, and its length is not",
        );
    }
    // SAFETY: checked above, and promised by the caller.
    Ok(unsafe { slice::from_raw_parts(data, length) })
}

/// Data that an outcome may be written over: then a copy of it.
pub(super) enum Data<'a> {
    Apart(&'a [u8]),
    Copied(Zeroizing<Vec<u8>>),
}

impl Deref for Data<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Apart(data) => data,
            Self::Copied(data) => data,
        }
    }
}

/// Data to read while an outcome is written: applications encrypt in place.
///
/// # Safety
/// As [`bytes`]; and as [`output`] for `out` and `out_length`, whose memory may be the same.
pub(super) unsafe fn data_beside<'a>(
    data: *const u8,
    length: CK_ULONG,
    out: *const u8,
    out_length: *const CK_ULONG,
) -> CkResult<Data<'a>> {
    // SAFETY: promised by the caller.
    let data = unsafe { bytes(data, length) }?;
    if out.is_null() || out_length.is_null() || data.is_empty() {
        return Ok(Data::Apart(data));
    }
    // SAFETY: not null; promised by the caller.
    let room = usize::try_from(unsafe { out_length.read_unaligned() }).unwrap_or(usize::MAX);
    let (start, out) = (data.as_ptr().addr(), out.addr());
    let apart = start.saturating_add(data.len()) <= out || out.saturating_add(room) <= start;
    Ok(if apart {
        Data::Apart(data)
    } else {
        Data::Copied(Zeroizing::new(data.to_vec()))
    })
}

/// Where an outcome goes; null asks for its length.
///
/// # Safety
/// `length` is null, or points to a `CK_ULONG`; `out` is null, or points to as many bytes as that says, which nobody else reads or writes
/// meanwhile.
pub(super) unsafe fn output<'a>(out: *mut u8, length: *mut CK_ULONG) -> CkResult<Output<'a>> {
    // SAFETY: promised by the caller.
    let (room, length) = unsafe { room(out, length) }?;
    Ok(Output::new(room, length))
}

/// The parts of [`output`].
///
/// # Safety
/// As [`output`].
pub(super) unsafe fn room<'a>(
    out: *mut u8,
    length: *mut CK_ULONG,
) -> CkResult<(Option<&'a mut [u8]>, &'a mut CK_ULONG)> {
    // SAFETY: promised by the caller.
    let length = unsafe { reference(length) }?;
    let room = usize::try_from(*length).unwrap_or(LONGEST).min(LONGEST);
    // SAFETY: not null; promised by the caller.
    let room = (!out.is_null()).then(|| unsafe { slice::from_raw_parts_mut(out, room) });
    Ok((room, length))
}

/// A list of numbers to fill; null asks how many there are.
///
/// # Safety
/// As [`output`], for numbers.
pub(super) unsafe fn numbers<'a>(
    list: *mut CK_ULONG,
    count: *mut CK_ULONG,
) -> CkResult<(Option<&'a mut [CK_ULONG]>, &'a mut CK_ULONG)> {
    // SAFETY: promised by the caller.
    let count = unsafe { reference(count) }?;
    let length = usize::try_from(*count).unwrap_or(LONGEST).min(LONGEST / 8);
    if !list.is_null() && !list.is_aligned() {
        return fail(CKR_ARGUMENTS_BAD, "a list of numbers is not aligned");
    }
    // SAFETY: not null and aligned; promised by the caller.
    let list = (!list.is_null()).then(|| unsafe { slice::from_raw_parts_mut(list, length) });
    Ok((list, count))
}

/// Bytes to fill whole.
///
/// # Safety
/// `out` is null, or points to `length` bytes that nobody else reads or writes meanwhile.
pub(super) unsafe fn fill<'a>(out: *mut u8, length: CK_ULONG) -> CkResult<&'a mut [u8]> {
    match usize::try_from(length) {
        Ok(0) => Ok(&mut []),
        Ok(length) if !out.is_null() && length <= LONGEST => {
            // SAFETY: not null; promised by the caller.
            Ok(unsafe { slice::from_raw_parts_mut(out, length) })
        }
        _ => fail(
            CKR_ARGUMENTS_BAD,
            "a pointer is null, or nothing is so long",
        ),
    }
}

/// Something to read and write.
///
/// # Safety
/// `place` is null, or points to a T that nobody else reads or writes meanwhile.
pub(super) unsafe fn reference<'a, T>(place: *mut T) -> CkResult<&'a mut T> {
    if place.is_null() || !place.is_aligned() {
        return fail(CKR_ARGUMENTS_BAD, "a pointer is null or not aligned");
    }
    // SAFETY: not null and aligned; promised by the caller.
    Ok(unsafe { &mut *place })
}

/// A place for an answer.
pub(super) struct Place<T>(*mut T);

/// A place for an answer, which is there before anything is done.
pub(super) fn place<T>(place: *mut T) -> CkResult<Place<T>> {
    if place.is_null() {
        return fail(CKR_ARGUMENTS_BAD, "the pointer for the answer is null");
    }
    Ok(Place(place))
}

impl<T> Place<T> {
    /// Writes the answer.
    ///
    /// # Safety
    /// The pointer points to memory for a T.
    pub(super) unsafe fn put(self, answer: T) {
        // SAFETY: not null; promised by the caller.
        unsafe { self.0.write_unaligned(answer) };
    }
}

/// A PIN or a name: null where there is none.
///
/// # Safety
/// As [`bytes`].
pub(super) unsafe fn optional<'a>(text: *const u8, length: CK_ULONG) -> CkResult<Option<&'a [u8]>> {
    if text.is_null() && length == 0 {
        return Ok(None);
    }
    // SAFETY: promised by the caller.
    unsafe { bytes(text, length) }.map(Some)
}

/// Attributes.
///
/// # Safety
/// `attributes` is null, or points to `count` attributes, whose pointers are null or point to as many bytes as they say.
pub(super) unsafe fn template(
    attributes: *const CK_ATTRIBUTE,
    count: CK_ULONG,
) -> CkResult<Attributes> {
    // SAFETY: promised by the caller.
    unsafe { template_below(attributes, count, 0) }
}

unsafe fn template_below(
    attributes: *const CK_ATTRIBUTE,
    count: CK_ULONG,
    depth: u32,
) -> CkResult<Attributes> {
    let mut template = Attributes::new();
    if count == 0 {
        return Ok(template);
    }
    if attributes.is_null() || count > MOST_ATTRIBUTES || depth > DEEPEST {
        return fail(
            CKR_ARGUMENTS_BAD,
            "a template is null, too long or too deep",
        );
    }
    for at in 0..usize::try_from(count).unwrap_or_default() {
        // SAFETY: one of `count` attributes.
        let attribute = unsafe { attributes.add(at).read_unaligned() };
        let (kind, value) = (attribute.type_, attribute.pValue);
        if value.is_null() && attribute.ulValueLen != 0 {
            return fail(
                CKR_ATTRIBUTE_VALUE_INVALID,
                "a value is null, and its length is not",
            );
        }
        let value = if kind_of(kind) == Kind::Template {
            let size = ulong(size_of::<CK_ATTRIBUTE>());
            if attribute.ulValueLen % size != 0 {
                return fail(CKR_ATTRIBUTE_VALUE_INVALID, "a value is no template");
            }
            // SAFETY: promised by the caller.
            Value::Template(unsafe {
                template_below(value.cast(), attribute.ulValueLen / size, depth + 1)
            }?)
        } else {
            // SAFETY: promised by the caller.
            let bytes = unsafe { bytes(value.cast(), attribute.ulValueLen) };
            let bytes = bytes
                .map_err(|error| error.told_as(CKR_ARGUMENTS_BAD, CKR_ATTRIBUTE_VALUE_INVALID))?;
            Value::decode(kind, bytes)?
        };
        template.add(kind, value)?;
    }
    Ok(template)
}

/// A line of `C_GetAttributeValue`.
pub(super) struct Line(*mut CK_ATTRIBUTE);

/// The lines of `C_GetAttributeValue`.
///
/// # Safety
/// As [`template`], for attributes whose values are written. They stay there as long as the lines.
pub(super) unsafe fn lines(attributes: *mut CK_ATTRIBUTE, count: CK_ULONG) -> CkResult<Vec<Line>> {
    if attributes.is_null() || count == 0 || count > MOST_ATTRIBUTES {
        return fail(CKR_ARGUMENTS_BAD, "a template is null, empty or too long");
    }
    // SAFETY: one of `count` attributes.
    Ok((0..usize::try_from(count).unwrap_or_default())
        .map(|at| Line(unsafe { attributes.add(at) }))
        .collect())
}

impl Wanted for Line {
    fn attribute(&self) -> CK_ATTRIBUTE_TYPE {
        // SAFETY: promised when the line was made.
        unsafe { (&raw const (*self.0).type_).read_unaligned() }
    }

    fn give(&mut self, value: &Value) -> CkResult<()> {
        // SAFETY: promised when the line was made.
        unsafe { give(self.0, value) }
    }

    fn unavailable(&mut self) {
        // SAFETY: promised when the line was made.
        unsafe { set_length(self.0, CK_UNAVAILABLE_INFORMATION) };
    }
}

/// # Safety
/// `attribute` points to an attribute, whose value is null or points to as many bytes as it says.
unsafe fn give(attribute: *mut CK_ATTRIBUTE, value: &Value) -> CkResult<()> {
    // SAFETY: promised by the caller.
    let given = unsafe { attribute.read_unaligned() };
    let size = value.size();
    if given.pValue.is_null() {
        // SAFETY: promised by the caller.
        unsafe { set_length(attribute, ulong(size)) };
        return Ok(());
    }
    if given.ulValueLen < ulong(size) {
        // SAFETY: promised by the caller.
        unsafe { set_length(attribute, CK_UNAVAILABLE_INFORMATION) };
        return Err(CkError::too_small(size));
    }
    // SAFETY: promised by the caller.
    unsafe { set_length(attribute, ulong(size)) };
    if let Value::Template(nested) = value {
        let mut outcome = Ok(());
        for (at, (kind, value)) in nested.iter().enumerate() {
            let place = given.pValue.cast::<CK_ATTRIBUTE>();
            // SAFETY: there is room for all of them; what each says of its own value is the application's promise.
            let written = unsafe {
                let place = place.add(at);
                (&raw mut (*place).type_).write_unaligned(kind);
                give(place, value)
            };
            outcome = outcome.and(written);
        }
        return outcome;
    }
    let bytes = value.encode();
    // SAFETY: there is room for them, and they are not of the application's memory.
    unsafe {
        given
            .pValue
            .cast::<u8>()
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    };
    Ok(())
}

/// # Safety
/// `attribute` points to an attribute.
unsafe fn set_length(attribute: *mut CK_ATTRIBUTE, length: CK_ULONG) {
    // SAFETY: promised by the caller.
    unsafe { (&raw mut (*attribute).ulValueLen).write_unaligned(length) };
}
