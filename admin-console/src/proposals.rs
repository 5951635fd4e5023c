//! Acts that take several people because the domain's policy says so: proposing, approving, rejecting, withdrawing, carrying out.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{self, ServiceConfig};
use strongroom_approval::{Of, Statement, canonical, sha256};
use strongroom_keystore::{Answer as KeystoreAnswer, Keystore, Presented};
use strongroom_wire::account::UpdateAccount;
use strongroom_wire::approval::{Decide, Decision};
use strongroom_wire::id::ProposalId;
use strongroom_wire::problem::{Code, Problem};
use strongroom_wire::proposal::{
    GuardedAct, Proposal, ProposalQuery, ProposalState, Propose, ProposedRequest,
};

use crate::form::{Fields, Sent, Uploaded};
use crate::page;
use crate::pieces::{
    Card, Empty, Facts, Field, Form, Html, Note, Table, Tone, address, badge, button, count, link,
    list as bullets, mono, paragraph, plural, soft, when, with_sub,
};
use crate::reader::{Page, Reader};
use crate::show;
use crate::signing::{self, LARGEST, ToSign};
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

const DAY: u64 = 86_400;

pub(crate) fn routes(services: &mut ServiceConfig) {
    page(services, "/proposals", vec![web::get().to(list)]);
    page(services, "/proposals/new", vec![web::post().to(propose)]);
    page(services, "/proposals/{proposal}", vec![web::get().to(show)]);
    page(
        services,
        "/proposals/{proposal}/decide",
        vec![
            web::get().to(show_decide),
            web::post().to(decide_by_passkey),
        ],
    );
    page(
        services,
        "/proposals/{proposal}/decide/signature",
        vec![web::post().to(decide_by_key)],
    );
    page(
        services,
        "/proposals/{proposal}/withdraw",
        vec![web::post().to(withdraw)],
    );
    page(
        services,
        "/proposals/{proposal}/run",
        vec![web::get().to(show_run), web::post().to(run)],
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

async fn proposal_of(reader: &Reader, id: ProposalId) -> Result<Proposal, Stop> {
    reader
        .ask(move |keystore, caller| keystore.proposal(caller, id))
        .await
}

fn done(query: &Fields) -> Option<Html> {
    let (title, more) = match query.one("done") {
        "made" => (
            "The proposal is made",
            "Those who approve it find it among their proposals.",
        ),
        "approved" => ("Your approval is recorded", ""),
        "rejected" => ("The proposal is rejected", "It has ended."),
        "withdrawn" => ("The proposal is withdrawn", ""),
        "run" => ("It is carried out", "The proposal is used up."),
        _ => return None,
    };
    let mut body = Html::from(more);
    if let Ok(leaf) = query.one("leaf").parse::<u64>() {
        body = Html::join(
            " ",
            [body, format!("Recorded as leaf {}.", count(leaf)).into()],
        );
    }
    Some(Note::new(Tone::Good, title, body).html())
}

async fn show(reader: Reader, path: web::Path<ProposalId>, query: Fields) -> Answer {
    let proposal = proposal_of(&reader, path.into_inner()).await?;
    Ok(proposal_page(&reader, &proposal, done(&query), None))
}

fn proposal_page(
    reader: &Reader,
    proposal: &Proposal,
    done: Option<Html>,
    refused: Option<&Problem>,
) -> HttpResponse {
    let decide = |decision| address(&at(proposal.id, "decide"), &[("decision", decision)]);
    let mut acts = Vec::new();
    if decides(reader, proposal) {
        acts.push(button(&decide("approve"), "Approve", "main"));
        acts.push(button(&decide("reject"), "Reject", "danger"));
    }
    let mine = is_mine(reader, proposal) && proposal.state == ProposalState::Open;
    if mine && proposal.approved && runs_here(&proposal.request) {
        acts.push(button(&at(proposal.id, "run"), "Carry it out", "main"));
    }
    let mut page = Page::new(&reader.frame, act(proposal.request.act()))
        .under("/proposals", "Proposals")
        .acts(Html::all(acts));
    if let Some(done) = done {
        page = page.block(done);
    }
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &reader.here).html());
    }
    page = page
        .blocks(proposal_cards(proposal))
        .block(decisions(proposal));
    if mine && !runs_here(&proposal.request) {
        let words = match &proposal.request {
            ProposedRequest::KeyRelease { .. } => format!(
                "No key comes to these pages. Once it is approved, your own program has the key released, once: with --proposal {} at the command line.",
                proposal.id
            ),
            _ => "It is carried out at the machine itself.".to_owned(),
        };
        page = page.block(Card::new("Carrying it out").body(paragraph(words)).html());
    }
    if mine {
        let to = at(proposal.id, "withdraw");
        let form =
            Form::new(&to, &reader.frame.form_token, "Withdraw the proposal").class("danger");
        let body = Html::all([
            paragraph("Nobody can approve it or carry it out any more."),
            Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
        ]);
        page = page.block(Card::new("Withdraw it").body(body).html());
    }
    page.answer_with(status(refused))
}

/// Whether these pages can carry it out.
const fn runs_here(request: &ProposedRequest) -> bool {
    !matches!(
        request,
        ProposedRequest::KeyRelease { .. } | ProposedRequest::DomainRestore { .. }
    )
}

/// What is proposed, and how far it is.
fn proposal_cards(proposal: &Proposal) -> Vec<Html> {
    let facts = Facts::new()
        .with("State", state_badge(proposal))
        .with("Act", act(proposal.request.act()))
        .with("On", subject(&proposal.request, proposal.label.as_deref()))
        .with("Proposed by", proposal.proposed_by_name.as_str())
        .with("Proposed", when(proposal.created))
        .with("Stands until", when(proposal.expires))
        .with(
            "It takes",
            format!(
                "{} with the role {}, besides who proposed it",
                plural(proposal.count.into(), "person", "people"),
                words::role(proposal.role).to_lowercase()
            ),
        )
        .with(
            "The exact request",
            Html::join(" ", ["SHA-256".into(), mono(&proposal.request_sha256)]),
        )
        .with("Proposal", mono(&proposal.id.to_string()));
    let text = serde_json::to_string_pretty(&proposal.request).unwrap_or_default();
    let mut body = vec![facts.two().html()];
    if let ProposedRequest::DomainPolicy { policy } = &proposal.request {
        let usage = words::policy(&policy.usage);
        let usage = if usage.is_empty() {
            soft("No limits on the use of keys.")
        } else {
            bullets(usage.into_iter().map(Html::from))
        };
        body.push(Html::fixed(format!(
            "<h3 class=\"after\">The use of every key would be</h3>{usage}"
        )));
    }
    body.push(Html::fixed(format!(
        "<details class=\"more after\"><summary>The exact request</summary><pre class=\"wrapped\" tabindex=\"0\">{}</pre></details>",
        Html::from(text)
    )));
    vec![Card::new("What is proposed").body(Html::all(body)).html()]
}

fn decisions(proposal: &Proposal) -> Html {
    let card = Card::new("Decisions");
    if proposal.approvals.is_empty() {
        let empty = Empty::new(
            "Nobody has decided yet",
            "Those who approve it find it among their proposals.",
        );
        return card.body(empty.html()).html();
    }
    let rows = proposal.approvals.iter().map(|given| {
        let decision = match given.decision {
            Decision::Approve => badge(Tone::Good, "Approved"),
            Decision::Reject => badge(Tone::Bad, "Rejected"),
        };
        vec![
            Html::from(given.account_name.as_str()),
            decision,
            when(given.time),
            when(given.valid_until),
            mono(&given.evidence_sha256),
        ]
    });
    let table = Table::new(
        "Decisions",
        &[
            "Who",
            "Decision",
            "When",
            "Counts until",
            "SHA-256 of the evidence",
        ],
    )
    .rows(rows);
    card.table(table).html()
}

async fn show_decide(reader: Reader, path: web::Path<ProposalId>, query: Fields) -> Answer {
    let decision = match query.one("decision") {
        "reject" => Decision::Reject,
        _ => Decision::Approve,
    };
    let days = signing::days(&query);
    decide_page(&reader, path.into_inner(), decision, days, None).await
}

async fn decide_page(
    reader: &Reader,
    id: ProposalId,
    decision: Decision,
    days: u64,
    refused: Option<&Problem>,
) -> Answer {
    let proposal = proposal_of(reader, id).await?;
    let credentials = reader.ask(Keystore::approval_credentials).await?;
    let request = canonical::to_vec(&proposal.request).unwrap_or_default();
    let digest = sha256(&request);
    if hex::encode(digest) != proposal.request_sha256 {
        return Err(Stop::new(
            &reader.frame,
            Code::IntegrityFailure,
            "The proposed request is not the one that its SHA-256 names.",
        ));
    }
    let statement = Statement {
        domain_origin: credentials.domain_origin.clone(),
        subject: id.to_string(),
        of: Of::Request {
            act: proposal.request.act().as_str().to_owned(),
            request_sha256: digest,
        },
        decision,
        valid_until: reader.presence.now.plus_seconds(days * DAY),
    };
    let (title, submit) = match decision {
        Decision::Approve => ("Approve", "Approve the proposal"),
        Decision::Reject => ("Reject", "Reject the proposal"),
    };
    let heading = format!("{title}: {}", act(proposal.request.act()));
    let (to, back) = (at(id, "decide"), at(id, ""));
    let mut page = Page::new(&reader.frame, &heading)
        .under("/proposals", "Proposals")
        .under(back.as_str(), act(proposal.request.act()))
        .scripts(signing::SCRIPTS);
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &reader.here).html());
    }
    page = page.blocks(proposal_cards(&proposal));
    if !decides(reader, &proposal) {
        let empty = Empty::new(
            "There is nothing for you to decide",
            "People of the role that it names decide on it while it is open, and not whoever made it.",
        );
        return Ok(page
            .block(Card::new("").body(empty.html()).html())
            .answer_with(status(refused)));
    }
    let to_sign = ToSign {
        statement: &statement,
        about: Html::join(
            " ",
            [
                act(proposal.request.act()).into(),
                subject(&proposal.request, proposal.label.as_deref()),
            ],
        ),
        document: ("request", &request),
        to: &to,
        submit,
        back: &back,
        token: &reader.frame.form_token,
    };
    Ok(page
        .blocks(to_sign.cards(&credentials, days))
        .answer_with(status(refused)))
}

async fn hand_in(reader: &Reader, id: ProposalId, request: Result<Decide, Problem>) -> Answer {
    let decision = request
        .as_ref()
        .ok()
        .and_then(|request| Statement::from_bytes(&request.statement.0).ok())
        .map_or(Decision::Approve, |statement| statement.decision);
    let decided = match request {
        Ok(request) => {
            reader
                .attempt(move |keystore, caller| keystore.decide_proposal(caller, id, request))
                .await?
        }
        Err(problem) => Err(problem),
    };
    match decided {
        Ok(changed) => {
            let done = match decision {
                Decision::Approve => "approved",
                Decision::Reject => "rejected",
            };
            Ok(show::go(&format!(
                "{}?done={done}&leaf={}",
                at(id, ""),
                changed.leaf
            )))
        }
        Err(problem) => {
            let days = signing::days(&Fields::default());
            decide_page(reader, id, decision, days, Some(&problem)).await
        }
    }
}

async fn decide_by_passkey(reader: Reader, path: web::Path<ProposalId>, sent: Sent) -> Answer {
    hand_in(&reader, path.into_inner(), signing::by_passkey(&sent)).await
}

async fn decide_by_key(
    reader: Reader,
    path: web::Path<ProposalId>,
    sent: Uploaded<LARGEST>,
) -> Answer {
    let keys = reader.ask(Keystore::approval_credentials).await?.keys;
    hand_in(&reader, path.into_inner(), signing::by_key(&sent, &keys)).await
}

async fn withdraw(reader: Reader, path: web::Path<ProposalId>, _sent: Sent) -> Answer {
    let id = path.into_inner();
    let withdrawn = reader
        .attempt(move |keystore, caller| keystore.withdraw_proposal(caller, id))
        .await?;
    match withdrawn {
        Ok(changed) => Ok(show::go(&format!(
            "{}?done=withdrawn&leaf={}",
            at(id, ""),
            changed.leaf
        ))),
        Err(problem) => {
            let proposal = proposal_of(&reader, id).await?;
            Ok(proposal_page(&reader, &proposal, None, Some(&problem)))
        }
    }
}

async fn show_run(reader: Reader, path: web::Path<ProposalId>) -> Answer {
    let proposal = proposal_of(&reader, path.into_inner()).await?;
    if !is_mine(&reader, &proposal) || proposal.state != ProposalState::Open {
        // Whatever this page does not offer, the keystore refuses.
        return Ok(show::go(&at(proposal.id, "")));
    }
    reader.require_recent()?;
    Ok(run_page(&reader, &proposal, None))
}

fn run_page(reader: &Reader, proposal: &Proposal, refused: Option<&Problem>) -> HttpResponse {
    let (to, back) = (at(proposal.id, "run"), at(proposal.id, ""));
    let form = Form::new(&to, &reader.frame.form_token, "Carry it out")
        .danger()
        .back(&back);
    let what = bullets([
        Html::join(
            " ",
            [
                act(proposal.request.act()).into(),
                "—".into(),
                subject(&proposal.request, proposal.label.as_deref()),
            ],
        ),
        "Exactly this is done, once: the proposal is used up by it.".into(),
        means(&proposal.request).into(),
    ]);
    let mut page = Page::new(&reader.frame, "Carry it out")
        .under("/proposals", "Proposals")
        .under(back.as_str(), act(proposal.request.act()));
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, &to).html());
    }
    let body = Html::all([
        what,
        Html::fixed(format!("<div class=\"after\">{}</div>", form.html())),
    ]);
    page.block(Card::new("What this changes").body(body).danger().html())
        .answer_with(status(refused))
}

const fn means(request: &ProposedRequest) -> &'static str {
    match request {
        ProposedRequest::KeyDestroy { .. } => {
            "What the key protected can never be opened again, by anyone."
        }
        ProposedRequest::DomainPolicy { .. } => {
            "It holds at once, for every key and every account."
        }
        ProposedRequest::AccountUpdate { .. } => {
            "The account has these roles from now on, and no others."
        }
        ProposedRequest::MasterKekRotate {} => {
            "The HSM makes a new version; account KEKs are moved to it in the background."
        }
        ProposedRequest::MasterKekRetire { .. } => {
            "The version is used for nothing any more. It still is in the HSM."
        }
        ProposedRequest::MasterKekDestroy { .. } => {
            "Backups from before the rotation can never be opened again."
        }
        ProposedRequest::KeyRelease { .. } | ProposedRequest::DomainRestore { .. } => {
            "It is carried out elsewhere."
        }
    }
}

/// Does what was proposed, by the very function that does it without a quorum, in the proposal's name.
fn carry_out(
    keystore: &Keystore,
    caller: &Presented,
    proposal: &Proposal,
) -> KeystoreAnswer<Option<u64>> {
    let caller = Presented {
        proposal: Some(proposal.id),
        ..caller.clone()
    };
    let caller = &caller;
    Ok(Some(match proposal.request.clone() {
        ProposedRequest::KeyDestroy { key } => keystore.destroy(caller, key)?.leaf,
        ProposedRequest::DomainPolicy { policy } => {
            keystore.set_domain_policy(caller, *policy)?.leaf
        }
        ProposedRequest::AccountUpdate { account, roles } => {
            let request = UpdateAccount {
                state: None,
                roles: Some(roles),
            };
            keystore.update_account(caller, account, request)?.leaf
        }
        ProposedRequest::MasterKekRotate {} => keystore.rotate_master_kek(caller)?.leaf,
        ProposedRequest::MasterKekRetire { version } => {
            keystore.retire_master_kek(caller, version)?.leaf
        }
        ProposedRequest::MasterKekDestroy { version } => {
            keystore.destroy_master_kek(caller, version)?.leaf
        }
        ProposedRequest::KeyRelease { .. } | ProposedRequest::DomainRestore { .. } => {
            return Ok(None);
        }
    }))
}

async fn run(reader: Reader, path: web::Path<ProposalId>, _sent: Sent) -> Answer {
    let id = path.into_inner();
    reader.require_recent_then(&at(id, "run"))?;
    let proposal = proposal_of(&reader, id).await?;
    let wanted = proposal.clone();
    let done = reader
        .attempt(move |keystore, caller| carry_out(keystore, caller, &wanted))
        .await?;
    match done {
        Ok(Some(leaf)) => Ok(show::go(&format!("{}?done=run&leaf={leaf}", at(id, "")))),
        Ok(None) => Ok(show::go(&at(id, ""))),
        Err(problem) => Ok(run_page(&reader, &proposal, Some(&problem))),
    }
}
