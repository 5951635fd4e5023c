//! `proposals`: acts that several people have to approve.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use strongroom_client::approvals::Decision;
use strongroom_client::{ClientError, Session};
use strongroom_wire::account::{Role, UpdateAccount};
use strongroom_wire::id::ProposalId;
use strongroom_wire::proposal::{
    Proposal, ProposalPage, ProposalQuery, ProposedRequest, RestoreRequest, SignedApproval,
};

use crate::accounts::{self, role_parser};
use crate::approving::{self, KeyArguments, Signed, Signing};
use crate::failure::{Failure, elsewhere};
use crate::output::{facts, plain, spelling, table};
use crate::{Context, keys, moment};

const HINT: &str = "this is done at the appliance's administration address, and this home is signed in elsewhere: sign in \
                    there with strongroom login ACCOUNT --server URL, in another --home";

/// `strongroom proposals`.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Propose an act that the domain's policy demands a quorum for.
    #[command(subcommand)]
    Make(Make),
    /// List the proposals that one has made or approves.
    List {
        /// Only those that are open.
        #[arg(long)]
        open: bool,
    },
    /// Show a proposal.
    Show {
        /// The proposal's identifier.
        proposal: ProposalId,
    },
    /// Approve a proposal: sign the exact request that is shown.
    Approve(Deciding),
    /// Be against a proposal, which ends it.
    Reject(Deciding),
    /// Withdraw a proposal that one has made.
    Withdraw {
        /// The proposal's identifier.
        proposal: ProposalId,
    },
    /// Carry out a proposal that one has made and enough people have approved.
    Run {
        /// The proposal's identifier.
        proposal: ProposalId,
    },
}

/// What is proposed.
#[derive(Subcommand, Debug)]
pub(crate) enum Make {
    /// To destroy a key.
    KeyDestroy {
        /// The key.
        key: String,
    },
    /// To have a key's material released or wrapped, once: then with the command that does it, and --proposal.
    KeyRelease {
        /// The key.
        key: String,
    },
    /// To set the domain's policy.
    DomainPolicy {
        /// The whole policy, in JSON as domain policy show --json prints it.
        policy: PathBuf,
    },
    /// To give an account these roles and no others.
    Roles {
        /// The account's name or identifier.
        account: String,
        /// A role; may be given several times, or not at all.
        #[arg(long = "role", value_name = "ROLE", value_delimiter = ',', value_parser = role_parser())]
        roles: Vec<Role>,
    },
    /// To rotate the master KEK.
    MasterKekRotate,
    /// To retire a version of the master KEK.
    MasterKekRetire {
        /// The version.
        version: u32,
    },
    /// To destroy a version of the master KEK in the HSM.
    MasterKekDestroy {
        /// The version.
        version: u32,
    },
    /// To reset the machine to how it left the factory: then with strongroom appliance factory-reset, and --proposal.
    ApplianceReset,
}

/// A decision.
#[derive(Args, Debug)]
pub(crate) struct Deciding {
    /// The proposal's identifier.
    proposal: ProposalId,
    #[command(flatten)]
    signing: Signing,
}

/// `strongroom approval-keys sign`: approving a restore beside the appliance.
#[derive(Args, Debug)]
pub(crate) struct SignRestore {
    /// What strongroomd restore --quorum-request wrote.
    request: PathBuf,
    /// Where the approval goes, for strongroomd restore --approval.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// For how long it is good, such as 12h or 7d.
    #[arg(long, value_name = "SPAN", default_value = "2d", value_parser = moment::span)]
    valid_for: u32,
    #[command(flatten)]
    key: KeyArguments,
}

impl Command {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Make(make) => {
                let session = context.session()?;
                let request = make.request(&session)?;
                let made = session.propose(request).map_err(here)?;
                context.output.answer(&made, || describe(&made.proposal))
            }
            Self::List { open } => list(context, &context.session()?, open),
            Self::Show { proposal } => {
                let proposal = context.session()?.proposal(proposal)?;
                context.output.answer(&proposal, || describe(&proposal))
            }
            Self::Approve(deciding) => deciding.run(context, Decision::Approve),
            Self::Reject(deciding) => deciding.run(context, Decision::Reject),
            Self::Withdraw { proposal } => {
                let withdrawn = context.session()?.withdraw_proposal(proposal)?;
                context
                    .output
                    .answer(&withdrawn, || describe(&withdrawn.proposal))
            }
            Self::Run { proposal } => run(context, proposal),
        }
    }
}

impl Make {
    fn request(self, session: &Session) -> Result<ProposedRequest, Failure> {
        Ok(match self {
            Self::KeyDestroy { key } => ProposedRequest::KeyDestroy {
                key: keys::identify(&key)?,
            },
            Self::KeyRelease { key } => ProposedRequest::KeyRelease {
                key: keys::identify(&key)?,
            },
            Self::DomainPolicy { policy } => {
                let policy = serde_json::from_slice(&approving::read(&policy)?)
                    .map_err(|error| Failure::Usage(format!("that is no policy: {error}")))?;
                ProposedRequest::DomainPolicy {
                    policy: Box::new(policy),
                }
            }
            Self::Roles { account, roles } => ProposedRequest::AccountUpdate {
                account: accounts::find(session, &account)?.id,
                roles,
            },
            Self::MasterKekRotate => ProposedRequest::MasterKekRotate {},
            Self::MasterKekRetire { version } => ProposedRequest::MasterKekRetire { version },
            Self::MasterKekDestroy { version } => ProposedRequest::MasterKekDestroy { version },
            Self::ApplianceReset => ProposedRequest::ApplianceReset {},
        })
    }
}

impl Deciding {
    fn run(&self, context: &Context, decision: Decision) -> Result<(), Failure> {
        let session = context.session()?;
        let id = self.proposal;
        let decide = if self.signing.is_second_step() {
            let (statement, decide) = self.signing.read(&session)?;
            if statement.subject != id.to_string() || statement.decision != decision {
                return Err(Failure::Usage(
                    "what was signed is another decision, or about another proposal".to_owned(),
                ));
            }
            decide
        } else {
            let shown = session.proposal(id)?;
            approving::show(context.output.is_json(), &describe(&shown));
            let until = self.signing.valid_until();
            let statement = session.proposal_statement(&shown, decision, until)?;
            match self.signing.sign(&session, &statement)? {
                Signed::Decision(decide) => *decide,
                Signed::Written(file) => {
                    let written = serde_json::json!({ "to_sign": file });
                    return context.output.answer(&written, || Signed::next_step(&file));
                }
            }
        };
        let decided = session.decide_proposal(id, &decide)?;
        context
            .output
            .answer(&decided, || describe(&decided.proposal))
    }
}

impl SignRestore {
    pub(crate) fn run(self, context: &Context) -> Result<(), Failure> {
        let request: RestoreRequest = serde_json::from_slice(&approving::read(&self.request)?)
            .map_err(|_| {
                Failure::Usage(
                    "that is not what strongroomd restore --quorum-request wrote".to_owned(),
                )
            })?;
        let signer = self
            .key
            .signer()?
            .ok_or_else(|| Failure::Usage("say which key: --key or --pkcs11".to_owned()))?;
        let until = moment::now().plus_seconds(self.valid_for.into());
        let statement = strongroom_client::proposals::restore_statement(&request, until)?;
        let text = request_in_words(&request.request, None);
        approving::show(
            context.output.is_json(),
            &format!("{}: {text}", plain(&request.domain_origin)),
        );
        let signature = signer.sign(&statement)?;
        let jws = signer
            .public
            .jws(&signature)
            .map_err(|error| Failure::Failed(error.to_string()))?;
        let approval = SignedApproval {
            statement: statement.to_bytes().into(),
            public_key: signer.public.spki().into(),
            jws,
        };
        let json = serde_json::to_vec_pretty(&approval)
            .map_err(|_| Failure::Failed("the approval cannot be written".to_owned()))?;
        approving::put(&self.output, &json)?;
        context.output.answer(&approval, || {
            format!(
                "{} is the approval, good until {}.",
                self.output.display(),
                statement.valid_until
            )
        })
    }
}

/// Carries a proposal out.
fn run(context: &Context, id: ProposalId) -> Result<(), Failure> {
    let proposal = context.session()?.proposal(id)?;
    let session = context.session_by(id)?;
    let version = |version: u32, leaf: u64| serde_json::json!({ "version": version, "leaf": leaf });
    let done = match proposal.request {
        ProposedRequest::KeyDestroy { key } => serde_json::to_value(session.destroy(key)?),
        ProposedRequest::DomainPolicy { policy } => {
            serde_json::to_value(session.set_domain_policy(&policy).map_err(here)?)
        }
        ProposedRequest::AccountUpdate { account, roles } => {
            let update = UpdateAccount {
                state: None,
                roles: Some(roles),
            };
            serde_json::to_value(session.update_account(account, &update).map_err(here)?)
        }
        ProposedRequest::MasterKekRotate {} => {
            let done = session.rotate_master_kek().map_err(here)?;
            Ok(version(done.version, done.leaf))
        }
        ProposedRequest::MasterKekRetire { version: of } => {
            let done = session.retire_master_kek(of).map_err(here)?;
            Ok(version(done.version, done.leaf))
        }
        ProposedRequest::MasterKekDestroy { version: of } => {
            let done = session.destroy_master_kek(of).map_err(here)?;
            Ok(version(done.version, done.leaf))
        }
        ProposedRequest::KeyRelease { key } => {
            return Err(Failure::Usage(format!(
                "say what is to become of the material: the command that releases {key}, with --proposal {id}"
            )));
        }
        ProposedRequest::ApplianceReset {} => {
            return Err(Failure::Usage(format!(
                "say which appliance: strongroom appliance factory-reset, with --proposal {id}"
            )));
        }
        ProposedRequest::DomainRestore { .. } => {
            return Err(Failure::Usage(
                "a backup is restored by strongroomd restore".to_owned(),
            ));
        }
    };
    let done = done.unwrap_or_default();
    context
        .output
        .answer(&done, || format!("Proposal {id} is carried out."))
}

fn list(context: &Context, session: &Session, open: bool) -> Result<(), Failure> {
    let mut query = ProposalQuery { open, before: None };
    let mut all = ProposalPage {
        proposals: Vec::new(),
        next: None,
    };
    loop {
        let page = session.proposals(&query)?;
        all.proposals.extend(page.proposals);
        if page.next.is_none() || page.next == query.before {
            return context.output.answer(&all, || describe_all(&all.proposals));
        }
        query.before = page.next;
    }
}

fn describe(proposal: &Proposal) -> String {
    let label = proposal.label.as_deref().map(plain);
    let mut text = facts(&[
        ("proposal", proposal.id.to_string()),
        ("state", proposal.state.as_str().to_owned()),
        (
            "to do",
            request_in_words(&proposal.request, label.as_deref()),
        ),
        ("request", format!("SHA-256 {}", proposal.request_sha256)),
        ("made by", plain(&proposal.proposed_by_name)),
        ("until", proposal.expires.to_string()),
        (
            "takes",
            format!("{} of the role {}", proposal.count, proposal.role.as_str()),
        ),
        (
            "approved",
            if proposal.approved { "yes" } else { "not yet" }.to_owned(),
        ),
    ]);
    if let ProposedRequest::DomainPolicy { policy } = &proposal.request {
        text += &serde_json::to_string_pretty(policy).unwrap_or_default();
        text.push('\n');
    }
    let rows: Vec<_> = proposal
        .approvals
        .iter()
        .map(|given| {
            [
                spelling(&given.decision),
                plain(&given.account_name),
                given.time.to_string(),
                given.valid_until.to_string(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text += &table(["DECISION", "BY", "AT", "COUNTS UNTIL"], &rows);
    }
    text
}

fn describe_all(proposals: &[Proposal]) -> String {
    let rows: Vec<_> = proposals
        .iter()
        .map(|proposal| {
            let label = proposal.label.as_deref().map(plain);
            [
                request_in_words(&proposal.request, label.as_deref()),
                proposal.state.as_str().to_owned(),
                if proposal.approved { "yes" } else { "no" }.to_owned(),
                plain(&proposal.proposed_by_name),
                proposal.id.to_string(),
            ]
        })
        .collect();
    table(["TO DO", "STATE", "APPROVED", "BY", "IDENTIFIER"], &rows)
}

fn request_in_words(request: &ProposedRequest, label: Option<&str>) -> String {
    let labelled = label.map(|label| format!(" ({label})")).unwrap_or_default();
    match request {
        ProposedRequest::KeyDestroy { key } => format!("destroy the key {key}{labelled}"),
        ProposedRequest::KeyRelease { key } => {
            format!("release the material of the key {key}{labelled}")
        }
        ProposedRequest::DomainPolicy { .. } => "set the domain's policy".to_owned(),
        ProposedRequest::AccountUpdate { account, roles } => {
            let roles: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
            format!(
                "give the account {account} the roles [{}]",
                roles.join(", ")
            )
        }
        ProposedRequest::MasterKekRotate {} => "rotate the master KEK".to_owned(),
        ProposedRequest::MasterKekRetire { version } => {
            format!("retire version {version} of the master KEK")
        }
        ProposedRequest::MasterKekDestroy { version } => {
            format!("destroy version {version} of the master KEK in the HSM")
        }
        ProposedRequest::DomainRestore {
            created,
            leaves,
            database_sha256,
        } => format!(
            "restore the backup of {created} with {leaves} leaves, whose database has the SHA-256 {}",
            plain(database_sha256)
        ),
        ProposedRequest::ApplianceReset {} => {
            "reset the machine: all keys and data on it are destroyed".to_owned()
        }
    }
}

fn here(error: ClientError) -> Failure {
    elsewhere(error, HINT)
}
