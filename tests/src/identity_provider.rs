//! An OpenID provider of one's own, and a browser for it.
//!
//! The provider is Canaille (a package of the Python environment that `cargo xtask test` makes), as a site would run it: over HTTPS, with a
//! database. The browser follows redirects, keeps cookies and fills in the forms that a person would.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use url::Url;

/// The environment variable that names the Python of the environment with the provider.
pub(crate) const PYTHON: &str = "STRONGROOM_TEST_PYTHON";
/// How long the provider may take to start, before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);
/// The provider makes the same access token for one person twice in one second, and then fails to keep it.
const APART: Duration = Duration::from_millis(1500);
/// How many pages there are at most between an address and the way back.
const MOST_PAGES: usize = 12;

/// The appliance's secret at the provider.
const SECRET: &str = "nT1_7dE0q-zYxW0uVfGhKJ3k";

/// A provider that runs. Dropping it stops it and removes all that it left.
pub struct IdentityProvider {
    folder: TempDir,
    process: Option<Child>,
    port: u16,
    /// The port of this machine that browsers come back to.
    pub redirect_port: u16,
    /// When people last signed in.
    last: Mutex<HashMap<String, Instant>>,
}

impl IdentityProvider {
    /// A provider that knows people, by their names there and what they are called, and a group with some of them.
    #[must_use]
    pub fn start(people: &[(&str, &str)], group: &str, members: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("strongroom-provider-")
            .tempdir()
            .unwrap();
        let mut provider = Self {
            folder,
            process: None,
            port: free_port(),
            redirect_port: free_port(),
            last: Mutex::default(),
        };
        provider.configure();
        provider.command(&["install"], "");
        let users: Vec<Value> = people
            .iter()
            .map(|(name, called)| user(name, called))
            .collect();
        let members: Vec<_> = members.iter().map(|name| format!("user-{name}")).collect();
        let redirect = format!("http://127.0.0.1:{}/signed-in", provider.redirect_port);
        let all = json!({
            "user": users,
            "group": [{ "id": "group", "display_name": group, "members": members }],
            "client": [{
                "id": "client", "client_id": "strongroom", "client_secret": SECRET, "client_name": "Strongroom",
                "redirect_uris": [redirect], "grant_types": ["authorization_code"], "response_types": ["code"],
                "scope": ["openid", "profile", "email", "groups"],
                "token_endpoint_auth_method": "client_secret_basic", "audience": ["client"],
            }],
        });
        provider.command(&["restore"], &all.to_string());
        provider.run();
        provider
    }

    /// Its issuer identifier.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }

    /// The appliance's settings for it, under the name `corp`, with these besides.
    #[must_use]
    pub fn settings(&self, more: &str) -> String {
        format!(
            "[[oidc]]\nname = \"corp\"\nissuer = {:?}\nclient_id = \"strongroom\"\nclient_secret_file = \"{}\"\nca = \"{}\"\n\
             scopes = [\"profile\", \"email\", \"groups\"]\n{more}",
            self.issuer(),
            self.path("secret").display(),
            self.path("certificate.pem").display(),
        )
    }

    /// Says who is in a group.
    pub fn set_members(&self, group: &str, members: &[&str]) {
        let mut words = vec!["set", "group", group];
        for member in members {
            words.extend(["--members", member]);
        }
        self.command(&words, "");
    }

    /// Says what somebody is called: their `preferred_username`.
    pub fn rename(&self, name: &str, called: &str) {
        self.command(&["set", "user", name, "--display-name", called], "");
    }

    /// Stops it.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }

    /// Does what somebody does with a browser who is sent to this address: answers where it is sent back to.
    #[must_use]
    pub fn sign_in(&self, address: &str, name: &str) -> String {
        let last = self.last.lock().unwrap().get(name).copied();
        if let Some(since) = last {
            thread::sleep(APART.saturating_sub(since.elapsed()));
        }
        let mut browser = self.browser();
        let mut page = browser.get(address);
        for _ in 0..MOST_PAGES {
            page = match page {
                Page::Elsewhere(back) => {
                    let mut last = self.last.lock().unwrap();
                    last.insert(name.to_owned(), Instant::now());
                    return back;
                }
                Page::Here { url, text } => browser.submit(&url, &text, name),
            };
        }
        panic!("{name} is not sent back");
    }

    /// As [`Self::sign_in`], and goes where it is sent back to.
    pub fn sign_in_and_return(&self, address: &str, name: &str) {
        let back = self.sign_in(address, name);
        let url = Url::parse(&back).unwrap();
        assert_eq!(url.port(), Some(self.redirect_port), "{back}");
        let agent = Agent::config_builder().proxy(None).build().new_agent();
        let answer = agent.get(back).call().unwrap().body_mut().read_to_string();
        assert!(answer.unwrap().contains("go back to the terminal"));
    }

    fn configure(&self) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(self.path("certificate.pem"), made.cert.pem()).unwrap();
        fs::write(self.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::write(self.path("secret"), format!("{SECRET}\n")).unwrap();
        let settings = format!(
            "SECRET_KEY = {:?}\nSERVER_NAME = \"127.0.0.1:{}\"\nPREFERRED_URL_SCHEME = \"https\"\n\
             [CANAILLE]\nDATABASE = \"sql\"\n[CANAILLE_SQL]\nDATABASE_URI = \"sqlite:///{}\"\nPASSWORD_SCHEMES = \"plaintext\"\n",
            crate::new_password("cookies"),
            self.port,
            self.path("provider.sqlite").display(),
        );
        fs::write(self.path("canaille.toml"), settings).unwrap();
    }

    fn run(&mut self) {
        let (bind, log) = (
            format!("127.0.0.1:{}", self.port),
            fs::File::create(self.path("log")).unwrap(),
        );
        let mut command = self.canaille();
        command
            // In this one process, which is the one to be stopped.
            .args(["run", "--workers", "0", "--bind", &bind])
            .arg("--certfile")
            .arg(self.path("certificate.pem"))
            .arg("--keyfile")
            .arg(self.path("key.pem"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log);
        self.process = Some(command.spawn().unwrap());
        let (started, agent) = (Instant::now(), self.agent());
        let discovery = format!("{}/.well-known/openid-configuration", self.issuer());
        while agent.get(&discovery).call().is_err() {
            assert!(
                started.elapsed() < PATIENCE,
                "the provider does not start: {}",
                fs::read_to_string(self.path("log")).unwrap()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn command(&self, words: &[&str], input: &str) {
        let mut child = self
            .canaille()
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(input.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "canaille {}: {said}",
            words.join(" ")
        );
    }

    fn canaille(&self) -> Command {
        let python = env::var_os(PYTHON).map(PathBuf::from);
        let program = python
            .as_deref()
            .and_then(Path::parent)
            .map(|folder| folder.join("canaille"))
            .filter(|program| program.is_file());
        let program = program.unwrap_or_else(|| {
            panic!(
                "the OpenID provider that this test signs in at is not installed: run `cargo xtask test`, or set {PYTHON} to the Python of \
                 an environment with canaille[front,oidc,server,sqlite]"
            )
        });
        let mut command = Command::new(program);
        command
            .env("CONFIG", self.path("canaille.toml"))
            .current_dir(self.folder.path());
        command
    }

    fn browser(&self) -> Browser {
        Browser {
            agent: self.agent(),
            home: Url::parse(&self.issuer()).unwrap(),
            cookies: HashMap::new(),
        }
    }

    fn agent(&self) -> Agent {
        let ca = CertificateDer::from_pem_file(self.path("certificate.pem")).unwrap();
        let roots = vec![Certificate::from_der(&ca).to_owned()];
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(default_provider()))
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .build();
        Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for IdentityProvider {
    fn drop(&mut self) {
        self.stop();
        if thread::panicking() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(60)..].join("\n");
            // For whoever looks into why the test failed; there is nobody else to tell.
            let text = format!("the provider's last words:\n{tail}\n");
            std::io::stderr().write_all(text.as_bytes()).ok();
        }
    }
}

/// Somebody's password at the provider.
fn password(name: &str) -> String {
    format!("the password of {name}")
}

fn user(name: &str, called: &str) -> Value {
    json!({
        "id": format!("user-{name}"), "user_name": name, "password": password(name), "family_name": name,
        "formatted_name": name, "display_name": called, "emails": [format!("{name}@example.com")],
    })
}

/// A port that nobody listens at, for now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// What a browser sees.
enum Page {
    Here {
        url: Url,
        text: String,
    },
    /// It was sent away from the provider.
    Elsewhere(String),
}

struct Browser {
    agent: Agent,
    home: Url,
    cookies: HashMap<String, String>,
}

impl Browser {
    fn get(&mut self, address: &str) -> Page {
        let mut url = Url::parse(address).unwrap();
        for _ in 0..MOST_PAGES {
            if url.origin() != self.home.origin() {
                return Page::Elsewhere(url.into());
            }
            let request = self.agent.get(url.as_str()).header("cookie", self.cookie());
            let mut response = request.call().unwrap();
            if let Some(next) = self.next(&url, &response) {
                url = next;
                continue;
            }
            let text = response.body_mut().read_to_string().unwrap();
            assert_eq!(response.status(), 200, "{url}: {text}");
            return Page::Here { url, text };
        }
        panic!("the provider sends the browser round in circles");
    }

    /// Fills in the page's form and sends it.
    fn submit(&mut self, url: &Url, text: &str, name: &str) -> Page {
        let form = text
            .split("<form")
            .skip(1)
            .map(|rest| rest.split("</form>").next().unwrap_or_default())
            .find(|form| {
                ["login", "password", "answer"]
                    .iter()
                    .any(|field| form.contains(&format!("name=\"{field}\"")))
            })
            .unwrap_or_else(|| panic!("there is no form to fill in at {url}: {text}"));
        let head = form.split('>').next().unwrap();
        let target = attribute(head, "action").filter(|action| !action.is_empty());
        let target = target.map_or(url.clone(), |action| url.join(&action).unwrap());
        let mut fields: HashMap<String, String> = form
            .split("<input")
            .skip(1)
            .map(|rest| rest.split('>').next().unwrap_or_default())
            .filter_map(|input| {
                let value = attribute(input, "value").unwrap_or_default();
                Some((attribute(input, "name")?, value))
            })
            .collect();
        for (field, value) in [
            ("login", name.to_owned()),
            ("password", password(name)),
            ("answer", "accept".to_owned()),
        ] {
            if form.contains(&format!("name=\"{field}\"")) {
                fields.insert(field.to_owned(), value);
            }
        }
        let request = self
            .agent
            .post(target.as_str())
            .header("cookie", self.cookie())
            .header("referer", url.as_str());
        let mut response = request.send_form(fields).unwrap();
        let next = self.next(&target, &response);
        let next = next.unwrap_or_else(|| {
            let text = response.body_mut().read_to_string().unwrap();
            panic!("{target} answers the form by {}: {text}", response.status())
        });
        self.get(next.as_str())
    }

    /// Keeps the cookies of a response; answers where it sends the browser.
    fn next(&mut self, url: &Url, response: &ureq::http::Response<ureq::Body>) -> Option<Url> {
        for cookie in response.headers().get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let location = response.headers().get("location")?.to_str().unwrap();
        Some(url.join(location).unwrap())
    }

    fn cookie(&self) -> String {
        let pairs = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

/// An attribute of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let value = tag.split_once(&format!("{name}=\""))?.1.split('"').next()?;
    Some(value.replace("&amp;", "&").replace("&#34;", "\""))
}
