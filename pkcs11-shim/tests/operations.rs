//! Operations and keys, as an application has them done.

#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::too_many_lines,
    unsafe_code,
    reason = "tests"
)]

mod support;

use std::ptr::null_mut;

use cryptoki_sys::*;
use support::api::{How, V, call};
use support::{PIN, run};

const P256: &[u8] = &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];

fn aes<'a>(more: &[(CK_ATTRIBUTE_TYPE, V<'a>)]) -> Vec<(CK_ATTRIBUTE_TYPE, V<'a>)> {
    [&[(CKA_VALUE_LEN, V::N(32))][..], more].concat()
}

#[test]
fn two_sides_agree() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let curves: [(&[u8], _, _); 3] = [
        (P256, CKM_EC_KEY_PAIR_GEN, false),
        (P256, CKM_EC_KEY_PAIR_GEN, true),
        (b"\x13\x0acurve25519", CKM_EC_MONTGOMERY_KEY_PAIR_GEN, false),
    ];
    for (parameters, mechanism, in_token) in curves {
        let place = (CKA_TOKEN, if in_token { V::Yes } else { V::No });
        let pair = || {
            api.generate_pair(
                session,
                How::plain(mechanism),
                &[(CKA_EC_PARAMS, V::B(parameters)), place.clone()],
                &[(CKA_DERIVE, V::Yes), place.clone()],
            )
            .unwrap()
        };
        let ((a_public, a), (b_public, b)) = (pair(), pair());
        let secret = |private, public| {
            let point = api.get(session, public, CKA_EC_POINT).unwrap();
            let parameter = CK_ECDH1_DERIVE_PARAMS {
                kdf: CKD_SHA256_KDF,
                ulSharedDataLen: 0,
                pSharedData: null_mut(),
                ulPublicDataLen: point.len() as CK_ULONG,
                pPublicData: point.as_ptr().cast_mut(),
            };
            let template = [
                (CKA_CLASS, V::N(CKO_SECRET_KEY)),
                (CKA_KEY_TYPE, V::N(CKK_AES)),
                (CKA_VALUE_LEN, V::N(32)),
                (CKA_SENSITIVE, V::No),
                (CKA_EXTRACTABLE, V::Yes),
            ];
            let key = api
                .derive(
                    session,
                    How::of(CKM_ECDH1_DERIVE, &parameter),
                    private,
                    &template,
                )
                .unwrap();
            api.get(session, key, CKA_VALUE).unwrap()
        };
        assert_eq!(secret(a, b_public), secret(b, a_public));
    }
    let set = [(CKA_PARAMETER_SET, V::N(CKP_ML_KEM_768))];
    let (public, private) = api
        .generate_pair(session, How::plain(CKM_ML_KEM_KEY_PAIR_GEN), &set, &[])
        .unwrap();
    let mut how = CK_MECHANISM {
        mechanism: CKM_ML_KEM,
        pParameter: null_mut(),
        ulParameterLen: 0,
    };
    let mut template = support::api::Template::new(&[
        (CKA_SENSITIVE, V::No),
        (CKA_EXTRACTABLE, V::Yes),
        (CKA_KEY_TYPE, V::N(CKK_GENERIC_SECRET)),
    ]);
    let (attributes, count) = template.parts();
    let (mut length, mut ours, mut theirs) = (0, 0, 0);
    assert_eq!(
        call!(
            api,
            C_EncapsulateKey(
                session,
                &raw mut how,
                public,
                attributes,
                count,
                null_mut(),
                &raw mut length,
                null_mut()
            )
        ),
        CKR_OK
    );
    let mut ciphertext = vec![0; length as usize];
    assert_eq!(
        call!(
            api,
            C_EncapsulateKey(
                session,
                &raw mut how,
                public,
                attributes,
                count,
                ciphertext.as_mut_ptr(),
                &raw mut length,
                &raw mut ours
            )
        ),
        CKR_OK
    );
    assert_eq!(
        call!(
            api,
            C_DecapsulateKey(
                session,
                &raw mut how,
                private,
                attributes,
                count,
                ciphertext.as_mut_ptr(),
                length,
                &raw mut theirs
            )
        ),
        CKR_OK
    );
    assert_eq!(
        api.get(session, ours, CKA_VALUE).unwrap(),
        api.get(session, theirs, CKA_VALUE).unwrap()
    );

    let set = [(CKA_PARAMETER_SET, V::N(CKP_ML_DSA_65))];
    let (public, private) = api
        .generate_pair(session, How::plain(CKM_ML_DSA_KEY_PAIR_GEN), &set, &[])
        .unwrap();
    let signature = api
        .sign(session, How::plain(CKM_ML_DSA), private, b"data")
        .unwrap();
    assert_eq!(
        api.verify(session, How::plain(CKM_ML_DSA), public, b"data", &signature),
        Ok(())
    );
}

#[test]
fn in_place_and_in_pieces() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let key = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &aes(&[]))
        .unwrap();
    let text: Vec<u8> = (0..100).collect();
    let counter = CK_AES_CTR_PARAMS {
        ulCounterBits: 128,
        cb: [0xff; 16],
    };
    let whole = api
        .encrypt(session, How::of(CKM_AES_CTR, &counter), key, &text)
        .unwrap();
    let (a, b) = text.split_at(37);
    let pieces: Vec<&[u8]> = a.chunks(5).chain(b.chunks(21)).collect();
    assert_eq!(
        api.encrypt_parts(session, How::of(CKM_AES_CTR, &counter), key, &pieces)
            .unwrap(),
        whole
    );
    let counter = CK_AES_CTR_PARAMS {
        ulCounterBits: 8,
        cb: [0xfe; 16],
    };
    assert_eq!(
        api.encrypt(session, How::of(CKM_AES_CTR, &counter), key, &text),
        Err(CKR_DATA_LEN_RANGE)
    );
    // The application's buffer for data and outcome may be one and the same.
    let how = || How::bytes(CKM_AES_CBC_PAD, &[9; 16]);
    let sealed = api.encrypt(session, how(), key, &text).unwrap();
    let mut buffer = [&text[..], &[0; 12]].concat();
    let mut iv = [9_u8; 16];
    let mut mechanism = CK_MECHANISM {
        mechanism: CKM_AES_CBC_PAD,
        pParameter: iv.as_mut_ptr().cast(),
        ulParameterLen: 16,
    };
    assert_eq!(
        call!(api, C_EncryptInit(session, &raw mut mechanism, key)),
        CKR_OK
    );
    let mut length = 112;
    assert_eq!(
        call!(
            api,
            C_Encrypt(
                session,
                buffer.as_mut_ptr(),
                100,
                buffer.as_mut_ptr(),
                &raw mut length
            )
        ),
        CKR_OK
    );
    assert_eq!(buffer, sealed);
    // A buffer that the decrypted data fits into is long enough, whatever the padding was.
    let mut exact = vec![0; 100];
    assert_eq!(
        call!(api, C_DecryptInit(session, &raw mut mechanism, key)),
        CKR_OK
    );
    length = 99;
    assert_eq!(
        call!(
            api,
            C_Decrypt(
                session,
                buffer.as_mut_ptr(),
                112,
                exact.as_mut_ptr(),
                &raw mut length
            )
        ),
        CKR_BUFFER_TOO_SMALL
    );
    length = 100;
    assert_eq!(
        call!(
            api,
            C_Decrypt(
                session,
                buffer.as_mut_ptr(),
                112,
                exact.as_mut_ptr(),
                &raw mut length
            )
        ),
        CKR_OK
    );
    assert_eq!(exact, text);
    assert_eq!(
        api.encrypt(session, How::bytes(CKM_AES_CBC, &[9; 16]), key, &text),
        Err(CKR_DATA_LEN_RANGE)
    );
    assert_eq!(
        api.decrypt(session, how(), key, &sealed[..40]),
        Err(CKR_ENCRYPTED_DATA_LEN_RANGE)
    );
    assert_eq!(
        api.encrypt(session, How::bytes(CKM_AES_CBC, &[9; 15]), key, &text),
        Err(CKR_MECHANISM_PARAM_INVALID)
    );
}

#[test]
fn session_key_pairs_and_copies() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let rsa = [
        (CKA_MODULUS_BITS, V::N(2048)),
        (CKA_PUBLIC_EXPONENT, V::B(&[1, 0, 1])),
    ];
    let (public, private) = api
        .generate_pair(
            session,
            How::plain(CKM_RSA_PKCS_KEY_PAIR_GEN),
            &rsa,
            &[(CKA_EXTRACTABLE, V::Yes)],
        )
        .unwrap();
    // What Java's keytool does: a session key pair becomes the token's by a copy.
    let kept = api
        .copy(
            session,
            private,
            &[(CKA_TOKEN, V::Yes), (CKA_LABEL, V::B(b"kept"))],
        )
        .unwrap();
    let pss = CK_RSA_PKCS_PSS_PARAMS {
        hashAlg: CKM_SHA256,
        mgf: CKG_MGF1_SHA256,
        sLen: 20,
    };
    for key in [private, kept] {
        for how in [
            |_: &CK_RSA_PKCS_PSS_PARAMS| How::plain(CKM_SHA256_RSA_PKCS),
            |pss: &CK_RSA_PKCS_PSS_PARAMS| How::of(CKM_SHA256_RSA_PKCS_PSS, pss),
        ] {
            let signature = api
                .sign_parts(session, how(&pss), key, &[b"da", b"ta"])
                .unwrap();
            assert_eq!(
                api.verify(session, how(&pss), public, b"data", &signature),
                Ok(())
            );
        }
        let raw = api
            .sign(session, How::plain(CKM_RSA_PKCS), key, b"no digest at all")
            .unwrap();
        assert_eq!(
            api.verify(
                session,
                How::plain(CKM_RSA_PKCS),
                public,
                b"no digest at all",
                &raw
            ),
            Ok(())
        );
        for mechanism in [CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP] {
            let oaep = CK_RSA_PKCS_OAEP_PARAMS {
                hashAlg: CKM_SHA256,
                mgf: CKG_MGF1_SHA256,
                source: CKZ_DATA_SPECIFIED,
                pSourceData: null_mut(),
                ulSourceDataLen: 0,
            };
            let how = || {
                if mechanism == CKM_RSA_PKCS {
                    How::plain(mechanism)
                } else {
                    How::of(mechanism, &oaep)
                }
            };
            let sealed = api.encrypt(session, how(), public, b"secret").unwrap();
            assert_eq!(
                api.decrypt(session, how(), key, &sealed).unwrap(),
                b"secret"
            );
        }
    }
    // A private key goes out wrapped and comes back the same.
    let wrapping = api
        .generate(session, How::plain(CKM_AES_KEY_GEN), &aes(&[]))
        .unwrap();
    let wrapped = api
        .wrap(session, How::plain(CKM_AES_KEY_WRAP_KWP), wrapping, private)
        .unwrap();
    let template = [
        (CKA_CLASS, V::N(CKO_PRIVATE_KEY)),
        (CKA_KEY_TYPE, V::N(CKK_RSA)),
    ];
    let back = api
        .unwrap(
            session,
            How::plain(CKM_AES_KEY_WRAP_PAD),
            wrapping,
            &wrapped,
            &template,
        )
        .unwrap();
    let signature = api
        .sign(session, How::plain(CKM_SHA512_RSA_PKCS), back, b"data")
        .unwrap();
    assert_eq!(
        api.verify(
            session,
            How::plain(CKM_SHA512_RSA_PKCS),
            public,
            b"data",
            &signature
        ),
        Ok(())
    );
    assert_eq!(
        api.unwrap(
            session,
            How::plain(CKM_AES_KEY_WRAP_PAD),
            wrapping,
            &[9; 32],
            &template
        ),
        Err(CKR_WRAPPED_KEY_INVALID)
    );
}

#[test]
fn state_of_a_digest_moves_to_another_session() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let other = api.open(0, 0).unwrap();
    let mut how = CK_MECHANISM {
        mechanism: CKM_SHA3_256,
        pParameter: null_mut(),
        ulParameterLen: 0,
    };
    assert_eq!(call!(api, C_DigestInit(session, &raw mut how)), CKR_OK);
    assert_eq!(
        call!(api, C_DigestUpdate(session, b"ab".as_ptr().cast_mut(), 2)),
        CKR_OK
    );
    let mut state = [0; 600];
    let mut length = 600;
    assert_eq!(
        call!(
            api,
            C_GetOperationState(session, state.as_mut_ptr(), &raw mut length)
        ),
        CKR_OK
    );
    assert_eq!(
        call!(
            api,
            C_SetOperationState(other, state.as_mut_ptr(), length - 1, 0, 0)
        ),
        CKR_SAVED_STATE_INVALID
    );
    assert_eq!(
        call!(
            api,
            C_SetOperationState(other, state.as_mut_ptr(), length, 0, 0)
        ),
        CKR_OK
    );
    assert_eq!(
        call!(api, C_DigestUpdate(other, b"c".as_ptr().cast_mut(), 1)),
        CKR_OK
    );
    let (mut digest, mut length) = ([0; 32], 32);
    assert_eq!(
        call!(
            api,
            C_DigestFinal(other, digest.as_mut_ptr(), &raw mut length)
        ),
        CKR_OK
    );
    assert_eq!(
        hex::encode(digest),
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"
    );
    assert_eq!(call!(api, C_SessionCancel(session, CKF_DIGEST)), CKR_OK);
    assert_eq!(
        call!(
            api,
            C_DigestFinal(session, digest.as_mut_ptr(), &raw mut length)
        ),
        CKR_OPERATION_NOT_INITIALIZED
    );
}

#[test]
fn a_key_that_asks_each_time_is_asked_for_each_time() {
    let running = run();
    let (api, session) = (running.api, running.session());
    let (public, private) = api
        .generate_pair(
            session,
            How::plain(CKM_EC_KEY_PAIR_GEN),
            &[(CKA_EC_PARAMS, V::B(P256)), (CKA_TOKEN, V::Yes)],
            &[(CKA_TOKEN, V::Yes), (CKA_ALWAYS_AUTHENTICATE, V::Yes)],
        )
        .unwrap();
    assert_eq!(
        api.login(session, CKU_CONTEXT_SPECIFIC, PIN),
        CKR_OPERATION_NOT_INITIALIZED
    );
    api.sign_init(session, How::plain(CKM_ECDSA_SHA256), private)
        .unwrap();
    assert_eq!(api.login(session, CKU_CONTEXT_SPECIFIC, PIN), CKR_OK);
    let (mut out, mut length) = ([0; 64], 64);
    let data = b"data";
    assert_eq!(
        call!(
            api,
            C_Sign(
                session,
                data.as_ptr().cast_mut(),
                4,
                out.as_mut_ptr(),
                &raw mut length
            )
        ),
        CKR_OK
    );
    assert_eq!(
        api.verify(session, How::plain(CKM_ECDSA_SHA256), public, data, &out),
        Ok(())
    );
    assert_eq!(
        api.verify(session, How::plain(CKM_ECDSA_SHA256), public, b"date", &out),
        Err(CKR_SIGNATURE_INVALID)
    );
    assert_eq!(
        api.sign(session, How::plain(CKM_ECDSA_SHA256), private, data),
        Err(CKR_USER_NOT_LOGGED_IN)
    );
}
