//! The instruction set can be chosen once in a process, which is why this test is alone in its program.
#![allow(clippy::expect_used, missing_docs, reason = "tests")]

use leat_kernels::Kernels;

#[test]
fn any_set_that_the_processor_runs_can_be_chosen_once() {
    let unknown = Kernels::choose("abacus").expect_err("no processor has it");
    assert!(
        unknown.starts_with("this processor has no instruction set \"abacus\", only scalar"),
        "{unknown}"
    );
    Kernels::choose("scalar").expect("every processor has it");
    assert_eq!(Kernels::detect().name(), "scalar");
    Kernels::choose("scalar").expect("chosen again it stays");
    let fastest = Kernels::available().pop().expect("at least the definition").name();
    if fastest != "scalar" {
        assert_eq!(Kernels::choose(fastest), Err("scalar is in use already".to_owned()));
    }
}
