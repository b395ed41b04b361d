//! The state of tiles is large, so that Linux gives it only to a process that asked for it (since 5.16).

#[cfg(target_os = "linux")]
use std::{arch::asm, sync::OnceLock};

/// Whether the operating system lets every thread of this process use tiles. It is asked once: what it has granted it does not take back.
#[cfg(target_os = "linux")]
pub(super) fn granted() -> bool {
    static GRANTED: OnceLock<bool> = OnceLock::new();
    *GRANTED.get_or_init(ask)
}

#[cfg(target_os = "linux")]
fn ask() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let status: i64;
    // SAFETY: the call only asks for a permission of the process; it reads and writes no memory, and changes RCX and R11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => status,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack, nomem)
        );
    }
    status == 0
}

/// How other operating systems are asked is not known here, so that they run AVX-512.
#[cfg(not(target_os = "linux"))]
pub(super) fn granted() -> bool {
    false
}
