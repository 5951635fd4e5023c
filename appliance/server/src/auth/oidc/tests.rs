//! ID tokens that a correct provider would never sign, from one that does.

#![expect(clippy::unwrap_used, reason = "tests")]

mod liar;

use std::collections::HashMap;
use std::thread;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use strongroom_session::passkey::EphemeralKey;
use strongroom_wire::session::SignInStrength;

use super::*;
use liar::{CLIENT, Key, Provider, SECRET, encode, finish, hs256, token};

type Change = Box<dyn Fn(&mut Value)>;
type Make<'a> = Box<dyn FnOnce(Value) -> String + 'a>;

fn reason(finished: Result<Proved, Unproved>) -> &'static str {
    match finished {
        Err(Unproved::Refused(reason)) => reason,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_token_that_holds_says_who_it_is() {
    let provider = Provider::with(
        "create = \"on\"\nmax_age = 3600\ntwo_factor_acr = [\"gold\"]\n[groups]\ncrypto-team = \"cryptographers\"\nstaff = \"everybody\"\n",
    );
    for (kid, key) in [("1", Key::new()), ("2", Key::rsa())] {
        provider.says().keys = vec![key.jwk(kid)];
        let proved = provider
            .finish(|mut claims| {
                claims["auth_time"] = claims["iat"].clone();
                key.sign(kid, &claims)
            })
            .unwrap();
        let claimed = proved.claimed;
        assert_eq!(claimed.issuer, provider.issuer);
        assert_eq!(claimed.subject, "248289761001");
        assert_eq!(claimed.name.as_deref(), Some("alice@example.com"));
        assert_eq!(claimed.strength, SignInStrength::Password);
        assert!(claimed.authenticated.is_some() && proved.rules.create);
        let groups = claimed.groups.unwrap();
        assert_eq!(groups.held, ["cryptographers"]);
        assert_eq!(groups.mapped.len(), 2);
        assert_eq!(proved.client_key.len(), passkey::PUBLIC_KEY);
    }
    for (number, (claim, value, strength)) in [
        ("amr", json!(["pwd", "otp"]), SignInStrength::TwoFactor),
        (
            "amr",
            json!(["pwd", "sms-of-old"]),
            SignInStrength::Password,
        ),
        ("acr", json!("gold"), SignInStrength::TwoFactor),
        ("acr", json!("silver"), SignInStrength::Password),
    ]
    .into_iter()
    .enumerate()
    {
        let (key, kid) = (Key::new(), format!("of turn {number}"));
        provider.says().keys = vec![key.jwk(&kid)];
        let proved = provider.finish(|mut claims| {
            claims["auth_time"] = claims["iat"].clone();
            claims[claim] = value;
            key.sign(&kid, &claims)
        });
        assert_eq!(proved.unwrap().claimed.strength, strength);
    }
}

#[test]
fn the_code_is_redeemed_with_the_verifier_and_the_secret() {
    let provider = Provider::new();
    let key = Key::new();
    provider.says().keys = vec![key.jwk("1")];
    let (started, query) = provider.start();
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["scope"], "openid profile email");
    assert_eq!(query["state"], started.state);
    provider.says().token = key.sign("1", &provider.claims(&query["nonce"]));
    provider.oidc.finish("", &finish(&started), None).unwrap();
    // Each is good for one try.
    let again = provider.oidc.finish("", &finish(&started), None);
    assert_eq!(reason(again), "no such sign-in is under way");

    let asked = provider.says().asked.pop().unwrap();
    assert!(provider.says().asked.is_empty());
    let (head, body) = asked.split_once("\r\n\r\n").unwrap();
    assert!(head.to_lowercase().contains("\r\nauthorization: basic "));
    let form: HashMap<_, _> = url::form_urlencoded::parse(body.as_bytes())
        .into_owned()
        .collect();
    assert_eq!(form["code"], "the code");
    assert_eq!(form["redirect_uri"], "http://127.0.0.1:40000/signed-in");
    let challenge = encode(&Sha256::digest(&form["code_verifier"]));
    assert_eq!(challenge, query["code_challenge"]);
    assert!(!started.authorization_url.contains(&form["code_verifier"]));
}

#[test]
fn a_token_that_does_not_hold_is_refused() {
    let provider = Provider::new();
    let key = Key::new();
    provider.says().keys = vec![key.jwk("1")];
    let seconds = |claims: &Value, name: &str| claims[name].as_i64().unwrap();
    let set = |name: &'static str, value: Value| -> Change {
        Box::new(move |claims| claims[name] = value.clone())
    };
    let shift = |name: &'static str, by: i64| -> Change {
        Box::new(move |claims| claims[name] = json!(seconds(claims, name) + by))
    };
    let cases: Vec<(&str, Change)> = vec![
        ("nonce", set("nonce", json!(oidc::nonce(&[0; 32], b"mine")))),
        (
            "nonce",
            Box::new(|claims| {
                claims.as_object_mut().unwrap().remove("nonce");
            }),
        ),
        ("another client", set("aud", json!("somebody-else"))),
        ("another client", set("aud", json!([]))),
        (
            "another client",
            set("aud", json!([CLIENT, "somebody-else"])),
        ),
        ("another party", set("azp", json!("somebody-else"))),
        (
            "another issuer",
            set("iss", json!("https://login.example.com")),
        ),
        ("another time", shift("exp", -301)),
        ("another time", shift("iat", -601)),
        ("another time", shift("iat", 120)),
        ("no subject", set("sub", json!(""))),
    ];
    for (said, change) in cases {
        let refused = provider.finish(|mut claims| {
            change(&mut claims);
            key.sign("1", &claims)
        });
        let reason = reason(refused);
        assert!(reason.contains(said), "{said}: {reason}");
    }
    // The provider's clock may be a little ahead.
    let ahead = provider.finish(|mut claims| {
        shift("iat", 30)(&mut claims);
        key.sign("1", &claims)
    });
    ahead.unwrap();
}

#[test]
fn only_the_providers_own_signature_counts() {
    let provider = Provider::new();
    let (ec, rsa) = (Key::new(), Key::rsa());
    provider.says().keys = vec![ec.jwk("ec"), rsa.jwk("rsa")];
    let Key::Rsa(pair) = &rsa else { unreachable!() };
    let der: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(der.as_ref())
    );
    let cases: Vec<(&str, Make<'_>)> = vec![
        (
            "not taken",
            Box::new(|claims| token(&json!({ "alg": "none" }), &claims, |_| Vec::new())),
        ),
        (
            "not taken",
            Box::new(|claims| hs256(der.as_ref(), "rsa", &claims)),
        ),
        (
            "not taken",
            Box::new(|claims| hs256(pem.as_bytes(), "rsa", &claims)),
        ),
        (
            "not taken",
            Box::new(|claims| hs256(SECRET.as_bytes(), "rsa", &claims)),
        ),
        (
            "signature is wrong",
            Box::new(|claims| Key::new().sign("ec", &claims)),
        ),
        (
            "signature is wrong",
            Box::new(|claims| ec.sign("rsa", &claims)),
        ),
        (
            "signature is wrong",
            Box::new(|claims| ec.sign("nobody's", &claims)),
        ),
        (
            "signature is wrong",
            Box::new(|claims| {
                let good = ec.sign("ec", &claims);
                let mut other = claims;
                other["sub"] = json!("somebody else");
                let forged = encode(other.to_string().as_bytes());
                let mut parts: Vec<&str> = good.split('.').collect();
                parts[1] = &forged;
                parts.join(".")
            }),
        ),
    ];
    for (said, make) in cases {
        let reason = reason(provider.finish(make));
        assert!(reason.contains(said), "{said}: {reason}");
    }
}

#[test]
fn a_new_key_of_the_provider_is_found_at_once() {
    let provider = Provider::new();
    let (old, new) = (Key::new(), Key::new());
    provider.says().keys = vec![old.jwk("old")];
    provider.finish(|claims| old.sign("old", &claims)).unwrap();
    let unknown = provider.finish(|claims| new.sign("new", &claims));
    assert!(reason(unknown).contains("signature is wrong"));
    provider.says().keys = vec![new.jwk("new")];
    provider.finish(|claims| new.sign("new", &claims)).unwrap();
    // And the old one counts no more.
    let withdrawn = provider.finish(|claims| old.sign("old", &claims));
    assert!(reason(withdrawn).contains("signature is wrong"));
}

#[test]
fn who_comes_back_otherwise_than_they_left_is_refused() {
    let provider = Provider::new();
    let refused = |change: &dyn Fn(&mut FinishOidc)| {
        let (started, _) = provider.start();
        let mut request = finish(&started);
        change(&mut request);
        reason(provider.oidc.finish("", &request, None))
    };
    assert!(refused(&|request| request.state.push('x')).contains("state"));
    assert!(refused(&|request| request.sign_in = SignInId::generate()).contains("under way"));
    let elsewhere = refused(&|request| request.issuer = Some("https://evil.example".to_owned()));
    assert!(elsewhere.contains("another provider"));
    // What was begun to open a session links no account.
    let (started, _) = provider.start();
    let account = Some(AccountId::generate());
    let linked = provider.oidc.finish("", &finish(&started), account);
    assert!(reason(linked).contains("something else"));
    assert!(provider.says().asked.is_empty());
}

#[test]
fn what_cannot_be_started_says_why() {
    let provider = Provider::with("redirect_uris = [\"https://keys.example.com/back\"]\n");
    let request = |redirect_uri: &str| StartOidc {
        provider: "corp".to_owned(),
        client_key: EphemeralKey::generate().public().into(),
        redirect_uri: redirect_uri.to_owned(),
        fresh: false,
    };
    for good in [
        "http://127.0.0.1:1/",
        "http://[::1]:1/a",
        "https://keys.example.com/back",
    ] {
        provider.oidc.start("", request(good), None).unwrap();
    }
    for bad in [
        "https://keys.example.com/back?x=1",
        "http://localhost:1/",
        "http://127.0.0.1.example.com/",
        "http://user@127.0.0.1/",
        "https://127.0.0.1/",
        "http://10.0.0.1/",
        "http://127.0.0.1/?a=b",
        "javascript:alert(1)",
        "",
    ] {
        let failure = provider.oidc.start("", request(bad), None).unwrap_err();
        assert_eq!(failure.code(), Code::Invalid, "{bad}");
    }
    let mut unknown = request("http://127.0.0.1:1/");
    unknown.provider = "nobody".to_owned();
    let failure = provider.oidc.start("", unknown, None).unwrap_err();
    assert_eq!(failure.code(), Code::ProviderNotFound);
    let mut no_key = request("http://127.0.0.1:1/");
    no_key.client_key.0.pop();
    let failure = provider.oidc.start("", no_key, None).unwrap_err();
    assert_eq!(failure.code(), Code::Invalid);
}

#[test]
fn a_provider_that_does_not_answer_is_waited_for_no_longer_than_its_time() {
    let provider = Provider::new();
    provider.says().hangs = true;
    let request = || StartOidc {
        provider: "corp".to_owned(),
        client_key: EphemeralKey::generate().public().into(),
        redirect_uri: "http://127.0.0.1:1/".to_owned(),
        fresh: false,
    };
    let since = Instant::now();
    let failure = provider.oidc.start("", request(), None).unwrap_err();
    assert_eq!(failure.code(), Code::ProviderUnavailable);
    assert!(failure.is_fault());
    assert!(since.elapsed() < Duration::from_secs(8));

    // And one whose certificate is of somebody else's authority is not spoken to.
    let other = Provider::new();
    let mut settings = provider.oidc.providers[0].settings.clone();
    settings.issuer.clone_from(&other.issuer);
    let deceived = Oidc::within(&[settings], Duration::from_secs(2)).unwrap();
    let failure = deceived.start("", request(), None).unwrap_err();
    assert_eq!(failure.code(), Code::ProviderUnavailable);
    assert!(other.says().asked.is_empty());
}

#[test]
fn a_fresh_sign_in_is_asked_for_and_has_to_be_one() {
    let mut provider = Provider::new();
    provider.fresh = true;
    let key = Key::new();
    provider.says().keys = vec![key.jwk("1")];
    let (_, query) = provider.start();
    assert_eq!(
        (query["prompt"].as_str(), query["max_age"].as_str()),
        ("login", "600")
    );
    let with = |ago: Option<i64>| {
        provider.finish(|mut claims| {
            if let Some(ago) = ago {
                claims["auth_time"] = json!(claims["iat"].as_i64().unwrap() - ago);
            }
            key.sign("1", &claims)
        })
    };
    with(Some(30)).unwrap();
    assert!(reason(with(Some(3600))).contains("too long ago"));
    assert!(reason(with(None)).contains("too long ago"));
}

#[test]
fn a_slow_provider_takes_some_threads_and_no_more() {
    let provider = Provider::new();
    provider.says().hangs = true;
    let start = || {
        let request = StartOidc {
            provider: "corp".to_owned(),
            client_key: EphemeralKey::generate().public().into(),
            redirect_uri: "http://127.0.0.1:1/".to_owned(),
            fresh: false,
        };
        let since = Instant::now();
        let failure = provider.oidc.start("", request, None).unwrap_err();
        assert_eq!(failure.code(), Code::ProviderUnavailable);
        since.elapsed()
    };
    let waited: Vec<Duration> = thread::scope(|scope| {
        let starts: Vec<_> = (0..20).map(|_| scope.spawn(start)).collect();
        starts.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let patient = waited
        .iter()
        .filter(|waited| **waited > Duration::from_secs(1));
    assert_eq!(patient.count(), 16, "{waited:?}");
}

#[test]
fn files_that_are_not_there_are_named_at_start() {
    let provider = Provider::new();
    let good = &provider.oidc.providers[0].settings;
    let mut no_secret = good.clone();
    no_secret.client_secret_file = "/nonexistent/secret".into();
    let mut no_ca = good.clone();
    no_ca.ca = "/nonexistent/ca.pem".into();
    let mut empty_ca = good.clone();
    empty_ca.ca = good.client_secret_file.clone();
    for (settings, said) in [
        (
            no_secret,
            "corp cannot be used: client_secret_file /nonexistent/secret",
        ),
        (no_ca, "/nonexistent/ca.pem"),
        (empty_ca, "does not hold certificates in PEM"),
    ] {
        let error = Oidc::new(&[settings]).err().unwrap().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn names_and_groups_count_as_the_settings_say() {
    let key = Key::new();
    let claimed = |settings: &str, change: &dyn Fn(&mut Value)| {
        let provider = Provider::with(settings);
        provider.says().keys = vec![key.jwk("1")];
        let proved = provider.finish(|mut claims| {
            change(&mut claims);
            key.sign("1", &claims)
        });
        proved.map(|proved| proved.claimed)
    };
    let email = "name_claim = \"email\"\n";
    let unverified = claimed(email, &|_| {}).unwrap();
    assert_eq!(unverified.name, None);
    assert_eq!(unverified.groups, None);
    let said = claimed(email, &|claims| claims["email_verified"] = json!(false)).unwrap();
    assert_eq!(said.name, None);
    let verified = claimed(email, &|claims| claims["email_verified"] = json!(true)).unwrap();
    assert_eq!(verified.name.as_deref(), Some("alice@example.com"));
    let own = claimed("name_claim = \"upn\"\n", &|claims| {
        claims["upn"] = json!("alice@corp");
    });
    assert_eq!(own.unwrap().name.as_deref(), Some("alice@corp"));

    for (names, given) in [("*@Example.com", true), ("*@example.org", false)] {
        let claimed = claimed(&format!("names = [{names:?}]\n"), &|_| {}).unwrap();
        assert_eq!(claimed.name.is_some(), given, "{names}");
    }

    let groups = "groups_claim = \"roles\"\ngroups = { a = \"group-a\" }\n";
    let one = claimed(groups, &|claims| claims["roles"] = json!("a")).unwrap();
    assert_eq!(one.groups.unwrap().held, ["group-a"]);
    let none = claimed(groups, &|_| {}).unwrap();
    assert_eq!(none.groups.unwrap().held, Vec::<String>::new());
    let elsewhere = claimed(groups, &|claims| {
        claims["_claim_names"] = json!({ "roles": "src1" });
    });
    assert_eq!(elsewhere.unwrap().groups, None);

    let late = claimed("max_age = 60\n", &|claims| {
        claims["auth_time"] = json!(claims["iat"].as_i64().unwrap() - 300);
    });
    assert!(reason_of(late).contains("too long ago"));
    let silent = claimed("max_age = 60\n", &|_| {});
    assert!(reason_of(silent).contains("too long ago"));
}

fn reason_of(claimed: Result<Claimed, Unproved>) -> &'static str {
    match claimed {
        Err(Unproved::Refused(reason)) => reason,
        other => unreachable!("{other:?}"),
    }
}
