use crate::Error;

/// A multi-layer perceptron with ReLU between its layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// The features, the widths of the layers.
    pub(crate) widths: &'static [usize],
}

/// From the smallest model that is served to one that no cache holds. `peers/models.py` has the same ones.
pub(crate) const ALL: [Shape; 6] = [
    Shape { name: "seed", widths: &[10, 64, 1] },
    Shape { name: "tabular", widths: &[512, 256, 128, 64, 1] },
    Shape { name: "digits", widths: &[64, 128, 64, 10] },
    Shape { name: "lenet", widths: &[784, 300, 100, 10] },
    Shape { name: "mnist", widths: &[784, 512, 256, 10] },
    Shape { name: "large", widths: &[1024, 4096, 4096, 1024] },
];

/// The shape of that name.
///
/// # Errors
/// When there is none.
pub(crate) fn named(name: &str) -> Result<Shape, Error> {
    let known = || ALL.map(|shape| shape.name).join(", ");
    let found = ALL.into_iter().find(|shape| shape.name == name);
    found.ok_or_else(|| Error::Usage(format!("no shape {name}; there are {}", known())))
}

impl Shape {
    pub(crate) fn features(&self) -> usize {
        self.widths.first().copied().unwrap_or(0)
    }

    /// The length of an output row.
    #[cfg(feature = "peers")]
    pub(crate) fn outputs(&self) -> usize {
        self.widths.last().copied().unwrap_or(0)
    }

    /// Multiplications and additions of one row.
    pub(crate) fn multiply_adds(&self) -> usize {
        self.layers().map(|(inputs, outputs)| inputs * outputs).sum()
    }

    /// The inputs and outputs of each layer.
    pub(crate) fn layers(&self) -> impl Iterator<Item = (usize, usize)> {
        self.widths.iter().copied().zip(self.widths.iter().copied().skip(1))
    }

    /// `512-256-128-64-1`.
    pub(crate) fn describe(&self) -> String {
        let widths: Vec<String> = self.widths.iter().map(usize::to_string).collect();
        widths.join("-")
    }
}
