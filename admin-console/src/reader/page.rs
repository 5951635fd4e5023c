//! Pages: in the frame, or with nothing beside them.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use askama::Template;

use super::Frame;
use crate::pieces::Html;
use crate::show;

/// A page in the frame, with the rail.
#[derive(Template)]
#[template(path = "page.html")]
pub(crate) struct Page<'a> {
    frame: Frame,
    title: &'a str,
    intro: String,
    crumbs: Vec<(String, String)>,
    acts: Html,
    blocks: Vec<Html>,
}

impl<'a> Page<'a> {
    pub(crate) fn new(frame: &Frame, title: &'a str) -> Self {
        Self {
            frame: frame.clone(),
            title,
            intro: String::new(),
            crumbs: Vec::new(),
            acts: Html::default(),
            blocks: Vec::new(),
        }
    }

    pub(crate) fn intro(mut self, intro: impl Into<String>) -> Self {
        self.intro = intro.into();
        self
    }

    /// A page above this one.
    pub(crate) fn under(mut self, to: impl Into<String>, text: impl Into<String>) -> Self {
        self.crumbs.push((to.into(), text.into()));
        self
    }

    pub(crate) fn acts(mut self, acts: Html) -> Self {
        self.acts = acts;
        self
    }

    pub(crate) fn scripts(mut self, scripts: &'static [&'static str]) -> Self {
        self.frame.scripts = scripts;
        self
    }

    pub(crate) fn block(mut self, block: Html) -> Self {
        self.blocks.push(block);
        self
    }

    pub(crate) fn blocks(mut self, blocks: impl IntoIterator<Item = Html>) -> Self {
        self.blocks.extend(blocks);
        self
    }

    pub(crate) fn answer(&self) -> HttpResponse {
        show::page(self)
    }

    pub(crate) fn answer_with(&self, status: StatusCode) -> HttpResponse {
        show::page_with(status, self)
    }
}

/// A page with nothing beside it, such as sign-in.
#[derive(Template)]
#[template(path = "alone.html")]
pub(crate) struct Alone<'a> {
    frame: Frame,
    title: &'a str,
    intro: String,
    blocks: Vec<Html>,
}

impl<'a> Alone<'a> {
    pub(crate) fn new(frame: &Frame, title: &'a str) -> Self {
        Self {
            frame: frame.clone(),
            title,
            intro: String::new(),
            blocks: Vec::new(),
        }
    }

    pub(crate) fn intro(mut self, intro: impl Into<String>) -> Self {
        self.intro = intro.into();
        self
    }

    pub(crate) fn scripts(mut self, scripts: &'static [&'static str]) -> Self {
        self.frame.scripts = scripts;
        self
    }

    pub(crate) fn block(mut self, block: Html) -> Self {
        self.blocks.push(block);
        self
    }

    pub(crate) fn blocks(mut self, blocks: impl IntoIterator<Item = Html>) -> Self {
        self.blocks.extend(blocks);
        self
    }

    /// From which the browser goes on by itself, without a script.
    pub(crate) fn onwards(mut self, to: impl Into<String>) -> Self {
        self.frame.onwards = Some(to.into());
        self
    }

    pub(crate) fn answer_with(&self, status: StatusCode) -> HttpResponse {
        show::page_with(status, self)
    }
}
