use leat_pauses::pause;

#[cfg(target_arch = "x86_64")]
use crate::couples::Couples;
use crate::integer_terms::{IntegerLayout, IntegerTerms, Terms};
use crate::panel::{CODES_PER_STEP, PANEL, padded, paused_rows, row_stride};
use crate::{Activation, Aligned, Kernels, Output, Quantization, Rows};

/// What an integer layer is made of.
#[derive(Clone, Copy, Debug)]
pub struct DenseU8Parts<'a> {
    /// Weight codes, `[outputs, inputs]`, row-major.
    pub codes: &'a [i8],
    /// One scale for all codes, or one per output.
    pub scales: &'a [f32],
    /// One per output.
    pub bias: &'a [f32],
    /// How the rows that go in were quantized.
    pub input: Quantization,
    /// What is applied to each output.
    pub activation: Activation,
}

impl DenseU8Parts<'_> {
    /// The length of a row that goes in.
    pub(crate) fn inputs(&self) -> usize {
        self.codes.len() / self.bias.len()
    }

    pub(crate) fn check(&self) {
        let outputs = self.bias.len();
        assert!(outputs > 0, "a layer has at least one output");
        let inputs = self.inputs();
        assert!(inputs > 0 && inputs * outputs == self.codes.len(), "codes are [outputs, inputs]");
        assert!(inputs <= DenseU8::INPUTS_MAX, "more inputs than 32-bit sums can hold");
        assert!(self.scales.len() == 1 || self.scales.len() == outputs, "one scale, or one per output");
    }
}

/// A dense layer on `u8` inputs and `i8` weights, packed for the kernels.
///
/// `acc[j] = Σ q[k] · c[j, k]` is exact in `i32`; then
/// `y[j] = activation((acc[j] - zero_point · Σ c[j, k]) · (input_scale · scale[j]) + bias[j])`, the last product and sum fused.
#[derive(Clone, Debug)]
pub struct DenseU8 {
    inputs: usize,
    outputs: usize,
    /// `[panels, padded inputs / group, PANEL, group]`; what is past the last input or output is zero. After the last panel comes what
    /// a kernel reads beyond it. Nothing where the layer is kept in couples alone.
    weights: Aligned<i8>,
    #[cfg(target_arch = "x86_64")]
    couples: Option<Box<Couples>>,
    /// As the kernels want it that the layer was packed for.
    layout: IntegerLayout,
    terms: IntegerTerms,
    activation: Activation,
}

impl DenseU8 {
    /// The most inputs a layer may have so that no sum of products leaves `i32`: `255 · 128 · 65,793 < 2³¹`.
    pub const INPUTS_MAX: usize = 65_793;

    /// Packs a layer for these kernels; others may want its weights in another order and refuse it.
    ///
    /// # Panics
    /// When there is no input, no output or more than [`Self::INPUTS_MAX`] inputs, or lengths do not fit each other.
    pub fn pack(parts: &DenseU8Parts<'_>, kernels: Kernels) -> Self {
        parts.check();
        let (inputs, outputs) = (parts.inputs(), parts.bias.len());
        let layout = kernels.dense_integer_layout(parts.codes, inputs);
        pause();
        let weights = interleave(parts.codes, Shape { inputs, outputs, layout });
        let layer = Self {
            inputs,
            outputs,
            weights,
            #[cfg(target_arch = "x86_64")]
            couples: None,
            layout,
            terms: IntegerTerms::of(parts, layout),
            activation: parts.activation,
        };
        #[cfg(target_arch = "x86_64")]
        let layer = layer.in_couples();
        layer
    }

    /// The layer with its blocks in couples, where the kernels make use of it and it is worth it.
    #[cfg(target_arch = "x86_64")]
    fn in_couples(self) -> Self {
        let couples = self.layout.pairs_fit.then(|| Couples::of(&self.weights, self.blocks())).flatten();
        let is_kept_in_order = couples.is_none() || self.weights.len() <= IN_ORDER_TOO_MAX;
        let weights = if is_kept_in_order { self.weights } else { Aligned::new(0) };
        Self { couples: couples.map(Box::new), weights, ..self }
    }

    /// The length of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// How many codes of an input row are read: `inputs` rounded up to a multiple of four. The extra ones meet zero weights.
    pub fn padded_inputs(&self) -> usize {
        self.inputs.next_multiple_of(CODES_PER_STEP)
    }

    /// The length of a row that comes out, without padding.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The distance between the starts of two rows that come out.
    pub fn stride(&self) -> usize {
        row_stride(self.outputs)
    }

    /// How many bytes of working memory the kernels that the layer was packed for need for so many rows.
    pub fn workspace(&self, rows: usize) -> usize {
        let is_widened = self.layout.wide_rows_min.is_some_and(|rows_min| rows >= rows_min);
        if is_widened { rows.saturating_mul(self.padded_inputs() * size_of::<u16>()) } else { 0 }
    }

    /// How many bytes of memory the layer takes, padding included.
    pub fn bytes(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        let couples = self.couples.as_ref().map_or(0, |couples| couples.bytes());
        #[cfg(not(target_arch = "x86_64"))]
        let couples = 0;
        size_of_val(&*self.weights) + couples + self.terms.bytes()
    }

    pub(crate) fn activation(&self) -> Activation {
        self.activation
    }

    /// How many panels of sixteen outputs it has, the last one padded.
    pub fn panels(&self) -> usize {
        self.terms.len() / PANEL
    }

    /// How many inputs lie side by side for each output.
    pub(crate) fn group(&self) -> usize {
        self.layout.group
    }

    /// Whether no sum of two neighbouring products leaves 16 bits, and the kernels rely on it.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn pairs_fit(&self) -> bool {
        self.layout.pairs_fit
    }

    /// The blocks of each panel in couples, where so many rows are better run with them or there is nothing else.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn couples(&self, rows: usize) -> Option<&Couples> {
        let is_in_order = !self.weights.is_empty();
        self.couples.as_deref().filter(|_| rows >= COUPLES_ROWS_MIN || !is_in_order)
    }

    /// How many steps a row takes.
    pub(crate) fn blocks(&self) -> usize {
        self.inputs.div_ceil(CODES_PER_STEP)
    }

    /// The weights of one panel, `[padded inputs / group, PANEL, group]`.
    pub(crate) fn panel(&self, index: usize) -> &[i8] {
        let len = self.padded_inputs() * PANEL;
        &self.weights[index * len..][..len]
    }

    /// The weights of one panel, of those after it, and the tail.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn panel_and_beyond(&self, index: usize) -> &[i8] {
        &self.weights[index * self.padded_inputs() * PANEL..]
    }

    /// What turns the exact sums of one panel into real numbers.
    pub(crate) fn panel_terms(&self, index: usize) -> Terms<'_> {
        self.terms.panel(index)
    }

    pub(crate) fn check(
        &self,
        kernels: Kernels,
        input: &Rows<'_, u8>,
        output: &Output<'_>,
        workspace: &[u8],
    ) {
        self.layout.check(kernels);
        assert!(workspace.len() >= self.workspace(input.count), "the workspace is too small");
        assert!(input.holds(self.padded_inputs()), "input rows are shorter than the layer's padded inputs");
        assert!(output.holds(input.count, self.stride()), "output is too short for the rows");
    }
}

/// Fewer rows than this take the weights in order when they are kept in order too: it needs one load less for each couple.
#[cfg(target_arch = "x86_64")]
const COUPLES_ROWS_MIN: usize = 4;

/// Up to so many weights, which fit into the cache of a core, are kept in order too. Larger ones come from further away, where couples
/// are as fast for any number of rows.
#[cfg(target_arch = "x86_64")]
const IN_ORDER_TOO_MAX: usize = 1 << 20;

struct Shape {
    inputs: usize,
    outputs: usize,
    layout: IntegerLayout,
}

fn interleave(codes: &[i8], shape: Shape) -> Aligned<i8> {
    let Shape { inputs, outputs, layout: IntegerLayout { group, step, .. } } = shape;
    let padded_inputs = inputs.next_multiple_of(CODES_PER_STEP);
    let tail = (inputs.next_multiple_of(step) - padded_inputs) * PANEL;
    let mut packed = Aligned::new(padded(outputs) * padded_inputs + tail);
    let panels = packed.chunks_exact_mut(padded_inputs * PANEL).zip(codes.chunks(inputs * PANEL));
    for (panel, codes) in panels {
        for (place, row) in paused_rows(codes, inputs).enumerate() {
            for (column, codes) in panel.chunks_exact_mut(group * PANEL).zip(row.chunks(group)) {
                column[place * group..][..codes.len()].copy_from_slice(codes);
            }
        }
        pause();
    }
    packed
}
