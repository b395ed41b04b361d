//! What this process takes from the machine.

/// Resources of this process since it started.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ProcessUsage {
    /// User and system time of all threads, seconds.
    pub cpu_seconds_total: f64,
    /// Memory in RAM, bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// When the process started, seconds since 1970.
    pub start_time_seconds: f64,
}

/// Reads what this process uses. None where the kernel does not say so: it needs `/proc`, so Linux.
#[cfg(target_os = "linux")]
pub fn process_usage() -> Option<ProcessUsage> {
    let process = procfs::process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let ticks_per_second = procfs::ticks_per_second() as f64;
    let booted = procfs::boot_time_secs().ok()? as f64;
    Some(ProcessUsage {
        cpu_seconds_total: (stat.utime + stat.stime) as f64 / ticks_per_second,
        resident_bytes: stat.rss * procfs::page_size(),
        open_fds: process.fd_count().ok()? as u64,
        start_time_seconds: booted + stat.starttime as f64 / ticks_per_second,
    })
}

/// Reads what this process uses. None where the kernel does not say so: it needs `/proc`, so Linux.
#[cfg(not(target_os = "linux"))]
pub fn process_usage() -> Option<ProcessUsage> {
    None
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn this_process_uses_memory_and_files_and_started_before_now() {
        let usage = process_usage().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(usage.resident_bytes > 100_000, "{usage:?}");
        assert!(usage.open_fds >= 3, "{usage:?}");
        assert!(
            usage.start_time_seconds > now - 86_400.0 && usage.start_time_seconds <= now + 2.0,
            "{usage:?}"
        );
    }

    #[test]
    fn time_on_the_processor_grows_with_work() {
        let before = process_usage().unwrap().cpu_seconds_total;
        let mut number: u64 = 1;
        while process_usage().unwrap().cpu_seconds_total <= before {
            number =
                (0..1_000_000).fold(number, |sum, step| sum.wrapping_mul(6_364_136_223).wrapping_add(step));
        }
        assert_ne!(number, 0);
    }
}
