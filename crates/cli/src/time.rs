//! Spans of time as people write them.

use std::time::Duration;

const UNITS: [(&str, u64); 5] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)];
const SECOND_US: u64 = 1_000_000;

/// `500ms`, `90` (seconds), `90s`, `15m`, `2h`.
///
/// # Errors
/// What is wrong with the text.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_us = match unit {
        "" => Some(SECOND_US),
        unit => UNITS.iter().find(|(name, _)| *name == unit).map(|(_, us)| *us),
    };
    let number: Option<u32> = number.parse().ok();
    match (number, unit_us) {
        (Some(number), Some(unit_us)) => Ok(Duration::from_micros(u64::from(number) * unit_us)),
        _ => Err(format!("{text:?} is no time like 500ms, 90s, 15m or 2h")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        let ms = |text| parse(text).map(|time| time.as_millis());
        assert_eq!(["90", "90s", "15m", "2h"].map(ms), [Ok(90_000), Ok(90_000), Ok(900_000), Ok(7_200_000)]);
        assert_eq!((ms("250ms"), parse("250us")), (Ok(250), Ok(Duration::from_micros(250))));
        for bad in ["soon", "m", "", "-1s", "1.5s", "5d", "99999999999s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
