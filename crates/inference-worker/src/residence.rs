//! The compiled plan of a version, which may be out of memory for a while: everything else of the version stays, so that
//! requests to it are still received.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use leat_engine::Plan;

/// A plan, in memory or not.
pub(crate) struct Residence {
    features: usize,
    outputs: usize,
    row_ns: f64,
    description: String,
    /// What it counts in the budget of the worker: the bytes that the plan takes in memory.
    pub(crate) bytes: usize,
    plan: RwLock<Option<Arc<dyn Plan>>>,
    /// When it was used last, by the clock of the budget.
    used: AtomicU64,
    is_coming: AtomicBool,
}

impl Residence {
    /// A plan in memory.
    pub(crate) fn new(plan: Box<dyn Plan>) -> Self {
        let plan = Arc::<dyn Plan>::from(plan);
        Self {
            features: plan.features(),
            outputs: plan.outputs(),
            row_ns: plan.row_ns(),
            description: plan.describe(),
            bytes: plan.bytes(),
            plan: RwLock::new(Some(plan)),
            used: AtomicU64::new(0),
            is_coming: AtomicBool::new(false),
        }
    }

    /// The length of a raw row.
    pub(crate) fn features(&self) -> usize {
        self.features
    }

    /// The length of an output row.
    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// How long a row takes by itself, as it was measured when the plan was made.
    pub(crate) fn row_ns(&self) -> f64 {
        self.row_ns
    }

    /// What runs, in a few words.
    pub(crate) fn describe(&self) -> &str {
        &self.description
    }

    /// The plan; none while it is not in memory.
    pub(crate) fn get(&self) -> Option<Arc<dyn Plan>> {
        self.plan.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the plan is in memory.
    pub(crate) fn is_here(&self) -> bool {
        self.plan.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Lets go of the plan. Runs that began keep it until they end.
    pub(crate) fn leave(&self) {
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes over the plan of another residence of the same version.
    pub(crate) fn return_as(&self, other: &Self) {
        *self.plan.write().unwrap_or_else(PoisonError::into_inner) = other.get();
    }

    /// Says that it is used at a time.
    pub(crate) fn use_at(&self, time: u64) {
        self.used.store(time, Ordering::Relaxed);
    }

    /// When it was used last.
    pub(crate) fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Says whether it is being loaded again; gives whether it was before.
    pub(crate) fn set_coming(&self, is_coming: bool) -> bool {
        self.is_coming.swap(is_coming, Ordering::AcqRel)
    }
}
