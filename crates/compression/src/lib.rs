//! Clipping, quantization, pruning and distillation of a model, each with a report.
