//! The constants of the elementary functions, shared by all instruction sets.

/// Below this `exp` is zero, also as a subnormal.
pub(crate) const EXP_MIN: f32 = -104.0;
/// Above this `exp` is infinite.
pub(crate) const EXP_MAX: f32 = 89.0;
/// `ln 2` in two parts; the first has trailing zeros so that its product with a small integer is exact (Cody & Waite, 1980).
pub(crate) const LN_2_HIGH: f32 = 0.693_359_4;
/// The rest of `ln 2`.
pub(crate) const LN_2_LOW: f32 = -2.121_944_4e-4;
/// `(exp(r) - 1 - r) / r²` on `|r| <= ln(2) / 2`, highest power first (Cephes, `expf`).
pub(crate) const EXP: [f32; 6] =
    [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5];

/// From here on `tanh` goes through `exp`.
pub(crate) const TANH_SMALL: f32 = 0.625;
/// `(tanh(x) - x) / x³` in `x²` on `|x| < 0.625`, highest power first (Cephes, `tanhf`).
pub(crate) const TANH: [f32; 5] =
    [-5.704_988_7e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1];

/// From here on `Φ(-a)` is zero, also as a subnormal.
pub(crate) const NORMAL_MAX: f32 = 15.0;
/// `(1 + a) · Φ(-a) · exp(a² / 2)` in `(a - 4) / (a + 4)` on `0 <= a <= 15`, highest power first. A minimax fit; the change
/// of variable is that of Shepherd & Laframboise (1981). Relative error below 2e-9 before rounding.
pub(crate) const NORMAL: [f32; 11] = [
    -7.198_247_5e-5,
    -6.154_355e-5,
    6.922_14e-4,
    -3.034_406_4e-4,
    -5.003_946_4e-3,
    1.794_022_7e-2,
    -3.219_735e-2,
    2.859_996_8e-2,
    1.399_96e-2,
    -9.670_347e-2,
    4.720_532e-1,
];
