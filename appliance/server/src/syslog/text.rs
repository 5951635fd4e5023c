//! The parts of a message of RFC 5424, and its frame.

use std::fmt::Write as _;

/// A message in the framing of RFC 5425: its length in decimal, a space, and the message.
pub(crate) fn frame(message: &str) -> Vec<u8> {
    format!("{} {message}", message.len()).into_bytes()
}

/// Text as a header takes it: printable ASCII without spaces, of so many characters at most; a hyphen where nothing is left.
pub(crate) fn printable(text: &str, longest: usize) -> String {
    let kept: String = text
        .chars()
        .filter(char::is_ascii_graphic)
        .take(longest)
        .collect();
    if kept.is_empty() {
        "-".to_owned()
    } else {
        kept
    }
}

/// Text without what would end a line.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Appends a parameter of structured data (RFC 5424 section 6.3.3).
pub(crate) fn parameter(to: &mut String, name: &str, value: &str) {
    let _ = write!(to, " {name}=\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | ']') {
            to.push('\\');
        }
        to.push(if c.is_control() { ' ' } else { c });
    }
    to.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_part_early() {
        let mut data = String::new();
        parameter(&mut data, "note", "a \"b\" [c]\n\\");
        assert_eq!(data, r#" note="a \"b\" [c\] \\""#);
        assert_eq!(printable("my host\n\u{e4}", 6), "myhost");
        assert_eq!(printable("\u{e4} ", 6), "-");
        assert_eq!(one_line("a\r\nb"), "a  b");
        assert_eq!(frame("\u{e4}b"), "3 \u{e4}b".as_bytes());
    }
}
