//! The HSMs: what each is, does and offers; the way to the master KEK's versions; sealing.

use actix_web::HttpResponse;
use actix_web::web::{self, ServiceConfig};
use strongroom_wire::health::{Health, Status};
use strongroom_wire::problem::{Code, Problem};

use super::machine::{NOT_OF_THIS_DOMAIN, asked};
use super::status;
use crate::form::Sent;
use crate::host::HsmView;
use crate::page;
use crate::pieces::{
    Card, Empty, Facts, Field, Form, Html, Note, Table, Tone, badge, button, count,
    list as bullets, mono, when,
};
use crate::reader::{Page, Reader};
use crate::stop::{Stop, problem_note};

type Answer = Result<HttpResponse, Stop>;

/// Where the appliance is sealed.
const SEAL: &str = "/hsm/seal";
/// The word that confirms it.
const WORD: &str = "seal";

pub(super) fn routes(services: &mut ServiceConfig) {
    page(services, "/hsm", vec![web::get().to(show)]);
    page(
        services,
        SEAL,
        vec![web::get().to(ask_to_seal), web::post().to(seal)],
    );
}

async fn show(reader: Reader) -> Answer {
    let (hsms, health): (Vec<HsmView>, Health) =
        asked(&reader, |appliance| (appliance.hsms(), appliance.health())).await?;
    let mut page = Page::new(&reader.frame, "HSM").intro(
        "Where the master KEK is. It wraps and unwraps there; nothing that it is made of ever comes out.",
    );
    if health.hsm == Status::Failing {
        page = page.block(Note::new(Tone::Bad, "No HSM answers", "What is cached goes on for a while. The appliance tries again by itself; where an HSM refused its PIN, run strongroomd unseal.").html());
    }
    for hsm in &hsms {
        page = page.block(of_one(hsm));
        if !hsm.mechanisms.is_empty() {
            page = page.block(offers(hsm));
        }
    }
    if hsms.len() < 2 {
        page = page.block(Card::new("A second HSM").body(Empty::new("There is only one", "Without a second one, the appliance waits whenever this HSM is away. A ceremony gives another one the same keys: see docs/ceremonies.md.").html()).html());
    }
    let keys = bullets([
        Html::from(
            "Which versions of the master KEK the HSM holds, what is still under an older one, rotating and retiring.",
        ),
        "How fast an HSM is, strongroomd hsm check says.".into(),
    ]);
    page = page.block(
        Card::new("The master KEK")
            .acts(button("/master-key", "Versions and rotation", "slim"))
            .body(keys)
            .html(),
    );
    let seal = bullets([
        Html::from("Sealing makes the appliance forget every PIN and KEK at once. It answers nothing but its health until operators unseal it."),
        "What it takes to come back is at the machine: strongroomd unseal, or a start that finds the PIN.".into(),
    ]);
    page = page.block(
        Card::new("Seal")
            .acts(button(SEAL, "Seal the appliance", "slim"))
            .body(seal)
            .html(),
    );
    Ok(page.answer())
}

fn of_one(hsm: &HsmView) -> Html {
    let mut facts = Facts::new();
    for (name, value) in &hsm.device {
        facts = facts.with(name, mono(value));
    }
    match &hsm.state {
        None => facts = facts.with("State", badge(Tone::Bad, "Sealed")),
        Some(state) => {
            let shown = if state.usable {
                badge(Tone::Good, "Answers")
            } else {
                badge(Tone::Bad, "Does not answer")
            };
            facts = facts
                .with("State", shown)
                .with_some("Because", state.reason.as_deref())
                .with("Since", when(state.since))
                .with(
                    "Calls go to it",
                    if state.serving {
                        "Yes"
                    } else {
                        "No: it stands by"
                    },
                )
                .with("Calls under way", count(state.at_work))
                .with("Not answered in time", count(state.timed_out))
                .with("Given up and not back", count(state.abandoned));
        }
    }
    Card::new(title(hsm)).body(facts.html()).html()
}

fn title(hsm: &HsmView) -> &'static str {
    if hsm.place == "primary" {
        "Primary HSM"
    } else {
        "Replica"
    }
}

/// The mechanisms that the appliance needs of an HSM or could use.
fn offers(hsm: &HsmView) -> Html {
    let yes = |so: bool| Html::from(if so { "Yes" } else { "No" });
    let table = Table::new(
        format!("Mechanisms of the {}", hsm.place),
        &["Mechanism", "For", "Offered", "Used"],
    )
    .rows(hsm.mechanisms.iter().map(|mechanism| {
        vec![
            mono(mechanism.name),
            Html::from(mechanism.purpose),
            yes(mechanism.offered),
            yes(mechanism.used),
        ]
    }));
    Card::new(format!("What the {} offers", hsm.place))
        .body(table.html())
        .html()
}

async fn ask_to_seal(reader: Reader) -> Answer {
    // Who may not look at the machine may not seal it.
    asked(&reader, |_| ()).await?;
    reader.require_recent()?;
    Ok(seal_page(&reader, None))
}

fn seal_page(reader: &Reader, refused: Option<&Problem>) -> HttpResponse {
    let mut page = Page::new(&reader.frame, "Seal the appliance").under("/hsm", "HSM");
    if let Some(problem) = refused {
        page = page.block(problem_note(problem, "").html());
    }
    let what = bullets([
        Html::from("Every PIN, every cached KEK and every sign-in that is under way is forgotten, and the sessions with the HSM end. Nothing that is stored is lost."),
        "Nobody gets a key from then on, in any domain, and no page answers, this one included.".into(),
        "It ends by strongroomd unseal at the machine, by who can enter the PIN there; where the PIN comes from a file or a credential, by a start of the service as well.".into(),
        "A leaf says who sealed it.".into(),
    ]);
    let form = Form::new(SEAL, &reader.frame.form_token, "Seal the appliance")
        .field(Field::text("confirm", "Type the word seal to confirm").required())
        .danger()
        .back("/hsm");
    let card = Card::new("What happens")
        .body(Html::all([what, form.html()]))
        .danger();
    page.block(card.html()).answer_with(status(refused))
}

async fn seal(reader: Reader, sent: Sent) -> Answer {
    reader.require_recent_then(SEAL)?;
    if !sent.one("confirm").eq_ignore_ascii_case(WORD) {
        let problem = Problem::new(Code::Invalid, "Nothing was sealed: the word was not typed.");
        return Ok(seal_page(&reader, Some(&problem)));
    }
    let ordered = reader
        .wait(|visit, caller| {
            let Some(appliance) = &visit.appliance else {
                return Err(Problem::new(Code::NotPermitted, NOT_OF_THIS_DOMAIN));
            };
            appliance.seal(&visit.keystore, caller)
        })
        .await?;
    Ok(match ordered {
        Ok(()) => {
            let said = Note::new(
                Tone::Warn,
                "The appliance is being sealed",
                "It answers nothing but its health until it is unsealed at the machine.",
            );
            Page::new(&reader.frame, "Sealed")
                .block(said.html())
                .answer()
        }
        Err(problem) => seal_page(&reader, Some(&problem)),
    })
}
