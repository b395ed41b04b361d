/// An element-wise function, applied to a layer's sums before they are stored.
///
/// Errors are against the exact value of the rounded input, in units in the last place of the result, over all finite `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x`.
    Identity,
    /// `max(x, 0)`; NaN stays NaN.
    Relu,
    /// `tanh(x)`, within 2 ulp.
    Tanh,
    /// `1 / (1 + exp(-x))`, within 3 ulp.
    Sigmoid,
    /// `x · Φ(x)`, exact form (Hendrycks & Gimpel, 2016), within 5 ulp.
    Gelu,
}
