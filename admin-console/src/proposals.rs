//! Acts that take several people because the domain's policy says so: proposing, approving, rejecting, withdrawing, carrying out.
//!
//! | module | what lives there |
//! |---|---|
//! | this one | the list, proposing, and the way to it from a page whose act was refused |
//! | `one` | a proposal's page |
//! | `decide` | approving and rejecting |
//! | `run` | carrying out |

mod decide;
mod one;
mod run;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::approval::Decision;
use strongroom_wire::id::ProposalId;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::proposal::{
    GuardedAct, Proposal, ProposalQuery, ProposalState, Propose, ProposedRequest,
};

use crate::form::{Fields, Sent};
use crate::page;
use crate::pieces::{
    Card, Empty, Field, Form, Html, Note, Table, Tone, address, badge, button, link, mono,
    paragraph, when, with_sub,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::Stop;
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(crate) fn routes(services: &mut ServiceConfig) {
    page(services, "/proposals", vec![web::get().to(list)]);
    page(services, "/proposals/new", vec![web::post().to(propose)]);
    page(
        services,
        "/proposals/{proposal}",
        vec![web::get().to(one::show)],
    );
    page(
        services,
        "/proposals/{proposal}/decide",
        vec![
            web::get().to(decide::show),
            web::post().to(decide::by_passkey),
        ],
    );
    page(
        services,
        "/proposals/{proposal}/decide/signature",
        vec![web::post().to(decide::by_key)],
    );
    page(
        services,
        "/proposals/{proposal}/withdraw",
        vec![web::post().to(one::withdraw)],
    );
    page(
        services,
        "/proposals/{proposal}/run",
        vec![web::get().to(run::show), web::post().to(run::run)],
    );
}

fn status(refused: Option<&Problem>) -> StatusCode {
    refused.map_or(StatusCode::OK, |problem| {
        StatusCode::from_u16(problem.status).unwrap_or_default()
    })
}

fn at(id: ProposalId, what: &str) -> String {
    if what.is_empty() {
        format!("/proposals/{id}")
    } else {
        format!("/proposals/{id}/{what}")
    }
}

/// What stands on a page whose act was refused because several people have to approve it: the way to propose exactly that.
pub(crate) fn offer(token: &str, problem: Option<&Problem>, request: &ProposedRequest) -> Html {
    if problem.is_none_or(|problem| problem.code != Code::QuorumRequired) {
        return Html::default();
    }
    let request = serde_json::to_string(request).unwrap_or_default();
    let form = Form::new("/proposals/new", token, "Make a proposal of it")
        .field(Field::hidden("request", request));
    let body = Html::all([
        paragraph(
            "The domain's policy wants that several people approve exactly this first. You carry it out once they have.",
        ),
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    Note::new(Tone::Warn, "Propose it", body).html()
}

const fn act(act: GuardedAct) -> &'static str {
    match act {
        GuardedAct::KeyDestroy => "Destroy a key",
        GuardedAct::KeyRelease => "Have a key's material",
        GuardedAct::DomainPolicy => "Change the domain's policy",
        GuardedAct::AccountUpdate => "Give an account roles",
        GuardedAct::MasterKekRotate => "Rotate the master KEK",
        GuardedAct::MasterKekRetire => "Retire a version of the master KEK",
        GuardedAct::MasterKekDestroy => "Destroy a version of the master KEK",
        GuardedAct::DomainRestore => "Restore the domain from a backup",
        GuardedAct::ApplianceReset => "Reset the machine",
    }
}

const fn state(state: ProposalState) -> (Tone, &'static str) {
    match state {
        ProposalState::Open => (Tone::Warn, "Open"),
        ProposalState::Used => (Tone::Good, "Carried out"),
        ProposalState::Rejected => (Tone::Bad, "Rejected"),
        ProposalState::Withdrawn => (Tone::Plain, "Withdrawn"),
        ProposalState::Expired => (Tone::Plain, "Expired"),
    }
}

fn state_badge(proposal: &Proposal) -> Html {
    let (tone, name) = match proposal.state {
        ProposalState::Open if proposal.approved => (Tone::Good, "Approved"),
        other => state(other),
    };
    badge(tone, name)
}

fn approvals_so_far(proposal: &Proposal) -> usize {
    proposal
        .approvals
        .iter()
        .filter(|given| given.decision == Decision::Approve)
        .count()
}

/// Whether the reader is one of those who approve it.
fn decides(reader: &Reader, proposal: &Proposal) -> bool {
    proposal.state == ProposalState::Open
        && reader.frame.has(proposal.role)
        && proposal.proposed_by != reader.presence.account.id
}

fn is_mine(reader: &Reader, proposal: &Proposal) -> bool {
    proposal.proposed_by == reader.presence.account.id
}

async fn list(reader: Reader, query: Fields) -> Answer {
    let open = query.one("which") != "all";
    let asked = ProposalQuery {
        open,
        before: query.some("before").and_then(|before| before.parse().ok()),
    };
    let found = reader
        .ask(move |keystore, caller| keystore.proposals(caller, asked))
        .await?;
    let switch = if open {
        button("/proposals?which=all", "Show those that are over, too", "")
    } else {
        button("/proposals", "Show open ones alone", "")
    };
    let page = Page::new(&reader.frame, "Proposals")
        .intro("Acts that the domain's policy lets nobody do alone: yours, and those that you approve.")
        .acts(switch);
    if found.proposals.is_empty() {
        let empty = Empty::new(
            if open {
                "No open proposals"
            } else {
                "No proposals"
            },
            "Where the domain's policy wants several people, the page of the act leads to a proposal.",
        );
        return Ok(page.block(Card::new("").body(empty.html()).html()).answer());
    }
    let rows = found.proposals.iter().map(|proposal| {
        let to_do = if decides(&reader, proposal) {
            badge(Tone::Warn, "You decide")
        } else if is_mine(&reader, proposal)
            && proposal.approved
            && proposal.state == ProposalState::Open
        {
            badge(Tone::Good, "Carry it out")
        } else {
            Html::default()
        };
        vec![
            with_sub(
                link(&at(proposal.id, ""), act(proposal.request.act())),
                subject(&proposal.request, proposal.label.as_deref()),
            ),
            state_badge(proposal),
            format!("{} of {}", approvals_so_far(proposal), proposal.count).into(),
            with_sub(proposal.proposed_by_name.as_str(), when(proposal.created)),
            when(proposal.expires),
            to_do,
        ]
    });
    let table = Table::new(
        "Proposals",
        &[
            "Act",
            "State",
            "Approved by",
            "Proposed by",
            "Stands until",
            "For you",
        ],
    )
    .rows(rows);
    let mut card = Card::new("").table(table);
    if let Some(next) = found.next {
        let which = if open { "" } else { "all" };
        let to = address(
            "/proposals",
            &[("which", which), ("before", &next.to_string())],
        );
        card = card.foot(button(&to, "Older proposals", "slim"));
    }
    Ok(page.block(card.html()).answer())
}

/// What the act is on.
fn subject(request: &ProposedRequest, label: Option<&str>) -> Html {
    match request {
        ProposedRequest::KeyDestroy { key } | ProposedRequest::KeyRelease { key } => {
            let label = label.filter(|label| !label.is_empty());
            label.map_or_else(|| mono(&key.to_string()), Html::from)
        }
        ProposedRequest::DomainPolicy { .. } => "The domain".into(),
        ProposedRequest::AccountUpdate { account, roles } => {
            let roles: Vec<&str> = roles.iter().map(|role| words::role(*role)).collect();
            let roles = if roles.is_empty() {
                "no role".to_owned()
            } else {
                words::listed(&roles, "and")
            };
            Html::join(" ", [mono(&account.to_string()), roles.into()])
        }
        ProposedRequest::MasterKekRotate {} => "A new version".into(),
        ProposedRequest::MasterKekRetire { version }
        | ProposedRequest::MasterKekDestroy { version } => format!("Version {version}").into(),
        ProposedRequest::DomainRestore { created, .. } => {
            Html::join(" ", ["The backup of".into(), when(*created)])
        }
        ProposedRequest::ApplianceReset {} => "All keys and data on it".into(),
    }
}

async fn propose(reader: Reader, sent: Sent) -> Answer {
    let request = serde_json::from_str::<ProposedRequest>(sent.raw("request"));
    let request = request.map_err(|_| {
        Stop::new(
            &reader.frame,
            Code::Invalid,
            "What was to be proposed cannot be read. Go back and try the act once more.",
        )
    })?;
    let made = reader
        .ask(move |keystore, caller| keystore.propose(caller, Propose { request }))
        .await?;
    Ok(show::go(&format!(
        "/proposals/{}?done=made&leaf={}",
        made.proposal.id, made.leaf
    )))
}
