//! The factory reset: ordered here, and done by those who run as root.

use strongroom_keystore::{Keystore, Presented};
use strongroom_wire::reset::{OrderedReset, ToldReceiver};

use super::Updates;
use super::inbox::Wrong;
use super::orders::Stop;
use crate::problems::Failure;

/// Orders them to destroy the key slots of the data partition. It stands until that is done.
const RESET: &str = "reset";

impl Updates {
    /// Has the machine reset to how it left the factory, for somebody: once the leaf is there that says so, and `tell` has told the receivers of the log.
    ///
    /// # Errors
    /// The problem that says why not.
    pub(crate) fn reset_for(
        &self,
        keystore: &Keystore,
        caller: &Presented,
        tell: impl FnOnce(u64) -> Vec<ToldReceiver>,
    ) -> Result<OrderedReset, Failure> {
        let order = || {
            let _alone = self.lock();
            if self.look_here()?.installing {
                return Err(Wrong::Installing.into());
            }
            let leaf = keystore.order_reset(caller)?.leaf;
            let receivers = tell(leaf);
            self.mark(RESET, &Order { leaf })?;
            Ok(OrderedReset { leaf, receivers })
        };
        order().map_err(|stop: Stop| stop.told(keystore, caller))
    }
}

/// What the order says.
#[derive(serde::Serialize)]
struct Order {
    leaf: u64,
}
