//! What pages are made of: each piece a template of its own, put together in Rust.
//!
//! | module | what lives there |
//! |---|---|
//! | [`Html`] (here) | markup whose text has been escaped, and the small pieces in a line |
//! | `block` | cards, tables, facts, notes, empty states |
//! | `field` | the fields of forms, and forms |

mod block;
mod field;

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;
use strongroom_wire::encoding::Timestamp;

pub(crate) use block::{Card, Empty, Facts, Note, Table, Tile, Tiles};
pub(crate) use field::{Choice, Field, Form};

/// Markup whose text has been escaped. It is made of text, of templates and of other markup, so that nothing that a person wrote gets in as markup.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Html(String);

impl HtmlSafe for Html {}

impl fmt::Display for Html {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Html {
    fn from(text: &str) -> Self {
        let mut escaped = String::with_capacity(text.len());
        for letter in text.chars() {
            match letter {
                '&' => escaped.push_str("&amp;"),
                '<' => escaped.push_str("&lt;"),
                '>' => escaped.push_str("&gt;"),
                '"' => escaped.push_str("&quot;"),
                '\'' => escaped.push_str("&#39;"),
                letter => escaped.push(letter),
            }
        }
        Self(escaped)
    }
}

impl From<String> for Html {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<&String> for Html {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl Html {
    /// What a template renders.
    pub(crate) fn of(template: &impl Template) -> Self {
        Self(template.render().unwrap_or_else(|error| {
            tracing::error!(%error, "a piece of a page cannot be rendered");
            String::new()
        }))
    }

    /// Markup that stands in this program.
    pub(crate) const fn fixed(markup: String) -> Self {
        Self(markup)
    }

    /// One after another.
    pub(crate) fn all(pieces: impl IntoIterator<Item = Self>) -> Self {
        Self::join("", pieces)
    }

    /// One after another, with fixed text between them.
    pub(crate) fn join(between: &'static str, pieces: impl IntoIterator<Item = Self>) -> Self {
        let pieces: Vec<String> = pieces.into_iter().map(|piece| piece.0).collect();
        Self(pieces.join(between))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How something stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Good,
    Warn,
    Bad,
}

impl Tone {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

pub(crate) fn link(to: &str, text: &str) -> Html {
    Html(format!(
        "<a href=\"{}\">{}</a>",
        Html::from(to),
        Html::from(text)
    ))
}

pub(crate) fn badge(tone: Tone, text: &str) -> Html {
    Html(format!(
        "<span class=\"badge {}\">{}</span>",
        tone.class(),
        Html::from(text)
    ))
}

pub(crate) fn tag(text: &str) -> Html {
    Html(format!("<span class=\"tag\">{}</span>", Html::from(text)))
}

pub(crate) fn tags<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Html {
    let tags = Html::all(texts.into_iter().map(|text| tag(text.as_ref())));
    Html(format!("<span class=\"tags\">{tags}</span>"))
}

pub(crate) fn mono(text: &str) -> Html {
    Html(format!("<span class=\"mono\">{}</span>", Html::from(text)))
}

/// A network address.
pub(crate) fn source(text: &str) -> Html {
    Html(format!(
        "<span class=\"mono nowrap\">{}</span>",
        Html::from(text)
    ))
}

pub(crate) fn soft(text: &str) -> Html {
    Html(format!("<span class=\"soft\">{}</span>", Html::from(text)))
}

/// Something, and smaller below it what more there is to say.
pub(crate) fn with_sub(over: impl Into<Html>, below: impl Into<Html>) -> Html {
    Html(format!(
        "{}<span class=\"sub\">{}</span>",
        over.into(),
        below.into()
    ))
}

pub(crate) fn paragraph(text: impl Into<Html>) -> Html {
    Html(format!("<p>{}</p>", text.into()))
}

pub(crate) fn list(items: impl IntoIterator<Item = Html>) -> Html {
    let items = Html::all(
        items
            .into_iter()
            .map(|item| Html(format!("<li>{item}</li>"))),
    );
    Html(format!("<ul>{items}</ul>"))
}

/// A link that looks like a button.
pub(crate) fn button(to: &str, text: &str, class: &'static str) -> Html {
    Html(format!(
        "<a class=\"button {class}\" href=\"{}\">{}</a>",
        Html::from(to),
        Html::from(text)
    ))
}

/// A link that looks like a small button, and says to those who hear it what it is about.
pub(crate) fn slim_button(to: &str, text: &str, about: &str, class: &'static str) -> Html {
    Html(format!(
        "<a class=\"button slim {class}\" href=\"{}\">{}<span class=\"unseen\"> {}</span></a>",
        Html::from(to),
        Html::from(text),
        Html::from(about)
    ))
}

/// A moment: in UTC, and in the reader's zone where scripts run.
pub(crate) fn when(moment: Timestamp) -> Html {
    let (text, title) = utc(moment);
    Html(format!(
        "<time class=\"nowrap\" datetime=\"{moment}\" title=\"{title}\">{text}</time>"
    ))
}

/// A day.
pub(crate) fn day(moment: Timestamp) -> Html {
    let (text, title) = utc(moment);
    let text = text.split(',').next().unwrap_or_default();
    Html(format!(
        "<time class=\"nowrap\" data-only=\"day\" datetime=\"{moment}\" title=\"{title}\">{text}</time>"
    ))
}

pub(crate) fn when_or(moment: Option<Timestamp>, otherwise: &str) -> Html {
    moment.map_or_else(|| soft(otherwise), when)
}

/// `30 Nov 2026, 07:38 UTC`, and the same to the second.
pub(crate) fn utc(moment: Timestamp) -> (String, String) {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let text = moment.to_string();
    let part = |from: usize, until: usize| text.get(from..until).unwrap_or_default();
    let month = part(5, 7).parse::<usize>().unwrap_or(1);
    let month = MONTHS.get(month.saturating_sub(1)).copied().unwrap_or("?");
    let day = part(8, 10).trim_start_matches('0');
    (
        format!("{day} {month} {}, {} UTC", part(0, 4), part(11, 16)),
        format!("{} {} UTC", part(0, 10), part(11, 19)),
    )
}

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `3 keys`, `1 key`.
pub(crate) fn plural(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", count(number), if number == 1 { one } else { many })
}

/// An address with a query, its values encoded.
pub(crate) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let mut encoded = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in query.iter().filter(|(_, value)| !value.is_empty()) {
        encoded.append_pair(name, value);
    }
    let encoded = encoded.finish();
    if encoded.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{encoded}")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn text_is_escaped_wherever_it_stands() {
        let evil = "<img src=x onerror='a(\"b\")'>&";
        let escaped = "&lt;img src=x onerror=&#39;a(&quot;b&quot;)&#39;&gt;&amp;";
        assert_eq!(Html::from(evil).to_string(), escaped);
        for piece in [
            link("/x", evil),
            link(evil, "x"),
            badge(Tone::Good, evil),
            tags([evil]),
            mono(evil),
            with_sub(evil, evil),
            list([evil.into()]),
            slim_button(evil, evil, evil, ""),
        ] {
            let piece = piece.to_string();
            assert!(
                !piece.contains("<img") && piece.contains(escaped),
                "{piece}"
            );
        }
    }

    #[test]
    fn moments_are_in_utc_for_people() {
        let moment: Timestamp = "2026-11-03T07:38:27.123Z".parse().unwrap();
        let (text, title) = utc(moment);
        assert_eq!(text, "3 Nov 2026, 07:38 UTC");
        assert_eq!(title, "2026-11-03 07:38:27 UTC");
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(count(number), text);
        }
        assert_eq!(plural(1, "key", "keys"), "1 key");
    }

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(
            address("/keys", &[("label", "a&b=c d"), ("state", "")]),
            "/keys?label=a%26b%3Dc+d"
        );
        assert_eq!(address("/keys", &[]), "/keys");
    }
}
