//! Which version answers the next request on a live route: smooth weighted round robin, worked out in advance.
//!
//! Weights that sum to 100 repeat after at most 100 requests. The whole period is laid out when the routes change, so that
//! a request costs one atomic addition, and any 100 requests in a row are shared exactly as the weights say.

use std::sync::atomic::{AtomicUsize, Ordering};

/// The order in which routes answer.
#[derive(Debug)]
pub(crate) struct Schedule {
    period: Box<[usize]>,
    position: AtomicUsize,
}

impl Schedule {
    /// Lays out the period of these weights. Routes with weight 0 never answer; without any weight nothing does.
    pub(crate) fn new(weights: &[u32]) -> Self {
        Self { period: smooth_period(weights).into(), position: AtomicUsize::new(0) }
    }

    /// The index of the route that answers now.
    pub(crate) fn next(&self) -> Option<usize> {
        let position = self.position.fetch_add(1, Ordering::Relaxed).checked_rem(self.period.len())?;
        self.period.get(position).copied()
    }
}

/// One period: in each step every route earns its weight, and the richest answers and pays the sum of all weights. This
/// spreads the turns of a route as evenly as possible (nginx, `ngx_http_upstream_round_robin.c`, 2012).
fn smooth_period(weights: &[u32]) -> Vec<usize> {
    let divisor = weights.iter().copied().fold(0, greatest_common_divisor).max(1);
    let weights: Vec<i64> = weights.iter().map(|weight| i64::from(weight / divisor)).collect();
    let sum: i64 = weights.iter().sum();
    let mut credits = vec![0_i64; weights.len()];
    let mut period = Vec::new();
    for _ in 0..sum {
        for (credit, weight) in credits.iter_mut().zip(&weights) {
            *credit += weight;
        }
        // Of equally rich routes the first one answers.
        let richest = credits.iter_mut().enumerate().rev().max_by_key(|(_, credit)| **credit);
        if let Some((route, credit)) = richest {
            *credit -= sum;
            period.push(route);
        }
    }
    period
}

fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spreads_the_turns_of_a_heavy_route() {
        assert_eq!(smooth_period(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn any_hundred_requests_in_a_row_are_shared_exactly() {
        for weights in [vec![90, 10], vec![34, 33, 33], vec![1, 99], vec![100, 0], vec![50, 25, 25]] {
            let schedule = Schedule::new(&weights);
            for _ in 0..37 {
                schedule.next();
            }
            let mut counts = vec![0; weights.len()];
            for _ in 0..100 {
                counts[schedule.next().unwrap()] += 1;
            }
            assert_eq!(counts, weights);
        }
    }

    #[test]
    fn a_canary_of_one_percent_never_answers_twice_in_a_row() {
        let period = smooth_period(&[99, 1]);
        assert_eq!(period.len(), 100);
        assert_eq!(period.iter().filter(|route| **route == 1).count(), 1);
    }

    #[test]
    fn the_position_survives_its_overflow() {
        let schedule = Schedule::new(&[60, 40]);
        schedule.position.store(usize::MAX, Ordering::Relaxed);
        assert!(schedule.next().is_some());
        assert_eq!(schedule.next(), Some(0));
    }

    #[test]
    fn nothing_answers_without_weight() {
        assert_eq!(Schedule::new(&[]).next(), None);
        assert_eq!(Schedule::new(&[0, 0]).next(), None);
    }
}
