//! What cannot answer together is refused before a worker has to, and what is needed is not removed.

use std::fmt::Write;

use crate::town::Town;

/// Ten features, as many as digits has classes, and a number.
fn ten_features(town: &Town) -> String {
    let header: Vec<String> = (0..10).map(|feature| format!("f{feature}")).collect();
    let mut text = format!("{},y\n", header.join(","));
    for row in 0..60 {
        (0..10).for_each(|feature| write!(text, "{},", (row * 7 + feature * 3) % 11).expect("a text"));
        writeln!(text, "{}.5", row % 5).expect("a text");
    }
    let path = town.path("ten.csv");
    std::fs::write(&path, text).expect("written");
    path.to_string_lossy().into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_that_cannot_answer_together_are_refused_and_the_routes_stay() {
    let town = Town::with_two_digits_versions(1).await;
    let data = ten_features(&town);
    let train = async |name: &str| {
        let recipe = ["--target", "y", "--hidden", "4", "--epochs", "2"];
        town.json(&[&["train", "--name", name, "--data", &data], &recipe[..]].concat()).await
    };
    train("last").await;
    assert_eq!(train("digits").await["version"], 3);

    let cases: &[(&[&str], &str)] = &[
        (&["digits@1", "--then", "digits@2"], "digits@1 gives 10 values a row, digits@2 takes 64"),
        (&["digits@1", "--average-with", "last@1"], "differ in their features, classes or task"),
        (&["digits@3", "--weight", "50"], "cannot answer the same requests"),
        (&["digits@3", "--canary", "10"], "cannot answer the same requests"),
        (&["digits@3", "--shadow", "1"], "digits@3 (regression of 10 features) cannot answer"),
    ];
    for (arguments, expected) in cases {
        let output = town.leat(&[&["deploy"], *arguments].concat()).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    let deployment = town.json(&["status"]).await["deployments"][0].clone();
    assert_eq!((&deployment["routes"][0]["version"], &deployment["routes"][1]), (&1.into(), &().into()));
    assert!(deployment["pipeline"].is_null() && deployment["shadow"].is_null(), "{deployment}");

    // What fits is taken, and then neither a version that does not nor the removal of what it needs.
    town.json(&["deploy", "digits@1", "--then", "last@1"]).await;
    let refused = town.leat(&["promote", "digits@3"]).await;
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("digits@3 gives 1 values a row, last@1 takes 10")
    );
    town.json(&["deploy", "digits@2", "--shadow", "0.5"]).await;
    for needed in ["last@1", "digits@2", "digits@1"] {
        let output = town.leat(&["models", "rm", needed]).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        let expected = format!("{needed} is needed by the deployment of digits");
        assert!(!output.status.success() && stderr.contains(&expected), "{needed}: {stderr}");
    }
    town.json(&["deploy", "digits@1", "--then", "none"]).await;
    assert_eq!(town.json(&["models", "rm", "last@1"]).await["removed"], "last@1");
    // A shadow that would fit no more is dropped.
    let promoted = town.json(&["promote", "digits@3"]).await;
    assert_eq!((&promoted["routes"][0]["version"], &promoted["shadow"]), (&3.into(), &().into()));
}
