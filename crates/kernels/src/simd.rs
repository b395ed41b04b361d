use crate::Bf16;

/// An instruction set as the kernels see it: sixteen lanes at a time, one lane per output of a panel.
///
/// A value of such a type proves that the processor has the instruction set; only its `detect` makes one. That is why the methods
/// are safe. They are compiled for the instruction set only where they are inlined into [`Simd::vectorize`].
///
/// Where an operation has a choice, it is that of the definition in `scalar`: products are fused only in [`Simd::fma`], and
/// [`Simd::maximum`] and [`Simd::minimum`] give the second operand when the first is not beyond it or one is NaN.
pub(crate) trait Simd: Copy {
    /// Sixteen `f32`.
    type Real: Copy;
    /// Sixteen `i32`.
    type Integer: Copy;
    /// What a part of a block of weight codes becomes before it is multiplied.
    type Weights: Copy;
    /// What a part of four input codes becomes, the same in every lane.
    type Codes: Copy;

    /// How many panels of sums stay in registers beside what a step needs.
    const SUMS: usize;
    /// How many neighbouring inputs a lane multiplies at once; it decides the order of weight codes in a block.
    const GROUP: usize;
    /// What is taken off an input code before it is multiplied.
    const CODE_OFFSET: u8 = 0;
    /// In how many parts the four inputs of a block are taken.
    const PARTS: usize = 4 / Self::GROUP;

    /// Runs a kernel compiled for the instruction set.
    fn vectorize<K: Kernel>(self, kernel: K) -> K::Output;

    fn splat(self, value: f32) -> Self::Real;
    fn load(self, values: &[f32; 16]) -> Self::Real;
    /// The `f32` of which these are the upper halves.
    fn load_bf16(self, values: &[Bf16; 16]) -> Self::Real;
    /// The codes as they are.
    fn load_codes(self, codes: &[i8; 16]) -> Self::Real;
    fn store(self, vector: Self::Real, values: &mut [f32; 16]);
    fn add(self, a: Self::Real, b: Self::Real) -> Self::Real;
    fn sub(self, a: Self::Real, b: Self::Real) -> Self::Real;
    fn mul(self, a: Self::Real, b: Self::Real) -> Self::Real;
    fn div(self, a: Self::Real, b: Self::Real) -> Self::Real;
    /// `a · b + c`, rounded once.
    fn fma(self, a: Self::Real, b: Self::Real, c: Self::Real) -> Self::Real;
    /// As [`Simd::fma`], but the compiler keeps such products in the order in which they are written, and reads from memory what they need
    /// right before them. Left free, it reads ahead more than there are registers for and puts the sums of a tile on the stack.
    #[inline(always)]
    fn fma_in_order(self, a: Self::Real, b: Self::Real, c: Self::Real) -> Self::Real {
        self.fma(a, b, c)
    }
    /// `a` where it is greater, else `b`.
    fn maximum(self, a: Self::Real, b: Self::Real) -> Self::Real;
    /// `a` where it is less, else `b`.
    fn minimum(self, a: Self::Real, b: Self::Real) -> Self::Real;
    /// To the nearest integer, ties to even.
    fn round(self, a: Self::Real) -> Self::Real;
    /// `|a|`.
    fn magnitude(self, a: Self::Real) -> Self::Real;
    /// `-a`, also of zero.
    fn negate(self, a: Self::Real) -> Self::Real;
    /// `a`, which is not negative, with the sign of `sign`.
    fn with_sign(self, a: Self::Real, sign: Self::Real) -> Self::Real;
    /// `then` where `a < b`, else `otherwise`, also where one is NaN.
    fn where_less(self, a: Self::Real, b: Self::Real, then: Self::Real, otherwise: Self::Real) -> Self::Real;
    /// `otherwise` where `a` is NaN, else `a`.
    fn unless_nan(self, a: Self::Real, otherwise: Self::Real) -> Self::Real;
    /// Whether no lane is infinite or NaN.
    fn all_finite(self, a: Self::Real) -> bool;
    /// `a · 2ⁿ` for integral `-252 <= n <= 254`, in two factors, since `2ⁿ` itself may be outside the normal range.
    fn scale(self, a: Self::Real, n: Self::Real) -> Self::Real;
    /// Lane `i` of vector `j` becomes lane `j` of vector `i`.
    fn transpose(self, square: [Self::Real; 16]) -> [Self::Real; 16];

    /// Asks for the line of memory at an address, which need not be valid. Where there is no such instruction, nothing happens.
    fn prefetch(self, address: *const u8);

    fn zero(self) -> Self::Integer;
    fn load_integer(self, values: &[i32; 16]) -> Self::Integer;
    fn sub_integer(self, a: Self::Integer, b: Self::Integer) -> Self::Integer;
    /// The nearest `f32`.
    fn to_real(self, a: Self::Integer) -> Self::Real;
    /// Stores `step + zero_point` as bytes; steps are integral and the sums between 0 and 255.
    fn store_codes(self, steps: Self::Real, zero_point: u8, codes: &mut [u8; 16]);
    /// Part `part` of the weight codes that meet four inputs in one panel.
    fn weights(self, block: &[i8; 64], part: usize) -> Self::Weights;
    /// Part `part` of four input codes.
    fn codes(self, four: [u8; 4], part: usize) -> Self::Codes;
    /// Adds to each lane the products of its own codes, with `CODE_OFFSET` taken off, and weights that all lanes share, exactly: four of
    /// each, or two of two bytes where `GROUP` is two.
    fn dot_rows(self, sums: Self::Integer, codes: &[u8; 64], weights: [u8; 4]) -> Self::Integer;
    /// Adds the products of one part to the sums, exactly.
    fn dot(self, sums: Self::Integer, weights: Self::Weights, codes: Self::Codes) -> Self::Integer;
    /// As [`Simd::dot`], in the order in which it is written, as [`Simd::fma_in_order`].
    #[inline(always)]
    fn dot_in_order(self, sums: Self::Integer, weights: Self::Weights, codes: Self::Codes) -> Self::Integer {
        self.dot(sums, weights, codes)
    }
}

/// A piece of work that is compiled once for each instruction set. `run` is always inlined, and so is what it calls.
pub(crate) trait Kernel {
    type Output;

    fn run<S: Simd>(self, simd: S) -> Self::Output;
}
