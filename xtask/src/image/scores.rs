//! How the image does by a guide: ANSSI-BP-028, level high, as openscap reads it in the content that Debian packages.
//!
//! The content asks files of a Debian 12, and openscap reads them in a folder: nothing is started. What an image of ours keeps elsewhere is laid where the
//! content looks for it, in a copy of the root; nothing is laid there that the image is not.
//!
//! | laid into the copy | from |
//! |---|---|
//! | `/etc/os-release`, `/etc/debian_version` | nothing: without Debian 12's name no rule applies |
//! | dpkg's database | the packages of which a file is left in the root |
//! | `/boot/config-*` | the kernel's package |
//! | GRUB's command line | the command line in the signed kernel image |
//! | `/proc/sys` | the settings that systemd-sysctl makes, and the processor's name |
//! | `/etc/fstab` | the mount units |

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{Bench, papers::contents, read, tools, write};

/// The least share of the rules that apply, in percent, that hold or are excepted with a reason.
const LEAST: usize = 95;

const PROFILE: &str = "anssi_bp28_high";

/// What the guide's rules came out as, by their short names.
type Results = BTreeMap<String, Outcome>;

/// What became of a rule that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Holds,
    /// It does not hold, or nobody could tell.
    Fails,
    /// It is about what the image has not.
    DoesNotApply,
}

/// How an image came out.
#[derive(Debug, PartialEq, Eq)]
struct Score {
    /// How many rules apply.
    apply: usize,
    /// How many of those hold.
    hold: usize,
    /// How many do not, and stand in the list of exceptions.
    excepted: usize,
    /// Those that neither hold nor stand there.
    fail: Vec<String>,
}

/// Judges the root that was built.
///
/// # Errors
///
/// When less than 95 % of the rules that apply hold or are excepted in `image/scores.list`, with those that do not; when an exception there is of a rule that
/// holds, does not apply, or is none.
pub(crate) fn check(bench: &Bench) -> Result<String> {
    let judges = tools::judges(bench)?;
    lay_out(bench, &judges)?;
    let said = judges.sh(
        // Its exit status is 2 where a rule fails.
        "OSCAP_PROBE_ROOT=/bench/judged oscap xccdf eval --profile xccdf_org.ssgproject.content_profile_$1 \
           /usr/share/xml/scap/ssg/content/ssg-debian12-ds.xml 2>/dev/null || [ $? = 2 ]",
        &[PROFILE],
    )?;
    let list = read(&bench.sources.join("scores.list"))?;
    let score = judge(&results(&said), &exceptions(&list)?)?;
    super::remove(&bench.work.join("judged"))?;
    let content = judges.sh("dpkg-query -W -f='${Version}' ssg-debian", &[])?;
    if score.percent() < LEAST {
        bail!(
            "{} % of the rules hold or are excepted; these are not: {}",
            score.percent(),
            score.fail.join(", ")
        );
    }
    let failing = match score.fail.as_slice() {
        [] => String::new(),
        fail => format!(", and do not: {}", fail.join(", ")),
    };
    Ok(format!(
        "{} %: of {} rules of ssg-debian {content} that apply, {} hold, {} are excepted with a reason in image/scores.list{failing}",
        score.percent(),
        score.apply,
        score.hold,
        score.excepted
    ))
}

impl Score {
    /// What holds or is excepted, of what applies, in percent, rounded down.
    fn percent(&self) -> usize {
        (self.hold + self.excepted) * 100 / self.apply.max(1)
    }
}

/// Makes the copy of the root that is judged.
fn lay_out(bench: &Bench, judges: &tools::Tools) -> Result<()> {
    judges.sh(
        "rm -rf judged; cp -a root judged; rm -f judged/etc/os-release judged/usr/lib/os-release; \
         mkdir -p judged/etc/default judged/boot/grub judged/sys/firmware/efi judged/proc/sys/kernel judged/var/lib/dpkg",
        &[],
    )?;
    let judged = bench.work.join("judged");
    let base = bench.chroots.join("base");
    let left = contents::in_root(&base, &bench.work.join("root"))?;
    let mounts = mount_units(&bench.work.join("root/usr/lib/systemd/system"))?;
    let command_line = read(&bench.work.join("cmdline"))?;
    let files = [
        (
            "usr/lib/os-release",
            "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n".to_owned(),
        ),
        ("etc/debian_version", "12.0\n".to_owned()),
        (
            "var/lib/dpkg/status",
            status(&read(&base.join("var/lib/dpkg/status"))?, &left),
        ),
        (
            "etc/default/grub",
            format!("GRUB_CMDLINE_LINUX=\"{command_line}\"\n"),
        ),
        ("proc/sys/kernel/arch", "x86_64\n".to_owned()),
        (
            "etc/fstab",
            read(&bench.work.join("root/etc/fstab"))? + &mounts,
        ),
    ];
    for (file, text) in files {
        write(&judged.join(file), text)?;
    }
    for (name, value) in settings(&bench.work.join("root"))? {
        let file = judged.join("proc/sys").join(name.replace('.', "/"));
        fs::create_dir_all(file.parent().unwrap_or(&judged))?;
        write(&file, value + "\n")?;
    }
    for entry in fs::read_dir(bench.chroots.join("tools/boot"))? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("config-") {
            fs::copy(entry.path(), judged.join("boot").join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// dpkg's database of the packages that are left, and two that stand for the kernel and its command line.
fn status(base: &str, left: &BTreeSet<String>) -> String {
    let name = |package: &str| {
        package
            .lines()
            .find_map(|line| line.strip_prefix("Package: "))
            .map(str::to_owned)
    };
    let mut kept: String = base
        .split("\n\n")
        .filter(|package| name(package).is_some_and(|name| left.contains(&name)))
        .fold(String::new(), |text, package| text + package + "\n\n");
    for stands_in in ["linux-base", "grub2-common"] {
        let _ = write!(
            kept,
            "Package: {stands_in}\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1\nMaintainer: -\nDescription: -\n\n"
        );
    }
    kept
}

/// The kernel's settings, in systemd-sysctl's order: by the files' names, of which the last that names a setting counts. Patterns are left out.
fn settings(root: &Path) -> Result<BTreeMap<String, String>> {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in ["usr/lib/sysctl.d", "etc/sysctl.d"] {
        let Ok(entries) = fs::read_dir(root.join(folder)) else {
            continue;
        };
        for entry in entries {
            files.push(entry?.path());
        }
    }
    files.retain(|file| file.extension().is_some_and(|kind| kind == "conf"));
    files.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    let mut found = BTreeMap::new();
    for file in files {
        for line in read(&file)?.lines() {
            let line = line.trim().trim_start_matches('-');
            if let Some((name, value)) = line.split_once('=')
                && !line.starts_with(['#', ';'])
                && !name.contains('*')
            {
                found.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
    Ok(found)
}

/// The mount units of a folder as lines of an fstab.
fn mount_units(folder: &Path) -> Result<String> {
    let mut lines = String::new();
    let mut units: Vec<PathBuf> = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    units.sort();
    for unit in units {
        if unit.extension().is_some_and(|kind| kind == "mount") && unit.is_file() {
            lines += &mount_line(&read(&unit)?).unwrap_or_default();
        }
    }
    Ok(lines)
}

fn mount_line(unit: &str) -> Option<String> {
    let value = |key: &str| {
        unit.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
    };
    Some(format!(
        "{} {} {} {} 0 0\n",
        value("What")?,
        value("Where")?,
        value("Type")?,
        value("Options").unwrap_or("defaults")
    ))
}

/// What openscap prints of each rule: its name, then what it came out as.
fn results(said: &str) -> Results {
    let mut found = Results::new();
    let mut rule = None;
    for line in said.lines() {
        let Some((key, value)) = line.split_once('\t') else {
            continue;
        };
        match key.trim() {
            "Rule" => rule = value.trim().rsplit("content_rule_").next(),
            "Result" => {
                let outcome = match value.trim() {
                    "pass" => Outcome::Holds,
                    "notapplicable" | "notselected" | "notchecked" | "informational" => {
                        Outcome::DoesNotApply
                    }
                    _ => Outcome::Fails,
                };
                if let Some(rule) = rule.take() {
                    found.insert(rule.to_owned(), outcome);
                }
            }
            _ => {}
        }
    }
    found
}

/// A rule a line, and after a bar why it does not hold.
fn exceptions(list: &str) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for line in list
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
    {
        let (rule, reason) = line
            .split_once('|')
            .with_context(|| format!("there is no bar in `{line}`"))?;
        if reason.trim().is_empty() {
            bail!("there is no reason in `{line}`");
        }
        if !found.insert(rule.trim().to_owned()) {
            bail!("{} is excepted twice", rule.trim());
        }
    }
    Ok(found)
}

fn judge(results: &Results, exceptions: &BTreeSet<String>) -> Result<Score> {
    for rule in exceptions {
        match results.get(rule) {
            Some(Outcome::Fails) => {}
            Some(Outcome::Holds) => bail!("{rule} is excepted in image/scores.list, and holds"),
            Some(Outcome::DoesNotApply) => {
                bail!("{rule} is excepted in image/scores.list, and does not apply")
            }
            None => bail!("{rule} is excepted in image/scores.list, and is no rule"),
        }
    }
    let rules = |wanted: Outcome| {
        results
            .iter()
            .filter(move |(_, outcome)| **outcome == wanted)
            .map(|(rule, _)| rule)
    };
    let hold = rules(Outcome::Holds).count();
    if hold == 0 {
        bail!("no rule of the guide applies, so nothing was asked");
    }
    let fail: Vec<String> = rules(Outcome::Fails)
        .filter(|rule| !exceptions.contains(*rule))
        .cloned()
        .collect();
    Ok(Score {
        apply: hold + exceptions.len() + fail.len(),
        hold,
        excepted: exceptions.len(),
        fail,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const SAID: &str = "Title\tA\nRule\txccdf_org.ssgproject.content_rule_a\nResult\tpass\n\n\
                        Title\tB\nRule\txccdf_org.ssgproject.content_rule_b\nIdent\tX\nResult\tfail\n\n\
                        Title\tC\nRule\txccdf_org.ssgproject.content_rule_c\nResult\tnotapplicable\n\n\
                        Title\tD\nRule\txccdf_org.ssgproject.content_rule_d\nResult\terror\n";

    fn except(rules: &[&str]) -> BTreeSet<String> {
        rules.iter().map(|rule| (*rule).to_owned()).collect()
    }

    #[test]
    fn what_cannot_be_told_counts_as_failed() {
        let score = judge(&results(SAID), &except(&["b"])).unwrap();
        assert_eq!(
            score,
            Score {
                apply: 3,
                hold: 1,
                excepted: 1,
                fail: vec!["d".to_owned()],
            }
        );
        assert_eq!(score.percent(), 66);
    }

    #[test]
    fn an_exception_is_of_a_rule_that_fails() {
        for (rule, why) in [("a", "holds"), ("c", "apply"), ("e", "no rule")] {
            let error = judge(&results(SAID), &except(&[rule])).unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn where_nothing_was_asked_nothing_holds() {
        assert!(judge(&results(""), &except(&[])).is_err());
    }

    #[test]
    fn an_exception_has_its_reason() {
        assert_eq!(exceptions("# all\na | b\n").unwrap(), except(&["a"]));
        assert!(exceptions("a |\n").is_err());
        assert!(exceptions("a\n").is_err());
        assert!(exceptions("a | b\na | c\n").is_err());
    }

    #[test]
    fn a_package_without_a_file_is_none() {
        let base = "Package: a\nVersion: 1\n\nPackage: b\nVersion: 1\n";
        let text = status(base, &except(&["b"]));
        assert!(!text.contains("Package: a\n"));
        assert!(text.starts_with("Package: b\nVersion: 1\n"));
        assert!(text.contains("\n\nPackage: linux-base\n"));
    }

    #[test]
    fn a_mount_unit_is_a_line_of_an_fstab() {
        let unit = "[Mount]\nWhat=/dev/a\nWhere=/var\nType=ext4\nOptions=nosuid,nodev\n";
        assert_eq!(
            mount_line(unit).as_deref(),
            Some("/dev/a /var ext4 nosuid,nodev 0 0\n")
        );
        assert_eq!(mount_line("[Mount]\n"), None);
    }
}
