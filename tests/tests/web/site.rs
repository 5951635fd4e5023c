//! An appliance with people, and browsers for them.

use std::ops::Deref;

use strongroom_tests::accounts::ADMINISTRATOR;
use strongroom_tests::browser::{Browser, Settings};
use strongroom_tests::{Appliance, Session};
use strongroom_wire::account::{AccountKind, Role};

/// The appliance's name, which browsers find at the loopback address.
pub(crate) const NAME: &str = "strongroom.local";
pub(crate) const ALICE: &str = "alice@example.com";
pub(crate) const BOB: &str = "bob@example.com";

/// An appliance whose passkeys work at its very addresses, and its administrator.
pub(crate) struct Site {
    pub(crate) appliance: Appliance,
    pub(crate) administrator: Session,
    /// Where owners have their pages.
    pub(crate) owners: String,
    /// Where those with a role have theirs.
    pub(crate) office: String,
}

impl Site {
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    pub(crate) fn start_with(settings: &str) -> Self {
        let mut appliance = Appliance::new();
        appliance.configure(settings);
        appliance.serve();
        let port = |url: &str| url.rsplit(':').next().unwrap().trim_matches('/').to_owned();
        let owners = format!("https://{NAME}:{}", port(&appliance.client_url()));
        let office = format!("https://{NAME}:{}", port(&appliance.admin_url()));
        appliance.configure(&format!(
            "[passkeys]\norigins = [\"{owners}\", \"{office}\"]"
        ));
        appliance.restart();
        let administrator = appliance.administrator();
        Self {
            appliance,
            administrator,
            owners,
            office,
        }
    }

    /// Enrols a person with these roles.
    pub(crate) fn person(&mut self, name: &str, roles: &[Role]) -> Session {
        if roles.is_empty() {
            return self.appliance.person(&mut self.administrator, name);
        }
        let created = self
            .administrator
            .create_account(name, AccountKind::Person, roles, None)
            .unwrap();
        let password = self.appliance.password_of(name);
        let api = self.appliance.api();
        api.enrol(name, &created.enrolment_code.unwrap(), &password)
            .unwrap();
        self.appliance.sign_in(name)
    }

    pub(crate) fn browser(&self, settings: Settings) -> Browser {
        let certificate = self.appliance.data().join("tls/server.pem");
        Browser::start(NAME, &certificate, settings)
    }

    /// A browser in which somebody has signed in on a side.
    pub(crate) fn signed_in(&self, side: &str, name: &str, settings: Settings) -> Visit {
        let browser = self.browser(settings);
        let visit = Visit {
            browser,
            at: side.to_owned(),
        };
        visit.sign_in(name, &self.appliance.password_of(name));
        visit
    }

    pub(crate) fn owner(&self, name: &str) -> Visit {
        self.signed_in(&self.owners, name, Settings::default())
    }

    pub(crate) fn officer(&self, name: &str) -> Visit {
        self.signed_in(&self.office, name, Settings::default())
    }

    pub(crate) fn administers(&self) -> Visit {
        self.officer(ADMINISTRATOR)
    }
}

/// Somebody at one of the two sides.
pub(crate) struct Visit {
    browser: Browser,
    pub(crate) at: String,
}

impl Deref for Visit {
    type Target = Browser;

    fn deref(&self) -> &Browser {
        &self.browser
    }
}

impl Visit {
    pub(crate) fn new(browser: Browser, at: &str) -> Self {
        Self {
            browser,
            at: at.to_owned(),
        }
    }

    /// The same browser on the other side.
    pub(crate) fn over_to(self, at: &str) -> Self {
        Self::new(self.browser, at)
    }

    /// Goes to a page of this side.
    pub(crate) fn open(&self, path: &str) {
        self.go(&format!("{}{path}", self.at));
    }

    /// The address of the page that is shown, without the side's own.
    pub(crate) fn path(&self) -> String {
        let address = self.address();
        let path = address.strip_prefix(&self.at);
        path.unwrap_or_else(|| panic!("{address} is elsewhere"))
            .to_owned()
    }

    pub(crate) fn sign_in(&self, name: &str, password: &str) {
        self.open("/sign-in");
        self.fill("account", name);
        self.fill("password", password);
        self.press("Sign in");
    }

    /// Signs in again where that is asked for.
    pub(crate) fn step_up(&self, password: &str) {
        assert_eq!(self.heading(), "Is it still you?");
        self.fill("password", password);
        self.press("Continue");
    }

    /// Whether the page says this.
    pub(crate) fn says(&self, words: &str) -> bool {
        self.text().contains(words)
    }

    pub(crate) fn expect(&self, words: &str) {
        let text = self.text();
        assert!(
            text.contains(words),
            "{words:?} is not at {}:\n{text}",
            self.address()
        );
    }
}
