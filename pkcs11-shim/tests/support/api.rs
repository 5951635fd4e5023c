//! The function list, called as a C application calls it.

use std::ffi::CString;
use std::ptr::null_mut;

use cryptoki_sys::*;

#[allow(unused_imports, reason = "each test uses a part")]
pub use super::values::{How, T, Template, V};

#[derive(Clone, Copy)]
pub struct Api {
    pub list: &'static CK_FUNCTION_LIST_3_2,
}

macro_rules! call {
    ($api:expr, $name:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the arguments are what the standard says.
        unsafe { ($api.list.$name.unwrap())($($argument),*) }
    };
}
#[allow(unused_imports, reason = "each test uses a part")]
pub(crate) use call;

pub type R<T> = Result<T, CK_RV>;

fn done<T>(rv: CK_RV, value: T) -> R<T> {
    if rv == CKR_OK { Ok(value) } else { Err(rv) }
}

fn len(bytes: &[u8]) -> CK_ULONG {
    bytes.len() as CK_ULONG
}

fn at(bytes: &[u8]) -> *mut u8 {
    bytes.as_ptr().cast_mut()
}

/// Asks for the length, then for the outcome.
fn twice(mut f: impl FnMut(*mut u8, *mut CK_ULONG) -> CK_RV) -> R<Vec<u8>> {
    let mut length = 0;
    done(f(null_mut(), &raw mut length), ())?;
    let mut out = vec![0; length as usize];
    // A buffer for nothing is a buffer all the same.
    out.reserve(1);
    done(f(out.as_mut_ptr(), &raw mut length), ())?;
    out.truncate(length as usize);
    Ok(out)
}

impl Api {
    pub fn initialize(&self, reserved: &str) -> CK_RV {
        let reserved = CString::new(reserved).unwrap();
        let mut args = CK_C_INITIALIZE_ARGS {
            flags: CKF_OS_LOCKING_OK,
            pReserved: reserved.as_ptr().cast_mut().cast(),
            ..Default::default()
        };
        call!(self, C_Initialize((&raw mut args).cast()))
    }

    pub fn finalize(&self) -> CK_RV {
        call!(self, C_Finalize(null_mut()))
    }

    pub fn open(&self, slot: CK_SLOT_ID, flags: CK_FLAGS) -> R<CK_SESSION_HANDLE> {
        let mut session = 0;
        let rv = call!(
            self,
            C_OpenSession(
                slot,
                flags | CKF_SERIAL_SESSION,
                null_mut(),
                None,
                &raw mut session
            )
        );
        done(rv, session)
    }

    pub fn login(&self, session: CK_SESSION_HANDLE, user: CK_USER_TYPE, pin: &[u8]) -> CK_RV {
        call!(self, C_Login(session, user, at(pin), len(pin)))
    }

    pub fn create(&self, session: CK_SESSION_HANDLE, template: &[T<'_>]) -> R<CK_OBJECT_HANDLE> {
        let (mut object, mut template) = (0, Template::new(template));
        let (attributes, count) = template.parts();
        done(
            call!(
                self,
                C_CreateObject(session, attributes, count, &raw mut object)
            ),
            object,
        )
    }

    pub fn copy(
        &self,
        session: CK_SESSION_HANDLE,
        from: CK_OBJECT_HANDLE,
        template: &[T<'_>],
    ) -> R<CK_OBJECT_HANDLE> {
        let (mut object, mut template) = (0, Template::new(template));
        let (attributes, count) = template.parts();
        done(
            call!(
                self,
                C_CopyObject(session, from, attributes, count, &raw mut object)
            ),
            object,
        )
    }

    pub fn set(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        template: &[T<'_>],
    ) -> R<()> {
        let mut template = Template::new(template);
        let (attributes, count) = template.parts();
        done(
            call!(
                self,
                C_SetAttributeValue(session, object, attributes, count)
            ),
            (),
        )
    }

    pub fn get(
        &self,
        session: CK_SESSION_HANDLE,
        object: CK_OBJECT_HANDLE,
        attribute: CK_ATTRIBUTE_TYPE,
    ) -> R<Vec<u8>> {
        let mut wanted = CK_ATTRIBUTE {
            type_: attribute,
            pValue: null_mut(),
            ulValueLen: 0,
        };
        done(
            call!(
                self,
                C_GetAttributeValue(session, object, &raw mut wanted, 1)
            ),
            (),
        )?;
        let mut value = vec![0; wanted.ulValueLen as usize];
        value.reserve(1);
        wanted.pValue = value.as_mut_ptr().cast();
        done(
            call!(
                self,
                C_GetAttributeValue(session, object, &raw mut wanted, 1)
            ),
            value,
        )
    }

    pub fn find(
        &self,
        session: CK_SESSION_HANDLE,
        template: &[T<'_>],
        most: usize,
    ) -> R<Vec<CK_OBJECT_HANDLE>> {
        let mut template = Template::new(template);
        let (attributes, count) = template.parts();
        done(
            call!(self, C_FindObjectsInit(session, attributes, count)),
            (),
        )?;
        let mut found = vec![0; most];
        let mut count = 0;
        let rv = call!(
            self,
            C_FindObjects(
                session,
                found.as_mut_ptr(),
                most as CK_ULONG,
                &raw mut count
            )
        );
        found.truncate(count as usize);
        let _ = call!(self, C_FindObjectsFinal(session));
        done(rv, found)
    }

    pub fn generate(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        template: &[T<'_>],
    ) -> R<CK_OBJECT_HANDLE> {
        let (mut key, mut template) = (0, Template::new(template));
        let (attributes, count) = template.parts();
        let mut how = how.c();
        done(
            call!(
                self,
                C_GenerateKey(session, &raw mut how, attributes, count, &raw mut key)
            ),
            key,
        )
    }

    pub fn generate_pair(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        public: &[T<'_>],
        private: &[T<'_>],
    ) -> R<(CK_OBJECT_HANDLE, CK_OBJECT_HANDLE)> {
        let (mut public, mut private) = (Template::new(public), Template::new(private));
        let (p, pc) = public.parts();
        let (q, qc) = private.parts();
        let mut how = how.c();
        let (mut a, mut b) = (0, 0);
        let rv = call!(
            self,
            C_GenerateKeyPair(session, &raw mut how, p, pc, q, qc, &raw mut a, &raw mut b)
        );
        done(rv, (a, b))
    }

    pub fn sign_init(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        key: CK_OBJECT_HANDLE,
    ) -> R<()> {
        let mut how = how.c();
        done(call!(self, C_SignInit(session, &raw mut how, key)), ())
    }

    pub fn sign(
        &self,
        session: CK_SESSION_HANDLE,
        how: How,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
    ) -> R<Vec<u8>> {
        self.sign_init(session, how, key)?;
        twice(|out, length| call!(self, C_Sign(session, at(data), len(data), out, length)))
    }

    pub fn sign_parts(
        &self,
        session: CK_SESSION_HANDLE,
        how: How,
        key: CK_OBJECT_HANDLE,
        parts: &[&[u8]],
    ) -> R<Vec<u8>> {
        self.sign_init(session, how, key)?;
        for part in parts {
            done(call!(self, C_SignUpdate(session, at(part), len(part))), ())?;
        }
        twice(|out, length| call!(self, C_SignFinal(session, out, length)))
    }

    pub fn verify(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
        signature: &[u8],
    ) -> R<()> {
        let mut how = how.c();
        done(call!(self, C_VerifyInit(session, &raw mut how, key)), ())?;
        done(
            call!(
                self,
                C_Verify(session, at(data), len(data), at(signature), len(signature))
            ),
            (),
        )
    }

    pub fn encrypt(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
    ) -> R<Vec<u8>> {
        let mut how = how.c();
        done(call!(self, C_EncryptInit(session, &raw mut how, key)), ())?;
        twice(|out, length| call!(self, C_Encrypt(session, at(data), len(data), out, length)))
    }

    pub fn decrypt(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        key: CK_OBJECT_HANDLE,
        data: &[u8],
    ) -> R<Vec<u8>> {
        let mut how = how.c();
        done(call!(self, C_DecryptInit(session, &raw mut how, key)), ())?;
        twice(|out, length| call!(self, C_Decrypt(session, at(data), len(data), out, length)))
    }

    pub fn encrypt_parts(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        key: CK_OBJECT_HANDLE,
        parts: &[&[u8]],
    ) -> R<Vec<u8>> {
        let mut how = how.c();
        done(call!(self, C_EncryptInit(session, &raw mut how, key)), ())?;
        let mut all = Vec::new();
        for part in parts {
            all.extend(twice(|out, length| {
                call!(
                    self,
                    C_EncryptUpdate(session, at(part), len(part), out, length)
                )
            })?);
        }
        all.extend(twice(|out, length| {
            call!(self, C_EncryptFinal(session, out, length))
        })?);
        Ok(all)
    }

    pub fn decrypt_parts(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        key: CK_OBJECT_HANDLE,
        parts: &[&[u8]],
    ) -> R<Vec<u8>> {
        let mut how = how.c();
        done(call!(self, C_DecryptInit(session, &raw mut how, key)), ())?;
        let mut all = Vec::new();
        for part in parts {
            all.extend(twice(|out, length| {
                call!(
                    self,
                    C_DecryptUpdate(session, at(part), len(part), out, length)
                )
            })?);
        }
        all.extend(twice(|out, length| {
            call!(self, C_DecryptFinal(session, out, length))
        })?);
        Ok(all)
    }

    pub fn digest(&self, session: CK_SESSION_HANDLE, mut how: How, data: &[u8]) -> R<Vec<u8>> {
        let mut how = how.c();
        done(call!(self, C_DigestInit(session, &raw mut how)), ())?;
        twice(|out, length| call!(self, C_Digest(session, at(data), len(data), out, length)))
    }

    pub fn wrap(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        with: CK_OBJECT_HANDLE,
        key: CK_OBJECT_HANDLE,
    ) -> R<Vec<u8>> {
        let mut how = how.c();
        twice(|out, length| {
            call!(
                self,
                C_WrapKey(session, &raw mut how, with, key, out, length)
            )
        })
    }

    pub fn unwrap(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        with: CK_OBJECT_HANDLE,
        wrapped: &[u8],
        template: &[T<'_>],
    ) -> R<CK_OBJECT_HANDLE> {
        let (mut key, mut template) = (0, Template::new(template));
        let (attributes, count) = template.parts();
        let mut how = how.c();
        let rv = call!(
            self,
            C_UnwrapKey(
                session,
                &raw mut how,
                with,
                at(wrapped),
                len(wrapped),
                attributes,
                count,
                &raw mut key
            )
        );
        done(rv, key)
    }

    pub fn derive(
        &self,
        session: CK_SESSION_HANDLE,
        mut how: How,
        base: CK_OBJECT_HANDLE,
        template: &[T<'_>],
    ) -> R<CK_OBJECT_HANDLE> {
        let (mut key, mut template) = (0, Template::new(template));
        let (attributes, count) = template.parts();
        let mut how = how.c();
        done(
            call!(
                self,
                C_DeriveKey(session, &raw mut how, base, attributes, count, &raw mut key)
            ),
            key,
        )
    }

    /// The interface that `C_GetInterface` gives for a version.
    pub fn interface(&self, version: Option<CK_VERSION>) -> R<*mut CK_INTERFACE> {
        let mut version = version;
        let version = version.as_mut().map_or(null_mut(), std::ptr::from_mut);
        let mut interface = null_mut();
        done(
            call!(
                self,
                C_GetInterface(std::ptr::null_mut::<u8>(), version, &raw mut interface, 0)
            ),
            interface,
        )
    }
}
