//! Sessions: opening and closing them, signing in and out.

use std::sync::Arc;

use cryptoki_sys::*;
use zeroize::Zeroizing;

use super::crypt::Crypt;
use super::digest::Digesting;
use super::operation::Slot as Operation;
use super::sign::Sign;
use super::verify::Verify;
use super::{Module, Slot};
use crate::config::Level;
use crate::error::{CkResult, fail};
use crate::object::{Find, Home};
use crate::token::{Pin, User};

/// A session.
pub(crate) struct Session {
    pub(crate) handle: CK_SESSION_HANDLE,
    pub(crate) slot: Arc<Slot>,
    /// Whether it may change the token's objects.
    pub(crate) writes: bool,
    pub(crate) find: Operation<Find>,
    pub(crate) encrypt: Operation<Crypt>,
    pub(crate) decrypt: Operation<Crypt>,
    pub(crate) digest: Operation<Digesting>,
    pub(crate) sign: Operation<Sign>,
    pub(crate) sign_recover: Operation<Sign>,
    pub(crate) verify: Operation<Verify>,
    pub(crate) verify_recover: Operation<Verify>,
}

impl Session {
    fn new(handle: CK_SESSION_HANDLE, slot: Arc<Slot>, writes: bool) -> Self {
        Self {
            handle,
            slot,
            writes,
            find: Operation::new(),
            encrypt: Operation::new(),
            decrypt: Operation::new(),
            digest: Operation::new(),
            sign: Operation::new(),
            sign_recover: Operation::new(),
            verify: Operation::new(),
            verify_recover: Operation::new(),
        }
    }

    pub(crate) fn cancel_all(&self) {
        self.cancel(CK_FLAGS::MAX);
    }

    /// Ends the operations that flags name.
    fn cancel(&self, flags: CK_FLAGS) {
        let each: [(CK_FLAGS, &dyn Fn() -> bool); 8] = [
            (CKF_FIND_OBJECTS, &|| self.find.cancel()),
            (CKF_ENCRYPT, &|| self.encrypt.cancel()),
            (CKF_DECRYPT, &|| self.decrypt.cancel()),
            (CKF_DIGEST, &|| self.digest.cancel()),
            (CKF_SIGN, &|| self.sign.cancel()),
            (CKF_SIGN_RECOVER, &|| self.sign_recover.cancel()),
            (CKF_VERIFY, &|| self.verify.cancel()),
            (CKF_VERIFY_RECOVER, &|| self.verify_recover.cancel()),
        ];
        for (flag, cancel) in each {
            if flags & flag != 0 {
                cancel();
            }
        }
    }

    /// Whether another cryptographic operation than a digest is under way.
    pub(crate) fn others_than_digest(&self) -> bool {
        self.encrypt.check_idle().is_err()
            || self.decrypt.check_idle().is_err()
            || self.sign.check_idle().is_err()
            || self.sign_recover.check_idle().is_err()
            || self.verify.check_idle().is_err()
            || self.verify_recover.check_idle().is_err()
    }
}

impl Module {
    /// `C_OpenSession`.
    pub(crate) fn open_session(
        &self,
        slot: CK_SLOT_ID,
        flags: CK_FLAGS,
    ) -> CkResult<CK_SESSION_HANDLE> {
        let slot = self.slot(slot)?;
        if flags & CKF_SERIAL_SESSION == 0 {
            return fail(
                CKR_SESSION_PARALLEL_NOT_SUPPORTED,
                "CKF_SERIAL_SESSION is missing",
            );
        }
        slot.token()?;
        let writes = flags & CKF_RW_SESSION != 0;
        let session = |handle| Session::new(handle, Arc::clone(slot), writes);
        Ok(self.sessions.insert(session)?.0)
    }

    /// `C_CloseSession`: its objects go with it, and with the last session of a slot the sign-in.
    pub(crate) fn close_session(&self, session: CK_SESSION_HANDLE) -> CkResult<()> {
        let session = self.session(session)?;
        self.sessions.remove(session.handle);
        self.closed(&session);
        if self
            .sessions
            .count(|other| other.slot.id == session.slot.id)
            == 0
        {
            self.sign_out(&session.slot);
        }
        Ok(())
    }

    /// `C_CloseAllSessions`.
    pub(crate) fn close_all_sessions(&self, slot: CK_SLOT_ID) -> CkResult<()> {
        let slot = self.slot(slot)?;
        for session in self
            .sessions
            .remove_where(|session| session.slot.id == slot.id)
        {
            self.closed(&session);
        }
        self.sign_out(slot);
        Ok(())
    }

    fn closed(&self, session: &Session) {
        session.cancel_all();
        self.objects
            .remove_where(|object| object.home == Home::Session(session.handle));
    }

    /// `C_GetSessionInfo`.
    pub(crate) fn session_info(&self, session: CK_SESSION_HANDLE) -> CkResult<CK_SESSION_INFO> {
        let session = self.session(session)?;
        let state = match (session.writes, session.slot.is_signed_in()) {
            (false, false) => CKS_RO_PUBLIC_SESSION,
            (false, true) => CKS_RO_USER_FUNCTIONS,
            (true, false) => CKS_RW_PUBLIC_SESSION,
            (true, true) => CKS_RW_USER_FUNCTIONS,
        };
        let writes = if session.writes { CKF_RW_SESSION } else { 0 };
        Ok(CK_SESSION_INFO {
            slotID: super::ulong(session.slot.id),
            state,
            flags: CKF_SERIAL_SESSION | writes,
            ulDeviceError: 0,
        })
    }

    /// `C_Login` and `C_LoginUser`. The account is the one of the configuration: a name that is given is not another one's.
    pub(crate) fn login(
        &self,
        session: CK_SESSION_HANDLE,
        user: CK_USER_TYPE,
        pin: Option<&[u8]>,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        let slot = &session.slot;
        let pin = pin.map(|pin| Pin(Zeroizing::new(pin.to_vec())));
        match user {
            CKU_USER => {
                if slot.is_signed_in() {
                    return fail(
                        CKR_USER_ALREADY_LOGGED_IN,
                        "the account has signed in already",
                    );
                }
                check_pin(slot, pin.as_ref())?;
                slot.token()?.login(User::Account, pin.as_ref())?;
                slot.set_signed_in(true);
                self.log.line(Level::Info, format_args!("signed in"));
                Ok(())
            }
            CKU_CONTEXT_SPECIFIC => {
                if !session.waits_for_login() {
                    return fail(
                        CKR_OPERATION_NOT_INITIALIZED,
                        "no operation asks for a sign-in",
                    );
                }
                check_pin(slot, pin.as_ref())?;
                slot.token()?.login(User::ForOperation, pin.as_ref())?;
                session.logged_in();
                Ok(())
            }
            // An account is looked after in the appliance, not from here.
            _ => fail(CKR_USER_TYPE_INVALID, "there is no security officer"),
        }
    }

    /// `C_Logout`.
    pub(crate) fn logout(&self, session: CK_SESSION_HANDLE) -> CkResult<()> {
        let session = self.session(session)?;
        if !session.slot.is_signed_in() {
            return fail(CKR_USER_NOT_LOGGED_IN, "nobody has signed in");
        }
        self.sign_out(&session.slot);
        Ok(())
    }

    /// Signs out: private session objects go, and the handles of private objects.
    fn sign_out(&self, slot: &Slot) {
        if !slot.is_signed_in() {
            return;
        }
        slot.set_signed_in(false);
        for (_, session) in self.sessions.all(|session| session.slot.id == slot.id) {
            session.cancel_all();
        }
        let private = self
            .objects
            .all(|object| object.slot == slot.id && object.record().attributes.is(CKA_PRIVATE));
        for (handle, object) in private {
            object.forget();
            if let Home::Token(id) = object.home {
                slot.forget(id, handle);
            }
            self.objects.remove(handle);
        }
        if let Ok(token) = slot.token()
            && let Err(error) = token.logout()
        {
            // The sign-in ends by itself; here it has ended.
            self.log
                .line(Level::Error, format_args!("signing out: {error}"));
        }
    }

    /// `C_SetPIN`.
    pub(crate) fn set_pin(
        &self,
        session: CK_SESSION_HANDLE,
        old: &[u8],
        new: &[u8],
    ) -> CkResult<()> {
        let session = self.session(session)?;
        if !session.writes {
            return fail(CKR_SESSION_READ_ONLY, "the session is for reading");
        }
        let info = session.slot.info()?;
        if !(info.pin_length.0..=info.pin_length.1).contains(&super::ulong(new.len())) {
            return fail(CKR_PIN_LEN_RANGE, "a PIN cannot be so long, or so short");
        }
        let pin = |pin: &[u8]| Pin(Zeroizing::new(pin.to_vec()));
        Ok(session.slot.token()?.set_pin(&pin(old), &pin(new))?)
    }

    /// `C_SessionCancel`.
    pub(crate) fn cancel(&self, session: CK_SESSION_HANDLE, flags: CK_FLAGS) -> CkResult<()> {
        let session = self.session(session)?;
        session.cancel(flags);
        Ok(())
    }
}

fn check_pin(slot: &Slot, pin: Option<&Pin>) -> CkResult<()> {
    let info = slot.info()?;
    match pin {
        None if info.login_required => fail(
            CKR_ARGUMENTS_BAD,
            "a PIN is needed: there is no PIN pad and no client certificate",
        ),
        Some(Pin(pin)) if info.login_required && super::ulong(pin.len()) > info.pin_length.1 => {
            fail(CKR_PIN_INCORRECT, "no PIN is so long")
        }
        _ => Ok(()),
    }
}

/// Sign-in for one operation of a key that asks for it each time.
impl Session {
    fn waits_for_login(&self) -> bool {
        self.authenticate_each(false)
    }

    fn logged_in(&self) {
        self.authenticate_each(true);
    }

    fn authenticate_each(&self, done: bool) -> bool {
        let mut waits = false;
        let mut each = |waiting: &mut bool| {
            waits |= *waiting;
            *waiting &= !done;
        };
        self.sign.look(|sign| each(&mut sign.waits));
        self.sign_recover.look(|sign| each(&mut sign.waits));
        self.decrypt.look(|decrypt| each(&mut decrypt.waits));
        waits
    }
}
