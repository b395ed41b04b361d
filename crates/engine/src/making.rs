use leat_kernels::Kernels;

/// How a plan is made.
#[derive(Clone, Copy)]
pub(crate) struct Making<'a> {
    /// What will run it.
    pub(crate) kernels: Kernels,
    /// Called after each step.
    pub(crate) pause: &'a dyn Fn(),
}
