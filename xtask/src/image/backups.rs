//! The matrix's case of backups: sent to a store on this machine, and another machine that becomes the appliance of one.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use super::{
    keys,
    machine::{HOST, Machine, Network, Running},
    matrix::{Case, Matrix, order, turn_off},
    play, recovery,
    seeds::{Place, sign},
};
use crate::process;

/// The file of the store's certificate, in the seeds.
const CA: &str = "store.pem";

impl Matrix<'_> {
    /// The case of backups.
    pub(super) fn backups(&self) -> Vec<Case<'_>> {
        vec![(
            "a backup sent to a store, and another machine that becomes its appliance by two custodians",
            Box::new(|| self.brought_back()),
        )]
    }

    fn brought_back(&self) -> Result<String> {
        let store = Store::start(self.folder("store"))?;
        let network = Network::Reaching(self.listeners, store.port);
        let people = self.folder("restored-people");
        play::fresh(&people)?;

        let target = format!(
            "[strongroomd.backup]\nfolder = \"backups\"\n[strongroomd.backup.target]\nurl = \"https://{HOST}/backups/\"\nca = \"site/{CA}\"\n"
        );
        let machine = Machine::new(self.bench, self.disk, self.folder("backed-up"))?;
        let mut running = self.start_with_seed(&machine, network, &store, &target)?;
        let shown = play::until_it_serves(&mut running)?;
        play::story(self.strongroom, self.listeners, &shown, &people)?;
        running.mark()?;
        order(&mut running, "c", "ceremony")?;
        operator(&mut running)?;
        recovery::answer(&mut running, "How many custodians get a share?", "3")?;
        for number in 1..=3 {
            let name = format!("Custodian {number}");
            recovery::answer(
                &mut running,
                &format!("Name of custodian {number}: "),
                &name,
            )?;
        }
        recovery::answer(&mut running, "are to be able to recover?", "2")?;
        recovery::answer(&mut running, "Begin? (yes/no)", "yes")?;
        let mut papers = Vec::new();
        for custodian in 1..=3 {
            papers.push(recovery::write_down(&mut running, custodian)?);
        }
        let [first, second, third] = papers.as_slice() else {
            bail!("there are three custodians");
        };
        recovery::give_back(&mut running, third)?;
        recovery::give_back(&mut running, first)?;
        running.wait_for_words("A backup that these custodians open")?;
        running.mark()?;
        play::until_it_serves(&mut running)?;
        let backup = store.newest_of(2)?;
        turn_off(&mut running)?;
        drop(running);

        // A machine that has nothing of the one before.
        let machine = Machine::new(self.bench, self.disk, self.folder("brought-back"))?;
        let restore = format!(
            "{target}[restore]\nfrom = \"https://{HOST}/backups/{backup}\"\nca = \"site/{CA}\"\n"
        );
        let mut running = self.start_with_seed(&machine, network, &store, &restore)?;
        running.wait_for_words("waiting for those who bring the appliance back from a backup")?;
        if play::answers(self.listeners) {
            bail!("something answers on the client port before the appliance is brought back");
        }
        let since = running.time();
        running.mark()?;
        running.type_line("b")?;
        operator(&mut running)?;
        recovery::answer(&mut running, "Begin? (yes/no)", "yes")?;
        recovery::give_back(&mut running, second)?;
        recovery::give_back(&mut running, first)?;
        running.wait_for_words("The appliance is recovered")?;
        running.mark()?;
        let again = play::until_it_serves(&mut running)?;
        let took = running.time().saturating_sub(since);
        if again.authority == shown.authority || !again.code.is_empty() {
            bail!("the console shows the appliance from before, or an enrolment code");
        }
        let elsewhere = self.folder("restored-authority");
        play::fresh(&elsewhere)?;
        let ca = play::fetch_authority(self.listeners, &again, &elsewhere)?;
        let log = play::sign_in_elsewhere(self.strongroom, self.listeners, &people, &ca)?;
        if !log.contains("key.destroy") {
            bail!("the audit log has lost what was done in the story");
        }
        turn_off(&mut running)?;
        Ok(format!(
            "2 of 3 custodians typed their shares at a machine that had nothing; it serves {} later, with all accounts and the log",
            crate::terminal::duration(took)
        ))
    }

    fn start_with_seed(
        &self,
        machine: &Machine,
        network: Network,
        store: &Store,
        says: &str,
    ) -> Result<Running> {
        let certificate = super::read(&store.folder.join(CA))?;
        let text = format!(
            "# Strongroom seed, format 1\n{says}[files]\n\"{CA}\" = \"\"\"\n{certificate}\"\"\"\n"
        );
        let seed = machine.folder().join("strongroom.seed");
        sign(&self.bench.keys.join(keys::SEED.0), &text, &seed)?;
        machine.start_with(network, &Place::FwCfg.give(self.bench, &seed)?)
    }
}

/// Who holds the ceremony.
fn operator(running: &mut Running) -> Result<()> {
    recovery::answer(running, "How many operators hold the ceremony?", "1")?;
    recovery::answer(running, "Name of operator 1: ", "Olga")
}

/// A server that keeps what it is sent: nginx, with a certificate for where machines reach it.
struct Store {
    folder: PathBuf,
    port: u16,
    nginx: Child,
}

impl Store {
    fn start(folder: PathBuf) -> Result<Self> {
        play::fresh(&folder)?;
        let kept = folder.join("root/backups");
        fs::create_dir_all(&kept).with_context(|| format!("{} cannot be made", kept.display()))?;
        let (address, _) = HOST.split_once(':').context("a host has a port")?;
        process::answer(
            Command::new("openssl")
                .args(["req", "-x509", "-noenc", "-days", "2", "-subj", "/CN=store"])
                .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
                .args(["-addext", &format!("subjectAltName=IP:{address}")])
                .args(["-addext", "basicConstraints=critical,CA:FALSE"])
                .args(["-keyout", "store.key", "-out", CA])
                .current_dir(&folder),
        )?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .context("there is no free port")?
            .port();
        let config = folder.join("nginx.conf");
        super::write(&config, nginx_config(&folder, port))?;
        let mut command = Command::new("/usr/sbin/nginx");
        command
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(folder.join("log"))
            .stdin(Stdio::null());
        let nginx = command
            .spawn()
            .with_context(|| process::cannot_start(&command))?;
        let store = Self {
            folder,
            port,
            nginx,
        };
        for _ in 0..200 {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(store);
            }
            thread::sleep(Duration::from_millis(50));
        }
        bail!("nginx does not listen")
    }

    /// The newest backup, once there are so many.
    fn newest_of(&self, number: usize) -> Result<String> {
        const LIMIT: Duration = Duration::from_mins(5);
        let since = Instant::now();
        loop {
            let kept = self.folder.join("root/backups");
            let mut names: Vec<String> = fs::read_dir(&kept)
                .with_context(|| format!("{} cannot be read", kept.display()))?
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect();
            names.sort_unstable();
            if let Some(newest) = names.pop().filter(|_| names.len() + 1 >= number) {
                return Ok(newest);
            }
            if since.elapsed() > LIMIT {
                bail!("the store was not sent {number} backups");
            }
            thread::sleep(Duration::from_millis(500));
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Its workers end when they are asked to, and not when the one that started them is killed.
        let stopped = Command::new("/usr/sbin/nginx")
            .args(["-s", "stop", "-c"])
            .arg(self.folder.join("nginx.conf"))
            .stderr(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            let _ = self.nginx.kill();
        }
        let _ = self.nginx.wait();
    }
}

fn nginx_config(folder: &Path, port: u16) -> String {
    let folder = folder.display();
    // The matrix runs as root.
    format!(
        "user root;\ndaemon off;\npid {folder}/pid;\nerror_log {folder}/log info;\nevents {{ }}\nhttp {{\n  access_log off;\n  \
         client_body_temp_path {folder}/t1;\n  proxy_temp_path {folder}/t2;\n  fastcgi_temp_path {folder}/t3;\n  uwsgi_temp_path {folder}/t4;\n  \
         scgi_temp_path {folder}/t5;\n  server {{\n    listen 127.0.0.1:{port} ssl;\n    ssl_protocols TLSv1.3;\n    ssl_certificate {folder}/{CA};\n    \
         ssl_certificate_key {folder}/store.key;\n    root {folder}/root;\n    client_max_body_size 0;\n    location /backups/ {{ dav_methods PUT; }}\n  }}\n}}\n"
    )
}
