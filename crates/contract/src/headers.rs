//! The names of the NATS headers that Leat reads or writes.

/// The text of a failure (ADR-32). A reply without it is a result.
pub const SERVICE_ERROR: &str = "Nats-Service-Error";
/// The number of a failure (ADR-32), one of [`crate::ErrorCode::status`].
pub const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";
/// W3C trace context of the caller: version, trace id, parent id, flags.
pub const TRACEPARENT: &str = "traceparent";
/// Vendor part of the W3C trace context, passed on unchanged.
pub const TRACESTATE: &str = "tracestate";
/// The id by which a stream drops a second copy of a message within its duplicate window.
pub const MESSAGE_ID: &str = "Nats-Msg-Id";
/// On a request for inference or its reply: the body is the object of this name in the store of payloads.
pub const BODY_OBJECT: &str = "Leat-Body-Object";
/// On a request for inference: a reply that no message can hold may be an object of so many bytes.
pub const REPLY_OBJECT_BYTES_MAX: &str = "Leat-Reply-Object-Bytes-Max";
/// On work that was handed over: when it was accepted first, in Unix milliseconds.
pub const ACCEPTED_MS: &str = "Leat-Accepted-Ms";
/// On work that was handed over: the id that it was submitted with.
pub const ACCEPTED_MESSAGE_ID: &str = "Leat-Accepted-Message-Id";
/// On work that was handed over: how many attempts had failed.
pub const FAILED_ATTEMPTS: &str = "Leat-Failed-Attempts";
/// On a dead letter: why it was given up.
pub const DEAD_REASON: &str = "Leat-Dead-Reason";
/// On a dead letter: the subject it was published to.
pub const DEAD_SUBJECT: &str = "Leat-Dead-Subject";
/// On a dead letter: the stream it came from.
pub const DEAD_STREAM: &str = "Leat-Dead-Stream";
/// On a dead letter: its sequence in that stream.
pub const DEAD_SEQUENCE: &str = "Leat-Dead-Sequence";
/// On a dead letter: how many times it was delivered, as far as whoever gave it up knows.
pub const DEAD_ATTEMPTS: &str = "Leat-Dead-Attempts";
/// On a dead letter, and on a message that is sent again from one: the id that it was submitted with first.
pub const DEAD_MESSAGE_ID: &str = "Leat-Dead-Message-Id";
/// On a dead letter whose content did not fit beside the reason and was left out: its bytes.
pub const DEAD_TRUNCATED: &str = "Leat-Dead-Truncated";

/// Every header with its meaning, as published.
pub const ALL: [(&str, &str); 17] = [
    (SERVICE_ERROR, "on a reply: the text of a failure (ADR-32); a reply without it is a result"),
    (SERVICE_ERROR_CODE, "on a reply: the number of the failure, always one of the error codes"),
    (
        TRACEPARENT,
        "W3C trace context of the caller; optional on every message, carried on to what the message causes",
    ),
    (TRACESTATE, "vendor part of the W3C trace context, passed on unchanged"),
    (
        MESSAGE_ID,
        "on a message for a stream: a second copy with the same id within the duplicate window is dropped",
    ),
    (
        BODY_OBJECT,
        "on a request for inference or its reply: the body is the object of this name in the store of payloads",
    ),
    (
        REPLY_OBJECT_BYTES_MAX,
        "on a request for inference: a reply over the broker's payload limit may be an object of so many bytes",
    ),
    (
        ACCEPTED_MS,
        "on a durable request or a job that a worker handed over, when it left or was connected anew: when it was accepted first, in Unix milliseconds",
    ),
    (ACCEPTED_MESSAGE_ID, "likewise: the id that it was submitted with"),
    (FAILED_ATTEMPTS, "likewise: how many attempts had failed; the one that ended in order is none"),
    (DEAD_REASON, "on a dead letter: why it was given up"),
    (DEAD_SUBJECT, "on a dead letter: the subject it was published to"),
    (DEAD_STREAM, "on a dead letter: the stream it came from"),
    (DEAD_SEQUENCE, "on a dead letter: its sequence in that stream"),
    (DEAD_ATTEMPTS, "on a dead letter: how many times it was delivered, as far as whoever gave it up knows"),
    (
        DEAD_MESSAGE_ID,
        "on a dead letter, and on a message that is sent again from one: the id that it was submitted with first",
    ),
    (
        DEAD_TRUNCATED,
        "on a dead letter whose content did not fit beside the reason and was left out: its bytes",
    ),
];
