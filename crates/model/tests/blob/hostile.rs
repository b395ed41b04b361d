//! Bytes that nobody's writer made. Whatever they are, the answer is a model whose blob they are, or a typed error.

use leat_model::{Body, Error, blob};
use proptest::prelude::*;

use crate::document::Value;
use crate::{random, samples};

type Entries = Vec<(String, Value)>;

/// Reads, and checks that what was accepted has no other spelling.
fn read(bytes: &[u8]) -> Result<(), Error> {
    let model = blob::read(bytes)?;
    assert_eq!(blob::write(&model).unwrap(), bytes, "accepted bytes are not canonical");
    Ok(())
}

fn spoiled(edit: impl FnOnce(&mut Value)) -> Error {
    let mut document = Value::read(&blob::write(&samples::classifier()).unwrap());
    edit(&mut document);
    read(&document.write()).unwrap_err()
}

#[test]
fn every_truncation_is_an_error() {
    for (name, model) in samples::all() {
        let bytes = blob::write(&model).unwrap();
        for end in 0..bytes.len() {
            let error = read(&bytes[..end]).unwrap_err();
            assert!(matches!(error, Error::Truncated { .. }), "{name} cut at {end}: {error}");
        }
    }
}

#[test]
fn every_other_byte_anywhere_is_a_model_or_an_error() {
    let mut model = samples::classifier();
    // These parts are most of the bytes; `every_flipped_bit_is_a_model_or_an_error` has them.
    (model.training, model.profile) = (None, None);
    model.compression.clear();
    let all: Vec<u8> = (1..=u8::MAX).collect();
    read_changed(&blob::write(&model).unwrap(), &all);
}

#[test]
fn every_flipped_bit_is_a_model_or_an_error() {
    for (_, model) in samples::all() {
        read_changed(&blob::write(&model).unwrap(), &[1, 2, 4, 8, 16, 32, 64, 128, 255]);
    }
}

/// Reads the blob with each byte changed in each of the ways, one at a time.
fn read_changed(blob: &[u8], changes: &[u8]) {
    let mut bytes = blob.to_vec();
    for position in 0..bytes.len() {
        let original = bytes[position];
        for change in changes {
            bytes[position] = original ^ change;
            let _ = read(&bytes);
        }
        bytes[position] = original;
    }
}

#[test]
fn trailing_bytes_are_refused() {
    for tail in [&[0u8][..], &[0xc0; 7], b"garbage"] {
        let bytes = [&blob::write(&samples::onnx()).unwrap(), tail].concat();
        let error = blob::read(&bytes).unwrap_err();
        assert!(matches!(error, Error::TrailingBytes { count } if count == tail.len()), "{error}");
    }
}

#[test]
fn other_formats_and_versions_are_called_by_name() {
    let error = spoiled(|document| *document.at("format") = Value::Text("leat.checkpoint".to_owned()));
    assert!(matches!(&error, Error::Format { found } if found == "\"leat.checkpoint\""), "{error}");
    let error = spoiled(|document| drop(document.entries().remove(0)));
    assert!(matches!(&error, Error::Format { found } if found == "none"), "{error}");
    for version in [0, 2, 300, u64::MAX] {
        let error = spoiled(|document| {
            *document.at("format_version") = Value::Whole(version);
            document.entries().push(("later".to_owned(), Value::Boolean(true)));
        });
        assert!(matches!(error, Error::FormatVersion { found, supported: 1 } if found == version), "{error}");
    }
    let error = spoiled(|document| drop(document.entries().remove(1)));
    assert!(matches!(error, Error::Fields { .. }), "{error}");
    for bytes in
        [&b""[..], b"{\"format\":\"leat.model\"}", b"PK\x03\x04", b"\x08\x08\x12\x04", &[0xc0], &[0x80]]
    {
        assert!(blob::read(bytes).is_err(), "{bytes:02x?}");
    }
}

#[test]
fn every_field_of_every_map_is_required_once_and_alone() {
    let whole = Value::read(&blob::write(&samples::classifier()).unwrap());
    let refuses = |path: &str, edit: &dyn Fn(&mut Entries)| {
        let mut document = whole.clone();
        let map = if path.is_empty() { &mut document } else { document.at(path) };
        edit(map.entries());
        read(&document.write()).expect_err(path)
    };
    for path in whole.maps() {
        let mut document = whole.clone();
        let fields = if path.is_empty() { &mut document } else { document.at(&path) }.entries().len();
        let is_free_form = path.contains("held_out");
        for field in 0..fields {
            if !is_free_form {
                refuses(&path, &|entries| drop(entries.remove(field)));
            }
            refuses(&path, &|entries| entries.push(entries[field].clone()));
            refuses(&path, &|entries| entries[field].1 = Value::List(vec![Value::Boolean(true)]));
        }
        refuses(&path, &|entries| entries.push(("zz".to_owned(), Value::Nil)));
        if fields > 1 {
            refuses(&path, &|entries| entries.swap(0, 1));
        }
    }
}

#[test]
fn wrong_lengths_and_numbers_are_named() {
    let cases = [
        ("body.network.layers.0.bias", Value::Bytes(vec![0; 12]), "body.layers[0].bias"),
        ("body.network.layers.0.bias", Value::Bytes(vec![0; 15]), "body.layers[0].bias"),
        ("body.network.layers.0.mask", Value::Bytes(vec![0xff; 2]), "body.layers[0].mask.bits"),
        (
            "body.network.layers.0.weights.encoding.int8.data",
            Value::Bytes(vec![0; 11]),
            "body.layers[0].weights.data",
        ),
        (
            "body.network.layers.0.weights.encoding.int8.scales",
            Value::Bytes(vec![0; 4]),
            "body.layers[0].weights.scales",
        ),
        (
            "body.network.layers.1.weights.encoding.f32.data",
            Value::Bytes(vec![0xff; 32]),
            "body.layers[1].weights.data",
        ),
        ("body.network.layers.1.weights.shape.1", Value::Whole(5), "body.layers[1].inputs"),
        ("body.network.layers.1.weights.shape.1", Value::Whole(1 << 40), "body.layers"),
        ("body.network.layers.1.weights.shape.0", Value::Whole(u64::MAX), "body.layers"),
        ("body.network.layers", Value::List(vec![]), "body.layers"),
        ("preprocessing.impute", Value::Bytes(vec![0; 8]), "preprocessing.impute"),
        ("preprocessing.standardise.scale", Value::Bytes(vec![0; 12]), "preprocessing.standardise.scale"),
        ("profile.edges", Value::Bytes(vec![0; 12]), "profile.edges"),
        ("profile.edges", Value::Bytes(vec![0; 20]), "profile.edges"),
        ("profile.missing", Value::List(vec![Value::Whole(0)]), "profile.missing"),
        ("training.train_loss", Value::Double(f64::NAN), "training.train_loss"),
        (
            "compression.0.held_out_after.accuracy",
            Value::Double(f64::INFINITY),
            "compression[0].held_out_after.accuracy",
        ),
    ];
    for (path, value, expected) in cases {
        let error = spoiled(|document| *document.at(path) = value);
        assert!(matches!(&error, Error::Invalid { place, .. } if place == expected), "{path}: {error}");
    }
}

#[test]
fn a_promised_length_is_not_believed() {
    let bytes = blob::write(&samples::classifier()).unwrap();
    for key in
        ["inputs", "features", "labels", "layers", "shape", "counts", "missing", "compression", "held_out"]
    {
        let key = [&[0xa0 | key.len() as u8], key.as_bytes()].concat();
        let end = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len();
        for bomb in
            [[0xdd, 0xff, 0xff, 0xff, 0xff], [0xdf, 0x7f, 0xff, 0xff, 0xff], [0xc6, 0xff, 0xff, 0xff, 0xff]]
        {
            let error = blob::read(&[&bytes[..end], &bomb].concat()).unwrap_err();
            assert!(matches!(error, Error::Truncated { .. } | Error::Malformed { .. }), "{error}");
        }
    }
    let deep = [&bytes[..1], &vec![0x91; 1 << 20]].concat();
    assert!(matches!(blob::read(&deep), Err(Error::Malformed { .. })));
}

#[test]
fn few_bytes_do_not_expand_to_many_weights() {
    let mut document = Value::read(&blob::write(&samples::all().swap_remove(7).1).unwrap());
    *document.at("body.network.layers.0.weights.shape") = Value::List(vec![Value::Whole(65_536); 2]);
    *document.at("body.network.layers.0.weights.encoding.codebook.centroids") = Value::Bytes(vec![0; 4]);
    *document.at("body.network.layers.0.weights.encoding.codebook.data") = Value::Bytes(vec![]);
    assert!(matches!(blob::read(&document.write()), Err(Error::Invalid { .. })));
}

#[test]
fn a_list_longer_than_any_model_needs_is_refused() {
    let names = (0..70_000).map(|index| Value::Text(index.to_string())).collect();
    let error = spoiled(|document| *document.at("signature.features") = Value::List(names));
    assert!(matches!(error, Error::Malformed { .. }), "{error}");
}

proptest! {
    #[test]
    fn random_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes).is_err());
    }

    #[test]
    fn a_spliced_blob_is_a_model_or_an_error(
        model in random::model(),
        other in random::model(),
        cuts in any::<[prop::sample::Index; 3]>(),
    ) {
        let (bytes, other) = (blob::write(&model).unwrap(), blob::write(&other).unwrap());
        let from = cuts[1].index(other.len());
        let until = from + cuts[2].index(other.len() - from);
        let at = cuts[0].index(bytes.len());
        let _ = read(&[&bytes[..at], &other[from..until], &bytes[at..]].concat());
        let _ = read(&[&bytes[..at], &other[from..]].concat());
    }
}

#[test]
fn an_empty_onnx_graph_is_refused() {
    let mut model = samples::onnx();
    model.body = Body::Onnx(Vec::new());
    assert!(matches!(blob::write(&model), Err(Error::Invalid { .. })));
}
