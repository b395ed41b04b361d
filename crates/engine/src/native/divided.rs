use leat_kernels::{Aligned, Rows};

use super::NetworkPlan;
use super::layer::Layer;
use crate::divisible::{Activations, ActivationsMut, Divisible, Piece, Stage};
use crate::{Batch, Error, Scratch};

/// For more rows it takes less to share rows, since each weight is then used often before the next one comes from memory. Codes come sooner, four in
/// the place of one number. (1024-4096-4096-1024 on two cores of Emerald Rapids: 32 rows of `f32` take 0.59 of the time on one when outputs
/// are shared, 0.69 when rows are; 32 rows of codes 0.64 and 0.55.)
const REAL_ROWS_MAX: usize = 32;
const INTEGER_ROWS_MAX: usize = 16;
/// Weights that a thread reads in some tens of microseconds, several times what it takes to wake it and to copy rows there and back.
const PIECE_BYTES_MIN: usize = 1 << 20;

/// Whether a layer is worth sharing for so many rows.
pub(super) fn is_shared(layer: &Layer, rows: usize) -> bool {
    rows <= rows_max(layer) && pieces_max(layer) > 1 && !layer.is_without_zeros(rows)
}

fn rows_max(layer: &Layer) -> usize {
    match layer {
        Layer::Real(_) => REAL_ROWS_MAX,
        Layer::Integer(_) => INTEGER_ROWS_MAX,
    }
}

/// So many pieces of a layer are worth handing over.
fn pieces_max(layer: &Layer) -> usize {
    layer.bytes_read_by_few() / PIECE_BYTES_MIN
}

impl Divisible for NetworkPlan {
    /// When layers with most of the weights gain by it, or lose by sharing rows: those that so many rows run without zeros, and half as many do
    /// not.
    fn divides(&self, rows: usize) -> bool {
        let loses = |layer: &Layer| layer.is_without_zeros(rows) && !layer.is_without_zeros(rows / 2);
        let gains = |layer: &Layer| is_shared(layer, rows) || (rows <= rows_max(layer) && loses(layer));
        let bytes =
            |layers: &mut dyn Iterator<Item = &Layer>| layers.map(Layer::bytes_read_by_few).sum::<usize>();
        let gaining = bytes(&mut self.layers.iter().filter(|layer| gains(layer)));
        2 * gaining > bytes(&mut self.layers.iter())
    }

    fn pieces_max(&self, layer: usize) -> usize {
        self.layers.get(layer).map_or(0, pieces_max)
    }

    fn run_divided(
        &self,
        batch: Batch<'_>,
        scratch: &mut Scratch,
        share: &mut dyn FnMut(Stage<'_>),
    ) -> Result<(), Error> {
        self.run_blocks(batch, scratch, Some(share))
    }

    fn run_piece(
        &self,
        piece: &Piece,
        input: Activations<'_>,
        output: ActivationsMut<'_>,
        workspace: &mut Aligned<u8>,
    ) {
        let Piece { layer, panels, rows: count, input_stride: stride, .. } = piece.clone();
        let output = self.output(layer, output);
        match (&self.layers[layer], input) {
            (Layer::Real(real), Activations::Values(values)) => {
                real.run_panels(self.kernels, panels, Rows { values, stride, count }, output);
            }
            (Layer::Integer(integer), Activations::Codes(values)) => {
                workspace.ensure(integer.workspace_of_panels(count));
                let input = Rows { values, stride, count };
                integer.run_panels((self.kernels, panels), input, output, workspace);
            }
            _ => unreachable!("a layer is given what it takes"),
        }
    }
}
