//! People with roles in cases, what they sign with, and orders: what the stories about cases have in common.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::Ed25519KeyPair;
use aws_lc_rs::signature::KeyPair as _;
use serde_json::{Value, json};
use strongroom_approval::{ApprovalKey, Decision, Of, Statement};
use strongroom_tests::Session;
use strongroom_tests::api::Listener;
use strongroom_tests::http::Response;
use strongroom_wire::account::Role;
use strongroom_wire::approval::{ADD_APPROVAL_KEY, ApprovalCredentials, ApprovalKeyAdded};
use strongroom_wire::authorisation::{Authorisation, ChangedAuthorisation, DocumentPut};
use strongroom_wire::encoding::{Base64, Timestamp};
use strongroom_wire::id::AuthorisationId;
use tempfile::TempDir;

use super::reading::EVIL_NAME;
use super::site::Site;

pub(crate) const CARL: &str = "carl@example.com";
pub(crate) const RUTH: &str = "ruth@example.com";
pub(crate) const RUBEN: &str = "ruben@example.com";
pub(crate) const ERIN: &str = "erin@example.com";
pub(crate) const RICK: &str = "rick@example.com";
pub(crate) const AUDREY: &str = "audrey@example.com";

/// The people of cases.
pub(crate) const PEOPLE: [(&str, Role); 6] = [
    (CARL, Role::CaseOfficer),
    (RUTH, Role::LegalApprover),
    (RUBEN, Role::LegalApprover),
    (ERIN, Role::Executor),
    (RICK, Role::Releaser),
    (AUDREY, Role::Auditor),
];

/// An appliance with the people of cases, and a folder for what they hold in their hands.
pub(crate) struct Bench {
    pub(crate) site: Site,
    sessions: Vec<(&'static str, Session)>,
    folder: TempDir,
}

impl Bench {
    pub(crate) fn start(settings: &str) -> Self {
        let mut site = Site::start_with(settings);
        let sessions = PEOPLE.map(|(name, role)| (name, site.person(name, &[role])));
        Self {
            site,
            sessions: sessions.into(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Somebody's session, over a new connection: stories take longer than connections are kept.
    pub(crate) fn session(&mut self, name: &str) -> &mut Session {
        let found = self.sessions.iter_mut().find(|(other, _)| *other == name);
        let session = &mut found.unwrap().1;
        let anew = session.at(session.api());
        *session = anew;
        session
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs openssl in the folder.
    pub(crate) fn openssl(&self, line: &str) -> Output {
        let done = Command::new("openssl")
            .args(line.split(' '))
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        assert!(done.status.success(), "openssl {line}: {done:?}");
        done
    }

    /// A certificate of the agency and its key, in `agency.pem` and `agency.key`; the certificate in DER.
    pub(crate) fn agency(&self) -> Vec<u8> {
        let _made = self.openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout agency.key -out agency.pem -subj /CN=Agency -days 2");
        self.openssl("x509 -in agency.pem -outform DER").stdout
    }

    /// Answers what a browser of this person would get.
    pub(crate) fn get(&self, name: &str, path: &str) -> Response {
        let found = self.sessions.iter().find(|(other, _)| *other == name);
        let cookie = cookie(&found.unwrap().1);
        browse(&self.site, &cookie, "GET", path, "", b"")
    }

    /// Sends a form of this page by this person, with its token.
    pub(crate) fn post(
        &self,
        name: &str,
        page: &str,
        to: &str,
        fields: &[(&str, &str)],
    ) -> Response {
        let found = self.sessions.iter().find(|(other, _)| *other == name);
        let cookie = cookie(&found.unwrap().1);
        let shown = browse(&self.site, &cookie, "GET", page, "", b"").text();
        let token = shown.split("name=\"form_token\" value=\"").nth(1).unwrap();
        let token = token.split('"').next().unwrap();
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.append_pair("form_token", token).extend_pairs(fields);
        let kind = "application/x-www-form-urlencoded";
        browse(
            &self.site,
            &cookie,
            "POST",
            to,
            kind,
            body.finish().as_bytes(),
        )
    }

    /// The case officer enters an order by the interface, with a warrant.
    pub(crate) fn enter(&mut self, mut order: Value) -> AuthorisationId {
        let carl = self.session(CARL);
        if order.get("warrant").is_none() && order["flags"]["emergency"] != true {
            let put = json!({ "content": Base64(b"In the name of the law".to_vec()) });
            let put: DocumentPut = carl
                .ask("POST", "/v1/authorisations/documents", &put)
                .unwrap();
            order["warrant"] =
                json!({ "name": "w.txt", "media_type": "text/plain", "sha256": put.sha256 });
        }
        let entered: ChangedAuthorisation = carl.ask("POST", "/v1/authorisations", &order).unwrap();
        entered.authorisation.id
    }

    /// Approves the present generation by the interface, with a key that is made for it.
    pub(crate) fn approve(&mut self, name: &str, case: AuthorisationId) -> Authorisation {
        let session = self.session(name);
        let (pair, id) = approval_key(session);
        let case: Authorisation = session.get(&format!("/v1/authorisations/{case}")).unwrap();
        let statement = Statement {
            domain_origin: case.record.domain_origin.clone(),
            subject: case.id.to_string(),
            of: Of::Authorisation {
                generation: case.generation,
                record_sha256: hex::decode(&case.record_sha256)
                    .unwrap()
                    .try_into()
                    .unwrap(),
            },
            decision: Decision::Approve,
            valid_until: now().plus_seconds(3600),
        };
        let decide = json!({
            "statement": Base64(statement.to_bytes()),
            "signed_by": { "approval-key": { "id": id, "jws": pair.sign(&statement) } },
        });
        let path = format!("/v1/authorisations/{}/approvals", case.id);
        let decided: ChangedAuthorisation = session.ask("POST", &path, &decide).unwrap();
        decided.authorisation
    }
}

/// A key to approve with.
struct Pair {
    key: Ed25519KeyPair,
    public: ApprovalKey,
}

impl Pair {
    fn sign(&self, statement: &Statement) -> String {
        let input = self.public.signing_input(&statement.to_bytes());
        self.public.jws(self.key.sign(&input).as_ref()).unwrap()
    }
}

fn approval_key(session: &mut Session) -> (Pair, Value) {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    let key = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let mut spki = hex::decode("302a300506032b6570032100").unwrap();
    spki.extend(key.public_key().as_ref());
    let public = ApprovalKey::from_spki(&spki).unwrap();
    let pair = Pair { key, public };
    let credentials: ApprovalCredentials = session.get("/v1/accounts/me/approval-keys").unwrap();
    let statement = Statement {
        domain_origin: credentials.domain_origin,
        subject: credentials.account.to_string(),
        of: Of::Request {
            act: ADD_APPROVAL_KEY.to_owned(),
            request_sha256: pair.public.fingerprint(),
        },
        decision: Decision::Approve,
        valid_until: now().plus_seconds(3600),
    };
    let add = json!({
        "name": EVIL_NAME,
        "public_key": Base64(spki),
        "statement": Base64(statement.to_bytes()),
        "jws": pair.sign(&statement),
    });
    let added: ApprovalKeyAdded = session
        .ask("POST", "/v1/accounts/me/approval-keys", &add)
        .unwrap();
    (pair, json!(added.key.id))
}

fn cookie(session: &Session) -> String {
    format!(
        "__Host-strongroom-administration={}",
        session.token.to_text()
    )
}

/// A request as a browser makes it at the administration listener.
pub(crate) fn browse(
    site: &Site,
    cookie: &str,
    method: &str,
    path: &str,
    kind: &str,
    body: &[u8],
) -> Response {
    let mut connection = site
        .appliance
        .api()
        .connect(Listener::Administration)
        .unwrap();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: strongroom.local\r\naccept: text/html\r\nconnection: close\r\ncookie: {cookie}\r\nsec-fetch-site: same-origin\r\ncontent-type: {kind}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut request = head.into_bytes();
    request.extend(body);
    connection.raw(&request).unwrap()
}

pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(u64::try_from(elapsed.as_millis()).unwrap())
}

/// An order about what this person sends, sealed to this certificate.
pub(crate) fn order(certificate: &[u8], person: &str) -> Value {
    json!({
        "reference": "GS 17/2027",
        "legal_type": "disclosure of stored content",
        "legal_basis": "StPO 269",
        "jurisdiction": "ZH",
        "country_code": "CH",
        "issuing_authority": "Staatsanwaltschaft",
        "timespan": { "start": "2020-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z" },
        "necessity": "Nothing milder leads there.",
        "proportionality": "A month of mail with one person.",
        "agency_key": { "certificate": Base64(certificate.to_vec()) },
        "max_items": 10,
        "tasks": [{ "reference": "1", "scope": { "messages": { "person": person, "direction": "from",
            "window": { "start": "2020-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z" } } } }],
    })
}

/// Writes a file, and says where it is, as one types it into a field.
pub(crate) fn write(path: &Path, content: &[u8]) -> String {
    fs::write(path, content).unwrap();
    path.display().to_string()
}
