/// Why the monitor could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The broker could not be used.
    #[error(transparent)]
    Messaging(#[from] leat_messaging::Error),
    /// A subscription that should never end did.
    #[error("the subscription to {subject} ended")]
    SubscriptionEnded {
        /// What was subscribed to.
        subject: String,
    },
}
