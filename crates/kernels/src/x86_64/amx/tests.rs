//! What is written for tiles, run on any processor: on one that has them, or by an emulator.

mod emulator;

use super::*;
use crate::{Activation, DenseU8, DenseU8Parts, Kernels, Output, Panels, Quantization, Rows};

/// Runs what needs tiles.
fn with_tiles<T>(run: impl FnOnce(Amx) -> T) -> T {
    match Amx::detect() {
        Some(amx) => run(amx),
        None => {
            let _emulated = emulator::emulate();
            let result = run(Amx { avx512: Avx512::detect().unwrap_or_else(Avx512::unproven) });
            assert!(emulator::is_released(), "the state of tiles is given back");
            result
        }
    }
}

/// Bytes that do not come again after a few rows or panels.
fn codes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn weights(len: usize) -> Vec<i8> {
    codes(len + 1).into_iter().skip(1).map(|code| code as i8).collect()
}

/// The sum that belongs to a row of codes and to a column of weights, in which four inputs lie side by side.
fn exact(codes: &[u8], weights: &[i8], column: usize) -> i32 {
    let product = |(input, &code): (usize, &u8)| {
        i32::from(code) * i32::from(weights[input / 4 * 64 + column * 4 + input % 4])
    };
    codes.iter().enumerate().map(product).sum()
}

#[test]
fn tiles_add_the_products_of_two_tiles_of_rows_and_two_panels() {
    const STRIDE: usize = 3 * CODES + 20;
    let (codes, weights) = (codes(2 * ROWS * STRIDE), weights(2 * 3 * TILE));
    assert_ne!(codes[..ROWS * STRIDE], codes[ROWS * STRIDE..]);
    assert_ne!(weights[..3 * TILE], weights[3 * TILE..]);
    for steps in 0..=3 {
        let before: [Sums; 4] = std::array::from_fn(|square| {
            std::array::from_fn(|row| {
                std::array::from_fn(|column| (square * 999 + row * 31 + column) as i32 - 500)
            })
        });
        let mut sums = before;
        let (rows, panels) = ([0, ROWS * STRIDE], [0, 3 * TILE]);
        let operands = Operands {
            codes: rows.map(|start| codes[start..].as_ptr()),
            stride: STRIDE,
            weights: panels.map(|start| weights[start..].as_ptr()),
            steps,
        };
        // SAFETY: there are sixteen rows of three steps behind each pointer, and three tiles.
        with_tiles(|amx| unsafe { amx.tiles().multiply(&operands, &mut sums) });
        for (square, (sums, before)) in sums.iter().zip(&before).enumerate() {
            for (row, (sums, before)) in sums.iter().zip(before).enumerate() {
                let row = &codes[rows[square / 2] + row * STRIDE..][..steps * CODES];
                for (column, (&sum, before)) in sums.iter().zip(before).enumerate() {
                    assert_eq!(sum, before + exact(row, &weights[panels[square % 2]..], column));
                }
            }
        }
    }
}

/// Where there is AVX-512, which finishes the sums.
#[test]
fn layers_in_tiles_give_the_bits_of_the_definition() {
    if Avx512::detect().is_none() {
        return;
    }
    let input = Quantization { scale: 0.02, zero_point: 128 };
    for (inputs, outputs) in [(1, 1), (4, 16), (63, 17), (64, 33), (65, 50), (130, 48), (200, 10)] {
        let (weight_codes, bias) = (weights(inputs * outputs), vec![0.25; outputs]);
        let parts = DenseU8Parts {
            codes: &weight_codes,
            scales: &[0.01],
            bias: &bias,
            input,
            activation: Activation::Relu,
        };
        for rows in [1, 15, 16, 17, 31, 32, 33, 50] {
            let run = |kernels: Kernels, target: Option<Quantization>| {
                let layer = DenseU8::pack(&parts, kernels);
                let stride = layer.padded_inputs() + 8;
                let values = codes(rows * stride);
                let rows = Rows { values: &values, stride, count: rows };
                let (mut real, mut coded) =
                    (vec![7.0; rows.count * layer.stride()], vec![7; rows.count * layer.stride()]);
                let mut output = match target {
                    None => Output::Values(&mut real),
                    Some(target) => Output::Codes(&mut coded, target),
                };
                let mut workspace = vec![0; layer.workspace(rows.count)];
                // As threads do that share a layer.
                let (before, all) = (layer.panels() / 2, layer.panels());
                for range in [before..all, 0..before] {
                    let panels = Panels { layer: &layer, range };
                    kernels.dense_u8_panels(panels, rows, output.reborrow(), &mut workspace);
                }
                (real.iter().map(|value| value.to_bits()).collect::<Vec<_>>(), coded)
            };
            for target in [None, Some(Quantization { scale: 0.5, zero_point: 3 })] {
                let found = with_tiles(|amx| run(Kernels::with_tiles(amx), target));
                assert_eq!(
                    found,
                    run(Kernels::scalar(), target),
                    "{rows} rows, {inputs} inputs, {outputs} outputs"
                );
            }
        }
    }
}

#[test]
fn products_in_tiles_are_counted() {
    assert_eq!(with_tiles(|amx| amx.peak_u8(3)), 3 * 4 * 16 * 16 * 64);
}
