use super::activation::exp;
use crate::Rows;
use crate::panel::PANEL;
use crate::simd::{Kernel, Simd};

/// The number of each lane.
const NUMBERS: [f32; PANEL] =
    [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0];

/// The probabilities of each row of logits.
pub(crate) struct Softmax<'a> {
    pub(crate) logits: Rows<'a, f32>,
    pub(crate) classes: usize,
    pub(crate) probabilities: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { logits, classes, probabilities } = self;
        if classes > PANEL || logits.count == 1 {
            for (row, probabilities) in probabilities.chunks_exact_mut(classes).enumerate() {
                softmax(simd, &logits.values[row * logits.stride..], probabilities);
            }
            return;
        }
        for (block, probabilities) in probabilities.chunks_mut(PANEL * classes).enumerate() {
            few_classes(simd, &logits, block * PANEL, classes, probabilities);
        }
    }
}

/// Up to sixteen rows of up to sixteen classes from row `start` on. Here a lane is a row, so that nothing is added up across lanes.
#[inline(always)]
fn few_classes<S: Simd>(
    simd: S,
    logits: &Rows<'_, f32>,
    start: usize,
    classes: usize,
    probabilities: &mut [f32],
) {
    let rows = probabilities.len() / classes;
    let mut square = [simd.splat(0.0); PANEL];
    for (lanes, row) in square.iter_mut().zip(start..start + rows) {
        *lanes = first_lanes(simd, &logits.values[row * logits.stride..], classes);
    }
    let mut by_class = simd.transpose(square);
    let by_class = &mut by_class[..classes];
    let mut max = simd.splat(f32::NEG_INFINITY);
    for &logits in by_class.iter() {
        max = simd.maximum(max, logits);
    }
    let mut sums = [simd.splat(0.0); PANEL];
    for (class, sum) in by_class.iter_mut().zip(&mut sums) {
        *class = exp(simd, simd.sub(*class, max));
        *sum = *class;
    }
    let total = fold_halves(sums, |low, high| simd.add(low, high));
    let mut square = [simd.splat(0.0); PANEL];
    for (lanes, &class) in square.iter_mut().zip(by_class.iter()) {
        *lanes = simd.div(class, total);
    }
    for (row, lanes) in simd.transpose(square).into_iter().enumerate().take(rows) {
        // What goes past the end of a row is overwritten by the next one.
        let place = &mut probabilities[row * classes..];
        match place.first_chunk_mut::<PANEL>() {
            Some(place) => simd.store(lanes, place),
            None => store_first_lanes(simd, lanes, &mut place[..classes]),
        }
    }
}

/// The first `count` of some values and whatever follows.
#[inline(always)]
fn first_lanes<S: Simd>(simd: S, values: &[f32], count: usize) -> S::Real {
    if let Some(values) = values.first_chunk::<PANEL>() {
        return simd.load(values);
    }
    let mut lanes = [0.0; PANEL];
    lanes[..count].copy_from_slice(&values[..count]);
    simd.load(&lanes)
}

#[inline(always)]
fn store_first_lanes<S: Simd>(simd: S, vector: S::Real, place: &mut [f32]) {
    let mut lanes = [0.0; PANEL];
    simd.store(vector, &mut lanes);
    place.copy_from_slice(&lanes[..place.len()]);
}

/// One row, at the start of `logits`. Lanes past the end hold negative infinity, whose exponential adds nothing.
#[inline(always)]
fn softmax<S: Simd>(simd: S, logits: &[f32], probabilities: &mut [f32]) {
    let (out, out_rest) = probabilities.as_chunks_mut::<PANEL>();
    let (chunks, rest) = logits.split_at(out.len() * PANEL);
    let (chunks, _) = chunks.as_chunks::<PANEL>();
    let last = first_lanes(simd, rest, out_rest.len());
    let (numbers, count) = (simd.load(&NUMBERS), simd.splat(out_rest.len() as f32));
    let last = simd.where_less(numbers, count, last, simd.splat(f32::NEG_INFINITY));

    let mut max = simd.maximum(last, simd.splat(f32::NEG_INFINITY));
    for chunk in chunks {
        max = simd.maximum(simd.load(chunk), max);
    }
    let greater = |low: f32, high: f32| if low > high { low } else { high };
    let max = simd.splat(fold_halves(lanes(simd, max), greater));
    let mut sums = simd.splat(0.0);
    for (chunk, out) in chunks.iter().zip(&mut *out) {
        let e = exp(simd, simd.sub(simd.load(chunk), max));
        sums = simd.add(sums, e);
        simd.store(e, out);
    }
    let last = exp(simd, simd.sub(last, max));
    let total = simd.splat(fold_halves(lanes(simd, simd.add(sums, last)), |low, high| low + high));
    for out in out {
        simd.store(simd.div(simd.load(out), total), out);
    }
    store_first_lanes(simd, simd.div(last, total), out_rest);
}

#[inline(always)]
fn lanes<S: Simd>(simd: S, vector: S::Real) -> [f32; PANEL] {
    let mut lanes = [0.0; PANEL];
    simd.store(vector, &mut lanes);
    lanes
}

/// Folds the upper half into the lower one until one is left, as `scalar::softmax::sum_of_lanes` does.
#[inline(always)]
fn fold_halves<T: Copy>(mut values: [T; PANEL], fold: impl Fn(T, T) -> T) -> T {
    let mut half = PANEL / 2;
    while half > 0 {
        for index in 0..half {
            values[index] = fold(values[index], values[index + half]);
        }
        half /= 2;
    }
    values[0]
}
