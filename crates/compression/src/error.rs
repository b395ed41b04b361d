use thiserror::Error;

/// Why a model was not compressed. The model that went in is never left half changed: it is consumed or returned whole.
#[derive(Debug, Error)]
pub enum Error {
    /// The body is not a native network.
    #[error(
        "compression works on native networks, and this model is an ONNX graph: train one, or distil one from its predictions"
    )]
    NotANetwork,

    /// A step asks for something that has no meaning.
    #[error("step {position} ({step}) is invalid: {reason}")]
    InvalidStep {
        /// Position in the list, counted from 1.
        position: usize,
        /// The step as canonical JSON.
        step: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },

    /// The list of steps is empty or too long.
    #[error("{given} steps given, between 1 and {max} are possible")]
    StepCount {
        /// How many were given.
        given: usize,
        /// How many are accepted.
        max: usize,
    },

    /// A step that needs float weights meets integer codes or a codebook.
    #[error(
        "step {position} ({step}) needs float weights, but they are stored as {encoding} by then: put it before the step that quantizes, \
         or start from the float version this model was made from"
    )]
    AlreadyQuantized {
        /// Position in the list, counted from 1.
        position: usize,
        /// The step as canonical JSON.
        step: String,
        /// How the weights are stored when the step would begin.
        encoding: &'static str,
    },

    /// A student is not smaller than its teacher.
    #[error(
        "step {position} asks for a student of {student} parameters, but its teacher has {teacher}: choose fewer or narrower hidden layers"
    )]
    StudentNotSmaller {
        /// Position in the list, counted from 1.
        position: usize,
        /// Weights and biases of the student.
        student: u64,
        /// Weights and biases of the model that came in.
        teacher: u64,
    },

    /// A threshold would remove every weight of a layer.
    #[error(
        "threshold {threshold} removes every weight of layer {layer}, the largest of which is {largest}: choose a smaller one"
    )]
    NothingLeft {
        /// The layer, counted from 0.
        layer: usize,
        /// The threshold that was asked for.
        threshold: f32,
        /// The largest absolute weight of that layer.
        largest: f32,
    },

    /// The network has no hidden layer, so it has no neurons that could be removed.
    #[error(
        "the network has no hidden layer to remove neurons from: prune single weights by rate or threshold instead"
    )]
    NoHiddenLayer,

    /// No hidden layer is wide enough for the rate to take a neuron from it.
    #[error("rate {rate} removes no neuron of hidden layers of {widths:?}: choose a larger one")]
    NothingRemoved {
        /// The share of neurons that was asked for.
        rate: f64,
        /// The widths of the hidden layers.
        widths: Vec<usize>,
    },

    /// The training rows are not those of this model.
    #[error(
        "the training rows do not fit the model: {what} {position} is {found:?}, the model has {expected:?}"
    )]
    DataMismatch {
        /// `feature` or `label`.
        what: &'static str,
        /// Its position, counted from 0.
        position: usize,
        /// Its name in the model, or none when the model has fewer.
        expected: Option<String>,
        /// Its name in the data, or none when the data has fewer.
        found: Option<String>,
    },

    /// The progress callback asked to stop.
    #[error("compression was cancelled")]
    Cancelled,

    /// A step could not be written down as JSON.
    #[error("the step cannot be written as JSON")]
    Json(#[from] serde_json::Error),

    /// The model is not valid, before or after a step.
    #[error(transparent)]
    Model(#[from] leat_model::Error),

    /// The model could not be run.
    #[error(transparent)]
    Engine(#[from] leat_engine::Error),

    /// The model could not be trained or evaluated on the data.
    #[error(transparent)]
    Training(#[from] leat_training::Error),
}
