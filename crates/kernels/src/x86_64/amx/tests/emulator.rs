//! Tiles in software, for processors that have none: such a processor refuses each instruction with a signal, whose handler does what Intel's
//! manual says of it (Software Developer's Manual, volume 2, "TDPBSSD/TDPBSUD/TDPBUSD/TDPBUUD" and the others) and goes on behind it. So
//! the very bytes that the assembly became are run, with their registers, addresses and strides.

use std::ffi::{c_int, c_void};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use libc::{siginfo_t, ucontext_t};

const TILES: usize = 8;
const ROWS_MAX: usize = 16;
const ROW_BYTES_MAX: usize = 64;

static STATE: Mutex<State> = Mutex::new(State { tiles: [Tile::EMPTY; TILES] });
/// One test at a time: the state is that of a thread.
static TURN: Mutex<()> = Mutex::new(());
static INSTALLED: Once = Once::new();

/// Emulates tiles from now on, for one test as long as what is returned lives.
pub(super) fn emulate() -> MutexGuard<'static, ()> {
    INSTALLED.call_once(|| {
        // SAFETY: the handler has the signature that `SA_SIGINFO` asks for, and the structure is valid when it is zero.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = refused as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO;
            assert_eq!(libc::sigaction(libc::SIGILL, &raw const action, std::ptr::null_mut()), 0);
        }
    });
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the state was given back.
pub(super) fn is_released() -> bool {
    let state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    state.tiles.iter().all(|tile| tile.rows == 0)
}

struct State {
    tiles: [Tile; TILES],
}

#[derive(Clone, Copy)]
struct Tile {
    rows: usize,
    row_bytes: usize,
    bytes: [[u8; ROW_BYTES_MAX]; ROWS_MAX],
}

impl Tile {
    const EMPTY: Self = Self { rows: 0, row_bytes: 0, bytes: [[0; ROW_BYTES_MAX]; ROWS_MAX] };

    fn configured(&mut self) -> Option<&mut Self> {
        (self.rows > 0 && self.row_bytes > 0).then_some(self)
    }

    /// # Safety
    /// There are as many rows of bytes to be read.
    unsafe fn load(&mut self, start: usize, stride: usize) {
        self.bytes = Self::EMPTY.bytes;
        for row in 0..self.rows {
            let from = start.wrapping_add(row.wrapping_mul(stride)) as *const u8;
            // SAFETY: the caller.
            unsafe { from.copy_to(self.bytes[row].as_mut_ptr(), self.row_bytes) };
        }
    }

    /// # Safety
    /// There are as many rows of bytes to be written.
    unsafe fn store(&self, start: usize, stride: usize) {
        for row in 0..self.rows {
            let to = start.wrapping_add(row.wrapping_mul(stride)) as *mut u8;
            // SAFETY: the caller.
            unsafe { self.bytes[row].as_ptr().copy_to(to, self.row_bytes) };
        }
    }

    fn sum(&self, row: usize, column: usize) -> i32 {
        i32::from_le_bytes(std::array::from_fn(|byte| self.bytes[row][4 * column + byte]))
    }
}

extern "C" fn refused(_signal: c_int, _info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes the context of the thread that was interrupted, and the processor has just read the instruction.
    unsafe {
        let registers = &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs;
        let code = registers[libc::REG_RIP as usize] as *const u8;
        let Some(length) = Instruction::decode(code, registers).and_then(|it| it.run()) else {
            // What is no business of ours ends the process, as ever.
            libc::signal(libc::SIGILL, libc::SIG_DFL);
            return;
        };
        registers[libc::REG_RIP as usize] += length;
    }
}

/// An instruction with a prefix of three bytes (`VEX.128.0F38.W0`).
struct Instruction {
    opcode: u8,
    /// What the obsolete prefixes have become: 0 for none, 1 for `66`, 2 for `F3`, 3 for `F2`.
    prefix: u8,
    reg: usize,
    vvvv: usize,
    operand: Operand,
    length: i64,
}

enum Operand {
    Register(usize),
    /// Without a stride where the address has no such part.
    Memory {
        start: usize,
        stride: Option<usize>,
    },
}

impl Instruction {
    /// # Safety
    /// `code` points to an instruction.
    unsafe fn decode(code: *const u8, registers: &[i64; 23]) -> Option<Self> {
        // SAFETY: no byte is read that the bytes before it do not announce; an instruction that is refused is followed by others.
        let byte = |at: usize| unsafe { *code.add(at) };
        let (is_far, is_far_index, is_far_base) =
            (byte(1) & 0x80 == 0, byte(1) & 0x40 == 0, byte(1) & 0x20 == 0);
        if byte(0) != 0xc4 || byte(1) & 0x1f != 2 || byte(2) & 0x84 != 0 || is_far {
            return None;
        }
        let (kind, reg, rm) = (byte(4) >> 6, usize::from(byte(4) >> 3 & 7), byte(4) & 7);
        let mut length = 5;
        let operand = if kind == 3 {
            Operand::Register(usize::from(rm))
        } else {
            let value =
                |number: u8, is_far: bool| general(registers, usize::from(number) + 8 * usize::from(is_far));
            let (base, stride) = match rm {
                4 => {
                    let sib = byte(5);
                    length += 1;
                    let has_index = sib >> 3 & 7 != 4 || is_far_index;
                    let index = if has_index { value(sib >> 3 & 7, is_far_index) } else { 0 };
                    (sib & 7, Some((index << (sib >> 6)) as usize))
                }
                _ => (rm, None),
            };
            let displacement = match kind {
                0 if base == 5 => return None,
                0 => 0,
                1 => i64::from(byte(length) as i8),
                _ => i64::from(i32::from_le_bytes(std::array::from_fn(|at| byte(length + at)))),
            };
            length += [0, 1, 4][usize::from(kind)];
            let start = value(base, is_far_base).wrapping_add(displacement) as usize;
            Operand::Memory { start, stride }
        };
        let vvvv = usize::from(!byte(2) >> 3 & 15);
        Some(Self { opcode: byte(3), prefix: byte(2) & 3, reg, vvvv, operand, length: length as i64 })
    }

    /// Gives how long the instruction is, unless it is none of tiles, or one that a processor refuses.
    ///
    /// # Safety
    /// What its addresses point to is valid, as for a processor that has tiles.
    unsafe fn run(&self) -> Option<i64> {
        let mut state = STATE.try_lock().ok()?;
        let tiles = &mut state.tiles;
        let is_multiply = self.opcode == 0x5e;
        if !is_multiply && self.vvvv != 0 {
            return None;
        }
        // SAFETY: the caller.
        unsafe {
            match (self.opcode, self.prefix, &self.operand) {
                (0x49, 0, Operand::Memory { start, .. }) => configure(tiles, *start as *const [u8; 64])?,
                (0x49, 0, Operand::Register(0)) => *tiles = [Tile::EMPTY; TILES],
                (0x4b, 3, Operand::Memory { start, stride: Some(stride) }) => {
                    tiles[self.reg].configured()?.load(*start, *stride);
                }
                (0x4b, 2, Operand::Memory { start, stride: Some(stride) }) => {
                    tiles[self.reg].configured()?.store(*start, *stride);
                }
                (0x5e, 1, &Operand::Register(codes)) => multiply(tiles, [self.reg, codes, self.vvvv])?,
                _ => return None,
            }
        }
        Some(self.length)
    }
}

/// A general register by the number that instructions give it.
fn general(registers: &[i64; 23], number: usize) -> i64 {
    use libc::*;
    let order = [
        REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10,
        REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
    ];
    registers[order[number] as usize]
}

/// Palette 1 from the first row on; what is reserved is zero.
unsafe fn configure(tiles: &mut [Tile; TILES], config: *const [u8; 64]) -> Option<()> {
    // SAFETY: the caller.
    let config = unsafe { &*config };
    let reserved = [&config[1..16], &config[32..48], &config[56..]];
    if config[0] != 1 || reserved.concat().iter().any(|&byte| byte != 0) {
        return None;
    }
    for (index, tile) in tiles.iter_mut().enumerate() {
        let row_bytes = usize::from(u16::from_le_bytes([config[16 + 2 * index], config[17 + 2 * index]]));
        let rows = usize::from(config[48 + index]);
        if rows > ROWS_MAX || row_bytes > ROW_BYTES_MAX {
            return None;
        }
        *tile = Tile { rows, row_bytes, ..Tile::EMPTY };
    }
    Some(())
}

/// `tdpbusd`: bytes without a sign of the second tile times bytes with one of the third, four of each added to each sum of the first.
fn multiply(tiles: &mut [Tile; TILES], [sums, codes, weights]: [usize; 3]) -> Option<()> {
    let (codes_of, weights_of) = (*tiles[codes].configured()?, *tiles.get_mut(weights)?.configured()?);
    let sums_of = tiles[sums].configured()?;
    let are_distinct = sums != codes && sums != weights && codes != weights;
    let fits = sums_of.rows == codes_of.rows
        && sums_of.row_bytes == weights_of.row_bytes
        && codes_of.row_bytes == 4 * weights_of.rows;
    if !are_distinct || !fits {
        return None;
    }
    for row in 0..sums_of.rows {
        for column in 0..sums_of.row_bytes / 4 {
            let mut sum = sums_of.sum(row, column);
            for (group, weights) in weights_of.bytes[..weights_of.rows].iter().enumerate() {
                let codes = &codes_of.bytes[row][4 * group..][..4];
                let products = codes.iter().zip(&weights[4 * column..]);
                let products = products.map(|(&code, &weight)| i32::from(code) * i32::from(weight as i8));
                sum = products.fold(sum, i32::wrapping_add);
            }
            sums_of.bytes[row][4 * column..][..4].copy_from_slice(&sum.to_le_bytes());
        }
    }
    Some(())
}
