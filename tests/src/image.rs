//! The image that an appliance runs from, as far as the appliance sees it: its description, the certificate for its updates, and the folders in which
//! it orders things from those who run as root, and hears of them.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use strongroom_update::{Flavour, Manifest, Parts, Sha256Hash, make, measure};
use tempfile::TempDir;

use crate::appliance::Appliance;

/// The version of the release that runs.
pub const RUNNING: &str = "0.1.0";

/// An image, and the machine's own folder for its updates.
pub struct Image {
    folder: TempDir,
    signer: RsaKeyPair,
}

/// An update to be made.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The release's version.
    pub version: &'a str,
    /// Its security version.
    pub security_version: u32,
    /// For which machines it is.
    pub flavour: Flavour,
    /// How many bytes its root has.
    pub root: usize,
}

impl Default for Wanted<'_> {
    fn default() -> Self {
        Self {
            version: "0.2.0",
            security_version: 3,
            flavour: Flavour::Vm,
            root: 100_000,
        }
    }
}

impl Image {
    /// An image of version [`RUNNING`] with security version 3, which is on no trial; the appliance runs from it from its next start on.
    pub fn of(appliance: &mut Appliance) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-image-")
            .tempdir()
            .unwrap();
        let image = Self {
            folder,
            signer: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
        };
        for name in ["release", "updates/inbox", "updates/outbox"] {
            fs::create_dir_all(image.folder.path().join(name)).unwrap();
        }
        let release = image.folder.path().join("release");
        let description =
            json!({ "version": RUNNING, "security_version": 3, "flavour": "vm" }).to_string();
        fs::write(release.join("release.json"), description).unwrap();
        fs::write(release.join("updates.pem"), image.public_key()).unwrap();
        image.say(&json!({}));
        appliance.set_arguments(&image.arguments());
        image
    }

    /// The appliance has its machine attested from its next start on, by whoever listens at the path that is answered.
    pub fn attests(&self, appliance: &mut Appliance) -> PathBuf {
        let socket = self.folder.path().join("attest.sock");
        let attest = ["--attest".into(), socket.clone().into()];
        appliance.set_arguments(&[&self.arguments()[..], &attest].concat());
        socket
    }

    fn arguments(&self) -> [OsString; 4] {
        let folder = self.folder.path();
        [
            "--updates".into(),
            folder.join("updates").into(),
            "--release".into(),
            folder.join("release").into(),
        ]
    }

    /// Starts this appliance, which has served before, in a process of its own, as a release on trial is: it does not listen at first.
    pub fn try_out(&self, appliance: &Appliance) -> Tried {
        let api = appliance.api();
        let mut serve = appliance.strongroomd();
        serve
            .arg("serve")
            .args(self.arguments())
            .args(["--client-listen", &api.client.to_string()])
            .args(["--admin-listen", &api.admin.to_string()])
            .stdout(Stdio::null())
            .stderr(File::create(self.folder.path().join("log")).unwrap());
        Tried(serve.spawn().unwrap())
    }

    /// What it said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// Says how it stands, as those do who run as root: these members, and for the others what is usual.
    pub fn say(&self, members: &Value) {
        let mut state = json!({
            "running": { "version": RUNNING, "security_version": 3, "slot": "a" },
            "trial": false,
            "least_security_version": 0,
            "installed": null,
            "refused": null,
            "last": null,
        });
        for (name, value) in members.as_object().unwrap() {
            state[name] = value.clone();
        }
        self.put("state.json", &state);
    }

    /// Says which recovery key of the data partition custodians have, as those do who run as root.
    pub fn say_of_recovery(&self, said: &Value) {
        self.put("recovery.json", said);
    }

    fn put(&self, name: &str, said: &Value) {
        let file = self.folder.path().join("updates/outbox").join(name);
        let new = file.with_extension("new");
        fs::write(&new, said.to_string()).unwrap();
        fs::rename(new, file).unwrap();
    }

    /// A file of the inbox.
    pub fn inbox(&self, name: &str) -> PathBuf {
        self.folder.path().join("updates/inbox").join(name)
    }

    /// What an order or a word of the appliance says, and takes it away; none where there is none.
    pub fn take(&self, name: &str) -> Option<Value> {
        let path = self.inbox(name);
        let text = fs::read(&path).ok()?;
        fs::remove_file(path).unwrap();
        Some(serde_json::from_slice(&text).unwrap())
    }

    /// An update that this image's key has signed.
    pub fn update(&self, wanted: Wanted<'_>) -> Vec<u8> {
        let root: Vec<u8> = (0..wanted.root)
            .map(|n| u8::try_from(n % 251).unwrap())
            .collect();
        let contents: [&[u8]; 3] = [b"a kernel", &root, b"a tree of hashes"];
        let [kernel, root, verity] = contents.map(|part| measure(part).unwrap());
        let parts = Parts {
            kernel,
            root,
            verity,
        };
        let mut update = Vec::new();
        let [mut kernel, mut root, mut verity] = contents;
        make(
            &mut update,
            &manifest(wanted, parts),
            [&mut kernel, &mut root, &mut verity],
            |bytes| Ok(self.sign(bytes)),
        )
        .unwrap();
        update
    }

    /// The head of an update, signed, that promises a root of so many bytes.
    pub fn promise(&self, root: u64) -> Vec<u8> {
        let mut parts = Parts {
            kernel: measure(&b"a kernel"[..]).unwrap(),
            root: measure(&b"a root"[..]).unwrap(),
            verity: measure(&b"a tree"[..]).unwrap(),
        };
        parts.root.size = root;
        let mut head = Vec::new();
        let [mut kernel, mut nothing, mut verity] = [&b"a kernel"[..], &[], &[]];
        let cut_off = make(
            &mut head,
            &manifest(Wanted::default(), parts),
            [&mut kernel, &mut nothing, &mut verity],
            |bytes| Ok(self.sign(bytes)),
        );
        assert!(cut_off.is_err(), "the root is not there");
        head
    }

    fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let mut signature = vec![0; self.signer.public_modulus_len()];
        let random = SystemRandom::new();
        self.signer
            .sign(&RSA_PKCS1_SHA256, &random, bytes, &mut signature)
            .unwrap();
        signature
    }

    fn public_key(&self) -> String {
        let key: PublicKeyX509Der<'_> = self.signer.public_key().as_der().unwrap();
        let text = STANDARD.encode(key.as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
    }
}

/// An appliance in a process of its own. Dropping it kills it.
pub struct Tried(Child);

impl Tried {
    /// Whether any of its sockets takes connections over TCP.
    pub fn listens(&self) -> bool {
        let process = PathBuf::from(format!("/proc/{}", self.0.id()));
        let sockets: Vec<_> = fs::read_dir(process.join("fd"))
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .map(|to| to.to_string_lossy().into_owned())
            .collect();
        ["net/tcp", "net/tcp6"].iter().any(|table| {
            let table = fs::read_to_string(process.join(table)).unwrap_or_default();
            table.lines().any(|line| {
                // proc_net_tcp(5): the state is the fourth column, 0A where it listens, and the inode is the tenth.
                let columns: Vec<_> = line.split_whitespace().collect();
                columns.get(3) == Some(&"0A")
                    && columns
                        .get(9)
                        .is_some_and(|inode| sockets.contains(&format!("socket:[{inode}]")))
            })
        })
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> ExitStatus {
        self.0.wait().unwrap()
    }

    /// Asks it to stop (SIGTERM) and waits until it has, well.
    pub fn stop(self) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        let status = self.wait();
        assert!(status.success(), "{status}");
    }
}

impl Drop for Tried {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Where a copy of a database stands that was made before it was migrated from a schema.
pub fn before_schema(database: &Path, schema: u32) -> PathBuf {
    database.with_added_extension(format!("before-schema-{schema}"))
}

fn manifest(wanted: Wanted<'_>, parts: Parts) -> Manifest {
    Manifest::new(
        wanted.version.parse().unwrap(),
        wanted.security_version,
        wanted.flavour,
        Sha256Hash([9; 32]),
        parts,
    )
    .unwrap()
}
