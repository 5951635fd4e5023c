//! Rotation of the master KEK and of account KEKs, at the appliance's administration address.

use strongroom_wire::id::AccountId;
use strongroom_wire::rotation::{ChangedMasterKek, RotatedAccountKek, RotationStatus};

use crate::ClientError;
use crate::api::Call;
use crate::session::Session;

impl Session {
    /// How far rotations are. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let status = session.rotation()?;
    /// println!("{} keys are still to be moved", status.left);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rotation(&self) -> Result<RotationStatus, ClientError> {
        self.call(&Call::get("/v1/rotation"))
    }

    /// Gives the master KEK a new version; the appliance then moves what older ones wrapped. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let rotated = session.rotate_master_kek()?;
    /// println!("now at version {}", rotated.version);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rotate_master_kek(&self) -> Result<ChangedMasterKek, ClientError> {
        self.call(&Call::post("/v1/master-kek/rotate"))
    }

    /// Takes an older version of the master KEK, which wraps nothing any more, out of use. For administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// use strongroom_wire::rotation::MasterKekState;
    ///
    /// for kek in session.rotation()?.master_keks {
    ///     if kek.state == MasterKekState::Older && kek.wrapped == 0 {
    ///         session.retire_master_kek(kek.version)?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn retire_master_kek(&self, version: u32) -> Result<ChangedMasterKek, ClientError> {
        self.call(&Call::post(format!("/v1/master-kek/{version}/retire")))
    }

    /// Destroys a retired version of the master KEK in the HSM. For administrators. It cannot be undone.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// session.retire_master_kek(1)?;
    /// session.destroy_master_kek(1)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn destroy_master_kek(&self, version: u32) -> Result<ChangedMasterKek, ClientError> {
        self.call(&Call::delete(format!("/v1/master-kek/{version}")))
    }

    /// Gives an account's KEK a new version; the appliance then moves what older ones sealed. For the account itself and for administrators.
    ///
    /// ```no_run
    /// # fn run(session: &strongroom_client::Session) -> Result<(), strongroom_client::ClientError> {
    /// let rotated = session.rotate_account_kek(session.account().id)?;
    /// println!("now at version {}", rotated.version);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rotate_account_kek(&self, account: AccountId) -> Result<RotatedAccountKek, ClientError> {
        self.call(&Call::post(format!("/v1/accounts/{account}/kek/rotate")))
    }
}
