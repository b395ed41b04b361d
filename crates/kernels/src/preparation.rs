/// What happens to a raw row before the first layer: NaN is replaced, then `(x - mean) / scale`.
#[derive(Clone, Debug, Default)]
pub struct Preparation {
    impute: Option<Vec<f32>>,
    standardise: Option<Standardise>,
}

#[derive(Clone, Debug)]
struct Standardise {
    mean: Vec<f32>,
    scale: Vec<f32>,
}

/// The parts of a preparation as slices of one length.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub(crate) impute: Option<&'a [f32]>,
    pub(crate) standardise: Option<(&'a [f32], &'a [f32])>,
}

impl Preparation {
    /// NaN in feature `i` becomes `values[i]`.
    pub fn with_impute(mut self, values: Vec<f32>) -> Self {
        self.impute = Some(values);
        self
    }

    /// Feature `i` becomes `(x - mean[i]) / scale[i]`.
    pub fn with_standardise(mut self, mean: Vec<f32>, scale: Vec<f32>) -> Self {
        self.standardise = Some(Standardise { mean, scale });
        self
    }

    /// Whether rows are fit for the first layer as they come, if they are finite.
    pub fn is_empty(&self) -> bool {
        self.impute.is_none() && self.standardise.is_none()
    }

    /// How many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        let Parts { impute, standardise } = self.parts();
        let (mean, scale) = standardise.unzip();
        [impute, mean, scale].into_iter().flatten().map(size_of_val).sum()
    }

    /// Whether a finite row may become infinite.
    pub fn may_overflow(&self) -> bool {
        self.standardise.is_some()
    }

    pub(crate) fn parts(&self) -> Parts<'_> {
        let standardise = self.standardise.as_ref().map(|s| (s.mean.as_slice(), s.scale.as_slice()));
        Parts { impute: self.impute.as_deref(), standardise }
    }
}

impl<'a> Parts<'a> {
    pub(crate) fn check(&self, features: usize) {
        let fits = |values: Option<&[f32]>| values.is_none_or(|values| values.len() == features);
        let (mean, scale) = self.standardise.unzip();
        assert!(fits(self.impute) && fits(mean) && fits(scale), "one value per feature");
    }

    /// The parts from feature `start` on.
    pub(crate) fn tail(self, start: usize) -> Self {
        Self {
            impute: self.impute.map(|values| &values[start..]),
            standardise: self.standardise.map(|(mean, scale)| (&mean[start..], &scale[start..])),
        }
    }
}
