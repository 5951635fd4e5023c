//! One record: what it says, and the proof that it stands in the signed log.

use actix_web::{HttpResponse, web};
use serde_json::json;
use strongroom_audit::{Hash, Leaf, checkpoint, tree};
use strongroom_wire::audit::{InclusionProof, Record, RecordQuery};

use super::at;
use crate::pieces::{Card, Facts, Html, Note, Tone, badge, button, count, link, mono, when};
use crate::reader::{Page, Reader};
use crate::show;
use crate::stop::{Stop, problem_note};
use crate::words;

type Answer = Result<HttpResponse, Stop>;

pub(super) async fn show(reader: Reader, path: web::Path<u64>) -> Answer {
    let index = path.into_inner();
    let (record, proof) = reader
        .ask(move |keystore, caller| {
            let query = RecordQuery {
                before: Some(index.saturating_add(1)),
                limit: Some(1),
                ..RecordQuery::default()
            };
            let page = keystore.records(caller, query)?;
            let record = page
                .records
                .into_iter()
                .find(|record| record.index == index);
            let proof = record.is_some().then(|| {
                keystore
                    .inclusion_proof(caller, index)
                    .map_err(crate::reader::problem_of)
            });
            Ok((record, proof))
        })
        .await?;
    let (Some(record), Some(proof)) = (record, proof) else {
        return Err(Stop::not_found(&reader.frame));
    };
    let side = reader.frame.side;
    let heading = format!("Record {}", count(index));
    let up = match side {
        crate::host::Side::Owners => "History",
        crate::host::Side::Administration => "Audit log",
    };
    let mut page = Page::new(&reader.frame, &heading)
        .under(at(side), up)
        .intro(words::act(record.act))
        .block(facts(&record, side));
    page = match proof {
        Ok(proof) => {
            let to = format!("{}/{index}/proof.json", at(side));
            page.acts(button(&to, "Download the proof", ""))
                .scripts(&["proof.js"])
                .block(proof_card(&proof))
        }
        Err(problem) => page.block(problem_note(&problem, "").html()),
    };
    Ok(page.answer())
}

fn facts(record: &Record, side: crate::host::Side) -> Html {
    let outcome = if record.done {
        badge(Tone::Good, "Done")
    } else {
        badge(Tone::Bad, "Refused")
    };
    let key = record.key.map(|key| match side {
        crate::host::Side::Owners => link(&format!("/keys/{key}"), &key.to_string()),
        crate::host::Side::Administration => mono(&key.to_string()),
    });
    let facts = Facts::new()
        .with("What", words::act(record.act))
        .with("Outcome", outcome)
        .with("When", when(record.time))
        .with_some("Who", record.actor_name.as_deref())
        .with_some("From", record.source.as_deref().map(mono))
        .with_some("Whom", record.subject_name.as_deref())
        .with_some("Key", key)
        .with_some(
            "Version",
            record.key_version.map(|version| version.to_string()),
        )
        .with_some("Grant", record.grant.map(|grant| mono(&grant.to_string())))
        .with_some(
            "Session",
            record.session.map(|session| mono(&session.to_string())),
        )
        .with_some(
            "More",
            record
                .note
                .as_deref()
                .map(|note| words::note(note, record.done)),
        )
        .with("Act in the log", mono(record.act.as_str()));
    Card::new("What it says").body(facts.html()).html()
}

/// What each step of the check comes to, here on the appliance. The reader's browser does the same for itself.
struct Checked {
    detail: bool,
    tree: bool,
    signature: bool,
}

fn check(proof: &InclusionProof) -> Option<(Checked, checkpoint::Checkpoint)> {
    let leaf = Leaf {
        envelope: proof.envelope.0.clone(),
        salt: proof.salt.0.as_slice().try_into().ok()?,
        detail: proof.detail.0.clone(),
    };
    let signed = checkpoint::verify(&proof.checkpoint.note, &proof.checkpoint.verifier_key).ok()?;
    let hashes: Vec<Hash> = proof
        .hashes
        .iter()
        .map(|hash| hash.0.as_slice().try_into().map(Hash))
        .collect::<Result<_, _>>()
        .ok()?;
    let included = tree::verify_inclusion(
        signed.size,
        proof.index,
        &leaf.hash(),
        &hashes,
        &signed.root,
    );
    let checked = Checked {
        detail: leaf.open().is_ok(),
        tree: included.is_ok(),
        signature: true,
    };
    Some((checked, signed))
}

fn proof_card(proof: &InclusionProof) -> Html {
    let Some((checked, signed)) = check(proof) else {
        return Note::new(
            Tone::Bad,
            "The proof does not hold",
            "The checkpoint or the path does not verify. Tell your security officer: somebody may have changed the database.",
        )
        .html();
    };
    let step = |name: &str, good: bool, title: &str, words: &str| {
        let (class, mark) = if good {
            ("good", "✓")
        } else {
            ("bad", "✗")
        };
        Html::fixed(format!(
            "<li data-step=\"{name}\"><span class=\"mark {class}\">{mark}</span><div><strong>{title}</strong><span class=\"sub\" data-says>{words}</span></div></li>"
        ))
    };
    let steps = Html::all([
        step(
            "detail",
            checked.detail,
            "The record is what the leaf commits to",
            "The appliance opened the commitment to its private part and compared it.",
        ),
        step(
            "tree",
            checked.tree,
            "The leaf is in the tree",
            "The appliance computed the tree's root from the record and the proof, and compared it with the checkpoint's.",
        ),
        step(
            "signature",
            checked.signature,
            "The tree is signed",
            "The appliance verified the checkpoint's Ed25519 signature. Where scripts run, your own browser does so, too.",
        ),
    ]);
    let data = json!({
        "envelope": proof.envelope,
        "index": proof.index,
        "hashes": proof.hashes,
        "note": proof.checkpoint.note,
        "verifier_key": proof.checkpoint.verifier_key,
    });
    let facts = Facts::new()
        .with("Log", signed.origin.as_str())
        .with("Leaves under the checkpoint", count(signed.size))
        .with("Hashes on the path", count(proof.hashes.len() as u64))
        .with("Signed by", mono(&proof.checkpoint.verifier_key));
    let body = Html::all([
        Html::fixed(format!(
            "<ol class=\"steps\" id=\"proof\" data-proof=\"{}\">{steps}</ol>",
            Html::from(data.to_string())
        )),
        Html::fixed(format!("<div class=\"after\">{}</div>", facts.html())),
        Html::fixed(format!(
            "<details class=\"more\"><summary>The checkpoint itself</summary><pre tabindex=\"0\">{}</pre></details>",
            Html::from(proof.checkpoint.note.as_str())
        )),
    ]);
    let intro = "A Merkle tree (RFC 6962) over every record. Its root is signed by a key in the HSM, so that no record can be changed, taken out or put in between.";
    Card::new("Proof").intro(intro).body(body).html()
}

/// The proof as the API gives it, for whoever checks it elsewhere.
pub(super) async fn proof(reader: Reader, path: web::Path<u64>) -> Answer {
    let index = path.into_inner();
    let proof = reader
        .ask(move |keystore, caller| keystore.inclusion_proof(caller, index))
        .await?;
    let text = serde_json::to_string_pretty(&proof).unwrap_or_default();
    Ok(show::download(&format!("record-{index}-proof.json"), "application/json").body(text))
}
