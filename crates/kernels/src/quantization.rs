/// Affine quantization of a real number to `u8`: `code = clamp(round_half_even(x / scale) + zero_point, 0, 255)`
/// (Jacob et al., 2018; ONNX QuantizeLinear). NaN takes the lowest code.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quantization {
    /// The width of one step; finite and above zero.
    pub scale: f32,
    /// The code that stands for zero.
    pub zero_point: u8,
}

impl Quantization {
    /// The least and greatest value of `round(x / scale)` that has a code of its own.
    pub(crate) fn limits(self) -> (f32, f32) {
        let zero_point = f32::from(self.zero_point);
        (-zero_point, 255.0 - zero_point)
    }
}
