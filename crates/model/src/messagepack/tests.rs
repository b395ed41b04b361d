use proptest::prelude::*;

use super::*;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    id: u32,
    text: Option<String>,
    #[serde(with = "f32_bytes")]
    values: Vec<f32>,
}

fn note() -> Note {
    Note { id: 7, text: None, values: vec![1.0, -0.0] }
}

#[test]
fn writes_fields_by_name_and_f32_as_bytes() {
    let bytes = encode(&note()).unwrap();
    assert_eq!(bytes, b"\x83\xa2id\x07\xa4text\xc0\xa6values\xc4\x08\0\0\x80\x3f\0\0\0\x80");
    assert_eq!(decode::<Note>(&bytes).unwrap(), note());
    assert_eq!(decode_canonical::<Note>(&bytes, 3).unwrap(), note());
}

#[test]
fn refuses_what_is_not_one_whole_value() {
    let bytes = encode(&note()).unwrap();
    for end in 0..bytes.len() {
        assert!(matches!(decode::<Note>(&bytes[..end]), Err(Error::Truncated { .. })), "cut at {end}");
    }
    let longer = [&bytes[..], &[0xc0, 0xc0]].concat();
    assert!(matches!(decode::<Note>(&longer), Err(Error::TrailingBytes { count: 2 })));
}

#[test]
fn refuses_wrong_fields() {
    let documents: [&[u8]; 6] = [
        b"\x82\xa2id\x07\xa4text\xc0",
        b"\x84\xa2id\x07\xa4text\xc0\xa6values\xc4\x00\xa1x\x00",
        b"\x84\xa2id\x07\xa2id\x07\xa4text\xc0\xa6values\xc4\x00",
        b"\x83\xa2id\xa17\xa4text\xc0\xa6values\xc4\x00",
        b"\x83\xa2id\x07\xa4text\xc0\xa6values\xc4\x03\x00\x00\x00",
        b"\x83\xa2id\x07\xa4text\xc0\xa6values\x91\x00",
    ];
    for document in documents {
        assert!(matches!(decode::<Note>(document), Err(Error::Fields { .. })), "{document:02x?}");
    }
}

#[test]
fn canonical_form_has_one_spelling() {
    let spellings: [(&[u8], usize); 4] = [
        (b"\x83\xa2id\xcc\x07\xa4text\xc0\xa6values\xc4\x00", 4),
        (b"\x83\xa4text\xc0\xa2id\x07\xa6values\xc4\x00", 1),
        (b"\x82\xa2id\x07\xa6values\xc4\x00", 0),
        (b"\x93\x07\xc0\xc4\x00", 0),
    ];
    for (bytes, expected) in spellings {
        assert!(decode::<Note>(bytes).is_ok());
        match decode_canonical::<Note>(bytes, 3) {
            Err(Error::Canonical { offset }) => assert_eq!(offset, expected, "{bytes:02x?}"),
            other => panic!("{bytes:02x?} gives {other:?}"),
        }
    }
}

#[test]
fn a_length_beyond_the_bytes_is_found_before_anything_is_built() {
    for marker in [0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf] {
        let bomb = [marker, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(decode::<Vec<u64>>(&bomb), Err(Error::Truncated { offset: 0 })), "{marker:02x}");
    }
}

#[test]
fn structure_has_limits() {
    let deep = vec![0x91; 1 << 20];
    assert!(matches!(decode::<Note>(&deep), Err(Error::Malformed { offset: 33, .. })));
    let long = [&[0x94][..], &[0; 4]].concat();
    assert!(decode_bounded::<Vec<u8>>(&long, 4).is_ok());
    assert!(matches!(decode_bounded::<Vec<u8>>(&long, 3), Err(Error::Malformed { offset: 0, .. })));
    for marker in [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8] {
        assert!(matches!(decode::<Note>(&[marker]), Err(Error::Malformed { offset: 0, .. })), "{marker:02x}");
    }
}

#[test]
fn messages_stay_short() {
    let key = "x".repeat(100_000);
    let document = encode(&std::collections::BTreeMap::from([(key, 1)])).unwrap();
    assert!(decode::<Note>(&document).unwrap_err().to_string().len() < 400);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode::<Note>(&bytes);
        let _ = decode_canonical::<Note>(&bytes, 100);
    }

    #[test]
    fn documents_come_back(id: u32, text: Option<String>, values in prop::collection::vec(-1e9f32..1e9, 0..20)) {
        let note = Note { id, text, values };
        let bytes = encode(&note).unwrap();
        prop_assert_eq!(decode_canonical::<Note>(&bytes, 3).unwrap(), note);
    }
}
