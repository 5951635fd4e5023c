//! An appliance of a test's own: a `SoftHSM` token, a data folder and the built `strongroomd`, all in one temporary folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use strongroom_client::{Client, Roots, Session};
use strongroom_wire::account::{AccountKind, CreateAccount, Role};
use strongroom_wire::health::State;
use tempfile::TempDir;

const ADMIN: &str = "admin@example.com";
pub(crate) const PASSWORD: &[u8] = b"a horse, a staple and a battery";

pub(crate) struct Site {
    folder: TempDir,
    code: String,
}

/// What a command answered.
pub(crate) struct Answer {
    pub(crate) ok: bool,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Site {
    /// A token and an appliance that has never served.
    pub(crate) fn initialise() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tokens = folder.path().join("tokens");
        fs::create_dir(&tokens).unwrap();
        fs::write(
            folder.path().join("softhsm2.conf"),
            format!(
                "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
                tokens.display()
            ),
        )
        .unwrap();
        let mut site = Self {
            folder,
            code: String::new(),
        };
        let data = site.data();
        let module = module();
        let made = site.run(
            Path::new("none"),
            &[
                "init",
                "--data",
                data.to_str().unwrap(),
                "--module",
                module.to_str().unwrap(),
                "--initialise-token",
                "--admin-account",
                ADMIN,
                "--json",
            ],
        );
        assert!(made.ok, "{}", made.err);
        let made: serde_json::Value = serde_json::from_str(&made.out).unwrap();
        made["enrolment_code"]
            .as_str()
            .unwrap()
            .clone_into(&mut site.code);
        site
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.path("data")
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.data().join("strongroom.toml")
    }

    /// A configuration for another data folder with this site's HSM and certificates.
    pub(crate) fn config_for(&self, data: &Path) -> PathBuf {
        let old = self.data();
        let config = self.path("other.toml");
        let path = |path: &Path| toml::Value::String(path.to_str().unwrap().to_owned());
        let table = |entries: &[(&str, toml::Value)]| {
            let entries = entries.iter().cloned();
            entries
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<toml::Table>()
        };
        let tls = table(&[
            ("certificate", path(&old.join("tls/server.pem"))),
            ("key", path(&old.join("tls/server.key"))),
        ]);
        let hsm = table(&[
            ("module", path(&module())),
            (
                "pin",
                toml::Value::String(format!("file:{}", old.join("hsm-pin").display())),
            ),
        ]);
        let text = table(&[
            ("data", path(data)),
            ("tls", toml::Value::Table(tls)),
            ("hsm", toml::Value::Table(hsm)),
        ])
        .to_string();
        fs::write(&config, text).unwrap();
        config
    }

    fn command(&self, config: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroomd"));
        command
            .arg("--config")
            .arg(config)
            .args(arguments)
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, config: &Path, arguments: &[&str]) -> Answer {
        let output = self.command(config, arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Answer {
            ok: output.status.success(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Serves, on free ports: it is there once the HSM is open.
    pub(crate) fn serve(&self, config: &Path) -> Appliance<'_> {
        let text = fs::read_to_string(config).unwrap();
        let settings: toml::Table = toml::from_str(&text).unwrap();
        let data = settings
            .get("data")
            .map_or_else(|| self.data(), |data| data.as_str().unwrap().into());
        let free = "127.0.0.1:0";
        let log = fs::File::create(self.path("log")).unwrap();
        let child = self
            .command(
                config,
                &["serve", "--client-listen", free, "--admin-listen", free],
            )
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut appliance = Appliance {
            site: self,
            child,
            client: String::new(),
            admin: String::new(),
        };
        let deadline = Instant::now() + Duration::from_mins(1);
        let addresses = loop {
            if let Ok(text) = fs::read_to_string(data.join("addresses.json")) {
                break text;
            }
            let ended = appliance.child.try_wait().unwrap();
            let log = || fs::read_to_string(self.path("log")).unwrap();
            assert!(ended.is_none() && Instant::now() < deadline, "{}", log());
            thread::sleep(Duration::from_millis(20));
        };
        let addresses: serde_json::Value = serde_json::from_str(&addresses).unwrap();
        let url = |name: &str| format!("https://{}", addresses[name].as_str().unwrap());
        (appliance.client, appliance.admin) = (url("client"), url("admin"));
        let client = appliance.reach(&appliance.client);
        while client.health().unwrap().state != State::Serving {
            let log = || fs::read_to_string(self.path("log")).unwrap();
            assert!(Instant::now() < deadline, "{}", log());
            thread::sleep(Duration::from_millis(20));
        }
        appliance
    }
}

/// An appliance that serves until it is stopped or dropped.
pub(crate) struct Appliance<'a> {
    site: &'a Site,
    child: Child,
    client: String,
    admin: String,
}

impl Appliance<'_> {
    fn reach(&self, url: &str) -> Client {
        let ca = fs::read(self.site.data().join("tls/ca.pem")).unwrap();
        Client::new(url, &Roots::from_pem(&ca).unwrap()).unwrap()
    }

    pub(crate) fn enrol_administrator(&self) -> Session {
        let client = self.reach(&self.admin);
        client.enrol(ADMIN, &self.site.code, PASSWORD).unwrap();
        client.sign_in(ADMIN, PASSWORD).unwrap()
    }

    /// Somebody who has enrolled and signed in.
    pub(crate) fn person(&self, admin: &Session, name: &str, roles: &[Role]) -> Session {
        let created = admin
            .create_account(&CreateAccount {
                name: name.to_owned(),
                kind: AccountKind::Person,
                roles: roles.to_vec(),
                manager: None,
            })
            .unwrap();
        let code = created.enrolment_code.unwrap();
        let client = self.reach(&self.client);
        client.enrol(name, &code, PASSWORD).unwrap();
        client.sign_in(name, PASSWORD).unwrap()
    }

    pub(crate) fn sign_in(&self, name: &str) -> Session {
        self.reach(&self.client).sign_in(name, PASSWORD).unwrap()
    }

    /// Asks it to stop and waits until it has.
    pub(crate) fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Appliance<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `SoftHSM`'s PKCS#11 module: where Debian puts it, or where `STRONGROOM_TEST_PKCS11_MODULE` says.
fn module() -> PathBuf {
    if let Some(path) = std::env::var_os("STRONGROOM_TEST_PKCS11_MODULE") {
        return path.into();
    }
    let places = [
        "/usr/lib/softhsm/libsofthsm2.so",
        "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
        "/usr/lib64/pkcs11/libsofthsm2.so",
    ];
    let found = places.iter().map(Path::new).find(|path| path.exists());
    found
        .expect("SoftHSM 2 is not installed: install the package softhsm2")
        .to_owned()
}
