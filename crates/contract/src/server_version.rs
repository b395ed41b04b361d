//! Which NATS servers the wire contract can be kept with.

/// The oldest server line Leat works with: 2.9 lacks fields that clients require.
pub const REQUIRED: &str = "2.10.0";

const REQUIRED_NUMBERS: (u64, u64, u64) = (2, 10, 0);

/// Releases that can lose whole streams when the server process is killed.
const DATA_LOSS: std::ops::RangeInclusive<(u64, u64, u64)> = (2, 10, 20)..=(2, 10, 22);

/// A server that Leat refuses to work with, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Older than [`REQUIRED`].
    #[error("nats-server {found} is too old: leat requires {REQUIRED} or newer")]
    TooOld {
        /// What the server says it is.
        found: String,
    },
    /// One of the releases with the known loss of streams.
    #[error(
        "nats-server {found} can lose stored streams when it is killed: leat requires {REQUIRED} or newer, and not 2.10.20 to 2.10.22"
    )]
    LosesData {
        /// What the server says it is.
        found: String,
    },
    /// Not a version at all.
    #[error("nats-server reports {found:?}, which is not a version: leat requires {REQUIRED} or newer")]
    Unreadable {
        /// What the server says it is.
        found: String,
    },
}

/// Accepts or refuses a version as a server reports it: `2.12.8`, `v2.12.8`, `2.11.0-preview.2`.
pub fn check(found: &str) -> Result<(), Refusal> {
    let numbers = numbers(found).ok_or_else(|| Refusal::Unreadable { found: found.to_owned() })?;
    if numbers < REQUIRED_NUMBERS {
        return Err(Refusal::TooOld { found: found.to_owned() });
    }
    if DATA_LOSS.contains(&numbers) {
        return Err(Refusal::LosesData { found: found.to_owned() });
    }
    Ok(())
}

/// Major, minor and patch number of a version text, or nothing when it is none.
pub fn numbers(version: &str) -> Option<(u64, u64, u64)> {
    let plain = version.trim().trim_start_matches('v');
    let release = plain.split(['-', '+']).next()?;
    let mut parts = release.split('.').map(|part| part.parse::<u64>().ok());
    let numbers = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_supported_servers_in_every_notation() {
        for version in ["2.10.0", "v2.10.26", "2.10.19", "2.10.23", "2.12.8", "2.11.0-preview.2", "3.0.0"] {
            assert_eq!(check(version), Ok(()), "{version}");
        }
    }

    #[test]
    fn refuses_old_servers_and_names_both_versions() {
        let refusal = check("2.9.10").unwrap_err();
        assert!(matches!(refusal, Refusal::TooOld { .. }));
        assert!(refusal.to_string().contains("2.9.10") && refusal.to_string().contains(REQUIRED));
    }

    #[test]
    fn refuses_the_releases_that_lose_streams() {
        for version in ["2.10.20", "2.10.21", "2.10.22"] {
            assert!(matches!(check(version), Err(Refusal::LosesData { .. })), "{version}");
        }
    }

    #[test]
    fn refuses_what_is_no_version() {
        for version in ["", "latest", "2", "2.10", "2.10.x", "2.10.0.1"] {
            assert!(matches!(check(version), Err(Refusal::Unreadable { .. })), "{version}");
        }
    }
}
