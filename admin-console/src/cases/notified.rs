//! What was disclosed of the reader's, as far as its delay is over. Before that there is nothing here that could tell.

use actix_web::HttpResponse;
use strongroom_wire::disclosure::Notification;

use crate::form::Fields;
use crate::host::Side;
use crate::pieces::{
    Card, Empty, Facts, Html, Table, button, count, link, mono, plural, soft, when, with_sub,
};
use crate::reader::{Page, Reader};
use crate::stop::Stop;

type Answer = Result<HttpResponse, Stop>;

/// How many disclosures a page shows.
const A_PAGE: usize = 20;

pub(super) async fn list(reader: Reader, query: Fields) -> Answer {
    let notifications = reader
        .ask(strongroom_keystore::Keystore::notifications)
        .await?
        .notifications;
    let page = Page::new(&reader.frame, "Disclosures")
        .intro("What an authority had disclosed of yours by lawful order: what, when, and under which reference. It appears here once the delay is over that the order names.");
    if notifications.is_empty() {
        let empty = Empty::new(
            "Nothing was disclosed that you may know of",
            "If an order reaches something of yours, it stands here when its delay is over, and by mail where your name is an address.",
        )
        .acts(button("/keys", "My keys", ""));
        return Ok(page.block(Card::new("").body(empty.html()).html()).answer());
    }
    let before = query.one("before").parse().unwrap_or(0_usize);
    let shown = notifications.iter().skip(before).take(A_PAGE);
    let mut page = page.blocks(shown.map(|notification| card(&reader, notification)));
    let next = before + A_PAGE;
    if next < notifications.len() {
        let older = button(
            &format!("/disclosures?before={next}"),
            "Older disclosures",
            "",
        );
        page = page.block(Html::fixed(format!("<div class=\"acts\">{older}</div>")));
    }
    Ok(page.answer())
}

fn card(reader: &Reader, notification: &Notification) -> Html {
    let facts = Facts::new()
        .with("Reference", notification.reference.as_str())
        .with("Ordered by", notification.issuing_authority.as_str())
        .with("Legal type", notification.legal_type.as_str())
        .with("Legal basis", notification.legal_basis.as_str())
        .with("Released", when(notification.released))
        .with_some("Told later because of", notification.delay_basis.as_deref())
        .with("Delivery", mono(&notification.delivery.to_string()));
    let rows = notification.items.iter().map(|item| {
        let label = if item.label.is_empty() {
            soft("Without a label")
        } else {
            item.label.as_str().into()
        };
        let own = item.owner == reader.name() && reader.frame.side == Side::Owners;
        let item_of = if own {
            link(
                &format!("/keys/{}", item.key),
                if item.label.is_empty() {
                    "Without a label"
                } else {
                    &item.label
                },
            )
        } else {
            label
        };
        vec![
            with_sub(item_of, mono(&item.key.to_string())),
            item.owner.as_str().into(),
            when(item.created),
            count(item.leaf).into(),
        ]
    });
    let table = Table::new(
        format!("What was disclosed under {}", notification.reference),
        &["Item", "Owner", "Made", "#Recorded as leaf"],
    )
    .rows(rows);
    let title = format!(
        "{} under {}",
        plural(notification.items.len() as u64, "item", "items"),
        notification.reference
    );
    let body = Html::all([
        Html::fixed(format!("<div class=\"inside\">{}</div>", facts.html())),
        table.html(),
    ]);
    Card::new(title).flush(body).html()
}
