//! The appliance's end of the control socket.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Uid, getuid};
use strongroom_hsm::HsmError;
use strongroom_hsm::supervised::{MemberStatus, State as HsmState};
use strongroom_wire::encoding::Timestamp;
use strongroom_wire::health::State;
use zeroize::Zeroizing;

use super::{
    Answer, CertificateRequest, DomainAnswer, DomainRequest, FirstAdministrator, HsmReport,
    LONGEST_REQUEST, PinText, Report, Request, SOCKET, reachable,
};
use crate::config::Member;
use crate::domains::Domains;
use crate::gate::{Gate, Sealed};

/// How long a whole request may take to arrive.
const REQUEST_PATIENCE: Duration = Duration::from_secs(5);
/// How many requests are answered at once.
const AT_ONCE: usize = 8;

/// The control socket, served by threads of its own.
pub(crate) struct Control {
    path: PathBuf,
    stopped: Arc<AtomicBool>,
}

impl Control {
    /// Makes the socket in the data folder, whose lock the caller holds, and begins to answer.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn start(data: &Path, gate: Arc<Gate>) -> anyhow::Result<Self> {
        let path = data.join(SOCKET);
        let listener = bind(data, &path)
            .with_context(|| format!("the control socket {} cannot be made", path.display()))?;
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || accept(&listener, &gate, &stop))
            .context("a thread cannot be started")?;
        Ok(Self { path, stopped })
    }

    /// Answers nobody any more and removes the socket.
    pub(crate) fn stop(self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread.
        if let Some(data) = self.path.parent() {
            drop(super::connect(data));
        }
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, "the control socket could not be removed");
        }
    }
}

fn bind(data: &Path, path: &Path) -> io::Result<UnixListener> {
    match fs::remove_file(path) {
        // What an appliance that was killed left.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let (reachable, _folder) = reachable(data)?;
    let listener = UnixListener::bind(reachable)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn accept(listener: &UnixListener, gate: &Arc<Gate>, stopped: &AtomicBool) {
    let answering = Arc::new(AtomicUsize::new(0));
    while let Ok((stream, _)) = listener.accept() {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        if answering.fetch_add(1, Ordering::AcqRel) >= AT_ONCE {
            answering.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (gate, counted) = (Arc::clone(gate), Arc::clone(&answering));
        let spawned = thread::Builder::new()
            .name("control-answer".to_owned())
            .spawn(move || {
                if let Err(error) = serve(stream, &gate) {
                    tracing::debug!(%error, "a command could not be answered");
                }
                counted.fetch_sub(1, Ordering::AcqRel);
            });
        if spawned.is_err() {
            answering.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn serve(mut stream: UnixStream, gate: &Arc<Gate>) -> io::Result<()> {
    let peer = socket_peercred(stream.as_fd())?.uid;
    let answer = if is_trusted(peer, getuid()) {
        match read(&mut stream)? {
            Some(request) => carry_out(request, gate, peer),
            None => Answer::Refused("the request cannot be read".to_owned()),
        }
    } else {
        Answer::Refused("only the service's own user and root may ask that".to_owned())
    };
    stream.set_write_timeout(Some(REQUEST_PATIENCE))?;
    stream.write_all(&serde_json::to_vec(&answer)?)
}

/// Whether a process of this user may command one of ours.
fn is_trusted(peer: Uid, own: Uid) -> bool {
    peer == own || peer.is_root()
}

/// Reads the whole request; none where it is too long or cannot be understood.
fn read(stream: &mut UnixStream) -> io::Result<Option<Request>> {
    // Fixed space, so that a PIN in it is never copied while it grows.
    let mut space = Zeroizing::new([0; LONGEST_REQUEST]);
    let mut length = 0;
    let deadline = Instant::now() + REQUEST_PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut space[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if length == space.len() {
            return Ok(None);
        }
    }
    Ok(serde_json::from_slice(&space[..length]).ok())
}

fn carry_out(request: Request, gate: &Arc<Gate>, peer: Uid) -> Answer {
    let by = format!("an operator (uid {})", peer.as_raw());
    match request {
        Request::Status => done(gate, None),
        Request::Domain { what } => domains(what, gate, &by),
        Request::RecordReset => {
            tracing::warn!(by, "the machine is reset");
            match gate.record_reset() {
                Ok(ordered) => Answer::Reset(ordered),
                Err(sentence) => Answer::Refused(sentence),
            }
        }
        Request::Certificate { what } => certificate(what, gate, &by),
        Request::Scrub { domain } => {
            if gate.scrub_soon(domain.as_deref()) {
                done(gate, None)
            } else {
                Answer::Refused("the appliance does not serve".to_owned())
            }
        }
        Request::Backup { domain, note } => {
            tracing::info!(by, note, "a backup is made");
            let recorded = gate
                .domains()
                .map_err(|failure| failure.to_string())
                .and_then(|domains| {
                    domains
                        .record_backup(domain.as_deref(), note)
                        .map_err(|error| format!("{error:#}"))
                });
            match recorded {
                Ok(()) => done(gate, None),
                Err(sentence) => Answer::Refused(sentence),
            }
        }
        Request::Seal => {
            tracing::warn!(by, "sealing");
            done(gate, Some(gate.seal(&by)))
        }
        Request::Unseal { pins } => {
            tracing::info!(by, "unsealing");
            let pins: Result<Vec<_>, _> = pins
                .into_iter()
                .map(|given| Ok((given.hsm, given.pin.read()?)))
                .collect();
            let outcome = pins
                .map_err(|error: HsmError| error.to_string())
                .and_then(|pins| gate.unseal(pins));
            match outcome {
                Err(sentence) => Answer::Refused(sentence),
                Ok(view) => match (view.state, view.reason) {
                    (State::Sealed, Some(reason)) => {
                        Answer::Refused(format!("it stays sealed: {reason}"))
                    }
                    _ => done(gate, None),
                },
            }
        }
    }
}

fn certificate(what: CertificateRequest, gate: &Gate, by: &str) -> Answer {
    if let CertificateRequest::Renew { names } = what {
        tracing::info!(by, "the certificate is to be renewed");
        if let Err(sentence) = gate.renew_certificate(&names) {
            return Answer::Refused(sentence);
        }
    }
    Answer::Certificate(Box::new(gate.renewal().report()))
}

fn domains(what: DomainRequest, gate: &Gate, by: &str) -> Answer {
    let domains = match gate.domains() {
        Ok(domains) => domains,
        Err(failure) => return Answer::Refused(failure.to_string()),
    };
    let one = |report| DomainAnswer {
        domains: vec![report],
        administrator: None,
        all_keys: None,
    };
    let answer = match what {
        DomainRequest::Create(new) => domains.create(&new).map(|created| DomainAnswer {
            administrator: created.account.enrolment_code.map(|code| {
                let code = Zeroizing::new(code);
                FirstAdministrator {
                    account: created.account.account.name,
                    enrolment_code: PinText::new(&code),
                }
            }),
            ..one(created.report)
        }),
        DomainRequest::List => Ok(DomainAnswer {
            domains: domains.list(),
            administrator: None,
            all_keys: None,
        }),
        DomainRequest::Show(name) => domains.show(&name).map(one),
        DomainRequest::Suspend(name) => domains.suspend(&name, by).map(one),
        DomainRequest::Resume(name) => domains.resume(&name, by).map(one),
        DomainRequest::Move { name, to } => domains.move_to(&name, &to, by).map(one),
        DomainRequest::Remove(name) => domains.remove(&name, by).map(|all| DomainAnswer {
            domains: Vec::new(),
            administrator: None,
            all_keys: Some(all),
        }),
        DomainRequest::Quota { name, quotas } => domains.set_quotas(&name, quotas, by).map(one),
        DomainRequest::Hosts { name, hosts } => domains.set_hosts(&name, &hosts).map(one),
    };
    // What operators looked at need not stay open.
    domains.make_room();
    match answer {
        Ok(answer) => Answer::Domains(Box::new(answer)),
        Err(error) => Answer::Refused(format!("{error:#}")),
    }
}

fn done(gate: &Gate, sealed: Option<Sealed>) -> Answer {
    let view = gate.view();
    let hsms = gate.hsms();
    let hsms = hsms
        .iter()
        .map(|(member, status)| hsm_report(member, status.as_ref()));
    let domains = gate.domains().ok();
    let further: Vec<HsmReport> = domains
        .iter()
        .flat_map(|domains| further(domains))
        .collect();
    Answer::Done(Box::new(Report {
        state: view.state,
        since: view.since,
        reason: view.reason,
        hsms: hsms.chain(further).collect(),
        domains: domains.map(|domains| domains.tally()),
        watch: gate.watched(),
        certificate: gate.renewal().served().trouble(),
        cached_keks: gate
            .statistics()
            .map_or(0, |statistics| statistics.cached_keks),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        sealed,
    }))
}

/// The HSMs of the slots but the default one.
fn further(domains: &Domains) -> Vec<HsmReport> {
    let status = domains.slots().status().into_iter();
    let reports = status.map(|(slot, member, status)| HsmReport {
        slot: Some(slot.to_owned()),
        ..hsm_report(member, Some(&status))
    });
    reports.collect()
}

fn hsm_report(member: &Member, status: Option<&MemberStatus>) -> HsmReport {
    let mut report = HsmReport {
        slot: None,
        hsm: member.place,
        name: member.name(),
        pin: member.pin.to_string(),
        state: "closed".to_owned(),
        since: None,
        reason: None,
        serving: false,
        retried: false,
        calls: 0,
        abandoned_calls: 0,
        timed_out_calls: 0,
    };
    if let Some(status) = status {
        status.state.word().clone_into(&mut report.state);
        let since = status.since.duration_since(std::time::UNIX_EPOCH);
        let since = since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
        report.since = Some(Timestamp::from_millis(since));
        if let HsmState::Unusable { reason } = &status.state {
            report.reason = Some(reason.to_string());
        }
        report.serving = status.serving;
        report.retried = status.retried;
        report.calls = status.at_work as u64;
        report.abandoned_calls = status.abandoned as u64;
        report.timed_out_calls = status.timed_out;
    }
    report
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::net::Shutdown;

    use super::*;

    #[test]
    fn the_own_user_and_root_are_trusted() {
        let own = Uid::from_raw(1000);
        assert!(is_trusted(own, own));
        assert!(is_trusted(Uid::ROOT, own));
        assert!(!is_trusted(Uid::from_raw(1001), own));
        assert!(!is_trusted(own, Uid::ROOT));
    }

    #[test]
    fn requests_are_read_whole_and_bounded() {
        let ask = |bytes: &[u8]| {
            let (mut client, mut server) = UnixStream::pair().unwrap();
            client.write_all(bytes).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            read(&mut server).unwrap()
        };
        assert!(matches!(ask(br#"{"do":"status"}"#), Some(Request::Status)));
        assert!(matches!(ask(br#"{"do":"seal"}"#), Some(Request::Seal)));
        let unseal = ask(br#"{"do":"unseal","pins":[{"hsm":"replica","pin":"1234"}]}"#);
        let Some(Request::Unseal { pins }) = unseal else {
            unreachable!("it is one")
        };
        assert_eq!(pins[0].pin.0, "1234");
        for bad in [&b""[..], b"{", br#"{"do":"open"}"#] {
            assert!(ask(bad).is_none());
        }
        let mut long = br#"{"do":"status"}"#.to_vec();
        long.resize(LONGEST_REQUEST - 1, b' ');
        assert!(ask(&long).is_some());
        long.push(b' ');
        assert!(ask(&long).is_none());
    }

    #[test]
    fn the_socket_is_private_and_may_lie_deep() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("long".repeat(20)).join("er".repeat(40));
        fs::create_dir_all(&deep).unwrap();
        let path = deep.join(SOCKET);
        assert!(path.as_os_str().len() > 150);
        let first = bind(&deep, &path).unwrap();
        drop(first);
        // One that nobody listens at any more is replaced.
        let listener = bind(&deep, &path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let client = super::super::connect(&deep).unwrap();
        let (server, _) = listener.accept().unwrap();
        assert_eq!(socket_peercred(server.as_fd()).unwrap().uid, getuid());
        drop(client);
    }
}
