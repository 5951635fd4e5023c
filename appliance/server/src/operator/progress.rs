//! The bar that shows how far a backup or a restore has come: on a terminal only.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use strongroom_keystore::backup::Stage;

pub(super) struct StageBar {
    bar: ProgressBar,
    stage: Option<Stage>,
}

impl StageBar {
    pub(super) fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr())
        } else {
            ProgressBar::hidden()
        };
        Self { bar, stage: None }
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
            // The templates are literals of ours; should one ever not parse, the bar has its usual looks.
            if let Ok(style) = ProgressStyle::with_template(template) {
                self.bar.set_style(style);
            }
        }
        self.bar.set_length(of);
        self.bar.set_position(done);
    }
}

impl Drop for StageBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
