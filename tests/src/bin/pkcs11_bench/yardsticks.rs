//! What no signature by the appliance can do without (a request and its answer, the signature itself, a record that is durable), and what
//! `openssl speed` makes of AES-GCM.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use rustls::ClientConfig;
use serde::Serialize;
use strongroom_tests::Appliance;
use strongroom_tests::http::{self, Connection};
use strongroom_tests::yardsticks::{BareEndpoint, openssl_speed, sync_p50};

use crate::{GCM_OF_A_MEBIBYTE, Line, SIGNATURE};

/// Bytes in a MiB.
const MEBIBYTE: usize = 1024 * 1024;

/// The yardsticks.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Yardsticks {
    /// A request to a bare HTTPS endpoint and its answer, over a connection that is kept, in milliseconds.
    bare_round_trip_ms: f64,
    /// A P-256 signature in the process, in milliseconds.
    signature_ms: f64,
    /// The median time that this disk takes to make 4 KiB durable, in milliseconds.
    sync_ms: f64,
    /// What `openssl speed` reports for AES-256-GCM of 1 MiB, a second.
    openssl_gcm_per_second: f64,
}

impl Yardsticks {
    /// The mean of the rounds.
    pub(crate) fn mean(rounds: &[Self]) -> Self {
        let mut count = 0.0;
        let mut sum = Self::default();
        for round in rounds {
            count += 1.0;
            sum.bare_round_trip_ms += round.bare_round_trip_ms;
            sum.signature_ms += round.signature_ms;
            sum.sync_ms += round.sync_ms;
            sum.openssl_gcm_per_second += round.openssl_gcm_per_second;
        }
        Self {
            bare_round_trip_ms: sum.bare_round_trip_ms / count,
            signature_ms: sum.signature_ms / count,
            sync_ms: sum.sync_ms / count,
            openssl_gcm_per_second: sum.openssl_gcm_per_second / count,
        }
    }

    /// Beside what was measured of the module.
    pub(crate) fn as_text(&self, lines: &[Line]) -> String {
        let per_second = |what: &str| {
            let line = lines.iter().find(|line| line.what == what);
            line.map_or(f64::NAN, |line| line.strongroom_per_second)
        };
        let took = 1000.0 / per_second(SIGNATURE);
        let needed = self.bare_round_trip_ms + self.signature_ms + self.sync_ms;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "A signature takes {took:.2} ms, {:.0} % of what it cannot do without: a bare HTTPS round trip ({:.2} ms), the signature ({:.2} ms), \
             a durable record ({:.2} ms).",
            100.0 * took / needed,
            self.bare_round_trip_ms,
            self.signature_ms,
            self.sync_ms
        );
        let _ = writeln!(
            text,
            "{GCM_OF_A_MEBIBYTE}: {:.0} % of openssl speed.",
            100.0 * per_second(GCM_OF_A_MEBIBYTE) / self.openssl_gcm_per_second
        );
        text
    }
}

/// What is measured beside the sides.
pub(crate) struct Beside {
    endpoint: BareEndpoint,
    tls: Arc<ClientConfig>,
    key: EcdsaKeyPair,
    /// On the disk that has the records.
    folder: PathBuf,
}

impl Beside {
    pub(crate) fn start(appliance: &Appliance) -> Self {
        Self {
            endpoint: BareEndpoint::start(&appliance.data().join("tls")),
            tls: http::tls(&appliance.ca(), &[&rustls::version::TLS13]),
            key: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            folder: appliance.data(),
        }
    }

    /// Each for so many seconds.
    pub(crate) fn measure(&self, seconds: u32) -> Yardsticks {
        let during = Duration::from_secs(seconds.into());
        let mut connection = Connection::open(self.endpoint.address, &self.tls).unwrap();
        let random = SystemRandom::new();
        Yardsticks {
            bare_round_trip_ms: mean_ms(during, || {
                let answer = connection.send("GET", "/", None, None).unwrap();
                assert_eq!(answer.status, 204);
            }),
            signature_ms: mean_ms(during, || {
                assert_eq!(self.key.sign(&random, &[7; 32]).unwrap().as_ref().len(), 64);
            }),
            sync_ms: sync_p50(&self.folder),
            openssl_gcm_per_second: openssl_speed(MEBIBYTE) / 1_048_576.0,
        }
    }
}

/// How long something takes on average, in milliseconds, when it is done for this long.
fn mean_ms(during: Duration, mut done: impl FnMut()) -> f64 {
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < during {
        done();
        count += 1;
    }
    began.elapsed().as_secs_f64() * 1000.0 / f64::from(count)
}
