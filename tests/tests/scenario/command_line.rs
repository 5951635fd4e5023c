//! The driver over the command line.

use std::collections::HashMap;
use std::fs;

use serde_json::Value;
use strongroom_tests::{Appliance, Person};

use super::{Driver, Reply};

pub(crate) struct CommandLine {
    people: HashMap<String, Person>,
}

impl CommandLine {
    pub(crate) fn new(appliance: &Appliance) -> Self {
        let people = super::PEOPLE.map(|who| format!("{who}@example.com"));
        Self {
            people: people
                .map(|who| (who.clone(), Person::new(appliance, &who)))
                .into(),
        }
    }
}

/// Runs a command with `--json`: its answer, or the kind of error.
fn run(person: &Person, words: &[&str]) -> Result<Value, String> {
    let outcome = person.run(&[words, &["--json"]].concat());
    if outcome.status.success() {
        return Ok(outcome.json());
    }
    let problem = outcome.failure().problem();
    let kind = problem["kind"].as_str();
    Err(kind
        .unwrap_or_else(|| panic!("{words:?}: {problem}"))
        .to_owned())
}

/// Runs a command that gets its recipients by `--to`; answers the key that it made.
fn make(person: &Person, words: &[&str], recipients: &[&str]) -> Reply {
    let mut words = words.to_vec();
    for recipient in recipients {
        words.extend(["--to", recipient]);
    }
    run(person, &words).map(|answer| {
        let id = answer.get("key_id").unwrap_or_else(|| &answer["key"]["id"]);
        id.as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    })
}

impl Driver for CommandLine {
    fn act(&mut self, who: &str, words: &[&str]) -> Option<Reply> {
        let person = &self.people[who];
        let nothing = |done: Result<Value, String>| done.map(|_| String::new());
        Some(match words {
            ["sign-in", _] => {
                let _ = person.login().success();
                Ok(String::new())
            }
            ["seal-message", from, to, recipients @ ..] => {
                let seal = [
                    "message",
                    "seal",
                    from,
                    "-o",
                    to,
                    "--label",
                    "note",
                    "--content-type",
                    "text/plain",
                ];
                make(person, &seal, recipients)
            }
            ["open-message", from, to] => {
                nothing(run(person, &["message", "open", from, "-o", to]))
            }
            ["message-header", from] => {
                let opened = run(
                    person,
                    &["message", "open", from, "-o", "opened", "--force"],
                );
                opened.map(|header| {
                    let recipients = header["recipients"].as_array().unwrap();
                    let names: Vec<_> = recipients
                        .iter()
                        .map(|name| name.as_str().unwrap())
                        .collect();
                    format!(
                        "{} {}",
                        header["content_type"].as_str().unwrap(),
                        names.join(",")
                    )
                })
            }
            ["seal-batch", from, to, recipients @ ..] => {
                let text = fs::read_to_string(from).unwrap();
                for (number, line) in text.lines().enumerate() {
                    fs::write(person.file("line"), line).unwrap();
                    let target = format!("{to}.{number}");
                    let seal = [
                        "message", "seal", "line", "-o", &target, "--label", "reading",
                    ];
                    make(person, &seal, recipients).unwrap();
                }
                Ok(text.lines().count().to_string())
            }
            ["open-batch", from, count, to] => {
                let count: usize = count.parse().unwrap();
                let mut opened = Vec::new();
                for number in 0..count {
                    let source = format!("{from}.{number}");
                    match run(
                        person,
                        &["message", "open", &source, "-o", "line", "--force"],
                    ) {
                        Ok(_) => opened.extend(fs::read(person.file("line")).unwrap()),
                        Err(kind) => opened.extend(kind.into_bytes()),
                    }
                    opened.push(b'\n');
                }
                fs::write(to, opened).unwrap();
                Ok(String::new())
            }
            ["protect-file", from, to, recipients @ ..] => {
                make(person, &["protect", from, "-o", to], recipients)
            }
            // A file with another name, for what the label is.
            ["protect-stream", from, to, recipients @ ..] => make(
                person,
                &["protect", from, "-o", to, "--label", "stream"],
                recipients,
            ),
            ["open-file" | "open-stream", from, to] => {
                nothing(run(person, &["open", from, "-o", to]))
            }
            ["read-range", from, offset, length, to] => {
                let open = ["open", from, "--offset", offset, "--length", length];
                nothing(run(person, &[&open[..], &["-o", to]].concat()))
            }
            _ => return keys(person, words),
        })
    }
}

/// Runs `verify`, which fails where the signature is not right.
fn verify_by(person: &Person, words: &[&str]) -> Reply {
    let outcome = person.run(&[words, &["--json"]].concat());
    if outcome.status.success() {
        assert_eq!(outcome.json()["valid"], true, "{words:?}");
        return Ok("valid".to_owned());
    }
    let problem = outcome.failure().problem();
    if let Some(kind) = problem["kind"].as_str() {
        return Err(kind.to_owned());
    }
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("is not the signature of"), "{detail}");
    Ok("invalid".to_owned())
}

/// What is done with keys.
fn keys(person: &Person, words: &[&str]) -> Option<Reply> {
    let nothing = |done: Result<Value, String>| done.map(|_| String::new());
    Some(match words {
        ["create-key", label, recipients @ ..] => {
            make(person, &["keys", "create", "--label", label], recipients)
        }
        ["create-pair", label, algorithm, recipients @ ..] => {
            let create = ["keys", "create", "--no-release", "--label", label];
            let pair = [&create[..], &["--algorithm", algorithm]].concat();
            make(person, &pair, recipients)
        }
        ["sign", key, from, to] => nothing(run(person, &["sign", key, from, "-o", to])),
        ["verify", key, version, from, signature] => {
            let verify = ["verify", key, from, "--signature", signature];
            let verify = [&verify[..], &["--key-version", version]].concat();
            verify_by(person, &verify)
        }
        // The command line gives nobody a key's material.
        ["obtain", ..] => return None,
        ["find", label] => run(person, &["keys", "list", "--label", label])
            .map(|page| page["keys"].as_array().unwrap().len().to_string()),
        ["share", key, account] => nothing(run(person, &["keys", "share", key, "--with", account])),
        ["revoke", key, account] => {
            nothing(run(person, &["keys", "revoke", key, "--from", account]))
        }
        ["rotate", key] => {
            run(person, &["keys", "rotate", key]).map(|answer| answer["key"]["version"].to_string())
        }
        ["destroy", key] => nothing(run(person, &["keys", "destroy", key, "--yes"])),
        _ => panic!("{words:?}"),
    })
}
