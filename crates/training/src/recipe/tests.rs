use super::*;

fn refused(change: impl FnOnce(&mut Recipe)) -> &'static str {
    let mut recipe = Recipe::for_task(Task::Classification);
    change(&mut recipe);
    match recipe.validate() {
        Err(Error::Recipe { setting, .. }) => setting,
        other => panic!("expected a refusal, found {other:?}"),
    }
}

#[test]
fn the_defaults_of_both_tasks_are_valid() {
    Recipe::for_task(Task::Classification).validate().unwrap();
    Recipe::for_task(Task::Regression).validate().unwrap();
}

#[test]
fn every_setting_out_of_range_is_named() {
    assert_eq!(refused(|recipe| recipe.hidden = vec![0]), "hidden");
    assert_eq!(refused(|recipe| recipe.hidden = vec![1; 17]), "hidden");
    assert_eq!(refused(|recipe| recipe.learning_rate = f64::NAN), "learning_rate");
    assert_eq!(refused(|recipe| recipe.learning_rate = 0.0), "learning_rate");
    assert_eq!(refused(|recipe| recipe.epochs = 0), "epochs");
    assert_eq!(refused(|recipe| recipe.batch = BatchSize::Mini(0)), "batch");
    assert_eq!(refused(|recipe| recipe.weight_clip = Some(-1.0)), "weight_clip");
    assert_eq!(refused(|recipe| recipe.optimiser = Optimiser::Sgd { momentum: 1.0 }), "momentum");
    let decay = f64::INFINITY;
    assert_eq!(refused(|recipe| recipe.optimiser = Optimiser::AdamW { weight_decay: decay }), "weight_decay");
    let rule = EarlyStopping { patience: 1, min_delta: 0.0, validation_ratio: 0.1 };
    let stopping = |rule| move |recipe: &mut Recipe| recipe.early_stopping = Some(rule);
    assert_eq!(refused(stopping(EarlyStopping { patience: 0, ..rule })), "patience");
    assert_eq!(refused(stopping(EarlyStopping { min_delta: -1.0, ..rule })), "min_delta");
    assert_eq!(refused(stopping(EarlyStopping { validation_ratio: 1.0, ..rule })), "validation_ratio");
}

#[test]
fn a_recipe_survives_json() {
    let mut recipe = Recipe::for_task(Task::Regression);
    recipe.early_stopping = Some(EarlyStopping { patience: 5, min_delta: 1e-4, validation_ratio: 0.1 });
    recipe.weight_clip = Some(0.5);
    let json = serde_json::to_string(&recipe).unwrap();
    assert_eq!(serde_json::from_str::<Recipe>(&json).unwrap(), recipe);
}
