//! From a request to its rows in the batch.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use leat_contract::{Encoding, InferRequest, PlainRequest, ReplyForm};

use super::{Batch, BatchLimits, check_deadline};
use crate::Error;
use crate::reply::Wanted;
use crate::rows;
use crate::work::Work;

/// The rows of a request in the batch, and the answer when it is known from before.
type Place = (Range<usize>, Option<Arc<[f32]>>);

/// What its reply is to be, its deadline, and where its rows stand.
type Read = (Wanted, Option<u64>, Place);

impl Batch {
    /// Reads a request, whatever its form.
    pub(super) fn read(&mut self, work: &Work, limits: BatchLimits) -> Result<Read, Error> {
        if let Some(plain) = PlainRequest::read(&work.payload)
            && let Some(read) = self.read_plain(plain, work.received, limits)
        {
            return read;
        }
        let (request, encoding) = InferRequest::decode(&work.payload)?;
        check_deadline(request.deadline_ms, work.received)?;
        request.envelope()?;
        let outputs = rows::selection(&request.body, &self.version)?;
        let wanted = Wanted { id: request.id.clone(), encoding, form: request.reply_form(), outputs };
        let deadline_ms = request.deadline_ms;
        let first = self.rows();
        let count = rows::append(request, &self.version, limits.rows_max, &mut self.buffers.input)?;
        Ok((wanted, deadline_ms, self.place(first..first + count)))
    }

    /// Reads a plain request. None when there is something to say against it: reading it as any other says what.
    fn read_plain(
        &mut self,
        plain: PlainRequest<'_>,
        received: Instant,
        limits: BatchLimits,
    ) -> Option<Result<Read, Error>> {
        if let Err(error) = check_deadline(plain.deadline_ms, received) {
            return Some(Err(error));
        }
        let first = self.rows();
        let count = rows::append_plain(&plain, &self.version, limits.rows_max, &mut self.buffers.input)?;
        let (encoding, form) = (Encoding::MessagePack, ReplyForm::Tensors);
        let wanted = Wanted { id: plain.id, encoding, form, outputs: None };
        Some(Ok((wanted, plain.deadline_ms, self.place(first..first + count))))
    }

    /// Where the last rows stand in the batch, or the answer to them from before, for which they need not stand there.
    fn place(&mut self, rows: Range<usize>) -> Place {
        let start = rows.start * self.version.plan.features();
        let Some(cache) = self.cache() else { return (rows, None) };
        let input = self.buffers.input.get(start..).unwrap_or_default();
        match cache.get(&self.version.digest, input) {
            Some(known) => {
                self.cache.hits += 1;
                self.buffers.input.truncate(start);
                (rows.start..rows.start, Some(known))
            }
            None => {
                self.cache.misses += 1;
                (rows, None)
            }
        }
    }
}
