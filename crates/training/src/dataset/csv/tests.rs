use super::*;
use crate::{CLASSES_MAX, Target};

fn options(task: Option<Task>) -> CsvOptions {
    CsvOptions { target: "y".to_owned(), task }
}

fn read(text: &str) -> Result<Dataset, Error> {
    Dataset::from_csv(text.as_bytes(), &options(None))
}

fn refusal(text: &str) -> String {
    read(text).unwrap_err().to_string()
}

#[test]
fn reads_features_classes_and_missing_values() {
    let data = read("\u{feff}a, b ,y\r\n1,2.5,no\r\n-3e2,,yes\r\n\r\n+4, 5 ,\"no\"\r\n").unwrap();
    assert_eq!(data.features, ["a", "b"]);
    assert_eq!(data.rows.row(0).to_vec(), [1.0, 2.5]);
    assert_eq!(data.rows[[1, 0]], -300.0);
    assert!(data.rows[[1, 1]].is_nan());
    let labels = vec!["no".to_owned(), "yes".to_owned()];
    assert_eq!(data.target, Target::Classes { labels, indices: vec![0, 1, 0] });
    assert_eq!(data.target_name, "y");
    data.validate().unwrap();
}

#[test]
fn the_target_may_stand_anywhere() {
    let data = read("a,y,b\n1,u,2\n3,v,4\n").unwrap();
    assert_eq!(data.features, ["a", "b"]);
    assert_eq!(data.rows.row(1).to_vec(), [3.0, 4.0]);
}

#[test]
fn whole_numbers_that_repeat_are_classes_in_numeric_order() {
    let data = read("a,y\n1,10\n2,9\n3,10.0\n4,9\n").unwrap();
    assert_eq!(
        data.target,
        Target::Classes { labels: vec!["9".into(), "10".into()], indices: vec![1, 0, 1, 0] }
    );
}

#[test]
fn numbers_that_are_fractions_many_or_do_not_repeat_are_values() {
    for text in ["a,y\n1,1.5\n2,2\n3,2\n4,1.5\n", "a,y\n1,1\n2,2\n3,3\n"] {
        assert_eq!(read(text).unwrap().task(), Task::Regression, "{text}");
    }
    let many: String = (0..100).map(|row| format!("{row},{}\n", row % 21)).collect();
    assert_eq!(read(&format!("a,y\n{many}")).unwrap().task(), Task::Regression);
}

#[test]
fn a_named_task_overrules_the_inference() {
    let whole = "a,y\n1,0\n2,1\n3,0\n4,1\n";
    let as_values = Dataset::from_csv(whole.as_bytes(), &options(Some(Task::Regression))).unwrap();
    assert_eq!(as_values.task(), Task::Regression);
    let fractions = "a,y\n1,0.5\n2,-0\n3,0\n";
    let as_classes = Dataset::from_csv(fractions.as_bytes(), &options(Some(Task::Classification))).unwrap();
    assert_eq!(as_classes.labels(), ["0", "0.5"]);
    let text = Dataset::from_csv(b"a,y\n1,2\n2,x\n", &options(Some(Task::Regression)));
    assert_eq!(text.unwrap_err().to_string(), "line 3: column \"y\": \"x\" is not a finite number");
}

#[test]
fn every_refusal_names_its_place() {
    assert_eq!(refusal("a,y\n1,u\nx,v\n"), "line 3: column \"a\": \"x\" is not a finite number");
    assert_eq!(refusal("a,y\n1e99,u\n"), "line 2: column \"a\": \"1e99\" is not a finite number");
    assert_eq!(refusal("a,y\nnan,u\n"), "line 2: column \"a\": \"nan\" is not a finite number");
    assert_eq!(refusal("a,y\n1,u\n1,u,7\n"), "line 3: expected 2 cells, found 3");
    assert_eq!(refusal("a,y\n1,u\n1\n"), "line 3: expected 2 cells, found 1");
    assert_eq!(refusal("a,a,y\n1,1,u\n"), "line 1: column \"a\" appears twice in the header");
    assert_eq!(refusal("a,,y\n1,1,u\n"), "line 1: column 2 of the header has no name");
    assert_eq!(refusal("a,b\n1,1\n"), "line 1: target \"y\" is not a column, the columns are a, b");
    assert_eq!(refusal("a,y\n1,u\n2, \n"), "line 3: column \"y\": the target is empty");
}

#[test]
fn a_table_with_nothing_to_learn_is_refused() {
    assert!(refusal("").contains("the table is empty"));
    assert!(refusal("a,y\n").contains("there are no rows"));
    assert!(refusal("y\n1\n").contains("no column beside the target"));
    assert!(refusal("a,y\n1,u\n2,u\n").contains("every row has the class \"u\""));
    assert!(refusal("a,y\n1,3\n2,3\n").contains("every row has the class \"3\""));
    assert!(refusal("a,b,y\n1,,u\n2,,v\n").contains("column \"b\" has no value at all"));
}

#[test]
fn text_that_is_not_utf8_is_refused() {
    let error = Dataset::from_csv(b"a,y\n1,u\n\xff,v\n", &options(None)).unwrap_err();
    assert_eq!(error.to_string(), "line 3: the text is not UTF-8");
}

#[test]
fn too_many_classes_are_refused_at_the_row_that_has_one_too_many() {
    let rows: String = (0..=CLASSES_MAX).map(|row| format!("1,c{row}\n")).collect();
    assert_eq!(refusal(&format!("a,y\n{rows}")), format!("line {}: more than 4096 classes", CLASSES_MAX + 2));
}

#[test]
fn long_names_are_cut_in_messages() {
    let long = "n".repeat(1_000);
    assert!(refusal(&format!("{long},{long},y\n1,1,u\n")).len() < 120);
}

#[test]
fn names_too_long_for_a_model_are_refused() {
    let long = "n".repeat(1_025);
    assert_eq!(refusal(&format!("{long},y\n1,u\n")), "line 1: more than 1024 bytes in a column name");
    assert_eq!(refusal(&format!("a,y\n1,{long}\n")), "line 2: more than 1024 bytes in a class");
}

proptest::proptest! {
    #[test]
    fn any_bytes_give_a_data_set_or_an_error(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
        let text = [b"a,y\n".as_slice(), &bytes].concat();
        if let Ok(data) = Dataset::from_csv(&text, &options(None)) {
            data.validate().unwrap();
        }
        let _ = Dataset::from_csv(&bytes, &options(None));
    }
}
