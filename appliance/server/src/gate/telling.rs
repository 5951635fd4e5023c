//! What receivers of the log are told before the machine forgets everything.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use strongroom_keystore::Keystore;
use strongroom_wire::audit::Act;
use strongroom_wire::reset::{OrderedReset, ToldReceiver};

use super::{Gate, Name};

/// How long receivers are waited for: they are sent what is new each second, and one that fails is tried again after a minute at most.
const TOLD_WITHIN: Duration = Duration::from_secs(15);
/// How often is looked whether they have it.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Gate {
    /// Waits until each receiver of the first domain's log has confirmed this leaf, but not for long, and says who has.
    pub(crate) fn tell_receivers(&self, keystore: &Keystore, leaf: u64) -> Vec<ToldReceiver> {
        let concerned = self.config.siem.iter().filter(|receiver| {
            receiver.domains.is_empty() || receiver.domains.contains(&self.config.domain)
        });
        let told = |name: &str| keystore.fed_up_to(name).is_ok_and(|next| next > leaf);
        let deadline = Instant::now() + TOLD_WITHIN;
        let names: Vec<&String> = concerned.map(|receiver| &receiver.name).collect();
        while !names.iter().all(|name| told(name)) && Instant::now() < deadline {
            thread::sleep(LOOK_EVERY);
        }
        let told = |name: &String| ToldReceiver {
            name: name.clone(),
            told: told(name),
        };
        names.into_iter().map(told).collect()
    }

    /// Records that somebody at the machine's console resets it, and tells receivers of the log.
    ///
    /// # Errors
    /// One sentence when nothing can be recorded, as there is no image or the gate is not open.
    pub(crate) fn record_reset(&self) -> Result<OrderedReset, String> {
        if self.updates.is_none() {
            return Err("this appliance does not run from Strongroom's image".to_owned());
        }
        let keystore = match &self.lock().name {
            Name::Serving(serving) => Arc::clone(&serving.keystore),
            _ => return Err("the appliance does not serve".to_owned()),
        };
        let leaf = keystore
            .record_operation(
                Act::ApplianceReset,
                "ordered at the machine's console".to_owned(),
            )
            .map_err(|error| error.to_string())?;
        Ok(OrderedReset {
            leaf,
            receivers: self.tell_receivers(&keystore, leaf),
        })
    }
}
