//! What a layer stores, to be compared between instruction sets.

use leat_kernels::{Kernels, Output, Quantization};

/// Every set that this processor runs, but for the definition.
pub(crate) fn others() -> impl Iterator<Item = Kernels> {
    Kernels::available().into_iter().filter(|kernels| kernels.name() != "scalar")
}

/// Bits, save that all NaN are one: which of several NaN an operation gives is not specified.
pub(crate) fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
}

/// Where a layer's rows go: as values, or as codes.
#[derive(Debug, PartialEq)]
pub(crate) enum Stored {
    Values(Vec<u32>),
    Codes(Vec<u8>),
}

/// What a place holds in which no kernel has stored anything, as a value and as a code.
pub(crate) fn untouched() -> (f32, u8) {
    (7.0, 7)
}

pub(crate) fn store(len: usize, target: Option<Quantization>, run: impl FnOnce(Output<'_>)) -> Stored {
    match target {
        None => {
            let mut values = vec![untouched().0; len];
            run(Output::Values(&mut values));
            Stored::Values(bits(&values))
        }
        Some(quantization) => {
            let mut codes = vec![untouched().1; len];
            run(Output::Codes(&mut codes, quantization));
            Stored::Codes(codes)
        }
    }
}
