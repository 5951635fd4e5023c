//! A service account's token is set up with `strongroom pkcs11 configure`, p11-kit and applications see it, and `strongroom pkcs11 doctor` names
//! each fault.

mod machine;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use serde_json::Value;
use strongroom_session::AccountSecret;
use strongroom_tests::device::administrator;
use strongroom_tests::{Appliance, Person};

use machine::{
    LIBRARY, Machine, account_of, all_said, assert_all_well, assert_says, checks, said, text,
};

/// A service, and what `accounts secret` printed of it.
fn service(admin: &Person, name: &str) -> String {
    let _ = admin
        .run(&["accounts", "create", name, "--kind", "service"])
        .success();
    admin
        .run(&["accounts", "secret", name, "--json"])
        .success()
        .stdout
}

/// An appliance, its administrator, and a machine with an application.
struct Site {
    appliance: Appliance,
    admin: Person,
    machine: Machine,
    /// What each token there is given.
    base: String,
}

impl Site {
    fn new() -> Self {
        let appliance = Appliance::start();
        Self {
            admin: administrator(&appliance),
            machine: Machine::new(&appliance),
            base: format!("--address {} --roots ca.pem", appliance.client_url()),
            appliance,
        }
    }

    /// With a token named payroll that is set up in one line.
    fn with_token() -> Self {
        let site = Self::new();
        let line = format!("{} --credentials -", site.base);
        let _ = site
            .machine
            .configure(&line, &service(&site.admin, "payroll"));
        site
    }
}

#[test]
fn a_service_is_set_up_in_one_line_and_applications_see_it() {
    let site = Site::new();
    let machine = &site.machine;
    let credentials = service(&site.admin, "payroll");
    let printed: Value = serde_json::from_str(&credentials).unwrap();
    let ran = machine.configure(&format!("{} --credentials -", site.base), &credentials);
    assert_says(
        &ran.stdout,
        &[
            "The token payroll is in ",
            ".config/strongroom/pkcs11.toml.",
            "applications need no PIN",
            "strongroom pkcs11 doctor\n",
            "pkcs11-tool --module ",
            "p11-kit list-modules",
        ],
    );

    // The secret stands in a file of its own and nowhere else.
    let secret = printed["secret"].as_str().unwrap();
    let config = fs::read_to_string(machine.config()).unwrap();
    assert!(!config.contains(secret) && !ran.stdout.contains(secret));
    let kept = machine.path(".config/strongroom/payroll.secret");
    assert_eq!(fs::read_to_string(&kept).unwrap().trim(), secret);
    for file in [&kept, &machine.config()] {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", file.display());
    }

    // p11-kit and an application see it, and it works.
    let seen = machine.run("p11-kit", &["list-modules"], "");
    assert_says(&seen.stdout, &["strongroom: ", LIBRARY, "token: payroll"]);
    let module = text(&machine.module());
    let make = "--keypairgen --key-type EC:prime256v1 --label wages --module";
    let words: Vec<&str> = make.split(' ').chain([module.as_str()]).collect();
    let made = machine.run("pkcs11-tool", &words, "");
    assert!(made.succeeded, "{}{}", made.stdout, made.stderr);
    let checks = machine.doctor("");
    assert_all_well(&checks);
    assert_says(
        &all_said(&checks),
        &[
            "this user's: 1 token",
            "roots: ",
            "secret: ",
            "post-quantum key exchange",
            "payroll by the account's secret: a service, active",
            "1 private keys",
            "loads; every token is shown",
            "for p11-kit list-modules; every token is shown",
        ],
    );
    let plain = machine.strongroom("pkcs11 doctor", "");
    assert!(plain.succeeded);
    assert_eq!(plain.stdout.lines().count(), checks.len());
    for line in plain.stdout.lines() {
        assert!(line.starts_with("ok  "), "{line}");
    }
}

#[test]
fn nothing_is_written_that_would_not_work_or_belongs_to_somebody_else() {
    let site = Site::with_token();
    let (machine, base) = (&site.machine, &site.base);
    let ledger = service(&site.admin, "ledger");
    let id = account_of(&ledger);

    let line = format!("{base} {id} --label payroll");
    machine.refuses(&line, "", &["has a token named payroll", "--replace"]);
    let kept = machine.write(".config/strongroom/ledger.secret", "somebody's");
    let line = format!("{base} --credentials -");
    machine.refuses(&line, &ledger, &["ledger.secret is there already"]);
    fs::remove_file(&kept).unwrap();
    machine.refuses(
        &format!("ledger {base}"),
        "",
        &["nobody is signed in here", "identifier"],
    );
    let line = format!("{id} --label l --address http://a --roots ca.pem");
    machine.refuses(&line, "", &["an appliance's address is one such as"]);
    let line = format!("{id} --label l --address https://a --roots bin/strongroom");
    machine.refuses(&line, "", &["no certificate in PEM"]);
    let line = format!("{base} {id} --label l --module none.so");
    machine.refuses(&line, "", &["there is no module at"]);
    machine.refuses(&format!("{id} --label l"), "", &["give --address"]);
    let line = format!("{base} {id} --credentials -");
    let third = service(&site.admin, "third");
    machine.refuses(&line, &third, &["the credentials are another account's"]);
    let registered = machine.path(".config/pkcs11/modules/strongroom.module");
    fs::write(&registered, "module: /somebody/elses.so\n").unwrap();
    let line = format!("{base} --credentials -");
    machine.refuses(&line, &ledger, &["was not written by this program"]);
    assert!(!Path::new(&kept).exists(), "not even the secret is");
}

#[test]
fn a_token_is_put_beside_others_and_what_people_wrote_there_stays() {
    let site = Site::with_token();
    let (machine, base) = (&site.machine, &site.base);
    let ledger = service(&site.admin, "ledger");
    let before = fs::read_to_string(machine.config()).unwrap();
    let before = format!("# the payroll's own\n{before}");
    fs::write(machine.config(), &before).unwrap();
    let line = format!("{base} --credentials - --hide edwards --log etc/log --log-level info");
    let answer = machine.configured(&line, &ledger);
    assert_eq!(answer["token"], "ledger");
    assert_eq!(answer["pin"], false);
    let after = fs::read_to_string(machine.config()).unwrap();
    assert!(after.starts_with(&before), "{after}");
    assert_says(
        &after,
        &["hide = [\"edwards\"]", "etc/log", "level = \"info\""],
    );
    let checks = machine.doctor("");
    assert_all_well(&checks);
    assert_says(&all_said(&checks), &["2 tokens; hides edwards keys"]);
    let only = machine.doctor("--token ledger");
    assert!(
        only.iter().all(|check| check["token"] != "payroll"),
        "{only:#?}"
    );

    // Written anew, with a PIN.
    let id = account_of(&ledger);
    let line = format!("{base} {id} --label ledger --replace --no-p11-kit --answers-within 5");
    assert_eq!(machine.configured(&line, "")["pin"], true);
    let after = fs::read_to_string(machine.config()).unwrap();
    assert_says(&after, &["answers-within = 5"]);
    let checks = machine.doctor("--token ledger");
    let check = checks.iter().find(|check| check["subject"] == "sign-in");
    let check = check.unwrap();
    assert_eq!(check["status"], "warning");
    assert_says(&said(check), &["the token needs a PIN", "--pin-file"]);
    let secret: Value = serde_json::from_str(&ledger).unwrap();
    let pin = machine.write("pin", secret["secret"].as_str().unwrap());
    let line = format!("--token ledger --pin-file {pin}");
    machine.is_well(&line);
    machine.write("pin", "1234");
    machine.has_fault(&line, &["the PIN is no secret of an account"]);
}

#[test]
fn the_doctor_names_what_is_wrong_with_the_configuration_and_its_files() {
    let site = Site::with_token();
    let machine = &site.machine;
    let good = fs::read_to_string(machine.config()).unwrap();
    let restore = || fs::write(machine.config(), &good).unwrap();
    let mode = |file: &Path, mode| {
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    };

    machine.edit("addresses", "adresses");
    machine.has_fault(
        "",
        &[
            "configuration: ",
            "pkcs11.toml cannot be used: line ",
            "unknown field `adresses`",
            "correct it",
        ],
    );
    fs::write(machine.config(), "").unwrap();
    machine.has_fault("", &["has no token", "strongroom pkcs11 configure"]);
    fs::remove_file(machine.config()).unwrap();
    machine.has_fault("", &["there is none at", "so there are no tokens"]);
    restore();
    mode(&machine.config(), 0o666);
    machine.has_fault("", &["can be changed by everybody", "chmod go-w"]);
    mode(&machine.config(), 0o600);

    let ca = text(&machine.path("ca.pem"));
    let other = Appliance::new();
    fs::copy(other.ca(), machine.path("other.pem")).unwrap();
    machine.edit(&ca, &text(&machine.path("other.pem")));
    machine.has_fault("", &["is not from an authority in", "other.pem"]);
    restore();
    machine.edit(&ca, "/nonexistent/ca.pem");
    machine.has_fault(
        "",
        &["roots: /nonexistent/ca.pem cannot be read", "may read it"],
    );
    restore();

    let secret = machine.path(".config/strongroom/payroll.secret");
    mode(&secret, 0o644);
    machine.has_fault("", &["everybody on this machine may read", "chmod o-rw"]);
    mode(&secret, 0o600);
    machine.is_well("");
    let kept = fs::read_to_string(&secret).unwrap();
    fs::write(&secret, "not a secret").unwrap();
    machine.has_fault("", &["holds no secret of an account"]);
    fs::write(&secret, &*AccountSecret::from_bytes([7; 32]).to_text()).unwrap();
    machine.has_fault(
        "",
        &[
            "sign-in: the appliance refuses it",
            "suspended or revoked",
            "not the account's newest",
        ],
    );
    fs::write(&secret, &kept).unwrap();
    machine.is_well("");
}

#[test]
fn the_doctor_names_what_is_wrong_with_the_account_and_the_addresses() {
    let site = Site::with_token();
    let (machine, admin) = (&site.machine, &site.admin);
    let good = fs::read_to_string(machine.config()).unwrap();
    let restore = || fs::write(machine.config(), &good).unwrap();

    // A service is active once it has signed in.
    machine.is_well("");
    let _ = admin.run(&["accounts", "suspend", "payroll"]).success();
    machine.has_fault("", &["suspended or revoked", "it does not say which"]);
    // An administrator who is signed in hears which it is.
    let config = text(&machine.config());
    let ran = admin.run(&["pkcs11", "doctor", "--json", "--config", &config]);
    let told = checks(&ran.stdout, ran.status.success(), &ran.stderr);
    assert_says(
        &all_said(&told),
        &["the account payroll is suspended; strongroom accounts activate payroll"],
    );
    let _ = admin.run(&["accounts", "activate", "payroll"]).success();
    machine.is_well("");

    let url = site.appliance.client_url();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("https://{}", nobody.local_addr().unwrap());
    drop(nobody);
    machine.edit(&format!("\"{url}\""), &format!("\"{url}\", \"{nowhere}\""));
    machine.has_fault("", &[&nowhere, "nothing listens there", "firewalls"]);
    restore();
    machine.edit(&url, &site.appliance.admin_url());
    machine.has_fault(
        "",
        &[
            "sign-in: this is the administration address",
            "client address into the member addresses",
        ],
    );
    restore();
    machine.edit("account = ", "domain = \"nowhere\"\naccount = ");
    machine.has_fault("", &["sign-in: ", "member domain"]);
    restore();
    machine.edit(&url, "https://no-such-name.invalid:8443");
    machine.has_fault("", &["the name no-such-name.invalid is not known"]);
}

#[test]
fn the_doctor_names_what_is_wrong_with_the_module() {
    let site = Site::with_token();
    let machine = &site.machine;
    let registered = machine.path(".config/pkcs11/modules/strongroom.module");
    let good = fs::read_to_string(&registered).unwrap();

    let broken = machine.write("etc/libstrongroom_pkcs11.so", "no library");
    let text_of_it = good.replace(&text(&machine.module()), &broken);
    fs::write(&registered, text_of_it).unwrap();
    let checks = machine.doctor("");
    assert_says(&all_said(&checks), &["module: ", "is no library"]);
    fs::remove_file(&broken).unwrap();
    let given = format!("--module {}", text(&machine.module()));
    machine.has_fault(&given, &["which is not there", "configure --module"]);
    fs::remove_file(&registered).unwrap();
    let checks = machine.doctor("");
    assert_says(
        &said(checks.last().unwrap()),
        &["not registered", "strongroom pkcs11 configure"],
    );
    fs::write(&registered, &good).unwrap();
    machine.is_well("");
}

#[test]
fn a_file_named_by_output_is_told_to_p11_kit() {
    let site = Site::new();
    let machine = &site.machine;
    let output = text(&machine.path("etc/own.toml"));
    let line = format!("{} --credentials - -o {output}", site.base);
    let ran = machine.configure(&line, &service(&site.admin, "payroll"));
    assert_says(
        &ran.stdout,
        &["STRONGROOM_PKCS11_CONFIG=", "doctor --config "],
    );
    assert!(!machine.config().exists());
    let seen = machine.run("p11-kit", &["list-modules"], "");
    assert_says(&seen.stdout, &["token: payroll"]);
    machine.is_well(&format!("--config {output}"));
    machine.has_fault("", &["there is none at"]);
}

/// An authority of the site's own, which vouches for clients.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate that is good until the end of this year, and its key, in these files of the machine.
    fn issue(
        &self,
        machine: &Machine,
        until: i32,
        usage: ExtendedKeyUsagePurpose,
    ) -> (String, String) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI("urn:example:payroll".try_into().unwrap())];
        params.extended_key_usages = vec![usage];
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(until, 12, 31);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        (
            machine.write("etc/payroll.pem", &certificate.pem()),
            machine.write("etc/payroll.key", &key.serialize_pem()),
        )
    }
}

#[test]
fn a_certificate_is_all_that_a_token_needs_until_it_lapses() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let clients = folder.path().join("clients.pem");
    fs::write(&clients, authority.0.pem()).unwrap();
    let mut appliance = Appliance::new();
    appliance.configure(&format!("[tls]\nclient_ca = {:?}", text(&clients)));
    appliance.serve();
    let admin = administrator(&appliance);
    let machine = Machine::new(&appliance);
    let url = appliance.client_url();
    let (certificate, key) = authority.issue(&machine, 2090, ExtendedKeyUsagePurpose::ClientAuth);
    let pair = format!("--certificate {certificate} --key {key}");
    let line = format!("--label payroll --address {url} --roots ca.pem {pair}");
    let _ = machine.configure(&line, "");
    machine.has_fault(
        "",
        &[
            "sign-in: ",
            "the certificate stands for no account",
            "accounts certificates list",
        ],
    );
    let _ = admin
        .run(&["accounts", "create", "payroll", "--kind", "service"])
        .success();
    let uri = "urn:example:payroll";
    let _ = admin
        .run(&["accounts", "certificates", "add", "payroll", "--uri", uri])
        .success();
    let checks = machine.doctor("");
    assert_all_well(&checks);
    assert_says(
        &all_said(&checks),
        &["payroll by the client certificate: a service, active"],
    );

    // Signed in by it, the profile says the rest, and has its copy of the roots.
    let login = format!("login payroll --server {url} --ca ca.pem {pair}");
    let ran = machine.strongroom(&login, "");
    assert!(ran.succeeded, "{}", ran.stderr);
    let answer = machine.configured(&format!("{pair} --replace"), "");
    assert_eq!(answer["token"], "payroll");
    assert!(answer["account"].is_string());
    let roots = machine.path(".config/strongroom/payroll.ca.pem");
    assert_eq!(fs::read(roots).unwrap(), fs::read(appliance.ca()).unwrap());
    machine.is_well("");
    let _ = machine.strongroom("logout", "");

    // Lapsed, for servers, of another authority, and without its key.
    let _ = authority.issue(&machine, 2024, ExtendedKeyUsagePurpose::ClientAuth);
    assert_says(
        &all_said(&machine.doctor("")),
        &["certificate: ", " lapsed ", " days ago", "make a new one"],
    );
    let _ = authority.issue(&machine, 2090, ExtendedKeyUsagePurpose::ServerAuth);
    assert_says(
        &all_said(&machine.doctor("")),
        &["is not for client authentication"],
    );
    let _ = Authority::new().issue(&machine, 2090, ExtendedKeyUsagePurpose::ClientAuth);
    machine.has_fault("", &["does not vouch for the token's certificate"]);
    machine.write("etc/payroll.key", "");
    assert_says(&all_said(&machine.doctor("")), &["no private key"]);
}

#[test]
fn a_home_at_the_administration_address_is_told_that_applications_go_elsewhere() {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let _ = service(&admin, "payroll");
    let words = ["pkcs11", "configure", "payroll", "--no-p11-kit"];
    let sentence = admin.refused(&words, "usage");
    assert_says(
        &sentence,
        &["the administration address", "give that with --address"],
    );
    // The administrator's home knows the account and the roots.
    let (url, out) = (appliance.client_url(), text(&admin.file("pkcs11.toml")));
    let words = [&words[..], &["--address", &url, "-o", &out]].concat();
    let answer = admin.json(&words);
    assert_eq!(
        (&answer["token"], &answer["pin"]),
        (&"payroll".into(), &true.into())
    );
    let files = admin.files();
    assert!(files.contains(&"payroll.ca.pem".to_owned()), "{files:?}");
    let shown = admin.json(&["accounts", "show", "payroll"]);
    assert_eq!(answer["account"], shown["id"]);
}
