//! Runs that are repeated to be timed.

use std::time::Instant;

use leat_engine::{Scratch, Team};

use super::Batch;

impl Batch {
    /// Repeats its first run once in a while, if it was cold and its version is compared with others: with the weights near, what it takes
    /// says something about the version, and little about who ran in between and for how long. To be called after the answers were handed
    /// over and copied, since it writes them once more; only the next batch may wait for it.
    pub(crate) fn repeat(&mut self, team: &Team, scratch: &mut Scratch) {
        let Some(repeats) = self.routes.repeats.get(&self.version.version) else { return };
        let Some(run) = self.buffers.runs.first_mut().filter(|run| run.is_cold) else { return };
        let begun = Instant::now();
        if !repeats.begin(begun, run.took) {
            return;
        }
        let plan = &self.version.plan;
        let input = self.buffers.input.get(..run.rows * plan.features()).unwrap_or_default();
        let output = self.buffers.output.get_mut(..run.rows * plan.outputs()).unwrap_or_default();
        let batch = leat_engine::Batch { rows: run.rows, input, output };
        // What succeeded a moment ago fails only by a defect, and then there is nothing to compare.
        run.repeat = self.version.run(&self.plan, batch, team, scratch).ok().map(|()| begun.elapsed());
    }
}
