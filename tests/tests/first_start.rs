//! The image's first start by a signed seed: `strongroom-setup` and `strongroomd` as the image runs them, in a folder of the test's own.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use strongroom_audit::Leaf;
use strongroom_tests::programs;
use strongroom_wire::audit::Act;
use tempfile::TempDir;

use crate::yubihsm::{Device, PASSWORD, auth_key};

const HEAD: &str = "# Strongroom seed, format 1\n";
/// What a seed may say beside the HSM.
const SITE: &str = "network = \"10.0.5.10/24 via 10.0.5.1 dns 10.0.5.2 vlan 12\"\nntp = [\"10.0.5.2\"]\n\
    name = \"keys.example.com\"\ndns_names = [\"vault.example.com\"]\nadministrator = \"ann@example.com\"\n\
    expires = 2200-01-01T00:00:00Z\n\
    [[strongroomd.siem]]\nname = \"soc\"\naddress = \"siem.example.com:6514\"\nca = \"site/siem.pem\"\n\
    [strongroomd.listen]\nadmin = \"127.0.0.1:9443\"\n\
    [files]\n\"siem.pem\" = \"a certificate\"\n";

/// A machine's folder on its data partition, and the key that its image trusts for seeds.
struct Machine(TempDir);

impl Machine {
    fn new() -> Self {
        let machine = Self(
            tempfile::Builder::new()
                .prefix("strongroom-first-")
                .tempdir()
                .unwrap(),
        );
        for folder in ["data", "tokens", "witness"] {
            fs::create_dir(machine.home().join(folder)).unwrap();
        }
        let tokens = machine.home().join("tokens");
        let settings = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            tokens.display()
        );
        fs::write(machine.home().join("softhsm2.conf"), settings).unwrap();
        for name in ["ours", "other"] {
            let (private, public) = (format!("{name}.key"), format!("{name}.pem"));
            machine.openssl(&["genrsa", "-out", &private, "2048"]);
            machine.openssl(&["rsa", "-in", &private, "-pubout", "-out", &public]);
        }
        machine
    }

    fn home(&self) -> &Path {
        self.0.path()
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.home().join(name)).unwrap()
    }

    fn openssl(&self, words: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl")
            .args(words)
            .current_dir(self.home())
            .stderr(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{words:?}");
        output.stdout
    }

    /// Puts a seed there that this key has signed.
    fn sign(&self, key: &str, text: &str) {
        let text = format!("{HEAD}{text}");
        fs::write(self.home().join("text"), &text).unwrap();
        let private = format!("{key}.key");
        let signature = self.openssl(&["dgst", "-sha256", "-sign", &private, "text"]);
        let seed = format!("{text}# signature: {}\n", STANDARD.encode(signature));
        fs::write(self.home().join("seed"), seed).unwrap();
    }

    fn setup(&self, words: &[&str]) -> Command {
        let program = programs::program("strongroom-setup");
        let beside = program.parent().unwrap().display().to_string();
        let path = std::env::var("PATH").unwrap();
        let mut setup = Command::new(program);
        setup
            .args(words)
            .current_dir(self.home())
            .env("PATH", format!("{beside}:{path}"))
            .env("SOFTHSM2_CONF", self.home().join("softhsm2.conf"))
            .stdin(Stdio::null());
        setup
    }

    /// The public key in a certificate, and that of a private key.
    fn certificate_key(&self, file: &str) -> Vec<u8> {
        self.openssl(&["x509", "-noout", "-pubkey", "-in", file])
    }

    fn key_of(&self, file: &str) -> Vec<u8> {
        self.openssl(&["pkey", "-pubout", "-in", file])
    }

    /// What is said of the seed before it goes anywhere.
    fn check(&self) -> Result<String, String> {
        let output = self
            .setup(&["seed", "check", "seed", "ours.pem"])
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }

    fn init(&self) -> Command {
        self.setup(&["init", self.home().to_str().unwrap()])
    }

    fn strongroomd(&self, words: &[&str]) -> Output {
        Command::new(programs::strongroomd())
            .arg("--config")
            .arg(self.home().join("data/strongroom.toml"))
            .args(words)
            .env("SOFTHSM2_CONF", self.home().join("softhsm2.conf"))
            .output()
            .unwrap()
    }

    /// What the audit log begins with: the note of its first leaf.
    fn first_leaf(&self) -> String {
        let database = rusqlite::Connection::open(self.home().join("data/strongroom.db")).unwrap();
        let leaf = database.query_row(
            "SELECT envelope, salt, detail FROM leaves ORDER BY idx LIMIT 1",
            [],
            |row| {
                Ok(Leaf {
                    envelope: row.get(0)?,
                    salt: row.get(1)?,
                    detail: row.get(2)?,
                })
            },
        );
        let event = leaf.unwrap().open().unwrap();
        assert_eq!(event.act, Act::DomainInitialise);
        event.detail.note.unwrap()
    }

    /// Brings a PIN to the first start that waits for one; what it asked for, and what it says to the PIN.
    fn bring(&self, pin: &str) -> (String, String) {
        let socket = self.home().join("pin");
        for _ in 0..6000 {
            let Ok(mut stream) = UnixStream::connect(&socket) else {
                thread::sleep(Duration::from_millis(10));
                continue;
            };
            let mut asked = String::new();
            BufReader::new(stream.try_clone().unwrap())
                .read_line(&mut asked)
                .unwrap();
            writeln!(stream, "{pin}").unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            return (asked.trim().to_owned(), answer.trim().to_owned());
        }
        panic!("nobody waits for a PIN");
    }
}

/// A first start that ends with the test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_appliance_is_made_as_its_seed_says() {
    let machine = Machine::new();
    machine.sign("ours", SITE);
    let said = machine.check().unwrap();
    let sha256 = machine.openssl(&["dgst", "-sha256", "-r", "seed"]);
    let sha256 = String::from_utf8(sha256).unwrap();
    assert!(said.contains(&sha256[..64]), "{said}");

    let output = machine.init().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let config: toml::Table = toml::from_str(&machine.read("data/strongroom.toml")).unwrap();
    assert_eq!(config["name"].as_str(), Some("keys.example.com"));
    assert_eq!(config["listen"]["client"].as_str(), Some("[::]:8443"));
    assert_eq!(config["listen"]["admin"].as_str(), Some("127.0.0.1:9443"));
    assert_eq!(config["hsm"]["pin"].as_str(), Some("file:hsm-pin"));
    assert_eq!(machine.read("data/site/siem.pem"), "a certificate");
    let enrolment = machine.read("data/enrolment-code");
    let (code, administrator) = enrolment.split_once('\n').unwrap();
    assert!(code.len() > 10 && administrator == "ann@example.com\n");

    let names = machine.openssl(&[
        "x509",
        "-noout",
        "-ext",
        "subjectAltName",
        "-in",
        "data/tls/server.pem",
    ]);
    let names = String::from_utf8(names).unwrap();
    for name in ["DNS:keys.example.com", "DNS:vault.example.com"] {
        assert!(names.contains(name), "{names}");
    }
    let said = machine.strongroomd(&["connections", "--json"]);
    let connections: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(connections["outgoing"][0]["host"], "siem.example.com");
    assert_eq!(machine.first_leaf(), format!("seed {}", &sha256[..64]));
    let verified = machine.strongroomd(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn a_seed_makes_a_witness() {
    const KEY: &str =
        "strongroom.example/default+f1779fd8+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";
    let machine = Machine::new();
    let witness = |key: &str| {
        machine.sign(
            "ours",
            &format!(
                "name = \"keys.example.com\"\n[witness]\nname = \"witness.example/w1\"\nlisten = \"127.0.0.1:7443\"\n\
                 [[witness.log]]\nverifier_keys = [{key:?}]\n"
            ),
        );
    };
    witness("strongroom.example/default+f1779fd8+AAAA");
    let said = machine.check().unwrap_err();
    assert!(
        said.contains("[witness]: strongroom.example/default"),
        "{said}"
    );
    assert_eq!(said.trim().lines().count(), 1, "{said}");

    witness(KEY);
    machine.check().unwrap();
    let output = machine.init().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let home = machine.home().to_str().unwrap();
    // What a start that was broken off has left is made again.
    fs::write(machine.home().join("witness/witness.key"), "left").unwrap();
    let output = machine.setup(&["seal", home]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(machine.home().join("prepared").exists());

    let ask = |word: &str| {
        let output = Command::new(programs::program("strongroom-witness"))
            .arg("--config")
            .arg(machine.home().join("witness/strongroom-witness.toml"))
            .arg(word)
            .env_remove("STRONGROOM_WITNESS_CONFIG")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    // What the console shows.
    assert_eq!(ask("key").trim(), machine.read("witness-key"));
    let connections: Value = serde_json::from_str(&ask("connections")).unwrap();
    assert_eq!(connections["listen"][0]["address"], "127.0.0.1:7443");
    assert!(
        machine
            .read("witness/strongroom-witness.toml")
            .contains(KEY)
    );
    let certificate = "witness/server.pem";
    machine.openssl(&[
        "verify",
        "-CAfile",
        "data/tls/ca.pem",
        "-purpose",
        "sslserver",
        certificate,
    ]);
    let names = machine.openssl(&[
        "x509",
        "-noout",
        "-ext",
        "subjectAltName",
        "-in",
        certificate,
    ]);
    let names = String::from_utf8(names).unwrap();
    assert!(names.contains("DNS:keys.example.com"), "{names}");
    assert_eq!(
        machine.certificate_key(certificate),
        machine.key_of("witness/server.key")
    );
}

#[test]
fn a_seed_that_is_not_good_is_refused_in_one_sentence_and_nothing_is_made() {
    let machine = Machine::new();
    machine.sign("other", SITE);
    let said = machine.check().unwrap_err();
    assert!(said.contains("not signed by the key"), "{said}");
    for (text, expected) in [
        (
            "[strongroomd.keystore]\nsession_lifetimes = 1\n",
            "unknown field `session_lifetimes`",
        ),
        ("[strongroomd]\nname = \"other\"\n", "name is decided by"),
        ("[strongroomd]\ndata = \"/\"\n", "data is decided by"),
        ("name = \"a b\"\n", "letters, digits, dots and hyphens"),
        ("[strongroomd.listen]\nadmin = \"9443\"\n", "9443"),
        (
            "[hsm]\nkind = \"yubihsm\"\nconnector = \"http://h\"\n",
            "lacks auth_key",
        ),
        (
            "[hsm]\nkind = \"yubihsm\"\nconnector = \"https://h\"\nauth_key = 2\n",
            "http://HOST:PORT",
        ),
    ] {
        machine.sign("ours", text);
        let said = machine.check().unwrap_err();
        assert!(said.contains(expected), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        // A seed that a machine has believed by mistake makes nothing either.
        let output = machine.init().output().unwrap();
        assert!(!output.status.success(), "{text}");
        assert_eq!(
            fs::read_dir(machine.home().join("tokens")).unwrap().count(),
            0,
            "{text}"
        );
        assert!(!machine.home().join("data/strongroom.toml").exists());
    }
    // Whether an image has a module says the machine.
    machine.sign("ours", "[hsm]\nkind = \"module\"\n");
    machine.check().unwrap();
    let output = machine.init().output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && said.contains("--hsm-module"),
        "{said}"
    );
}

#[test]
fn a_new_token_gets_the_pin_that_was_typed() {
    let machine = Machine::new();
    machine.sign("ours", "[hsm]\npin = \"typed\"\n");
    let mut started = Started(machine.init().spawn().unwrap());
    // A PIN that no token takes, and then one.
    let (asked, refused) = machine.bring("x");
    assert_eq!(asked, "new");
    assert!(refused.contains("PIN"), "{refused}");
    let (_, taken) = machine.bring("correct horse");
    assert_eq!(taken, "taken");
    assert!(started.0.wait().unwrap().success());
    assert_eq!(machine.read("data/hsm-pin").trim(), "correct horse");
    let verified = machine.strongroomd(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
}

#[test]
fn a_yubihsm_is_reached_by_its_connector_with_the_password_that_was_typed() {
    let device = Device::start();
    device.provision();
    let machine = Machine::new();
    machine.sign(
        "ours",
        &format!(
            "[hsm]\nkind = \"yubihsm\"\nconnector = \"{}\"\nauth_key = {}\n",
            device.url(),
            auth_key(2).id
        ),
    );
    machine.check().unwrap();
    let mut started = Started(machine.init().spawn().unwrap());
    let (asked, refused) = machine.bring("not-the-password");
    assert_eq!(asked, "existing");
    assert!(refused.contains("authentication key 2"), "{refused}");
    assert!(!machine.home().join("data/strongroom.toml").exists());
    let (_, taken) = machine.bring(PASSWORD);
    assert_eq!(taken, "taken");
    assert!(started.0.wait().unwrap().success());
    let config: toml::Table = toml::from_str(&machine.read("data/strongroom.toml")).unwrap();
    assert_eq!(config["hsm"]["connector"].as_str(), Some(&*device.url()));
    assert!(!config["hsm"].as_table().unwrap().contains_key("module"));
    let said = machine.strongroomd(&["connections", "--json"]);
    let connections: Value = serde_json::from_slice(&said.stdout).unwrap();
    assert_eq!(connections["outgoing"][0]["what"], "YubiHSM connector");
    let verified = machine.strongroomd(&["audit", "verify"]);
    assert!(verified.status.success(), "{verified:?}");
}
