//! Finding objects: those of sessions here, those of the token by pages, the first of which is asked for at once and the next when it is needed.

use std::collections::VecDeque;
use std::sync::Arc;

use cryptoki_sys::*;

use super::{Attributes, Home, rules};
use crate::error::{CkResult, fail};
use crate::session::{Module, Slot};
use crate::token::{Answer, Query};

/// A page has at least so many objects, and at most [`LARGEST_PAGE`].
const SMALLEST_PAGE: usize = 20;
const FIRST_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// A search under way.
pub(crate) struct Find {
    slot: Arc<Slot>,
    template: Attributes,
    /// Whether private objects count.
    private: bool,
    found: VecDeque<CK_OBJECT_HANDLE>,
    rest: Rest,
}

/// What of the token's objects has not been asked for.
enum Rest {
    All,
    After(String),
    None,
}

impl Module {
    /// `C_FindObjectsInit`.
    pub(crate) fn find_init(
        &self,
        session: CK_SESSION_HANDLE,
        template: Attributes,
    ) -> CkResult<()> {
        let session = self.session(session)?;
        session.find.check_idle()?;
        let of_token = template.get(CKA_TOKEN).is_none() || template.is(CKA_TOKEN);
        let of_sessions = !template.is(CKA_TOKEN);
        let private = session.slot.sees_private()?;
        let mut found = VecDeque::new();
        if of_sessions {
            let mine = self.objects.all(|object| {
                object.slot == session.slot.id && matches!(object.home, Home::Session(_))
            });
            let mine = mine.into_iter().filter(|(_, object)| {
                let attributes = &object.record().attributes;
                (private || !attributes.is(CKA_PRIVATE)) && is_found(attributes, &template)
            });
            found.extend(mine.map(|(handle, _)| handle));
        }
        let rest = if of_token { Rest::All } else { Rest::None };
        let mut find = Find {
            slot: Arc::clone(&session.slot),
            template,
            private,
            found,
            rest,
        };
        // The first page now: what is made from now on is not what was searched for.
        self.next_page(&mut find, FIRST_PAGE)?;
        session.find.begin(find)
    }

    /// `C_FindObjects`: fills what there is room for, and says how many it found.
    pub(crate) fn find(
        &self,
        session: CK_SESSION_HANDLE,
        room: &mut [CK_OBJECT_HANDLE],
    ) -> CkResult<usize> {
        let session = self.session(session)?;
        session.find.go_on(|find| {
            while find.found.len() < room.len() && !matches!(find.rest, Rest::None) {
                self.next_page(find, room.len())?;
            }
            let count = room.len().min(find.found.len());
            for (place, handle) in room.iter_mut().zip(find.found.drain(..count)) {
                *place = handle;
            }
            Ok(count)
        })
    }

    /// `C_FindObjectsFinal`.
    pub(crate) fn find_final(&self, session: CK_SESSION_HANDLE) -> CkResult<()> {
        if self.session(session)?.find.cancel() {
            Ok(())
        } else {
            fail(CKR_OPERATION_NOT_INITIALIZED, "no search is under way")
        }
    }

    fn next_page(&self, find: &mut Find, wanted: usize) -> CkResult<()> {
        let slot = Arc::clone(&find.slot);
        let private = find.private;
        let after = match &find.rest {
            Rest::After(after) => Some(after.as_str()),
            Rest::All => None,
            Rest::None => return Ok(()),
        };
        let query = Query {
            template: &find.template,
            private,
            limit: wanted.clamp(SMALLEST_PAGE, LARGEST_PAGE),
            after,
        };
        let answer = slot
            .token()?
            .find(&query)
            .inspect_err(|error| slot.failed(error));
        let Answer {
            value: page,
            change,
        } = answer?;
        slot.hear(change);
        find.rest = page.next.map_or(Rest::None, Rest::After);
        for object in page.objects {
            let visible = private || !object.attributes.is(CKA_PRIVATE);
            if visible && !self.is_hidden(&object.attributes) {
                find.found.push_back(self.handle_of(&slot, object, change)?);
            }
        }
        Ok(())
    }
}

/// Whether an object is found by a template. Material that is not shown is not searched for either.
fn is_found(attributes: &Attributes, template: &Attributes) -> bool {
    attributes.matches(template)
        && !template
            .iter()
            .any(|(attribute, _)| rules::is_hidden(attributes, attribute))
}
