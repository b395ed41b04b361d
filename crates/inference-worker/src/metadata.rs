//! A subject on which a model, or one version of it, says what it takes and gives.

use std::sync::Arc;
use std::time::Duration;

use leat_contract::subjects::QUEUE_GROUP;
use leat_contract::{Encoding, ModelMetadata, encode};
use leat_messaging::Subscription;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::Error;
use crate::shared::Shared;
use crate::work::Content;

/// What ending the subscription may take.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// What is said when somebody asks.
type Describe = dyn Fn() -> Result<ModelMetadata, Error> + Send + Sync;

/// A subscription with the task that answers on it.
#[derive(Debug)]
pub(crate) struct MetadataSubject {
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl MetadataSubject {
    /// Subscribes.
    ///
    /// # Errors
    /// When the broker is away.
    pub(crate) async fn start(
        shared: &Arc<Shared>,
        subject: String,
        describe: impl Fn() -> Result<ModelMetadata, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let questions = shared.context.connections.control.queue_subscribe(subject, QUEUE_GROUP).await?;
        let (stop, (end, ended)) = (CancellationToken::new(), oneshot::channel());
        let answering = answer(shared.clone(), Box::new(describe), questions, stop.clone());
        shared.context.tasks.spawn_finite("metadata", async move {
            answering.await;
            // Whoever stops it may no longer wait.
            let _ = end.send(());
            Ok::<(), Error>(())
        });
        Ok(Self { stop, ended })
    }

    /// Answers no more. What was asked is still answered.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        // It ends in any case; that the task is gone means the same.
        let _ = self.ended.await;
    }
}

async fn answer(
    shared: Arc<Shared>,
    describe: Box<Describe>,
    mut questions: Subscription,
    stop: CancellationToken,
) {
    let mut is_draining = false;
    loop {
        let question = tokio::select! {
            question = questions.next() => question,
            () = stop.cancelled(), if !is_draining => {
                is_draining = true;
                let connection = &shared.context.connections.control;
                let is_drained = connection.is_connected() && questions.drain(DRAIN_TIMEOUT).await.is_ok();
                if is_drained { continue } else { return }
            }
        };
        let Some(question) = question else { return };
        let Some(reply) = question.reply() else { continue };
        let document = describe().and_then(|metadata| Ok(encode(Encoding::Json, &metadata)?));
        let content = match document {
            Ok(bytes) => Content::Result(bytes.into()),
            Err(error) => Content::Refusal(error.detail(), Encoding::Json),
        };
        if crate::compute::send(&shared.context.connections.control, reply.clone(), content).await.is_err() {
            shared.metrics.replies_lost.inc();
        }
    }
}
