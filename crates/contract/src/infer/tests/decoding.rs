use super::*;
use crate::{RequestId, Scalar, limits};

#[test]
fn flat_and_nested_arrays_mean_the_same() {
    let expected = [tensor(&[2, 3], TensorData::Fp32(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.5]))];
    for data in ["[1,2,3,4,5,6.5]", "[[1,2,3],[4,5,6.5]]"] {
        for request in [json("FP32", "[2,3]", data), json_data_first("FP32", "[2,3]", data)] {
            assert_eq!(inputs(&request), expected);
            assert_eq!(inputs(messagepack(&request)), expected);
        }
    }
}

#[test]
fn nested_arrays_are_read_row_major() {
    let nested = "[[[1,2],[3,4]],[[5,6],[7,8]],[[9,10],[11,12]]]";
    let expected = TensorData::Int32((1..=12).collect());
    assert_eq!(inputs(json("INT32", "[3,2,2]", nested)), [tensor(&[3, 2, 2], expected)]);
}

#[test]
fn bin_is_little_endian() {
    let read = |datatype, bytes: &[u8]| inputs(binary(datatype, &[1, 2], bytes)).remove(0).data;
    let le = |chunks: [&[u8]; 2]| chunks.concat();
    let fp32 = le([&1.5_f32.to_le_bytes(), &(-2.0_f32).to_le_bytes()]);
    assert_eq!(read("FP32", &fp32), TensorData::Fp32(vec![1.5, -2.0]));
    let fp64 = le([&1.5_f64.to_le_bytes(), &1e300_f64.to_le_bytes()]);
    assert_eq!(read("FP64", &fp64), TensorData::Fp64(vec![1.5, 1e300]));
    assert_eq!(
        read("INT64", &le([&(-1_i64).to_le_bytes(), &7_i64.to_le_bytes()])),
        TensorData::Int64(vec![-1, 7])
    );
    assert_eq!(
        read("INT32", &le([&(-1_i32).to_le_bytes(), &7_i32.to_le_bytes()])),
        TensorData::Int32(vec![-1, 7])
    );
    assert_eq!(read("INT16", &[0xff, 0xff, 7, 0]), TensorData::Int16(vec![-1, 7]));
    assert_eq!(read("INT8", &[0xff, 7]), TensorData::Int8(vec![-1, 7]));
    assert_eq!(
        read("UINT64", &le([&u64::MAX.to_le_bytes(), &7_u64.to_le_bytes()])),
        TensorData::Uint64(vec![u64::MAX, 7])
    );
    assert_eq!(
        read("UINT32", &le([&u32::MAX.to_le_bytes(), &7_u32.to_le_bytes()])),
        TensorData::Uint32(vec![u32::MAX, 7])
    );
    assert_eq!(read("UINT16", &[0xff, 0xff, 7, 0]), TensorData::Uint16(vec![u16::MAX, 7]));
    assert_eq!(read("UINT8", &[0xff, 7]), TensorData::Uint8(vec![255, 7]));
    assert_eq!(read("BOOL", &[1, 0]), TensorData::Bool(vec![true, false]));
}

#[test]
fn every_datatype_reads_from_arrays_in_either_field_order() {
    let cases = [
        ("BOOL", "[true,false]", TensorData::Bool(vec![true, false])),
        ("UINT8", "[0,255]", TensorData::Uint8(vec![0, 255])),
        ("UINT16", "[0,65535]", TensorData::Uint16(vec![0, 65_535])),
        ("UINT32", "[0,4294967295]", TensorData::Uint32(vec![0, u32::MAX])),
        ("UINT64", "[0,18446744073709551615]", TensorData::Uint64(vec![0, u64::MAX])),
        ("INT8", "[-128,127]", TensorData::Int8(vec![-128, 127])),
        ("INT16", "[-32768,32767]", TensorData::Int16(vec![-32_768, 32_767])),
        ("INT32", "[-2147483648,7]", TensorData::Int32(vec![i32::MIN, 7])),
        ("INT64", "[-9223372036854775808,7]", TensorData::Int64(vec![i64::MIN, 7])),
        ("FP32", "[0.1,-7]", TensorData::Fp32(vec![0.1, -7.0])),
        ("FP64", "[0.1,-7]", TensorData::Fp64(vec![0.1, -7.0])),
        ("BYTES", "[\"a\",\"\\u00e9\"]", TensorData::Bytes(vec!["a".to_owned(), "é".to_owned()])),
    ];
    for (datatype, data, expected) in cases {
        for request in [json(datatype, "[2]", data), json_data_first(datatype, "[2]", data)] {
            assert_eq!(inputs(&request), [tensor(&[2], expected.clone())]);
            assert_eq!(inputs(messagepack(&request)), [tensor(&[2], expected.clone())]);
        }
    }
}

#[test]
fn bin_before_its_datatype_is_read_too() {
    #[derive(serde::Serialize)]
    struct DataFirst {
        #[serde(with = "serde_bytes")]
        data: Vec<u8>,
        datatype: &'static str,
        shape: [u64; 2],
        name: &'static str,
    }
    let first = |datatype| {
        let tensor =
            DataFirst { data: 1.5_f32.to_le_bytes().to_vec(), datatype, shape: [1, 1], name: "input" };
        codec::encode(Encoding::MessagePack, &BTreeMap::from([("inputs", [tensor])])).unwrap()
    };
    assert_eq!(inputs(first("FP32")), [tensor(&[1, 1], TensorData::Fp32(vec![1.5]))]);
    assert!(decode(first("FP64")).unwrap_err().to_string().contains("4 bytes are no whole number of FP64"));
    assert!(decode(first("BYTES")).unwrap_err().to_string().contains("BYTES has no binary form"));
}

#[test]
fn null_is_a_missing_float_and_nothing_else() {
    let TensorData::Fp32(values) = inputs(json("FP32", "[1,2]", "[null,1]")).remove(0).data else { panic!() };
    assert!(values[0].is_nan());
    assert!(
        decode(json("INT32", "[1,2]", "[null,1]"))
            .unwrap_err()
            .to_string()
            .contains("expected INT32, found null")
    );
}

fn refusal(payload: impl AsRef<[u8]>) -> (ErrorCode, String) {
    let error = decode(payload).unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn values_that_would_change_are_refused_by_value() {
    let cases = [
        ("UINT8", "[256]", "expected UINT8, found the number 256"),
        ("UINT8", "[-1]", "expected UINT8, found the number -1"),
        ("INT32", "[1.5]", "expected INT32, found the number 1.5"),
        ("FP32", "[1e300]", "expected FP32, found the number 1e300"),
        ("FP32", "[\"1\"]", "expected FP32, found the string \"1\""),
        ("FP32", "[true]", "expected FP32, found the boolean true"),
        ("BOOL", "[1]", "expected BOOL, found the number 1"),
        ("BYTES", "[1]", "expected BYTES, found the number 1"),
    ];
    for (datatype, data, reason) in cases {
        for request in [json(datatype, "[1]", data), json_data_first(datatype, "[1]", data)] {
            let (code, text) = refusal(&request);
            assert_eq!(code, ErrorCode::InvalidArgument);
            assert!(text.contains(reason), "{text}");
        }
    }
}

#[test]
fn ragged_arrays_are_refused() {
    for data in [
        "[[1,2],[3]]",
        "[[1],2]",
        "[1,[2]]",
        "[[1,2],[[3],[4]]]",
        "[[[1],[2]],[3,4]]",
        "[[],[]]",
        "[[1],[]]",
        "[]",
    ] {
        let request = json("FP32", "[2,2]", data);
        for payload in [request.clone().into_bytes(), messagepack(&request)] {
            let (code, text) = refusal(payload);
            assert_eq!(code, ErrorCode::InvalidArgument, "{data}");
            assert!(text.contains("ragged") || text.contains("empty"), "{data}: {text}");
        }
    }
}

#[test]
fn a_declared_shape_is_compared_with_what_is_there() {
    let cases = [
        ("[2,2]", "[1,2,3]", "needs 4 values, data has 3"),
        ("[3]", "[[1,2,3]]", "[3] is declared, the nested arrays have [1, 3]"),
        ("[3,2]", "[[1,2,3],[4,5,6]]", "[3, 2] is declared, the nested arrays have [2, 3]"),
        ("[]", "[1]", "shape [] has no dimensions"),
        ("[0]", "[1]", "has no elements"),
        ("[2,0]", "[1]", "has no elements"),
    ];
    for (shape, data, reason) in cases {
        let (code, text) = refusal(json("FP32", shape, data));
        assert_eq!(code, ErrorCode::InvalidArgument);
        assert!(text.contains(reason), "{shape} {data}: {text}");
    }
    assert!(refusal(json("FP32", "[-1,2]", "[1,2]")).1.contains("invalid value"));
    let (_, text) = refusal(binary("FP32", &[1, 2], &[0; 7]));
    assert!(text.contains("7 bytes are no whole number of FP32 elements of 4 bytes"), "{text}");
    let (_, text) = refusal(binary("FP32", &[1, 3], &[0; 8]));
    assert!(text.contains("shape [1, 3] needs 3 values, data has 2"), "{text}");
    let (_, text) = refusal(binary("BOOL", &[1], &[2]));
    assert!(text.contains("expected BOOL, found the byte"), "{text}");
}

#[test]
fn an_absurd_shape_is_too_large_and_names_the_limit() {
    let cases = [
        ("[65537,1]", "number of rows is too large: found 65537, the limit is 65536"),
        ("[65536,65536]", "number of values is too large: found 4294967296, the limit is 16777216"),
        ("[1,18446744073709551615]", "the limit is 16777216"),
        ("[2,9223372036854775808,2]", "the limit is 16777216"),
        ("[1,1,1,1,1,1,1,1,1]", "number of dimensions is too large: found 9, the limit is 8"),
    ];
    for (shape, reason) in cases {
        for request in [json("FP32", shape, "[1]"), json_data_first("FP32", shape, "[1]")] {
            let (code, text) = refusal(&request);
            assert_eq!(code, ErrorCode::TooLarge, "{shape}");
            assert!(text.contains(reason), "{text}");
        }
    }
}

#[test]
fn arrays_nested_deeper_than_a_tensor_are_too_large() {
    let (code, text) = refusal(json("FP32", "[1]", &format!("{}1{}", "[".repeat(9), "]".repeat(9))));
    assert_eq!(code, ErrorCode::TooLarge);
    assert!(text.contains("number of dimensions"), "{text}");
}

#[test]
fn too_many_values_are_refused_while_they_are_read() {
    let texts = vec!["\"\""; limits::TEXTS_MAX + 1].join(",");
    let (code, text) = refusal(json("BYTES", "[1]", &format!("[{texts}]")));
    assert_eq!(code, ErrorCode::TooLarge);
    assert!(text.contains("the limit is 1048576"), "{text}");
    let zeros = vec!["0"; limits::VALUES_MAX + 1].join(",");
    let (code, text) = refusal(json("UINT8", "[1]", &format!("[{zeros}]")));
    assert_eq!(code, ErrorCode::TooLarge);
    assert!(text.contains("the limit is 16777216"), "{text}");
    let (code, _) = refusal(format!("{{\"instances\":[{}]}}", vec!["[0]"; limits::ROWS_MAX + 1].join(",")));
    assert_eq!(code, ErrorCode::TooLarge);
}

#[test]
fn the_budget_is_shared_by_all_tensors_of_a_request() {
    let half = vec![0_u8; limits::VALUES_MAX / 2 + 1];
    let tensors: Vec<_> = ["a", "b"]
        .into_iter()
        .map(|name| {
            let data = TensorData::Uint8(half.clone());
            Tensor { name: name.to_owned(), shape: vec![1, half.len()], data, parameters: Parameters::new() }
        })
        .collect();
    let payload = InferRequest::tensors(tensors).encode(Encoding::MessagePack).unwrap();
    let (code, text) = refusal(payload);
    assert_eq!(code, ErrorCode::TooLarge);
    assert!(text.contains("number of values"), "{text}");
}

#[test]
fn a_request_is_one_of_its_two_forms() {
    let tensors = r#""inputs":[{"name":"input","datatype":"FP32","shape":[1],"data":[1]}]"#;
    let cases = [
        ("{}".to_owned(), "neither `inputs` nor `instances`"),
        (format!("{{{tensors},\"instances\":[[1]]}}"), "both `inputs` and `instances`"),
        ("{\"instances\":[[1]],\"outputs\":[]}".to_owned(), "only with `inputs`"),
        ("{\"inputs\":[]}".to_owned(), "the list is empty"),
        ("{\"instances\":[]}".to_owned(), "there are no rows"),
        (format!("{{{tensors},\"deadline\":5}}"), "unknown field `deadline`"),
        (format!("{{{tensors},\"deadline_ms\":0}}"), "0 is not from 1 to 3600000"),
        (format!("{{{tensors},\"deadline_ms\":3600001}}"), "is not from 1 to 3600000"),
        (format!("{{{tensors},\"id\":\"a b\"}}"), "1 to 128 visible ASCII characters"),
        (format!("{{{tensors},\"id\":\"a\",\"id\":\"b\"}}"), "duplicate field `id`"),
        ("[1]".to_owned(), "invalid type: sequence"),
    ];
    for (request, reason) in cases {
        let (code, text) = refusal(&request);
        assert_eq!(code, ErrorCode::InvalidArgument);
        assert!(text.contains(reason), "{request}: {text}");
    }
}

#[test]
fn a_tensor_says_which_field_is_absent_or_wrong() {
    let request = |tensor: &str| format!("{{\"inputs\":[{tensor}]}}");
    let cases = [
        (r#"{"datatype":"FP32","shape":[1],"data":[1]}"#, "missing field `name`"),
        (r#"{"name":"x","shape":[1],"data":[1]}"#, "missing field `datatype`"),
        (r#"{"name":"x","datatype":"FP32","data":[1]}"#, "missing field `shape`"),
        (r#"{"name":"x","datatype":"FP32","shape":[1]}"#, "missing field `data`"),
        (
            r#"{"name":"x","datatype":"FP16","shape":[1],"data":[1]}"#,
            "invalid datatype \"FP16\": one of BOOL",
        ),
        (r#"{"name":"x","datatype":"FP32","shape":[1],"data":1}"#, "expected an array of values"),
        (r#"{"name":"x","datatype":"FP32","shape":[1],"data":"AAAA"}"#, "expected an array of values"),
        (r#"{"name":"x","datatype":"FP32","shape":[1],"data":[{}]}"#, "expected FP32 or an array"),
        (r#"{"name":"x","datatype":"FP32","shape":[1],"dat":[1]}"#, "unknown field `dat`"),
    ];
    for (tensor, reason) in cases {
        let (_, text) = refusal(request(tensor));
        assert!(text.contains(reason), "{tensor}: {text}");
    }
    let twice = r#"{"name":"x","datatype":"FP32","shape":[1],"data":[1]}"#;
    assert!(refusal(request(&format!("{twice},{twice}"))).1.contains("the name stands twice"));
}

#[test]
fn envelope_fields_are_read_in_any_order() {
    let request =
        r#"{"instances":[[1,2]],"deadline_ms":250,"parameters":{"priority":1,"user":"a"},"id":"r-1"}"#;
    let request = decode(request).unwrap();
    assert_eq!(request.id, Some(RequestId::new("r-1").unwrap()));
    assert_eq!(request.deadline_ms, Some(250));
    assert_eq!(request.parameters["user"], Scalar::Text("a".to_owned()));
    assert_eq!(request.rows(), 1);
    let bare = decode(r#"{"instances":[[1,2]],"deadline_ms":null,"parameters":null,"id":null}"#).unwrap();
    assert_eq!((bare.id, bare.deadline_ms), (None, None));
}

#[test]
fn instances_are_rows_of_equal_shape() {
    let rows = |json: &str| match decode(json).unwrap().body {
        RequestBody::Instances(instances) => instances,
        RequestBody::Tensors { .. } => panic!("expected instances"),
    };
    let expected = Instances::Rows { shape: vec![2, 2], values: vec![1.0, 2.0, 3.0, 4.0] };
    assert_eq!(rows(r#"{"instances":[[1,2],[3,4]]}"#), expected);
    let expected = Instances::Rows { shape: vec![1, 2, 1], values: vec![1.0, 2.0] };
    assert_eq!(rows(r#"{"instances":[[[1],[2]]]}"#), expected);
    for bad in [
        "[1,2]",
        "[[1],[2,3]]",
        "[[1],2]",
        "[[1],[[2]]]",
        "[[1],{\"a\":1}]",
        "[{\"a\":1},[1]]",
        "[null]",
        "[\"a\"]",
        "[[]]",
        "1",
    ] {
        let (code, _) = refusal(format!("{{\"instances\":{bad}}}"));
        assert_eq!(code, ErrorCode::InvalidArgument, "{bad}");
    }
    assert!(refusal(r#"{"instances":[1,2]}"#).1.contains("expected rows such as [[1, 2], [3, 4]]"));
}

#[test]
fn objects_name_the_same_columns_in_any_order() {
    let request = r#"{"instances":[{"age":41,"plan":"pro"},{"plan":null,"age":7.5}]}"#;
    for payload in [request.as_bytes().to_vec(), messagepack(request)] {
        let RequestBody::Instances(Instances::Table { columns, cells }) = decode(payload).unwrap().body
        else {
            panic!()
        };
        assert_eq!(columns, ["age", "plan"]);
        let text = Scalar::Text("pro".to_owned());
        assert_eq!(cells, [Some(Scalar::Integer(41)), Some(text), Some(Scalar::Number(7.5)), None]);
    }
    let cases = [
        (r#"[{"a":1},{"b":1}]"#, "column \"b\" is not in the first row"),
        (r#"[{"a":1,"b":2},{"a":1}]"#, "column \"b\" is absent in a row"),
        (r#"[{"a":1,"a":2}]"#, "column \"a\" stands twice"),
        (r#"[{"a":1},{"a":1,"a":2}]"#, "column \"a\" stands twice"),
        (r#"[{}]"#, "a row has no columns"),
        (r#"[{"a":[1]}]"#, "expected a string, a finite number or a boolean"),
    ];
    for (instances, reason) in cases {
        let (_, text) = refusal(format!("{{\"instances\":{instances}}}"));
        assert!(text.contains(reason), "{instances}: {text}");
    }
}

#[test]
fn lists_that_are_too_long_are_too_large() {
    let tensors: Vec<_> =
        (0..65).map(|n| format!(r#"{{"name":"{n}","datatype":"FP32","shape":[1],"data":[1]}}"#)).collect();
    let outputs: Vec<_> = (0..65).map(|n| format!(r#"{{"name":"{n}"}}"#)).collect();
    let parameters: Vec<_> = (0..65).map(|n| format!("\"{n}\":1")).collect();
    let columns: Vec<_> = (0..4097).map(|n| format!("\"{n}\":1")).collect();
    for (request, limit) in [
        (format!("{{\"inputs\":[{}]}}", tensors.join(",")), "64"),
        (format!("{{\"outputs\":[{}]}}", outputs.join(",")), "64"),
        (format!("{{\"parameters\":{{{}}}}}", parameters.join(",")), "64"),
        (format!("{{\"instances\":[{{{}}}]}}", columns.join(",")), "4096"),
    ] {
        let (code, text) = refusal(request);
        assert_eq!(code, ErrorCode::TooLarge);
        assert!(text.ends_with(&format!("the limit is {limit}")), "{text}");
    }
}

#[test]
fn claimed_lengths_reserve_nothing() {
    let head = b"\x81\xa6inputs\x91\x84\xa4name\xa1x\xa8datatype\xa4FP32\xa5shape\x91\x01\xa4data";
    for claim in [b"\xdd\xff\xff\xff\xff".as_slice(), b"\xc6\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff"] {
        assert!(decode([head.as_slice(), claim].concat()).is_err());
    }
    assert!(decode(b"\x81\xa9instances\xdd\xff\xff\xff\xff").is_err());
    assert!(decode(b"\xdf\xff\xff\xff\xff").is_err());
}

#[test]
fn a_payload_over_the_limit_is_refused_before_it_is_read() {
    let (code, text) = refusal(vec![b' '; limits::PAYLOAD_BYTES_MAX + 1]);
    assert_eq!(code, ErrorCode::TooLarge);
    assert!(text.contains("the limit is 67108864"), "{text}");
}

#[test]
fn parameters_of_an_output_are_bounded_and_none_is_there_twice() {
    let tensors = r#""inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[1]}]"#;
    let error = |rest: String| {
        let error = InferRequest::decode(format!("{{{tensors},{rest}}}").as_bytes()).unwrap_err();
        (error.code(), error.to_string())
    };
    let many: Vec<_> = (0..=limits::PARAMETERS_MAX).map(|n| format!("\"{n}\":1")).collect();
    let output = format!("\"outputs\":[{{\"name\":\"y\",\"parameters\":{{{}}}}}]", many.join(","));
    assert_eq!(error(output).0, crate::ErrorCode::TooLarge);
    let twice = "\"parameters\":{\"a\":1,\"a\":2}";
    let expected = (crate::ErrorCode::InvalidArgument, "invalid parameters: \"a\" is there twice".to_owned());
    assert_eq!(error(twice.to_owned()), expected);
    assert_eq!(error(format!("\"outputs\":[{{\"name\":\"y\",{twice}}}]")), expected);
    assert!(error("\"outputs\":[{\"parameters\":{}}]".to_owned()).1.contains("missing field `name`"));
}
