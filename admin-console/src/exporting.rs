//! What the interface's exports of the log and the pages' share: waiting for witnesses, and a body that is made piece by piece.

use std::sync::Weak;
use std::time::{Duration, Instant};

use actix_web::body::{BodyStream, MessageBody};
use actix_web::web::{self, Bytes};
use futures_util::stream;
use strongroom_keystore::{Error, Export, Keystore};

/// How long an export waits for the cosignatures of its checkpoint: that long a witness that works needs at most.
const FOR_WITNESSES: Duration = Duration::from_secs(3);
/// How often it looks for them.
const WITNESSES_LOOKED_FOR: Duration = Duration::from_millis(200);

/// The export cannot go on: the connection is broken off, so that nobody takes what came for the whole.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The keystore is not open any more.
    #[error("the appliance is being sealed or stopped")]
    Closed,
    /// The keystore cannot make the next piece.
    #[error(transparent)]
    Keystore(#[from] Error),
    /// What was made of the bundle so far is none that verifies.
    #[error("the bundle that was made is not whole")]
    NotWhole,
    /// A defect: it panicked, or a report could not be written.
    #[error("the export failed inside the appliance")]
    Failed,
}

/// An export that is under way, and what is made of it.
pub trait Making: Send + Sized + 'static {
    /// The next bytes to send; none at the end.
    ///
    /// # Errors
    /// Why it cannot go on.
    fn next(&mut self, keystore: &Keystore) -> Result<Option<Vec<u8>>, Broken>;
}

impl Making for Export {
    fn next(&mut self, keystore: &Keystore) -> Result<Option<Vec<u8>>, Broken> {
        Ok(Self::next(self, keystore)?)
    }
}

/// Gives the witnesses a moment to cosign an export's checkpoint. One that is away is in nobody's way for longer.
///
/// # Errors
/// [`Broken::Keystore`], [`Broken::Failed`].
pub async fn cosigned(open: &Weak<Keystore>, mut begun: Export) -> Result<Export, Broken> {
    let started = Instant::now();
    while started.elapsed() < FOR_WITNESSES {
        // Where it is being sealed, the first piece says so.
        let Some(keystore) = open.upgrade() else {
            break;
        };
        let waits;
        (begun, waits) = web::block(move || {
            let waits = begun.awaits_witnesses(&keystore);
            (begun, waits)
        })
        .await
        .map_err(|_| Broken::Failed)?;
        if !waits? {
            break;
        }
        tokio::time::sleep(WITNESSES_LOOKED_FOR).await;
    }
    Ok(begun)
}

/// The pieces of an export, each made when there is room for it: a slow reader holds neither a thread nor the keystore.
///
/// `panicked` is called where making one panics, once the panic hook has logged where.
pub fn pieces(
    open: Weak<Keystore>,
    making: impl Making,
    panicked: fn(),
) -> impl MessageBody + 'static {
    BodyStream::new(stream::try_unfold(making, move |making| {
        piece(open.clone(), making, panicked)
    }))
}

/// Makes the next piece, on a thread that may wait.
async fn piece<M: Making>(
    open: Weak<Keystore>,
    mut making: M,
    panicked: fn(),
) -> Result<Option<(Bytes, M)>, Broken> {
    let made = web::block(move || {
        let keystore = open.upgrade().ok_or(Broken::Closed)?;
        let piece = making.next(&keystore)?;
        Ok(piece.map(|piece| (piece.into(), making)))
    });
    let made = made.await.unwrap_or_else(|_| {
        panicked();
        Err(Broken::Failed)
    });
    if let Err(broken) = &made {
        tracing::error!(error = %broken, "an export broke off");
    }
    made
}
