//! What benchmarks measure beside ours in the same run: a bare HTTPS endpoint, the disk, `openssl speed`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use actix_web::http::KeepAlive;
use actix_web::{App, HttpResponse, HttpServer, rt, web};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The bare endpoint, in a process of its own as the appliance is.
#[derive(Debug)]
pub struct BareEndpoint {
    process: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl BareEndpoint {
    /// Starts this program again with `--bare-endpoint` and the folder of an appliance's certificate and key; it then has to call
    /// [`serve_bare`].
    #[must_use]
    pub fn start(certificates: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .arg("--bare-endpoint")
            .arg(certificates)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = process.stdout.take().expect("it is piped");
        io::BufRead::read_line(&mut io::BufReader::new(output), &mut line).unwrap();
        let address = line.trim().parse().expect("it says where it listens");
        Self { process, address }
    }
}

impl Drop for BareEndpoint {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Serves the bare endpoint until killed: the server's settings of `strongroomd`, and a handler that does nothing.
///
/// # Errors
///
/// Those of the network.
pub fn serve_bare(certificates: &Path) -> io::Result<()> {
    let tls = server_config(certificates);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    writeln!(io::stdout(), "{}", listener.local_addr()?)?;
    rt::System::new().block_on(async {
        HttpServer::new(|| App::new().route("/", web::get().to(HttpResponse::NoContent)))
            .keep_alive(KeepAlive::Timeout(Duration::from_secs(75)))
            .listen_rustls_0_23(listener, tls)?
            .run()
            .await
    })
}

/// The median time in milliseconds that the folder's disk takes to make 4 KiB durable.
#[must_use]
pub fn sync_p50(folder: &Path) -> f64 {
    let path = folder.join("sync-probe");
    let mut file = File::create(&path).unwrap();
    let mut times: Vec<f64> = (0..100)
        .map(|_| {
            file.write_all(&[0x5a; 4096]).unwrap();
            let started = Instant::now();
            file.sync_data().unwrap();
            started.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    fs::remove_file(&path).unwrap();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// What `openssl speed -evp aes-256-gcm` reports for blocks of so many bytes, in bytes a second; it takes a second.
#[must_use]
pub fn openssl_speed(bytes: usize) -> f64 {
    let bytes = bytes.to_string();
    let output = Command::new("openssl")
        .args([
            "speed",
            "-mr",
            "-evp",
            "aes-256-gcm",
            "-seconds",
            "1",
            "-bytes",
            &bytes,
        ])
        .output()
        .expect("openssl is installed");
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find(|line| line.starts_with("+F:"));
    let rate = line.and_then(|line| line.rsplit(':').next());
    rate.and_then(|rate| rate.parse().ok())
        .expect("openssl speed reports a rate")
}

fn server_config(certificates: &Path) -> ServerConfig {
    let provider = CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        kx_groups: vec![
            kx_group::X25519MLKEM768,
            kx_group::X25519,
            kx_group::SECP384R1,
            kx_group::SECP256R1,
        ],
        ..default_provider()
    };
    let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(certificates.join("server.pem"))
        .expect("the appliance has a certificate")
        .collect();
    let key = PrivateKeyDer::from_pem_file(certificates.join("server.key"));
    ServerConfig::builder_with_provider(std::sync::Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .with_no_client_auth()
        .with_single_cert(chain.unwrap(), key.expect("the appliance has a key"))
        .expect("the key belongs to the certificate")
}
