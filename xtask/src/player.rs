//! Plays the story against an appliance.
//!
//! The player shows each command and what it printed, and stops at the first one that comes out otherwise than the
//! story says: a refusal the story expects has to happen, just as a success.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::{
    listeners::Listeners,
    process, state,
    story::{
        Act::{self, Absent, Remove, Same, Send, Tell, Type},
        Expect::{self, Learn, Refusal, Success},
        Person::{self, Admin, Alice, Bob},
        REPORT,
    },
    terminal::{command_line, shown},
};

/// Plays acts, and remembers what was learnt.
pub(crate) struct Player {
    strongroom: PathBuf,
    devices: PathBuf,
    known: BTreeMap<&'static str, String>,
    print: fn(&str),
    /// How many commands were typed.
    pub(crate) commands: usize,
    /// How many of them were refused, as they had to be.
    pub(crate) refusals: usize,
}

impl Player {
    /// A player with three fresh devices below `devices`, one with the report on it.
    pub(crate) fn new(strongroom: &Path, devices: PathBuf, print: fn(&str)) -> Result<Self> {
        let player = Self {
            strongroom: strongroom.to_owned(),
            devices,
            known: BTreeMap::new(),
            print,
            commands: 0,
            refusals: 0,
        };
        for person in [Admin, Alice, Bob] {
            state::make_private_folder(&player.device(person))?;
            state::write_private(
                &player.device(person).join("password"),
                generated_password()?.as_bytes(),
            )?;
        }
        state::write_private(&player.device(Alice).join("report.pdf"), REPORT)?;
        Ok(player)
    }

    /// Tells the player where the appliance is, which certificate to trust, and how its first administrator enrols.
    pub(crate) fn know_appliance(
        &mut self,
        listeners: Listeners,
        ca: &Path,
        admin: &str,
        admin_code: String,
    ) -> Result<()> {
        let ca = ca
            .to_str()
            .context("the state folder's name is not UTF-8")?;
        self.known.extend([
            ("client_url", listeners.client_url()),
            ("admin_url", listeners.admin_url()),
            ("ca", ca.to_owned()),
            ("admin", admin.to_owned()),
            ("admin_code", admin_code),
            ("password", "password".to_owned()),
        ]);
        Ok(())
    }

    /// Plays one act.
    ///
    /// # Errors
    ///
    /// What came out otherwise than the story says.
    pub(crate) fn act(&mut self, act: &Act) -> Result<()> {
        match act {
            Tell(what) => (self.print)(&format!("\n# {what}")),
            Type(person, words, expect) => self.command(*person, words, expect)?,
            Send(from, to, name) => {
                (self.print)(&format!("# {} sends {name} to {}.", from.name(), to.name()));
                fs::copy(self.device(*from).join(name), self.device(*to).join(name))
                    .with_context(|| format!("{name} cannot be sent"))?;
            }
            Same(one, other, name) => {
                let read = |person: &Person| fs::read(self.device(*person).join(name));
                let (one_has, other_has) = (read(one), read(other));
                if !matches!((one_has, other_has), (Ok(one_has), Ok(other_has)) if one_has == other_has)
                {
                    bail!(
                        "{} and {} should have the same {name}, and have not",
                        one.name(),
                        other.name()
                    );
                }
                let (one, other) = (one.name(), other.name());
                (self.print)(&format!("# {other}'s {name} is {one}'s, byte for byte."));
            }
            Remove(person, name) => fs::remove_file(self.device(*person).join(name))
                .with_context(|| format!("{} should have {name}, and has not", person.name()))?,
            Absent(person, name) => {
                if self.device(*person).join(name).exists() {
                    bail!("{} should not have {name}, and has", person.name());
                }
            }
        }
        Ok(())
    }

    fn command(&mut self, person: Person, words: &str, expect: &Expect) -> Result<()> {
        let words: Vec<String> = words
            .split(' ')
            .map(|word| self.fill(word))
            .collect::<Result<_>>()?;
        let line = command_line([&["strongroom".to_owned()], &words[..]].concat());
        (self.print)(&format!("{}$ {line}", person.name()));
        let device = self.device(person);
        let output = Command::new(&self.strongroom)
            .args(&words)
            .current_dir(&device)
            .env("HOME", &device)
            .env("STRONGROOM_HOME", device.join(".strongroom"))
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("{} cannot be started", shown(&self.strongroom)))?;
        let printed = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        for line in printed.lines().chain(complaint.lines()) {
            (self.print)(line);
        }
        self.commands += 1;
        match expect {
            Refusal(why) => {
                if output.status.success() || output.status.code().is_none() {
                    bail!(
                        "`{line}` should have been refused, and {}",
                        process::ended(output.status)
                    );
                }
                if !complaint.contains(why) {
                    bail!("`{line}` was refused, but not because of what is {why}");
                }
                self.refusals += 1;
            }
            _ if !output.status.success() => bail!("`{line}` {}", process::ended(output.status)),
            Success(names) => {
                for name in *names {
                    let name = self.fill(name)?;
                    if !printed.contains(&name) {
                        bail!("what `{line}` printed does not name {name}");
                    }
                }
            }
            Learn { field, name } => {
                let answer: serde_json::Value = serde_json::from_slice(&output.stdout)
                    .with_context(|| format!("what `{line}` printed is not JSON"))?;
                let value = answer.pointer(field).and_then(serde_json::Value::as_str);
                let value =
                    value.with_context(|| format!("what `{line}` printed has no {field}"))?;
                self.known.insert(name, value.to_owned());
            }
        }
        Ok(())
    }

    /// The word with what is known in the place of `{name}`.
    fn fill(&self, word: &str) -> Result<String> {
        match word
            .strip_prefix('{')
            .and_then(|word| word.strip_suffix('}'))
        {
            None => Ok(word.to_owned()),
            Some(name) => self
                .known
                .get(name)
                .cloned()
                .with_context(|| format!("the story does not know {name} yet")),
        }
    }

    fn device(&self, person: Person) -> PathBuf {
        self.devices.join(person.name())
    }
}

/// 128 random bits in hexadecimal, from the operating system.
fn generated_password() -> Result<String> {
    let mut bytes = [0; 16];
    let mut random = fs::File::open("/dev/urandom").context("/dev/urandom cannot be read")?;
    random
        .read_exact(&mut bytes)
        .context("/dev/urandom cannot be read")?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::collections::BTreeSet;

    use super::*;
    use crate::story::DONE;

    /// A player whose `strongroom` is a shell script.
    fn player(script: &str) -> (tempfile::TempDir, Player) {
        let temp = tempfile::tempdir().unwrap();
        let program = temp.path().join("strongroom");
        process::make_script(&program, script).unwrap();
        let player = Player::new(&program, temp.path().join("devices"), |_| {}).unwrap();
        (temp, player)
    }

    fn play(player: &mut Player, acts: &[Act]) -> Result<()> {
        acts.iter().try_for_each(|act| player.act(act))
    }

    #[test]
    fn each_person_has_a_device_and_a_password_of_their_own() {
        let (_temp, player) = player("");
        let read = |person| fs::read_to_string(player.device(person).join("password")).unwrap();
        let passwords = BTreeSet::from([Admin, Alice, Bob].map(read));
        assert_eq!(passwords.len(), 3);
        assert!(passwords.iter().all(|password| password.len() == 32));
        assert_eq!(
            fs::read(player.device(Alice).join("report.pdf")).unwrap(),
            REPORT
        );
    }

    #[test]
    fn a_success_where_a_refusal_belongs_ends_the_story() {
        let (_temp, mut player) = player("exit 0");
        let error = play(
            &mut player,
            &[Type(Bob, "open report.pdf.sealed", Refusal("revoked"))],
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`strongroom open report.pdf.sealed` should have been refused, and ended with exit status 0"
        );
    }

    #[test]
    fn a_refusal_where_a_success_belongs_ends_the_story() {
        let (_temp, mut player) = player("echo it was revoked >&2; exit 1");
        let error = play(&mut player, &[Type(Bob, "login bob@example.com", DONE)]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`strongroom login bob@example.com` ended with exit status 1"
        );
        assert!(
            play(
                &mut player,
                &[Type(Bob, "open report.pdf.sealed", Refusal("revoked"))]
            )
            .is_ok()
        );
        assert_eq!((player.commands, player.refusals), (2, 1));
        let other = Type(Bob, "open report.pdf.sealed", Refusal("destroyed"));
        let error = play(&mut player, &[other]).unwrap_err();
        assert!(error.to_string().contains("but not because"), "{error}");
    }

    #[test]
    fn a_crash_is_no_refusal() {
        let (_temp, mut player) = player("kill -9 $$");
        assert!(
            play(
                &mut player,
                &[Type(Bob, "open report.pdf.sealed", Refusal("revoked"))]
            )
            .is_err()
        );
    }

    #[test]
    fn what_is_learnt_is_used() {
        let (_temp, mut player) = player(r#"echo "{\"key_id\": \"k-$1\"}""#);
        let acts = [
            Type(
                Alice,
                "protect",
                Learn {
                    field: "/key_id",
                    name: "key",
                },
            ),
            Type(Alice, "show {key}", Success(&["k-show"])),
        ];
        play(&mut player, &acts).unwrap();
        assert_eq!(player.known["key"], "k-protect");
        let missing = Type(Alice, "show", Success(&["{key}"]));
        let error = play(&mut player, &[missing]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "what `strongroom show` printed does not name k-protect"
        );
    }

    #[test]
    fn files_are_sent_compared_and_missed() {
        let (_temp, mut player) = player("");
        assert!(play(&mut player, &[Same(Alice, Bob, "report.pdf")]).is_err());
        let acts = [
            Absent(Bob, "report.pdf"),
            Send(Alice, Bob, "report.pdf"),
            Same(Alice, Bob, "report.pdf"),
            Remove(Bob, "report.pdf"),
            Absent(Bob, "report.pdf"),
        ];
        play(&mut player, &acts).unwrap();
        assert!(play(&mut player, &[Absent(Alice, "report.pdf")]).is_err());
    }
}
