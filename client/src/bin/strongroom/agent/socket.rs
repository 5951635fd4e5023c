//! Where a command and the agent meet, and that both belong to the same user.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA256, digest};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Uid, getuid};

use crate::home::Home;

/// The longest path that a Unix socket takes, with room for the name under which it is first made.
const LONGEST_PATH: usize = 100;

/// The socket of this home's agent: in the user's runtime folder, in the home itself where there is none, or in a private
/// folder among the temporary ones where the home's path is too long for a socket.
pub(super) fn path(home: &Home) -> io::Result<PathBuf> {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let runtime = runtime.filter(|folder| folder.is_absolute() && is_private(folder, getuid()));
    if let Some(path) = place(home.folder(), runtime.as_deref()) {
        return Ok(path);
    }
    let uid = getuid();
    let folder = env::temp_dir().join(format!("strongroom-{}", uid.as_raw()));
    match DirBuilder::new().mode(0o700).create(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if !is_private(&folder, uid) {
        return Err(io::Error::other(format!(
            "{} belongs to somebody else, or others may enter it",
            folder.display()
        )));
    }
    Ok(folder.join(mark(home.folder())))
}

/// A connection to the agent, if one listens there.
///
/// # Errors
/// [`io::ErrorKind::PermissionDenied`] when what listens there belongs to another user.
pub(super) fn connect(path: &Path) -> io::Result<Option<UnixStream>> {
    match UnixStream::connect(path) {
        Ok(stream) => {
            check_peer(&stream, getuid())?;
            Ok(Some(stream))
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Refuses the other end when it does not belong to `uid`.
pub(super) fn check_peer(stream: &impl AsFd, uid: Uid) -> io::Result<()> {
    if socket_peercred(stream)?.uid == uid {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "the other end belongs to another user",
        ))
    }
}

fn place(home: &Path, runtime: Option<&Path>) -> Option<PathBuf> {
    let path = match runtime {
        Some(runtime) => runtime.join(mark(home)),
        None => home.join("agent"),
    };
    (path.as_os_str().len() <= LONGEST_PATH).then_some(path)
}

/// A short name that goes with the home's path.
fn mark(home: &Path) -> String {
    let home = fs::canonicalize(home).unwrap_or_else(|_| home.to_owned());
    let hash = digest(&SHA256, home.as_os_str().as_bytes());
    let hash = hash.as_ref().iter().take(8);
    hash.fold("strongroom-".to_owned(), |name, byte| {
        format!("{name}{byte:02x}")
    })
}

/// Whether it is a folder of this user that nobody else may enter.
fn is_private(folder: &Path, uid: Uid) -> bool {
    folder.symlink_metadata().is_ok_and(|folder| {
        folder.is_dir() && folder.uid() == uid.as_raw() && folder.mode().trailing_zeros() >= 6
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn each_home_has_a_place_of_its_own() {
        let runtime = Path::new("/run/user/1000");
        let one = place(Path::new("/home/a/.config/strongroom"), Some(runtime)).unwrap();
        let other = place(Path::new("/home/b/.config/strongroom"), Some(runtime)).unwrap();
        assert_ne!(one, other);
        assert!(one.starts_with(runtime));
        assert_eq!(
            place(Path::new("/home/a"), None),
            Some("/home/a/agent".into())
        );
        assert_eq!(place(Path::new(&"/long".repeat(30)), None), None);
    }

    #[test]
    fn a_folder_that_others_may_enter_is_not_private() {
        let folder = tempfile::tempdir().unwrap();
        let set = |mode| {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).unwrap();
        };
        set(0o700);
        assert!(is_private(folder.path(), getuid()));
        assert!(!is_private(
            folder.path(),
            Uid::from_raw(getuid().as_raw() + 1)
        ));
        set(0o710);
        assert!(!is_private(folder.path(), getuid()));
        set(0o701);
        assert!(!is_private(folder.path(), getuid()));
        assert!(!is_private(Path::new("/nonexistent"), getuid()));
    }

    #[test]
    fn another_users_end_is_refused() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert!(check_peer(&one, getuid()).is_ok());
        let error = check_peer(&one, Uid::from_raw(getuid().as_raw() + 1)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }

    #[test]
    fn where_nobody_listens_there_is_no_agent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent");
        assert!(connect(&path).unwrap().is_none());
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(connect(&path).unwrap().is_none());
    }
}
