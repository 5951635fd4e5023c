//! The OPAQUE suite as a client speaks it that remembers what it stretched: Argon2id of the same password of the same account comes out the
//! same, so that whoever enrols and then signs in pays for it once. What goes over the wire is what it always is.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use strongroom_session::Suite;
use strongroom_session::opaque_ke::CipherSuite;
use strongroom_session::opaque_ke::errors::InternalError;
use strongroom_session::opaque_ke::generic_array::{ArrayLength, GenericArray};
use strongroom_session::opaque_ke::ksf::Ksf;

/// The suite.
pub(crate) struct Remembering;

impl CipherSuite for Remembering {
    type OprfCs = <Suite as CipherSuite>::OprfCs;
    type KeyExchange = <Suite as CipherSuite>::KeyExchange;
    type Ksf = Remembered;
}

/// [`Suite`]'s key stretching, once for each input.
#[derive(Default)]
pub(crate) struct Remembered(<Suite as CipherSuite>::Ksf);

static OUTPUTS: LazyLock<Mutex<HashMap<Vec<u8>, Vec<u8>>>> = LazyLock::new(Mutex::default);

impl Ksf for Remembered {
    fn hash<L: ArrayLength<u8>>(
        &self,
        input: GenericArray<u8, L>,
    ) -> Result<GenericArray<u8, L>, InternalError> {
        let key = input.to_vec();
        let known = || OUTPUTS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(output) = known().get(&key) {
            return Ok(GenericArray::clone_from_slice(output));
        }
        // Not under the lock: others stretch at the same time.
        let output = self.0.hash(input)?;
        known().insert(key, output.to_vec());
        Ok(output)
    }
}
