//! The device's own log: what it was asked, hash-chained. It holds 62 entries; where the device is told to, it refuses commands until
//! they were read and acknowledged.

use super::device::Device;
use crate::{DeviceLog, DeviceLogEntry, HsmError};

pub(super) fn read(device: &Device) -> Result<DeviceLog, HsmError> {
    let log = device
        .run("GET LOG ENTRIES", ::yubihsm::Client::get_log_entries)
        .map_err(|failure| device.explain(failure))?;
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

pub(super) fn acknowledge(device: &Device, number: u16) -> Result<(), HsmError> {
    device
        .run("SET LOG INDEX", |client| client.set_log_index(number))
        .map_err(|failure| device.explain(failure))
}
