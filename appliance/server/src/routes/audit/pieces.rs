//! The body of an export: each piece is made when there is room for it, so that a slow reader holds neither a thread nor the keystore.

use std::future::Future;
use std::pin::Pin;
use std::sync::Weak;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::web;
use strongroom_keystore::{Error, Export, Keystore};

use crate::metrics as counters;

/// The pieces of an export.
pub(super) struct Pieces {
    keystore: Weak<Keystore>,
    state: State,
}

enum State {
    Idle(Box<Export>),
    Working(Pin<Box<dyn Future<Output = Option<Made>>>>),
    Over,
}

/// What became of a piece, and the export to go on with.
type Made = (Box<Export>, Result<Option<Vec<u8>>, Broken>);

/// The export cannot go on: the connection is broken off, so that nobody takes what came for the whole.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the appliance is being sealed or stopped")]
    Closed,
    #[error(transparent)]
    Keystore(#[from] Error),
    #[error("the export failed inside the appliance")]
    Failed,
}

impl Pieces {
    pub(super) fn new(keystore: Weak<Keystore>, export: Export) -> Self {
        Self {
            keystore,
            state: State::Idle(Box::new(export)),
        }
    }

    /// Begins to make the next piece, on a thread that may wait.
    fn make(
        keystore: Weak<Keystore>,
        mut export: Box<Export>,
    ) -> Pin<Box<dyn Future<Output = Option<Made>>>> {
        let made = web::block(move || {
            let piece = match keystore.upgrade() {
                Some(keystore) => export.next(&keystore).map_err(Broken::from),
                None => Err(Broken::Closed),
            };
            (export, piece)
        });
        Box::pin(async move { made.await.ok() })
    }
}

impl MessageBody for Pieces {
    type Error = Broken;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, Broken>>> {
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Poll::Ready(None),
                State::Idle(export) => {
                    self.state = State::Working(Self::make(self.keystore.clone(), export));
                }
                State::Working(mut piece) => {
                    let Poll::Ready(made) = piece.as_mut().poll(context) else {
                        self.state = State::Working(piece);
                        return Poll::Pending;
                    };
                    let broken = match made {
                        Some((export, Ok(Some(piece)))) => {
                            self.state = State::Idle(export);
                            return Poll::Ready(Some(Ok(piece.into())));
                        }
                        Some((_, Ok(None))) => return Poll::Ready(None),
                        Some((_, Err(broken))) => broken,
                        None => {
                            // It panicked; the panic hook has logged where.
                            counters::panic();
                            Broken::Failed
                        }
                    };
                    tracing::error!(error = %broken, "an export broke off");
                    return Poll::Ready(Some(Err(broken)));
                }
            }
        }
    }
}
