use super::*;

/// Gives the same whatever it runs.
struct Fixed(Vec<f32>);

impl Contender for Fixed {
    fn run(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn output(&mut self) -> Result<Vec<f32>, Error> {
        Ok(self.0.clone())
    }
}

fn agree(kind: Kind, other: (Engine, Vec<f32>)) -> Result<Vec<(Engine, f32)>, Error> {
    let subject = Subject { shape: &shapes::ALL[0], kind, batch: 4 };
    let (engine, output) = other;
    let mut contenders: Vec<Box<dyn Contender>> =
        vec![Box::new(Fixed(vec![1.0, -1.0, 1.0, -1.0])), Box::new(Fixed(output))];
    subject.agree(&[Engine::Leat, engine], &mut contenders)
}

#[test]
fn who_gives_something_else_is_found_out() {
    let off_by = |distance: f32| (Engine::Tract, vec![1.0 + distance, -1.0, 1.0, -1.0]);
    assert!(agree(Kind::F32, off_by(1e-3)).is_ok());
    let error = agree(Kind::F32, off_by(1e-2)).err().map(|error| error.to_string());
    assert!(error.as_ref().is_some_and(|text| text.starts_with("tract is 0.00")), "{error:?}");
    assert!(agree(Kind::Bf16, off_by(1e-2)).is_ok(), "its weights are rounded");
    assert!(agree(Kind::Bf16, off_by(2.0)).is_err());
}

#[test]
fn an_answer_that_is_no_number_is_no_agreement() {
    for kind in [Kind::F32, Kind::Bf16] {
        assert!(agree(kind, (Engine::Tract, vec![f32::NAN, -1.0, 1.0, -1.0])).is_err());
    }
}

#[test]
fn integers_may_saturate_unless_they_are_said_to_be_exact() {
    let far = vec![2.0; 4];
    let distances = agree(Kind::Int8, (Engine::OnnxRuntime, far.clone())).ok();
    assert_eq!(distances, Some(vec![(Engine::OnnxRuntime, 2.0)]));
    assert!(agree(Kind::Int8, (Engine::OnnxRuntimeExact, far)).is_err());
}

#[test]
fn nobody_is_compared_who_has_another_model() {
    assert_eq!(agree(Kind::Pruned, (Engine::Tract, vec![9.0; 4])).ok(), Some(Vec::new()));
}
