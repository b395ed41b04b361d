//! What one message may still hold, and the typed reason when it is refused.

use std::cell::{Cell, RefCell};

use serde::de;

use crate::{Error, limits};

/// Decoders only carry text in their errors; the typed one is kept here on its way out.
pub(super) struct Admission {
    numbers: Cell<usize>,
    texts: Cell<usize>,
    refusal: RefCell<Option<Error>>,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            numbers: Cell::new(limits::VALUES_MAX),
            texts: Cell::new(limits::TEXTS_MAX),
            refusal: RefCell::new(None),
        }
    }
}

/// The two budgets of a message.
#[derive(Clone, Copy)]
pub(super) enum Budget {
    /// Numbers of known type.
    Numbers,
    /// What takes tens of bytes each: texts, named values and values whose type comes later.
    Texts,
}

impl Admission {
    fn cell(&self, budget: Budget) -> &Cell<usize> {
        match budget {
            Budget::Numbers => &self.numbers,
            Budget::Texts => &self.texts,
        }
    }

    /// How many values the message may still hold.
    pub(super) fn left(&self, budget: Budget) -> usize {
        self.cell(budget).get()
    }

    /// Takes values from a budget, or refuses.
    pub(super) fn take<E: de::Error>(&self, budget: Budget, count: usize) -> Result<(), E> {
        match self.left(budget).checked_sub(count) {
            Some(left) => {
                self.cell(budget).set(left);
                Ok(())
            }
            None => Err(self.refuse(exhausted(budget))),
        }
    }

    /// Keeps the typed error and gives the decoder its text.
    pub(super) fn refuse<E: de::Error>(&self, error: Error) -> E {
        let text = error.to_string();
        self.refusal.replace(Some(error));
        E::custom(text)
    }

    /// The typed error if there is one, else what the decoder said.
    pub(super) fn cause(&self, decoder: Error) -> Error {
        self.refusal.take().unwrap_or(decoder)
    }
}

/// The error of a message that holds more than its budget.
fn exhausted(budget: Budget) -> Error {
    let (what, limit) = match budget {
        Budget::Numbers => ("number of values", limits::VALUES_MAX),
        Budget::Texts => {
            ("number of texts, named values and values that stand before their datatype", limits::TEXTS_MAX)
        }
    };
    Error::TooLarge { what, found: limit as u64 + 1, limit: limit as u64 }
}
