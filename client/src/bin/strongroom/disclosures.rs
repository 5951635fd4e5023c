//! `case preview`, `case execute`, `case release`, `case delivery` and the like: disclosures under authorisations; and `notifications`.

use std::io::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use strongroom_client::file::NewFile;
use strongroom_wire::disclosure::{
    Disclosure, DisclosurePreview, DisclosureState, Hold, Notification,
};
use strongroom_wire::id::{AuthorisationId, DisclosureId};

use crate::Context;
use crate::failure::{Failure, elsewhere};
use crate::objects::{Target, check_output, shown, tell};
use crate::output::{facts, plain, size, spelling, table};

const HINT: &str = "cases are worked on at the appliance's administration address, and this home is signed in elsewhere: sign in there with \
                    strongroom login ACCOUNT --server URL, in another --home";

/// What is done with a case once it is approved.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Show what the scope reaches now, in counts and metadata.
    Preview {
        /// The authorisation.
        case: AuthorisationId,
    },
    /// Execute it: what it reaches now can be released by another person.
    Execute {
        /// The authorisation.
        case: AuthorisationId,
    },
    /// List the disclosures under it.
    Disclosures {
        /// The authorisation.
        case: AuthorisationId,
    },
    /// Release a disclosure that another person has executed: its keys are sealed to the agency.
    Release {
        /// The disclosure.
        disclosure: DisclosureId,
    },
    /// Fetch the package of a released disclosure, which goes to the agency.
    Delivery(Delivery),
    /// Show what the case keeps from destruction.
    Hold {
        /// The authorisation.
        case: AuthorisationId,
    },
}

/// `strongroom case delivery`.
#[derive(Args, Debug)]
pub(crate) struct Delivery {
    /// The disclosure.
    disclosure: DisclosureId,
    /// Where to write the package, or - for standard output [default: delivery-DISCLOSURE.tar].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace the output where it exists.
    #[arg(long)]
    force: bool,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let here = |error| elsewhere(error, HINT);
        let output = context.output;
        if let Self::Delivery(delivery) = self {
            return delivery.run(context);
        }
        let session = context.session()?;
        match self {
            Self::Preview { case } => {
                let preview = session.preview_disclosure(case).map_err(here)?;
                output.answer(&preview, || describe_preview(&preview))
            }
            Self::Execute { case } => {
                let done = session.execute_disclosure(case).map_err(here)?;
                output.answer(&done, || describe(&done.disclosure))
            }
            Self::Disclosures { case } => {
                let found = session.disclosures(case).map_err(here)?;
                output.answer(&found, || list(&found.disclosures))
            }
            Self::Release { disclosure } => {
                let done = session.release_disclosure(disclosure).map_err(here)?;
                output.answer(&done, || describe(&done.disclosure))
            }
            Self::Hold { case } => {
                let hold = session.hold(case).map_err(here)?;
                output.answer(&hold, || describe_hold(&hold))
            }
            Self::Delivery(_) => Ok(()),
        }
    }
}

impl Delivery {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let output = self
            .output
            .unwrap_or_else(|| format!("delivery-{}.tar", self.disclosure).into());
        check_output(context, &output)?;
        let session = context.session()?;
        let mut target = Target::new(&output, self.force, NewFile::private)?;
        let package = session
            .delivery(self.disclosure)
            .map_err(|error| elsewhere(error, HINT))?;
        target.write_all(&package).map_err(|error| {
            Failure::local(format!("{} cannot be written", output.display()), &error)
        })?;
        target.complete(&output)?;
        let answer = json!({ "delivery": self.disclosure, "output": shown(&output), "bytes": package.len() });
        let bytes = u64::try_from(package.len()).unwrap_or(u64::MAX);
        let text = || format!("{} is the delivery: {}.", shown(&output), size(bytes));
        tell(context, &output, &answer, text)
    }
}

/// `strongroom notifications`.
pub(crate) fn notifications(context: &Context) -> Result<(), Failure> {
    let found = context.session()?.notifications()?;
    context
        .output
        .answer(&found, || match found.notifications.as_slice() {
            [] => "There is nothing to tell.".to_owned(),
            notifications => notifications.iter().map(describe_notification).collect(),
        })
}

fn describe_preview(preview: &DisclosurePreview) -> String {
    let withheld = preview.withheld;
    let moment = |moment: Option<_>| moment.map_or_else(String::new, |moment| format!("{moment}"));
    let owners: Vec<_> = preview
        .owners
        .iter()
        .map(|owned| format!("{} ({})", plain(&owned.owner), owned.items))
        .collect();
    let more = if preview.more { ", and more" } else { "" };
    let about = facts(&[
        ("generation", preview.generation.to_string()),
        ("items", format!("{}{more}", preview.items)),
        ("allowed still", preview.left.to_string()),
        ("first", moment(preview.first)),
        ("last", moment(preview.last)),
        ("owners", owners.join(", ")),
        (
            "withheld",
            format!(
                "{} delivered before, {} destroyed, {} that only sign, {} inside the HSM",
                withheld.delivered, withheld.destroyed, withheld.signing, withheld.in_hsm
            ),
        ),
    ]);
    let rows: Vec<_> = preview
        .shown
        .iter()
        .map(|item| {
            [
                item.key.to_string(),
                item.created.to_string(),
                plain(&item.owner),
                plain(&item.recipients.join(", ")),
                plain(&item.matched),
                plain(&item.label),
            ]
        })
        .collect();
    let heading = ["KEY", "MADE", "OWNER", "TO", "MATCHED", "LABEL"];
    format!("{about}\n{}", table(heading, &rows))
}

fn describe(disclosure: &Disclosure) -> String {
    let moment = |name: &Option<String>, moment: Option<_>| match (name, moment) {
        (Some(name), Some(moment)) => format!("{} at {moment}", plain(name)),
        _ => String::new(),
    };
    facts(&[
        ("disclosure", disclosure.id.to_string()),
        (
            "authorisation",
            format!(
                "{}, generation {}",
                disclosure.authorisation, disclosure.generation
            ),
        ),
        ("state", spelling(&disclosure.state)),
        ("items", disclosure.items.to_string()),
        (
            "executed",
            format!("{} at {}", plain(&disclosure.executor), disclosure.executed),
        ),
        (
            "released",
            moment(&disclosure.releaser, disclosure.released),
        ),
        (
            "manifest",
            disclosure.manifest_sha256.clone().unwrap_or_default(),
        ),
        (
            "next",
            match disclosure.state {
                DisclosureState::Executed => {
                    format!("a releaser: strongroom case release {}", disclosure.id)
                }
                DisclosureState::Released => {
                    format!("strongroom case delivery {}", disclosure.id)
                }
            },
        ),
    ])
}

fn list(disclosures: &[Disclosure]) -> String {
    let rows: Vec<_> = disclosures
        .iter()
        .map(|disclosure| {
            [
                disclosure.id.to_string(),
                disclosure.generation.to_string(),
                spelling(&disclosure.state),
                disclosure.items.to_string(),
                plain(&disclosure.executor),
                disclosure.executed.to_string(),
                plain(disclosure.releaser.as_deref().unwrap_or_default()),
            ]
        })
        .collect();
    let heading = [
        "DISCLOSURE",
        "GENERATION",
        "STATE",
        "ITEMS",
        "EXECUTOR",
        "EXECUTED",
        "RELEASER",
    ];
    table(heading, &rows)
}

fn describe_hold(hold: &Hold) -> String {
    let in_force = if hold.in_force {
        "Keys in its scope survive their destruction in copies that only disclosures open."
    } else {
        "It keeps nothing that is destroyed from now on."
    };
    let rows: Vec<_> = hold
        .kept
        .iter()
        .map(|kept| {
            [
                kept.key.to_string(),
                plain(&kept.owner),
                kept.destroyed.to_string(),
                plain(&kept.label),
            ]
        })
        .collect();
    if rows.is_empty() {
        return format!("{in_force} None was destroyed.");
    }
    format!(
        "{in_force}\n\n{}",
        table(["KEY", "OWNER", "DESTROYED", "LABEL"], &rows)
    )
}

fn describe_notification(notification: &Notification) -> String {
    let about = facts(&[
        ("reference", plain(&notification.reference)),
        (
            "order",
            format!(
                "{} ({}), by {}",
                plain(&notification.legal_type),
                plain(&notification.legal_basis),
                plain(&notification.issuing_authority)
            ),
        ),
        ("disclosed", notification.released.to_string()),
        (
            "told late by",
            plain(notification.delay_basis.as_deref().unwrap_or_default()),
        ),
    ]);
    let rows: Vec<_> = notification
        .items
        .iter()
        .map(|item| {
            [
                item.key.to_string(),
                item.created.to_string(),
                plain(&item.owner),
                plain(&item.label),
                item.leaf.to_string(),
            ]
        })
        .collect();
    format!(
        "{about}{}\n",
        table(["KEY", "MADE", "OWNER", "LABEL", "LEAF"], &rows)
    )
}
