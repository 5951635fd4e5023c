//! Notifications: when the delay is over, those whose items were disclosed see what, when and under which order.

use strongroom_disclosure::{DeliveryRecord, Manifest};
use strongroom_wire::audit::Act;
use strongroom_wire::disclosure::{Notification, Notifications, NotifiedItem};
use strongroom_wire::id::AccountId;

use super::deliver::document;
use super::disclose::{about, find};
use super::order;
use crate::act::{Presented, Scope, View};
use crate::error::{Answer, Error};
use crate::keystore::{Keystore, LOCALHOST};
use crate::mail::{self, MailContent};
use crate::store::NotificationRecord;

const WHAT: &str = "delivery";
/// How many notifications are sent in one act.
const AT_ONCE: u32 = 100;
/// How long mail about one waits for the relay, in seconds.
const MAIL_LASTS: u64 = 7 * 24 * 3600;

impl Keystore {
    /// What was disclosed of the caller's, as far as its delay is over, the newest first.
    pub fn notifications(&self, caller: &Presented) -> Answer<Notifications> {
        self.core.look(caller, |view, caller, _| {
            let account = caller.account.id;
            let mut notifications = Vec::new();
            for record in view.snapshot.notifications_of(account)? {
                let record = view.domain.check_notification(record)?;
                if record.due <= view.now {
                    notifications.push(notification(view, &record)?);
                }
            }
            notifications.reverse();
            Ok(Notifications { notifications })
        })
    }

    /// Tells people of disclosures whose delay is over: by a leaf that concerns them, and by mail where their name is an address. Says how many.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not take it.
    pub fn send_notifications(&self) -> Result<u64, Error> {
        let core = &self.core;
        let due = {
            let now = core.clock.now();
            let snapshot = core.store.snapshot()?;
            snapshot.notifications_due(core.domain.number, now, 1)?
        };
        if due.is_empty() {
            return Ok(0);
        }
        core.act(Act::NotificationSend, LOCALHOST, |scope| {
            let due = scope
                .tx
                .notifications_due(scope.domain.number, scope.now, AT_ONCE)?;
            let number = due.len() as u64;
            for record in due {
                let record = scope.domain.check_notification(record)?;
                tell(scope, record)?;
            }
            Ok(number)
        })
        .map_err(|refusal| refusal.error)
    }
}

fn tell(scope: &mut Scope<'_>, mut record: NotificationRecord) -> Result<(), Error> {
    let view = scope.view();
    let disclosure = find(&view, record.disclosure)?;
    let generation = order::generation(&view, disclosure.authorisation, disclosure.generation)?;
    let account = view
        .account(record.account)?
        .ok_or(Error::Integrity("notification"))?;
    record.told = Some(scope.now);
    scope.domain.authenticate_notification(&mut record);
    scope.tx.put_notification(&record)?;
    let content = MailContent::Disclosure {
        account: account.name.clone(),
        reference: generation.order.reference,
    };
    let expires = scope.now.plus_seconds(MAIL_LASTS);
    mail::put(scope, &account, &content, expires)?;
    scope.detail = strongroom_audit::Detail {
        subject: Some(record.account),
        note: Some(about(&disclosure)),
        ..strongroom_audit::Detail::default()
    };
    scope.record(Act::NotificationSend).map(|_| ())
}

fn notification(view: &View<'_>, record: &NotificationRecord) -> Result<Notification, Error> {
    let disclosure = find(view, record.disclosure)?;
    let release = disclosure.release.ok_or(Error::Integrity(WHAT))?;
    let order = order::generation(view, disclosure.authorisation, disclosure.generation)?.order;
    let manifest = document(view, &release.manifest)?;
    let manifest = Manifest::from_bytes(&manifest).map_err(|_| Error::Integrity(WHAT))?;
    Ok(Notification {
        reference: order.reference,
        legal_type: order.legal_type,
        legal_basis: order.legal_basis,
        issuing_authority: order.issuing_authority,
        delay_basis: order.notification_delay_basis,
        delivery: disclosure.id,
        released: release.released,
        items: items_of(view, &manifest, record.account)?,
    })
}

/// The items of a delivery that somebody owns, or that are messages of theirs.
fn items_of(
    view: &View<'_>,
    manifest: &Manifest,
    account: AccountId,
) -> Result<Vec<NotifiedItem>, Error> {
    let mut items = Vec::new();
    for item in view
        .snapshot
        .disclosure_items(manifest.delivery, 0, u32::MAX)?
    {
        let item = view.domain.check_disclosure_item(item)?;
        let record = document(view, &item.record)?;
        let record = DeliveryRecord::from_bytes(&record).map_err(|_| Error::Integrity(WHAT))?;
        let person = record.matched.person.as_ref();
        let concerned = record.owner.account == account
            || person.is_some_and(|person| person.account == account);
        if concerned {
            items.push(NotifiedItem {
                key: record.item,
                label: record.label,
                created: record.created,
                owner: record.owner.name,
                leaf: record.leaf,
            });
        }
    }
    Ok(items)
}
