//! Small devices: a sensor hands readings to a gateway through a store that can read nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use strongroom_tests::device::{administrator, import};
use strongroom_tests::{Appliance, Device, Person, new_password, programs};

/// An appliance, devices with a folder each, and the store between them.
struct Scene {
    appliance: Appliance,
    admin: Person,
    devices: Vec<Device>,
    store: PathBuf,
}

const NAMES: [&str; 3] = ["sensor-1", "gateway-1", "gateway-2"];

fn scene() -> Scene {
    let appliance = Appliance::start();
    let admin = administrator(&appliance);
    let devices = NAMES.map(|name| {
        let device = import(&admin, &[name]).remove(0);
        device.keep_in(&admin.file(name), &appliance);
        device
    });
    let store = admin.file("store");
    fs::create_dir(&store).unwrap();
    Scene {
        appliance,
        admin,
        devices: devices.into(),
        store,
    }
}

impl Scene {
    /// Runs the sensor until it has sealed these readings for the gateway.
    fn sense(&self, readings: &str) -> Output {
        let mut sensor = Command::new(programs::example("sensor"))
            .args([&self.admin.file("sensor-1"), &self.store])
            .arg("gateway-1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may have ended before it has read them all.
        let _ = sensor.stdin.take().unwrap().write_all(readings.as_bytes());
        sensor.wait_with_output().unwrap()
    }

    fn open_as(&self, gateway: &str) -> Output {
        Command::new(programs::example("gateway"))
            .args([&self.admin.file(gateway), &self.store])
            .output()
            .unwrap()
    }

    fn stored(&self) -> Vec<PathBuf> {
        let mut names: Vec<_> = fs::read_dir(&self.store)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        names.sort();
        names
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn readings_go_from_a_sensor_to_a_gateway_through_a_store_that_can_read_nothing() {
    let scene = scene();
    // Words that stand nowhere else. More than one batch of them.
    let words: Vec<_> = (0..70).map(|_| new_password("reading")).collect();
    let sensed = scene.sense(&(words.join("\n") + "\n"));
    assert!(sensed.status.success(), "{sensed:?}");
    let stored = scene.stored();
    assert_eq!(stored.len(), 70);
    let secret = scene.devices[0].secret.to_text();
    for name in &stored {
        let bytes = fs::read(name).unwrap();
        for word in words.iter().chain([&*secret]) {
            let (_, random) = word.rsplit_once(' ').unwrap_or(("", word));
            assert!(!contains(&bytes, random), "{}", name.display());
            assert!(!name.to_string_lossy().contains(random));
        }
    }
    let log = scene.appliance.log();
    assert!(words.iter().all(|word| !log.contains(word)));

    // Whoever it is not for gets nothing, and takes nothing out of the store.
    let refused = scene.open_as("gateway-2");
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.stdout.is_empty());
    assert!(text(refused.stderr).contains("70 readings were not opened"));
    assert_eq!(scene.stored(), stored);

    // The store alters one and cuts another: the gateway says so, and the others arrive, in order.
    let altered = |name: &Path, change: fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(name).unwrap();
        change(&mut bytes);
        fs::write(name, bytes).unwrap();
    };
    altered(&stored[3], |bytes| *bytes.last_mut().unwrap() ^= 1);
    altered(&stored[5], |bytes| bytes.truncate(bytes.len() - 20));
    let opened = scene.open_as("gateway-1");
    assert_eq!(opened.status.code(), Some(1));
    let arrived = text(opened.stdout);
    let arrived: Vec<_> = arrived
        .lines()
        .map(|line| line.splitn(3, ' ').collect::<Vec<_>>())
        .collect();
    let account = scene.devices[0].account.to_string();
    assert!(arrived.iter().all(|line| line[1] == account));
    let mut expected: Vec<_> = words.iter().map(String::as_str).collect();
    expected.remove(5);
    expected.remove(3);
    let got: Vec<_> = arrived.iter().map(|line| line[2]).collect();
    assert_eq!(got, expected);
    let complaints = text(opened.stderr);
    assert!(complaints.contains("altered"), "{complaints}");
    assert!(complaints.contains("truncated"), "{complaints}");
    assert_eq!(scene.stored(), [stored[3].clone(), stored[5].clone()]);
}

#[test]
fn a_sensor_that_was_revoked_seals_nothing() {
    let scene = scene();
    let sensed = scene.sense("20.0 C\n");
    assert!(sensed.status.success(), "{sensed:?}");
    let stored = scene.stored();
    assert_eq!(stored.len(), 1);
    let revoke = ["devices", "revoke", "sensor-1", "--yes"];
    let _ = scene.admin.run(&revoke).success();
    let sensed = scene.sense("21.5 C\n");
    assert_eq!(sensed.status.code(), Some(1));
    assert!(sensed.stdout.is_empty());
    assert_eq!(scene.stored(), stored);
    // What it had sealed before still arrives.
    let opened = scene.open_as("gateway-1");
    assert!(opened.status.success(), "{opened:?}");
    assert!(text(opened.stdout).ends_with(" 20.0 C\n"));
    assert!(scene.stored().is_empty());
}
