//! The few commands of the TPM that counting releases and quoting take (TCG TPM 2.0 Library, Part 3), in the bytes that the kernel's resource manager
//! takes.

mod quote;

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use zeroize::Zeroizing;

/// The TPM, by the kernel's resource manager.
pub(crate) const DEVICE: &str = "/dev/tpmrm0";

/// Why the TPM did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// It cannot be reached.
    #[error("the TPM does not answer: {0}")]
    Io(#[from] io::Error),
    /// What was given for the owner's password is not it.
    #[error("the TPM's owner has another password than this appliance's")]
    Password,
    /// Somebody has given the endorsement hierarchy a password. The appliance gives it none.
    #[error(
        "somebody has given the TPM's endorsement hierarchy a password, so it attests nothing: clear the TPM"
    )]
    EndorsementPassword,
    /// It answers with a response code (Part 2, section 6.6).
    #[error("the TPM refuses {command}: response code {code:#x}")]
    Refused {
        /// What it was told.
        command: &'static str,
        /// What it said.
        code: u32,
    },
    /// What it says is shorter than it has to be.
    #[error("what the TPM says of {0} cannot be read")]
    Unreadable(&'static str),
}

/// A connection to a TPM.
pub(crate) struct Tpm<C>(C);

pub(crate) use quote::Quote;

/// Whose password allows a command.
#[derive(Clone, Copy)]
struct Password<'a>(&'a [u8]);

/// The public area of an NV index, as far as it matters here (Part 2, section 13.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Index {
    /// `TPMA_NV`.
    pub(crate) attributes: u32,
    /// In bytes.
    pub(crate) size: u16,
}

/// `TPM_RH_OWNER` and `TPM_RS_PW` (Part 2, section 7.4).
const OWNER: u32 = 0x4000_0001;
const PASSWORD_SESSION: u32 = 0x4000_0009;
/// `TPM_ST_NO_SESSIONS` and `TPM_ST_SESSIONS` (section 6.9).
const WITHOUT_SESSIONS: u16 = 0x8001;
const WITH_SESSIONS: u16 = 0x8002;
/// `TPM_ALG_SHA256` (section 6.3).
const SHA256: u16 = 0x000b;
/// `TPM_RC_HANDLE` for the first handle, and `TPM_RC_BAD_AUTH` for the first session (section 6.6).
const NO_SUCH_HANDLE: u32 = 0x18b;
const BAD_AUTH: u32 = 0x9a2;

impl Tpm<File> {
    /// This machine's TPM.
    pub(crate) fn open() -> Result<Self, Error> {
        Ok(Self(
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(Path::new(DEVICE))?,
        ))
    }
}

impl Tpm<UnixStream> {
    /// A software TPM's.
    pub(crate) fn at(socket: &Path) -> Result<Self, Error> {
        Ok(Self(UnixStream::connect(socket)?))
    }
}

impl<C: Read + Write> Tpm<C> {
    /// What an NV index is; none where there is no such.
    pub(crate) fn index(&mut self, index: u32) -> Result<Option<Index>, Error> {
        const COMMAND: &str = "TPM2_NV_ReadPublic";
        let said = match self.send(COMMAND, 0x169, &[index], None, &[]) {
            Err(Error::Refused {
                code: NO_SUCH_HANDLE,
                ..
            }) => return Ok(None),
            said => said?,
        };
        // Length of the public area, then index, algorithm of its name, attributes, policy, size.
        let read = || {
            let attributes = u32::from_be_bytes(said.get(8..12)?.try_into().ok()?);
            let policy = usize::from(u16::from_be_bytes(said.get(12..14)?.try_into().ok()?));
            let size = u16::from_be_bytes(said.get(14 + policy..16 + policy)?.try_into().ok()?);
            Some(Index { attributes, size })
        };
        read().map(Some).ok_or(Error::Unreadable(COMMAND))
    }

    /// Makes an NV index that has no password and no policy of its own.
    pub(crate) fn define(&mut self, index: u32, of: Index, owner: &[u8]) -> Result<(), Error> {
        let mut public = Vec::new();
        public.extend(index.to_be_bytes());
        public.extend(SHA256.to_be_bytes());
        public.extend(of.attributes.to_be_bytes());
        public.extend(0_u16.to_be_bytes());
        public.extend(of.size.to_be_bytes());
        let parameters = [&[0, 0], sized(&public).as_slice()].concat();
        let password = Some(Password(owner));
        self.send(
            "TPM2_NV_DefineSpace",
            0x12a,
            &[OWNER],
            password,
            &parameters,
        )?;
        Ok(())
    }

    /// Removes an NV index.
    pub(crate) fn undefine(&mut self, index: u32, owner: &[u8]) -> Result<(), Error> {
        let handles = [OWNER, index];
        let password = Some(Password(owner));
        self.send("TPM2_NV_UndefineSpace", 0x122, &handles, password, &[])?;
        Ok(())
    }

    /// Sets bits of an NV index of bits; those that are set stay so.
    pub(crate) fn set_bits(&mut self, index: u32, bits: u64, owner: &[u8]) -> Result<(), Error> {
        let handles = [OWNER, index];
        let password = Some(Password(owner));
        self.send(
            "TPM2_NV_SetBits",
            0x135,
            &handles,
            password,
            &bits.to_be_bytes(),
        )?;
        Ok(())
    }

    /// The bits of an NV index of bits that anybody may read.
    pub(crate) fn bits(&mut self, index: u32) -> Result<u64, Error> {
        const COMMAND: &str = "TPM2_NV_Read";
        let parameters = [0, 8, 0, 0];
        let said = self.send(
            COMMAND,
            0x14e,
            &[index, index],
            Some(Password(&[])),
            &parameters,
        )?;
        // The length of the parameters, the length of what was read, and that.
        said.get(6..14)
            .and_then(|bits| bits.try_into().ok())
            .map(u64::from_be_bytes)
            .ok_or(Error::Unreadable(COMMAND))
    }

    /// Whether the owner has a password.
    pub(crate) fn owner_has_password(&mut self) -> Result<bool, Error> {
        const COMMAND: &str = "TPM2_GetCapability";
        // TPM_CAP_TPM_PROPERTIES, TPM_PT_PERMANENT, one of them (Part 2, sections 6.12, 6.13 and 8.6).
        let parameters = [6_u32, 0x200, 1].map(u32::to_be_bytes).concat();
        let said = self.send(COMMAND, 0x17a, &[], None, &parameters)?;
        // Whether there is more, the capability, how many, the property, and its value.
        said.get(13..17)
            .and_then(|value| value.try_into().ok())
            .map(|value| u32::from_be_bytes(value) & 1 == 1)
            .ok_or(Error::Unreadable(COMMAND))
    }

    /// Gives the owner another password; an empty one is none.
    pub(crate) fn change_owner_password(&mut self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        let password = Some(Password(from));
        self.send(
            "TPM2_HierarchyChangeAuth",
            0x129,
            &[OWNER],
            password,
            &sized(to),
        )?;
        Ok(())
    }

    /// Measures a SHA-256 hash into a register.
    pub(crate) fn extend(&mut self, register: u32, sha256: [u8; 32]) -> Result<(), Error> {
        let mut parameters = 1_u32.to_be_bytes().to_vec();
        parameters.extend(SHA256.to_be_bytes());
        parameters.extend(sha256);
        self.send(
            "TPM2_PCR_Extend",
            0x182,
            &[register],
            Some(Password(&[])),
            &parameters,
        )?;
        Ok(())
    }

    /// Sends a command and gives what follows the head of the answer (Part 1, section 18).
    fn send(
        &mut self,
        name: &'static str,
        code: u32,
        handles: &[u32],
        password: Option<Password<'_>>,
        parameters: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut body = Zeroizing::new(Vec::with_capacity(256));
        body.extend(handles.iter().flat_map(|handle| handle.to_be_bytes()));
        let tag = match password {
            None => WITHOUT_SESSIONS,
            Some(Password(password)) => {
                // Handle, an empty nonce, attributes (the session goes on), and the password.
                let mut session = Zeroizing::new(Vec::with_capacity(64));
                session.extend(PASSWORD_SESSION.to_be_bytes());
                session.extend([0, 0, 1]);
                session.extend(length(password).to_be_bytes());
                session.extend(password);
                body.extend(u32::from(length(&session)).to_be_bytes());
                body.extend(session.as_slice());
                WITH_SESSIONS
            }
        };
        body.extend(parameters);
        let mut command = Zeroizing::new(Vec::with_capacity(266));
        command.extend(tag.to_be_bytes());
        command.extend((u32::from(length(&body)) + 10).to_be_bytes());
        command.extend(code.to_be_bytes());
        command.extend(body.as_slice());
        // In one piece, as the kernel takes a command.
        self.0.write_all(&command)?;

        let mut head = [0; 10];
        self.0.read_exact(&mut head)?;
        let [_, _, s0, s1, s2, s3, c0, c1, c2, c3] = head;
        let size = u32::from_be_bytes([s0, s1, s2, s3]);
        let rest = size.checked_sub(10).filter(|rest| *rest <= 4096);
        let mut said = vec![0; rest.ok_or(Error::Unreadable(name))? as usize];
        self.0.read_exact(&mut said)?;
        match u32::from_be_bytes([c0, c1, c2, c3]) {
            0 => Ok(said),
            BAD_AUTH => Err(Error::Password),
            code => Err(Error::Refused {
                command: name,
                code,
            }),
        }
    }
}

/// Bytes behind their length.
fn sized(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut sized = Zeroizing::new(Vec::with_capacity(2 + bytes.len()));
    sized.extend(length(bytes).to_be_bytes());
    sized.extend(bytes);
    sized
}

/// What is sent here is a few hundred bytes at most; what were longer the TPM would refuse.
fn length(bytes: &[u8]) -> u16 {
    u16::try_from(bytes.len()).unwrap_or(u16::MAX)
}

/// A software TPM for tests.
#[cfg(test)]
pub(crate) mod software {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::os::unix::net::UnixStream;
    use std::path::PathBuf;
    use std::process::{Child, Command, Stdio};
    use std::thread;
    use std::time::Duration;

    use super::Tpm;

    /// Ends with its owner.
    pub(crate) struct Software {
        child: Child,
        folder: tempfile::TempDir,
    }

    impl Software {
        pub(crate) fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name).display().to_string();
            let child = Command::new("swtpm")
                .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
                .arg("--tpmstate")
                .arg(format!("dir={}", path("")))
                .arg("--server")
                .arg(format!("type=unixio,path={}", path("tpm")))
                .arg("--ctrl")
                .arg(format!("type=unixio,path={}", path("control")))
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            Self { child, folder }
        }

        /// It takes one connection at a time.
        pub(crate) fn open(&self) -> Tpm<UnixStream> {
            for _ in 0..3000 {
                if let Ok(tpm) = Tpm::at(&self.socket()) {
                    return tpm;
                }
                thread::sleep(Duration::from_millis(20));
            }
            panic!("swtpm does not listen");
        }

        /// Where it listens once it was opened.
        pub(crate) fn socket(&self) -> PathBuf {
            self.folder.path().join("tpm")
        }
    }

    impl Drop for Software {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const HERE: u32 = 0x0180_0001;
    /// Bits; the owner writes, anybody reads.
    const BITS: Index = Index {
        attributes: 0x0206_0022,
        size: 8,
    };

    #[test]
    fn an_index_of_bits_keeps_what_was_set() {
        let software = software::Software::start();
        let mut tpm = software.open();
        assert_eq!(tpm.index(HERE).unwrap(), None);
        tpm.define(HERE, BITS, &[]).unwrap();
        assert_eq!(tpm.index(HERE).unwrap(), Some(BITS));
        tpm.set_bits(HERE, 0b100, &[]).unwrap();
        tpm.set_bits(HERE, 0b1, &[]).unwrap();
        assert_eq!(tpm.bits(HERE).unwrap(), 0b101);
        tpm.undefine(HERE, &[]).unwrap();
        assert_eq!(tpm.index(HERE).unwrap(), None);
    }

    #[test]
    fn who_does_not_know_the_owners_password_changes_nothing() {
        let software = software::Software::start();
        let mut tpm = software.open();
        tpm.define(HERE, BITS, &[]).unwrap();
        assert!(!tpm.owner_has_password().unwrap());
        tpm.change_owner_password(&[], b"secret").unwrap();
        assert!(tpm.owner_has_password().unwrap());
        for wrong in [b"".as_slice(), b"guessed"] {
            assert!(matches!(tpm.undefine(HERE, wrong), Err(Error::Password)));
            assert!(matches!(tpm.set_bits(HERE, 1, wrong), Err(Error::Password)));
        }
        tpm.set_bits(HERE, 1, b"secret").unwrap();
        assert_eq!(tpm.bits(HERE).unwrap(), 1);
        tpm.change_owner_password(b"secret", &[]).unwrap();
        assert!(!tpm.owner_has_password().unwrap());
    }

    #[test]
    fn a_register_is_measured_into() {
        let software = software::Software::start();
        let mut tpm = software.open();
        tpm.extend(11, [7; 32]).unwrap();
        assert!(matches!(
            tpm.extend(99, [7; 32]),
            Err(Error::Refused { .. })
        ));
    }
}
