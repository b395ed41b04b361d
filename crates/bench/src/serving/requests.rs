//! The rows that everybody is asked about, one in each request.

use std::sync::Arc;

use bytes::Bytes;
use leat_contract::{Encoding, InferRequest, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::Error;

/// Rows, each another one.
pub(super) const ROWS: usize = 256;
const FEATURES: usize = 64;
const SEED: u64 = 20_240_601;
/// Shades of grey of a pixel; a feature is a shade's share of them.
const SHADES: u32 = 16;

/// The requests in one encoding, in the same order in each.
///
/// # Errors
/// Never, for rows that stand here.
pub(super) fn encoded(encoding: Encoding) -> Result<Arc<[Bytes]>, Error> {
    let mut random = ChaCha8Rng::seed_from_u64(SEED);
    (0..ROWS)
        .map(|_| {
            let pixel = |_| (random.next_u32() % (SHADES + 1)) as f32 / SHADES as f32;
            let pixels = (0..FEATURES).map(pixel).collect();
            let tensor = Tensor::new("input", vec![1, FEATURES], TensorData::Fp32(pixels))?;
            Ok(InferRequest::tensors(vec![tensor]).encode(encoding)?.into())
        })
        .collect()
}
