//! Cards, tables, facts, notes, empty states.

use askama::Template;

use super::{Html, Tone};

/// A part of a page with a title.
#[derive(Template, Default)]
#[template(path = "card.html")]
pub(crate) struct Card {
    title: String,
    intro: String,
    acts: Html,
    body: Html,
    foot: Html,
    flush: bool,
    danger: bool,
}

impl Card {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    pub(crate) fn intro(mut self, intro: impl Into<String>) -> Self {
        self.intro = intro.into();
        self
    }

    pub(crate) fn acts(mut self, acts: Html) -> Self {
        self.acts = acts;
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Html>) -> Self {
        self.body = body.into();
        self
    }

    /// With a table, which reaches to the card's edges.
    pub(crate) fn table(mut self, table: Table) -> Self {
        self.flush = true;
        self.body = table.html();
        self
    }

    pub(crate) fn foot(mut self, foot: Html) -> Self {
        self.foot = foot;
        self
    }

    pub(crate) fn danger(mut self) -> Self {
        self.danger = true;
        self
    }

    pub(crate) fn html(&self) -> Html {
        Html::of(self)
    }
}

/// A table. `about` says to those who hear it what it shows.
#[derive(Template)]
#[template(path = "table.html")]
pub(crate) struct Table {
    about: String,
    columns: Vec<(String, bool)>,
    rows: Vec<Vec<Html>>,
}

impl Table {
    /// With these columns; one whose name begins with `#` holds numbers.
    pub(crate) fn new(about: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            about: about.into(),
            columns: columns
                .iter()
                .map(|column| match column.strip_prefix('#') {
                    Some(column) => (column.to_owned(), true),
                    None => ((*column).to_owned(), false),
                })
                .collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row(&mut self, cells: Vec<Html>) {
        self.rows.push(cells);
    }

    pub(crate) fn rows(mut self, rows: impl IntoIterator<Item = Vec<Html>>) -> Self {
        self.rows.extend(rows);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn html(&self) -> Html {
        Html::of(self)
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the template hands over references"
    )]
    fn label(&self, column: &usize) -> &str {
        self.columns.get(*column).map_or("", |(name, _)| name)
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the template hands over references"
    )]
    fn is_number(&self, column: &usize) -> bool {
        self.columns.get(*column).is_some_and(|(_, number)| *number)
    }
}

/// Names and what they stand for.
#[derive(Template, Default)]
#[template(path = "facts.html")]
pub(crate) struct Facts {
    facts: Vec<(String, Html)>,
    two: bool,
}

impl Facts {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn with(mut self, name: &str, fact: impl Into<Html>) -> Self {
        self.facts.push((name.to_owned(), fact.into()));
        self
    }

    /// In two columns, where there is room.
    pub(crate) fn two(mut self) -> Self {
        self.two = true;
        self
    }

    pub(crate) fn with_some(self, name: &str, fact: Option<impl Into<Html>>) -> Self {
        match fact {
            Some(fact) => self.with(name, fact),
            None => self,
        }
    }

    pub(crate) fn html(&self) -> Html {
        Html::of(self)
    }
}

/// Something to be noticed.
#[derive(Template)]
#[template(path = "note.html")]
pub(crate) struct Note {
    tone: Tone,
    title: String,
    body: Html,
    acts: Html,
}

impl Note {
    pub(crate) fn new(tone: Tone, title: impl Into<String>, body: impl Into<Html>) -> Self {
        Self {
            tone,
            title: title.into(),
            body: body.into(),
            acts: Html::default(),
        }
    }

    pub(crate) fn acts(mut self, acts: Html) -> Self {
        self.acts = acts;
        self
    }

    pub(crate) fn html(&self) -> Html {
        Html::of(self)
    }
}

/// What stands where there is nothing yet: what to do first.
#[derive(Template)]
#[template(path = "empty.html")]
pub(crate) struct Empty {
    title: String,
    body: String,
    acts: Html,
}

impl Empty {
    pub(crate) fn new(title: impl Into<String>, body: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            body: body.into(),
            acts: Html::default(),
        }
    }

    pub(crate) fn acts(mut self, acts: Html) -> Self {
        self.acts = acts;
        self
    }

    pub(crate) fn html(&self) -> Html {
        Html::of(self)
    }
}

/// Figures at the top of a page.
#[derive(Template)]
#[template(path = "tiles.html")]
pub(crate) struct Tiles(pub(crate) Vec<Tile>);

/// A figure.
pub(crate) struct Tile {
    pub(crate) what: &'static str,
    pub(crate) much: Html,
    pub(crate) more: Html,
}

impl Tiles {
    pub(crate) fn html(&self) -> Html {
        Html::of(self)
    }
}
