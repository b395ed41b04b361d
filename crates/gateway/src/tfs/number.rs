//! Numbers as TensorFlow Serving writes them: a floating-point one always has a point, and the three words are bare.

use std::fmt::Write;

/// Writes a floating-point number, in its shortest form that reads as itself.
pub(super) fn write(text: &mut String, value: f32) {
    let word = if value.is_nan() {
        "NaN"
    } else if value == f32::INFINITY {
        "Infinity"
    } else if value == f32::NEG_INFINITY {
        "-Infinity"
    } else {
        // Writing to a String cannot fail.
        let _ = write!(text, "{value:?}");
        return;
    };
    text.push_str(word);
}

/// The same for a wider one.
pub(super) fn write_wide(text: &mut String, value: f64) {
    if value.is_finite() {
        // Writing to a String cannot fail.
        let _ = write!(text, "{value:?}");
    } else {
        write(text, value as f32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floating_point_numbers_keep_their_point_and_words_are_bare() {
        let of = |value| {
            let mut text = String::new();
            write(&mut text, value);
            text
        };
        assert_eq!(of(1.0), "1.0");
        assert_eq!(of(0.1), "0.1");
        assert_eq!(of(f32::NAN), "NaN");
        assert_eq!(of(f32::NEG_INFINITY), "-Infinity");
        assert_eq!(of(1e30).parse::<f32>().unwrap(), 1e30);
    }
}
