//! What a scope reaches, in counts and metadata.

use std::collections::BTreeMap;

use strongroom_wire::authorisation::AuthorisationRecord;
use strongroom_wire::disclosure::{DisclosurePreview, OwnedItems, PREVIEWED, PreviewedItem};

use super::InEffect;
use super::disclose::number;
use super::release::Names;
use super::scope::Reached;
use crate::act::View;
use crate::error::Error;

/// The preview of what was found, without its leaf.
pub(super) fn preview(
    view: &View<'_>,
    order: &InEffect,
    reached: &Reached,
) -> Result<DisclosurePreview, Error> {
    let record: &AuthorisationRecord = &order.record;
    let mut names = Names::default();
    let mut owners = BTreeMap::new();
    for item in &reached.items {
        *owners.entry(item.key.owner).or_insert(0) += 1;
    }
    let owners = owners
        .into_iter()
        .map(|(owner, items)| {
            let owner = names.of(view, owner)?.name;
            Ok(OwnedItems { owner, items })
        })
        .collect::<Result<_, Error>>()?;
    let shown = reached
        .items
        .iter()
        .take(PREVIEWED)
        .map(|item| {
            let key = &item.key;
            Ok(PreviewedItem {
                key: key.id,
                algorithm: key.algorithm,
                state: key.state,
                label: key.label.clone(),
                content_type: key.content_type.clone(),
                owner: names.of(view, key.owner)?.name,
                recipients: key
                    .recipients
                    .iter()
                    .map(|recipient| Ok(names.of(view, *recipient)?.name))
                    .collect::<Result<_, Error>>()?,
                created: key.created,
                task: record
                    .order
                    .tasks
                    .get(item.matched.task)
                    .map(|task| task.reference.clone())
                    .unwrap_or_default(),
                matched: item.matched.predicate.clone(),
            })
        })
        .collect::<Result<_, Error>>()?;
    let delivered = view
        .snapshot
        .count_delivered(record.authorisation, record.generation)?;
    let left = u64::from(record.order.max_items).saturating_sub(delivered);
    Ok(DisclosurePreview {
        authorisation: record.authorisation,
        generation: record.generation,
        items: number(&reached.items),
        more: reached.more,
        left: u32::try_from(left).unwrap_or(u32::MAX),
        withheld: reached.withheld,
        first: reached.items.first().map(|item| item.key.created),
        last: reached.items.last().map(|item| item.key.created),
        owners,
        shown,
        leaf: 0,
    })
}
