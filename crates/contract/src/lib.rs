//! Every message, subject, header and error code on the wire.
