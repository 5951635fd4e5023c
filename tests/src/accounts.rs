//! An appliance's people as its interface has them: enrolled and signed in.

use strongroom_wire::account::AccountKind;

use crate::api::Api;
use crate::appliance::Appliance;
use crate::session::Session;

/// The name of every appliance's first administrator.
pub const ADMINISTRATOR: &str = "admin@example.com";

impl Appliance {
    /// The password of one of this appliance's people.
    #[must_use]
    pub fn password_of(&self, account: &str) -> String {
        format!("{account} {}", self.salt)
    }

    /// Enrols the first administrator and signs them in; once only.
    #[must_use]
    pub fn administrator(&self) -> Session {
        let password = self.password_of(ADMINISTRATOR);
        let enrolled = self
            .api()
            .enrol(ADMINISTRATOR, self.administrator_code(), &password);
        enrolled.unwrap_or_else(|failed| panic!("{failed}"));
        self.sign_in(ADMINISTRATOR)
    }

    /// Creates a person's account, enrols them and signs them in.
    #[must_use]
    pub fn person(&self, administrator: &mut Session, account: &str) -> Session {
        let created = administrator.create_account(account, AccountKind::Person, &[], None);
        let created = created.unwrap_or_else(|failed| panic!("{failed}"));
        let code = created.enrolment_code.expect("a person has a code");
        let password = self.password_of(account);
        // In the administrator's domain.
        let api = Api {
            source: None,
            ..administrator.api().clone()
        };
        let enrolled = api.enrol(account, &code, &password);
        enrolled.unwrap_or_else(|failed| panic!("{failed}"));
        let session = api.sign_in(account, &password);
        session.unwrap_or_else(|failed| panic!("{account}: {failed}"))
    }

    /// Signs somebody in who has enrolled.
    #[must_use]
    pub fn sign_in(&self, account: &str) -> Session {
        let session = self.api().sign_in(account, &self.password_of(account));
        session.unwrap_or_else(|failed| panic!("{account}: {failed}"))
    }

    /// Makes a domain, enrols its first administrator, and signs them in.
    #[must_use]
    pub fn new_domain(&self, name: &str, words: &[&str]) -> Session {
        let create = ["create", name, "--admin-account", ADMINISTRATOR];
        let made = self.domain(&[&create[..], words].concat()).unwrap();
        let code = made["enrolment_code"].as_str().expect("there is a code");
        let password = self.password_of(ADMINISTRATOR);
        let api = self.api().in_domain(name);
        let enrolled = api.enrol(ADMINISTRATOR, code, &password);
        enrolled.unwrap_or_else(|failed| panic!("{failed}"));
        let session = api.sign_in(ADMINISTRATOR, &password);
        session.unwrap_or_else(|failed| panic!("{failed}"))
    }
}
