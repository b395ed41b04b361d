use std::ops::Range;

use leat_kernels::{
    Activation, DenseU8, DenseU8Parts, Kernels, Output, PANEL, Panels, Quantization, Rows, SparseF32,
    SparseU8,
};
use leat_model::{ActivationQuantization, Dense, Encoding};
use leat_pauses::pause;

use super::stored::Stored;
use super::without_zeros::WithoutZeros;
use crate::Error;

/// Layers with a larger share of nonzero weights, or of nonzero blocks of weights, are not even tried without their zeros.
const DENSITY_MAX: f64 = 0.5;

/// Rows of fewer values are checked and quantized together with what lies between them, since one by one they would hardly fill a vector.
const ALONE_MIN: usize = 256;

/// A packed layer.
pub(crate) enum Layer {
    /// Runs on rows of `f32`.
    Real(RealLayer),
    /// Runs on rows of codes.
    Integer(IntegerLayer),
}

/// A layer on rows of `f32`, also without its zeros when that was measured to be faster.
pub(crate) struct RealLayer {
    dense: Stored,
    pub(crate) sparse: Option<WithoutZeros<SparseF32>>,
}

/// A layer on rows of codes, likewise.
pub(crate) struct IntegerLayer {
    dense: DenseU8,
    pub(crate) sparse: Option<WithoutZeros<SparseU8>>,
    input: Quantization,
}

/// Rows that go into a layer on `f32`.
#[derive(Clone, Copy)]
pub(crate) struct RealInput<'a> {
    pub(crate) rows: Rows<'a, f32>,
    /// Whether it is known that no value is infinite or NaN.
    pub(crate) is_finite: bool,
}

/// Working memory that layers need beside their rows.
#[derive(Clone, Copy, Default)]
pub(crate) struct Workspace {
    pub(crate) values: usize,
    pub(crate) codes: usize,
}

impl Workspace {
    /// What is enough for either.
    pub(crate) fn max(self, other: Self) -> Self {
        Self { values: self.values.max(other.values), codes: self.codes.max(other.codes) }
    }
}

impl Layer {
    /// Packs a layer of a valid network.
    pub(crate) fn pack(dense: &Dense, kernels: Kernels) -> Result<Self, Error> {
        match (&dense.weights.encoding, dense.input_quantization) {
            (Encoding::Int8 { codes, scales }, Some(input)) => {
                let (input, activation) = (quantization(input), activation(dense.activation));
                let parts = DenseU8Parts { codes, scales, bias: &dense.bias, input, activation };
                IntegerLayer::pack(&parts, dense.inputs(), kernels).map(Self::Integer)
            }
            _ => Ok(Self::Real(RealLayer::pack(dense, kernels))),
        }
    }

    /// The quantization of the rows that go in, when the layer runs on integers.
    pub(crate) fn input_quantization(&self) -> Option<Quantization> {
        match self {
            Self::Real(_) => None,
            Self::Integer(layer) => Some(layer.input),
        }
    }

    /// What was chosen by measuring: `, 784-512 without zeros from 32 rows on`.
    pub(crate) fn describe_choice(&self) -> Option<String> {
        let (stored, rows_min) = match self {
            Self::Real(layer) => {
                (layer.dense.compact(), layer.sparse.as_ref().map(|sparse| sparse.limits.rows_min))
            }
            Self::Integer(layer) => (None, layer.sparse.as_ref().map(|sparse| sparse.limits.rows_min)),
        };
        let weights = stored.map(|(name, rows_max)| match rows_max {
            None => format!(" with {name} weights"),
            Some(rows_max) => format!(" with {name} weights up to {rows_max} rows"),
        });
        let sparse = rows_min.map(|rows_min| format!(" without zeros from {rows_min} rows on"));
        let choice = weights.into_iter().chain(sparse).collect::<String>();
        let is_plain = choice.is_empty();
        (!is_plain).then(|| format!(", {}-{}{choice}", self.inputs(), self.outputs()))
    }

    /// How much working memory the layer needs beside so many rows.
    pub(crate) fn workspace(&self, rows: usize) -> Workspace {
        match self {
            Self::Real(RealLayer { sparse, .. }) => {
                let values = sparse.as_ref().map_or(0, |sparse| sparse.layer.workspace());
                Workspace { values, codes: 0 }
            }
            Self::Integer(IntegerLayer { dense, sparse, .. }) => {
                let sparse = sparse.as_ref().map_or(0, |sparse| sparse.layer.workspace());
                Workspace { values: 0, codes: dense.workspace(rows).max(sparse) }
            }
        }
    }

    /// How many bytes of memory its weights take, in every way they are stored.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Real(RealLayer { dense, sparse }) => {
                dense.bytes() + sparse.as_ref().map_or(0, |sparse| sparse.layer.bytes())
            }
            Self::Integer(IntegerLayer { dense, sparse, .. }) => {
                dense.bytes() + sparse.as_ref().map_or(0, |sparse| sparse.layer.bytes())
            }
        }
    }

    /// How many bytes of weights are read for a few rows.
    pub(crate) fn bytes_read_by_few(&self) -> usize {
        match self {
            Self::Real(layer) => layer.dense.for_rows(1).bytes(),
            Self::Integer(layer) => layer.dense.panels() * PANEL * layer.dense.padded_inputs(),
        }
    }

    /// Whether so many rows are run without the zeros.
    pub(crate) fn is_without_zeros(&self, rows: usize) -> bool {
        let limits = match self {
            Self::Real(layer) => layer.sparse.as_ref().map(|sparse| sparse.limits),
            Self::Integer(layer) => layer.sparse.as_ref().map(|sparse| sparse.limits),
        };
        limits.is_some_and(|limits| rows >= limits.rows_min)
    }

    /// How many panels of outputs the layer has.
    pub(crate) fn panels(&self) -> usize {
        match self {
            Self::Real(layer) => layer.dense.panels(),
            Self::Integer(layer) => layer.dense.panels(),
        }
    }

    /// The distance between the starts of two rows that come out.
    pub(crate) fn stride(&self) -> usize {
        match self {
            Self::Real(layer) => layer.dense.stride(),
            Self::Integer(layer) => layer.dense.stride(),
        }
    }

    /// The length of a row that comes out.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Real(layer) => layer.dense.outputs(),
            Self::Integer(layer) => layer.dense.outputs(),
        }
    }

    /// How many values or codes of a row are read.
    pub(crate) fn inputs_read(&self) -> usize {
        match self {
            Self::Real(layer) => layer.dense.inputs(),
            Self::Integer(layer) => layer.dense.padded_inputs(),
        }
    }

    /// The length of a row that goes in.
    fn inputs(&self) -> usize {
        match self {
            Self::Real(layer) => layer.dense.inputs(),
            Self::Integer(layer) => layer.dense.inputs(),
        }
    }
}

impl RealLayer {
    fn pack(dense: &Dense, kernels: Kernels) -> Self {
        let (weights, activation) = (dense.weights.as_f32(), activation(dense.activation));
        pause();
        let stored = Stored::pack(dense, &weights, kernels);
        let has_many_zeros = dense.weights.nonzero() as f64 <= weights.len() as f64 * DENSITY_MAX;
        let sparse = has_many_zeros.then(|| SparseF32::pack(&weights, &dense.bias, activation));
        pause();
        let sparse =
            sparse.and_then(|sparse| WithoutZeros::<SparseF32>::unless_slower(sparse, &stored, kernels));
        Self { dense: stored, sparse }
    }

    /// Runs rows through the layer.
    pub(crate) fn run(
        &self,
        kernels: Kernels,
        input: RealInput<'_>,
        mut output: Output<'_>,
        workspace: &mut [f32],
    ) {
        let RealInput { rows, is_finite } = input;
        // Zero weights may not be left out where an input is infinite: their product would be NaN.
        let is_finite = || is_finite || self.is_finite(kernels, rows);
        match &self.sparse {
            Some(sparse) if rows.count >= sparse.limits.rows_min && is_finite() => {
                let (whole, rest) = sparse.limits.split(rows);
                kernels.sparse_f32(&sparse.layer, whole, output.reborrow(), workspace);
                self.dense.run(kernels, rest, output.skip(whole.count * self.dense.stride()));
            }
            _ => self.dense.run(kernels, rows, output),
        }
    }

    /// Computes some panels of outputs, with the zeros.
    pub(crate) fn run_panels(
        &self,
        kernels: Kernels,
        panels: Range<usize>,
        rows: Rows<'_, f32>,
        output: Output<'_>,
    ) {
        self.dense.run_panels(kernels, panels, rows, output);
    }

    /// Whether no value of the rows is infinite or NaN.
    fn is_finite(&self, kernels: Kernels, rows: Rows<'_, f32>) -> bool {
        let (inputs, Rows { values, stride, count }) = (self.dense.inputs(), rows);
        let are_finite = |values: &[f32]| kernels.first_not_finite(values).is_none();
        if inputs >= ALONE_MIN {
            return values.chunks(stride).take(count).all(|row| are_finite(&row[..inputs]));
        }
        are_finite(&values[..count * stride])
    }
}

impl IntegerLayer {
    fn pack(parts: &DenseU8Parts<'_>, inputs: usize, kernels: Kernels) -> Result<Self, Error> {
        if inputs > DenseU8::INPUTS_MAX {
            let max = DenseU8::INPUTS_MAX;
            let what =
                format!("an integer layer of {inputs} inputs; more than {max} overflow its 32-bit sums");
            return Err(Error::Unsupported { what });
        }
        let product = |scale: &f32| parts.input.scale * scale;
        if let Some(scale) = parts.scales.iter().find(|scale| !product(scale).is_finite()) {
            let input = parts.input.scale;
            let what = format!("an integer layer whose scales multiply beyond f32: {input:e} · {scale:e}");
            return Err(Error::Unsupported { what });
        }
        let dense = DenseU8::pack(parts, kernels);
        pause();
        let has_many_zeros = SparseU8::density_of(parts, kernels) <= DENSITY_MAX;
        pause();
        let sparse = has_many_zeros.then(|| SparseU8::pack(parts, kernels));
        pause();
        let sparse =
            sparse.and_then(|sparse| WithoutZeros::<SparseU8>::unless_slower(sparse, &dense, kernels));
        Ok(Self { dense, sparse, input: parts.input })
    }

    /// Quantizes rows of inputs and gives the distance between two rows of codes. What lies past the inputs of a row is unspecified.
    ///
    /// # Errors
    /// The first row with a value that is infinite or NaN. A code for it would be as good as any other.
    pub(crate) fn quantize(
        &self,
        kernels: Kernels,
        rows: Rows<'_, f32>,
        codes: &mut [u8],
    ) -> Result<usize, usize> {
        let (inputs, padded) = (self.dense.inputs(), self.dense.padded_inputs());
        let Rows { values, stride, count } = rows;
        let len = count * stride;
        if inputs >= ALONE_MIN {
            for row in 0..count {
                let (from, to) = (&values[row * stride..][..inputs], &mut codes[row * padded..][..inputs]);
                kernels.quantize(from, self.input, to).map_err(|_| row)?;
            }
            return Ok(padded);
        }
        // All at once; what is between the rows does not count.
        if kernels.quantize(&values[..len], self.input, &mut codes[..len]).is_err() {
            let is_finite =
                |row: &usize| kernels.first_not_finite(&values[row * stride..][..inputs]).is_none();
            (0..count).find(|row| !is_finite(row)).map_or(Ok(()), Err)?;
        }
        if stride >= padded {
            return Ok(stride);
        }
        // From the last on, no row is overwritten before it has moved.
        for row in (0..count).rev() {
            codes.copy_within(row * stride..row * stride + inputs, row * padded);
        }
        Ok(padded)
    }

    /// Runs rows through the layer.
    pub(crate) fn run(
        &self,
        kernels: Kernels,
        input: Rows<'_, u8>,
        mut output: Output<'_>,
        workspace: &mut [u8],
    ) {
        match &self.sparse {
            Some(sparse) if input.count >= sparse.limits.rows_min => {
                let (whole, rest) = sparse.limits.split(input);
                kernels.sparse_u8(&sparse.layer, whole, output.reborrow(), workspace);
                let output = output.skip(whole.count * self.dense.stride());
                kernels.dense_u8(&self.dense, rest, output, workspace);
            }
            _ => kernels.dense_u8(&self.dense, input, output, workspace),
        }
    }

    /// Computes some panels of outputs, with the zeros.
    pub(crate) fn run_panels(
        &self,
        (kernels, range): (Kernels, Range<usize>),
        input: Rows<'_, u8>,
        output: Output<'_>,
        workspace: &mut [u8],
    ) {
        let panels = Panels { layer: &self.dense, range };
        kernels.dense_u8_panels(panels, input, output, workspace);
    }

    /// How much working memory [`IntegerLayer::run_panels`] needs for so many rows.
    pub(crate) fn workspace_of_panels(&self, rows: usize) -> usize {
        self.dense.workspace(rows)
    }
}

pub(crate) fn activation(activation: leat_model::Activation) -> Activation {
    match activation {
        leat_model::Activation::Identity => Activation::Identity,
        leat_model::Activation::Relu => Activation::Relu,
        leat_model::Activation::Tanh => Activation::Tanh,
        leat_model::Activation::Sigmoid => Activation::Sigmoid,
        leat_model::Activation::Gelu => Activation::Gelu,
    }
}

fn quantization(quantization: ActivationQuantization) -> Quantization {
    Quantization { scale: quantization.scale, zero_point: quantization.zero_point }
}
