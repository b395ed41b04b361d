//! A processor for the worker alone, as it has on a machine of its own.

use crate::Error;

/// The processors of this machine in two parts.
#[derive(Debug)]
pub(super) struct Apart {
    #[cfg(target_os = "linux")]
    parts: linux::Parts,
}

impl Apart {
    /// Leaves the last processor to the worker: this thread and what it starts from now on, threads and processes, have the others.
    ///
    /// # Errors
    /// When there is only one, or the system cannot tell them apart.
    pub(super) fn new() -> Result<Self, Error> {
        #[cfg(target_os = "linux")]
        return Ok(Self { parts: linux::Parts::new()? });
        #[cfg(not(target_os = "linux"))]
        Err(Error::Usage("a processor for the worker alone needs Linux: ask for --together".to_owned()))
    }

    /// Starts the worker where it has its processor.
    ///
    /// # Errors
    /// Why it did not start, or that the system refuses.
    pub(super) fn start_worker<T>(&self, start: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        #[cfg(target_os = "linux")]
        {
            self.parts.enter_workers()?;
            let started = start();
            self.parts.enter_others()?;
            started
        }
        #[cfg(not(target_os = "linux"))]
        start()
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

    use crate::Error;

    #[derive(Debug)]
    pub(super) struct Parts {
        worker: CpuSet,
        others: CpuSet,
    }

    impl Parts {
        pub(super) fn new() -> Result<Self, Error> {
            let mut others = sched_getaffinity(None).map_err(refused)?;
            let last = (0..CpuSet::MAX_CPU).rev().find(|&processor| others.is_set(processor));
            let Some(last) = last.filter(|_| others.count() > 1) else {
                let reason = "there is only one processor, none for the worker alone: ask for --together";
                return Err(Error::Usage(reason.to_owned()));
            };
            let mut worker = CpuSet::new();
            worker.set(last);
            others.unset(last);
            let parts = Self { worker, others };
            parts.enter_others()?;
            Ok(parts)
        }

        pub(super) fn enter_workers(&self) -> Result<(), Error> {
            sched_setaffinity(None, &self.worker).map_err(refused)
        }

        pub(super) fn enter_others(&self) -> Result<(), Error> {
            sched_setaffinity(None, &self.others).map_err(refused)
        }
    }

    fn refused(cause: rustix::io::Errno) -> Error {
        Error::Usage(format!("the system does not let a process choose its processors: {cause}"))
    }
}
