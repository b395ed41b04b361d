use super::*;

fn features() -> [String; 2] {
    ["age".to_owned(), "income".to_owned()]
}

fn rows(payload: &str) -> Result<FeatureRows, Error> {
    decode(payload)?.into_rows("input", &features())
}

fn refusal(payload: &str) -> String {
    rows(payload).unwrap_err().to_string()
}

#[test]
fn every_form_of_a_request_gives_the_same_rows() {
    let expected = FeatureRows { rows: 2, values: vec![41.0, 1.5, 7.0, 2.0] };
    let requests = [
        json("FP32", "[2,2]", "[41,1.5,7,2]"),
        json("FP64", "[2,2]", "[[41,1.5],[7,2]]"),
        r#"{"instances":[[41,1.5],[7,2]]}"#.to_owned(),
        r#"{"instances":[{"age":41,"income":1.5},{"income":2,"age":7}]}"#.to_owned(),
        r#"{"instances":[{"income":1.5,"age":41},{"income":2,"age":7}]}"#.to_owned(),
    ];
    for request in requests {
        assert_eq!(rows(&request).unwrap(), expected, "{request}");
    }
}

#[test]
fn integers_and_booleans_become_numbers() {
    assert_eq!(rows(&json("INT8", "[1,2]", "[-1,2]")).unwrap().values, [-1.0, 2.0]);
    assert_eq!(rows(&json("BOOL", "[1,2]", "[true,false]")).unwrap().values, [1.0, 0.0]);
    assert_eq!(rows(r#"{"instances":[{"age":true,"income":1}]}"#).unwrap().values, [1.0, 1.0]);
}

#[test]
fn null_becomes_nan_in_every_form() {
    for request in [
        json("FP32", "[1,2]", "[null,2]"),
        r#"{"instances":[[null,2]]}"#.to_owned(),
        r#"{"instances":[{"age":null,"income":2}]}"#.to_owned(),
    ] {
        let values = rows(&request).unwrap().values;
        assert!(values[0].is_nan() && values[1] == 2.0, "{request}");
    }
}

#[test]
fn what_does_not_fit_the_model_is_refused_by_name() {
    assert!(refusal(&json("FP32", "[1,3]", "[1,2,3]")).contains("shape [1, 3] does not fit [-1, 2]"));
    assert!(refusal(&json("FP32", "[2]", "[1,2]")).contains("does not fit [-1, 2]"));
    assert!(refusal(&json("BYTES", "[1,2]", "[\"a\",\"b\"]")).contains("expected numbers, found BYTES"));
    assert!(refusal(r#"{"instances":[[1]]}"#).contains("the model has 2 features"));
    assert!(refusal(r#"{"instances":[{"age":1}]}"#).contains("the feature \"income\" is absent"));
    assert!(refusal(r#"{"instances":[{"age":1,"income":1,"x":1}]}"#).contains("no feature \"x\""));
    assert!(
        refusal(r#"{"instances":[{"age":1,"income":"lots"}]}"#)
            .contains("column \"income\": expected a number, found \"lots\"")
    );
    assert!(refusal(r#"{"instances":[{"age":1,"income":1e300}]}"#).contains("found 1e300"));
    let other = json("FP32", "[1,2]", "[1,2]").replace("\"input\"", "\"x\"");
    assert!(refusal(&other).contains("tensor \"x\": the model has no such input, only \"input\""));
}

#[test]
fn the_rows_of_the_short_form_are_cut_anywhere_and_come_together_again() {
    let lists = r#"{"instances":[[[1],[2]],[[3],[4]],[[5],[6]]]}"#;
    let objects = r#"{"instances":[{"a":1,"b":"x"},{"a":null,"b":"y"},{"a":3,"b":"z"}]}"#;
    for request in [lists, objects] {
        let RequestBody::Instances(whole) = decode(request).unwrap().body else { panic!("{request}") };
        for cut in 0..=3 {
            match (whole.rows_in(0..cut), whole.rows_in(cut..9), &whole) {
                (
                    Instances::Rows { shape: first, values: start },
                    Instances::Rows { shape: second, values: end },
                    Instances::Rows { values, .. },
                ) => {
                    assert_eq!((first, second), (vec![cut, 2, 1], vec![3 - cut, 2, 1]));
                    assert_eq!([start, end].concat(), *values);
                }
                (
                    Instances::Table { columns: first, cells: start },
                    Instances::Table { columns: second, cells: end },
                    Instances::Table { columns, cells },
                ) => {
                    assert_eq!((&first, &second), (columns, columns));
                    assert_eq!((start.len(), [start, end].concat()), (2 * cut, cells.clone()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
}
