//! What a call costs in this process, with nothing of the network: printed by `--ignored --nocapture`.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    unsafe_code,
    reason = "tests"
)]

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use cryptoki_sys::*;
use support::api::{How, V, call};
use support::memory::RELEASABLE;
use support::run;

#[test]
#[ignore = "a measurement"]
fn aes_gcm_of_a_released_key() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let template = [
        (CKA_VALUE_LEN, V::N(32)),
        (CKA_TOKEN, V::Yes),
        (CKA_LABEL, V::B(RELEASABLE)),
    ];
    let key = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &template)
        .unwrap();
    for size in [1024, 1024 * 1024] {
        let text = vec![7_u8; size];
        let mut out = vec![0_u8; size + 16];
        let mut iv = [0_u8; 12];
        let (begin, mut count) = (Instant::now(), 0_u64);
        while begin.elapsed() < Duration::from_secs(2) {
            for _ in 0..16 {
                iv[0] = iv[0].wrapping_add(1);
                let mut parameter = CK_GCM_PARAMS {
                    pIv: iv.as_mut_ptr(),
                    ulIvLen: 12,
                    ulIvBits: 96,
                    pAAD: std::ptr::null_mut(),
                    ulAADLen: 0,
                    ulTagBits: 128,
                };
                let mut how = CK_MECHANISM {
                    mechanism: CKM_AES_GCM,
                    pParameter: (&raw mut parameter).cast(),
                    ulParameterLen: size_of::<CK_GCM_PARAMS>() as CK_ULONG,
                };
                assert_eq!(
                    call!(api, C_EncryptInit(session, &raw mut how, key)),
                    CKR_OK
                );
                let mut length = out.len() as CK_ULONG;
                let rv = call!(
                    api,
                    C_Encrypt(
                        session,
                        text.as_ptr().cast_mut(),
                        size as CK_ULONG,
                        out.as_mut_ptr(),
                        &raw mut length
                    )
                );
                assert_eq!(rv, CKR_OK);
                black_box(&out);
                count += 1;
            }
        }
        let rate = count as f64 / begin.elapsed().as_secs_f64();
        println!(
            "AES-GCM of {size} bytes: {rate:.0} a second, {:.2} GB/s",
            rate * size as f64 / 1e9
        );
    }
}
