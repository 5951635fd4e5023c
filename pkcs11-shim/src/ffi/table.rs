//! Every function of PKCS#11 2.40, 3.0 and 3.2, in one table: its arguments as the standard has them, and what it does.
//!
//! The table makes the C functions and the three function lists. Three functions are exported by name: `C_GetFunctionList`,
//! `C_GetInterfaceList` and `C_GetInterface`; the lists have the others. Nothing happens in these three.

// The standard's names of functions and arguments.
#![allow(non_snake_case)]

use std::ffi::{CStr, c_void};

use cryptoki_sys::*;

use super::interfaces::{find_interface, interface_list};
use super::parameters::mechanism;
use super::pointers::{
    bytes, data_beside, fill, lines, numbers, optional, output, place, room, template,
};
use super::{call, finalize, initialize, module};
use crate::error::{CkResult, fail};
use crate::session::{Module, ulong};

macro_rules! functions {
    (
        2.40: { $(fn $f2:ident($($a2:ident: $t2:ty),*) $b2:block)* }
        3.0: { $(fn $f3:ident($($a3:ident: $t3:ty),*) $b3:block)* }
        3.2: { $(fn $f4:ident($($a4:ident: $t4:ty),*) $b4:block)* }
    ) => {
        functions! { @each $(fn $f2($($a2: $t2),*) $b2)* $(fn $f3($($a3: $t3),*) $b3)* $(fn $f4($($a4: $t4),*) $b4)* }

        /// The functions of PKCS#11 2.40.
        pub static LIST_2_40: CK_FUNCTION_LIST = CK_FUNCTION_LIST {
            version: CK_VERSION { major: 2, minor: 40 },
            $($f2: Some($f2),)*
        };

        /// The functions of PKCS#11 3.0.
        pub static LIST_3_0: CK_FUNCTION_LIST_3_0 = CK_FUNCTION_LIST_3_0 {
            version: CK_VERSION { major: 3, minor: 0 },
            $($f2: Some($f2),)*
            $($f3: Some($f3),)*
        };

        /// The functions of PKCS#11 3.2.
        pub static LIST_3_2: CK_FUNCTION_LIST_3_2 = CK_FUNCTION_LIST_3_2 {
            version: CK_VERSION { major: 3, minor: 2 },
            $($f2: Some($f2),)*
            $($f3: Some($f3),)*
            $($f4: Some($f4),)*
        };

        /// How many functions the largest list has.
        pub const COUNT: usize = [$(stringify!($f2),)* $(stringify!($f3),)* $(stringify!($f4),)*].len();
    };
    (@each $(fn $name:ident($($argument:ident: $type:ty),*) $body:block)*) => {
        $(
            #[allow(unused_unsafe, reason = "some bodies have nothing unsafe in them")]
            // SAFETY of each body: pointers are what the standard says of the function's arguments.
            unsafe extern "C" fn $name($($argument: $type),*) -> CK_RV {
                call(stringify!($name), || unsafe { $body })
            }
        )*
    };
}

type Bytes = *mut CK_BYTE;
type Length = *mut CK_ULONG;
type Session = CK_SESSION_HANDLE;
type Object = CK_OBJECT_HANDLE;
type Template = *mut CK_ATTRIBUTE;
type Mechanism = *mut CK_MECHANISM;

functions! {
2.40: {
    fn C_Initialize(args: *mut c_void) {
        let (reserved, threads) = initialize_arguments(args.cast())?;
        initialize(reserved, threads)
    }
    fn C_Finalize(reserved: *mut c_void) {
        if !reserved.is_null() {
            return fail(CKR_ARGUMENTS_BAD, "the reserved argument is not null");
        }
        finalize()
    }
    fn C_GetInfo(info: *mut CK_INFO) {
        let info = place(info)?;
        module()?;
        info.put(Module::info());
        Ok(())
    }
    fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) {
        place(list)?.put((&raw const LIST_2_40).cast_mut());
        Ok(())
    }
    fn C_GetSlotList(present: CK_BBOOL, list: *mut CK_SLOT_ID, count: Length) {
        let (list, count) = numbers(list, count)?;
        module()?.slot_list(present != CK_FALSE, list, count)
    }
    fn C_GetSlotInfo(slot: CK_SLOT_ID, info: *mut CK_SLOT_INFO) {
        let info = place(info)?;
        info.put(module()?.slot_info(slot)?);
        Ok(())
    }
    fn C_GetTokenInfo(slot: CK_SLOT_ID, info: *mut CK_TOKEN_INFO) {
        let info = place(info)?;
        info.put(module()?.token_info(slot)?);
        Ok(())
    }
    fn C_GetMechanismList(slot: CK_SLOT_ID, list: *mut CK_MECHANISM_TYPE, count: Length) {
        let (list, count) = numbers(list, count)?;
        module()?.mechanism_list(slot, list, count)
    }
    fn C_GetMechanismInfo(slot: CK_SLOT_ID, kind: CK_MECHANISM_TYPE, info: *mut CK_MECHANISM_INFO) {
        let info = place(info)?;
        info.put(module()?.mechanism_info(slot, kind)?);
        Ok(())
    }
    fn C_InitToken(slot: CK_SLOT_ID, _pin: *mut CK_UTF8CHAR, _length: CK_ULONG, _label: *mut CK_UTF8CHAR) {
        module()?.slot(slot)?;
        fail(CKR_FUNCTION_NOT_SUPPORTED, "accounts are made in the appliance")
    }
    fn C_InitPIN(session: Session, _pin: *mut CK_UTF8CHAR, _length: CK_ULONG) {
        module()?.session(session)?;
        fail(CKR_FUNCTION_NOT_SUPPORTED, "accounts are looked after in the appliance")
    }
    fn C_SetPIN(session: Session, old: *mut CK_UTF8CHAR, old_length: CK_ULONG, new: *mut CK_UTF8CHAR, new_length: CK_ULONG) {
        module()?.set_pin(session, bytes(old, old_length)?, bytes(new, new_length)?)
    }
    fn C_OpenSession(slot: CK_SLOT_ID, flags: CK_FLAGS, _application: *mut c_void, _notify: CK_NOTIFY, session: *mut Session) {
        let session = place(session)?;
        session.put(module()?.open_session(slot, flags)?);
        Ok(())
    }
    fn C_CloseSession(session: Session) { module()?.close_session(session) }
    fn C_CloseAllSessions(slot: CK_SLOT_ID) { module()?.close_all_sessions(slot) }
    fn C_GetSessionInfo(session: Session, info: *mut CK_SESSION_INFO) {
        let info = place(info)?;
        info.put(module()?.session_info(session)?);
        Ok(())
    }
    fn C_GetOperationState(session: Session, state: Bytes, length: Length) {
        module()?.operation_state(session, output(state, length)?)
    }
    fn C_SetOperationState(session: Session, state: Bytes, length: CK_ULONG, encryption: Object, authentication: Object) {
        module()?.set_operation_state(session, bytes(state, length)?, [encryption, authentication])
    }
    fn C_Login(session: Session, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, length: CK_ULONG) {
        module()?.login(session, user, optional(pin, length)?)
    }
    fn C_Logout(session: Session) { module()?.logout(session) }
    fn C_CreateObject(session: Session, attributes: Template, count: CK_ULONG, object: *mut Object) {
        let object = place(object)?;
        object.put(module()?.create_object(session, template(attributes, count)?)?);
        Ok(())
    }
    fn C_CopyObject(session: Session, from: Object, attributes: Template, count: CK_ULONG, object: *mut Object) {
        let object = place(object)?;
        object.put(module()?.copy_object(session, from, &template(attributes, count)?)?);
        Ok(())
    }
    fn C_DestroyObject(session: Session, object: Object) { module()?.destroy_object(session, object) }
    fn C_GetObjectSize(session: Session, object: Object, size: Length) {
        let size = place(size)?;
        size.put(module()?.object_size(session, object)?);
        Ok(())
    }
    fn C_GetAttributeValue(session: Session, object: Object, attributes: Template, count: CK_ULONG) {
        module()?.get_attributes(session, object, &mut lines(attributes, count)?)
    }
    fn C_SetAttributeValue(session: Session, object: Object, attributes: Template, count: CK_ULONG) {
        module()?.set_attributes(session, object, &template(attributes, count)?)
    }
    fn C_FindObjectsInit(session: Session, attributes: Template, count: CK_ULONG) {
        module()?.find_init(session, template(attributes, count)?)
    }
    fn C_FindObjects(session: Session, objects: *mut Object, most: CK_ULONG, count: Length) {
        let count = place(count)?;
        let mut most = most;
        let (Some(objects), _) = numbers(objects, &raw mut most)? else {
            return fail(CKR_ARGUMENTS_BAD, "the list is null");
        };
        count.put(ulong(module()?.find(session, objects)?));
        Ok(())
    }
    fn C_FindObjectsFinal(session: Session) { module()?.find_final(session) }
    fn C_EncryptInit(session: Session, how: Mechanism, key: Object) {
        module()?.encrypt_init(session, mechanism(how)?, key)
    }
    fn C_Encrypt(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        module()?.encrypt(session, &data, output(out, out_length)?)
    }
    fn C_EncryptUpdate(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        module()?.encrypt_update(session, &data, output(out, out_length)?)
    }
    fn C_EncryptFinal(session: Session, out: Bytes, out_length: Length) {
        module()?.encrypt_final(session, output(out, out_length)?)
    }
    fn C_DecryptInit(session: Session, how: Mechanism, key: Object) {
        module()?.decrypt_init(session, mechanism(how)?, key)
    }
    fn C_Decrypt(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        module()?.decrypt(session, &data, output(out, out_length)?)
    }
    fn C_DecryptUpdate(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        module()?.decrypt_update(session, &data, output(out, out_length)?)
    }
    fn C_DecryptFinal(session: Session, out: Bytes, out_length: Length) {
        module()?.decrypt_final(session, output(out, out_length)?)
    }
    fn C_DigestInit(session: Session, how: Mechanism) { module()?.digest_init(session, &mechanism(how)?) }
    fn C_Digest(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        module()?.digest(session, &data, output(out, out_length)?)
    }
    fn C_DigestUpdate(session: Session, data: Bytes, length: CK_ULONG) {
        module()?.digest_update(session, bytes(data, length)?)
    }
    fn C_DigestKey(session: Session, key: Object) { module()?.digest_key(session, key) }
    fn C_DigestFinal(session: Session, out: Bytes, out_length: Length) {
        module()?.digest_final(session, output(out, out_length)?)
    }
    fn C_SignInit(session: Session, how: Mechanism, key: Object) {
        module()?.sign_init(session, mechanism(how)?, key)
    }
    fn C_Sign(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        module()?.sign(session, &data, output(out, out_length)?)
    }
    fn C_SignUpdate(session: Session, data: Bytes, length: CK_ULONG) {
        module()?.sign_update(session, bytes(data, length)?)
    }
    fn C_SignFinal(session: Session, out: Bytes, out_length: Length) {
        module()?.sign_final(session, output(out, out_length)?)
    }
    fn C_SignRecoverInit(session: Session, how: Mechanism, key: Object) {
        module()?.sign_recover_init(session, mechanism(how)?, key)
    }
    fn C_SignRecover(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        module()?.sign_recover(session, &data, output(out, out_length)?)
    }
    fn C_VerifyInit(session: Session, how: Mechanism, key: Object) {
        module()?.verify_init(session, mechanism(how)?, key)
    }
    fn C_Verify(session: Session, data: Bytes, length: CK_ULONG, signature: Bytes, signature_length: CK_ULONG) {
        module()?.verify(session, bytes(data, length)?, bytes(signature, signature_length)?)
    }
    fn C_VerifyUpdate(session: Session, data: Bytes, length: CK_ULONG) {
        module()?.verify_update(session, bytes(data, length)?)
    }
    fn C_VerifyFinal(session: Session, signature: Bytes, length: CK_ULONG) {
        module()?.verify_final(session, bytes(signature, length)?)
    }
    fn C_VerifyRecoverInit(session: Session, how: Mechanism, key: Object) {
        module()?.verify_recover_init(session, mechanism(how)?, key)
    }
    fn C_VerifyRecover(session: Session, signature: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let signature = data_beside(signature, length, out, out_length)?;
        module()?.verify_recover(session, &signature, output(out, out_length)?)
    }
    fn C_DigestEncryptUpdate(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        module()?.digest_encrypt_update(session, &data, output(out, out_length)?)
    }
    fn C_DecryptDigestUpdate(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        let (out, out_length) = room(out, out_length)?;
        module()?.decrypt_digest_update(session, &data, out, out_length)
    }
    fn C_SignEncryptUpdate(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        module()?.sign_encrypt_update(session, &data, output(out, out_length)?)
    }
    fn C_DecryptVerifyUpdate(session: Session, data: Bytes, length: CK_ULONG, out: Bytes, out_length: Length) {
        let data = data_beside(data, length, out, out_length)?;
        let (out, out_length) = room(out, out_length)?;
        module()?.decrypt_verify_update(session, &data, out, out_length)
    }
    fn C_GenerateKey(session: Session, how: Mechanism, attributes: Template, count: CK_ULONG, key: *mut Object) {
        let key = place(key)?;
        key.put(module()?.generate_key(session, &mechanism(how)?, template(attributes, count)?)?);
        Ok(())
    }
    fn C_GenerateKeyPair(session: Session, how: Mechanism, public: Template, public_count: CK_ULONG, private: Template, private_count: CK_ULONG, public_key: *mut Object, private_key: *mut Object) {
        let places = (place(public_key)?, place(private_key)?);
        let public = template(public, public_count)?;
        let private = template(private, private_count)?;
        let [public, private] = module()?.generate_key_pair(session, &mechanism(how)?, public, private)?;
        places.0.put(public);
        places.1.put(private);
        Ok(())
    }
    fn C_WrapKey(session: Session, how: Mechanism, wrapping: Object, key: Object, out: Bytes, out_length: Length) {
        module()?.wrap_key(session, mechanism(how)?, wrapping, key, output(out, out_length)?)
    }
    fn C_UnwrapKey(session: Session, how: Mechanism, unwrapping: Object, wrapped: Bytes, length: CK_ULONG, attributes: Template, count: CK_ULONG, key: *mut Object) {
        let key = place(key)?;
        let wrapped = bytes(wrapped, length)?;
        let template = template(attributes, count)?;
        key.put(module()?.unwrap_key(session, mechanism(how)?, unwrapping, wrapped, template)?);
        Ok(())
    }
    fn C_DeriveKey(session: Session, how: Mechanism, base: Object, attributes: Template, count: CK_ULONG, key: *mut Object) {
        let key = place(key)?;
        key.put(module()?.derive_key(session, &mechanism(how)?, base, template(attributes, count)?)?);
        Ok(())
    }
    fn C_SeedRandom(session: Session, seed: Bytes, length: CK_ULONG) {
        bytes(seed, length)?;
        module()?.seed_random(session)
    }
    fn C_GenerateRandom(session: Session, out: Bytes, length: CK_ULONG) {
        module()?.generate_random(session, fill(out, length)?)
    }
    fn C_GetFunctionStatus(session: Session) {
        module()?.session(session)?;
        fail(CKR_FUNCTION_NOT_PARALLEL, "no function runs in parallel")
    }
    fn C_CancelFunction(session: Session) {
        module()?.session(session)?;
        fail(CKR_FUNCTION_NOT_PARALLEL, "no function runs in parallel")
    }
    fn C_WaitForSlotEvent(flags: CK_FLAGS, slot: *mut CK_SLOT_ID, reserved: *mut c_void) {
        place(slot)?;
        if !reserved.is_null() {
            return fail(CKR_ARGUMENTS_BAD, "the reserved argument is not null");
        }
        module()?.wait_for_slot_event(flags)
    }
}
3.0: {
    fn C_GetInterfaceList(list: *mut CK_INTERFACE, count: Length) { interface_list(list, count) }
    fn C_GetInterface(name: *mut CK_UTF8CHAR, version: *mut CK_VERSION, interface: *mut *mut CK_INTERFACE, flags: CK_FLAGS) {
        find_interface(name, version, interface, flags)
    }
    fn C_LoginUser(session: Session, user: CK_USER_TYPE, pin: *mut CK_UTF8CHAR, length: CK_ULONG, name: *mut CK_UTF8CHAR, name_length: CK_ULONG) {
        optional(name, name_length)?;
        module()?.login(session, user, optional(pin, length)?)
    }
    fn C_SessionCancel(session: Session, flags: CK_FLAGS) { module()?.cancel(session, flags) }
    fn C_MessageEncryptInit(session: Session, _how: Mechanism, _key: Object) { no_messages(session) }
    fn C_EncryptMessage(session: Session, _p: *mut c_void, _pl: CK_ULONG, _a: Bytes, _al: CK_ULONG, _d: Bytes, _dl: CK_ULONG, _o: Bytes, _ol: Length) { no_messages(session) }
    fn C_EncryptMessageBegin(session: Session, _p: *mut c_void, _pl: CK_ULONG, _a: Bytes, _al: CK_ULONG) { no_messages(session) }
    fn C_EncryptMessageNext(session: Session, _p: *mut c_void, _pl: CK_ULONG, _d: Bytes, _dl: CK_ULONG, _o: Bytes, _ol: Length, _flags: CK_FLAGS) { no_messages(session) }
    fn C_MessageEncryptFinal(session: Session) { no_messages(session) }
    fn C_MessageDecryptInit(session: Session, _how: Mechanism, _key: Object) { no_messages(session) }
    fn C_DecryptMessage(session: Session, _p: *mut c_void, _pl: CK_ULONG, _a: Bytes, _al: CK_ULONG, _d: Bytes, _dl: CK_ULONG, _o: Bytes, _ol: Length) { no_messages(session) }
    fn C_DecryptMessageBegin(session: Session, _p: *mut c_void, _pl: CK_ULONG, _a: Bytes, _al: CK_ULONG) { no_messages(session) }
    fn C_DecryptMessageNext(session: Session, _p: *mut c_void, _pl: CK_ULONG, _d: Bytes, _dl: CK_ULONG, _o: Bytes, _ol: Length, _flags: CK_FLAGS) { no_messages(session) }
    fn C_MessageDecryptFinal(session: Session) { no_messages(session) }
    fn C_MessageSignInit(session: Session, _how: Mechanism, _key: Object) { no_messages(session) }
    fn C_SignMessage(session: Session, _p: *mut c_void, _pl: CK_ULONG, _d: Bytes, _dl: CK_ULONG, _o: Bytes, _ol: Length) { no_messages(session) }
    fn C_SignMessageBegin(session: Session, _p: *mut c_void, _pl: CK_ULONG) { no_messages(session) }
    fn C_SignMessageNext(session: Session, _p: *mut c_void, _pl: CK_ULONG, _d: Bytes, _dl: CK_ULONG, _o: Bytes, _ol: Length) { no_messages(session) }
    fn C_MessageSignFinal(session: Session) { no_messages(session) }
    fn C_MessageVerifyInit(session: Session, _how: Mechanism, _key: Object) { no_messages(session) }
    fn C_VerifyMessage(session: Session, _p: *mut c_void, _pl: CK_ULONG, _d: Bytes, _dl: CK_ULONG, _s: Bytes, _sl: CK_ULONG) { no_messages(session) }
    fn C_VerifyMessageBegin(session: Session, _p: *mut c_void, _pl: CK_ULONG) { no_messages(session) }
    fn C_VerifyMessageNext(session: Session, _p: *mut c_void, _pl: CK_ULONG, _d: Bytes, _dl: CK_ULONG, _s: Bytes, _sl: CK_ULONG) { no_messages(session) }
    fn C_MessageVerifyFinal(session: Session) { no_messages(session) }
}
3.2: {
    fn C_EncapsulateKey(session: Session, how: Mechanism, public: Object, attributes: Template, count: CK_ULONG, out: Bytes, out_length: Length, key: *mut Object) {
        let template = template(attributes, count)?;
        let out = output(out, out_length)?;
        // Whoever asks for the length has no place for the key yet.
        let key = if out.room().is_some() { Some(place(key)?) } else { None };
        let made = module()?.encapsulate_key(session, &mechanism(how)?, public, template, out)?;
        if let (Some(key), Some(made)) = (key, made) {
            key.put(made);
        }
        Ok(())
    }
    fn C_DecapsulateKey(session: Session, how: Mechanism, private: Object, attributes: Template, count: CK_ULONG, ciphertext: Bytes, length: CK_ULONG, key: *mut Object) {
        let key = place(key)?;
        let template = template(attributes, count)?;
        let ciphertext = bytes(ciphertext, length)?;
        key.put(module()?.decapsulate_key(session, &mechanism(how)?, private, template, ciphertext)?);
        Ok(())
    }
    fn C_VerifySignatureInit(session: Session, how: Mechanism, key: Object, signature: Bytes, length: CK_ULONG) {
        module()?.verify_signature_init(session, mechanism(how)?, key, bytes(signature, length)?)
    }
    fn C_VerifySignature(session: Session, data: Bytes, length: CK_ULONG) {
        module()?.verify_signature(session, bytes(data, length)?)
    }
    fn C_VerifySignatureUpdate(session: Session, data: Bytes, length: CK_ULONG) {
        module()?.verify_update(session, bytes(data, length)?)
    }
    fn C_VerifySignatureFinal(session: Session) { module()?.verify_signature(session, &[]) }
    fn C_GetSessionValidationFlags(session: Session, _kind: CK_SESSION_VALIDATION_FLAGS_TYPE, flags: *mut CK_FLAGS) {
        let flags = place(flags)?;
        module()?.session(session)?;
        flags.put(0);
        Ok(())
    }
    fn C_AsyncComplete(session: Session, _name: *mut CK_UTF8CHAR, _result: *mut CK_ASYNC_DATA) { no_parallel(session) }
    fn C_AsyncGetID(session: Session, _name: *mut CK_UTF8CHAR, _id: Length) { no_parallel(session) }
    fn C_AsyncJoin(session: Session, _name: *mut CK_UTF8CHAR, _id: CK_ULONG, _data: Bytes, _length: CK_ULONG) { no_parallel(session) }
    fn C_WrapKeyAuthenticated(session: Session, _how: Mechanism, _wrapping: Object, _key: Object, _a: Bytes, _al: CK_ULONG, _o: Bytes, _ol: Length) { no_messages(session) }
    fn C_UnwrapKeyAuthenticated(session: Session, _how: Mechanism, _unwrapping: Object, _w: Bytes, _wl: CK_ULONG, _t: Template, _tl: CK_ULONG, _a: Bytes, _al: CK_ULONG, _key: *mut Object) { no_messages(session) }
}
}

fn no_messages(session: Session) -> CkResult<()> {
    module()?.session(session)?;
    fail(
        CKR_FUNCTION_NOT_SUPPORTED,
        "message-based functions are not served",
    )
}

fn no_parallel(session: Session) -> CkResult<()> {
    module()?.session(session)?;
    fail(
        CKR_SESSION_ASYNC_NOT_SUPPORTED,
        "no session is asynchronous",
    )
}

/// The reserved string, and whether threads may be made.
///
/// # Safety
/// `args` is null, or points to arguments whose reserved pointer is null or points to text with a null byte behind it.
unsafe fn initialize_arguments<'a>(
    args: *const CK_C_INITIALIZE_ARGS,
) -> CkResult<(Option<&'a str>, bool)> {
    if args.is_null() {
        return Ok((None, true));
    }
    // SAFETY: not null; promised by the caller.
    let args = unsafe { args.read_unaligned() };
    let given = [
        args.CreateMutex.is_some(),
        args.DestroyMutex.is_some(),
        args.LockMutex.is_some(),
        args.UnlockMutex.is_some(),
    ];
    // The application's mutexes, where it gives all of them, are not needed: those of the system do under either convention.
    if given.contains(&true) && given.contains(&false) {
        return fail(
            CKR_ARGUMENTS_BAD,
            "some functions for mutexes are given and others are not",
        );
    }
    let threads = args.flags & CKF_LIBRARY_CANT_CREATE_OS_THREADS == 0;
    if args.pReserved.is_null() {
        return Ok((None, threads));
    }
    // SAFETY: not null; promised by the caller.
    let reserved = unsafe { CStr::from_ptr(args.pReserved.cast()) };
    match reserved.to_str() {
        Ok(reserved) => Ok((Some(reserved), threads)),
        Err(_) => fail(CKR_ARGUMENTS_BAD, "the reserved string is no text"),
    }
}

/// What is exported by name.
mod exported {
    use cryptoki_sys::{
        CK_FLAGS, CK_FUNCTION_LIST, CK_INTERFACE, CK_RV, CK_ULONG, CK_UTF8CHAR, CK_VERSION,
    };

    /// # Safety
    /// As the standard says.
    #[unsafe(no_mangle)]
    pub(crate) unsafe extern "C" fn C_GetFunctionList(list: *mut *mut CK_FUNCTION_LIST) -> CK_RV {
        // SAFETY: promised by the caller.
        unsafe { super::C_GetFunctionList(list) }
    }

    /// # Safety
    /// As the standard says.
    #[unsafe(no_mangle)]
    pub(crate) unsafe extern "C" fn C_GetInterfaceList(
        list: *mut CK_INTERFACE,
        count: *mut CK_ULONG,
    ) -> CK_RV {
        // SAFETY: promised by the caller.
        unsafe { super::C_GetInterfaceList(list, count) }
    }

    /// # Safety
    /// As the standard says.
    #[unsafe(no_mangle)]
    pub(crate) unsafe extern "C" fn C_GetInterface(
        name: *mut CK_UTF8CHAR,
        version: *mut CK_VERSION,
        interface: *mut *mut CK_INTERFACE,
        flags: CK_FLAGS,
    ) -> CK_RV {
        // SAFETY: promised by the caller.
        unsafe { super::C_GetInterface(name, version, interface, flags) }
    }
}
