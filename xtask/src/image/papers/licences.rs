//! The licences of a Debian package, from its `copyright` file where a machine can read that: Debian's machine-readable format 1.0 (DEP-5).
//!
//! A short name becomes SPDX's identifier where both name the same text and nothing else. What is left, as `MIT`, of which there are many, or
//! `permissive`, becomes a reference to the text that stands in the file.

use std::collections::BTreeMap;

/// What the files of a package may be used by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Licences {
    /// All of them, as an SPDX expression (SPDX 2.3, annex D).
    pub(super) expression: String,
    /// Those that SPDX has no identifier for.
    pub(super) texts: Vec<Reference>,
}

/// A licence with a name of Debian's, or of the package's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// `LicenseRef-…`, of which no other package has one.
    pub(super) id: String,
    /// Its short name.
    pub(super) name: String,
    /// As it stands in the file.
    pub(super) text: String,
}

/// Reads a package's file; nothing, where it is not written for machines.
pub(super) fn read(package: &str, copyright: &str) -> Option<Licences> {
    let paragraphs = paragraphs(copyright);
    let format = field(paragraphs.first()?, "Format")?;
    if !format.contains("copyright-format/1.0") {
        return None;
    }
    let mut texts = BTreeMap::new();
    for licence in paragraphs.iter().filter_map(|all| field(all, "License")) {
        let (name, text) = licence.split_once('\n').unwrap_or((licence, ""));
        if !text.trim().is_empty() {
            texts.entry(name.trim()).or_insert_with(|| plain(text));
        }
    }
    let mut found = Found {
        package,
        texts: &texts,
        all: Vec::new(),
        references: Vec::new(),
    };
    // Those of the files; paragraphs with a licence alone are texts that these refer to.
    for paragraph in &paragraphs {
        if field(paragraph, "Files").is_some()
            && let Some(licence) = field(paragraph, "License")
        {
            found.take(licence.lines().next().unwrap_or_default().trim());
        }
    }
    let several = found.all.len() > 1;
    let parts: Vec<String> = found
        .all
        .iter()
        .map(|part| {
            if several && part.contains(" OR ") {
                format!("({part})")
            } else {
                part.clone()
            }
        })
        .collect();
    (!parts.is_empty()).then(|| Licences {
        expression: parts.join(" AND "),
        texts: found.references,
    })
}

/// What was found so far.
struct Found<'a> {
    package: &'a str,
    /// By their names.
    texts: &'a BTreeMap<&'a str, String>,
    /// What all has to be heeded, each once.
    all: Vec<String>,
    references: Vec<Reference>,
}

impl Found<'_> {
    /// Takes the names in one paragraph, such as `GPL-1+ or Artistic, and Expat`.
    fn take(&mut self, names: &str) {
        for part in parts(names) {
            // What is joined by `and` binds closer than `or`, here and in SPDX.
            let choices: Vec<String> = part
                .split(" or ")
                .map(|choice| {
                    let terms: Vec<String> = choice
                        .split(" and ")
                        .map(|name| self.term(name.trim(), names))
                        .collect();
                    terms.join(" AND ")
                })
                .collect();
            if let [only] = choices.as_slice() {
                for term in only.split(" AND ") {
                    self.add(term.to_owned());
                }
            } else {
                self.add(choices.join(" OR "));
            }
        }
    }

    fn add(&mut self, part: String) {
        if !self.all.contains(&part) {
            self.all.push(part);
        }
    }

    /// SPDX's name for a short name, or a reference. The text may stand below the name, or below all that it was named with.
    fn term(&mut self, name: &str, named_with: &str) -> String {
        if let Some(known) = spdx(name) {
            return known;
        }
        let text = [name, named_with]
            .iter()
            .find_map(|name| self.texts.get(name))
            .map_or(
                "Its text does not stand in the package's file.",
                String::as_str,
            );
        let short = if name.is_empty() { "unnamed" } else { name };
        if let Some(kept) = self.references.iter().find(|kept| kept.name == short) {
            return kept.id.clone();
        }
        let mut id = format!("LicenseRef-{}-{}", plain_id(self.package), plain_id(short));
        // Two names may differ in nothing but what an identifier cannot have.
        while self.references.iter().any(|kept| kept.id == id) {
            id.push_str("-too");
        }
        self.references.push(Reference {
            id: id.clone(),
            name: short.to_owned(),
            text: text.to_owned(),
        });
        id
    }
}

/// Splits at `, and`, which is looser than all else. At `, or` it does not: what is before it is a choice, too.
fn parts(names: &str) -> Vec<String> {
    names
        .split(", and ")
        .map(|part| part.replace(", or ", " or "))
        .collect()
}

/// SPDX's identifier for one of Debian's short names, or an expression with an exception.
fn spdx(name: &str) -> Option<String> {
    if let Some((licence, exception)) = name.split_once(" with ") {
        let exception = match exception {
            "Linux-syscall-note exception" => "Linux-syscall-note",
            "LLVM exception" => "LLVM-exception",
            _ => return None,
        };
        return Some(format!("{} WITH {exception}", spdx(licence)?));
    }
    if let Some(versioned) = gnu(name) {
        return Some(versioned);
    }
    // SPDX's identifiers are held alike whatever their case (annex D.2), and so are Debian's names.
    SAME.iter()
        .find(|same| same.eq_ignore_ascii_case(name))
        .map(|same| (*same).to_owned())
        .or_else(|| {
            OTHERS
                .iter()
                .find(|(debian, _)| debian.eq_ignore_ascii_case(name))
                .map(|(_, spdx)| (*spdx).to_owned())
        })
}

/// `GPL-2+` and its kin: of one version, or of that and any later one.
fn gnu(name: &str) -> Option<String> {
    let (number, later) = name
        .strip_suffix('+')
        .map_or((name, "only"), |number| (number, "or-later"));
    let (family, number) = number.split_once('-')?;
    let number = match number {
        "1" | "2" | "3" => format!("{number}.0"),
        "1.0" | "1.1" | "1.2" | "1.3" | "2.0" | "2.1" | "3.0" => number.to_owned(),
        _ => return None,
    };
    let exists: &[&str] = match family {
        "GPL" => &["1.0", "2.0", "3.0"],
        "LGPL" => &["2.0", "2.1", "3.0"],
        "AGPL" => &["3.0"],
        "GFDL" => &["1.1", "1.2", "1.3"],
        _ => return None,
    };
    exists
        .contains(&number.as_str())
        .then(|| format!("{family}-{number}-{later}"))
}

/// Names that SPDX has as well, of the same text.
const SAME: &[&str] = &[
    "0BSD",
    "AFL-2.0",
    "AFL-2.1",
    "Apache-1.0",
    "Apache-1.1",
    "Apache-2.0",
    "Artistic-2.0",
    "Beerware",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSD-4-Clause",
    "BSD-4-Clause-UC",
    "BSL-1.0",
    "bzip2-1.0.6",
    "CC-BY-3.0",
    "CC-BY-4.0",
    "CC-BY-SA-3.0",
    "CC-BY-SA-4.0",
    "CC0-1.0",
    "CPL-1.0",
    "curl",
    "EPL-1.0",
    "EPL-2.0",
    "FSFAP",
    "FSFUL",
    "FSFULLR",
    "FTL",
    "ICU",
    "ISC",
    "Latex2e",
    "MIT-0",
    "MIT-CMU",
    "MPL-1.0",
    "MPL-1.1",
    "MPL-2.0",
    "NTP",
    "OFL-1.1",
    "OLDAP-2.8",
    "OpenSSL",
    "PostgreSQL",
    "PSF-2.0",
    "Python-2.0",
    "QPL-1.0",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Vim",
    "W3C",
    "WTFPL",
    "Zlib",
    "ZPL-2.1",
];

/// Debian's names for texts that SPDX names otherwise.
const OTHERS: &[(&str, &str)] = &[
    ("CC0", "CC0-1.0"),
    ("Expat", "MIT"),
    ("GFDL-NIV-1.2", "GFDL-1.2-no-invariants-only"),
    ("GFDL-NIV-1.2+", "GFDL-1.2-no-invariants-or-later"),
    ("GFDL-NIV-1.3", "GFDL-1.3-no-invariants-only"),
    ("GFDL-NIV-1.3+", "GFDL-1.3-no-invariants-or-later"),
    ("OpenLDAP-2.8", "OLDAP-2.8"),
];

/// What of a name may stand in an identifier (SPDX 2.3, annex D.2): letters, digits, `-` and `.`.
fn plain_id(name: &str) -> String {
    let mut id = String::new();
    for letter in name.chars() {
        match letter {
            '+' => id.push_str("plus"),
            '.' => id.push('.'),
            letter if letter.is_ascii_alphanumeric() => id.push(letter),
            _ if id.ends_with('-') => {}
            _ => id.push('-'),
        }
    }
    id.trim_end_matches('-').to_owned()
}

/// The fields of one paragraph: name, and all its lines.
type Paragraph<'a> = Vec<(&'a str, String)>;

/// Paragraphs are parted by empty lines, fields have further lines where these begin with a blank (Debian Policy, section 5.1).
fn paragraphs(text: &str) -> Vec<Paragraph<'_>> {
    let mut all: Vec<Paragraph<'_>> = Vec::new();
    let mut paragraph = Paragraph::new();
    for line in text.lines() {
        if line.trim().is_empty() {
            if !paragraph.is_empty() {
                all.push(std::mem::take(&mut paragraph));
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = paragraph.last_mut() {
                value.push('\n');
                value.push_str(line);
            }
        } else if !line.starts_with('#')
            && let Some((name, value)) = line.split_once(':')
        {
            paragraph.push((name, value.trim().to_owned()));
        }
    }
    if !paragraph.is_empty() {
        all.push(paragraph);
    }
    all
}

fn field<'a>(paragraph: &'a Paragraph<'_>, name: &str) -> Option<&'a str> {
    paragraph
        .iter()
        .find(|(field, _)| field.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str())
}

/// A text without the blank that each of its lines begins with, and the dot of an empty one.
fn plain(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .map(|line| {
            let line = line.strip_prefix([' ', '\t']).unwrap_or(line).trim_end();
            if line == "." { "" } else { line }
        })
        .collect();
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const FORMAT: &str =
        "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n";

    /// Of softhsm2 2.6.1-3, shortened.
    const SOFTHSM: &str = "Upstream-Name: SoftHSMv2

Files: *
Copyright: 2010 .SE, The Internet Infrastructure Foundation
           2010 SURFnet bv
License: BSD-2-Clause

Files: debian/*
Copyright: 2010,2015 Ond\u{159}ej Sur\u{fd} <ondrej@debian.org>
License: Expat

Files: src/lib/cryptoki_compat/pkcs11.h
Copyright: 2006, 2007 g10 Code GmbH
   \t   2006 Andreas Jellinghaus
License: permissive

Files: src/bin/keyconv/base64.c
Copyright: 1996-1999 by Internet Software Consortium.
License: ISC and IBM

License: ISC
 Permission to use, copy, modify, and distribute this software for any

License: permissive
 This file is free software; as a special exception the author gives
 unlimited permission to copy and/or distribute it.
 .
 This file is distributed in the hope that it will be useful.

License: IBM
 International Business Machines, Inc. (hereinafter called IBM) grants
";

    /// Of perl-base 5.36.0-7, shortened.
    const PERL: &str = "Source: http://www.perl.com/CPAN/src/5.0/
Comment:
 This package was initially debianized by Brendan O'Dea <bod@debian.org>

Files: *
Copyright:
 Perl is Copyright (C) 1987-2022 by Larry Wall and others. All rights reserved.
License: GPL-1+ or Artistic
Comment:
    This program is free software; you can redistribute it and/or modify

Files: regcomp.c
Copyright: 1986 by University of Toronto
License: REGCOMP, and GPL-1+ or Artistic

Files: perly.c
License: GPL-3+-WITH-BISON-EXCEPTION

Files: lib/unicore/*
License: Expat

License: Artistic
 The \"Artistic License\"

License: REGCOMP
 Permission is granted to anyone to use this software for any purpose on
";

    fn of(package: &str, text: &str) -> Licences {
        read(package, &format!("{FORMAT}{text}")).unwrap()
    }

    #[test]
    fn names_that_are_spdxs_are_translated_and_others_keep_their_text() {
        let found = of("softhsm2", SOFTHSM);
        assert_eq!(
            found.expression,
            "BSD-2-Clause AND MIT AND LicenseRef-softhsm2-permissive AND ISC AND LicenseRef-softhsm2-IBM"
        );
        let permissive = &found.texts[0];
        assert_eq!(permissive.name, "permissive");
        assert_eq!(
            permissive.text,
            "This file is free software; as a special exception the author gives\nunlimited permission to copy and/or distribute it.\n\n\
             This file is distributed in the hope that it will be useful."
        );
        assert_eq!(found.texts.len(), 2);
    }

    #[test]
    fn a_choice_stays_one() {
        let found = of("perl-base", PERL);
        assert_eq!(
            found.expression,
            "(GPL-1.0-or-later OR LicenseRef-perl-base-Artistic) AND LicenseRef-perl-base-REGCOMP AND \
             LicenseRef-perl-base-GPL-3plus-WITH-BISON-EXCEPTION AND MIT"
        );
        assert!(found.texts[0].text.starts_with("The \"Artistic"));
        assert!(found.texts[2].text.contains("does not stand"));
        // `and` binds closer than `or`, unless a comma is before it.
        let alone = of("a", "\nFiles: *\nLicense: GPL-2 and Expat or ISC\n");
        assert_eq!(alone.expression, "GPL-2.0-only AND MIT OR ISC");
    }

    #[test]
    fn a_short_name_is_translated_where_both_name_one_text() {
        for (debian, translated) in [
            ("LGPL-2.1+", Some("LGPL-2.1-or-later")),
            ("LGPL-2", Some("LGPL-2.0-only")),
            ("GPL-2.0", Some("GPL-2.0-only")),
            ("GFDL-NIV-1.3+", Some("GFDL-1.3-no-invariants-or-later")),
            ("BSD-3-clause", Some("BSD-3-Clause")),
            (
                "GPL-2 with Linux-syscall-note exception",
                Some("GPL-2.0-only WITH Linux-syscall-note"),
            ),
            // Each package has another exception by this name.
            ("GPL-2+ with OpenSSL exception", None),
            // Of these there are many.
            ("MIT", None),
            ("public-domain", None),
            ("GPL", None),
            ("GPL-4", None),
            ("AGPL-2+", None),
        ] {
            assert_eq!(spdx(debian).as_deref(), translated, "{debian}");
        }
    }

    #[test]
    fn a_text_for_people_is_none_for_machines() {
        // Of libgcc-s1 12.2.0-14, shortened.
        let gcc = "This is the Debian GNU/Linux prepackaged version of the GNU compiler\ncollection.\n\n\
                   License as published by the Free Software Foundation; either\nversion 3, or (at your option) any later version.\n";
        assert_eq!(read("libgcc-s1", gcc), None);
        assert_eq!(read("empty", ""), None);
        assert_eq!(read("none", FORMAT), None);
    }

    #[test]
    fn two_names_do_not_become_one_reference() {
        let found = of(
            "libstdc++6",
            "\nFiles: *\nLicense: a/b\n one\n\nFiles: c\nLicense: a b\n two\n\nFiles: d\nLicense:\n three\n",
        );
        let ids: Vec<&str> = found.texts.iter().map(|text| text.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "LicenseRef-libstdcplusplus6-a-b",
                "LicenseRef-libstdcplusplus6-a-b-too",
                "LicenseRef-libstdcplusplus6-unnamed"
            ]
        );
        let texts: Vec<&str> = found.texts.iter().map(|text| text.text.as_str()).collect();
        assert_eq!(texts, ["one", "two", "three"]);
    }
}
