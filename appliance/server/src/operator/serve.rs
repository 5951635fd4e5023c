//! `strongroomd serve`: serves clients and administrators until SIGINT or SIGTERM. SIGHUP has it look at its certificates.
//!
//! The listeners are up at once. Whether requests reach the keystore, the gate says: it waits for the HSM, or for operators.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Server;
use actix_web::http::KeepAlive;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, rt, web};
use anyhow::Context as _;
use clap::Args;
use metrics_exporter_prometheus::PrometheusHandle;
use rustls::ServerConfig;
use strongroom_console::FormKey;
use strongroom_keystore::store::sqlite::SqliteStore;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use utoipa_actix_web::AppExt as _;

use crate::attestation::Attestor;
use crate::auth::limits::SignInLimits;
use crate::auth::oidc::Oidc;
use crate::auth::pace::pages_evenly;
use crate::auth::signed;
use crate::background::Housekeeping;
use crate::config::Config;
use crate::control::Control;
use crate::folder::{Addresses, DataFolder};
use crate::gate::{Gate, guard};
use crate::journal::Journal;
use crate::mail::Mailer;
use crate::observe::observe;
use crate::routes::attestation::Attesting;
use crate::routes::health::NewestStorage;
use crate::routes::updates::Image;
use crate::routes::{BodyLimits, Listener, RouteTable, extractor_settings, unrouted};
use crate::tls::clients::{ClientCertificates, PresentedChain};
use crate::tls::{Credentials, Renewal, ServedCertificate};
use crate::updates::{Trial, Updates};
use crate::{console, logging, metrics};

/// How long requests that are being answered may take once a stop was asked for, in seconds.
const STOP_TIMEOUT: u64 = 20;
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections that wait to be accepted.
const BACKLOG: i32 = 4096;

/// What `serve` takes.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Listen for clients here and not where the configuration says; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    client_listen: Option<SocketAddr>,
    /// Listen for administrators here and not where the configuration says; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    admin_listen: Option<SocketAddr>,
    /// The folder of updates of the image that the appliance runs from.
    #[arg(long, value_name = "FOLDER", requires = "release")]
    updates: Option<PathBuf>,
    /// The folder in that image which says what release it is, and has the certificate that vouches for updates.
    #[arg(long, value_name = "FOLDER", requires = "updates")]
    release: Option<PathBuf>,
    /// The socket at which that image has the machine's TPM attest.
    #[arg(long, value_name = "SOCKET", requires = "updates")]
    attest: Option<PathBuf>,
    /// Listen here for journald, and forward the machine's log to each [[siem]] that has `journal = true`.
    #[arg(long, value_name = "SOCKET")]
    journal: Option<PathBuf>,
    /// The file in which that image says what the certificate is to be for: host names and addresses, one a line.
    #[arg(long, value_name = "FILE")]
    names: Option<PathBuf>,
}

impl Arguments {
    /// Forwards the machine's log.
    fn journal(&self, config: &Config) -> anyhow::Result<Option<Journal>> {
        let wanted = config.siem.iter().any(|receiver| receiver.journal);
        if wanted && self.journal.is_none() {
            tracing::warn!("the machine's log is forwarded only with --journal SOCKET");
        }
        let socket = self.journal.as_deref();
        socket
            .map(|socket| Journal::start(socket, config))
            .transpose()
    }

    /// The updates of the image, and whether this release is on trial, once the databases are ready for it.
    fn updates(&self, config: &Config) -> anyhow::Result<(Image, bool)> {
        let (Some(folder), Some(release)) = (&self.updates, &self.release) else {
            return Ok((None, false));
        };
        let mut updates = Updates::open(folder, release)?;
        let on_trial = updates.prepare(config)?;
        Ok((Some(Arc::new(updates)), on_trial))
    }

    /// What has the TPM attest that this image runs.
    fn attestor(&self, served: &Arc<ServedCertificate>, image: &Image) -> Attesting {
        let (socket, image) = self.attest.as_ref().zip(image.as_ref())?;
        let attestor = Attestor::new(socket, image.version(), Arc::clone(served));
        Some(Arc::new(attestor))
    }

    /// The sockets of both listeners.
    fn listen(&self, config: &Config) -> anyhow::Result<[TcpListener; 2]> {
        Ok([
            listen(self.client_listen.unwrap_or(config.listen.client))?,
            listen(self.admin_listen.unwrap_or(config.listen.admin))?,
        ])
    }
}

/// What the handlers of both listeners share.
#[derive(Clone)]
struct Shared {
    gate: web::Data<Gate>,
    limits: web::Data<SignInLimits>,
    oidc: web::Data<Oidc>,
    body_limits: web::Data<BodyLimits>,
    storage: web::Data<NewestStorage>,
    metrics: web::Data<PrometheusHandle>,
    image: web::Data<Image>,
    attesting: web::Data<Attesting>,
    console: web::Data<dyn strongroom_console::Host>,
    form_key: web::Data<FormKey>,
}

/// Serves until asked to stop, or until something is found with which the appliance must not go on.
pub(crate) fn run(config: &Path, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let config = Config::load(config)?;
    logging::start(config.log).context("the log cannot be started")?;
    let folder = DataFolder::lock(&config.data)?;
    // What an appliance that was killed left.
    folder.withdraw();
    let journal = arguments.journal(&config)?;
    let credentials = Credentials::load(&config.tls)?;
    let tls = [
        credentials.for_clients()?,
        credentials.for_administrators()?,
    ];
    let served = Arc::clone(&credentials.served);
    let renewal = Arc::new(Renewal::new(&config, served, arguments.names.clone()));
    let (image, on_trial) = arguments.updates(&config)?;
    let attestor = arguments.attestor(&credentials.served, &image);
    let trial = image.clone().filter(|_| on_trial).map(Trial::new);
    let (trial, passed) = trial.unzip();
    // Nobody is answered by a release that has not proved itself.
    let early = passed.is_none().then(|| arguments.listen(&config));
    let early = early.transpose()?;
    let database = config.database();
    let store = SqliteStore::open(&database)
        .with_context(|| format!("the database {} cannot be opened", database.display()))?;
    // Said now, and not each time that the gate opens.
    Mailer::new(&config).context("mail cannot be sent")?;
    let (gate, mut failed) = Gate::new(
        config.clone(),
        Arc::new(store),
        renewal,
        image.clone(),
        attestor.clone(),
        trial,
    )?;
    let storage: Arc<NewestStorage> = Arc::default();
    let shared = Shared {
        gate: web::Data::from(Arc::clone(&gate)),
        limits: web::Data::new(SignInLimits::new(&config.limits)),
        oidc: web::Data::new(oidc(&config)?),
        body_limits: web::Data::new(BodyLimits::from(&config.limits)),
        storage: web::Data::from(Arc::clone(&storage)),
        metrics: web::Data::new(metrics::start()?),
        console: web::Data::from(console::host(
            &config,
            Arc::clone(&gate),
            storage,
            image.clone(),
        )),
        image: web::Data::new(image),
        attesting: web::Data::new(attestor),
        form_key: web::Data::new(FormKey::generate().context("there are no random numbers")?),
    };
    let housekeeping = Housekeeping::start(
        web::Data::clone(&shared.limits).into_inner(),
        web::Data::clone(&shared.metrics).into_inner(),
        Arc::clone(&gate),
        credentials.clone(),
    )
    .context("a background thread cannot be started")?;
    let control = Control::start(&config.data, Arc::clone(&gate))?;

    let served = rt::System::new().block_on(async {
        // Before anybody is told that it listens, so that whoever asks it to stop at once is heard.
        let mut stops = [
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ];
        rt::spawn(look_when_told(
            signal(SignalKind::hangup())?,
            credentials.clone(),
        ));
        if let Some(passed) = passed {
            gate.start()?;
            if !passes(passed, &mut stops, &mut failed).await? {
                return Ok(());
            }
        }
        let is_early = early.is_some();
        let [client, admin] = early.map_or_else(|| arguments.listen(&config), Ok)?;
        let addresses = Addresses {
            client: client.local_addr()?,
            admin: admin.local_addr()?,
        };
        let [client_tls, admin_tls] = tls;
        let clients = credentials.clients;
        let servers = [
            server(Listener::Client, client, client_tls, clients, &shared)?,
            server(Listener::Administration, admin, admin_tls, None, &shared)?,
        ];
        if is_early {
            gate.start()?;
        }
        folder.publish(addresses)?;
        tracing::info!(client = %addresses.client, administration = %addresses.admin, "listening");
        serve_until_stopped(servers, stops, failed).await
    });

    folder.withdraw();
    control.stop();
    housekeeping.stop();
    gate.close();
    if let Some(journal) = journal {
        journal.stop();
    }
    served.map(|()| ExitCode::SUCCESS)
}

/// The OpenID providers. Browsers come back from them to the pages of the origins at which passkeys work.
fn oidc(config: &Config) -> anyhow::Result<Oidc> {
    let origins = config.keystore_options().passkeys.origins;
    let pages = origins.iter().map(|origin| console::provider_page(origin));
    Ok(Oidc::new(&config.oidc)?.with_pages(pages))
}

/// Takes certificates that have changed each time that SIGHUP comes.
async fn look_when_told(mut told: Signal, credentials: Credentials) {
    while told.recv().await.is_some() {
        let credentials = credentials.clone();
        // What goes wrong is said in the log, a panic by its hook.
        let _ = web::block(move || credentials.look()).await;
    }
}

fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("the appliance cannot listen on {address}"))?;
    // The standard library's backlog is too short for a site whose clients all come back at once.
    rustix::net::listen(&listener, BACKLOG)
        .with_context(|| format!("the appliance cannot listen on {address}"))?;
    Ok(listener)
}

fn server(
    listener: Listener,
    socket: TcpListener,
    tls: ServerConfig,
    clients: Option<Arc<ClientCertificates>>,
    shared: &Shared,
) -> anyhow::Result<Server> {
    let shared = shared.clone();
    let table = web::Data::new(RouteTable::new(listener));
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(listener))
            .app_data(web::Data::new(listener.side()))
            .app_data(web::Data::clone(&shared.console))
            .app_data(web::Data::clone(&shared.form_key))
            .app_data(web::Data::clone(&table))
            .app_data(web::Data::clone(&shared.gate))
            .app_data(web::Data::clone(&shared.limits))
            .app_data(web::Data::clone(&shared.oidc))
            .app_data(web::Data::clone(&shared.body_limits))
            .app_data(web::Data::clone(&shared.storage))
            .app_data(web::Data::clone(&shared.metrics))
            .app_data(web::Data::clone(&shared.image))
            .app_data(web::Data::clone(&shared.attesting))
            .configure(extractor_settings)
            .into_utoipa_app()
            .configure(|services| listener.routes(services))
            .into_app()
            .configure(|services| strongroom_console::routes(listener.side(), services))
            .default_service(web::to(unrouted))
            .wrap(from_fn(signed::admit))
            .wrap(from_fn(pages_evenly))
            .wrap(from_fn(guard))
            .wrap(from_fn(observe))
    })
    .on_connect(move |connection, data| {
        let connection = connection.downcast_ref::<TlsStream<TcpStream>>();
        if let (Some(clients), Some(connection)) = (&clients, connection) {
            let (_, tls) = connection.get_ref();
            PresentedChain::new(tls.peer_certificates(), clients).map(|chain| data.insert(chain));
        }
    })
    .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
    .shutdown_timeout(STOP_TIMEOUT)
    .disable_signals();
    let server = match listener {
        Listener::Client => server,
        // It has few clients, and must answer them when the other listener's threads are all busy.
        Listener::Administration => server.workers(1),
    };
    let server = server
        .listen_rustls_0_23(socket, tls)
        .context("the appliance cannot listen")?;
    Ok(server.run())
}

/// Waits until the release on trial is blessed. False where it was asked to stop before.
async fn passes(
    passed: oneshot::Receiver<()>,
    stops: &mut [Signal; 2],
    failed: &mut oneshot::Receiver<anyhow::Error>,
) -> anyhow::Result<bool> {
    tracing::info!("this release is on trial: it answers nobody before it is blessed");
    let [interrupt, terminate] = stops;
    tokio::select! {
        Ok(()) = passed => Ok(true),
        Ok(error) = failed => Err(error.context("the release does not pass its trial")),
        _ = interrupt.recv() => Ok(false),
        _ = terminate.recv() => Ok(false),
    }
}

/// Waits for a signal to stop, or for a failure, lets the requests that are being answered finish, and returns.
async fn serve_until_stopped(
    servers: [Server; 2],
    stops: [Signal; 2],
    mut failed: oneshot::Receiver<anyhow::Error>,
) -> anyhow::Result<()> {
    let [mut interrupt, mut terminate] = stops;
    let handles = servers.each_ref().map(Server::handle);
    let [mut client, mut administration] = servers.map(rt::spawn);
    let mut failure = None;
    tokio::select! {
        _ = interrupt.recv() => tracing::info!("stopping (SIGINT)"),
        _ = terminate.recv() => tracing::info!("stopping (SIGTERM)"),
        Ok(error) = &mut failed => failure = Some(error),
        ended = &mut client => return Ok(ended.context("the client listener failed")??),
        ended = &mut administration => return Ok(ended.context("the administration listener failed")??),
    }
    let [first, second] = handles;
    tokio::join!(first.stop(true), second.stop(true));
    client.await??;
    administration.await??;
    failure.map_or(Ok(()), Err)
}
