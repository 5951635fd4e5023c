//! The OPAQUE cipher suite (RFC 9807) that every Strongroom appliance and client speaks.
//!
//! OPRF and key exchange: ristretto255 and SHA-512 (3DH). Key stretching: Argon2id (RFC 9106) with the parameters of
//! [`KeyStretching`]. Identities: the client's is the account's name in lower case, the server's is `strongroom/` and the domain's
//! name, so that a registration made for one domain opens nothing in another. The key exchange's context is [`CONTEXT`].

use argon2::{Algorithm, Argon2, Params, Version};
use opaque_ke::errors::InternalError;
use opaque_ke::generic_array::{ArrayLength, GenericArray};
use opaque_ke::ksf::Ksf;
use opaque_ke::{CipherSuite, Identifiers, Ristretto255, TripleDh};

/// The context that both ends bind into the key exchange (RFC 9807 section 6.4.2).
pub const CONTEXT: &[u8] = b"strongroom/v1/sign-in";

/// The OPAQUE cipher suite.
pub struct Suite;

impl CipherSuite for Suite {
    type OprfCs = Ristretto255;
    type KeyExchange = TripleDh<Ristretto255, sha2::Sha512>;
    type Ksf = KeyStretching;
}

/// Argon2id with 64 MiB, 3 passes and 4 lanes: the second recommended option of RFC 9106 section 4.
///
/// It runs on the client. The salt is fixed, as RFC 9807 section 7 allows: the OPRF has salted its input already.
#[derive(Default)]
pub struct KeyStretching;

impl Ksf for KeyStretching {
    fn hash<L: ArrayLength<u8>>(
        &self,
        input: GenericArray<u8, L>,
    ) -> Result<GenericArray<u8, L>, InternalError> {
        let params = Params::new(64 * 1024, 3, 4, None).map_err(|_| InternalError::KsfError)?;
        let mut output = GenericArray::default();
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(&input, &[0; argon2::RECOMMENDED_SALT_LEN], &mut output)
            .map_err(|_| InternalError::KsfError)?;
        Ok(output)
    }
}

/// The name by which a domain's appliance is known to the protocol.
#[must_use]
pub fn server_identity(domain: &str) -> String {
    format!("strongroom/{domain}")
}

/// The identities that both ends bind into registration and sign-in.
#[must_use]
pub fn identifiers<'a>(account: &'a str, server: &'a str) -> Identifiers<'a> {
    Identifiers {
        client: Some(account.as_bytes()),
        server: Some(server.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use opaque_ke::{
        ClientLogin, ClientLoginFinishParameters, ClientRegistration,
        ClientRegistrationFinishParameters, ServerLogin, ServerLoginParameters, ServerRegistration,
        ServerSetup,
    };
    use rand_core::OsRng;

    use super::*;

    fn sign_in(password: &[u8], server_account: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let setup = ServerSetup::<Suite>::new(&mut OsRng);
        let server = server_identity("default");
        let registration = ClientRegistration::<Suite>::start(&mut OsRng, b"correct").unwrap();
        let response =
            ServerRegistration::start(&setup, registration.message, b"alice@example.com").unwrap();
        let upload = registration
            .state
            .finish(
                &mut OsRng,
                b"correct",
                response.message,
                ClientRegistrationFinishParameters::new(
                    identifiers("alice@example.com", &server),
                    None,
                ),
            )
            .unwrap();
        let record = ServerRegistration::finish(upload.message);

        let start = ClientLogin::<Suite>::start(&mut OsRng, password).unwrap();
        let parameters = ServerLoginParameters {
            context: Some(CONTEXT),
            identifiers: identifiers(server_account, &server),
        };
        let answer = ServerLogin::start(
            &mut OsRng,
            &setup,
            Some(record),
            start.message,
            b"alice@example.com",
            parameters.clone(),
        )
        .unwrap();
        let finish = start
            .state
            .finish(
                &mut OsRng,
                password,
                answer.message,
                ClientLoginFinishParameters::new(
                    Some(CONTEXT),
                    identifiers("alice@example.com", &server),
                    None,
                ),
            )
            .ok()?;
        let server_key = answer.state.finish(finish.message, parameters).ok()?;
        Some((finish.session_key.to_vec(), server_key.session_key.to_vec()))
    }

    #[test]
    fn both_ends_agree_with_the_right_password_only() {
        let (client, server) = sign_in(b"correct", "alice@example.com").unwrap();
        assert_eq!(client, server);
        assert!(sign_in(b"wrong", "alice@example.com").is_none());
        assert!(sign_in(b"correct", "mallory@example.com").is_none());
    }
}
