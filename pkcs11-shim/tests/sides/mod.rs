//! The two sides of the comparison: random calls, and a module that they are made of.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::too_many_lines,
    unreachable_pub,
    unsafe_code,
    reason = "tests"
)]

mod calls;

use std::ptr::null_mut;

use cryptoki_sys::*;

use calls::{ATTRIBUTES, mechanisms};
pub use calls::{Call, What, calls};

use crate::support::api::{Template, V};

const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

/// One of the two modules, and what was made of it.
pub struct Side {
    pub list: &'static CK_FUNCTION_LIST,
    pub slot: CK_SLOT_ID,
    pub sessions: Vec<CK_SESSION_HANDLE>,
    pub objects: Vec<CK_OBJECT_HANDLE>,
    /// The last signature, and the last ciphertext.
    pub outcome: Vec<u8>,
}

macro_rules! c {
    ($side:expr, $name:ident($($argument:expr),* $(,)?)) => {
        // SAFETY: the arguments are what the standard says.
        unsafe { ($side.list.$name.unwrap())($($argument),*) }
    };
}

impl Side {
    pub fn clear(&mut self) {
        c!(self, C_CloseAllSessions(self.slot));
        self.sessions.clear();
        self.open(true);
        let session = self.sessions[0];
        c!(
            self,
            C_Login(session, CKU_USER, c"1234".as_ptr().cast_mut().cast(), 4)
        );
        c!(self, C_FindObjectsInit(session, null_mut(), 0));
        let (mut all, mut count) = ([0; 200], 0);
        c!(
            self,
            C_FindObjects(session, all.as_mut_ptr(), 200, &raw mut count)
        );
        c!(self, C_FindObjectsFinal(session));
        for object in &all[..count as usize] {
            c!(self, C_DestroyObject(session, *object));
        }
        c!(self, C_CloseAllSessions(self.slot));
        (self.sessions, self.objects, self.outcome) = (Vec::new(), Vec::new(), vec![0; 64]);
    }

    fn open(&mut self, writes: bool) -> CK_RV {
        let mut session = 0;
        let flags = CKF_SERIAL_SESSION | if writes { CKF_RW_SESSION } else { 0 };
        let rv = c!(
            self,
            C_OpenSession(self.slot, flags, null_mut(), None, &raw mut session)
        );
        if rv == CKR_OK {
            self.sessions.push(session);
        }
        rv
    }

    fn session(&self, number: usize) -> CK_SESSION_HANDLE {
        self.sessions.get(number).copied().unwrap_or(987_654_321)
    }

    fn object(&self, number: usize) -> CK_OBJECT_HANDLE {
        self.objects.get(number).copied().unwrap_or(987_654_321)
    }

    /// Makes a call; gives the return value and, where there is one, the length.
    pub fn make(&mut self, call: &Call) -> (CK_RV, CK_ULONG) {
        match *call {
            Call::Open { writes } => (self.open(writes), 0),
            Call::Close(session) => (c!(self, C_CloseSession(self.session(session))), 0),
            Call::Info(session) => {
                let mut info = CK_SESSION_INFO::default();
                let rv = c!(self, C_GetSessionInfo(self.session(session), &raw mut info));
                (rv, info.state)
            }
            Call::Login { session, pin } => {
                let pin = if pin { c"1234" } else { c"4321" };
                (
                    c!(
                        self,
                        C_Login(
                            self.session(session),
                            CKU_USER,
                            pin.as_ptr().cast_mut().cast(),
                            4
                        )
                    ),
                    0,
                )
            }
            Call::Logout(session) => (c!(self, C_Logout(self.session(session))), 0),
            Call::GenerateAes {
                session,
                token,
                length,
                sensitive,
            } => {
                let yes = |yes| if yes { V::Yes } else { V::No };
                let mut template = Template::new(&[
                    (CKA_VALUE_LEN, V::N(length.into())),
                    (CKA_TOKEN, yes(token)),
                    (CKA_SENSITIVE, yes(sensitive)),
                    (CKA_EXTRACTABLE, V::Yes),
                    (CKA_LABEL, V::B(b"aes")),
                ]);
                let mut how = CK_MECHANISM {
                    mechanism: CKM_AES_KEY_GEN,
                    pParameter: null_mut(),
                    ulParameterLen: 0,
                };
                let (attributes, count) = template.parts();
                let mut key = 0;
                let rv = c!(
                    self,
                    C_GenerateKey(
                        self.session(session),
                        &raw mut how,
                        attributes,
                        count,
                        &raw mut key
                    )
                );
                if rv == CKR_OK {
                    self.objects.push(key);
                }
                (rv, 0)
            }
            Call::GeneratePair { session } => {
                let mut public = Template::new(&[
                    (CKA_EC_PARAMS, V::B(P256)),
                    (CKA_ENCRYPT, V::No),
                    (CKA_PRIVATE, V::No),
                    (CKA_TOKEN, V::No),
                ]);
                let mut private = Template::new(&[
                    (CKA_SIGN, V::Yes),
                    (CKA_SENSITIVE, V::Yes),
                    (CKA_EXTRACTABLE, V::No),
                    (CKA_TOKEN, V::No),
                    (CKA_PRIVATE, V::Yes),
                ]);
                let mut how = CK_MECHANISM {
                    mechanism: CKM_EC_KEY_PAIR_GEN,
                    pParameter: null_mut(),
                    ulParameterLen: 0,
                };
                let ((p, pc), (q, qc)) = (public.parts(), private.parts());
                let (mut a, mut b) = (0, 0);
                let rv = c!(
                    self,
                    C_GenerateKeyPair(
                        self.session(session),
                        &raw mut how,
                        p,
                        pc,
                        q,
                        qc,
                        &raw mut a,
                        &raw mut b
                    )
                );
                if rv == CKR_OK {
                    self.objects.extend([a, b]);
                }
                (rv, 0)
            }
            Call::CreateData {
                session,
                token,
                private,
            } => {
                let yes = |yes| if yes { V::Yes } else { V::No };
                let mut template = Template::new(&[
                    (CKA_CLASS, V::N(CKO_DATA)),
                    (CKA_TOKEN, yes(token)),
                    (CKA_PRIVATE, yes(private)),
                    (CKA_LABEL, V::B(b"data")),
                    (CKA_VALUE, V::B(b"value")),
                ]);
                let (attributes, count) = template.parts();
                let mut object = 0;
                let rv = c!(
                    self,
                    C_CreateObject(self.session(session), attributes, count, &raw mut object)
                );
                if rv == CKR_OK {
                    self.objects.push(object);
                }
                (rv, 0)
            }
            Call::Destroy { session, object } => (
                c!(
                    self,
                    C_DestroyObject(self.session(session), self.object(object))
                ),
                0,
            ),
            Call::Get {
                session,
                object,
                attribute,
                room,
            } => {
                let mut value = [0_u8; 255];
                let mut wanted = CK_ATTRIBUTE {
                    type_: ATTRIBUTES[attribute],
                    pValue: room.map_or(null_mut(), |_| value.as_mut_ptr().cast()),
                    ulValueLen: room.map_or(0, Into::into),
                };
                let rv = c!(
                    self,
                    C_GetAttributeValue(
                        self.session(session),
                        self.object(object),
                        &raw mut wanted,
                        1
                    )
                );
                let shown = if rv == CKR_OK {
                    {
                        // A key's value is random.
                        let first = if ATTRIBUTES[attribute] == CKA_VALUE {
                            0
                        } else {
                            value[0]
                        };
                        wanted.ulValueLen * 1000 + CK_ULONG::from(first)
                    }
                } else {
                    0
                };
                (rv, shown)
            }
            Call::Set {
                session,
                object,
                attribute,
                yes,
            } => {
                let attribute = ATTRIBUTES[attribute];
                let value = match attribute {
                    CKA_LABEL => V::B(b"another"),
                    CKA_CLASS => V::N(CKO_DATA),
                    CKA_VALUE | CKA_MODULUS => V::B(b"other"),
                    _ if yes => V::Yes,
                    _ => V::No,
                };
                let mut template = Template::new(&[(attribute, value)]);
                let (attributes, count) = template.parts();
                (
                    c!(
                        self,
                        C_SetAttributeValue(
                            self.session(session),
                            self.object(object),
                            attributes,
                            count
                        )
                    ),
                    0,
                )
            }
            Call::FindInit(session) => (
                c!(
                    self,
                    C_FindObjectsInit(self.session(session), null_mut(), 0)
                ),
                0,
            ),
            Call::Find(session) => {
                let (mut found, mut count) = ([0; 2], 0);
                let rv = c!(
                    self,
                    C_FindObjects(self.session(session), found.as_mut_ptr(), 2, &raw mut count)
                );
                (rv, if rv == CKR_OK { count } else { 0 })
            }
            Call::FindFinal(session) => (c!(self, C_FindObjectsFinal(self.session(session))), 0),
            Call::Init {
                session,
                what,
                mechanism,
                object,
            } => self.init(session, what, mechanism, object),
            Call::Whole {
                session,
                what,
                length,
                room,
            } => self.whole(session, what, length, room),
            Call::Update {
                session,
                what,
                length,
                room,
            } => self.update(session, what, length, room),
            Call::Final {
                session,
                what,
                room,
            } => self.last(session, what, room),
        }
    }

    fn init(
        &self,
        session: usize,
        what: What,
        mechanism: usize,
        object: usize,
    ) -> (CK_RV, CK_ULONG) {
        let (session, object) = (self.session(session), self.object(object));
        let mut iv = [5_u8; 16];
        let kind = mechanisms(what)[mechanism];
        let has_iv = matches!(kind, CKM_AES_CBC | CKM_AES_CBC_PAD);
        let mut how = CK_MECHANISM {
            mechanism: kind,
            pParameter: if has_iv {
                iv.as_mut_ptr().cast()
            } else {
                null_mut()
            },
            ulParameterLen: if has_iv { 16 } else { 0 },
        };
        let rv = match what {
            What::Encrypt => c!(self, C_EncryptInit(session, &raw mut how, object)),
            What::Decrypt => c!(self, C_DecryptInit(session, &raw mut how, object)),
            What::Digest => c!(self, C_DigestInit(session, &raw mut how)),
            What::Sign => c!(self, C_SignInit(session, &raw mut how, object)),
            What::Verify => c!(self, C_VerifyInit(session, &raw mut how, object)),
        };
        (rv, 0)
    }

    fn whole(
        &mut self,
        session: usize,
        what: What,
        length: u8,
        room: Option<u8>,
    ) -> (CK_RV, CK_ULONG) {
        let session = self.session(session);
        let (mut data, mut out) = (vec![3_u8; 256], vec![0_u8; 256]);
        let mut given = room.map_or(0, CK_ULONG::from);
        let to = room.map_or(null_mut(), |_| out.as_mut_ptr());
        let (data, length) = (data.as_mut_ptr(), length.into());
        let rv = match what {
            What::Encrypt => c!(self, C_Encrypt(session, data, length, to, &raw mut given)),
            What::Decrypt => c!(self, C_Decrypt(session, data, length, to, &raw mut given)),
            What::Digest => c!(self, C_Digest(session, data, length, to, &raw mut given)),
            What::Sign => c!(self, C_Sign(session, data, length, to, &raw mut given)),
            What::Verify => {
                let size = CK_ULONG::from(room.unwrap_or(16)).min(64);
                return (
                    c!(
                        self,
                        C_Verify(session, data, length, self.outcome.as_mut_ptr(), size)
                    ),
                    0,
                );
            }
        };
        if rv == CKR_OK && room.is_some() && what == What::Sign {
            self.outcome[..given as usize].copy_from_slice(&out[..given as usize]);
        }
        (rv, if rv == CKR_OK { given } else { 0 })
    }

    fn update(
        &self,
        session: usize,
        what: What,
        length: u8,
        room: Option<u8>,
    ) -> (CK_RV, CK_ULONG) {
        let session = self.session(session);
        let (mut data, mut out) = (vec![3_u8; 256], vec![0_u8; 256]);
        let mut given = room.map_or(0, CK_ULONG::from);
        let to = room.map_or(null_mut(), |_| out.as_mut_ptr());
        let (data, length) = (data.as_mut_ptr(), length.into());
        let rv = match what {
            What::Encrypt => c!(
                self,
                C_EncryptUpdate(session, data, length, to, &raw mut given)
            ),
            What::Decrypt => c!(
                self,
                C_DecryptUpdate(session, data, length, to, &raw mut given)
            ),
            What::Digest => return (c!(self, C_DigestUpdate(session, data, length)), 0),
            What::Sign => return (c!(self, C_SignUpdate(session, data, length)), 0),
            What::Verify => return (c!(self, C_VerifyUpdate(session, data, length)), 0),
        };
        (rv, if rv == CKR_OK { given } else { 0 })
    }

    fn last(&self, session: usize, what: What, room: Option<u8>) -> (CK_RV, CK_ULONG) {
        let session = self.session(session);
        let mut out = vec![0_u8; 256];
        let mut given = room.map_or(0, CK_ULONG::from);
        let to = room.map_or(null_mut(), |_| out.as_mut_ptr());
        let rv = match what {
            What::Encrypt => c!(self, C_EncryptFinal(session, to, &raw mut given)),
            What::Decrypt => c!(self, C_DecryptFinal(session, to, &raw mut given)),
            What::Digest => c!(self, C_DigestFinal(session, to, &raw mut given)),
            What::Sign => c!(self, C_SignFinal(session, to, &raw mut given)),
            What::Verify => return (c!(self, C_VerifyFinal(session, out.as_mut_ptr(), 16)), 0),
        };
        (rv, if rv == CKR_OK { given } else { 0 })
    }
}
