//! What goes wrong between an application and the appliance, and costs the application nothing, or little.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::Duration;
use std::{env, fs};

use strongroom_tests::Appliance;
use strongroom_tests::legacy::{Machine, Running, SignsIn, module, service};
use strongroom_tests::wire_cutter::WireCutter;
use strongroom_wire::account::{AccountState, ChangedAccount, UpdateAccount};

use crate::pkcs11::{free_port, machine};

/// An application with a session, which does what it is told.
pub(crate) struct Application {
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    _running: Running,
}

impl Application {
    fn start(machine: &Machine) -> Self {
        Self::of(machine, "application.py", include_str!("application.py"))
    }

    /// A program of Python that answers each line by one, which begins with the seconds that it took.
    pub(crate) fn of(machine: &Machine, name: &str, program: &str) -> Self {
        let python = env::var("STRONGROOM_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        fs::write(machine.file(name), program).unwrap();
        let mut command = machine.command(python);
        command
            .arg(name)
            .env("MODULE", module())
            .env("PIN", machine.pin())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut running = machine.starts(&mut command);
        Self {
            input: running.0.stdin.take().unwrap(),
            output: BufReader::new(running.0.stdout.take().unwrap()),
            _running: running,
        }
    }

    /// Has it do something: what came of it, and how long it took.
    fn timed(&mut self, line: &str) -> (String, Duration) {
        writeln!(self.input, "{line}").unwrap();
        let mut answer = String::new();
        let _ = self.output.read_line(&mut answer).unwrap();
        let (took, answer) = answer.trim().split_once(' ').unwrap();
        let took = Duration::from_secs_f64(took.parse().unwrap());
        (answer.to_owned(), took)
    }

    pub(crate) fn does(&mut self, line: &str) -> String {
        self.timed(line).0
    }
}

/// An appliance behind a wire, and a machine that reaches it over that.
fn behind(wire: impl FnOnce(SocketAddr) -> WireCutter) -> (Appliance, WireCutter, Machine) {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let target = appliance.client_url();
    let wire = wire(target.trim_start_matches("https://").parse().unwrap());
    let service = service(&mut admin, "web");
    let machine = Machine::of(&[wire.url()], &appliance, service, SignsIn::ByPin);
    (appliance, wire, machine)
}

#[test]
fn a_restarted_appliance_costs_an_application_nothing() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let service = service(&mut admin, "web");
    let mut appliance = appliance;
    let machine = Machine::of(
        &[appliance.client_url()],
        &appliance,
        service,
        SignsIn::ByPin,
    );
    let mut application = Application::start(&machine);
    assert_eq!(application.does("login"), "signed in");
    assert_eq!(application.does("make one"), "made");
    assert_eq!(application.does("sign one"), "signed");
    for _ in 0..3 {
        let address = appliance.client_url();
        appliance.restart();
        assert_eq!(appliance.client_url(), address, "it listens where it did");
        assert_eq!(application.does("sign one"), "signed");
        assert_eq!(application.does("find one"), "2");
    }
    // While it is away, the application hears of it, and goes on when it is back.
    appliance.stop();
    let (answer, took) = application.timed("sign one");
    assert_eq!(answer, "CKR_DEVICE_ERROR");
    assert!(took < Duration::from_secs(30), "{took:?}");
    appliance.serve();
    assert_eq!(application.does("sign one"), "signed");
    assert!(
        machine.log().contains("cannot be reached"),
        "{}",
        machine.log()
    );
}

#[test]
fn what_was_made_is_made_once_though_the_answer_is_lost() {
    let (appliance, wire, machine) = behind(WireCutter::to);
    let mut application = Application::start(&machine);
    assert_eq!(application.does("login"), "signed in");
    for label in ["one", "two", "three"] {
        wire.lose_answers(1);
        assert_eq!(application.does(&format!("make {label}")), "made");
        assert_eq!(wire.left(), 0, "the answer was lost");
        assert_eq!(application.does(&format!("find {label}")), "2");
        assert_eq!(application.does(&format!("sign {label}")), "signed");
    }
    let keys: u32 = appliance
        .database()
        .query_row("SELECT count(*) FROM keys", [], |row| row.get(0))
        .unwrap();
    assert_eq!(keys, 3);
}

#[test]
fn a_connection_that_a_firewall_forgot_costs_one_reconnect() {
    let (_appliance, wire, machine) = behind(WireCutter::to);
    let mut application = Application::start(&machine);
    assert_eq!(application.does("login"), "signed in");
    assert_eq!(application.does("make one"), "made");
    assert_eq!(application.does("sign one"), "signed");
    let before = wire.connections();
    wire.forget();
    thread::sleep(Duration::from_secs(4));
    let (answer, took) = application.timed("sign one");
    assert_eq!(answer, "signed");
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(wire.connections(), before + 1);
    // One that was forgotten a moment after it was used takes what is sent and answers nothing: no hang either.
    let before = wire.connections();
    wire.forget();
    let (answer, took) = application.timed("find one");
    assert_eq!(answer, "2");
    assert!(took < Duration::from_secs(13), "{took:?}");
    assert_eq!(wire.connections(), before + 1);
}

#[test]
fn the_next_address_is_tried_within_a_bounded_time() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    // One where nobody listens, one where nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addresses = [
        format!("https://127.0.0.1:{}", free_port()),
        format!("https://{}", silent.local_addr().unwrap()),
        appliance.client_url(),
    ];
    let service = service(&mut admin, "web");
    let machine = Machine::of(&addresses, &appliance, service, SignsIn::ByPin);
    let mut application = Application::start(&machine);
    let (answer, took) = application.timed("login");
    assert_eq!(answer, "signed in");
    assert!(took < Duration::from_secs(15), "{took:?}");
    // The one that answered is asked from now on.
    assert_eq!(application.does("make one"), "made");
    let (answer, took) = application.timed("sign one");
    assert_eq!(answer, "signed");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// Says how many seconds the appliance has to answer.
fn answers_within(machine: &Machine, seconds: u32) {
    let file = machine.file("pkcs11.toml");
    let text = fs::read_to_string(&file).unwrap();
    let said = text.replace("roots =", &format!("answers-within = {seconds}\nroots ="));
    assert_ne!(said, text);
    fs::write(file, said).unwrap();
}

/// What an appliance costs that has two seconds to answer, does not, and is asked elsewhere.
const ONE_SILENCE: Duration = Duration::from_secs(5);

#[test]
fn a_request_that_nobody_answers_is_made_again_over_another_connection() {
    let (_appliance, wire, machine) = behind(WireCutter::to);
    answers_within(&machine, 2);
    let mut application = Application::start(&machine);
    assert_eq!(application.does("login"), "signed in");
    assert_eq!(application.does("make one"), "made");
    for (line, answer) in [("sign one", "signed"), ("make two", "made")] {
        let before = wire.connections();
        wire.forget();
        let (said, took) = application.timed(line);
        assert_eq!(said, answer, "{}", machine.log());
        assert!(took < ONE_SILENCE, "{line}: {took:?}");
        assert_eq!(wire.connections(), before + 1);
    }
    assert_eq!(application.does("find two"), "2", "it was made once");
    // What might be done twice is not repeated, and ends all the same.
    wire.forget();
    let (said, took) = application.timed("destroy two");
    assert_eq!(said, "CKR_DEVICE_ERROR");
    assert!(took < ONE_SILENCE, "{took:?}");
}

#[test]
fn an_appliance_that_falls_silent_costs_its_time_once_where_there_is_another_address() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let target = appliance.client_url();
    let wire = WireCutter::to(target.trim_start_matches("https://").parse().unwrap());
    let service = service(&mut admin, "web");
    let machine = Machine::of(&[wire.url(), target], &appliance, service, SignsIn::ByPin);
    answers_within(&machine, 2);
    let mut application = Application::start(&machine);
    assert_eq!(application.does("login"), "signed in");
    assert_eq!(application.does("make one"), "made");
    assert!(wire.connections() > 0);
    wire.fall_silent();
    let (answer, took) = application.timed("sign one");
    assert_eq!(answer, "signed", "{}", machine.log());
    assert!(
        took > Duration::from_secs(1) && took < ONE_SILENCE,
        "{took:?}"
    );
    // The one that answered is asked from now on.
    let (answer, took) = application.timed("sign one");
    assert_eq!(answer, "signed");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[test]
fn what_another_client_changes_is_seen_within_a_second() {
    let (_appliance, machine) = machine(SignsIn::ByPin);
    let mut applications = [Application::start(&machine), Application::start(&machine)];
    for application in &mut applications {
        assert_eq!(application.does("login"), "signed in");
    }
    let [one, other] = &mut applications;
    assert_eq!(other.does("find one"), "0");
    assert_eq!(one.does("make one"), "made");
    let a_second = Duration::from_secs(1);
    thread::sleep(a_second);
    assert_eq!(other.does("find one"), "2");
    assert_eq!(one.does("rename one two"), "renamed");
    thread::sleep(a_second);
    assert_eq!(other.does("find one"), "1");
    assert_eq!(other.does("find two"), "1");
    assert_eq!(one.does("destroy one"), "destroyed");
    thread::sleep(a_second);
    assert_eq!(other.does("find two"), "0");
    assert_eq!(one.does("sign one"), "CKR_KEY_HANDLE_INVALID");
}

#[test]
fn the_log_says_why_the_appliance_refused() {
    let appliance = Appliance::start();
    let mut admin = appliance.administrator();
    let service = service(&mut admin, "web");
    let account = service.account;
    let machine = Machine::of(
        &[appliance.client_url()],
        &appliance,
        service,
        SignsIn::ByPin,
    );
    let mut application = Application::start(&machine);
    assert_eq!(application.does("login"), "signed in");
    assert_eq!(application.does("make one"), "made");
    let key: Vec<u8> = appliance
        .database()
        .query_row("SELECT id FROM keys", [], |row| row.get(0))
        .unwrap();
    assert_eq!(key.len(), 16);
    let change = UpdateAccount {
        state: Some(AccountState::Suspended),
        ..UpdateAccount::default()
    };
    let _: ChangedAccount = admin
        .ask("PATCH", &format!("/v1/accounts/{account}"), &change)
        .unwrap();
    let refused = application.does("sign one");
    assert_eq!(refused, "CKR_USER_NOT_LOGGED_IN");
    let log = machine.log();
    let line = log
        .lines()
        .find(|line| line.contains("C_Sign: CKR_USER_NOT_LOGGED_IN"))
        .unwrap();
    assert!(
        line.contains("the appliance says sign-in-refused (401)"),
        "{line}"
    );
    assert!(!log.contains(&machine.pin()));
}
