//! Finding objects: first those that are written down, by identifier, then the parts of keys of which nothing is.

use strongroom_wire::id::{KeyId, ObjectId};
use strongroom_wire::key::Algorithm;
use strongroom_wire::object::{ObjectPage, ObjectPart, ObjectQuery};

use super::{change, class_of, invalid, kind_of, of_key, parts_of, parts_said, show, to_object};
use crate::act::{Caller, Damage, Presented, View};
use crate::error::{Answer, Error};
use crate::keys::access::{self, Standing};
use crate::keys::find::holders;
use crate::keys::to_wire;
use crate::keystore::Keystore;
use crate::store::{ObjectFilter, PlainKeyFilter, object_part_from, object_part_number};

/// How many objects a page has by default, and at most.
const PAGE: u32 = 100;
const LONGEST_PAGE: u32 = 1000;

impl Keystore {
    /// A page of the objects that the caller has, whole, and the state of all that it sees. What does not match its seal is left out, and a leaf
    /// says so.
    pub fn objects(&self, caller: &Presented, query: ObjectQuery) -> Answer<ObjectPage> {
        let limit = query.limit.unwrap_or(PAGE).min(LONGEST_PAGE);
        let after = query
            .after
            .as_deref()
            .map(|text| Place::parse(text).ok_or_else(|| invalid("This is no place in a list.")))
            .transpose()?;
        self.core.look(caller, |view, caller, damage| {
            let change = change(view, caller)?;
            let mut page = ObjectPage {
                objects: Vec::new(),
                next: None,
                change,
            };
            if limit == 0 {
                return Ok(page);
            }
            let mut after_key = None;
            if let Some(Place::Key(key)) = after {
                after_key = key;
            } else {
                let filter = ObjectFilter {
                    class: query.class,
                    kind: query.kind,
                    label: query.label.as_ref().map(|label| label.0.clone()),
                    cka_id: query.id.as_ref().map(|id| id.0.clone()),
                    after: match after {
                        Some(Place::Object(id, part)) => Some((id, part)),
                        _ => None,
                    },
                    limit: limit + 1,
                };
                let mut found = view.snapshot.find_objects(caller.account.id, &filter)?;
                let more = found.len() > limit as usize;
                found.truncate(limit as usize);
                if more {
                    let last = found.last().map(|last| Place::Object(last.id, last.part));
                    page.next = last.map(|last| last.to_text());
                }
                for record in found {
                    let shown = damage.leave_out(record.key, show(view, caller, record))?;
                    page.objects.extend(shown.flatten());
                }
                if more {
                    return Ok(page);
                }
            }
            plain_keys(view, caller, damage, &query, after_key, limit, &mut page)?;
            Ok(page)
        })
    }
}

/// A place in the list: after an object, or among the keys of which nothing is said.
enum Place {
    Object(ObjectId, ObjectPart),
    Key(Option<KeyId>),
}

impl Place {
    fn to_text(&self) -> String {
        match self {
            Self::Object(id, part) => format!("o{id}.{}", object_part_number(*part)),
            Self::Key(Some(key)) => format!("k{key}"),
            Self::Key(None) => "k".to_owned(),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        if let Some(key) = text.strip_prefix('k') {
            return match key {
                "" => Some(Self::Key(None)),
                key => Some(Self::Key(Some(key.parse().ok()?))),
            };
        }
        let (id, part) = text.strip_prefix('o')?.split_once('.')?;
        Some(Self::Object(
            id.parse().ok()?,
            object_part_from(part.parse().ok()?)?,
        ))
    }
}

/// Adds the parts of keys of which nothing is said.
fn plain_keys(
    view: &View<'_>,
    caller: &Caller,
    damage: &Damage,
    query: &ObjectQuery,
    after: Option<KeyId>,
    limit: u32,
    page: &mut ObjectPage,
) -> Result<(), Error> {
    let room = limit.saturating_sub(u32::try_from(page.objects.len()).unwrap_or(u32::MAX));
    if room == 0 {
        page.next = Some(Place::Key(after).to_text());
        return Ok(());
    }
    let label = query
        .label
        .as_ref()
        .map(|label| std::str::from_utf8(&label.0));
    let label = match label {
        // Labels of keys are text.
        Some(Err(_)) => return Ok(()),
        Some(Ok(label)) => Some(label),
        None => None,
    };
    let algorithms: Vec<Algorithm> = Algorithm::ALL
        .iter()
        .copied()
        .filter(|algorithm| may_match(*algorithm, query))
        .collect();
    if algorithms.is_empty() {
        return Ok(());
    }
    let owner = caller.account.id;
    let mut found = if let Some(id) = &query.id {
        // The identifier of a key of which nothing is said is its CKA_ID.
        let Ok(bytes) = <[u8; 16]>::try_from(id.0.as_slice()) else {
            return Ok(());
        };
        let id = ObjectId::from_bytes(bytes);
        let said = parts_said(view, owner, id)?;
        if said {
            return Ok(());
        }
        vec![KeyId::from_bytes(bytes)]
    } else {
        let holders = holders(view, caller)?;
        let filter = PlainKeyFilter {
            algorithms: &algorithms,
            label,
            after,
            limit: room + 1,
        };
        view.snapshot.find_plain_keys(&holders, owner, &filter)?
    };
    if found.len() > room as usize {
        found.truncate(room as usize);
        page.next = Some(Place::Key(found.last().copied()).to_text());
    }
    for id in found {
        let key = match access::standing(view, owner, id, None) {
            Ok(Standing::Holds(access)) => {
                let shown = to_wire(view, &access.key, &access.grant.rights)?;
                Some((access.key, shown))
            }
            Ok(Standing::Lost(_)) | Err(Error::KeyNotFound) => None,
            Err(error) => {
                damage.leave_out::<()>(id, Err(error))?;
                None
            }
        };
        let Some((record, key)) = key else { continue };
        for part in parts_of(record.algorithm) {
            let object = of_key(owner, &record, *part);
            let said = &object.description;
            if query.class.is_none_or(|class| class == said.class)
                && query.kind.is_none_or(|kind| said.kind == Some(kind))
                && query
                    .label
                    .as_ref()
                    .is_none_or(|label| *label == said.label)
            {
                page.objects.push(to_object(object, Some(key.clone())));
            }
        }
    }
    Ok(())
}

/// Whether a part of a key for this, of which nothing is said, may be what is looked for.
fn may_match(algorithm: Algorithm, query: &ObjectQuery) -> bool {
    let mut parts = parts_of(algorithm).iter();
    query.kind.is_none_or(|kind| kind == kind_of(algorithm))
        && query
            .class
            .is_none_or(|class| parts.any(|part| class == class_of(*part)))
}
