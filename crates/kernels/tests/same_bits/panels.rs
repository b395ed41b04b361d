//! Panels of a layer that are run alone give the bits of the whole layer, and leave the places of the others as they are.

use std::ops::Range;

use leat_kernels::{Kernels, PANEL, Panels, Rows};
use proptest::prelude::*;

use crate::stored::{Stored, bits, store, untouched};
use crate::{IntegerCase, RealCase, finite, integer_case, real_case, run_integer, run_real};

/// What is stored when only some panels are run.
fn of_panels(whole: Stored, stride: usize, range: &Range<usize>) -> Stored {
    let is_other = |place: usize| !range.contains(&(place % stride / PANEL));
    match (whole, untouched()) {
        (Stored::Values(mut values), (value, _)) => {
            let others = values.iter_mut().enumerate().filter(|(place, _)| is_other(*place));
            others.for_each(|(_, stored)| *stored = bits(&[value])[0]);
            Stored::Values(values)
        }
        (Stored::Codes(mut codes), (_, code)) => {
            let others = codes.iter_mut().enumerate().filter(|(place, _)| is_other(*place));
            others.for_each(|(_, stored)| *stored = code);
            Stored::Codes(codes)
        }
    }
}

/// Some of `count` panels, perhaps none.
fn some(count: usize, [one, other]: [usize; 2]) -> Range<usize> {
    let [one, other] = [one, other].map(|end| end % (count + 1));
    one.min(other)..one.max(other)
}

fn real_panels(kernels: Kernels, case: &RealCase, range: &Range<usize>) -> Stored {
    let RealCase { layer, rows, stride, input, target } = case;
    store(rows * layer.stride(), *target, |output| {
        let rows = Rows { values: input, stride: *stride, count: *rows };
        kernels.dense_real_panels(Panels { layer, range: range.clone() }, rows, output);
    })
}

fn integer_panels(kernels: Kernels, case: &IntegerCase, range: &Range<usize>) -> Stored {
    let IntegerCase { layer, rows, stride, input, target } = case;
    let layer = layer.pack(kernels);
    let mut workspace = vec![0xaa; layer.workspace(*rows)];
    store(rows * layer.stride(), *target, |output| {
        let rows = Rows { values: input, stride: *stride, count: *rows };
        kernels.dense_u8_panels(Panels { layer: &layer, range: range.clone() }, rows, output, &mut workspace);
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn of_real_layers(case in real_case(finite()), ends in any::<[usize; 2]>()) {
        let range = some(case.layer.panels(), ends);
        let whole = || run_real(Kernels::scalar(), &case, 0..case.rows);
        for kernels in Kernels::available() {
            let expected = of_panels(whole(), case.layer.stride(), &range);
            prop_assert_eq!(real_panels(kernels, &case, &range), expected, "{:?} of {:?}", range, kernels);
        }
    }

    #[test]
    fn of_integer_layers(case in integer_case(), ends in any::<[usize; 2]>()) {
        let layer = case.layer.pack(Kernels::scalar());
        let range = some(layer.panels(), ends);
        let whole = || run_integer(Kernels::scalar(), &case, 0..case.rows);
        for kernels in Kernels::available() {
            let expected = of_panels(whole(), layer.stride(), &range);
            prop_assert_eq!(integer_panels(kernels, &case, &range), expected, "{:?} of {:?}", range, kernels);
        }
    }
}
