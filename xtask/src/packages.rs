//! System packages: what is needed, how to see that it is there, and installing the rest by apt.

use std::{
    env,
    ffi::OsStr,
    io::IsTerminal as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{process, terminal::command_line, terminal::say};

/// Something the project needs from the system.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    /// What it is for, to stand after "for".
    pub(crate) purpose: &'static str,
    /// The Debian package that brings it.
    pub(crate) debian: &'static str,
    /// How to see that it is there, whoever brought it.
    pub(crate) sign: Sign,
}

/// How to see that a package's work is already done.
#[derive(Clone, Copy)]
pub(crate) enum Sign {
    /// A command is on the path.
    Command(&'static str),
    /// One of these files is there.
    AnyFile(&'static [&'static str]),
    /// A look of its own.
    Look(fn() -> bool),
}

/// Where distributions put SoftHSM's PKCS#11 module; Debian's place comes first.
pub(crate) const SOFTHSM_MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// The software HSM.
pub(crate) const SOFTHSM: Package = Package {
    purpose: "the software HSM",
    debian: "softhsm2",
    sign: Sign::AnyFile(SOFTHSM_MODULES),
};

/// What the build needs beside Rust: aws-lc and SQLite are C. Both build without cmake, make, perl or bindgen.
pub(crate) const BUILD: &[Package] = &[
    Package {
        purpose: "the C compiler",
        debian: "gcc",
        sign: Sign::Command("cc"),
    },
    Package {
        purpose: "the C library's headers",
        debian: "libc6-dev",
        sign: Sign::AnyFile(&["/usr/include/stdio.h"]),
    },
];

/// What the tests need beside what they build.
pub(crate) const TEST: &[Package] = &[
    Package {
        purpose: "the tests that compare with Python's cryptography",
        debian: "python3",
        sign: Sign::Look(|| crate::python::interpreter().is_some()),
    },
    Package {
        purpose: "the tests that compare with Python's cryptography",
        debian: "python3-venv",
        sign: Sign::Look(|| crate::python::interpreter().is_some()),
    },
    Package {
        purpose: "the tests that look at certificates",
        debian: "openssl",
        sign: Sign::Command("openssl"),
    },
    Package {
        purpose: "the tests that send mail",
        debian: "mutt",
        sign: Sign::Command("mutt"),
    },
    Package {
        purpose: "the tests that watch the C library's memory",
        debian: "valgrind",
        sign: Sign::Command("valgrind"),
    },
    RSYSLOG,
    RSYSLOG_TLS,
    Package {
        purpose: "the tests with a disk that is full",
        debian: "util-linux",
        sign: Sign::Command("unshare"),
    },
    Package {
        purpose: "the tests that speak HTTPS as a stranger",
        debian: "curl",
        sign: Sign::Command("curl"),
    },
    FDISK,
    SWTPM,
    CRYPTSETUP,
    BROWSER[0],
    BROWSER[1],
    application("opensc", Sign::Command("pkcs11-tool")),
    application("gnutls-bin", Sign::Command("p11tool")),
    application("p11-kit", Sign::Command("p11-kit")),
    application(
        "p11-kit-modules",
        Sign::AnyFile(&[
            "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
            "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
            "/usr/lib64/pkcs11/p11-kit-client.so",
        ]),
    ),
    application(
        "libengine-pkcs11-openssl",
        Sign::AnyFile(&[
            "/usr/lib/x86_64-linux-gnu/engines-3/pkcs11.so",
            "/usr/lib/aarch64-linux-gnu/engines-3/pkcs11.so",
            "/usr/lib64/engines-3/pkcs11.so",
        ]),
    ),
    NGINX,
    application("openssh-client", Sign::Command("ssh-agent")),
    application("openssh-server", Sign::AnyFile(&["/usr/sbin/sshd"])),
    application("libnss3-tools", Sign::Command("certutil")),
    application("default-jdk-headless", Sign::Command("jarsigner")),
];

/// A browser and what drives it.
pub(crate) const BROWSER: &[Package; 2] = &[
    Package {
        purpose: "the tests with a browser, and the pictures of the web interfaces",
        debian: "chromium",
        sign: Sign::Command("chromium"),
    },
    Package {
        purpose: "the tests with a browser, and the pictures of the web interfaces",
        debian: "chromium-driver",
        sign: Sign::Command("chromedriver"),
    },
];

/// An application that uses PKCS#11 modules.
const fn application(debian: &'static str, sign: Sign) -> Package {
    Package {
        purpose: "the tests of the PKCS#11 module with real applications",
        debian,
        sign,
    }
}

/// What building Kryoptic, a second PKCS#11 module to test with, needs beside that.
pub(crate) const KRYOPTIC: &[Package] = &[
    Package {
        purpose: "the bindings to OpenSSL and SQLite in Kryoptic",
        debian: "libclang-14-dev",
        sign: Sign::AnyFile(&[
            "/usr/lib/llvm-14/lib/libclang.so",
            "/usr/lib/llvm-19/lib/libclang.so",
        ]),
    },
    Package {
        purpose: "the database of Kryoptic",
        debian: "libsqlite3-dev",
        sign: Sign::AnyFile(&["/usr/include/sqlite3.h"]),
    },
    Package {
        purpose: "the build of OpenSSL",
        debian: "make",
        sign: Sign::Command("make"),
    },
    Package {
        purpose: "the build of OpenSSL",
        debian: "perl",
        sign: Sign::Command("perl"),
    },
];

/// What building the image needs; the rest comes into a chroot of its own.
pub(crate) const IMAGE: &[Package] = &[
    image("mmdebstrap", Sign::Command("mmdebstrap")),
    FDISK,
    image("openssl", Sign::Command("openssl")),
];

/// What booting the image in a virtual machine needs.
pub(crate) const MACHINE: &[Package] = &[
    image("qemu-system-x86", Sign::Command("qemu-system-x86_64")),
    image(
        "ovmf",
        Sign::AnyFile(&["/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"]),
    ),
    SWTPM,
];

/// Who is outside of such machines, and how these reach them.
pub(crate) const OUTSIDE: &[Package] = &[
    image("socat", Sign::Command("socat")),
    NGINX,
    RSYSLOG,
    RSYSLOG_TLS,
];

/// Partition tables, which the tests of the image's updates write as well.
const FDISK: Package = image(
    "fdisk",
    Sign::AnyFile(&["/sbin/sfdisk", "/usr/sbin/sfdisk"]),
);

/// A syslog server, and its TLS.
const RSYSLOG: Package = Package {
    purpose: "the tests that feed a syslog server",
    debian: "rsyslog",
    sign: Sign::AnyFile(&["/usr/sbin/rsyslogd"]),
};
const RSYSLOG_TLS: Package = Package {
    purpose: "the tests that feed a syslog server",
    debian: "rsyslog-openssl",
    sign: Sign::AnyFile(&[
        "/usr/lib/x86_64-linux-gnu/rsyslog/lmnsd_ossl.so",
        "/usr/lib/aarch64-linux-gnu/rsyslog/lmnsd_ossl.so",
        "/usr/lib64/rsyslog/lmnsd_ossl.so",
    ]),
};

/// A web server.
const NGINX: Package = application("nginx-light", Sign::AnyFile(&["/usr/sbin/nginx"]));

/// A TPM in software, which the tests of the image's count of releases use as well.
const SWTPM: Package = image("swtpm", Sign::Command("swtpm"));

/// Encrypted partitions, of whose headers the tests of the image's recovery key make some.
const CRYPTSETUP: Package = image(
    "cryptsetup-bin",
    Sign::AnyFile(&["/sbin/cryptsetup", "/usr/sbin/cryptsetup"]),
);

const fn image(debian: &'static str, sign: Sign) -> Package {
    Package {
        purpose: "the image of the appliance",
        debian,
        sign,
    }
}

/// Installs those of `needed` that are missing. Nothing is run when nothing is.
///
/// # Errors
///
/// One sentence with the command to run, where this machine or this user cannot install packages.
pub(crate) fn ensure<'a>(needed: impl IntoIterator<Item = &'a Package> + Clone) -> Result<()> {
    let missing = missing(needed.clone());
    if missing.is_empty() {
        return Ok(());
    }
    for package in &missing {
        say!("Missing: {}, for {}.", package.debian, package.purpose);
    }
    let by_hand = by_hand(&missing);
    let Some(installer) = Installer::of_this_machine() else {
        bail!(
            "system packages cannot be installed from here, so run this and try again: {by_hand}"
        );
    };
    for step in installer.steps(&missing) {
        let done = process::status(Command::new(&step[0]).args(&step[1..]));
        if !done.is_ok_and(|status| status.success()) {
            let step = command_line(&step);
            bail!("`{step}` did not succeed, so run this and try again: {by_hand}");
        }
    }
    if let Some(package) = self::missing(needed).first() {
        bail!(
            "{} is installed, but {} is not where it is looked for",
            package.debian,
            package.purpose
        );
    }
    Ok(())
}

/// The SoftHSM module that is installed, if one is.
pub(crate) fn softhsm_module() -> Option<PathBuf> {
    SOFTHSM_MODULES
        .iter()
        .map(PathBuf::from)
        .find(|module| module.is_file())
}

fn missing<'a>(needed: impl IntoIterator<Item = &'a Package>) -> Vec<&'a Package> {
    let path = env::var_os("PATH").unwrap_or_default();
    needed
        .into_iter()
        .filter(|package| !package.sign.shows(&path))
        .collect()
}

impl Sign {
    fn shows(&self, path: &OsStr) -> bool {
        match self {
            Self::Command(name) => process::find(name, path).is_some(),
            Self::AnyFile(files) => files.iter().any(|file| Path::new(file).exists()),
            Self::Look(look) => look(),
        }
    }
}

/// apt-get, and how to become root for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Installer {
    /// We are root.
    Root,
    /// sudo, which may ask for a password on the terminal.
    Sudo { may_ask: bool },
}

impl Installer {
    fn of_this_machine() -> Option<Self> {
        let path = env::var_os("PATH").unwrap_or_default();
        process::find("apt-get", &path)?;
        if rustix::process::geteuid().is_root() {
            Some(Self::Root)
        } else {
            process::find("sudo", &path)?;
            Some(Self::Sudo {
                may_ask: std::io::stdin().is_terminal(),
            })
        }
    }

    /// The commands to run, one after the other. sudo asks on the terminal itself, not on standard input.
    fn steps(self, packages: &[&Package]) -> Vec<Vec<String>> {
        let as_root: &[&str] = match self {
            Self::Root => &["env"],
            Self::Sudo { may_ask: true } => &["sudo", "env"],
            Self::Sudo { may_ask: false } => &["sudo", "-n", "env"],
        };
        let apt = |rest: &[&str]| -> Vec<String> {
            let quiet = ["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"];
            as_root
                .iter()
                .chain(&quiet)
                .chain(rest)
                .map(|&word| word.to_owned())
                .collect()
        };
        let names: Vec<&str> = packages.iter().map(|package| package.debian).collect();
        let install = ["install", "-y", "--no-install-recommends"];
        vec![apt(&["update"]), apt(&[&install[..], &names].concat())]
    }
}

/// The command for a person to type.
fn by_hand(packages: &[&Package]) -> String {
    let names = packages.iter().map(|package| package.debian);
    command_line(
        "sudo apt-get install -y --no-install-recommends"
            .split(' ')
            .chain(names),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const THERE: Package = Package {
        purpose: "a shell",
        debian: "dash",
        sign: Sign::Command("sh"),
    };
    const NOT_THERE: Package = Package {
        purpose: "nothing",
        debian: "no-such-package",
        sign: Sign::AnyFile(&["/nonexistent/a", "/nonexistent/b"]),
    };
    const NEITHER: Package = Package {
        purpose: "nothing",
        debian: "nor-this-one",
        sign: Sign::Look(|| false),
    };

    #[test]
    fn only_what_is_missing_is_named() {
        let missing = missing([&THERE, &NOT_THERE, &NEITHER]);
        let names: Vec<_> = missing.iter().map(|package| package.debian).collect();
        assert_eq!(names, ["no-such-package", "nor-this-one"]);
    }

    #[test]
    fn one_of_several_files_is_enough() {
        let sign = Sign::AnyFile(&["/nonexistent/a", "/dev/null"]);
        assert!(sign.shows(OsStr::new("")));
    }

    #[test]
    fn a_command_is_looked_for_on_the_path_only() {
        assert!(Sign::Command("sh").shows(OsStr::new("/usr/bin:/bin")));
        assert!(!Sign::Command("sh").shows(OsStr::new("/nonexistent")));
    }

    #[test]
    fn nothing_is_run_when_nothing_is_missing() {
        assert!(ensure([&THERE]).is_ok());
    }

    #[test]
    fn apt_updates_first_and_asks_nothing() {
        let steps = Installer::Root.steps(&[&NOT_THERE, &NEITHER]);
        let lines: Vec<_> = steps.iter().map(command_line).collect();
        assert_eq!(
            lines,
            [
                "env DEBIAN_FRONTEND=noninteractive apt-get -q update",
                "env DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
                 no-such-package nor-this-one",
            ]
        );
    }

    #[test]
    fn sudo_asks_only_where_somebody_can_answer() {
        let first = |installer: Installer| command_line(&installer.steps(&[&NOT_THERE])[0]);
        assert!(first(Installer::Sudo { may_ask: true }).starts_with("sudo env "));
        assert!(first(Installer::Sudo { may_ask: false }).starts_with("sudo -n env "));
    }

    #[test]
    fn the_command_to_type_is_complete() {
        assert_eq!(
            by_hand(&[&SOFTHSM, &BUILD[0]]),
            "sudo apt-get install -y --no-install-recommends softhsm2 gcc"
        );
    }
}
