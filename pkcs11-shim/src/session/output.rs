//! Buffers that the application gives, by the standard's convention (PKCS#11 3.0 section 5.2): no buffer asks how long the outcome is, a
//! buffer that is too short is told how long it has to be, and neither ends the operation.

use cryptoki_sys::{CK_ULONG, CK_UNAVAILABLE_INFORMATION};

use crate::error::{CkError, CkResult};

/// Where an outcome goes.
pub struct Output<'a> {
    room: Option<&'a mut [u8]>,
    length: &'a mut CK_ULONG,
}

/// Whether an outcome was given, or its length alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Given {
    /// The application asked for the length.
    Length,
    /// The outcome is in the buffer: the operation goes on, or is over.
    Outcome,
}

impl<'a> Output<'a> {
    /// A buffer, or the question how long one has to be.
    pub fn new(room: Option<&'a mut [u8]>, length: &'a mut CK_ULONG) -> Self {
        Self { room, length }
    }

    /// How many bytes there is room for; none where only the length is asked for.
    #[must_use]
    pub fn room(&self) -> Option<usize> {
        self.room.as_ref().map(|room| room.len())
    }

    /// An outcome of exactly this length, or the question for it.
    ///
    /// # Errors
    /// `CKR_BUFFER_TOO_SMALL`; else what `write` says.
    pub fn exactly(
        self,
        length: usize,
        write: impl FnOnce(&mut [u8]) -> CkResult<()>,
    ) -> CkResult<Given> {
        self.at_most(length, |room| write(room).map(|()| length))
    }

    /// An outcome of at most this length, of which `write` says how long it is.
    ///
    /// # Errors
    /// `CKR_BUFFER_TOO_SMALL`; else what `write` says.
    pub fn at_most(
        self,
        most: usize,
        write: impl FnOnce(&mut [u8]) -> CkResult<usize>,
    ) -> CkResult<Given> {
        let Some(room) = self.room else {
            *self.length = ulong(most);
            return Ok(Given::Length);
        };
        let Some(room) = room.get_mut(..most) else {
            *self.length = ulong(most);
            return Err(CkError::too_small(most));
        };
        *self.length = ulong(write(room)?);
        Ok(Given::Outcome)
    }

    /// An outcome that is there already, or that has to be made to know how long it is.
    ///
    /// # Errors
    /// `CKR_BUFFER_TOO_SMALL`.
    pub fn put(self, outcome: &[u8]) -> CkResult<Given> {
        self.exactly(outcome.len(), |room| {
            room.copy_from_slice(outcome);
            Ok(())
        })
    }
}

/// A length as the standard writes it.
pub(crate) fn ulong(length: usize) -> CK_ULONG {
    CK_ULONG::try_from(length).unwrap_or(CK_UNAVAILABLE_INFORMATION)
}
