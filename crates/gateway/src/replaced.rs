//! Files that may be replaced while the gateway runs: certificates are renewed, keys are given and taken away.
//!
//! Their contents are looked at from time to time. That sees a file that was written over, renamed into its place or reached through another
//! link than before, which is how orchestrators replace secrets, and it does so on every file system.

use std::path::PathBuf;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::Error;

/// Files, and what stood in them when they were looked at last.
#[derive(Debug)]
pub(crate) struct Files {
    what: &'static str,
    paths: Vec<PathBuf>,
    seen: Vec<u8>,
}

impl Files {
    /// Looks at files that hold `what`, before they are read for the first time.
    pub(crate) fn new(what: &'static str, paths: Vec<PathBuf>) -> Self {
        let seen = digest(&paths);
        Self { what, paths, seen }
    }

    /// Reads the files anew whenever they have changed. What cannot be used is told once and tried again at every look, and what was read before
    /// stays.
    pub(crate) async fn follow<T: Send + Sync>(
        mut self,
        current: watch::Sender<T>,
        every: Duration,
        read: impl Fn(&T) -> Result<T, Error> + Send,
    ) -> Result<(), Error> {
        let mut told = None;
        loop {
            tokio::time::sleep(every).await;
            if !self.has_changed().await {
                continue;
            }
            let anew = read(&current.borrow());
            match anew {
                Ok(anew) => {
                    current.send_replace(anew);
                    told = None;
                    info!(what = self.what, "what changed is used from now on");
                }
                Err(error) => {
                    self.seen.clear();
                    let error = error.to_string();
                    if told.as_ref() != Some(&error) {
                        warn!(what = self.what, error, "what changed cannot be used, the former stays");
                    }
                    told = Some(error);
                }
            }
        }
    }

    async fn has_changed(&mut self) -> bool {
        let paths = self.paths.clone();
        // A disk may keep it waiting. When the thread ends unexpectedly, the next look tells.
        let found = tokio::task::spawn_blocking(move || digest(&paths)).await;
        found.is_ok_and(|found| std::mem::replace(&mut self.seen, found.clone()) != found)
    }
}

/// Differs when what stands in one of the files does, or one appears, disappears or can be read no more.
fn digest(paths: &[PathBuf]) -> Vec<u8> {
    paths.iter().flat_map(|path| std::fs::read(path).map(Sha256::digest).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(path: &std::path::Path) -> Result<u32, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::file("number", path))?;
        text.parse().map_err(Error::file("number", path))
    }

    #[tokio::test]
    async fn what_changes_is_read_anew_and_what_cannot_be_used_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("number");
        let write = |text: &str| {
            let other = folder.path().join("other");
            std::fs::write(&other, text).unwrap();
            std::fs::rename(&other, &path).unwrap();
        };
        write("1");
        let files = Files::new("number", vec![path.clone()]);
        let (sender, mut current) = watch::channel(number(&path).unwrap());
        let (tried, mut tries) = watch::channel(());
        let read = {
            let path = path.clone();
            move |_: &u32| {
                let read = number(&path);
                tried.send_replace(());
                read
            }
        };
        let following = tokio::spawn(files.follow(sender, Duration::from_millis(1), read));
        write("2");
        current.wait_for(|number| *number == 2).await.unwrap();
        tries.mark_unchanged();
        write("none");
        tries.changed().await.unwrap();
        std::fs::remove_file(&path).unwrap();
        tries.changed().await.unwrap();
        assert_eq!(*current.borrow(), 2);
        write("2");
        tries.changed().await.unwrap();
        write("3");
        current.wait_for(|number| *number == 3).await.unwrap();
        following.abort();
    }
}
