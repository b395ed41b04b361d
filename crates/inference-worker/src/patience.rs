//! When waiting for a larger batch pays.

/// Decides whether to wait for more requests. A wait in which none came makes the next ones be skipped, twice as many each
/// time; one in which some came makes waiting normal again. So one caller that waits for its answer does not pay for
/// batches that never form.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    skips_left: u32,
    skips_next: u32,
}

/// Waiting is tried again at least this often.
const SKIPS_MAX: u32 = 64;

impl Patience {
    /// Whether to wait this time.
    pub(crate) fn should_wait(&mut self) -> bool {
        let should_wait = self.skips_left == 0;
        self.skips_left = self.skips_left.saturating_sub(1);
        should_wait
    }

    /// Says how many requests came during a wait.
    pub(crate) fn waited(&mut self, arrived: usize) {
        self.skips_next = if arrived > 0 { 0 } else { (self.skips_next * 2).clamp(1, SKIPS_MAX) };
        self.skips_left = self.skips_next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vain_waits_become_rare_and_one_that_paid_makes_them_normal() {
        let mut patience = Patience::default();
        let mut waits = 0;
        for _ in 0..1000 {
            if patience.should_wait() {
                waits += 1;
                patience.waited(0);
            }
        }
        assert!((15..30).contains(&waits), "{waits}");
        while !patience.should_wait() {}
        patience.waited(3);
        assert!(patience.should_wait());
    }
}
