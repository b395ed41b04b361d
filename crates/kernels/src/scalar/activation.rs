use super::coefficients::{EXP, EXP_MAX, EXP_MIN, LN_2_HIGH, LN_2_LOW, NORMAL, NORMAL_MAX, TANH, TANH_SMALL};
use crate::Activation;

/// `activation(x)`.
pub(crate) fn apply(activation: Activation, x: f32) -> f32 {
    match activation {
        Activation::Identity => x,
        Activation::Relu => relu(x),
        Activation::Tanh => tanh(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::Gelu => gelu(x),
    }
}

/// `max(x, 0)`; NaN and negative zero stay.
fn relu(x: f32) -> f32 {
    if 0.0 > x { 0.0 } else { x }
}

/// `exp(x)` within 1.1 ulp: `2ⁿ · exp(r)` with `|r| <= ln(2) / 2`.
pub(crate) fn exp(x: f32) -> f32 {
    let x = if EXP_MIN > x { EXP_MIN } else { x };
    let x = if EXP_MAX < x { EXP_MAX } else { x };
    let n = (x * std::f32::consts::LOG2_E).round_ties_even();
    let r = n.mul_add(-LN_2_LOW, n.mul_add(-LN_2_HIGH, x));
    let y = polynomial(&EXP, r).mul_add(r * r, r) + 1.0;
    // Two factors, since 2ⁿ itself may be outside the normal range.
    let n = n as i32;
    let half = n >> 1;
    y * power_of_two(half) * power_of_two(n - half)
}

/// `2ⁿ` for `-126 <= n <= 127`.
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// `tanh(x)`: an odd polynomial near zero, else `1 - 2 / (exp(2|x|) + 1)`.
fn tanh(x: f32) -> f32 {
    let a = x.abs();
    let square = a * a;
    let small = polynomial(&TANH, square).mul_add(square * a, a);
    let large = 1.0 - 2.0 / (exp(a + a) + 1.0);
    let magnitude = if a < TANH_SMALL { small } else { large };
    magnitude.copysign(x)
}

/// `1 / (1 + exp(-x))`, by `exp(-|x|)` so that neither side overflows.
fn sigmoid(x: f32) -> f32 {
    let e = exp(-x.abs());
    let numerator = if x >= 0.0 { 1.0 } else { e };
    numerator / (1.0 + e)
}

/// `x · Φ(x) = max(x, 0) - a · Φ(-a)` with `a = |x|`, free of cancellation on both sides.
fn gelu(x: f32) -> f32 {
    let a = x.abs();
    let a = if NORMAL_MAX < a { NORMAL_MAX } else { a };
    let ratio = polynomial(&NORMAL, (a - 4.0) / (a + 4.0)) / (1.0 + a);
    // The rounding of a²/2 would be magnified by the exponential; its error is put back to first order.
    let half = 0.5 * a;
    let square = half * a;
    let error = half.mul_add(a, -square);
    let density = exp(-square);
    let density = density.mul_add(-error, density);
    relu(x) - a * ratio * density
}

fn polynomial<const N: usize>(coefficients: &[f32; N], x: f32) -> f32 {
    let mut sum = coefficients[0];
    for &coefficient in &coefficients[1..] {
        sum = sum.mul_add(x, coefficient);
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::exp;

    /// A prime, so that all exponents and low bits occur.
    const STEP: usize = 3989;

    #[test]
    #[cfg_attr(miri, ignore = "too much for an interpreter")]
    fn exp_is_as_accurate_as_documented() {
        let mut worst = 0.0_f64;
        for x in (0..=u32::MAX).step_by(STEP).map(f32::from_bits).filter(|x| x.is_finite()) {
            let exact = f64::from(x).exp();
            let rounded = exact as f32;
            if rounded.is_infinite() {
                assert_eq!(exp(x), f32::INFINITY, "exp({x})");
                continue;
            }
            let magnitude = rounded.max(f32::MIN_POSITIVE);
            let unit = f64::from(magnitude) - f64::from(magnitude.next_down());
            worst = worst.max((f64::from(exp(x)) - exact).abs() / unit);
        }
        println!("exp: {worst:.3} ulp");
        assert!(worst <= 1.1);
    }

    #[test]
    fn exp_has_its_limits() {
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(f32::INFINITY), f32::INFINITY);
        assert_eq!(exp(-0.0), 1.0);
        assert!(exp(f32::NAN).is_nan());
    }
}
