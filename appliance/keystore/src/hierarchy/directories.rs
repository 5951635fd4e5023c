//! The MACs of directories' records and of what they say of accounts.

use super::Domain;
use crate::error::Error;
use crate::store::{DirectoryAccountRecord, DirectoryRecord};

impl Domain {
    pub(crate) fn check_directory(
        &self,
        directory: DirectoryRecord,
    ) -> Result<DirectoryRecord, Error> {
        self.integrity
            .check(&directory.canonical(), &directory.mac, "directory")?;
        Ok(directory)
    }

    pub(crate) fn authenticate_directory(&self, directory: &mut DirectoryRecord) {
        directory.mac = self.integrity.mac(&directory.canonical());
    }

    pub(crate) fn check_directory_account(
        &self,
        said: DirectoryAccountRecord,
    ) -> Result<DirectoryAccountRecord, Error> {
        self.integrity
            .check(&said.canonical(), &said.mac, "directory account")?;
        Ok(said)
    }

    pub(crate) fn authenticate_directory_account(&self, said: &mut DirectoryAccountRecord) {
        said.mac = self.integrity.mac(&said.canonical());
    }
}
