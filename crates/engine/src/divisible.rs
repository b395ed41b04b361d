//! Layers whose outputs are shared out: how a few rows of a large model occupy several threads.

use std::ops::Range;

use leat_kernels::{Aligned, PANEL};

use crate::{Batch, Error, Scratch};

/// A plan with layers that are worth sharing, output by output. Each thread then reads a part of the weights, while sharing rows would have each read
/// all of them.
pub trait Divisible: Send + Sync {
    /// Whether a batch of so many rows is run as [`Divisible::run_divided`] does, rather than by sharing rows.
    fn divides(&self, rows: usize) -> bool;

    /// In how many pieces a layer may be divided until handing them over costs more than is gained.
    fn pieces_max(&self, layer: usize) -> usize;

    /// Runs a batch as [`crate::Plan::run`] does, but gives each layer that is worth sharing to `share`, which computes all its outputs.
    ///
    /// # Errors
    /// As [`crate::Plan::run`].
    fn run_divided(
        &self,
        batch: Batch<'_>,
        scratch: &mut Scratch,
        share: &mut dyn FnMut(Stage<'_>),
    ) -> Result<(), Error>;

    /// Computes some outputs of a layer. They have the bits that they have when all are computed together.
    fn run_piece(
        &self,
        piece: &Piece,
        input: Activations<'_>,
        output: ActivationsMut<'_>,
        workspace: &mut Aligned<u8>,
    );
}

/// Some outputs of a layer for some rows.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Which layer.
    pub layer: usize,
    /// Which outputs, in panels of [`PANEL`].
    pub panels: Range<usize>,
    /// How many rows there are.
    pub rows: usize,
    /// The distance between two rows that go in.
    pub input_stride: usize,
    /// The distance between two rows that come out, of all outputs.
    pub output_stride: usize,
}

/// A layer that is to be computed.
#[derive(Debug)]
pub struct Stage<'a> {
    /// All its outputs.
    pub piece: Piece,
    /// The rows that go in.
    pub input: Activations<'a>,
    /// The place for the rows that come out.
    pub output: ActivationsMut<'a>,
    /// Working memory for whoever computes a piece here.
    pub workspace: &'a mut Aligned<u8>,
}

/// Rows between two layers.
#[derive(Clone, Copy, Debug)]
pub enum Activations<'a> {
    /// Real numbers.
    Values(&'a [f32]),
    /// Codes of the layer that takes them.
    Codes(&'a [u8]),
}

/// The place for rows between two layers.
#[derive(Debug)]
pub enum ActivationsMut<'a> {
    /// For real numbers.
    Values(&'a mut [f32]),
    /// For codes of the layer that follows.
    Codes(&'a mut [u8]),
}

/// What rows between two layers are made of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Kind {
    #[default]
    Values,
    Codes,
}

/// Rows between two layers that a thread keeps. Memory for either kind is used again.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) values: Vec<f32>,
    codes: Vec<u8>,
    kind: Kind,
}

impl Stage<'_> {
    /// The same layer, of which only these outputs are left to be computed.
    pub(crate) fn of_panels(&mut self, panels: Range<usize>) -> Stage<'_> {
        Stage {
            piece: Piece { panels, ..self.piece.clone() },
            input: self.input,
            output: self.output.reborrow(),
            workspace: self.workspace,
        }
    }
}

impl Activations<'_> {
    /// The first `len` values or codes. There are as many.
    pub(crate) fn first(self, len: usize) -> Self {
        match self {
            Self::Values(values) => Self::Values(&values[..len]),
            Self::Codes(codes) => Self::Codes(&codes[..len]),
        }
    }
}

impl<'a> ActivationsMut<'a> {
    /// The place for the first `len` values or codes. There is as much.
    pub(crate) fn first(self, len: usize) -> ActivationsMut<'a> {
        match self {
            Self::Values(values) => ActivationsMut::Values(&mut values[..len]),
            Self::Codes(codes) => ActivationsMut::Codes(&mut codes[..len]),
        }
    }
}

impl ActivationsMut<'_> {
    pub(crate) fn reborrow(&mut self) -> ActivationsMut<'_> {
        match self {
            Self::Values(values) => ActivationsMut::Values(values),
            Self::Codes(codes) => ActivationsMut::Codes(codes),
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Values(_) => Kind::Values,
            Self::Codes(_) => Kind::Codes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Codes(codes) => codes.len(),
        }
    }

    /// Takes over the outputs of a piece, which were computed elsewhere at the same places.
    pub(crate) fn take_over(&mut self, piece: &Piece, kept: &Kept) {
        match self {
            Self::Values(values) => copy_panels(piece, &kept.values, values),
            Self::Codes(codes) => copy_panels(piece, &kept.codes, codes),
        }
    }
}

impl Kept {
    /// Becomes a copy of rows.
    pub(crate) fn copy(&mut self, rows: Activations<'_>) {
        match rows {
            Activations::Values(values) => {
                self.kind = Kind::Values;
                self.values.clear();
                self.values.extend_from_slice(values);
            }
            Activations::Codes(codes) => {
                self.kind = Kind::Codes;
                self.codes.clear();
                self.codes.extend_from_slice(codes);
            }
        }
    }

    /// Becomes a place for so many of that kind.
    pub(crate) fn make_room(&mut self, kind: Kind, len: usize) {
        self.kind = kind;
        match kind {
            Kind::Values => self.values.resize(len, 0.0),
            Kind::Codes => self.codes.resize(len, 0),
        }
    }

    pub(crate) fn rows(&self) -> Activations<'_> {
        match self.kind {
            Kind::Values => Activations::Values(&self.values),
            Kind::Codes => Activations::Codes(&self.codes),
        }
    }

    pub(crate) fn place(&mut self) -> ActivationsMut<'_> {
        match self.kind {
            Kind::Values => ActivationsMut::Values(&mut self.values),
            Kind::Codes => ActivationsMut::Codes(&mut self.codes),
        }
    }
}

fn copy_panels<T: Copy>(piece: &Piece, from: &[T], to: &mut [T]) {
    for row in 0..piece.rows {
        let start = row * piece.output_stride;
        let range = start + piece.panels.start * PANEL..start + piece.panels.end * PANEL;
        to[range.clone()].copy_from_slice(&from[range]);
    }
}
