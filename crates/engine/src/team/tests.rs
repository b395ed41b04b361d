use super::*;

/// How often a caller that shares a team comes back.
const ROUNDS: usize = if cfg!(miri) { 3 } else { 200 };

/// Doubles each value; refuses negative ones, panics at 1000.
struct Doubling;

impl Plan for Doubling {
    fn features(&self) -> usize {
        1
    }

    fn outputs(&self) -> usize {
        1
    }

    fn row_ns(&self) -> f64 {
        SHARE_MIN_NS / 4.0
    }

    fn bytes(&self) -> usize {
        0
    }

    fn run(&self, batch: Batch<'_>, _: &mut Scratch) -> Result<(), Error> {
        batch.check(1, 1)?;
        assert!(!batch.input.contains(&1000.0), "a test asked for a panic");
        batch.output.iter_mut().zip(batch.input).for_each(|(output, input)| *output = input * 2.0);
        let refused = batch.input.iter().position(|value| *value < 0.0);
        refused.map_or(Ok(()), |row| Err(Error::Overflow { row }))
    }

    fn describe(&self) -> String {
        "doubling".to_owned()
    }
}

fn team(threads: usize) -> Team {
    Team::new(NonZeroUsize::new(threads).unwrap()).unwrap()
}

fn run(team: &Team, input: &[f32]) -> Result<Vec<f32>, Error> {
    let plan: Arc<dyn Plan> = Arc::new(Doubling);
    let mut output = vec![0.0; input.len()];
    let batch = Batch { rows: input.len(), input, output: &mut output };
    team.run(&plan, batch, &mut Scratch::default()).map(|()| output)
}

#[test]
fn every_row_is_run_once_whatever_the_number_of_threads() {
    for rows in [0_u16, 1, 7, 8, 9, 31, 100] {
        let input: Vec<f32> = (0..rows).map(f32::from).collect();
        let doubled: Vec<f32> = input.iter().map(|value| value * 2.0).collect();
        for threads in [1, 2, 3, 8] {
            assert_eq!(run(&team(threads), &input).unwrap(), doubled, "{rows} rows, {threads} threads");
        }
    }
}

#[test]
fn the_first_row_that_fails_is_named_whatever_the_number_of_threads() {
    let mut input = vec![1.0; 100];
    input[37] = -1.0;
    input[90] = -1.0;
    for threads in [1, 2, 3, 8] {
        let error = run(&team(threads), &input).unwrap_err();
        assert!(matches!(error, Error::Overflow { row: 37 }), "{threads} threads: {error}");
    }
}

#[test]
fn lengths_that_do_not_fit_are_refused_before_rows_are_shared() {
    let plan: Arc<dyn Plan> = Arc::new(Doubling);
    let batch = Batch { rows: 100, input: &[1.0; 99], output: &mut [0.0; 100] };
    let error = team(2).run(&plan, batch, &mut Scratch::default()).unwrap_err();
    assert!(matches!(error, Error::InputLength { rows: 100, found: 99, .. }), "{error}");
}

#[test]
fn a_panic_reaches_the_caller_and_leaves_the_team_as_it_was() {
    let team = team(3);
    let calm = vec![1.0; 100];
    for place in [0, 50, 99] {
        let mut input = calm.clone();
        input[place] = 1000.0;
        for _ in 0..3 {
            let panic = catch_unwind(AssertUnwindSafe(|| run(&team, &input))).unwrap_err();
            assert_eq!(panic.downcast_ref::<&str>(), Some(&"a test asked for a panic"));
        }
        assert_eq!(run(&team, &calm).unwrap(), [2.0; 100]);
    }
}

#[test]
fn several_callers_share_one_team() {
    let team = team(3);
    let call = |caller: u16| {
        let input: Vec<f32> = (0..200).map(|row| f32::from(caller) + f32::from(row as u16)).collect();
        let doubled: Vec<f32> = input.iter().map(|value| value * 2.0).collect();
        for _ in 0..ROUNDS {
            assert_eq!(run(&team, &input).unwrap(), doubled);
        }
    };
    let call = &call;
    thread::scope(|scope| {
        for caller in 1..5 {
            scope.spawn(move || call(caller));
        }
    });
}

/// Threads that sleep own nothing of a plan that has run.
#[test]
fn a_plan_goes_with_its_last_owner() {
    let (team, plan): (_, Arc<dyn Plan>) = (team(3), Arc::new(Doubling));
    let batch = Batch { rows: 100, input: &[1.0; 100], output: &mut [0.0; 100] };
    team.run(&plan, batch, &mut Scratch::default()).unwrap();
    assert_eq!(Arc::strong_count(&plan), 1);
}
