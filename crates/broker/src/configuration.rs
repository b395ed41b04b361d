//! The configuration file a server of ours is started with.

use std::path::Path;

/// What differs between two servers of ours.
#[derive(Debug)]
pub(crate) struct Configuration<'a> {
    /// The port to listen on; nothing lets the server choose a free one.
    pub(crate) port: Option<u16>,
    /// The port of the HTTP monitoring endpoint; off when nothing.
    pub(crate) monitoring_port: Option<u16>,
    pub(crate) store_dir: &'a Path,
    pub(crate) ports_dir: &'a Path,
    pub(crate) log_file: &'a Path,
}

impl Configuration<'_> {
    /// The file's text. A dead peer is noticed in 30 s instead of the default 6 min. What may be stored is limited by
    /// each stream, not by the disk space that happens to be free when the server starts.
    pub(crate) fn text(&self) -> String {
        let port = self.port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
        let monitoring =
            self.monitoring_port.map(|port| format!("http: \"127.0.0.1:{port}\"\n")).unwrap_or_default();
        format!(
            "host: \"127.0.0.1\"\nport: {port}\n{monitoring}\
             ping_interval: \"10s\"\nping_max: 2\nwrite_deadline: \"10s\"\n\
             log_file: {log}\nlogfile_size_limit: 16MB\nlogfile_max_num: 2\n\
             ports_file_dir: {ports}\njetstream {{\n  store_dir: {store}\n  max_file_store: 512GB\n}}\n",
            log = quoted(self.log_file),
            ports = quoted(self.ports_dir),
            store = quoted(self.store_dir),
        )
    }
}

/// A path as a quoted string of the server's configuration language.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(port: Option<u16>) -> String {
        let store_dir = Path::new("/tmp/with \"quotes\"/store");
        let ports_dir = Path::new("/tmp/ports");
        let log_file = Path::new("/tmp/log");
        Configuration { port, monitoring_port: None, store_dir, ports_dir, log_file }.text()
    }

    #[test]
    fn listens_on_loopback_only_and_without_monitoring() {
        let text = configuration(Some(4222));
        assert!(text.contains("host: \"127.0.0.1\"") && text.contains("port: 4222"), "{text}");
        assert!(!text.contains("http"), "{text}");
    }

    #[test]
    fn lets_the_server_choose_a_free_port() {
        assert!(configuration(None).contains("port: -1"));
    }

    #[test]
    fn escapes_paths() {
        assert!(configuration(None).contains(r#"store_dir: "/tmp/with \"quotes\"/store""#));
    }
}
