use std::ops::ControlFlow;

use crate::Error;

/// How far [`crate::compress`] has come. Sent at the start of each piece of work and after each part of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The step that runs, counted from 0.
    pub step: usize,
    /// How many steps there are.
    pub steps: usize,
    /// What the step does now.
    pub work: Work,
    /// Parts of the work that are done.
    pub done: u64,
    /// Parts of the work in all.
    pub total: u64,
    /// The loss on the validation rows, while weights are trained.
    pub loss: Option<f64>,
}

/// What a step does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Weights are rewritten.
    Weights,
    /// Training rows are run to see the ranges and means of activations.
    Calibration,
    /// Surviving weights are trained.
    FineTuning,
    /// A new network is trained.
    Distillation,
    /// Held-out rows are measured.
    Evaluation,
}

impl Work {
    /// What `done` and `total` count.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Weights => "layers",
            Self::Calibration => "rows",
            Self::FineTuning | Self::Distillation => "epochs",
            Self::Evaluation => "measurements",
        }
    }
}

/// Tells the caller how one step goes on, and whether it may.
pub(crate) struct Reporter<'a> {
    pub(crate) step: usize,
    pub(crate) steps: usize,
    pub(crate) callback: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Reporter<'_> {
    /// Fails with [`Error::Cancelled`] when the caller wants to stop.
    pub(crate) fn report(&mut self, work: Work, done: usize, total: usize) -> Result<(), Error> {
        self.send(work, done, total, None)
    }

    /// As [`Reporter::report`], with the loss of the epoch that just ended.
    pub(crate) fn report_loss(
        &mut self,
        work: Work,
        done: usize,
        total: usize,
        loss: f64,
    ) -> Result<(), Error> {
        self.send(work, done, total, Some(loss))
    }

    fn send(&mut self, work: Work, done: usize, total: usize, loss: Option<f64>) -> Result<(), Error> {
        let progress = Progress {
            step: self.step,
            steps: self.steps,
            work,
            done: done as u64,
            total: total as u64,
            loss,
        };
        match (self.callback)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }
}
