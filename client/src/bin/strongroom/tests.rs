//! What the command line takes and refuses.

#![expect(clippy::unwrap_used, reason = "tests")]

use clap::CommandFactory;

use super::*;

fn parses(line: &str) -> bool {
    Cli::try_parse_from(line.split(' ')).is_ok()
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn what_the_guide_shows_is_taken() {
    for line in [
        "strongroom enrol alice@example.com --server https://a --ca ca.pem --code c --password-file -",
        "strongroom login alice@example.com --password-file pw",
        "strongroom login",
        "strongroom --home h --json status",
        "strongroom logout --home h --json",
        "strongroom protect report.pdf --to bob@example.com --to eve@example.com -o out --not-before +1h \
         --not-after 2027-01-01 --max-releases 3",
        "strongroom protect - --label note",
        "strongroom open report.pdf.sealed -o -",
        "strongroom message seal note.txt --to bob@example.com --label note --content-type text/plain -o note --keep-for 15m",
        "strongroom message open note.txt.sealed -o - --force",
        "strongroom keys list --label r --sender a --recipient b --state active --from -7d --until +0s --limit 5",
        "strongroom keys list --all",
        "strongroom keys show report.pdf.sealed",
        "strongroom keys create --label k --algorithm hmac-sha-256 --to bob@example.com",
        "strongroom keys create --algorithm ec-p256 --no-release --authenticate-each --mechanisms ecdsa-sha-256",
        "strongroom keys tighten k --no-release --authenticate-each",
        "strongroom keys share k --with bob@example.com --rights release,decrypt --not-after +1d --max-releases 1",
        "strongroom keys share k --with bob@example.com --until friday --releases 3 --from 10.0.0.0/8 --hours 08:00-18:00 \
         --kinds person,device --min-sign-in two-factor",
        "strongroom keys policy show k",
        "strongroom keys policy set k --keep-for 15m --only-rights release,decrypt --lift from,hours",
        "strongroom keys policy set k --grant bob@example.com --operations-only",
        "strongroom keys preview k --for bob@example.com --right share --from 10.1.2.3 --at friday --sign-in passkey",
        "strongroom step-up --password-file -",
        "strongroom domain policy show",
        "strongroom domain policy set --bind-sessions-to-address --step-up-within 5m --min-sign-in password",
        "strongroom domain policy set --forbid-mechanisms rsa-pkcs1,rsa-oaep-sha-1",
        "strongroom keys preview k --right sign --mechanism ecdsa",
        "strongroom domain policy set --bind-sessions-to-address false --lift min-sign-in",
        "strongroom keys revoke k --from bob@example.com",
        "strongroom keys rotate k",
        "strongroom keys state k suspended",
        "strongroom keys destroy k --yes",
        "strongroom audit tail -n 5 --follow",
        "strongroom audit checkpoint",
        "strongroom audit proof 17",
        "strongroom appliance attest",
        "strongroom appliance attest --expect strongroom_0.1.0.pcr.json --signer signer.pem --save attested.json --force",
        "strongroom appliance attest --check attested.json --expect strongroom_0.1.0.pcr.json \
         --tpm 31:41:59:26:53:58:97:93:23:84:62:64:33:83:27:95:02:88:41:97:16:93:99:37:51:05:82:09:74:94:45:92",
        "strongroom appliance attest --leaf 17",
        "strongroom sessions list",
        "strongroom sessions end 01934c1e-7d5a-7cc0-8f3e-0123456789ab",
        "strongroom groups members g",
        "strongroom groups add g bob@example.com --manager",
        "strongroom groups remove g bob@example.com",
        "strongroom accounts create bob@example.com --role auditor --role administrator",
        "strongroom accounts create team --kind group --manager alice@example.com",
        "strongroom accounts list",
        "strongroom accounts show bob@example.com",
        "strongroom accounts suspend bob@example.com",
        "strongroom accounts activate bob@example.com",
        "strongroom accounts invite bob@example.com",
        "strongroom accounts roles bob@example.com --role auditor",
        "strongroom accounts roles bob@example.com --role security-officer,administrator",
        "strongroom directory add entra --until 2027-06-30 --from 192.0.2.0/24,10.0.0.0/8",
        "strongroom directory list --json",
        "strongroom directory token entra --until +90d",
        "strongroom directory remove entra --yes",
        "strongroom directory adopt entra bob@example.com",
        "strongroom directory release entra bob@example.com",
        "strongroom rotation start-master",
        "strongroom rotation status",
        "strongroom rotation status --follow --json",
        "strongroom rotation retire 1",
        "strongroom rotation destroy 1 --yes",
        "strongroom rotation account alice@example.com",
        "strongroom pkcs11 configure --address https://a,https://b --roots ca.pem --credentials - --hide edwards,post-quantum",
        "strongroom pkcs11 configure payroll --system --secret payroll.secret --log l --log-level debug --module m.so --replace",
        "strongroom pkcs11 configure --label payroll -o pkcs11.toml --certificate c.pem --key c.key --syslog --no-p11-kit --json",
        "strongroom pkcs11 doctor --config pkcs11.toml --token payroll --pin-file - --module m.so --json",
    ] {
        let words = line.split_whitespace();
        let parsed = Cli::try_parse_from(words);
        assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    for line in [
        "strongroom",
        "strongroom protect",
        "strongroom protect a --until someday",
        "strongroom protect a --max-releases -1",
        "strongroom keys list --limit 0",
        "strongroom keys list --limit 1001",
        "strongroom keys list --all --limit 5",
        "strongroom keys list --state asleep",
        "strongroom keys state k destroyed",
        "strongroom keys share k",
        "strongroom keys share k --with b --from example.com",
        "strongroom keys share k --with b --hours 8-18",
        "strongroom keys share k --with b --min-sign-in blood",
        "strongroom keys policy set k --lift everything",
        "strongroom domain policy set --step-up-within soon",
        "strongroom keys create --authenticate-each",
        "strongroom keys tighten k",
        "strongroom keys share k --with b --rights everything",
        "strongroom accounts create team --kind group",
        "strongroom accounts create bob --role king",
        "strongroom sessions end yesterday",
        "strongroom rotation destroy",
        "strongroom rotation retire first",
        "strongroom pkcs11 configure --secret s --credentials c",
        "strongroom pkcs11 configure --secret s --certificate c",
        "strongroom pkcs11 configure --key k",
        "strongroom pkcs11 configure --system --output f",
        "strongroom pkcs11 configure --module m --no-p11-kit",
        "strongroom pkcs11 configure --hide everything",
        "strongroom pkcs11 configure --label 123456789012345678901234567890123",
        "strongroom pkcs11 doctor --pin 1234",
    ] {
        assert!(!parses(line), "{line}");
    }
}

#[test]
fn help_tells_the_exit_codes_and_hides_the_agent() {
    let help = Cli::command().render_help().to_string();
    for text in [
        "3 refused by the appliance",
        "4 not signed in",
        "5 appliance not reached",
        "protect",
        "accounts",
    ] {
        assert!(help.contains(text), "{text}");
    }
    assert!(!help.contains("agent"));
}
