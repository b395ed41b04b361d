//! AMX with 8-bit integers: products of whole tiles, and AVX-512 for everything else.
//!
//! Written in assembly, because the compiler's own functions for tiles are not stable yet. A tile is sixteen rows of 64 bytes.

mod dense_u8;
mod permission;
#[cfg(all(test, target_os = "linux", not(miri)))]
mod tests;

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;

pub(crate) use dense_u8::dense_u8;

use super::avx512::Avx512;

/// Bits of `EDX` in leaf 7 of `cpuid`.
const TILES: u32 = 1 << 24;
const INTEGERS: u32 = 1 << 25;

/// The bytes of one tile.
const TILE: usize = 1024;
/// The rows of one tile, and how many 32-bit sums each has.
const ROWS: usize = 16;
/// The bytes of a row of a tile: how many codes one product takes off each row.
pub(crate) const CODES: usize = 64;

/// The sums of one tile.
type Sums = [[i32; 16]; ROWS];

/// Proof that this processor has AMX for 8-bit integers beside AVX-512, and that the operating system lets the process use it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amx {
    avx512: Avx512,
}

impl Amx {
    /// The operating system has to permit tiles; when it does not, there is no AMX.
    pub(crate) fn detect() -> Option<Self> {
        let avx512 = Avx512::detect()?;
        let has_all = __cpuid_count(7, 0).edx & (TILES | INTEGERS) == TILES | INTEGERS;
        (has_all && permission::granted()).then_some(Self { avx512 })
    }

    /// What runs the kernels that have no use for tiles.
    pub(crate) fn avx512(self) -> Avx512 {
        self.avx512
    }

    /// Makes eight full tiles of this thread's state until the guard is dropped.
    fn tiles(self) -> Tiles {
        let config = Config { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: FULL_ROWS, rows: FULL };
        // SAFETY: the token proves AMX and the permission; the configuration is one of palette 1. No code but this crate's uses
        // tiles, so that none loses its own.
        unsafe {
            asm!("ldtilecfg [{config}]", config = in(reg) &raw const config, options(nostack, readonly),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _);
        }
        Tiles { token: self }
    }

    /// Multiplies and adds in tiles alone, `steps` times; gives how many products that were.
    pub(crate) fn peak_u8(self, steps: u64) -> u64 {
        let _tiles = self.tiles();
        for _ in 0..steps {
            // SAFETY: the guard proves AMX and configured tiles.
            unsafe {
                asm!(
                    "tdpbusd tmm0, tmm4, tmm6", "tdpbusd tmm1, tmm4, tmm7",
                    "tdpbusd tmm2, tmm5, tmm6", "tdpbusd tmm3, tmm5, tmm7",
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    options(nostack, nomem)
                );
            }
        }
        steps * 4 * (ROWS * 16 * CODES) as u64
    }
}

/// Sixteen rows, and 64 bytes in each.
const FULL: [u8; 16] = [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0];
const FULL_ROWS: [u16; 16] = [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0];

/// The operand of `ldtilecfg`.
#[repr(C, align(64))]
struct Config {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Proof that this thread's tiles are configured. Dropping it gives the state back, so that it costs nothing at the next change of
/// threads.
struct Tiles {
    token: Amx,
}

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: only a configuration makes a guard.
        unsafe {
            asm!("tilerelease", options(nostack, nomem),
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _);
        }
    }
}

/// What two tiles of rows and two panels of weights are multiplied from.
struct Operands {
    /// The first code of each tile of rows.
    codes: [*const u8; 2],
    /// How many bytes are between two rows of codes.
    stride: usize,
    /// The first weight of each panel; 64 inputs further on lie [`TILE`] bytes further on.
    weights: [*const i8; 2],
    /// How many times 64 inputs there are.
    steps: usize,
}

impl Tiles {
    /// Adds the products of `operands` to `sums`: `[first rows · first panel, first rows · second panel, second rows · …]`.
    ///
    /// # Safety
    /// Sixteen rows of `64 · steps` codes lie behind each pointer to codes, `stride` apart, and `steps` tiles behind each pointer to
    /// weights.
    unsafe fn multiply(&self, operands: &Operands, sums: &mut [Sums; 4]) {
        let [first_codes, second_codes] = operands.codes;
        let [first_weights, second_weights] = operands.weights;
        // SAFETY: the guard proves AMX and configured tiles, the caller what the pointers cover, and `sums` covers four tiles.
        unsafe {
            asm!(
                "tileloadd tmm0, [{sums} + {width}]",
                "tileloadd tmm1, [{sums} + {width} + 1024]",
                "tileloadd tmm2, [{sums} + {width} + 2048]",
                "tileloadd tmm3, [{sums} + {width} + 3072]",
                "test {steps}, {steps}",
                "jz 3f",
                "2:",
                "tileloadd tmm6, [{first_weights} + {width}]",
                "tileloadd tmm4, [{first_codes} + {stride}]",
                "tdpbusd tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{second_weights} + {width}]",
                "tdpbusd tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{second_codes} + {stride}]",
                "tdpbusd tmm2, tmm5, tmm6",
                "tdpbusd tmm3, tmm5, tmm7",
                "add {first_codes}, 64",
                "add {second_codes}, 64",
                "add {first_weights}, 1024",
                "add {second_weights}, 1024",
                "dec {steps}",
                "jnz 2b",
                "3:",
                "tilestored [{sums} + {width}], tmm0",
                "tilestored [{sums} + {width} + 1024], tmm1",
                "tilestored [{sums} + {width} + 2048], tmm2",
                "tilestored [{sums} + {width} + 3072], tmm3",
                sums = in(reg) sums.as_mut_ptr(),
                width = in(reg) 64_usize,
                stride = in(reg) operands.stride,
                steps = inout(reg) operands.steps => _,
                first_codes = inout(reg) first_codes => _,
                second_codes = inout(reg) second_codes => _,
                first_weights = inout(reg) first_weights => _,
                second_weights = inout(reg) second_weights => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack)
            );
        }
    }
}
