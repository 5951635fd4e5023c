//! Two operations in one call: encryption with a digest or a signature, decryption with a digest or a verification.

use cryptoki_sys::*;

use super::{Module, Output};
use crate::error::{CkError, CkResult, fail};

impl Module {
    /// `C_DigestEncryptUpdate`.
    pub(crate) fn digest_encrypt_update(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        self.both(
            session,
            |session| session.digest.check_idle(),
            || {
                let asked = output.room().is_none();
                self.encrypt_update(session, data, output)?;
                if asked {
                    Ok(())
                } else {
                    self.digest_update(session, data)
                }
            },
        )
    }

    /// `C_SignEncryptUpdate`.
    pub(crate) fn sign_encrypt_update(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        output: Output<'_>,
    ) -> CkResult<()> {
        self.both(
            session,
            |session| session.sign.check_idle(),
            || {
                let asked = output.room().is_none();
                self.encrypt_update(session, data, output)?;
                if asked {
                    Ok(())
                } else {
                    self.sign_update(session, data)
                }
            },
        )
    }

    /// `C_DecryptDigestUpdate`.
    pub(crate) fn decrypt_digest_update(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        room: Option<&mut [u8]>,
        length: &mut CK_ULONG,
    ) -> CkResult<()> {
        self.both(
            session,
            |session| session.digest.check_idle(),
            || {
                self.decrypted(session, data, room, length, |decrypted| {
                    self.digest_update(session, decrypted)
                })
            },
        )
    }

    /// `C_DecryptVerifyUpdate`.
    pub(crate) fn decrypt_verify_update(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        room: Option<&mut [u8]>,
        length: &mut CK_ULONG,
    ) -> CkResult<()> {
        self.both(
            session,
            |session| session.verify.check_idle(),
            || {
                self.decrypted(session, data, room, length, |decrypted| {
                    self.verify_update(session, decrypted)
                })
            },
        )
    }

    fn decrypted(
        &self,
        session: CK_SESSION_HANDLE,
        data: &[u8],
        room: Option<&mut [u8]>,
        length: &mut CK_ULONG,
        then: impl FnOnce(&[u8]) -> CkResult<()>,
    ) -> CkResult<()> {
        let Some(room) = room else {
            return self.decrypt_update(session, data, Output::new(None, length));
        };
        self.decrypt_update(session, data, Output::new(Some(&mut *room), length))?;
        let done = usize::try_from(*length)
            .ok()
            .and_then(|done| room.get(..done));
        then(done.ok_or(CkError::new(
            CKR_GENERAL_ERROR,
            "more than there was room for",
        ))?)
    }

    /// Both operations have to be under way before anything is done.
    fn both(
        &self,
        session: CK_SESSION_HANDLE,
        idle: impl Fn(&super::Session) -> CkResult<()>,
        work: impl FnOnce() -> CkResult<()>,
    ) -> CkResult<()> {
        if idle(&*self.session(session)?).is_ok() {
            return fail(
                CKR_OPERATION_NOT_INITIALIZED,
                "one of the two operations is not under way",
            );
        }
        work()
    }
}
