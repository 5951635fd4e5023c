//! The fields of forms, and forms.

use askama::Template;

use super::Html;

/// A field of a form.
#[derive(Template, Default, Clone)]
#[template(path = "field.html")]
pub(crate) struct Field {
    kind: Kind,
    name: &'static str,
    label: &'static str,
    hint: String,
    value: String,
    wrong: String,
    autocomplete: &'static str,
    class: &'static str,
    required: bool,
    focus: bool,
    choices: Vec<Choice>,
    fills: &'static str,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[default]
    Text,
    Password,
    Search,
    Number,
    Moment,
    Area,
    Select,
    Checks,
    Radios,
    Hidden,
    File,
}

/// One of several.
#[derive(Default, Clone)]
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) text: String,
    pub(crate) hint: String,
    pub(crate) chosen: bool,
}

impl Choice {
    pub(crate) fn new(value: impl Into<String>, text: impl Into<String>, chosen: bool) -> Self {
        Self {
            value: value.into(),
            text: text.into(),
            hint: String::new(),
            chosen,
        }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl Field {
    const fn of(kind: Kind, name: &'static str, label: &'static str) -> Self {
        Self {
            kind,
            name,
            label,
            hint: String::new(),
            value: String::new(),
            wrong: String::new(),
            autocomplete: "off",
            class: "",
            required: false,
            focus: false,
            choices: Vec::new(),
            fills: "",
        }
    }

    pub(crate) const fn text(name: &'static str, label: &'static str) -> Self {
        Self::of(Kind::Text, name, label)
    }

    pub(crate) const fn search(name: &'static str, label: &'static str) -> Self {
        Self::of(Kind::Search, name, label)
    }

    pub(crate) const fn number(name: &'static str, label: &'static str) -> Self {
        Self::of(Kind::Number, name, label)
    }

    /// A moment in UTC.
    pub(crate) const fn moment(name: &'static str, label: &'static str) -> Self {
        Self::of(Kind::Moment, name, label)
    }

    pub(crate) const fn area(name: &'static str, label: &'static str) -> Self {
        Self::of(Kind::Area, name, label)
    }

    /// A file that fills a text area; there where scripts run.
    pub(crate) fn file(name: &'static str, label: &'static str, fills: &'static str) -> Self {
        let mut field = Self::of(Kind::File, name, label);
        field.fills = fills;
        field
    }

    /// A password: `current-password` or `new-password` in `autocomplete`.
    pub(crate) fn password(
        name: &'static str,
        label: &'static str,
        autocomplete: &'static str,
    ) -> Self {
        Self::of(Kind::Password, name, label).autocomplete(autocomplete)
    }

    pub(crate) fn select(name: &'static str, label: &'static str, choices: Vec<Choice>) -> Self {
        Self::of(Kind::Select, name, label).choices(choices)
    }

    pub(crate) fn checks(name: &'static str, label: &'static str, choices: Vec<Choice>) -> Self {
        Self::of(Kind::Checks, name, label).choices(choices)
    }

    pub(crate) fn radios(name: &'static str, label: &'static str, choices: Vec<Choice>) -> Self {
        Self::of(Kind::Radios, name, label).choices(choices)
    }

    pub(crate) fn hidden(name: &'static str, value: impl Into<String>) -> Self {
        Self::of(Kind::Hidden, name, "").value(value)
    }

    fn choices(mut self, choices: Vec<Choice>) -> Self {
        self.choices = choices;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }

    pub(crate) fn value(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// What is wrong with what was sent.
    pub(crate) fn wrong(mut self, wrong: Option<&str>) -> Self {
        wrong.unwrap_or_default().clone_into(&mut self.wrong);
        self
    }

    pub(crate) fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(crate) fn focus(mut self) -> Self {
        self.focus = true;
        self
    }

    pub(crate) fn autocomplete(mut self, autocomplete: &'static str) -> Self {
        self.autocomplete = autocomplete;
        self
    }

    pub(crate) fn class(mut self, class: &'static str) -> Self {
        self.class = class;
        self
    }

    pub(crate) fn html(&self) -> Html {
        Html::of(self)
    }

    fn input_type(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Text => Some("text"),
            Kind::Password => Some("password"),
            Kind::Search => Some("search"),
            Kind::Number => Some("number"),
            Kind::Moment => Some("datetime-local"),
            Kind::Area | Kind::Select | Kind::Checks | Kind::Radios | Kind::Hidden | Kind::File => {
                None
            }
        }
    }

    fn many_type(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Checks => Some("checkbox"),
            Kind::Radios => Some("radio"),
            _ => None,
        }
    }

    fn described_by(&self) -> String {
        let mut by = Vec::new();
        if !self.hint.is_empty() {
            by.push(format!("{}-hint", self.name));
        }
        if !self.wrong.is_empty() {
            by.push(format!("{}-wrong", self.name));
        }
        by.join(" ")
    }

    fn is(&self, kind: &str) -> bool {
        matches!(
            (kind, self.kind),
            ("area", Kind::Area)
                | ("select", Kind::Select)
                | ("hidden", Kind::Hidden)
                | ("file", Kind::File)
        )
    }
}

/// A form, sent by POST with its token.
#[derive(Template)]
#[template(path = "form.html")]
pub(crate) struct Form<'a> {
    pub(crate) to: &'a str,
    pub(crate) token: &'a str,
    pub(crate) fields: Vec<Html>,
    pub(crate) submit: &'a str,
    pub(crate) submit_class: &'a str,
    /// Where the reader goes who thinks better of it.
    pub(crate) back: Option<&'a str>,
    /// Attributes for scripts.
    pub(crate) data: &'a [(&'a str, &'a str)],
}

impl<'a> Form<'a> {
    pub(crate) fn new(to: &'a str, token: &'a str, submit: &'a str) -> Self {
        Self {
            to,
            token,
            fields: Vec::new(),
            submit,
            submit_class: "main",
            back: None,
            data: &[],
        }
    }

    pub(crate) fn field(mut self, field: impl std::borrow::Borrow<Field>) -> Self {
        self.fields.push(field.borrow().html());
        self
    }

    /// Something between the fields.
    pub(crate) fn piece(mut self, piece: Html) -> Self {
        self.fields.push(piece);
        self
    }

    pub(crate) fn back(mut self, back: &'a str) -> Self {
        self.back = Some(back);
        self
    }

    pub(crate) fn danger(mut self) -> Self {
        self.submit_class = "main danger";
        self
    }

    pub(crate) fn class(mut self, class: &'a str) -> Self {
        self.submit_class = class;
        self
    }

    pub(crate) fn data(mut self, data: &'a [(&'a str, &'a str)]) -> Self {
        self.data = data;
        self
    }

    pub(crate) fn html(&self) -> Html {
        Html::of(self)
    }
}
