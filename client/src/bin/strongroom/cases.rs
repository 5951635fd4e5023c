//! `case`: lawful access.

mod describe;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use strongroom_client::approvals::Decision;
use strongroom_client::file::NewFile;
use strongroom_client::{ClientError, Session};
use strongroom_wire::authorisation::{
    AuthorisationOrder, AuthorisationPage, AuthorisationQuery, AuthorisationState,
    ChangeAuthorisation, LARGEST_DOCUMENT, Move, MoveAuthorisation,
};
use strongroom_wire::id::AuthorisationId;

use crate::approving::{self, Signed, Signing};
use crate::failure::{Failure, elsewhere};
use crate::output::spelt;
use crate::{Context, disclosures};

const HINT: &str = "cases are kept at the appliance's administration address, and this home is signed in elsewhere: sign in \
                    there with strongroom login ACCOUNT --server URL, in another --home";
/// The most authorisations of one page.
const PAGE: u32 = 200;

/// `strongroom case`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Enter an authorisation from an order in JSON; docs/lawful-access.md says what one has.
    Enter {
        /// The order, or - for standard input.
        order: PathBuf,
        /// The warrant: uploaded, and named in the order by its SHA-256.
        #[arg(long, value_name = "FILE")]
        warrant: Option<PathBuf>,
    },
    /// Change an authorisation to another order. It awaits approval anew: approvals of the one before are void.
    Change {
        /// The authorisation's identifier.
        authorisation: AuthorisationId,
        /// The order, or - for standard input.
        order: PathBuf,
        /// The warrant, if it is another.
        #[arg(long, value_name = "FILE")]
        warrant: Option<PathBuf>,
        /// The generation that was seen; the present one unless it is said.
        #[arg(long, value_name = "N")]
        generation: Option<u32>,
    },
    /// List authorisations that one has to do with, the newest first.
    List {
        /// Only those in this state.
        #[arg(long, value_parser = PossibleValuesParser::new(AuthorisationState::ALL.map(AuthorisationState::as_str)).try_map(|text| spelt::<AuthorisationState>(&text)))]
        state: Option<AuthorisationState>,
    },
    /// Show an authorisation and what was decided on it.
    Show {
        /// The authorisation's identifier.
        authorisation: AuthorisationId,
        /// Print the order alone, in JSON, to be changed.
        #[arg(long)]
        order: bool,
    },
    /// Show every generation of an authorisation, the newest first: what each changed, and what was decided on it.
    Generations {
        /// The authorisation's identifier.
        authorisation: AuthorisationId,
    },
    /// Approve an authorisation: sign the generation that is shown.
    Approve(Deciding),
    /// Approve an emergency that is in effect already, so that it does not lapse.
    Ratify(Deciding),
    /// Be against an authorisation, which rejects it.
    Reject(Deciding),
    /// Keep an authorisation from being used, for now.
    Suspend(Moving),
    /// Let a suspended authorisation be used again.
    Resume(Moving),
    /// End an authorisation for good.
    Cancel(Moving),
    /// What is done with a case that is in effect.
    #[command(flatten)]
    Disclosing(disclosures::Command),
    /// Upload warrants and read the documents of cases.
    #[command(subcommand)]
    Document(Document),
}

/// A decision.
#[derive(Args, Debug)]
pub(crate) struct Deciding {
    /// The authorisation's identifier.
    authorisation: AuthorisationId,
    #[command(flatten)]
    signing: Signing,
}

/// What becomes of an authorisation.
#[derive(Args, Debug)]
pub(crate) struct Moving {
    /// The authorisation's identifier.
    authorisation: AuthorisationId,
    /// Why. It stands in the audit log: name nobody who is concerned.
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

/// `strongroom case document`.
#[derive(Subcommand, Debug)]
pub(crate) enum Document {
    /// Upload a warrant, and print its SHA-256.
    Put {
        /// The file.
        file: PathBuf,
    },
    /// Fetch a document of a case: its warrant, a record, or the evidence of an approval.
    Get {
        /// The authorisation's identifier.
        authorisation: AuthorisationId,
        /// The document's SHA-256.
        sha256: String,
        /// Where to; standard output unless it is said.
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Replace the file if there is one.
        #[arg(long)]
        force: bool,
    },
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        if let Self::Disclosing(command) = self {
            return command.run(context);
        }
        let session = context.session()?;
        match self {
            Self::Disclosing(_) => Ok(()),
            Self::Enter { order, warrant } => {
                let order = read_order(&session, &order, warrant.as_deref())?;
                let entered = session.enter_authorisation(&order).map_err(here)?;
                context
                    .output
                    .answer(&entered, || describe::one(&entered.authorisation))
            }
            Self::Change {
                authorisation: id,
                order,
                warrant,
                generation,
            } => {
                let order = read_order(&session, &order, warrant.as_deref())?;
                let generation = match generation {
                    Some(generation) => generation,
                    None => session.authorisation(id).map_err(here)?.generation,
                };
                let change = ChangeAuthorisation { generation, order };
                let changed = session.change_authorisation(id, &change).map_err(here)?;
                context
                    .output
                    .answer(&changed, || describe::one(&changed.authorisation))
            }
            Self::List { state } => list(context, &session, state),
            Self::Show {
                authorisation,
                order,
            } => {
                let authorisation = session.authorisation(authorisation).map_err(here)?;
                if order {
                    let order = &authorisation.record.order;
                    let text = serde_json::to_string_pretty(order).unwrap_or_default();
                    return context.output.answer(order, || text);
                }
                context
                    .output
                    .answer(&authorisation, || describe::one(&authorisation))
            }
            Self::Generations { authorisation } => {
                let all = session.generations(authorisation).map_err(here)?;
                context
                    .output
                    .answer(&all, || describe::generations(&all.generations))
            }
            Self::Approve(deciding) => deciding.run(context, &session, Decision::Approve),
            Self::Ratify(deciding) => {
                let shown = session
                    .authorisation(deciding.authorisation)
                    .map_err(here)?;
                if shown.state != AuthorisationState::EmergencyApproval {
                    return Err(Failure::Failed(format!(
                        "this authorisation is {}: only an emergency that is in effect is ratified",
                        shown.state
                    )));
                }
                deciding.run(context, &session, Decision::Approve)
            }
            Self::Reject(deciding) => deciding.run(context, &session, Decision::Reject),
            Self::Suspend(moving) => moving.run(context, &session, Move::Suspend),
            Self::Resume(moving) => moving.run(context, &session, Move::Resume),
            Self::Cancel(moving) => moving.run(context, &session, Move::Cancel),
            Self::Document(document) => document.run(context, &session),
        }
    }
}

impl Deciding {
    fn run(&self, context: &Context, session: &Session, decision: Decision) -> Result<(), Failure> {
        let id = self.authorisation;
        let decide = if self.signing.is_second_step() {
            let (statement, decide) = self.signing.read(session)?;
            if statement.subject != id.to_string() || statement.decision != decision {
                return Err(Failure::Usage(
                    "what was signed is another decision, or about another authorisation"
                        .to_owned(),
                ));
            }
            decide
        } else {
            let shown = session.authorisation(id).map_err(here)?;
            approving::show(context.output.is_json(), &describe::one(&shown));
            let until = self.signing.valid_until();
            let statement = session.authorisation_statement(&shown, decision, until)?;
            match self.signing.sign(session, &statement)? {
                Signed::Decision(decide) => *decide,
                Signed::Written(file) => {
                    let written = serde_json::json!({ "to_sign": file });
                    return context.output.answer(&written, || Signed::next_step(&file));
                }
            }
        };
        let decided = session.decide_authorisation(id, &decide).map_err(here)?;
        context
            .output
            .answer(&decided, || describe::decided(&decided.authorisation))
    }
}

impl Moving {
    fn run(&self, context: &Context, session: &Session, to: Move) -> Result<(), Failure> {
        let request = MoveAuthorisation {
            to,
            reason: self.reason.clone(),
        };
        let moved = session
            .move_authorisation(self.authorisation, &request)
            .map_err(here)?;
        context
            .output
            .answer(&moved, || describe::decided(&moved.authorisation))
    }
}

impl Document {
    fn run(self, context: &Context, session: &Session) -> Result<(), Failure> {
        match self {
            Self::Put { file } => {
                let put = session.put_warrant(&read_document(&file)?).map_err(here)?;
                context.output.answer(&put, || put.sha256.clone())
            }
            Self::Get {
                authorisation,
                sha256,
                output,
                force,
            } => {
                let content = session
                    .document_of_authorisation(authorisation, &sha256)
                    .map_err(here)?;
                let Some(path) = output else {
                    let mut stdout = std::io::stdout().lock();
                    let written = stdout.write_all(&content).and_then(|()| stdout.flush());
                    return written.map_err(|error| crate::output::output_failure(&error));
                };
                let failed =
                    |error| Failure::local(format!("{} cannot be written", path.display()), &error);
                let mut file = NewFile::private(&path, force).map_err(failed)?;
                file.write_all(&content).map_err(failed)?;
                file.complete().map_err(failed)?;
                let length = content.len();
                let written =
                    serde_json::json!({ "sha256": sha256, "length": length, "file": path });
                context
                    .output
                    .answer(&written, || format!("{length} bytes in {}", path.display()))
            }
        }
    }
}

fn list(
    context: &Context,
    session: &Session,
    state: Option<AuthorisationState>,
) -> Result<(), Failure> {
    let mut query = AuthorisationQuery {
        state,
        before: None,
        limit: Some(PAGE),
    };
    let mut all = AuthorisationPage {
        authorisations: Vec::new(),
        next: None,
    };
    loop {
        let page = session.authorisations(&query).map_err(here)?;
        all.authorisations.extend(page.authorisations);
        if page.next.is_none() || page.next == query.before {
            return context
                .output
                .answer(&all, || describe::many(&all.authorisations));
        }
        query.before = page.next;
    }
}

/// The order in a file, with the warrant that is uploaded for it.
fn read_order(
    session: &Session,
    file: &Path,
    warrant: Option<&Path>,
) -> Result<AuthorisationOrder, Failure> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
            .map_err(|error| Failure::local("the order cannot be read", &error))?
    } else {
        std::fs::read_to_string(file)
            .map_err(|error| Failure::local(format!("{} cannot be read", file.display()), &error))?
    };
    let mut order: serde_json::Value = serde_json::from_str(&text)
        .map_err(|error| Failure::Usage(format!("the order is no JSON: {error}")))?;
    if let (Some(path), Some(members)) = (warrant, order.as_object_mut()) {
        let put = session.put_warrant(&read_document(path)?).map_err(here)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        members.insert(
            "warrant".to_owned(),
            serde_json::json!({ "name": name, "media_type": media_type(path), "sha256": put.sha256 }),
        );
    }
    serde_json::from_value(order)
        .map_err(|error| Failure::Usage(format!("the order lacks something: {error}")))
}

fn read_document(path: &Path) -> Result<Vec<u8>, Failure> {
    let failed = |error| Failure::local(format!("{} cannot be read", path.display()), &error);
    let length = std::fs::metadata(path).map_err(failed)?.len();
    if length > LARGEST_DOCUMENT as u64 {
        return Err(Failure::Usage(format!(
            "{} is larger than the {LARGEST_DOCUMENT} bytes that a document may have",
            path.display()
        )));
    }
    std::fs::read(path).map_err(failed)
}

fn media_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("pdf") => "application/pdf",
        Some("txt") => "text/plain",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("tif" | "tiff") => "image/tiff",
        _ => "application/octet-stream",
    }
}

fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}
