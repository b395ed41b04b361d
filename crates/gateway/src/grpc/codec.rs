//! The messages of gRPC as Protocol Buffers, those from outside with a bound on their fields.
//!
//! An empty entry of a list takes two bytes of a message and several hundred in memory, so that a message within its limit of
//! size could still fill the memory.

use std::marker::PhantomData;

use bytes::Buf;
use leat_contract::limits::{PARAMETERS_MAX, TENSORS_MAX};
use prost::Message;
use prost::encoding::{DecodeContext, decode_key, skip_field};
use tonic::Status;
use tonic::codec::{BufferSettings, Codec, DecodeBuf, Decoder};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

/// More than any request that is taken: its inputs, their raw contents, its outputs and parameters.
const FIELDS_MAX: usize = 4 * TENSORS_MAX + 4 * PARAMETERS_MAX;

/// Writes any message, and reads those that do not have too many fields.
#[derive(Debug)]
pub(crate) struct Bounded<T, U>(PhantomData<(T, U)>);

impl<T, U> Default for Bounded<T, U> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, U> Codec for Bounded<T, U>
where
    T: Message + Send + 'static,
    U: Message + Default + Send + 'static,
{
    type Encode = T;
    type Decode = U;
    type Encoder = ProstEncoder<T>;
    type Decoder = BoundedDecoder<U>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<T, U>::default().encoder()
    }

    fn decoder(&mut self) -> Self::Decoder {
        BoundedDecoder(ProstCodec::<T, U>::default().decoder())
    }
}

/// Reads messages that do not have too many fields.
#[derive(Debug)]
pub(crate) struct BoundedDecoder<U>(ProstDecoder<U>);

impl<U: Message + Default> Decoder for BoundedDecoder<U> {
    type Item = U;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<U>, Status> {
        // A message lies in one piece; were it in several, the first one is as far as this sees.
        if fields(message.chunk()) > FIELDS_MAX {
            return Err(Status::invalid_argument(format!("a message has more than {FIELDS_MAX} fields")));
        }
        self.0.decode(message)
    }

    fn buffer_settings(&self) -> BufferSettings {
        self.0.buffer_settings()
    }
}

/// How many fields a message has, up to one more than it may have. What is broken is for the decoder to refuse.
fn fields(mut message: &[u8]) -> usize {
    let mut count = 0;
    while count <= FIELDS_MAX && message.has_remaining() {
        let skipped = decode_key(&mut message)
            .and_then(|(tag, wire_type)| skip_field(wire_type, tag, &mut message, DecodeContext::default()));
        if skipped.is_err() {
            break;
        }
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::inference::ModelInferRequest;
    use crate::wire::inference::model_infer_request::InferInputTensor;

    #[test]
    fn fields_are_counted_without_reading_them() {
        let request = |inputs| ModelInferRequest {
            model_name: "digits".to_owned(),
            inputs: vec![InferInputTensor::default(); inputs],
            raw_input_contents: vec![vec![0; 1000].into(); inputs],
            ..Default::default()
        };
        assert_eq!(fields(&request(TENSORS_MAX).encode_to_vec()), 1 + 2 * TENSORS_MAX);
        let many = request(100_000).encode_to_vec();
        assert_eq!(fields(&many), FIELDS_MAX + 1);
        // An unknown group in front, which begins and ends at once, hides nothing.
        assert_eq!(fields(&[&[0x7b, 0x7c][..], &many].concat()), FIELDS_MAX + 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_counted(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(fields(&bytes) <= bytes.len());
        }
    }
}
