//! What is written is read back, and what is no configuration is refused with its line.

#![expect(clippy::unwrap_used, reason = "tests")]

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use strongroom_wire::key::Protection;

use super::*;

fn text() -> impl Strategy<Value = String> {
    // Quotation marks, backslashes, line breaks and other scripts are all a label's right.
    vec(any::<char>(), 0..20).prop_map(|chars| chars.into_iter().collect())
}

fn path() -> impl Strategy<Value = PathBuf> {
    text().prop_map(|name| PathBuf::from(format!("/{name}")))
}

fn token() -> impl Strategy<Value = TokenConfig> {
    let files = (
        path(),
        option::of(path()),
        option::of(path()),
        option::of(path()),
    );
    let names = (
        text(),
        vec(text(), 0..4),
        option::of(text()),
        option::of(text()),
        1..=LONGEST_ANSWERS_WITHIN,
        select(&[Protection::Software, Protection::Hsm][..]),
    );
    (files, names).prop_map(|(files, names)| TokenConfig {
        label: names.0,
        addresses: names.1,
        roots: files.0,
        account: names.2,
        certificate: files.1,
        key: files.2,
        secret: files.3,
        domain: names.3,
        answers_within: names.4,
        protection: names.5,
    })
}

fn config() -> impl Strategy<Value = Config> {
    let log = (option::of(path()), any::<bool>(), select(&Level::ALL[..]));
    let hide = subsequence(&Hidden::ALL[..], 0..=Hidden::ALL.len());
    (0..=LONGEST_CURRENT, vec(token(), 0..4), log, hide).prop_map(
        |(current_for, tokens, (file, syslog, level), hide)| Config {
            current_for,
            tokens,
            log: LogConfig {
                file,
                syslog,
                level,
            },
            compatibility: Compatibility { hide },
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(config in config()) {
        let written = config.to_toml().unwrap();
        prop_assert_eq!(Config::from_toml(&written).unwrap(), config);
    }

    #[test]
    fn any_text_is_read_or_refused_in_one_line(text in text()) {
        if let Err(error) = Config::from_toml(&text) {
            let sentence = error.to_string();
            prop_assert!(sentence.starts_with("the configuration cannot be used: "), "{}", sentence);
            prop_assert_eq!(sentence.lines().count(), 1, "{}", sentence);
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pkcs11.toml");
    for (text, said) in [
        (
            "[[token]]\nlabel = \"a\"\nadresses = []\nroots = \"/r\"\n",
            "line 3: unknown field `adresses`",
        ),
        ("\n[log]\nlevel = \"loud\"\n", "line 3: unknown variant"),
        ("[[token]]\nlabel = \"a\"\n", "missing field"),
        ("current-for = 2000", "current-for is at most 1000"),
        (
            "[[token]]\nlabel = \"a\"\naddresses = []\nroots = \"/r\"\nanswers-within = 0\n",
            "answers-within is 1 to 120",
        ),
        ("{", "line 1: "),
    ] {
        std::fs::write(&file, text).unwrap();
        let sentence = Config::read(&file).unwrap_err().to_string();
        assert!(
            sentence.contains("pkcs11.toml cannot be used: "),
            "{sentence}"
        );
        assert!(sentence.contains(said), "{sentence}");
    }
    std::fs::write(&file, vec![b'#'; usize::try_from(LARGEST).unwrap() + 1]).unwrap();
    assert!(matches!(
        Config::read(&file),
        Err(ConfigError::TooLarge { .. })
    ));
}

#[test]
fn the_environment_counts_before_the_user_and_the_user_before_the_system() {
    let places = |variables: &[(&str, &str)]| {
        let found = Found::places_by(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.into())
        });
        let found = found.into_iter();
        found
            .map(|found| (found.place, found.path.to_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let system = (Place::System, SYSTEM.to_owned());
    assert_eq!(places(&[("HOME", "relative")]), places(&[]));
    let all = places(&[(VARIABLE, "/v"), ("HOME", "/h"), ("XDG_CONFIG_HOME", "/x")]);
    let users = (Place::User, "/x/strongroom/pkcs11.toml".to_owned());
    let named = (Place::Variable, "/v".to_owned());
    assert_eq!(all, [named, users, system.clone()]);
    let users = (Place::User, "/h/.config/strongroom/pkcs11.toml".to_owned());
    assert_eq!(
        places(&[(VARIABLE, ""), ("HOME", "/h")]),
        [users, system.clone()]
    );
    assert_eq!(places(&[]), [system]);
}

#[test]
fn the_reserved_string_names_a_file_or_is_refused() {
    let path = |reserved| Found::find(Some(reserved)).unwrap().unwrap().path;
    assert_eq!(path("config=/a/b"), Path::new("/a/b"));
    assert_eq!(path(" /a/b "), Path::new("/a/b"));
    let refused = Found::find(Some("parameters of another module"));
    assert!(matches!(refused, Err(ConfigError::NotAbsolute)));
}

#[test]
fn a_token_that_cannot_be_used_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "nothing of use").unwrap();
    let token = TokenConfig::new("web", "https://keys.example.com", &file);
    let said = |token: &TokenConfig| token.client().err().unwrap().to_string();
    assert!(said(&token).contains("no certificate"), "{}", said(&token));
    let nowhere = TokenConfig {
        roots: folder.path().join("none"),
        ..token.clone()
    };
    assert!(
        said(&nowhere).contains("none cannot be read"),
        "{}",
        said(&nowhere)
    );
    let lonely = TokenConfig {
        key: Some(file.clone()),
        ..token.clone()
    };
    assert!(
        lonely
            .identity()
            .err()
            .unwrap()
            .to_string()
            .contains("no certificate")
    );
    let secret = TokenConfig {
        secret: Some(file),
        ..token.clone()
    };
    let error = secret.read_secret().err().unwrap().to_string();
    assert!(error.contains("holds no secret"), "{error}");
    assert!(!error.contains("nothing of use"), "{error}");
    let named = TokenConfig {
        account: Some("web".to_owned()),
        ..token
    };
    assert!(
        named
            .account_id()
            .err()
            .unwrap()
            .to_string()
            .contains("no identifier")
    );
}
