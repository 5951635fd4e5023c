//! Slots: one for each token of the configuration. What is known of its token, and the mechanism list.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use cryptoki_sys::*;

use super::{Module, Output, padded, ulong};
use crate::error::{CkError, CkResult, fail};
use crate::mechanism::list;
use crate::mechanism::{Family, Listed};
use crate::object::store::hides;
use crate::token::{
    Answer, Change, ObjectId, Token, TokenError, TokenErrorKind, TokenInfo, TokenResult,
};

/// For how long what a token is, is not asked again.
const INFO_FOR: Duration = Duration::from_mins(1);

/// A slot.
pub(crate) struct Slot {
    pub(crate) id: usize,
    label: String,
    token: TokenResult<Arc<dyn Token>>,
    info: Mutex<Option<KnownInfo>>,
    signed_in: AtomicBool,
    /// The last heard state of the token's objects, and when that was, in milliseconds since the slot was made; 0 for never.
    change: AtomicU64,
    heard: AtomicU64,
    made: Instant,
    /// The handles of the token's objects.
    handles: RwLock<HashMap<ObjectId, CK_OBJECT_HANDLE>>,
}

/// What a token is, as it was last told.
#[derive(Clone)]
struct KnownInfo {
    info: Arc<TokenInfo>,
    at: Instant,
    /// The state of which that is, if one was heard of.
    seen: Option<Change>,
}

impl Slot {
    pub(crate) fn new(id: usize, label: String, token: TokenResult<Arc<dyn Token>>) -> Self {
        Self {
            id,
            label,
            token,
            info: Mutex::default(),
            signed_in: AtomicBool::new(false),
            change: AtomicU64::new(0),
            heard: AtomicU64::new(0),
            made: Instant::now(),
            handles: RwLock::default(),
        }
    }

    /// The token, where there is one.
    pub(crate) fn token(&self) -> CkResult<&Arc<dyn Token>> {
        self.token
            .as_ref()
            .map_err(|error| CkError::from(error.clone()))
    }

    /// What the token is; what the domain forbids there, as it was a minute ago at most.
    pub(crate) fn info(&self) -> CkResult<Arc<TokenInfo>> {
        match self.known_info() {
            Some(known) if known.at.elapsed() < INFO_FOR => Ok(known.info),
            known => self.ask_info(known),
        }
    }

    /// What the token is; what the domain forbids there, as it was so lately.
    pub(crate) fn info_now(&self, lately: Duration) -> CkResult<Arc<TokenInfo>> {
        let known = self.known_info();
        let is_current = |known: &KnownInfo| {
            let age = known.at.elapsed();
            let state = || known.seen.is_some_and(|seen| self.is_still(seen, lately));
            age < lately || age < INFO_FOR && state()
        };
        match known {
            Some(known) if is_current(&known) => Ok(known.info),
            known => self.ask_info(known),
        }
    }

    fn known_info(&self) -> Option<KnownInfo> {
        let known = self.info.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Whether the token's state is this one, which is asked for where it was not heard of lately. Where it cannot be asked for, it is.
    fn is_still(&self, seen: Change, lately: Duration) -> bool {
        if let Some(change) = self.heard(lately) {
            return change == seen;
        }
        if let Ok(Ok(change)) = self.token.as_ref().map(|token| token.change()) {
            self.hear(change);
            change == seen
        } else {
            self.hear_nothing();
            true
        }
    }

    fn ask_info(&self, known_before: Option<KnownInfo>) -> CkResult<Arc<TokenInfo>> {
        // What it is told may be of a later state: then it is asked once more than it need be.
        let seen = self.heard(INFO_FOR);
        let info = match (self.token()?.info(), known_before) {
            (Ok(Answer { value, .. }), _) => Arc::new(value),
            // What it was, it still is where it cannot be asked.
            (Err(error), Some(known))
                if matches!(
                    error.kind,
                    TokenErrorKind::Unreachable | TokenErrorKind::Unavailable
                ) =>
            {
                known.info
            }
            (Err(error), _) => return Err(error.into()),
        };
        *self.info.lock().unwrap_or_else(PoisonError::into_inner) = Some(KnownInfo {
            info: Arc::clone(&info),
            at: Instant::now(),
            seen,
        });
        Ok(info)
    }

    /// Whether the application has signed in.
    pub(crate) fn is_signed_in(&self) -> bool {
        self.signed_in.load(Ordering::Acquire)
    }

    pub(crate) fn set_signed_in(&self, signed_in: bool) {
        self.signed_in.store(signed_in, Ordering::Release);
        // What the domain forbids is told to whoever has signed in.
        *self.info.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether private objects are there for the application: it signed in, or nobody has to.
    pub(crate) fn sees_private(&self) -> CkResult<bool> {
        Ok(self.is_signed_in() || !self.info()?.login_required)
    }

    /// The state of the token's objects, if that was heard of lately enough.
    pub(crate) fn heard(&self, lately: Duration) -> Option<Change> {
        let heard = self.heard.load(Ordering::Acquire);
        let age = self.now().saturating_sub(heard);
        (heard != 0 && u128::from(age) <= lately.as_millis())
            .then(|| Change(self.change.load(Ordering::Acquire)))
    }

    /// Hears of a state of the token's objects.
    pub(crate) fn hear(&self, change: Change) {
        self.change.store(change.0, Ordering::Release);
        self.heard.store(self.now(), Ordering::Release);
    }

    /// Hears nothing: what was heard last stands for as long again, so that not every call waits for an appliance that does not answer.
    pub(crate) fn hear_nothing(&self) {
        if self.heard.load(Ordering::Acquire) != 0 {
            self.heard.store(self.now(), Ordering::Release);
        }
    }

    /// Hears of the state after a change of its own.
    pub(crate) fn changed(&self, change: Change) {
        self.hear(change);
    }

    /// A call of the token failed: a session that is over is one here too.
    pub(crate) fn failed(&self, error: &TokenError) {
        if error.kind == TokenErrorKind::NotSignedIn {
            self.set_signed_in(false);
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    pub(crate) fn handle_of(&self, id: ObjectId) -> Option<CK_OBJECT_HANDLE> {
        self.handles
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .copied()
    }

    /// Keeps an object's handle. Gives the one that is there already, if one is.
    pub(crate) fn remember(
        &self,
        id: ObjectId,
        handle: CK_OBJECT_HANDLE,
    ) -> Option<CK_OBJECT_HANDLE> {
        let mut handles = self.handles.write().unwrap_or_else(PoisonError::into_inner);
        let first = *handles.entry(id).or_insert(handle);
        (first != handle).then_some(first)
    }

    pub(crate) fn forget(&self, id: ObjectId, handle: CK_OBJECT_HANDLE) {
        let mut handles = self.handles.write().unwrap_or_else(PoisonError::into_inner);
        if handles.get(&id) == Some(&handle) {
            handles.remove(&id);
        }
    }

    pub(crate) fn close(&self) {
        if let Ok(token) = &self.token {
            token.close();
        }
    }
}

impl Module {
    /// `C_GetSlotList`: how many there are, where there is no room.
    pub(crate) fn slot_list(
        &self,
        present: bool,
        room: Option<&mut [CK_SLOT_ID]>,
        count: &mut CK_ULONG,
    ) -> CkResult<()> {
        let slots = self
            .slots
            .iter()
            .filter(|slot| !present || slot.token.is_ok());
        let slots: Vec<_> = slots.map(|slot| ulong(slot.id)).collect();
        list(&slots, room, count)
    }

    /// `C_GetSlotInfo`. The appliance is not asked.
    pub(crate) fn slot_info(&self, slot: CK_SLOT_ID) -> CkResult<CK_SLOT_INFO> {
        let slot = self.slot(slot)?;
        let present = if slot.token.is_ok() {
            CKF_TOKEN_PRESENT
        } else {
            0
        };
        let none = CK_VERSION { major: 0, minor: 0 };
        Ok(CK_SLOT_INFO {
            slotDescription: padded(&format!("Strongroom: {}", slot.label)),
            manufacturerID: padded("Strongroom"),
            // The slots of a network are removable and hardware to nobody: applications that watch for removal would poll.
            flags: present,
            hardwareVersion: none,
            firmwareVersion: none,
        })
    }

    /// `C_GetTokenInfo`.
    pub(crate) fn token_info(&self, slot: CK_SLOT_ID) -> CkResult<CK_TOKEN_INFO> {
        let slot = self.slot(slot)?;
        let info = slot.info()?;
        let login = if info.login_required {
            CKF_LOGIN_REQUIRED
        } else {
            0
        };
        let mine = |session: &super::Session| session.slot.id == slot.id;
        let version = |(major, minor)| CK_VERSION { major, minor };
        Ok(CK_TOKEN_INFO {
            label: padded(&info.label),
            manufacturerID: padded(&info.manufacturer),
            model: padded(&info.model),
            serialNumber: padded(&info.serial),
            flags: CKF_RNG | CKF_TOKEN_INITIALIZED | CKF_USER_PIN_INITIALIZED | login,
            ulMaxSessionCount: CK_EFFECTIVELY_INFINITE,
            ulSessionCount: ulong(self.sessions.count(mine)),
            ulMaxRwSessionCount: CK_EFFECTIVELY_INFINITE,
            ulRwSessionCount: ulong(
                self.sessions
                    .count(|session| mine(session) && session.writes),
            ),
            ulMaxPinLen: info.pin_length.1,
            ulMinPinLen: info.pin_length.0,
            ulTotalPublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePublicMemory: CK_UNAVAILABLE_INFORMATION,
            ulTotalPrivateMemory: CK_UNAVAILABLE_INFORMATION,
            ulFreePrivateMemory: CK_UNAVAILABLE_INFORMATION,
            hardwareVersion: version((0, 0)),
            firmwareVersion: version(info.firmware),
            utcTime: [b' '; 16],
        })
    }

    /// `C_GetMechanismList`.
    pub(crate) fn mechanism_list(
        &self,
        slot: CK_SLOT_ID,
        room: Option<&mut [CK_MECHANISM_TYPE]>,
        count: &mut CK_ULONG,
    ) -> CkResult<()> {
        let info = self.slot(slot)?.info_now(self.config.freshness())?;
        let served = list::ALL.iter().filter(|listed| self.serves(&info, listed));
        let served: Vec<_> = served.map(|listed| listed.kind).collect();
        list(&served, room, count)
    }

    /// `C_GetMechanismInfo`.
    pub(crate) fn mechanism_info(
        &self,
        slot: CK_SLOT_ID,
        mechanism: CK_MECHANISM_TYPE,
    ) -> CkResult<CK_MECHANISM_INFO> {
        let info = self.slot(slot)?.info_now(self.config.freshness())?;
        let listed = self.served(&info, mechanism)?;
        let rsa = matches!(
            listed.family,
            Family::RsaPkcs(_)
                | Family::RsaPss(_)
                | Family::RsaOaep
                | Family::RsaRaw
                | Family::MakePair(CKK_RSA)
        );
        let smallest = if rsa {
            listed.smallest.max(info.smallest_rsa)
        } else {
            listed.smallest
        };
        Ok(CK_MECHANISM_INFO {
            ulMinKeySize: smallest,
            ulMaxKeySize: listed.largest,
            flags: listed.flags | if listed.family.by_token() { CKF_HW } else { 0 },
        })
    }

    /// A mechanism's line in the list, where it is served.
    pub(crate) fn served(
        &self,
        info: &TokenInfo,
        mechanism: CK_MECHANISM_TYPE,
    ) -> CkResult<&'static Listed> {
        list::listed(mechanism)
            .filter(|listed| self.serves(info, listed))
            .ok_or(CkError::new(
                CKR_MECHANISM_INVALID,
                "there is no such mechanism, or policies forbid it",
            ))
    }

    fn serves(&self, info: &TokenInfo, listed: &Listed) -> bool {
        let key_type = match listed.family {
            Family::Eddsa => Some(CKK_EC_EDWARDS),
            Family::MlKem => Some(CKK_ML_KEM),
            Family::MlDsa => Some(CKK_ML_DSA),
            Family::MakePair(key_type) => Some(key_type),
            _ => None,
        };
        !info.forbidden.contains(&listed.kind)
            && !key_type.is_some_and(|key_type| hides(&self.config.compatibility, key_type))
    }
}

/// Gives a list, or says how long it is.
fn list(all: &[CK_ULONG], room: Option<&mut [CK_ULONG]>, count: &mut CK_ULONG) -> CkResult<()> {
    let Some(room) = room else {
        *count = ulong(all.len());
        return Ok(());
    };
    *count = ulong(all.len());
    match room.get_mut(..all.len()) {
        Some(room) => {
            room.copy_from_slice(all);
            Ok(())
        }
        None => fail(CKR_BUFFER_TOO_SMALL, "the list is longer than its room"),
    }
}

/// Random bytes and seeds, which need no more than a session.
impl Module {
    /// `C_GenerateRandom`: of the system's random number generator.
    pub(crate) fn generate_random(
        &self,
        session: CK_SESSION_HANDLE,
        output: &mut [u8],
    ) -> CkResult<()> {
        self.session(session)?;
        aws_lc_rs::rand::fill(output)
            .map_err(|_| CkError::new(CKR_RANDOM_NO_RNG, "the system gives no random numbers"))
    }

    /// `C_SeedRandom`: the generator seeds itself, and takes nobody's word for randomness.
    pub(crate) fn seed_random(&self, session: CK_SESSION_HANDLE) -> CkResult<()> {
        self.session(session)?;
        fail(CKR_RANDOM_SEED_NOT_SUPPORTED, "the generator seeds itself")
    }

    /// `C_GetOperationState`: of a digest, and nothing else under way.
    pub(crate) fn operation_state(
        &self,
        session: CK_SESSION_HANDLE,
        output: Output<'_>,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        let others = session.others_than_digest();
        match session.digest.look(|digest| digest.state()) {
            Some(state) if !others => output.put(&state).map(|_| ()),
            Some(_) => fail(
                CKR_STATE_UNSAVEABLE,
                "the state of digests alone can be saved",
            ),
            None if others => fail(
                CKR_STATE_UNSAVEABLE,
                "the state of digests alone can be saved",
            ),
            None => fail(CKR_OPERATION_NOT_INITIALIZED, "nothing is under way"),
        }
    }

    /// `C_SetOperationState`.
    pub(crate) fn set_operation_state(
        &self,
        session: CK_SESSION_HANDLE,
        state: &[u8],
        keys: [CK_OBJECT_HANDLE; 2],
    ) -> CkResult<()> {
        let session = self.session(session)?;
        if keys != [0, 0] {
            return fail(CKR_KEY_NOT_NEEDED, "a digest has no key");
        }
        let digest = super::digest::Digesting::of_state(state)?;
        // It takes the place of what is under way.
        session.cancel_all();
        session.digest.begin(digest)
    }
}
