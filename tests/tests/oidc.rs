//! People sign in at their enterprise's OpenID provider: a real one, with its own pages, and the command line in between.

use std::fs;
use std::path::Path;

use serde_json::Value;
use strongroom_tests::identity_provider::IdentityProvider;
use strongroom_tests::person::Outcome;
use strongroom_tests::{Appliance, Person};
use strongroom_wire::account::{AccountKind, AccountState, ChangedAccount, UpdateAccount};
use strongroom_wire::oidc::OidcProviders;

/// Does in the browser what somebody does whom a command sends there, once.
fn browse<'a>(provider: &'a IdentityProvider, name: &'a str) -> impl FnMut(&Path) + 'a {
    let mut done = false;
    move |said| {
        let said = fs::read_to_string(said).unwrap_or_default();
        let Some((first, _)) = said.split_once('\n').filter(|_| !done) else {
            return;
        };
        done = true;
        let said: Value = serde_json::from_str(first).unwrap();
        if let Some(url) = said["authorization_url"].as_str() {
            provider.sign_in_and_return(url, name);
        }
    }
}

fn login(person: &Person, provider: &IdentityProvider, name: &str) -> Outcome {
    let port = provider.redirect_port.to_string();
    let words = [
        "--oidc",
        "corp",
        "--no-browser",
        "--redirect-port",
        &port,
        "--json",
    ];
    person.login_at_provider(&words, browse(provider, name))
}

/// The problem with which a command ended that had printed an address before.
fn problem(outcome: Outcome) -> Value {
    let failed = outcome.failure();
    serde_json::from_str(failed.stderr.lines().last().unwrap()).unwrap()
}

/// The provider's word alone is not enough for an account that somebody holds; its holder's is.
fn held_accounts_are_linked_by_their_holders(
    provider: &IdentityProvider,
    appliance: &Appliance,
    carol: &Person,
    imposter: &Person,
) {
    let port = provider.redirect_port.to_string();
    let refused = problem(login(imposter, provider, "carla"));
    assert_eq!(refused["code"], "sign-in-refused", "{refused}");
    assert!(refused["leaf"].is_u64());
    assert!(appliance.log().contains("its holder has not linked it"));
    let link = [
        "oidc",
        "link",
        "--no-browser",
        "--redirect-port",
        &port,
        "--json",
    ];
    let _ = carol.run_while(&link, browse(provider, "carla")).success();
    let signed_in = login(imposter, provider, "carla").success().json();
    assert_eq!(signed_in["account"]["name"], "carol@example.com");
    let _ = carol.run(&["oidc", "unlink", &provider.issuer()]).success();
    let refused = problem(login(imposter, provider, "carla"));
    assert_eq!(refused["code"], "sign-in-refused", "{refused}");
}

#[test]
fn people_sign_in_at_their_enterprises_provider() {
    let mut provider = IdentityProvider::start(
        &[
            ("alice", "alice@example.com"),
            ("bob", "bob@example.com"),
            ("carla", "carol@example.com"),
        ],
        "crypto-team",
        &["alice", "bob"],
    );
    let settings =
        provider.settings("create = \"on\"\n[oidc.groups]\ncrypto-team = \"cryptographers\"\n");
    let mut appliance = Appliance::start_with(&settings);
    let mut admin = appliance.administrator();
    let mut owner = appliance.person(&mut admin, "carol@example.com");
    admin
        .create_account(
            "cryptographers",
            AccountKind::Group,
            &[],
            Some("carol@example.com"),
        )
        .unwrap();
    let offered: OidcProviders = owner.get("/v1/oidc").unwrap();
    assert_eq!(offered.providers[0].name, "corp");
    let carol = Person::new(&appliance, "carol@example.com");
    let _ = carol.login().success();
    let protect = |name: &str| {
        fs::write(carol.file(name), name).unwrap();
        let _ = carol.json(&["protect", name, "--to", "cryptographers"]);
        fs::read(carol.file(&format!("{name}.sealed"))).unwrap()
    };

    // Somebody who has no account gets one, and with the provider's group the keys of the group here.
    let alice = Person::new(&appliance, "alice@example.com");
    let signed_in = login(&alice, &provider, "alice").success().json();
    assert_eq!(signed_in["account"]["name"], "alice@example.com");
    let report = protect("report.txt");
    fs::write(alice.file("report.txt.sealed"), &report).unwrap();
    let _ = alice.run(&["open", "report.txt.sealed"]).success();
    assert_eq!(
        fs::read_to_string(alice.file("report.txt")).unwrap(),
        "report.txt"
    );
    let sessions = alice.json(&["sessions", "list"]);
    assert_eq!(sessions["sessions"][0]["strength"], "password");
    let identities = alice.json(&["oidc", "list"]);
    assert_eq!(identities["identities"][0]["issuer"], provider.issuer());
    assert_eq!(identities["identities"][0]["subject"], "alice");

    // An account that an administrator has made and nobody has held is that of its name; its code is void.
    let created = admin.create_account("bob@example.com", AccountKind::Person, &[], None);
    let code = created.unwrap().enrolment_code.unwrap();
    let bob = Person::new(&appliance, "bob@example.com");
    let _ = login(&bob, &provider, "bob").success();
    let password = appliance.password_of("bob@example.com");
    appliance
        .api()
        .enrol("bob@example.com", &code, &password)
        .unwrap_err();

    // A fresh sign-in is one at the provider, too.
    let port = provider.redirect_port.to_string();
    let words = [
        "--oidc",
        "--fresh",
        "--no-browser",
        "--redirect-port",
        &port,
        "--json",
    ];
    let again = bob.login_at_provider(&words, browse(&provider, "bob"));
    assert_eq!(again.success().json()["account"]["name"], "bob@example.com");

    let imposter = Person::new(&appliance, "carol@example.com");
    held_accounts_are_linked_by_their_holders(&provider, &appliance, &carol, &imposter);

    // Who is called otherwise at the provider stays who they are here.
    provider.rename("alice", "carol@example.com");
    // Out of the group there, out of the group here.
    provider.set_members("crypto-team", &["bob"]);
    let signed_in = login(&alice, &provider, "alice").success().json();
    assert_eq!(signed_in["account"]["name"], "alice@example.com");
    fs::remove_file(alice.file("report.txt")).unwrap();
    alice.refused(&["open", "report.txt.sealed"], "key-not-found");
    fs::write(bob.file("later.txt.sealed"), protect("later.txt")).unwrap();
    let _ = bob.run(&["open", "later.txt.sealed"]).success();

    // Whom an administrator has suspended, no provider lets in.
    let id = signed_in["account"]["id"].as_str().unwrap();
    let suspend = UpdateAccount {
        state: Some(AccountState::Suspended),
        roles: None,
    };
    let path = format!("/v1/accounts/{id}");
    let _: ChangedAccount = admin.ask("PATCH", &path, &suspend).unwrap();
    let refused = problem(login(&alice, &provider, "alice"));
    assert_eq!(refused["code"], "sign-in-refused", "{refused}");

    // A provider that is away is said to be, and when to try again; everybody else goes on.
    provider.stop();
    appliance.restart();
    let refused = problem(login(&imposter, &provider, "carla"));
    assert_eq!(refused["code"], "provider-unavailable", "{refused}");
    assert!(refused["retry_after"].is_u64());
    let _ = appliance.sign_in("carol@example.com");
    appliance.stop();
    assert_eq!(appliance.verify_audit()["verified"], true);
    // Neither codes nor tokens are in the log.
    for secret in ["/signed-in?", "eyJ", "id_token"] {
        assert!(!appliance.log().contains(secret), "{secret}");
    }
}
