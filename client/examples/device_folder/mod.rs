//! What a sample device has on itself: a folder with what it was given when it was made or paired.

use std::error::Error;
use std::fs;
use std::path::Path;

use strongroom_client::device::AccountSecret;
use strongroom_client::{Client, Device, Roots};

/// The device whose `server` (an address), `ca.pem`, `account` (an identifier) and `secret` are in this folder. Only the device may read it.
pub(crate) fn device(folder: &Path) -> Result<Device, Box<dyn Error>> {
    let roots = Roots::from_pem(&fs::read(folder.join("ca.pem"))?)?;
    let client = Client::new(fs::read_to_string(folder.join("server"))?.trim(), &roots)?;
    let account = fs::read_to_string(folder.join("account"))?.trim().parse()?;
    let secret = AccountSecret::from_text(fs::read_to_string(folder.join("secret"))?.trim())
        .ok_or("the file `secret` holds no account's secret")?;
    Ok(Device::new(client, account, secret))
}
