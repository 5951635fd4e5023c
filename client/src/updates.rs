//! Updates of the image that the appliance runs from, and its factory reset, at its administration address.

use strongroom_wire::account::Done;
use strongroom_wire::reset::{FactoryReset, OrderedReset};
use strongroom_wire::update::{
    ApplianceRelease, OrderedInstall, PIECE_TYPE, ReceivedUpdate, UpdateQuery,
};

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

impl Session {
    /// Which release of the image runs, and what becomes of another. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let release = session.release_of_image()?;
    /// println!("version {} runs in slot {}", release.running.version, release.running.slot.as_str());
    /// # Ok(())
    /// # }
    /// ```
    pub fn release_of_image(&self) -> Result<ApplianceRelease, ClientError> {
        self.call(&Call::get("/v1/appliance/release"))
    }

    /// Sends a piece of an update, at most [`PIECE_MAX`](strongroom_wire::update::PIECE_MAX) bytes, of which `offset` come before it. The first one
    /// has to hold the update's head. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session, update: &[u8]) -> Result<(), strongroom_client::ClientError> {
    /// let mut sent = 0;
    /// for piece in update.chunks(strongroom_wire::update::PIECE_MAX) {
    ///     sent = session.send_update(sent, piece.to_vec())?.offset;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the code `conflict` where the update goes on at another offset, which
    /// [`release_of_image`](Self::release_of_image) tells.
    pub fn send_update(&self, offset: u64, piece: Vec<u8>) -> Result<ReceivedUpdate, ClientError> {
        let call = Call::find("/v1/appliance/update", &UpdateQuery { offset });
        self.call(&call.by_put().with_text(PIECE_TYPE, piece))
    }

    /// Drops what has arrived of an update. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// session.drop_update()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn drop_update(&self) -> Result<Done, ClientError> {
        self.call(&Call::delete("/v1/appliance/update"))
    }

    /// Has the staged update written into the slot beside the running release's. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// println!("version {} is being installed", session.install_update()?.version);
    /// # Ok(())
    /// # }
    /// ```
    pub fn install_update(&self) -> Result<OrderedInstall, ClientError> {
        self.call(&Call::post("/v1/appliance/update/install"))
    }

    /// Restarts the machine; a release that was installed is then put on trial. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// session.restart_appliance()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn restart_appliance(&self) -> Result<Done, ClientError> {
        self.call(&Call::post("/v1/appliance/restart"))
    }

    /// Has the machine of the appliance of this name reset to how it left the factory: all keys and data on it are destroyed. For administrators, with the
    /// approvals that the domain's policy demands.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let ordered = session.reset_appliance("strongroom.local")?;
    /// println!("leaf {} was the last", ordered.leaf);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reset_appliance(&self, name: &str) -> Result<OrderedReset, ClientError> {
        let reset = FactoryReset {
            name: name.to_owned(),
        };
        self.call(&Call::post("/v1/appliance/reset").with(&reset)?)
    }
}
