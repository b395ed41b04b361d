//! Runs that are repeated to be timed.

use std::time::{Duration, Instant};

use leat_engine::{Scratch, Team};

use super::Batch;

/// So often in a row, of which the fastest counts: there are caches that keep weights only when they come again soon.
const TIMES: u32 = 3;
/// Not again after so long. What takes longer has more weights than caches hold, or computes more than it waits for them.
const ENOUGH: Duration = Duration::from_millis(10);

impl Batch {
    /// Repeats its first run once in a while, if its version is compared with others: with the weights near, what it takes says something
    /// about the version, and little about who ran before and for how long. To be called after the answers were handed over and copied,
    /// since it writes them once more; only the next batch may wait for it.
    pub(crate) fn repeat(&mut self, team: &Team, scratch: &mut Scratch) {
        let Some(repeats) = self.routes.repeats.get(&self.version.version) else { return };
        let Some(run) = self.buffers.runs.first_mut() else { return };
        let times = TIMES.min(1 + (ENOUGH.as_nanos() / run.took.as_nanos().max(1)).min(TIMES.into()) as u32);
        if !repeats.begin(Instant::now(), (run.rows, run.took), run.took * times) {
            return;
        }
        let plan = &self.version.plan;
        let input = self.buffers.input.get(..run.rows * plan.features()).unwrap_or_default();
        let output = self.buffers.output.get_mut(..run.rows * plan.outputs()).unwrap_or_default();
        for _ in 0..times {
            let again = Instant::now();
            let batch = leat_engine::Batch { rows: run.rows, input, output: &mut *output };
            // What succeeded a moment ago fails only by a defect, and then there is nothing to compare.
            if self.version.run(&self.plan, batch, team, scratch).is_err() {
                return;
            }
            let took = again.elapsed();
            run.repeat = Some(run.repeat.map_or(took, |fastest| fastest.min(took)));
        }
    }
}
