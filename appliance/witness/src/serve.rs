//! The HTTP interface: `POST /add-checkpoint`, and `GET /` for people.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::StatusCode;
use actix_web::rt::signal::unix::{SignalKind, signal};
use actix_web::{App, HttpResponse, HttpServer, get, post, rt, web};
use anyhow::Context as _;
use strongroom_witness::protocol::LONGEST_BODY;
use strongroom_witness::{Answer, Config, SecretKey, State, Witness};

use crate::tls::Served;

/// Threads that answer. Submissions are decided one after another; more threads keep slow senders from holding up others.
const WORKERS: usize = 2;
/// How long a request may take to arrive.
const REQUEST_PATIENCE: Duration = Duration::from_secs(10);

/// Serves until it is asked to stop.
pub(crate) fn serve(path: &Path) -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_target(false)
        .init();
    let config = Config::load(path)?;
    let logs = config.keys().map_err(anyhow::Error::msg)?;
    let key = SecretKey::read(&config.key)?;
    let state = State::open(&config.state)?;
    if logs.is_empty() {
        tracing::warn!("no log is configured: every submission will be refused");
    }
    let served = config.tls.as_ref().map(Served::load).transpose()?;
    let witness = web::Data::from(Arc::new(Witness::new(key, logs, state)));
    rt::System::new().block_on(async {
        let server = HttpServer::new(move || {
            App::new()
                .app_data(web::Data::clone(&witness))
                .app_data(web::PayloadConfig::new(LONGEST_BODY))
                .service(add_checkpoint)
                .service(show)
        })
        .workers(WORKERS)
        .client_request_timeout(REQUEST_PATIENCE)
        .shutdown_timeout(5);
        let cannot = || format!("the witness cannot listen on {}", config.listen);
        let server = match served {
            None => server.bind(config.listen),
            Some(served) => {
                let server = server.bind_rustls_0_23(config.listen, served.config()?);
                // Before anybody is told that it listens, so that SIGHUP does not end it.
                rt::spawn(served.keep_looking(signal(SignalKind::hangup())?));
                server
            }
        }
        .with_context(cannot)?;
        for address in server.addrs() {
            tracing::info!(%address, "listening");
        }
        server.run().await.context("the listener failed")
    })
}

#[post("/add-checkpoint")]
async fn add_checkpoint(body: web::Bytes, witness: web::Data<Witness>) -> HttpResponse {
    let decided = web::block(move || match std::str::from_utf8(&body) {
        Ok(body) => witness.add_checkpoint(body, now()),
        Err(_) => Answer::BadRequest,
    })
    .await;
    let answer = decided.unwrap_or(Answer::NotKept);
    let status = StatusCode::from_u16(answer.status());
    HttpResponse::build(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
        .content_type(answer.media_type())
        .body(answer.body())
}

#[get("/")]
async fn show(witness: web::Data<Witness>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(witness.describe())
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
