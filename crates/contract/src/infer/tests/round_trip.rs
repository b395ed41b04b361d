use proptest::{collection::vec, prelude::*, sample::select};

use super::*;
use crate::{ModelName, ModelVersion, RequestId, Scalar};

fn data(count: usize) -> impl Strategy<Value = TensorData> {
    prop_oneof![
        vec(any::<bool>(), count).prop_map(TensorData::Bool),
        vec(any::<u8>(), count).prop_map(TensorData::Uint8),
        vec(any::<u16>(), count).prop_map(TensorData::Uint16),
        vec(any::<u32>(), count).prop_map(TensorData::Uint32),
        vec(any::<u64>(), count).prop_map(TensorData::Uint64),
        vec(any::<i8>(), count).prop_map(TensorData::Int8),
        vec(any::<i16>(), count).prop_map(TensorData::Int16),
        vec(any::<i32>(), count).prop_map(TensorData::Int32),
        vec(any::<i64>(), count).prop_map(TensorData::Int64),
        vec(finite_f32(), count).prop_map(TensorData::Fp32),
        vec(finite_f64(), count).prop_map(TensorData::Fp64),
        vec("\\PC{0,6}", count).prop_map(TensorData::Bytes),
    ]
}

fn finite_f32() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("NaN equals nothing and JSON has no infinity", |value| value.is_finite())
}

fn finite_f64() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("NaN equals nothing and JSON has no infinity", |value| value.is_finite())
}

fn tensors() -> impl Strategy<Value = Vec<Tensor>> {
    let tensor = vec(1..4_usize, 1..4).prop_flat_map(|shape| {
        let count = shape.iter().product::<usize>();
        (Just(shape), data(count), parameters())
    });
    vec(tensor, 1..4).prop_map(|tensors| {
        let named = tensors.into_iter().enumerate();
        named
            .map(|(n, (shape, data, parameters))| Tensor { name: format!("t{n}"), shape, data, parameters })
            .collect()
    })
}

fn scalar() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        any::<bool>().prop_map(Scalar::Bool),
        any::<i64>().prop_map(Scalar::Integer),
        // A whole number would come back as an integer.
        (-1000..1000_i32).prop_map(|n| Scalar::Number(f64::from(n) + 0.5)),
        "\\PC{0,8}".prop_map(Scalar::Text),
    ]
}

fn parameters() -> impl Strategy<Value = Parameters> {
    proptest::collection::btree_map("[a-z]{1,5}", scalar(), 0..3)
}

fn body() -> impl Strategy<Value = RequestBody> {
    let outputs = proptest::option::of(vec(("[a-z]{1,8}", parameters()), 0..3));
    let outputs = outputs.prop_map(|outputs| {
        outputs.map(|list| {
            list.into_iter().map(|(name, parameters)| RequestedOutput { name, parameters }).collect()
        })
    });
    let rows = vec(1..5_usize, 2..4).prop_flat_map(|shape| {
        let count = shape.iter().product::<usize>();
        (Just(shape), vec(finite_f32(), count))
    });
    let table = (1..4_usize, 1..4_usize).prop_flat_map(|(rows, columns)| {
        (Just(columns), vec(proptest::option::of(scalar()), rows * columns))
    });
    prop_oneof![
        (tensors(), outputs).prop_map(|(inputs, outputs)| RequestBody::Tensors { inputs, outputs }),
        rows.prop_map(|(shape, values)| RequestBody::Instances(Instances::Rows { shape, values })),
        table.prop_map(|(columns, cells)| {
            let columns = (0..columns).map(|n| format!("column {n}")).collect();
            RequestBody::Instances(Instances::Table { columns, cells })
        }),
    ]
}

fn request() -> impl Strategy<Value = InferRequest> {
    let id = proptest::option::of("[!-~]{1,20}".prop_map(|id| RequestId::new(id).unwrap()));
    (id, proptest::option::of(1..3_600_000_u64), parameters(), body())
        .prop_map(|(id, deadline_ms, parameters, body)| InferRequest { id, deadline_ms, parameters, body })
}

fn encoding() -> impl Strategy<Value = Encoding> {
    select(vec![Encoding::Json, Encoding::MessagePack])
}

proptest! {
    #[test]
    fn requests_survive_both_encodings(request in request(), encoding in encoding()) {
        let bytes = request.encode(encoding).unwrap();
        prop_assert_eq!(InferRequest::decode(&bytes), Ok((request, encoding)));
    }

    #[test]
    fn replies_survive_both_encodings(outputs in tensors(), parameters in parameters(), encoding in encoding()) {
        let reply = InferResponse {
            id: None,
            model_name: ModelName::new("m").unwrap(),
            model_version: ModelVersion::FIRST,
            parameters,
            outputs,
        };
        let bytes = reply.encode(encoding, ReplyForm::Tensors).unwrap();
        prop_assert_eq!(InferResponse::decode(&bytes), Ok((reply, encoding)));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = InferRequest::decode(&bytes);
        let _ = InferResponse::decode(&bytes);
        let _ = PredictionsResponse::decode(&bytes);
    }

    #[test]
    fn damaged_requests_never_panic(request in request(), encoding in encoding(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = request.encode(encoding).unwrap();
        let place = place.index(bytes.len());
        bytes[place] = byte;
        if let Ok((decoded, _)) = InferRequest::decode(&bytes) {
            let _ = decoded.into_rows("t0", &["a".to_owned()]);
        }
        bytes.truncate(place);
        let is_shorter_request = InferRequest::decode(&bytes).is_ok();
        prop_assert!(!is_shorter_request);
    }

    #[test]
    fn single_precision_survives_json_bit_by_bit(values in vec(finite_f32(), 1..50)) {
        let bits: Vec<_> = values.iter().map(|value| value.to_bits()).collect();
        let tensor = Tensor::new("x", vec![values.len()], TensorData::Fp32(values)).unwrap();
        let bytes = InferRequest::tensors(vec![tensor]).encode(Encoding::Json).unwrap();
        let RequestBody::Tensors { inputs, .. } = InferRequest::decode(&bytes).unwrap().0.body else { panic!() };
        let TensorData::Fp32(read) = &inputs[0].data else { panic!() };
        prop_assert_eq!(read.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), bits);
    }
}
