//! The device's own log: what it was asked, hash-chained. It holds 62 entries; where the device is told to, it refuses commands until
//! they were read and acknowledged.

use super::YubiHsm;
use crate::HsmError;

/// What the device's log holds that was not acknowledged yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLog {
    /// Starts of the device that found the log full.
    pub unlogged_boots: u16,
    /// Logins that found the log full.
    pub unlogged_logins: u16,
    /// The entries, the oldest first.
    pub entries: Vec<DeviceLogEntry>,
}

/// One entry of the device's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLogEntry {
    /// Its number, which begins again after 65,535.
    pub number: u16,
    /// The command.
    pub command: String,
    /// The command's length in bytes.
    pub length: u16,
    /// The authentication key of the session.
    pub auth_key: u16,
    /// The object that the command was for.
    pub target: u16,
    /// Another object that it was for.
    pub second_target: u16,
    /// What the device answered.
    pub result: String,
    /// The device's clock: ticks since it started.
    pub tick: u32,
    /// The first 16 bytes of SHA-256 over this entry and the digest of the one before.
    pub digest: [u8; 16],
}

impl YubiHsm {
    /// Reads the device's log. It changes nothing: what is read is there until it is acknowledged.
    pub fn device_log(&self) -> Result<DeviceLog, HsmError> {
        let log = self
            .device
            .run("GET LOG ENTRIES", ::yubihsm::Client::get_log_entries)
            .map_err(|failure| self.device.explain(failure))?;
        let entries = log.entries.into_iter().map(|entry| DeviceLogEntry {
            number: entry.item,
            command: format!("{:?}", entry.cmd),
            length: entry.length,
            auth_key: entry.session_key,
            target: entry.target_key,
            second_target: entry.second_key,
            result: format!("{:?}", entry.result),
            tick: entry.tick,
            digest: entry.digest.0,
        });
        Ok(DeviceLog {
            unlogged_boots: log.unlogged_boot_events,
            unlogged_logins: log.unlogged_auth_events,
            entries: entries.collect(),
        })
    }

    /// Frees the device's log up to the entry `number`: after its entries are durable elsewhere.
    pub fn acknowledge_device_log(&self, number: u16) -> Result<(), HsmError> {
        self.device
            .run("SET LOG INDEX", |client| client.set_log_index(number))
            .map_err(|failure| self.device.explain(failure))
    }
}
