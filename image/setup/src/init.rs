//! The first start, as the service's user: `strongroomd init` makes token, keys, certificates and the first administrator, by the seed if there is one.
//! Where the seed says that an appliance is brought back from a backup, it waits for those who do that at the console (`restore`).
//!
//! Killed at any moment, it is done again from the beginning at the next start: nothing serves before `seal` has left its mark, and what
//! there is without it is thrown away.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use toml::Table;
use zeroize::Zeroizing;

use crate::pin::{self, Asked};
use crate::seed::{self, Document, Kind, Refusal, SITE};
use crate::{machine, restore, witness};

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// The module that the image was built with, if it was.
const MODULE: &str = "/usr/lib/strongroom/hsm.module";
/// In the appliance's folder.
pub(crate) const DATA: &str = "data";
pub(crate) const TOKENS: &str = "tokens";
/// In the data folder: the PIN until it is sealed.
const PIN: &str = "hsm-pin";
const SO_PIN: &str = "hsm-so-pin";

/// What `strongroomd init --json` says.
#[derive(Deserialize)]
struct Made {
    administrator: String,
    enrolment_code: String,
}

/// Makes the appliance, in the folder that is given where it is not this machine's own.
pub(crate) fn run(elsewhere: Option<&str>) -> Result<()> {
    if elsewhere.is_none()
        && let Some(obstacle) = machine::obstacle()
    {
        bail!("{obstacle}");
    }
    let home = Path::new(elsewhere.unwrap_or(machine::HOME));
    let (document, sha256) =
        seed::kept(home)?.map_or_else(Default::default, |seed| (seed.document, Some(seed.sha256)));
    // Before anybody is waited for.
    check(&document)?;
    check_module(&document)?;
    let addresses = match elsewhere {
        None => addresses(),
        Some(_) => machine::addresses(),
    };
    let first = FirstStart {
        data: home.join(DATA),
        tokens: home.join(TOKENS),
        document: &document,
        sha256: sha256.as_deref(),
        addresses: &addresses,
    };
    if let Some(restore) = &document.restore {
        restore::wait(restore)?;
        return first.present_authority();
    }
    let made = if document.asks_for_pin() {
        let socket = elsewhere.map_or_else(
            || PathBuf::from(pin::SOCKET),
            |home| Path::new(home).join("pin"),
        );
        let asked = match document.hsm.kind {
            Kind::Softhsm => Asked::New,
            Kind::Module | Kind::Yubihsm => Asked::Existing,
        };
        pin::wait(&socket, asked, |pin| first.make(Some(pin)))?
    } else {
        first.make(None)?
    };
    first.present_authority()?;
    let code = format!("{}\n{}\n", made.enrolment_code, made.administrator);
    write_private(&first.data.join("enrolment-code"), code.as_bytes())
}

/// Looks whether a seed leads to a configuration that can be used here, and makes nothing.
///
/// # Errors
/// [`Refusal::Settings`], [`Refusal::Unusable`].
pub(crate) fn check(document: &Document) -> Result<(), Refusal> {
    if let Some(made) = &document.witness {
        witness::check(made)?;
    }
    connections(document).map(drop)
}

/// Looks whether this image has what a seed names beside the configuration.
///
/// # Errors
/// [`Refusal::Unusable`].
pub(crate) fn check_module(document: &Document) -> Result<(), Refusal> {
    if document.hsm.kind == Kind::Module && !Path::new(MODULE).exists() {
        return Err(Refusal::Unusable(
            "[hsm]: this image was built without a vendor's module (`cargo xtask image --hsm-module`)".to_owned(),
        ));
    }
    Ok(())
}

/// Whom an appliance that is made by this seed goes to, and where it listens, as `strongroomd init --check --json` says it.
///
/// # Errors
/// As [`check`].
pub(crate) fn connections(document: &Document) -> Result<Vec<u8>, Refusal> {
    let data = Path::new(machine::DATA);
    let mut words = arguments(document, data, &[])?;
    words.push("--check".to_owned());
    let output = strongroomd(&words, document, data)
        .map_err(|error| Refusal::Settings(format!("{error:#}")))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(Refusal::Settings(pin::last_sentence(&output.stderr)))
}

/// An appliance that is being made.
pub(crate) struct FirstStart<'a> {
    pub(crate) data: PathBuf,
    pub(crate) tokens: PathBuf,
    pub(crate) document: &'a Document,
    /// The seed's, where there is one.
    pub(crate) sha256: Option<&'a str>,
    pub(crate) addresses: &'a [IpAddr],
}

impl FirstStart<'_> {
    /// Puts there what is there before anything is made: the seed's files, and the PIN.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(crate) fn begin(&self, pin: Option<&str>) -> Result<()> {
        // Nothing has served from them: they are what a start left that was broken off, or another PIN.
        for folder in [&self.data, &self.tokens] {
            empty(folder).with_context(|| format!("{} cannot be emptied", folder.display()))?;
        }
        self.put_files()?;
        if let Some(pin) = pin {
            write_private(&self.data.join(PIN), pin.as_bytes())?;
            if self.document.hsm.kind == Kind::Softhsm {
                // With both there, they are those that the token is made with.
                write_private(&self.data.join(SO_PIN), random()?.as_bytes())?;
            }
        }
        Ok(())
    }

    fn make(&self, pin: Option<&str>) -> Result<Made> {
        self.begin(pin)?;
        let mut words = arguments(self.document, &self.data, self.addresses)?;
        words.extend(self.sha256.map(|sha256| format!("--seed-sha256={sha256}")));
        let output = strongroomd(&words, self.document, &self.data)?;
        let _ = io::stderr().write_all(&output.stderr);
        if !output.status.success() {
            bail!("{}", pin::last_sentence(&output.stderr));
        }
        serde_json::from_slice(&output.stdout)
            .context("what `strongroomd init` said cannot be read")
    }

    fn put_files(&self) -> Result<()> {
        if self.document.files.is_empty() {
            return Ok(());
        }
        let folder = self.data.join(SITE);
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        for (name, text) in &self.document.files {
            write_private(&folder.join(name), text.as_bytes())?;
        }
        Ok(())
    }

    /// Has the server send the CA's certificate after its own: whoever comes for the first time holds it against the console's fingerprint.
    fn present_authority(&self) -> Result<()> {
        let tls = self.data.join("tls");
        let read = |name: &str| {
            fs::read_to_string(tls.join(name))
                .with_context(|| format!("the certificate {name} cannot be read"))
        };
        let chain = format!("{}{}", read("server.pem")?, read("ca.pem")?);
        write_private(&tls.join("server.pem"), chain.as_bytes())
    }
}

/// What `strongroomd` is told: `init`, with its further settings by standard input. A value never stands alone, so that none is taken for a flag.
fn arguments(
    document: &Document,
    data: &Path,
    addresses: &[IpAddr],
) -> Result<Vec<String>, Refusal> {
    let mut words: Vec<String> = vec!["init".to_owned(), "--json".to_owned()];
    words.push(format!("--admin-account={}", document.administrator));
    words.extend(document.name.iter().map(|name| format!("--name={name}")));
    if document.hsm.adopt_keys {
        words.push("--adopt-keys".to_owned());
    }
    words.push("--settings=-".to_owned());
    words.extend(site_arguments(document, data, addresses)?);
    Ok(words)
}

/// Where an appliance is made, and with which HSM: the same for `init` and for a recovery.
///
/// # Errors
/// [`Refusal::Unusable`].
pub(crate) fn site_arguments(
    document: &Document,
    data: &Path,
    addresses: &[IpAddr],
) -> Result<Vec<String>, Refusal> {
    let mut words = Vec::new();
    let mut say = |flag: &str, value: &str| words.push(format!("--{flag}={value}"));
    say("data", &data.display().to_string());
    for (flag, usual) in [("client", "[::]:8443"), ("admin", "[::]:9443")] {
        let given = listen(&document.strongroomd, flag)?;
        say(&format!("{flag}-listen"), given.unwrap_or(usual));
    }
    let addresses = addresses.iter().map(IpAddr::to_string);
    for name in document.dns_names.iter().cloned().chain(addresses) {
        say("hostname", &name);
    }
    let hsm = &document.hsm;
    match hsm.kind {
        Kind::Softhsm => {
            say("module", SOFTHSM);
            say("token", "strongroom");
        }
        Kind::Module => say("module", MODULE),
        Kind::Yubihsm => {}
    }
    let numbers = [
        ("auth-key", hsm.auth_key),
        ("device-domain", hsm.device_domain.map(u16::from)),
    ];
    let texts = [("token", &hsm.token), ("connector", &hsm.connector)];
    for (flag, text) in texts {
        if let Some(text) = text {
            say(flag, text);
        }
    }
    for (flag, number) in numbers {
        if let Some(number) = number {
            say(flag, &number.to_string());
        }
    }
    match hsm.kind {
        Kind::Softhsm => words.push("--initialise-token".to_owned()),
        Kind::Module | Kind::Yubihsm => {
            say("pin", &format!("file:{}", data.join(PIN).display()));
        }
    }
    Ok(words)
}

/// Where a listener listens, by the seed's table `[strongroomd.listen]`.
fn listen<'a>(settings: &'a Table, name: &str) -> Result<Option<&'a str>, Refusal> {
    let Some(listen) = settings.get("listen") else {
        return Ok(None);
    };
    let wrong = || {
        Refusal::Unusable(
            "[strongroomd.listen]: client and admin are an address and a port each".to_owned(),
        )
    };
    let listen = listen.as_table().ok_or_else(wrong)?;
    if listen.keys().any(|key| key != "client" && key != "admin") {
        return Err(wrong());
    }
    let value = listen
        .get(name)
        .map(|value| value.as_str().ok_or_else(wrong));
    value.transpose()
}

/// Runs it, with what the configuration says besides, and what the module finds its settings by.
fn strongroomd(words: &[String], document: &Document, data: &Path) -> Result<Output> {
    let settings = settings(document)?;
    let mut strongroomd = Command::new("strongroomd")
        .args(words)
        .envs(document.hsm.environment(data))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("`strongroomd` cannot be started")?;
    // Who did not want to hear it says why.
    let _ = strongroomd
        .stdin
        .take()
        .context("`strongroomd` takes no input")?
        .write_all(settings.as_bytes());
    strongroomd
        .wait_with_output()
        .context("`strongroomd` was lost")
}

/// What the configuration says besides, as text.
///
/// # Errors
/// When it is none.
pub(crate) fn settings(document: &Document) -> Result<String> {
    let mut settings = document.strongroomd.clone();
    // That is said by arguments.
    settings.remove("listen");
    toml::to_string(&settings).context("the settings cannot be written")
}

/// Removes all that is in a folder, and leaves the folder.
pub(crate) fn empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// The machine's addresses, as soon as it has one: they stand in the certificate, so that without one nobody could come. Where there is no DHCP,
/// somebody types one at the console and restarts.
pub(crate) fn addresses() -> Vec<IpAddr> {
    loop {
        let found = machine::addresses();
        if !found.is_empty() {
            return found;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// 128 random bits, in hexadecimal.
fn random() -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; 16]);
    fs::File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(bytes.as_mut_slice()))
        .context("there are no random numbers")?;
    Ok(Zeroizing::new(hex::encode(bytes.as_slice())))
}

/// Writes a file, readable by nobody else where it is new.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_private(file: &Path, bytes: &[u8]) -> Result<()> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .with_context(|| format!("{} cannot be written", file.display()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_folder_is_emptied_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("tls/more")).unwrap();
        write_private(&folder.path().join("tls/key"), b"secret").unwrap();
        write_private(&folder.path().join("pin"), b"1234").unwrap();
        empty(folder.path()).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    fn said(document: &str) -> Result<String, Refusal> {
        let document = Document::of(document);
        let addresses = ["192.0.2.7".parse().unwrap()];
        arguments(&document, Path::new("/d"), &addresses).map(|words| words.join(" "))
    }

    #[test]
    fn a_module_that_is_not_built_in_is_refused() {
        let document = Document::of("[hsm]\nkind = \"module\"");
        let refusal = check_module(&document).unwrap_err().to_string();
        assert!(refusal.contains("built without"), "{refusal}");
        assert!(check_module(&Document::default()).is_ok());
    }

    #[test]
    fn without_a_seed_it_is_softhsm_at_every_address() {
        assert_eq!(
            said("").unwrap(),
            "init --json --admin-account=admin --settings=- --data=/d --client-listen=[::]:8443 --admin-listen=[::]:9443 \
             --hostname=192.0.2.7 --module=/usr/lib/softhsm/libsofthsm2.so --token=strongroom --initialise-token"
        );
    }

    #[test]
    fn a_seed_says_all_that_init_takes() {
        assert_eq!(
            said(
                "name = \"keys.example.com\"\ndns_names = [\"keys\"]\nadministrator = \"--ann\"\n\
                 [hsm]\nkind = \"yubihsm\"\nconnector = \"http://10.0.5.3\"\nauth_key = 2\ndevice_domain = 3\nadopt_keys = true\n\
                 [strongroomd.listen]\nadmin = \"10.0.5.10:9443\""
            )
            .unwrap(),
            "init --json --admin-account=--ann --name=keys.example.com --adopt-keys --settings=- --data=/d --client-listen=[::]:8443 \
             --admin-listen=10.0.5.10:9443 --hostname=keys --hostname=192.0.2.7 --connector=http://10.0.5.3 --auth-key=2 --device-domain=3 \
             --pin=file:/d/hsm-pin"
        );
        let module = said("[hsm]\nkind = \"module\"\ntoken = \"one\"").unwrap();
        assert!(
            module.ends_with(
                "--module=/usr/lib/strongroom/hsm.module --token=one --pin=file:/d/hsm-pin"
            ),
            "{module}"
        );
        let refusal = said("[strongroomd]\nlisten = 1").unwrap_err().to_string();
        assert!(refusal.contains("an address and a port"), "{refusal}");
    }
}
