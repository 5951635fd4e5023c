//! Services sign in by client certificate: issued by a private authority, by name or by fingerprint, until they are revoked.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams,
    SanType, SerialNumber, date_time_ymd,
};
use serde_json::Value;
use strongroom_client::{Client, ClientError, Identity, Roots, Session};
use strongroom_session::AccountSecret;
use strongroom_tests::device::{Device, administrator};
use strongroom_tests::{Appliance, Person};
use strongroom_wire::problem::Code;

/// An authority of the site's own, with files for what it says.
struct Authority {
    ca: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "enterprise CA");
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("clients.pem"), ca.pem()).unwrap();
        let this = Self { ca, folder };
        this.revoke(&[]);
        this
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// The certificate with this number and URI, and its key, in PEM.
    fn issue(&self, number: u64, uri: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let name = SanType::URI(uri.try_into().unwrap());
        self.issue_named(number, name, usage)
    }

    /// The same with a name of any kind.
    fn issue_named(
        &self,
        number: u64,
        name: SanType,
        usage: ExtendedKeyUsagePurpose,
    ) -> (String, String) {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(number));
        params.subject_alt_names = vec![name];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.ca).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    fn client(&self, number: u64, uri: &str) -> (String, String) {
        self.issue(number, uri, ExtendedKeyUsagePurpose::ClientAuth)
    }

    /// Publishes the list of the numbers of revoked certificates.
    fn revoke(&self, numbers: &[u64]) {
        let revoked_certs = numbers
            .iter()
            .map(|number| RevokedCertParams {
                serial_number: SerialNumber::from(*number),
                revocation_time: date_time_ymd(2024, 1, 1),
                reason_code: None,
                invalidity_date: None,
            })
            .collect();
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2024, 1, 1),
            next_update: date_time_ymd(2090, 1, 1),
            crl_number: SerialNumber::from(1_u64),
            issuing_distribution_point: None,
            revoked_certs,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&self.ca).unwrap().pem().unwrap();
        fs::write(self.folder.path().join("revoked.pem"), list).unwrap();
    }
}

fn appliance(client_ca: &str, client_crl: Option<&str>) -> Appliance {
    let mut appliance = Appliance::new();
    let crl = client_crl.map(|crl| format!("client_crl = {crl:?}"));
    appliance.configure(&format!(
        "[tls]\nclient_ca = {client_ca:?}\n{}",
        crl.unwrap_or_default()
    ));
    appliance.serve();
    appliance
}

fn client(appliance: &Appliance, identity: &(String, String)) -> Client {
    let ca = Roots::from_pem(&fs::read(appliance.ca()).unwrap()).unwrap();
    let (certificate, key) = identity;
    let identity = Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap();
    Client::with_identity(&appliance.client_url(), &ca, &identity).unwrap()
}

fn sign_in(appliance: &Appliance, identity: &(String, String)) -> Result<Session, ClientError> {
    client(appliance, identity).sign_in_by_certificate()
}

#[track_caller]
fn assert_refused(signed_in: Result<Session, ClientError>) {
    let error = signed_in.unwrap_err();
    assert_eq!(error.code(), Some(Code::SignInRefused), "{error}");
}

/// The connection itself is refused: TLS says no to the certificate.
#[track_caller]
fn assert_no_connection(signed_in: Result<Session, ClientError>) {
    let error = signed_in.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}

#[test]
fn a_service_signs_in_by_the_enterprises_certificate_until_it_is_revoked() {
    let authority = Authority::new();
    let revoked = authority.path("revoked.pem");
    let appliance = appliance(&authority.path("clients.pem"), Some(&revoked));
    let admin = administrator(&appliance);
    let _ = admin
        .run(&["accounts", "create", "payroll", "--kind", "service"])
        .success();
    let uri = "urn:example:payroll";
    let identity = authority.client(7, uri);
    assert_refused(sign_in(&appliance, &identity));
    let add = ["accounts", "certificates", "add", "payroll", "--uri", uri];
    let _ = admin.run(&add).success();

    let session = sign_in(&appliance, &identity).unwrap();
    assert_eq!(session.account().name, "payroll");
    let new = strongroom_tests::session::new_key("salaries", &[]);
    let (created, mut released) = session.create_and_obtain(new).unwrap();
    let mut again = session.obtain(created.key.id, None).unwrap();
    assert_eq!(again.material().unwrap(), released.material().unwrap());
    // The next certificate with the name stands for it, too; another's does not.
    let next = authority.client(8, uri);
    let renewed = sign_in(&appliance, &next).unwrap();
    assert_eq!(
        renewed
            .obtain(created.key.id, None)
            .unwrap()
            .material()
            .unwrap(),
        released.material().unwrap()
    );
    assert_refused(sign_in(
        &appliance,
        &authority.client(9, "urn:example:other"),
    ));
    // An administrator adds no other name for it any more.
    admin.refused(
        &[
            "accounts",
            "certificates",
            "add",
            "payroll",
            "--uri",
            "urn:example:other",
        ],
        "conflict",
    );

    // Certificates of nobody, of another authority, for servers, and of somebody who holds another key.
    let plain = Client::new(
        &appliance.client_url(),
        &Roots::from_pem(&fs::read(appliance.ca()).unwrap()).unwrap(),
    );
    assert_refused(plain.unwrap().sign_in_by_certificate());
    assert_no_connection(sign_in(&appliance, &Authority::new().client(7, uri)));
    let server = authority.issue(10, uri, ExtendedKeyUsagePurpose::ServerAuth);
    assert_no_connection(sign_in(&appliance, &server));

    // Revoked: at once for new connections, and for one that was made before.
    let before = client(&appliance, &identity);
    before.health().unwrap();
    authority.revoke(&[7]);
    assert_no_connection(sign_in(&appliance, &identity));
    assert_refused(before.sign_in_by_certificate());
    sign_in(&appliance, &next).unwrap();
    // A list that cannot be read changes nothing.
    thread::sleep(Duration::from_millis(50));
    fs::write(&revoked, "nonsense").unwrap();
    assert_no_connection(sign_in(&appliance, &identity));
    let last = sign_in(&appliance, &next).unwrap();

    // The account alone is enough, too.
    let _ = admin.run(&["accounts", "suspend", "payroll"]).success();
    assert!(matches!(last.own_account(), Err(ClientError::NotSignedIn)));
    assert_refused(sign_in(&appliance, &next));
    assert_eq!(appliance.verify_audit()["verified"], true);
}

#[test]
fn a_service_is_known_by_the_dns_name_in_its_certificates() {
    let authority = Authority::new();
    let appliance = appliance(&authority.path("clients.pem"), None);
    let admin = administrator(&appliance);
    for name in ["payroll", "billing"] {
        let _ = admin
            .run(&["accounts", "create", name, "--kind", "service"])
            .success();
    }
    let certificate = |number, name: &str| {
        let name = SanType::DnsName(name.try_into().unwrap());
        authority.issue_named(number, name, ExtendedKeyUsagePurpose::ClientAuth)
    };
    let add = |account, name| ["accounts", "certificates", "add", account, "--dns", name];
    let _ = admin.run(&add("payroll", "Payroll.example.com")).success();
    // As it comes, in the next certificate, too; and nobody else's.
    for (number, name) in [(1, "payroll.example.com"), (2, "PAYROLL.Example.com")] {
        let session = sign_in(&appliance, &certificate(number, name)).unwrap();
        assert_eq!(session.account().name, "payroll");
    }
    for (number, name) in [
        (3, "example.com"),
        (4, "www.payroll.example.com"),
        (5, "*.example.com"),
    ] {
        assert_refused(sign_in(&appliance, &certificate(number, name)));
    }
    let listed = admin.json(&["accounts", "certificates", "list", "payroll"]);
    assert_eq!(listed["names"][0]["name"]["kind"], "dns");
    // A name stands for one account, and a wildcard or what is no name for none.
    admin.refused(&add("billing", "payroll.example.com"), "conflict");
    for name in ["*.example.com", "a..example.com", "a-.example.com", "a_b"] {
        admin.refused(&add("billing", name), "invalid");
    }
}

#[test]
fn the_built_in_authority_issues_certificates_known_by_their_fingerprint() {
    let appliance = appliance("tls/ca.pem", None);
    let admin = administrator(&appliance);
    let _ = admin
        .run(&["accounts", "create", "payroll", "--kind", "service"])
        .success();
    let service = Person::new(&appliance, "payroll");
    let out = service.file("payroll");
    let issue = |out: &Path| {
        let mut issue = appliance.strongroomd();
        issue.args(["issue", "--name", "payroll", "--json", "--out"]);
        issue.arg(out).output().unwrap()
    };
    let issued = issue(&out);
    assert!(issued.status.success(), "{issued:?}");
    let issued_json: Value = serde_json::from_slice(&issued.stdout).unwrap();
    // Nothing is overwritten.
    assert!(!issue(&out).status.success());
    let certificate = service.file("payroll.pem");
    let _ = admin
        .run(&[
            "accounts",
            "certificates",
            "add",
            "payroll",
            "--file",
            certificate.to_str().unwrap(),
        ])
        .success();
    let listed = admin.json(&["accounts", "certificates", "list", "payroll"]);
    assert_eq!(
        listed["names"][0]["name"]["value"],
        issued_json["fingerprint"]
    );

    let server = appliance.client_url();
    let login = [
        "login",
        "payroll",
        "--server",
        &server,
        "--ca",
        appliance.ca().to_str().unwrap(),
        "--certificate",
        "payroll.pem",
        "--key",
        "payroll.key",
    ]
    .map(str::to_owned);
    let login: Vec<&str> = login.iter().map(String::as_str).collect();
    let _ = service.run(&login).success();
    fs::write(service.file("payslips.csv"), "what everybody earns").unwrap();
    let _ = service.run(&["protect", "payslips.csv"]).success();
    let _ = service
        .run(&["open", "payslips.csv.sealed", "-o", "again.csv"])
        .success();
    assert_eq!(
        fs::read_to_string(service.file("again.csv")).unwrap(),
        "what everybody earns"
    );
    // The same authority's server certificate opens nothing.
    let data = appliance.ca().parent().unwrap().to_owned();
    let read = |name: &str| fs::read_to_string(data.join(name)).unwrap();
    assert_no_connection(sign_in(
        &appliance,
        &(read("server.pem"), read("server.key")),
    ));
    // Removed by the service itself: its session ends with it.
    let _ = service
        .run(&[
            "accounts",
            "certificates",
            "remove",
            "payroll",
            "--file",
            "payroll.pem",
        ])
        .success();
    service.refused(&["keys", "list"], "not-signed-in");
    service.refused(&login, "sign-in-refused");
}

#[test]
fn a_service_signs_its_requests_with_an_account_secret() {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let _ = admin
        .run(&["accounts", "create", "payroll", "--kind", "service"])
        .success();
    let given = admin.json(&["accounts", "secret", "payroll"]);
    let service = Device {
        account: given["account"].as_str().unwrap().parse().unwrap(),
        secret: AccountSecret::from_text(given["secret"].as_str().unwrap()).unwrap(),
    };
    let api = appliance.api();
    assert_eq!(service.own_account(&api).unwrap().name, "payroll");
    service.create_and_release(&api);
    admin.refused(&["accounts", "secret", "payroll"], "conflict");
    admin.refused(&["accounts", "secret", "admin@example.com"], "invalid");
    let _ = admin.run(&["accounts", "suspend", "payroll"]).success();
    let refused = service.own_account(&api).unwrap_err();
    assert_eq!(refused.code, Code::SignInRefused);
}
