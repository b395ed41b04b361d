//! What the processes of a cluster take.

use leat_cli::Cluster;

/// The resident memory of a process in bytes.
pub(crate) fn resident(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kib = line.split_whitespace().next().and_then(|number| number.parse::<u64>().ok());
    kib.expect("a number") * 1024
}

/// How many files and sockets a process has open.
pub(crate) fn descriptors(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).expect("a process").count()
}

/// The processes of services, by name.
pub(crate) fn ids<'a>(cluster: &Cluster, names: &[&'a str]) -> Vec<(&'a str, u32)> {
    let id = |name: &&'a str| (*name, cluster.process_id(name).expect("a service of that name"));
    names.iter().map(id).collect()
}
