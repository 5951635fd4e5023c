//! A real browser: Debian's Chromium, driven by its own chromedriver over W3C `WebDriver`, which is JSON over HTTP.
//!
//! Every browser has a profile of its own in a temporary folder and believes the certificates that it is told to. It asks nobody but the appliance: its
//! resolver knows the appliance's name alone.

mod element;
mod pin;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

pub use element::Element;
use pin::spki_pin;

/// The key under which `WebDriver` names elements (W3C `WebDriver` section 12).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
/// How long a page or an element may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// The rules of WCAG 2.2 AA, held against a page (Deque's axe-core, MPL-2.0; for tests alone).
const AXE: &str = include_str!("../assets/axe.min.js");

/// How a browser is.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Whether pages' scripts run.
    pub javascript: bool,
    /// The window, in CSS pixels.
    pub window: (u32, u32),
    /// Whether the system asks for dark colours.
    pub dark: bool,
    /// The port that answers for port 443 of the name, for pages whose address names none.
    pub https: Option<u16>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            javascript: true,
            window: (1280, 900),
            dark: false,
            https: None,
        }
    }
}

/// A browser.
pub struct Browser {
    driver: Child,
    url: String,
    agent: ureq::Agent,
    profile: TempDir,
}

impl Browser {
    /// A browser that finds `name` at the loopback address and believes the certificate in this PEM file.
    #[must_use]
    pub fn start(name: &str, certificate: &Path, settings: Settings) -> Self {
        Self::start_with(name, &[certificate], settings)
    }

    /// As [`Self::start`], and it believes all of these.
    #[must_use]
    pub fn start_with(name: &str, certificates: &[&Path], settings: Settings) -> Self {
        let profile = tempfile::Builder::new()
            .prefix("strongroom-browser-")
            .tempdir()
            .expect("there is a temporary folder");
        let port_file = profile.path().join("driver.log");
        let log = fs::File::create(&port_file).expect("the driver has a log");
        let driver = Command::new("chromedriver")
            .args(["--port=0", "--allowed-ips=127.0.0.1"])
            .env("HOME", profile.path())
            .env("XDG_CONFIG_HOME", profile.path())
            .env("XDG_CACHE_HOME", profile.path())
            .env("TMPDIR", profile.path())
            // Its own group, with the browser's many processes.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver is not installed: install the package chromium-driver");
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_mins(2)))
            .build()
            .new_agent();
        let mut browser = Self {
            driver,
            url: String::new(),
            agent,
            profile,
        };
        let port = browser.port(&port_file);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let pins: Vec<String> = certificates.iter().map(|path| spki_pin(path)).collect();
        let spki = pins.join(",");
        let https = settings
            .https
            .map(|port| format!("MAP {name}:443 127.0.0.1:{port}, "))
            .unwrap_or_default();
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-quic".to_owned(),
            "--no-first-run".to_owned(),
            "--disable-background-networking".to_owned(),
            "--disable-component-update".to_owned(),
            "--disable-sync".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--force-device-scale-factor=1".to_owned(),
            "--lang=en-GB".to_owned(),
            format!(
                "--user-data-dir={}",
                browser.profile.path().join("profile").display()
            ),
            format!(
                "--host-resolver-rules={https}MAP {name} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
            ),
            format!("--ignore-certificate-errors-spki-list={spki}"),
            format!("--window-size={},{}", settings.window.0, settings.window.1),
        ];
        if settings.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".to_owned());
        }
        let mut preferences = json!({
            "download.default_directory": browser.profile.path().join("downloads"),
            "credentials_enable_service": false,
        });
        if !settings.javascript {
            preferences["profile.managed_default_content_settings.javascript"] = json!(2);
        }
        let capabilities = json!({
            "capabilities": { "alwaysMatch": {
                "browserName": "chrome",
                "goog:chromeOptions": { "args": arguments, "prefs": preferences },
                "webauthn:virtualAuthenticators": true,
            } }
        });
        browser.url = format!("http://{address}");
        let session = browser.call("POST", "/session", &capabilities);
        let id = session["sessionId"].as_str().expect("there is a session");
        browser.url = format!("http://{address}/session/{id}");
        browser
    }

    /// The port that the driver has taken.
    fn port(&mut self, log: &Path) -> u16 {
        let started = Instant::now();
        loop {
            let said = fs::read_to_string(log).unwrap_or_default();
            let port = said.split("started successfully on port ").nth(1);
            if let Some(port) = port.and_then(|port| port.split('.').next()?.trim().parse().ok()) {
                return port;
            }
            let ended = self.driver.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "chromedriver does not start: {said}"
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_call(method, path, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.url);
        let answer = match method {
            "GET" => self.agent.get(&url).call(),
            "DELETE" => self.agent.delete(&url).call(),
            _ => self
                .agent
                .post(&url)
                .header("content-type", "application/json")
                .send(body.to_string()),
        };
        let mut answer = answer.map_err(|error| error.to_string())?;
        let good = answer.status().is_success();
        let text = answer
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_string()
            .map_err(|error| error.to_string())?;
        let mut value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        let value = value["value"].take();
        if good {
            return Ok(value);
        }
        Err(format!(
            "{}: {}",
            value["error"].as_str().unwrap_or_default(),
            value["message"].as_str().unwrap_or_default()
        ))
    }

    /// Goes to an address and waits until the page is there.
    pub fn go(&self, url: &str) {
        self.call("POST", "/url", &json!({ "url": url }));
    }

    /// The address of the page that is shown.
    #[must_use]
    pub fn address(&self) -> String {
        self.call("GET", "/url", &Value::Null)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Loads the page again.
    pub fn reload(&self) {
        self.call("POST", "/refresh", &json!({}));
    }

    /// The page's source as it stands now.
    #[must_use]
    pub fn source(&self) -> String {
        self.call("GET", "/source", &Value::Null)
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// The text of the page that a reader sees.
    #[must_use]
    pub fn text(&self) -> String {
        self.find("body").text()
    }

    /// The page's first heading.
    #[must_use]
    pub fn heading(&self) -> String {
        self.find("h1").text()
    }

    /// The element that this CSS selector finds, once it is there.
    #[must_use]
    pub fn find(&self, selector: &str) -> Element<'_> {
        let started = Instant::now();
        loop {
            if let Some(found) = self.all(selector).into_iter().next() {
                return found;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "no {selector} at {}:\n{}",
                self.address(),
                self.text()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// All elements that a CSS selector finds now.
    #[must_use]
    pub fn all(&self, selector: &str) -> Vec<Element<'_>> {
        let found = self.call(
            "POST",
            "/elements",
            &json!({ "using": "css selector", "value": selector }),
        );
        let found = found.as_array().cloned().unwrap_or_default();
        found
            .iter()
            .map(|element| Element {
                browser: self,
                id: element[ELEMENT].as_str().expect("an element").to_owned(),
            })
            .collect()
    }

    /// Whether a CSS selector finds something.
    #[must_use]
    pub fn has(&self, selector: &str) -> bool {
        !self.all(selector).is_empty()
    }

    /// The link or button with this text. What is only for those who hear the page counts, too.
    #[must_use]
    pub fn named(&self, text: &str) -> Element<'_> {
        let started = Instant::now();
        let path =
            format!("//*[self::a or self::button or self::summary][normalize-space(.)={text:?}]");
        loop {
            let found = self.call(
                "POST",
                "/elements",
                &json!({ "using": "xpath", "value": path }),
            );
            if let Some(id) = found[0][ELEMENT].as_str() {
                return Element {
                    browser: self,
                    id: id.to_owned(),
                };
            }
            assert!(
                started.elapsed() < PATIENCE,
                "nothing is called {text:?} at {}:\n{}",
                self.address(),
                self.text()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Clicks on the link or button with this text and waits for the page that comes.
    pub fn press(&self, text: &str) {
        self.leave(|| self.named(text).click());
    }

    /// Does what leaves the page and waits until another one is there.
    pub fn leave(&self, act: impl FnOnce()) {
        self.leave_for_any(act);
        let _there = self.find("h1");
    }

    /// As [`Self::leave`], where the other page may be somebody else's.
    pub fn leave_for_any(&self, act: impl FnOnce()) {
        let page = self.find("html").id;
        act();
        let started = Instant::now();
        loop {
            let now = self.all("html").into_iter().next().map(|page| page.id);
            if now.is_some_and(|now| now != page) {
                break;
            }
            assert!(
                started.elapsed() < PATIENCE,
                "the page stays: {}\n{}",
                self.address(),
                self.text()
            );
            thread::sleep(Duration::from_millis(30));
        }
    }

    /// Types into the field with this name, in place of what it holds.
    pub fn fill(&self, name: &str, text: &str) {
        let field = self.find(&format!("main [name={name:?}]:not([type=hidden])"));
        field.clear();
        field.type_in(text);
    }

    /// Ticks the box, or chooses the option, with this name and value.
    pub fn choose(&self, name: &str, value: &str) {
        let option = format!(
            "select[name={name:?}] option[value={value:?}], input[name={name:?}][value={value:?}]"
        );
        self.find(&option).click();
    }

    /// Runs a script in the page, and gives what it returns.
    pub fn run(&self, script: &str, arguments: &[Value]) -> Value {
        self.call(
            "POST",
            "/execute/sync",
            &json!({ "script": script, "args": arguments }),
        )
    }

    /// Runs a script in the page that gives its value to its last argument, a function.
    pub fn run_until_done(&self, script: &str, arguments: &[Value]) -> Value {
        self.call(
            "POST",
            "/execute/async",
            &json!({ "script": script, "args": arguments }),
        )
    }

    /// A picture of the page that is shown, as PNG.
    #[must_use]
    pub fn picture(&self) -> Vec<u8> {
        let picture = self.call("GET", "/screenshot", &Value::Null);
        STANDARD
            .decode(picture.as_str().expect("a picture"))
            .expect("it is base64")
    }

    /// Makes the window so wide and so high.
    pub fn resize(&self, width: u32, height: u32) {
        self.call(
            "POST",
            "/window/rect",
            &json!({ "width": width, "height": height }),
        );
    }

    /// How high the whole page is, in CSS pixels.
    #[must_use]
    pub fn page_height(&self) -> u64 {
        self.run("return document.documentElement.scrollHeight", &[])
            .as_u64()
            .unwrap_or(0)
    }

    /// Plugs an authenticator in that verifies its user and keeps passkeys (Web Authentication Level 3 section 11), and names it.
    #[must_use]
    pub fn plug_authenticator(&self) -> String {
        let made = self.call(
            "POST",
            "/webauthn/authenticator",
            &json!({
                "protocol": "ctap2", "transport": "internal", "hasResidentKey": true,
                "hasUserVerification": true, "isUserVerified": true, "isUserConsenting": true,
            }),
        );
        made.as_str().expect("an authenticator").to_owned()
    }

    /// The cookies of the page that is shown.
    #[must_use]
    pub fn cookies(&self) -> Vec<Value> {
        self.call("GET", "/cookie", &Value::Null)
            .as_array()
            .cloned()
            .unwrap_or_default()
    }

    /// Forgets all cookies.
    pub fn forget_cookies(&self) {
        self.call("DELETE", "/cookie", &Value::Null);
    }

    /// What breaks WCAG 2.2 A or AA on the page that is shown, a line each; empty when nothing does.
    #[must_use]
    pub fn accessibility(&self) -> Vec<String> {
        let script = format!(
            "{AXE};\nconst done = arguments[arguments.length - 1];\n\
             axe.run(document, {{ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }})\
             .then((found) => done(found.violations.map((one) => one.id + ': ' + one.help + ': ' + one.nodes.map((node) => node.html).slice(0, 3).join(' | '))), (error) => done([String(error)]));"
        );
        let found = self.run_until_done(&script, &[]);
        let found = found.as_array().cloned().unwrap_or_default();
        found
            .iter()
            .map(|one| one.as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.try_call("DELETE", "", &Value::Null);
        if let Some(group) = Pid::from_raw(self.driver.id().cast_signed()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}
