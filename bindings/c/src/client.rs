//! Whom to talk to, and signing in.

use std::ffi::c_char;
use std::ptr;

use strongroom_client::device::AccountSecret;
use strongroom_client::sign_in::{SecondFactorSignIn, SignIn};
use strongroom_client::{
    Client, ClientError, Device, Identity, Protect as _, Retries, Roots, Session,
};
use strongroom_wire::credential::SecondFactor;

use crate::error::{sr_error, sr_kind};
use crate::ffi::{self, Out, Outcome, entry, invalid, shared, text, unique, values};

/// An appliance, and who vouches for it. Freed with sr_client_free.
pub struct sr_client(Client);

/// An account signed in at an appliance, or a device or service that signs each of its requests. Freed with sr_session_free.
pub struct sr_session(pub(crate) Who);

/// A sign-in whose password was right and that waits for a second factor. Freed with sr_second_factor_free.
pub struct sr_second_factor(SecondFactorSignIn);

pub(crate) enum Who {
    Session(Box<Session>),
    Device(Box<Device>),
}

impl sr_session {
    fn new(session: Session) -> *mut Self {
        Box::into_raw(Box::new(Self(Who::Session(Box::new(session)))))
    }

    /// The session, for what this library does in sessions alone.
    pub(crate) fn signed_in(&self) -> Outcome<&Session> {
        match &self.0 {
            Who::Session(session) => Ok(session),
            Who::Device(_) => Err(invalid(
                "this takes a session: devices that sign their requests cannot do it",
            )),
        }
    }
}

/// Does the same with a session or a device.
macro_rules! with {
    ($session:expr, |$who:ident| $act:expr) => {
        match &$session.0 {
            $crate::client::Who::Session($who) => $act,
            $crate::client::Who::Device($who) => $act,
        }
    };
}
pub(crate) use with;

/// Sets up a client for the appliance at `server`, such as `https://keys.example.com:8443`, for which the authorities in `ca` (PEM) vouch.
/// Connects to nothing yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_client_new(
    server: *const c_char,
    ca: *const u8,
    ca_length: usize,
    client: *mut *mut sr_client,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(client, ptr::null_mut())?;
            let roots = Roots::from_pem(values(ca, ca_length, "the authorities")?)?;
            let client = Client::new(text(server, "the server")?, &roots)?;
            out.set(|| Box::into_raw(Box::new(sr_client(client))));
            Ok(())
        })
    }
}

/// The same, with a client certificate and its private key (PEM) that it presents wherever it is asked for one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_client_new_with_identity(
    server: *const c_char,
    ca: *const u8,
    ca_length: usize,
    certificate: *const u8,
    certificate_length: usize,
    key: *const u8,
    key_length: usize,
    client: *mut *mut sr_client,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(client, ptr::null_mut())?;
            let roots = Roots::from_pem(values(ca, ca_length, "the authorities")?)?;
            let certificate = values(certificate, certificate_length, "the certificate")?;
            let key = values(key, key_length, "the private key")?;
            let identity = Identity::from_pem(certificate, key)?;
            let client = Client::with_identity(text(server, "the server")?, &roots, &identity)?;
            out.set(|| Box::into_raw(Box::new(sr_client(client))));
            Ok(())
        })
    }
}

/// Adds an address at which the appliance, or another that serves the same domain, is reached. Before the client is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_client_or_at(
    client: *mut sr_client,
    address: *const c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let client = unique(client, "the client")?;
            client.0 = client.0.clone().or_at(text(address, "the address")?)?;
            Ok(())
        })
    }
}

/// Adds an address under which others know the appliance: objects that name it are opened here, too. Before the client is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_client_also_known_as(
    client: *mut sr_client,
    address: *const c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let client = unique(client, "the client")?;
            client.0 = client
                .0
                .clone()
                .also_known_as(text(address, "the address")?)?;
            Ok(())
        })
    }
}

/// Says which domain of the appliance it is for, where the address does not stand for it. Before the client is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_client_in_domain(
    client: *mut sr_client,
    domain: *const c_char,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let client = unique(client, "the client")?;
            client.0 = client.0.clone().in_domain(text(domain, "the domain")?)?;
            Ok(())
        })
    }
}

/// Says how often every address is tried when a request comes to nothing and may be made again; 4 by default. Before the client is used.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_client_set_rounds(
    client: *mut sr_client,
    rounds: u32,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let client = unique(client, "the client")?;
            client.0 = client.0.clone().retries(Retries {
                rounds,
                ..Retries::default()
            });
            Ok(())
        })
    }
}

/// Frees a client. Sessions that it opened stay.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_client_free(client: *mut sr_client) {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { ffi::free(client) };
}

/// Sets the password of an account with the one-time code that the administrator handed out.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_enrol(
    client: *const sr_client,
    account: *const c_char,
    code: *const c_char,
    password: *const u8,
    password_length: usize,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let password = values(password, password_length, "the password")?;
            let account = text(account, "the account")?;
            let client = &shared(client, "the client")?.0;
            client.enrol(account, text(code, "the code")?, password)?;
            Ok(())
        })
    }
}

/// Signs in with a password, which the appliance never sees.
///
/// Where the account has a second factor, `session` stays NULL and `needed` receives what waits for it; where `needed` is NULL, the sign-in
/// fails then. Free the session with sr_session_free, `needed` with sr_second_factor_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_sign_in(
    client: *const sr_client,
    account: *const c_char,
    password: *const u8,
    password_length: usize,
    session: *mut *mut sr_session,
    needed: *mut *mut sr_second_factor,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(session, ptr::null_mut())?;
            let second = Out::optional(needed, ptr::null_mut());
            let password = values(password, password_length, "the password")?;
            let account = text(account, "the account")?;
            match shared(client, "the client")?
                .0
                .begin_sign_in(account, password)?
            {
                SignIn::Done(session) => out.set(|| sr_session::new(*session)),
                SignIn::SecondFactor(_) if needed.is_null() => {
                    return Err(ClientError::SecondFactorNeeded);
                }
                SignIn::SecondFactor(waiting) => {
                    second.set(|| Box::into_raw(Box::new(sr_second_factor(*waiting))));
                }
            }
            Ok(())
        })
    }
}

/// How many tries the sign-in is good for; 0 where it is NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_second_factor_tries(needed: *const sr_second_factor) -> u32 {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { needed.as_ref() }.map_or(0, |waiting| waiting.0.needed().tries)
}

/// Proves the second factor by the six digits that the authenticator app shows, and opens the session, to be freed with sr_session_free. When
/// they are wrong it may be tried again, as long as tries are left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_second_factor_prove_totp(
    needed: *const sr_second_factor,
    digits: *const c_char,
    session: *mut *mut sr_session,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { entry(error, || prove(needed, digits, session, SecondFactor::Totp)) }
}

/// The same by a recovery code, which is used up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_second_factor_prove_recovery_code(
    needed: *const sr_second_factor,
    code: *const c_char,
    session: *mut *mut sr_session,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            prove(needed, code, session, SecondFactor::RecoveryCode)
        })
    }
}

unsafe fn prove(
    needed: *const sr_second_factor,
    code: *const c_char,
    session: *mut *mut sr_session,
    proof: fn(String) -> SecondFactor,
) -> Outcome {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        let out = Out::new(session, ptr::null_mut())?;
        let code = text(code, "the code")?.to_owned();
        let session = shared(needed, "the sign-in")?.0.prove(proof(code))?;
        out.set(|| sr_session::new(session));
        Ok(())
    }
}

/// Frees what waits for a second factor.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_second_factor_free(needed: *mut sr_second_factor) {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { ffi::free(needed) };
}

/// Signs in by the certificate that the client was set up with. Free the session with sr_session_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_sign_in_by_certificate(
    client: *const sr_client,
    session: *mut *mut sr_session,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(session, ptr::null_mut())?;
            let session = shared(client, "the client")?.0.sign_in_by_certificate()?;
            out.set(|| sr_session::new(session));
            Ok(())
        })
    }
}

/// The device or service with this account and account secret, which signs each of its requests. Nothing is asked of the appliance yet. It can
/// seal, open and protect, create, import, obtain, find and use keys. Free it with sr_session_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_device_new(
    client: *const sr_client,
    account_id: *const c_char,
    secret: *const c_char,
    session: *mut *mut sr_session,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let out = Out::new(session, ptr::null_mut())?;
            let account = text(account_id, "the account")?.trim().parse();
            let account = account.map_err(|_| invalid("that is no account's identifier"))?;
            let secret = AccountSecret::from_text(text(secret, "the secret")?)
                .ok_or_else(|| invalid("that is no account secret"))?;
            let client = shared(client, "the client")?.0.clone();
            let device = Box::new(Device::new(client, account, secret));
            out.set(|| Box::into_raw(Box::new(sr_session(Who::Device(device)))));
            Ok(())
        })
    }
}

/// Signs in again in this session, where something needs a recent sign-in.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_session_step_up(
    session: *const sr_session,
    password: *const u8,
    password_length: usize,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let password = values(password, password_length, "the password")?;
            let session = shared(session, "the session")?.signed_in()?;
            session.step_up(password)?;
            Ok(())
        })
    }
}

/// Ends the session at the appliance, and forgets its keys: from now on nothing can be done in it. It still has to be freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_session_end(
    session: *const sr_session,
    error: *mut *mut sr_error,
) -> sr_kind {
    // SAFETY: the caller keeps to the header's rules.
    unsafe {
        entry(error, || {
            let session = shared(session, "the session")?.signed_in()?;
            session.forget();
            session.end_session(session.id())?;
            Ok(())
        })
    }
}

/// Frees a session or device with all keys that it holds. Does not end it at the appliance.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn sr_session_free(session: *mut sr_session) {
    // SAFETY: the caller keeps to the header's rules.
    unsafe { ffi::free(session) };
}
