//! Who may open an object and when, and what people know it by.

use std::path::Path;

use strongroom_wire::key::UsagePolicy;

use crate::requester::account_name;

/// Who may open an object and when, and what people know it by.
///
/// ```
/// use std::path::Path;
/// use strongroom_client::Protection;
///
/// let protection = Protection::of_file(Path::new("plans/report.pdf")).to("Bob@example.com");
/// assert_eq!(protection.label, "report.pdf");
/// assert_eq!(protection.content_type.as_deref(), Some("application/pdf"));
/// assert_eq!(protection.recipients, ["bob@example.com"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Protection {
    /// The key's name for people, usually the file's name.
    pub label: String,
    /// The media type of the content, such as `application/pdf`. Stands unencrypted in the object's header.
    pub content_type: Option<String>,
    /// The names of the accounts that may open it, besides the one that protects it.
    pub recipients: Vec<String>,
    /// When and how often its key may be released.
    pub policy: UsagePolicy,
}

impl Protection {
    /// The protection of a file: labelled with its name, its content type guessed from the name's ending.
    ///
    /// ```
    /// use std::path::Path;
    /// use strongroom_client::Protection;
    ///
    /// assert_eq!(Protection::of_file(Path::new("a/notes.md")).label, "notes.md");
    /// ```
    #[must_use]
    pub fn of_file(path: &Path) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let name = name.unwrap_or_default();
        Self {
            label: name.chars().filter(|c| !c.is_control()).collect(),
            content_type: content_type(&name).map(str::to_owned),
            ..Self::default()
        }
    }

    /// The same, with one more recipient.
    ///
    /// ```
    /// use strongroom_client::Protection;
    ///
    /// let protection = Protection::default().to("bob@example.com").to("carol@example.com");
    /// assert_eq!(protection.recipients.len(), 2);
    /// ```
    #[must_use]
    pub fn to(mut self, recipient: &str) -> Self {
        self.recipients.push(account_name(recipient));
        self
    }
}

/// The media type that goes with the ending of a file's name, of those that people protect most.
fn content_type(name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    Some(match ending.to_ascii_lowercase().as_str() {
        "csv" => "text/csv",
        "doc" => "application/msword",
        "docx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "eml" => "message/rfc822",
        "gif" => "image/gif",
        "gz" => "application/gzip",
        "htm" | "html" => "text/html",
        "jpeg" | "jpg" => "image/jpeg",
        "json" => "application/json",
        "md" => "text/markdown",
        "mp3" => "audio/mpeg",
        "mp4" => "video/mp4",
        "odt" => "application/vnd.oasis.opendocument.text",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "pptx" => "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "svg" => "image/svg+xml",
        "tar" => "application/x-tar",
        "txt" => "text/plain",
        "wav" => "audio/wav",
        "xlsx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xml" => "application/xml",
        "zip" => "application/zip",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use strongroom_wire::id::KeyId;

    use super::*;
    use crate::object::Header;

    #[test]
    fn a_file_is_labelled_and_typed_by_its_name() {
        let protection = Protection::of_file(Path::new("a/Report\n.PDF")).to(" Bob@Example.com");
        assert_eq!(protection.label, "Report.PDF");
        assert_eq!(protection.content_type.as_deref(), Some("application/pdf"));
        assert_eq!(protection.recipients, ["bob@example.com"]);
        for name in ["README", "a.unknown", ".pdf/x", ""] {
            assert_eq!(
                Protection::of_file(Path::new(name)).content_type,
                None,
                "{name}"
            );
        }
    }

    #[test]
    fn every_guessed_type_can_stand_in_a_header() {
        for ending in [
            "csv", "docx", "eml", "json", "md", "pptx", "svg", "txt", "xlsx", "zip",
        ] {
            let guessed = content_type(&format!("a.{ending}"));
            assert!(guessed.is_some(), "{ending}");
            Header::new(KeyId::generate(), 1, "https://a.example", guessed).unwrap();
        }
    }
}
