use proptest::prelude::*;

use super::*;

fn read(body: &str) -> Result<Predict, Refusal> {
    Predict::read(body.as_bytes())
}

fn only(body: &str) -> Dense {
    match read(body).unwrap().tensors {
        Tensors::Only(dense) => dense,
        Tensors::Named(named) => panic!("{named:?}"),
    }
}

fn numbers(shape: &[usize], values: &[f64]) -> Dense {
    Dense { shape: shape.to_vec(), values: Values::Numbers(values.to_vec()) }
}

#[test]
fn rows_are_values_or_objects() {
    assert_eq!(only(r#"{"instances": [[1, 2.5], [3, -4e0]]}"#), numbers(&[2, 2], &[1.0, 2.5, 3.0, -4.0]));
    assert_eq!(only(r#"{"instances": [1, 2]}"#), numbers(&[2], &[1.0, 2.0]));
    let request =
        read(r#"{"signature_name":"s","instances":[{"a":[1],"b":"x"},{"b":"y","a":[2]}]}"#).unwrap();
    assert_eq!((request.form, request.signature.as_deref()), (Form::Rows, Some("s")));
    let Tensors::Named(named) = request.tensors else { panic!("expected names") };
    assert_eq!(named["a"], numbers(&[2, 1], &[1.0, 2.0]));
    assert_eq!(named["b"].values, Values::Texts(vec!["x".to_owned(), "y".to_owned()]));
}

#[test]
fn columns_are_one_tensor_or_named_ones() {
    assert_eq!(only(r#"{"inputs": [[1, 2]]}"#), numbers(&[1, 2], &[1.0, 2.0]));
    let request = read(r#"{"inputs": {"a": [[1],[2]], "b": [true, false]}}"#).unwrap();
    assert_eq!(request.form, Form::Columns);
    let Tensors::Named(named) = request.tensors else { panic!("expected names") };
    assert_eq!(named["b"].values, Values::Bools(vec![true, false]));
}

#[test]
fn the_words_that_json_does_not_have_are_numbers() {
    let Values::Numbers(values) = only(r#"{"instances": [NaN, Infinity, -Infinity, -1]}"#).values else {
        panic!("expected numbers")
    };
    assert!(values[0].is_nan());
    assert_eq!(values[1..], [f64::INFINITY, f64::NEG_INFINITY, -1.0]);
}

#[test]
fn bytes_come_as_base64() {
    let expected = Values::Texts(vec!["hi".to_owned(), "ho".to_owned()]);
    assert_eq!(only(r#"{"instances": [{"b64": "aGk="}, {"b64": "aG8="}]}"#).values, expected);
    assert_eq!(only(r#"{"inputs": {"b64": "aGk="}}"#).values, Values::Texts(vec!["hi".to_owned()]));
    assert!(read(r#"{"instances": [{"b64": "aGk=", "a": 1}]}"#).is_err());
    assert!(read(r#"{"instances": [{"b64": "!"}]}"#).is_err());
}

#[test]
fn what_is_not_of_one_shape_is_refused() {
    for body in [
        r#"{"instances": [[1, 2], [3]]}"#,
        r#"{"instances": [[1], 2]}"#,
        r#"{"instances": [1, [2]]}"#,
        r#"{"instances": [[[]], [1]]}"#,
        r#"{"instances": [1, "a"]}"#,
        r#"{"instances": [1, true]}"#,
        r#"{"instances": [{"a": 1}, 2]}"#,
        r#"{"instances": [1, {"a": 2}]}"#,
        r#"{"instances": [{"a": 1}, {"b": 1}]}"#,
        r#"{"instances": [{"a": 1}, {"a": [1]}]}"#,
        r#"{"instances": []}"#,
        r#"{"instances": {}}"#,
        r#"{"instances": 1}"#,
        r#"{"instances": [null]}"#,
        r#"{"instances": [1], "inputs": [1]}"#,
        r#"{"signature_name": "a"}"#,
        r#"{"instances": [1]} x"#,
        r#"{"instances": [1"#,
        r#"{"instances": [1,]}"#,
        r#"{"instances": [01]}"#,
        r#"{"inputs": {"a": 1, "a": 1}}"#,
        "",
    ] {
        assert!(read(body).is_err(), "{body}");
    }
}

#[test]
fn what_it_does_not_know_is_passed_over() {
    assert!(read(r#"{"context": {"a": [1, {"b": null}], "c": "\"]"}, "instances": [1]}"#).is_ok());
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in r#"\{"(instances|inputs)":[\[\]\{\}0-9a-zN",:. ]{0,40}\}"#) {
        let _ = Predict::read(text.as_bytes());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Predict::read(&bytes);
    }

    #[test]
    fn numbers_survive(values in proptest::collection::vec(any::<f64>().prop_filter("finite", |v| v.is_finite()), 1..20)) {
        let body = serde_json::json!({ "instances": values }).to_string();
        prop_assert_eq!(only(&body), numbers(&[values.len()], &values));
    }
}
