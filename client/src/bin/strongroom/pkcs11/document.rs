//! Changing a configuration file that is there: what is not changed stays as it was written, comments and all.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::Path;

use strongroom_client::file::NewFile;
use strongroom_client::pkcs11::{Config, Hidden, Level, LogConfig, TokenConfig};
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::readable;
use crate::failure::Failure;

const HEAD: &str = "# The PKCS #11 module of Strongroom: written by strongroom pkcs11 configure.\n\
                    # Looked over by strongroom pkcs11 doctor. A secret never stands in here.\n\n";

/// A configuration file's text, and what it says.
#[derive(Debug)]
pub(super) struct Document {
    text: DocumentMut,
    config: Config,
    is_new: bool,
}

impl Document {
    /// The one in this file, or a new one where there is no such file.
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        match fs::read_to_string(file) {
            Ok(text) => Self::parse(&text).map_err(|error| {
                Failure::Failed(format!("{} cannot be added to: {error}", file.display()))
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self {
                text: DocumentMut::new(),
                config: Config::default(),
                is_new: true,
            }),
            Err(error) => Err(Failure::local(
                format!("{} cannot be read", file.display()),
                &error,
            )),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let config = Config::from_toml(text).map_err(|error| error.to_string())?;
        let mut document: DocumentMut = text
            .parse()
            .map_err(|error: toml_edit::TomlError| error.message().to_owned())?;
        // Tokens may stand in an array of one line, too.
        if let Some(tokens) = document.get_mut("token") {
            let taken = std::mem::take(tokens);
            *tokens = taken
                .into_array_of_tables()
                .map_or_else(|item| item, Item::ArrayOfTables);
        }
        Ok(Self {
            text: document,
            config,
            is_new: false,
        })
    }

    /// What it says.
    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// Puts a token in the place of that with its label, or behind the others.
    pub(super) fn put_token(&mut self, token: &TokenConfig) -> Result<(), Failure> {
        let place = self
            .config
            .tokens
            .iter()
            .position(|other| other.label == token.label);
        let written = table_of(token)?;
        let tokens = self
            .text
            .entry("token")
            .or_insert(Item::ArrayOfTables(ArrayOfTables::new()))
            .as_array_of_tables_mut()
            .ok_or_else(unfit)?;
        if let Some(place) = place {
            update(tokens.get_mut(place).ok_or_else(unfit)?, &written);
            self.config.tokens[place] = token.clone();
        } else {
            tokens.push(written);
            self.config.tokens.push(token.clone());
        }
        Ok(())
    }

    /// Has the log go there. What is not given stays as it is.
    pub(super) fn set_log(
        &mut self,
        file: Option<&Path>,
        syslog: bool,
        level: Option<Level>,
    ) -> Result<(), Failure> {
        if file.is_none() && !syslog && level.is_none() {
            return Ok(());
        }
        let log = self.table("log")?;
        if let Some(file) = file {
            log["file"] = value(text_of(file)?);
        }
        if syslog {
            log["syslog"] = value(true);
        }
        if let Some(level) = level {
            log["level"] = value(level.as_str());
        }
        let before = std::mem::take(&mut self.config.log);
        self.config.log = LogConfig {
            file: file.map(Path::to_owned).or(before.file),
            syslog: syslog || before.syslog,
            level: level.unwrap_or(before.level),
        };
        Ok(())
    }

    /// Hides keys of these types, too.
    pub(super) fn hide(&mut self, types: &[Hidden]) -> Result<(), Failure> {
        for hidden in types {
            if self.config.compatibility.hide.contains(hidden) {
                continue;
            }
            let table = self.table("compatibility")?;
            let list = table
                .entry("hide")
                .or_insert_with(|| value(toml_edit::Array::new()));
            list.as_array_mut().ok_or_else(unfit)?.push(hidden.as_str());
            self.config.compatibility.hide.push(*hidden);
        }
        Ok(())
    }

    /// The text, which says what [`Self::config`] does.
    pub(super) fn to_text(&self) -> Result<String, Failure> {
        let mut text = self.text.to_string();
        if self.is_new {
            text.insert_str(0, HEAD);
        }
        let read_back = Config::from_toml(&text).ok();
        if read_back.as_ref() != Some(&self.config) {
            return Err(unfit());
        }
        Ok(text)
    }

    /// Puts it into this file, whole or not at all. One that is there keeps its owner and mode; a new one is for its owner alone where
    /// `private`, and else for all to read.
    pub(super) fn write(&self, file: &Path, private: bool) -> Result<(), Failure> {
        let text = self.to_text()?;
        let failed =
            |error| Failure::local(format!("{} cannot be written", file.display()), &error);
        let before = match fs::metadata(file) {
            Ok(metadata) => Some(metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        // What a link points to is written, not the link.
        let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
        let written = (|| {
            let mut new = if private || before.is_some() {
                NewFile::private(&file, true)
            } else {
                readable(&file, true)
            }?;
            new.write_all(text.as_bytes())?;
            if let Some(before) = before {
                let here = fs::metadata(new.temporary_path())?;
                if (here.uid(), here.gid()) != (before.uid(), before.gid()) {
                    chown(new.temporary_path(), Some(before.uid()), Some(before.gid()))?;
                }
                let mode = fs::Permissions::from_mode(before.mode() & 0o7777);
                fs::set_permissions(new.temporary_path(), mode)?;
            }
            new.complete().map(drop)
        })();
        written.map_err(failed)
    }

    fn table(&mut self, name: &str) -> Result<&mut Table, Failure> {
        let item = self
            .text
            .entry(name)
            .or_insert_with(|| Item::Table(Table::new()));
        if item.is_inline_table() {
            let taken = std::mem::take(item);
            *item = taken.into_table().map_or_else(|item| item, Item::Table);
        }
        item.as_table_mut().ok_or_else(unfit)
    }
}

/// The token as it is written, away from any document.
fn table_of(token: &TokenConfig) -> Result<Table, Failure> {
    let config = Config {
        tokens: vec![token.clone()],
        ..Config::default()
    };
    let written: DocumentMut = config
        .to_toml()?
        .parse()
        .map_err(|_: toml_edit::TomlError| unfit())?;
    let tokens = written.get("token").and_then(Item::as_array_of_tables);
    let mut table = tokens
        .and_then(|tokens| tokens.get(0))
        .cloned()
        .ok_or_else(unfit)?;
    table.set_position(None);
    table.decor_mut().clear();
    Ok(table)
}

/// Makes a table say what another does. What says it already is left as it is written.
fn update(table: &mut Table, wanted: &Table) {
    let gone: Vec<String> = table
        .iter()
        .filter(|(name, _)| !wanted.contains_key(name))
        .map(|(name, _)| name.to_owned())
        .collect();
    for name in gone {
        table.remove(&name);
    }
    for (name, item) in wanted {
        match table.get_mut(name).and_then(Item::as_value_mut) {
            Some(present) => {
                if let Some(wanted) = item.as_value()
                    && plainly(present) != plainly(wanted)
                {
                    let around = present.decor().clone();
                    *present = wanted.clone();
                    *present.decor_mut() = around;
                }
            }
            None => {
                table.insert(name, item.clone());
            }
        }
    }
}

/// A value as it is written without anything around it.
fn plainly(value: &toml_edit::Value) -> String {
    let mut value = value.clone();
    value.decor_mut().clear();
    if let Some(array) = value.as_array_mut() {
        array.fmt();
    }
    value.to_string()
}

fn text_of(path: &Path) -> Result<&str, Failure> {
    path.to_str()
        .ok_or_else(|| Failure::Usage(format!("the path {} is no text", path.display())))
}

fn unfit() -> Failure {
    Failure::Failed(
        "the configuration is written in a form that this program cannot add to: move it away, or add the token by hand"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::*;

    fn token() -> impl Strategy<Value = TokenConfig> {
        let text = || "[ -~äλ]{1,12}";
        let optional = || proptest::option::of(text());
        (
            (select(vec!["web", "mail", "a \"b\""]), vec(text(), 1..4)),
            text(),
            (optional(), optional(), optional(), optional()),
        )
            .prop_map(|((label, addresses), roots, others)| TokenConfig {
                addresses,
                account: others.0,
                certificate: others.1.map(Into::into),
                secret: others.2.map(Into::into),
                domain: others.3,
                ..TokenConfig::new(label, "", roots)
            })
    }

    /// The text of a configuration with these tokens, each with remarks around it.
    fn remarked(tokens: &[TokenConfig]) -> String {
        let mut text = "# at the head\ncurrent-for = 500 # a remark\n".to_owned();
        for (number, token) in tokens.iter().enumerate() {
            let table = table_of(token).unwrap();
            let table = table.to_string().replacen('\n', " # in it\n", 1);
            text = format!("{text}\n# before {number}\n[[token]] # at {number}\n{table}");
        }
        text.push_str("\n# at the end\n[log]\nlevel = \"info\"\n");
        text
    }

    proptest! {
        #[test]
        fn what_is_put_is_read_back_and_what_was_there_stays(
            present in vec(token(), 0..3),
            put in vec(token(), 1..4),
            hide in subsequence(&Hidden::ALL[..], 0..=3),
            level in proptest::option::of(select(&Level::ALL[..])),
        ) {
            let mut labels = std::collections::HashSet::new();
            let present: Vec<_> =
                present.into_iter().filter(|token| labels.insert(token.label.clone())).collect();
            let before = remarked(&present);
            let mut document = Document::parse(&before).unwrap();
            for token in &put {
                document.put_token(token).unwrap();
            }
            document.hide(&hide).unwrap();
            document.set_log(None, false, level).unwrap();
            let text = document.to_text().unwrap();
            let config = Config::from_toml(&text).unwrap();
            for token in &put {
                let last = put.iter().rfind(|other| other.label == token.label);
                prop_assert!(config.tokens.iter().filter(|other| other.label == token.label).eq(last));
            }
            for token in present.iter().filter(|token| put.iter().all(|other| other.label != token.label)) {
                prop_assert!(config.tokens.contains(token));
            }
            prop_assert_eq!(config.compatibility.hide, hide);
            prop_assert_eq!(config.log.level, level.unwrap_or(Level::Info));
            prop_assert_eq!(config.current_for, 500);
            for remark in before.lines().filter(|line| line.starts_with('#')) {
                prop_assert!(text.contains(remark), "{} is gone:\n{}", remark, text);
            }
        }
    }

    #[test]
    fn tokens_in_one_line_are_added_to() {
        let text = "token = [{ label = \"a\", addresses = [], roots = \"/r\" }]\nlog = { syslog = true }\n";
        let mut document = Document::parse(text).unwrap();
        let token = TokenConfig::new("b", "https://b.example", "/r");
        document.put_token(&token).unwrap();
        document
            .set_log(Some(Path::new("/l")), false, None)
            .unwrap();
        let config = Config::from_toml(&document.to_text().unwrap()).unwrap();
        assert_eq!(config.tokens.len(), 2);
        assert_eq!(config.tokens[1], token);
        assert!(config.log.syslog);
        assert_eq!(config.log.file.as_deref(), Some(Path::new("/l")));
    }

    #[test]
    fn a_new_file_has_a_head_and_the_mode_it_needs() {
        let folder = tempfile::tempdir().unwrap();
        let mode = |file: &Path| fs::metadata(file).unwrap().mode() & 0o777;
        for private in [true, false] {
            let file = folder.path().join(format!("{private}.toml"));
            let mut document = Document::read(&file).unwrap();
            let token = TokenConfig::new("a", "https://a.example", "/r");
            document.put_token(&token).unwrap();
            document.write(&file, private).unwrap();
            // What others may read, the umask decides.
            assert_eq!(mode(&file) & 0o700, 0o600);
            assert!(!private || mode(&file) == 0o600, "{:o}", mode(&file));
            let text = fs::read_to_string(&file).unwrap();
            assert!(text.starts_with("# The PKCS #11 module"), "{text}");
            // Written again it keeps the mode that somebody gave it, and has one head.
            fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
            let again = Document::read(&file).unwrap();
            again.write(&file, private).unwrap();
            assert_eq!(mode(&file), 0o640);
            assert_eq!(fs::read_to_string(&file).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_configuration_is_left_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "[[token]]\nlable = \"a\"\n").unwrap();
        let sentence = Document::read(file.path()).unwrap_err().sentence();
        assert!(sentence.contains("line 2"), "{sentence}");
    }
}
