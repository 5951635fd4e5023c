//! A site's store for backups: nginx with its `WebDAV` module, which keeps what it is sent by PUT and gives it back by GET, to clients whose certificates
//! an appliance's authority made.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

use crate::folders::read_text;
use crate::legacy::Running;

/// How long it may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// The store, running or not. Dropping it stops it and removes all that it has.
pub struct BackupStore {
    folder: TempDir,
    port: u16,
    process: Option<Running>,
}

impl BackupStore {
    /// One that is not running yet, with an authority of its own, for clients that this authority knows.
    pub fn new(clients: &Path) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-store-")
            .tempdir()
            .unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let store = Self {
            folder,
            port,
            process: None,
        };
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&key, &authority).unwrap();
        fs::write(store.ca(), authority.pem()).unwrap();
        fs::write(store.file("server.pem"), certificate.pem()).unwrap();
        fs::write(store.file("server.key"), key.serialize_pem()).unwrap();
        fs::create_dir_all(store.kept()).unwrap();
        // Workers run as the user that starts them, where that is not root.
        let user = if rustix::process::getuid().is_root() {
            "user root;\n"
        } else {
            ""
        };
        let config = format!(
            "{user}daemon off;\npid {folder}/pid;\nerror_log {folder}/log info;\nevents {{ }}\nhttp {{\n  access_log off;\n  client_body_temp_path {folder}/t1;\n  \
             proxy_temp_path {folder}/t2;\n  fastcgi_temp_path {folder}/t3;\n  uwsgi_temp_path {folder}/t4;\n  scgi_temp_path {folder}/t5;\n  server {{\n    \
             listen 127.0.0.1:{port} ssl;\n    ssl_protocols TLSv1.3;\n    ssl_certificate {folder}/server.pem;\n    ssl_certificate_key {folder}/server.key;\n    \
             ssl_client_certificate {clients};\n    ssl_verify_client on;\n    root {folder}/root;\n    client_max_body_size 0;\n    \
             location /backups/ {{ dav_methods PUT; }}\n  }}\n}}\n",
            folder = store.folder.path().display(),
            clients = clients.display(),
        );
        fs::write(store.file("nginx.conf"), config).unwrap();
        store
    }

    /// Runs it, and waits until it listens.
    ///
    /// # Panics
    ///
    /// When nginx is not installed.
    pub fn start(&mut self) {
        let child = Command::new("/usr/sbin/nginx")
            .arg("-c")
            .arg(self.file("nginx.conf"))
            .arg("-e")
            .arg(self.file("log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is not installed: run `cargo xtask test`, or install the package nginx-light");
        let mut running = Running(child);
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let ended = running.0.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "{}",
                read_text(&self.file("log"))
            );
            thread::sleep(Duration::from_millis(20));
        }
        self.process = Some(running);
    }

    /// Stops it.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// The URL of its folder.
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}/backups/", self.port)
    }

    /// The settings by which an appliance that makes backups in this folder sends them there, and shows its own certificate.
    pub fn settings(&self, folder: &Path) -> String {
        format!(
            "[backup]\nfolder = \"{}\"\n[backup.target]\nurl = \"{}\"\nca = \"{}\"\nown_certificate = true",
            folder.display(),
            self.url(),
            self.ca().display(),
        )
    }

    /// Its authority's certificate.
    pub fn ca(&self) -> PathBuf {
        self.file("ca.pem")
    }

    /// Where it keeps what it was sent.
    pub fn kept(&self) -> PathBuf {
        self.file("root/backups")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}
