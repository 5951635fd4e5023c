#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const MINIMAL: &str = "[hsm]\nmodule = \"/usr/lib/softhsm/libsofthsm2.so\"\n";

fn load(text: &str) -> Result<(Config, PathBuf), ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strongroom.toml");
    fs::write(&path, text).unwrap();
    Config::load(&path).map(|config| (config, folder.path().to_owned()))
}

const EXAMPLE: &str = include_str!("../../strongroom.example.toml");

#[test]
fn the_example_holds_every_setting_with_its_default() {
    let [from_example, minimal] = [EXAMPLE, MINIMAL].map(|text| {
        let mut config: Config = toml::from_str(text).unwrap();
        config.resolve(Path::new("/etc/strongroom"));
        // In the file, what is left out is known from what is said.
        let hsm = (config.hsm.members().unwrap(), config.hsm.deadline());
        config.hsm = Hsm::default();
        (config, hsm)
    });
    assert_eq!(from_example, minimal);

    // Whichever setting is taken away, the example has it: Debug names every field of the structure.
    let fields = format!("{:?}", toml::from_str::<Config>(EXAMPLE).unwrap());
    let mut named: Vec<&str> = fields
        .split([' ', '{', ','])
        .filter_map(|word| word.strip_suffix(':'))
        .collect();
    named.sort_unstable();
    let all = shown(|line| line);
    let example: toml::Table = toml::from_str(&all).unwrap();
    let mut written: Vec<&str> = example
        .iter()
        .flat_map(|(name, value)| {
            let inner = value.as_table().into_iter().flatten();
            std::iter::once(name.as_str()).chain(inner.map(|(name, _)| name.as_str()))
        })
        .collect();
    written.sort_unstable();
    assert_eq!(written, named);
}

#[test]
fn the_kept_checkpoint_is_named_so_alone() {
    let audit = |name: &str| load(&format!("{MINIMAL}[audit]\n{name} = \"/mnt/kept\"\n"));
    let (config, _) = audit("checkpoint_file").unwrap();
    assert_eq!(config.kept_checkpoint(), Path::new("/mnt/kept"));
    assert!(audit("witness_file").is_err());
    // Nor is a folder of that name looked into.
    let (config, _) = load(MINIMAL).unwrap();
    fs::create_dir_all(config.data.join("witness")).unwrap();
    fs::write(config.data.join("witness/checkpoint"), "").unwrap();
    assert_eq!(config.kept_checkpoint(), config.data.join(CHECKPOINT));
}

/// The example with the settings that are commented out in it.
fn shown(line: impl Fn(&str) -> &str) -> String {
    let lines = EXAMPLE.lines().map(|text| match text.strip_prefix('#') {
        Some(setting) if !setting.starts_with([' ', '#']) && !setting.is_empty() => line(setting),
        _ => line(text),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn what_is_commented_out_in_the_example_can_be_used() {
    let with_replica = shown(|line| {
        let yubihsm = ["connector", "usb", "auth_key", "device_domain"];
        if yubihsm.iter().any(|name| line.starts_with(name)) {
            ""
        } else {
            line
        }
    });
    let with_replica = with_replica.replace("\nfolder = \"\"", "\nfolder = \"backups\"");
    let (config, _) = load(&with_replica).unwrap();
    let members = config.hsm.members().unwrap();
    assert_eq!(members[1].place, Place::Replica);

    let yubihsm = EXAMPLE
        .replace("module = ", "#module = ")
        .replace("\ntoken = ", "\n#token = ")
        .replace("\nsessions = ", "\n#sessions = ")
        .replace("#connector = ", "connector = ")
        .replace("#auth_key = ", "auth_key = ");
    let (config, _) = load(&yubihsm).unwrap();
    let members = config.hsm.members().unwrap();
    assert!(matches!(members[0].device, Device::YubiHsm { .. }));
}

#[test]
fn paths_are_relative_to_the_file() {
    let (config, folder) = load(MINIMAL).unwrap();
    assert_eq!(config.database(), folder.join("strongroom.db"));
    assert_eq!(config.tls.key, folder.join("tls/server.key"));
    let member = config.hsm.members().unwrap().remove(0);
    assert_eq!(
        member.pin.to_string(),
        format!("file:{}", folder.join("hsm-pin").display())
    );
}

#[test]
fn what_is_unknown_missing_or_absurd_is_refused_in_one_line() {
    for (text, expected) in [
        (&format!("nmae = \"x\"\n{MINIMAL}"), "nmae"),
        (&format!("{MINIMAL}pin = \"1234\"\n"), "source of the PIN"),
        (&format!("{MINIMAL}auth_key = 2\n"), "YubiHSM 2"),
        (&"[hsm]\n".to_owned(), "names no HSM"),
        (&"name = \"x\"\n".to_owned(), "hsm"),
        (&format!("name = \"a b\"\n{MINIMAL}"), "letters"),
        (
            &format!("{MINIMAL}[keystore]\nsession_lifetime = 0\n"),
            "line 4",
        ),
        (&format!("{MINIMAL}[limits]\nbody = 10\n"), "1024"),
        (&format!("{MINIMAL}[mail]\nrelay = \"a\"\n"), "mail.from"),
        (
            &format!("{MINIMAL}[mail]\nrelay = \"a\"\nfrom = \"b@c\"\ntls = \"none\"\n"),
            "mail.tls",
        ),
        (
            &format!("{MINIMAL}[passkeys]\norigins = [\"http://a\"]\n"),
            "passkeys",
        ),
        (
            &format!("{MINIMAL}[limits]\naddress_failures = 4000000000\n"),
            "100000",
        ),
        (
            &format!("{MINIMAL}[limits]\naccount_failure_seconds = 86401\n"),
            "a day",
        ),
        (&format!("{MINIMAL}[log]\nlevel = \"trace\"\n"), "line 4"),
    ] {
        let message = load(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }
}

#[test]
fn a_missing_file_says_what_to_do() {
    let error = Config::load(Path::new("/nonexistent/strongroom.toml")).unwrap_err();
    assert!(error.to_string().contains("strongroomd init"), "{error}");
}

#[test]
fn what_init_writes_reads_back() {
    let hsm = Hsm {
        module: Some("/a \"quoted\" folder/module.so".into()),
        token: Some("strongroom".to_owned()),
        pin: Some("credential:pin".parse().unwrap()),
        ..Hsm::default()
    };
    let initial = InitialConfig {
        domain: None,
        name: "vault.example.com",
        listen: InitialListen {
            client: "[::1]:1".parse().unwrap(),
            admin: "127.0.0.1:2".parse().unwrap(),
        },
        hsm: &hsm,
    };
    let (config, _) = load(&initial.text(&Settings::default()).unwrap()).unwrap();
    assert_eq!(config.origin(), "vault.example.com/default");
    assert_eq!(config.listen.client, initial.listen.client);
    assert_eq!(config.hsm, hsm);
}

#[test]
fn passkeys_are_made_for_the_appliance_unless_said_otherwise() {
    let (config, _) = load(&format!("name = \"keys.example.com\"\n{MINIMAL}")).unwrap();
    let party = config.keystore_options().passkeys;
    assert_eq!(party.id, "keys.example.com");
    assert_eq!(
        party.origins,
        [
            "https://keys.example.com:8443",
            "https://keys.example.com:9443",
            "https://keys.example.com"
        ]
    );
    let given = "[passkeys]\nrp_id = \"example.com\"\norigins = [\"https://a.example.com\"]\n";
    let party = load(&format!("{MINIMAL}{given}")).unwrap().0;
    let party = party.keystore_options().passkeys;
    assert_eq!(party.id, "example.com");
    assert_eq!(party.origins, ["https://a.example.com"]);
}
