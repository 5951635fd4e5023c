//! The interfaces of PKCS#11 3.0: a name, a version, and the list of functions.

use std::ffi::{CStr, c_void};

use cryptoki_sys::*;

use super::pointers::{place, reference};
use super::table::{LIST_2_40, LIST_3_0, LIST_3_2};
use crate::error::{CkResult, fail};
use crate::session::ulong;

const NAME: &CStr = c"PKCS 11";

/// An interface is a name and a list, neither of which is ever written.
struct Interface(CK_INTERFACE);

// SAFETY: what it points to is static and not written.
unsafe impl Sync for Interface {}

const fn interface(list: *const c_void) -> Interface {
    Interface(CK_INTERFACE {
        pInterfaceName: NAME.as_ptr().cast_mut().cast(),
        pFunctionList: list.cast_mut(),
        // A child that initialises again can use it.
        flags: CKF_INTERFACE_FORK_SAFE,
    })
}

/// The default comes first: what an application gets that asks for no version.
static INTERFACES: [Interface; 3] = [
    interface((&raw const LIST_3_0).cast()),
    interface((&raw const LIST_3_2).cast()),
    interface((&raw const LIST_2_40).cast()),
];

/// # Safety
/// As the standard says of the arguments of `C_GetInterfaceList`.
pub(super) unsafe fn interface_list(list: *mut CK_INTERFACE, count: *mut CK_ULONG) -> CkResult<()> {
    // SAFETY: promised by the caller.
    let count = unsafe { reference(count) }?;
    let room = std::mem::replace(count, ulong(INTERFACES.len()));
    if list.is_null() {
        return Ok(());
    }
    if room < *count {
        return fail(CKR_BUFFER_TOO_SMALL, "there are more interfaces");
    }
    for (at, interface) in INTERFACES.iter().enumerate() {
        // SAFETY: there is room for so many.
        unsafe { list.add(at).write_unaligned(interface.0) };
    }
    Ok(())
}

/// # Safety
/// As the standard says of the arguments of `C_GetInterface`.
pub(super) unsafe fn find_interface(
    name: *const CK_UTF8CHAR,
    version: *const CK_VERSION,
    interface: *mut *mut CK_INTERFACE,
    flags: CK_FLAGS,
) -> CkResult<()> {
    let interface = place(interface)?;
    // SAFETY: null, or promised by the caller.
    let named = name.is_null() || unsafe { CStr::from_ptr(name.cast()) } == NAME;
    // SAFETY: null, or promised by the caller.
    let version = (!version.is_null()).then(|| unsafe { version.read_unaligned() });
    let wanted = |candidate: &&Interface| {
        // SAFETY: every list begins with its version.
        let has = unsafe { candidate.0.pFunctionList.cast::<CK_VERSION>().read() };
        version.is_none_or(|version| (version.major, version.minor) == (has.major, has.minor))
    };
    match INTERFACES.iter().find(wanted) {
        Some(found) if named && flags & !CKF_INTERFACE_FORK_SAFE == 0 => {
            // SAFETY: promised by the caller.
            unsafe { interface.put((&raw const found.0).cast_mut()) };
            Ok(())
        }
        _ => fail(CKR_FUNCTION_FAILED, "there is no such interface"),
    }
}
