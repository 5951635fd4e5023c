//! Who is outside of a machine: servers on this one, which it reaches at [`HOST`].

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{machine::HOST, play};
use crate::process;

/// The file of a server's certificate, which vouches for itself.
pub(super) const CERTIFICATE: &str = "outside.pem";
const KEY: &str = "outside.key";

/// A server in a folder of its own, with a certificate for [`HOST`].
pub(super) struct Outside {
    folder: PathBuf,
    port: u16,
    server: Option<Child>,
}

impl Outside {
    fn new(folder: PathBuf) -> Result<Self> {
        play::fresh(&folder)?;
        let (address, _) = HOST.split_once(':').context("a host has a port")?;
        process::answer(
            Command::new("openssl")
                .args([
                    "req",
                    "-x509",
                    "-noenc",
                    "-days",
                    "2",
                    "-subj",
                    "/CN=outside",
                ])
                .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-addext", &format!("subjectAltName=IP:{address}")])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .args(["-keyout", KEY, "-out", CERTIFICATE])
                .current_dir(&folder),
        )?;
        Ok(Self {
            folder,
            port: free_port()?,
            server: None,
        })
    }

    /// The port of this machine at which it listens.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Its certificate.
    pub(super) fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }

    /// Runs it, and waits until it listens.
    fn run(&mut self, command: &mut Command) -> Result<()> {
        let server = command.stdin(Stdio::null()).spawn();
        self.server = Some(server.with_context(|| process::cannot_start(command))?);
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("{} does not listen", command.get_program().display())
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Asked to end, so that those whom it started end as well.
            let asked = Command::new("kill").arg(server.id().to_string()).status();
            if !asked.is_ok_and(|status| status.success()) {
                let _ = server.kill();
            }
            let _ = server.wait();
        }
    }
}

/// A port of this machine at which nobody listens.
pub(super) fn free_port() -> Result<u16> {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .context("there is no free port")?;
    Ok(address.port())
}

/// A server that keeps what it is sent, and gives it to whoever asks: nginx.
pub(super) struct Store(Outside);

impl Store {
    pub(super) fn start(folder: PathBuf) -> Result<Self> {
        let mut store = Self(Outside::new(folder)?);
        let outside = &mut store.0;
        let folder = outside.folder.clone();
        let kept = folder.join("root/backups");
        fs::create_dir_all(&kept).with_context(|| format!("{} cannot be made", kept.display()))?;
        let config = folder.join("nginx.conf");
        super::write(&config, nginx(&folder, outside.port))?;
        let mut command = Command::new("/usr/sbin/nginx");
        command
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(folder.join("log"));
        outside.run(&mut command)?;
        Ok(store)
    }

    pub(super) fn outside(&self) -> &Outside {
        &self.0
    }

    /// Waits until it has a backup of this name.
    pub(super) fn wait_for(&self, backup: &str) -> Result<()> {
        const LIMIT: Duration = Duration::from_mins(5);
        let since = Instant::now();
        while !self.0.folder.join("root/backups").join(backup).exists() {
            if since.elapsed() > LIMIT {
                bail!("the store was not sent {backup}");
            }
            thread::sleep(Duration::from_millis(500));
        }
        Ok(())
    }
}

/// A server that takes logs by syslog over TLS: rsyslog.
pub(super) struct Receiver(Outside);

impl Receiver {
    pub(super) fn start(folder: PathBuf) -> Result<Self> {
        let mut receiver = Self(Outside::new(folder)?);
        let outside = &mut receiver.0;
        let folder = outside.folder.clone();
        let config = folder.join("rsyslog.conf");
        super::write(&config, rsyslog(&folder, outside.port))?;
        let mut command = Command::new("/usr/sbin/rsyslogd");
        command.args(["-n", "-f"]).arg(&config);
        command.arg("-i").arg(folder.join("pid"));
        // Of who only looks whether it listens, it complains.
        command.stderr(Stdio::null());
        outside.run(&mut command)?;
        Ok(receiver)
    }

    pub(super) fn outside(&self) -> &Outside {
        &self.0
    }

    /// What it has received.
    pub(super) fn messages(&self) -> Result<Vec<String>> {
        let text = super::read(&self.0.folder.join("messages"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }
}

fn nginx(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    // The matrix runs as root.
    format!(
        "user root;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/log info;\nevents {{ }}\nhttp {{\n  access_log off;\n  \
         client_body_temp_path {folder}/t1;\n  proxy_temp_path {folder}/t2;\n  fastcgi_temp_path {folder}/t3;\n  uwsgi_temp_path {folder}/t4;\n  \
         scgi_temp_path {folder}/t5;\n  server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_protocols TLSv1.3;\n    \
         ssl_certificate {folder}/{CERTIFICATE};\n    ssl_certificate_key {folder}/{KEY};\n    root {folder}/root;\n    client_max_body_size 0;\n    \
         location /backups/ {{ dav_methods PUT; }}\n  }}\n}}\n"
    )
}

fn rsyslog(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    format!(
        "global(workDirectory=\"{folder}\" maxMessageSize=\"64k\" DefaultNetstreamDriver=\"ossl\" \
         DefaultNetstreamDriverCAFile=\"{folder}/{CERTIFICATE}\" DefaultNetstreamDriverCertFile=\"{folder}/{CERTIFICATE}\" \
         DefaultNetstreamDriverKeyFile=\"{folder}/{KEY}\")\n\
         module(load=\"imtcp\" StreamDriver.Name=\"ossl\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
         template(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
         input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\" ruleset=\"keep\")\n\
         ruleset(name=\"keep\") {{ action(type=\"omfile\" file=\"{folder}/messages\" template=\"raw\") }}\n"
    )
}
