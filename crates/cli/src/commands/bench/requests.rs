//! The requests that are sent: the rows of the user, or random ones that fit the model.

use bytes::Bytes;
use leat_contract::{
    Datatype, Encoding, InferRequest, ModelMetadata, Tensor, TensorData, TensorMetadata, encode,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::{Value, json};

use crate::Error;

/// Enough that a response cache of a worker does not answer all of them from memory at once, and few enough to stay in the processor's.
const DISTINCT: usize = 256;
/// Numbers in all random requests together, unless a single one has more.
const VALUES_MAX: usize = 4_000_000;

/// How requests shall be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    /// Rows in each.
    pub(super) rows: usize,
    pub(super) encoding: Encoding,
    pub(super) seed: u64,
}

impl Wanted {
    /// The rows in their order, over and over until each has been in a request and every request is full.
    ///
    /// # Errors
    /// When they do not fit the model.
    pub(super) fn of_rows(&self, rows: &[Value], metadata: &ModelMetadata) -> Result<Vec<Bytes>, Error> {
        let count = rows.len().div_ceil(self.rows);
        let mut endless = rows.iter().cycle();
        (0..count)
            .map(|_| {
                let rows: Vec<&Value> = endless.by_ref().take(self.rows).collect();
                let json = encode(Encoding::Json, &json!({ "instances": rows }))?;
                let (request, _) = InferRequest::decode(&json)?;
                Ok(tensors(request, metadata)?.encode(self.encoding)?.into())
            })
            .collect()
    }

    /// Requests with random values.
    ///
    /// # Errors
    /// When the model takes what cannot be made up.
    pub(super) fn random(&self, metadata: &ModelMetadata) -> Result<Vec<Bytes>, Error> {
        let values: usize =
            metadata.inputs.iter().map(|input| self.shape(input).iter().product::<usize>()).sum();
        let count = (VALUES_MAX / values.max(1)).clamp(1, DISTINCT);
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        (0..count)
            .map(|_| {
                let tensor = |input| self.random_tensor(input, &mut random);
                let inputs = metadata.inputs.iter().map(tensor).collect::<Result<_, Error>>()?;
                Ok(InferRequest::tensors(inputs).encode(self.encoding)?.into())
            })
            .collect()
    }

    /// The first dimension is the batch; any other that is free has length 1.
    fn shape(&self, input: &TensorMetadata) -> Vec<usize> {
        let lengths = input.shape.iter().enumerate();
        lengths
            .map(|(place, &length)| if place == 0 { self.rows } else { usize::try_from(length).unwrap_or(1) })
            .collect()
    }

    fn random_tensor(&self, input: &TensorMetadata, random: &mut ChaCha8Rng) -> Result<Tensor, Error> {
        let shape = self.shape(input);
        let count = shape.iter().product();
        let data = random_data(input, count, random)?;
        Ok(Tensor::new(&input.name, shape, data)?)
    }
}

/// Numbers between 0 and 1, whole ones 0 or 1, which every model takes.
fn random_data(input: &TensorMetadata, count: usize, random: &mut ChaCha8Rng) -> Result<TensorData, Error> {
    let mut fraction = || (random.next_u32() >> 8) as f32 / (1_u32 << 24) as f32;
    let mut floats = || (0..count).map(|_| fraction()).collect::<Vec<f32>>();
    let bits = |values: Vec<f32>| values.into_iter().map(|value| value >= 0.5);
    Ok(match input.datatype {
        Datatype::Fp32 => TensorData::Fp32(floats()),
        Datatype::Fp64 => TensorData::Fp64(floats().into_iter().map(f64::from).collect()),
        Datatype::Bool => TensorData::Bool(bits(floats()).collect()),
        Datatype::Uint8 => TensorData::Uint8(bits(floats()).map(u8::from).collect()),
        Datatype::Uint16 => TensorData::Uint16(bits(floats()).map(u16::from).collect()),
        Datatype::Uint32 => TensorData::Uint32(bits(floats()).map(u32::from).collect()),
        Datatype::Uint64 => TensorData::Uint64(bits(floats()).map(u64::from).collect()),
        Datatype::Int8 => TensorData::Int8(bits(floats()).map(i8::from).collect()),
        Datatype::Int16 => TensorData::Int16(bits(floats()).map(i16::from).collect()),
        Datatype::Int32 => TensorData::Int32(bits(floats()).map(i32::from).collect()),
        Datatype::Int64 => TensorData::Int64(bits(floats()).map(i64::from).collect()),
        Datatype::Bytes => {
            let text = format!(
                "input {:?} takes texts, which cannot be made up: give rows with --csv or --input",
                input.name
            );
            return Err(Error::Usage(text));
        }
    })
}

/// The same rows as one tensor, which is the fastest form, where the model has one input of numbers.
fn tensors(request: InferRequest, metadata: &ModelMetadata) -> Result<InferRequest, Error> {
    let [TensorMetadata { name, datatype: Datatype::Fp32, shape }] = metadata.inputs.as_slice() else {
        return Ok(request);
    };
    let [_, width] = shape.as_slice() else { return Ok(request) };
    let is_named = !metadata.features.is_empty();
    let features = if is_named {
        metadata.features.clone()
    } else {
        (0..usize::try_from(*width).unwrap_or(0)).map(|column| column.to_string()).collect()
    };
    let rows = request.into_rows(name, &features)?;
    let tensor = Tensor::new(name, vec![rows.rows, features.len()], TensorData::Fp32(rows.values))?;
    Ok(InferRequest::tensors(vec![tensor]))
}

#[cfg(test)]
mod tests {
    use leat_contract::RequestBody;

    use super::*;

    fn metadata(datatype: &str, shape: &[i64]) -> ModelMetadata {
        let input = json!({ "name": "x", "datatype": datatype, "shape": shape });
        serde_json::from_value(json!({
            "name": "tiny", "versions": ["1"], "platform": "leat_native", "inputs": [input], "outputs": [],
            "labels": [], "features": ["a", "b"], "example": null,
        }))
        .unwrap()
    }

    fn input(request: &[u8]) -> Tensor {
        match InferRequest::decode(request).unwrap().0.body {
            RequestBody::Tensors { inputs, .. } => inputs.into_iter().next().unwrap(),
            RequestBody::Instances(instances) => panic!("{instances:?}"),
        }
    }

    const WANTED: Wanted = Wanted { rows: 3, encoding: Encoding::MessagePack, seed: 1 };

    #[test]
    fn random_requests_fit_the_model_and_the_seed_decides() {
        for datatype in Datatype::ALL.into_iter().filter(|datatype| *datatype != Datatype::Bytes) {
            let requests = WANTED.random(&metadata(datatype.as_str(), &[-1, 2, -1])).unwrap();
            assert_eq!(requests.len(), DISTINCT);
            let tensor = input(&requests[0]);
            assert_eq!((tensor.datatype(), tensor.shape), (datatype, vec![3, 2, 1]));
        }
        let made = |seed| Wanted { seed, ..WANTED }.random(&metadata("FP32", &[-1, 2])).unwrap();
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        assert_ne!(made(1)[0], made(1)[1], "a cache must not know the second one");
        assert!(WANTED.random(&metadata("BYTES", &[-1, 2])).is_err());
    }

    #[test]
    fn given_rows_fill_every_request() {
        let rows = [json!([1, 2]), json!([3, 4]), json!([5, 6]), json!([7, null])];
        let requests = WANTED.of_rows(&rows, &metadata("FP32", &[-1, 2])).unwrap();
        assert_eq!(requests.len(), 2);
        assert_eq!(input(&requests[0]).data, TensorData::Fp32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
        let TensorData::Fp32(second) = input(&requests[1]).data else { panic!("numbers") };
        assert_eq!((second[0], second[1].is_nan(), second[2], second[4]), (7.0, true, 1.0, 3.0));
        let named = [json!({ "b": 2, "a": 1 })];
        let one = Wanted { rows: 1, ..WANTED }.of_rows(&named, &metadata("FP32", &[-1, 2])).unwrap();
        assert_eq!(input(&one[0]).data, TensorData::Fp32(vec![1.0, 2.0]));
        assert!(WANTED.of_rows(&[json!([1])], &metadata("FP32", &[-1, 2])).is_err());
    }
}
