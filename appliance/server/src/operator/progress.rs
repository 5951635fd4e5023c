//! The bars that show how far a backup, a restore or the fetching of one has come: on a terminal only.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use strongroom_keystore::backup::Stage;

pub(super) struct StageBar {
    bar: ProgressBar,
    stage: Option<Stage>,
}

impl StageBar {
    pub(super) fn new() -> Self {
        Self {
            bar: at_terminal(),
            stage: None,
        }
    }

    pub(super) fn show(&mut self, stage: Stage, done: u64, of: u64) {
        if self.stage != Some(stage) {
            self.stage = Some(stage);
            let template = match stage {
                Stage::Copying => "copying    {wide_bar} {human_pos}/{human_len} pages, {eta}",
                Stage::Encrypting => "encrypting {wide_bar} {bytes}/{total_bytes}, {eta}",
                Stage::Decrypting => "decrypting {wide_bar} {bytes}/{total_bytes}, {eta}",
                Stage::Verifying => "verifying  {wide_bar} {human_pos}/{human_len} leaves, {eta}",
            };
            self.bar.reset();
            style(&self.bar, template);
        }
        self.bar.set_length(of);
        self.bar.set_position(done);
    }
}

/// How much of a file has come.
pub(super) struct FetchBar(ProgressBar);

impl FetchBar {
    /// For so many bytes, where that is known.
    pub(super) fn new(of: Option<u64>) -> Self {
        let bar = at_terminal();
        style(
            &bar,
            match of {
                Some(_) => "fetching   {wide_bar} {bytes}/{total_bytes}, {eta}",
                None => "fetching   {bytes}",
            },
        );
        if let Some(of) = of {
            bar.set_length(of);
        }
        Self(bar)
    }

    pub(super) fn show(&self, done: u64) {
        self.0.set_position(done);
    }
}

impl Drop for FetchBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn at_terminal() -> ProgressBar {
    if std::io::stderr().is_terminal() {
        ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
    } else {
        ProgressBar::hidden()
    }
}

fn style(bar: &ProgressBar, template: &str) {
    // The templates are literals of ours; should one ever not parse, the bar has its usual looks.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}

impl Drop for StageBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
