//! The domain's policy in sentences.

use actix_web::HttpResponse;
use strongroom_wire::policy::DomainPolicy;

use super::quorums;
use crate::form::Fields;
use crate::own::done;
use crate::pieces::{Card, Html, button, list as bullets, plural, soft};
use crate::reader::{Page, Reader};
use crate::stop::Stop;
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn policy_of(reader: &Reader) -> Result<DomainPolicy, Stop> {
    reader
        .ask(|keystore, caller| {
            keystore.may_see_machine(caller)?;
            keystore.domain_policy(caller)
        })
        .await
}

pub(super) async fn show(reader: Reader, query: Fields) -> Answer {
    let domain = policy_of(&reader).await?;
    let mut page = Page::new(&reader.frame, "Domain policy")
        .intro("What holds for every key, session and account of this domain, whatever their owners say.")
        .acts(button("/policy/change", "Change the policy", "main"));
    if let Some(note) = done(&query) {
        page = page.block(note);
    }
    for (part, sentences) in said(&domain) {
        let body = if sentences.is_empty() {
            soft("No limits: each key's owner decides.")
        } else {
            bullets(sentences.into_iter().map(Html::from))
        };
        page = page.block(Card::new(part).body(body).html());
    }
    Ok(page.answer())
}

/// The policy in sentences, part by part. Two policies that differ differ in a sentence.
pub(super) fn said(domain: &DomainPolicy) -> [(&'static str, Vec<String>); 6] {
    [
        ("Use of every key", words::policy(&domain.usage)),
        ("Legacy mechanisms", legacy(domain)),
        ("Sessions", sessions(domain)),
        ("Accounts", accounts(domain)),
        ("Acts that take several people", several(domain)),
        ("Lawful access", lawful(domain)),
    ]
}

fn legacy(domain: &DomainPolicy) -> Vec<String> {
    let names: Vec<&str> = domain
        .legacy_mechanisms
        .iter()
        .map(|mechanism| mechanism.as_str())
        .collect();
    vec![if names.is_empty() {
        "Keys are used neither by RSA without padding nor by signatures with SHA-1 and SHA-224."
            .to_owned()
    } else {
        format!("Keys may be used by {}.", words::listed(&names, "and"))
    }]
}

fn sessions(domain: &DomainPolicy) -> Vec<String> {
    vec![
        if domain.bind_sessions_to_address {
            "A session is refused when it is used from another address than the one from which it was opened."
        } else {
            "A session may be used from any address."
        }
        .to_owned(),
        if domain.step_up_within == 0 {
            "Sharing, destroying and changing policies need no fresh sign-in at the interface; these pages ask for one before what cannot be undone.".to_owned()
        } else {
            format!("Sharing, destroying and changing policies need a sign-in within the last {}.", words::span(domain.step_up_within.into()))
        },
    ]
}

fn accounts(domain: &DomainPolicy) -> Vec<String> {
    let accounts = &domain.accounts;
    let who = |patterns: &[String]| {
        if patterns.is_empty() {
            "nobody".to_owned()
        } else {
            words::listed(patterns, "and")
        }
    };
    vec![
        format!(
            "A recovery takes effect after {}.",
            words::span(accounts.recovery_delay.into())
        ),
        format!("Who may invite: {}.", who(&accounts.inviters)),
        format!("Who may be invited: {}.", who(&accounts.invitees)),
        format!(
            "At most {} in 24 hours by one account.",
            plural(
                accounts.invitations_per_day.into(),
                "invitation",
                "invitations"
            )
        ),
        format!(
            "An invitation's code lapses after {}.",
            words::span(accounts.invitation_lifetime.into())
        ),
    ]
}

fn several(domain: &DomainPolicy) -> Vec<String> {
    if domain.quorums.is_empty() {
        return vec!["None: each is done by whoever may do it, alone.".to_owned()];
    }
    domain.quorums.iter().map(quorums::sentence).collect()
}

fn lawful(domain: &DomainPolicy) -> Vec<String> {
    vec![
        format!(
            "A case takes the approvals of {}.",
            plural(
                domain.lawful.approvals.into(),
                "legal approver",
                "legal approvers"
            )
        ),
        format!(
            "An emergency lapses unless it is ratified within {}.",
            words::span(domain.lawful.ratify_within.into())
        ),
        match domain.witnesses {
            0 => {
                "A disclosure goes out whether witnesses have cosigned a checkpoint over it or not."
                    .to_owned()
            }
            count => format!(
                "A disclosure goes out once {} cosigned a checkpoint over it.",
                plural(count.into(), "witness has", "witnesses have")
            ),
        },
    ]
}
