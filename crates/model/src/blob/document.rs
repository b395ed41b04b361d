use std::borrow::Cow;

use leat_pauses::pause;
use serde::{Deserialize, Serialize};

use super::layers::Layer;
use super::preparation::Preparation;
use super::reference::Reference;
use super::{Bin, FORMAT, FORMAT_VERSION};
use crate::{Body, CompressionReport, Error, Lineage, Model, Network, Signature, Task, TrainingReport};

/// The whole blob. Version 1 of the format is this structure and those it is made of.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document<'a> {
    format: Cow<'a, str>,
    format_version: u32,
    name: Cow<'a, str>,
    task: Task,
    signature: Cow<'a, Signature>,
    #[serde(borrow)]
    preprocessing: Preparation<'a>,
    #[serde(borrow)]
    body: Computation<'a>,
    #[serde(borrow)]
    profile: Option<Reference<'a>>,
    training: Option<Cow<'a, TrainingReport>>,
    compression: Cow<'a, [CompressionReport]>,
    lineage: Cow<'a, Lineage>,
}

/// A map of one entry, the kind of the body.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Computation<'a> {
    Network {
        #[serde(borrow)]
        layers: Vec<Layer<'a>>,
    },
    Onnx {
        #[serde(borrow)]
        graph: Bin<'a>,
    },
}

impl<'a> From<&'a Model> for Document<'a> {
    fn from(model: &'a Model) -> Self {
        Self {
            format: Cow::Borrowed(FORMAT),
            format_version: FORMAT_VERSION,
            name: Cow::Borrowed(&model.name),
            task: model.task,
            signature: Cow::Borrowed(&model.signature),
            preprocessing: Preparation::from(&model.preprocessing),
            body: Computation::from(&model.body),
            profile: model.profile.as_ref().map(Reference::from),
            training: model.training.as_ref().map(Cow::Borrowed),
            compression: Cow::Borrowed(&model.compression),
            lineage: Cow::Borrowed(&model.lineage),
        }
    }
}

impl TryFrom<Document<'_>> for Model {
    type Error = Error;

    fn try_from(document: Document<'_>) -> Result<Self, Error> {
        Ok(Self {
            name: document.name.into_owned(),
            task: document.task,
            signature: document.signature.into_owned(),
            preprocessing: document.preprocessing.try_into().map_err(|e: Error| e.within("preprocessing"))?,
            body: document.body.try_into().map_err(|e: Error| e.within("body"))?,
            profile: match document.profile {
                Some(reference) => Some(reference.try_into().map_err(|e: Error| e.within("profile"))?),
                None => None,
            },
            training: document.training.map(Cow::into_owned),
            compression: document.compression.into_owned(),
            lineage: document.lineage.into_owned(),
        })
    }
}

impl<'a> From<&'a Body> for Computation<'a> {
    fn from(body: &'a Body) -> Self {
        match body {
            Body::Network(network) => {
                Self::Network { layers: network.layers.iter().map(Layer::from).collect() }
            }
            Body::Onnx(graph) => Self::Onnx { graph: Bin::borrowed(graph) },
        }
    }
}

impl TryFrom<Computation<'_>> for Body {
    type Error = Error;

    fn try_from(computation: Computation<'_>) -> Result<Self, Error> {
        match computation {
            Computation::Network { layers } => {
                let layers = layers.into_iter().enumerate().map(|(index, layer)| {
                    pause();
                    layer.try_into().map_err(|error: Error| error.within(format!("layers[{index}]")))
                });
                Ok(Self::Network(Network { layers: layers.collect::<Result<_, _>>()? }))
            }
            Computation::Onnx { graph } => Ok(Self::Onnx(graph.into_bytes())),
        }
    }
}
