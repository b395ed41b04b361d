//! The form that most requests over NATS have, read where it stands.

use rmp::decode::{read_array_len, read_bin_len, read_int, read_map_len, read_str_len};

use super::tensor::element_count;
use crate::{RequestId, limits};

/// A request in MessagePack with nothing but one FP32 tensor in `bin` and perhaps an id and a deadline. Such a one needs no intermediate: its
/// numbers stand in the payload as a batch takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct PlainRequest<'payload> {
    /// What the producer calls it.
    pub id: Option<RequestId>,
    /// How long the caller waits, in milliseconds from receipt.
    pub deadline_ms: Option<u64>,
    /// The name of its tensor.
    pub input: &'payload str,
    /// How many rows there are.
    pub rows: usize,
    /// Values in a row.
    pub width: usize,
    /// The values, `[rows, width]` row-major, little-endian.
    data: &'payload [[u8; size_of::<f32>()]],
}

impl<'payload> PlainRequest<'payload> {
    /// Reads a request of this form that [`super::InferRequest::decode`] would take too. None for every other one, whether it is good
    /// or not.
    pub fn read(payload: &'payload [u8]) -> Option<Self> {
        if payload.len() > limits::PAYLOAD_BYTES_MAX {
            return None;
        }
        let mut rest = payload;
        let (mut id, mut deadline_ms, mut tensor) = (None, None, None);
        for _ in 0..read_map_len(&mut rest).ok()? {
            match text(&mut rest)? {
                b"id" if id.is_none() => id = Some(str::from_utf8(text(&mut rest)?).ok()?.parse().ok()?),
                b"deadline_ms" if deadline_ms.is_none() => {
                    let deadline = read_int(&mut rest).ok()?;
                    deadline_ms = (1..=limits::DEADLINE_MS_MAX).contains(&deadline).then_some(deadline);
                    deadline_ms?;
                }
                b"inputs" if tensor.is_none() && read_array_len(&mut rest).ok()? == 1 => {
                    tensor = Some(PlainTensor::read(&mut rest)?);
                }
                _ => return None,
            }
        }
        let PlainTensor { name, rows, width, data } = tensor.filter(|_| rest.is_empty())?;
        Some(Self { id, deadline_ms, input: name, rows, width, data })
    }

    /// The values, `[rows, width]` row-major; NaN where one is missing.
    pub fn values(&self) -> impl ExactSizeIterator<Item = f32> {
        self.data.iter().map(|value| f32::from_le_bytes(*value))
    }
}

struct PlainTensor<'payload> {
    name: &'payload str,
    rows: usize,
    width: usize,
    data: &'payload [[u8; size_of::<f32>()]],
}

impl<'payload> PlainTensor<'payload> {
    fn read(rest: &mut &'payload [u8]) -> Option<Self> {
        let (mut name, mut has_type, mut shape, mut data) = (None, false, None, None);
        for _ in 0..read_map_len(rest).ok()? {
            match text(rest)? {
                b"name" if name.is_none() => name = Some(str::from_utf8(text(rest)?).ok()?),
                b"datatype" if !has_type && text(rest)? == b"FP32" => has_type = true,
                b"shape" if shape.is_none() => shape = Some(read_shape(rest)?),
                b"data" if data.is_none() => data = Some(bin(rest)?),
                _ => return None,
            }
        }
        let ((rows, width), data) = (shape?, data?);
        let (values, odd) = data.as_chunks();
        let is_whole = has_type && odd.is_empty() && values.len() == rows * width;
        is_whole.then_some(Self { name: name?, rows, width, data: values })
    }
}

/// The rows of a shape and the values in each.
fn read_shape(rest: &mut &[u8]) -> Option<(usize, usize)> {
    let mut shape = [0; limits::DIMENSIONS_MAX];
    let dimensions = usize::try_from(read_array_len(rest).ok()?).ok()?;
    let shape = shape.get_mut(..dimensions)?;
    for length in &mut *shape {
        *length = read_int(rest).ok()?;
    }
    let count = element_count("", shape).ok()?;
    let rows = *shape.first()?;
    Some((rows, count / rows))
}

/// A text in the encoding it should have; what is compared with a known text need not be checked for that.
fn text<'payload>(rest: &mut &'payload [u8]) -> Option<&'payload [u8]> {
    let length = read_str_len(rest).ok()?;
    take(rest, length)
}

fn bin<'payload>(rest: &mut &'payload [u8]) -> Option<&'payload [u8]> {
    let length = read_bin_len(rest).ok()?;
    take(rest, length)
}

fn take<'payload>(rest: &mut &'payload [u8], length: u32) -> Option<&'payload [u8]> {
    let (bytes, behind) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = behind;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::{Encoding, InferRequest, RequestBody, Tensor, TensorData, codec};

    /// What the general decoder must find in a request that was read as a plain one.
    fn check(payload: &[u8]) -> Result<(), TestCaseError> {
        let Some(plain) = PlainRequest::read(payload) else { return Ok(()) };
        let (request, encoding) = InferRequest::decode(payload).unwrap();
        prop_assert_eq!(encoding, Encoding::MessagePack);
        prop_assert_eq!((&request.id, request.deadline_ms), (&plain.id, plain.deadline_ms));
        prop_assert!(request.parameters.is_empty());
        let RequestBody::Tensors { inputs, outputs: None } = request.body else { panic!("no tensors alone") };
        let [Tensor { name, shape, data: TensorData::Fp32(values), parameters }] = inputs.as_slice() else {
            panic!("no single FP32 tensor")
        };
        prop_assert!(parameters.is_empty());
        prop_assert_eq!((name.as_str(), shape[0]), (plain.input, plain.rows));
        prop_assert_eq!(shape.iter().skip(1).product::<usize>(), plain.width);
        let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect::<Vec<_>>();
        prop_assert_eq!(bits(values.clone()), bits(plain.values().collect()));
        Ok(())
    }

    fn plain() -> impl Strategy<Value = InferRequest> {
        let id = prop::option::of("[!-~]{1,40}".prop_map(|id| id.parse().unwrap()));
        let deadline_ms = prop::option::of(1..=limits::DEADLINE_MS_MAX);
        let shape =
            vec(1..20_usize, 1..5).prop_filter("few values", |shape| shape.iter().product::<usize>() < 1000);
        let tensor = ("\\PC{0,40}", shape).prop_flat_map(|(name, shape)| {
            let count = shape.iter().product::<usize>();
            (Just(name), Just(shape), vec(any::<f32>(), count))
        });
        (id, deadline_ms, tensor).prop_map(|(id, deadline_ms, (name, shape, values))| {
            let tensor = Tensor::new(name, shape, TensorData::Fp32(values)).unwrap();
            InferRequest { id, deadline_ms, ..InferRequest::tensors(vec![tensor]) }
        })
    }

    proptest! {
        #[test]
        fn a_plain_request_is_read_as_the_general_decoder_reads_it(request in plain()) {
            let payload = request.encode(Encoding::MessagePack).unwrap();
            prop_assert!(PlainRequest::read(&payload).is_some());
            check(&payload)?;
        }

        #[test]
        fn a_damaged_one_is_never_read_as_what_it_is_not(
            request in plain(),
            damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut payload = request.encode(Encoding::MessagePack).unwrap();
            for (place, byte) in damage {
                let place = place.index(payload.len().min(120));
                payload[place] = byte;
            }
            check(&payload)?;
            check(&payload[..cut.index(payload.len())])?;
        }
    }

    #[test]
    fn what_is_more_or_other_than_plain_is_left_to_the_general_decoder() {
        let values = |count: usize| TensorData::Fp32(vec![0.5; count]);
        let tensor = |name: &str| Tensor::new(name, vec![1, 2], values(2)).unwrap();
        let good = InferRequest::tensors(vec![tensor("input")]);
        let with_parameters = InferRequest {
            parameters: [("priority".to_owned(), crate::Scalar::Integer(1))].into(),
            ..good.clone()
        };
        let doubles = Tensor::new("input", vec![1, 2], TensorData::Fp64(vec![0.5; 2])).unwrap();
        let two = InferRequest::tensors(vec![tensor("input"), tensor("other")]);
        for other in [with_parameters, InferRequest::tensors(vec![doubles]), two] {
            assert_eq!(PlainRequest::read(&other.encode(Encoding::MessagePack).unwrap()), None);
        }
        assert_eq!(PlainRequest::read(&good.encode(Encoding::Json).unwrap()), None);
        let mut trailing = good.encode(Encoding::MessagePack).unwrap();
        trailing.push(0xc0);
        assert_eq!(PlainRequest::read(&trailing), None);
        let late = codec::encode(Encoding::MessagePack, &serde_json::json!({"deadline_ms": 0})).unwrap();
        assert_eq!(PlainRequest::read(&late), None);
        assert_eq!(PlainRequest::read(&[]), None);
    }
}
