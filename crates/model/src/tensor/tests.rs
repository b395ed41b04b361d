use half::{bf16, f16};
use proptest::prelude::*;

use super::*;

fn masked(values: &[f32]) -> Mask {
    Mask::from_values(values)
}

#[test]
fn every_encoding_expands_to_its_values() {
    let f16s = [1.5, -2.0].map(f16::from_f32).to_vec();
    let bf16s = [1.5, -2.0].map(bf16::from_f32).to_vec();
    let cases = [
        (Tensor::f32(vec![2], vec![1.5, -2.0]), 8),
        (Tensor { shape: vec![2], encoding: Encoding::F16(f16s) }, 4),
        (Tensor { shape: vec![2], encoding: Encoding::Bf16(bf16s) }, 4),
        (Tensor::int8(vec![2], vec![3, -4], vec![0.5]), 6),
        (Tensor::int4(vec![2], &[3, -4], vec![0.5]).unwrap(), 5),
        (Tensor::sparse_from(vec![2], &[1.5, -2.0]), 9),
        (Tensor::codebook(vec![2], vec![-2.0, 1.5], &[1, 0]).unwrap(), 9),
    ];
    for (tensor, bytes) in cases {
        tensor.validate().unwrap();
        assert_eq!(tensor.to_f32(), [1.5, -2.0], "{}", tensor.encoding.name());
        assert_eq!((tensor.len(), tensor.nonzero(), tensor.byte_len()), (2, 2, bytes));
    }
}

#[test]
fn each_row_has_its_own_scale() {
    let tensor = Tensor::int8(vec![2, 3], vec![1, 2, 3, 4, 5, -6], vec![0.5, 10.0]);
    assert_eq!(tensor.to_f32(), [0.5, 1.0, 1.5, 40.0, 50.0, -60.0]);
    let tensor = Tensor::int4(vec![3, 1], &[-8, 0, 7], vec![1.0, 2.0, 0.25]).unwrap();
    assert_eq!(tensor.to_f32(), [-8.0, 0.0, 1.75]);
    assert_eq!(tensor.nonzero(), 2);
}

/// More values than are expanded at a time, and rows that end within a byte of a mask.
#[test]
fn large_tensors_expand_in_order() {
    let (shape, scales) = (vec![3, 1111], vec![0.5, 2.0, 0.25]);
    let codes: Vec<i8> = (0..3 * 1111).map(|at| (at * 7 % 15) as i8 - 7).collect();
    let value = |(at, code): (usize, &i8)| f32::from(*code) * scales[at / 1111];
    let values: Vec<f32> = codes.iter().enumerate().map(value).collect();
    let mut centroids = values.clone();
    centroids.sort_by(f32::total_cmp);
    centroids.dedup();
    let index = |value: &f32| centroids.iter().position(|centroid| centroid == value).unwrap() as u8;
    let indices: Vec<u8> = values.iter().map(index).collect();
    let encoded = |encoding| Tensor { shape: shape.clone(), encoding };
    let cases = [
        encoded(Encoding::F16(values.iter().copied().map(f16::from_f32).collect())),
        encoded(Encoding::Bf16(values.iter().copied().map(bf16::from_f32).collect())),
        Tensor::int8(shape.clone(), codes.clone(), scales.clone()),
        Tensor::int4(shape.clone(), &codes, scales.clone()).unwrap(),
        Tensor::sparse_from(shape.clone(), &values),
        Tensor::codebook(shape.clone(), centroids.clone(), &indices).unwrap(),
    ];
    for tensor in cases {
        tensor.validate().unwrap();
        assert!(tensor.to_f32() == values, "{}", tensor.encoding.name());
        assert_eq!(tensor.nonzero(), codes.iter().filter(|code| **code != 0).count());
    }
}

#[test]
fn an_index_takes_the_fewest_bits() {
    for (centroids, bits) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (16, 4), (17, 5), (255, 8), (256, 8)] {
        assert_eq!(packing::index_bits(centroids), bits, "{centroids} centroids");
    }
}

#[test]
fn builders_refuse_codes_out_of_range() {
    assert!(Tensor::int4(vec![1], &[8], vec![1.0]).is_err());
    assert!(Tensor::int4(vec![1], &[-9], vec![1.0]).is_err());
    assert!(Tensor::codebook(vec![1], vec![0.0, 1.0], &[2]).is_err());
    assert!(Tensor::codebook(vec![1], vec![], &[0]).is_err());
}

#[test]
fn masks_count_and_change_bits() {
    let mut mask = Mask::filled(11);
    assert_eq!((mask.count_ones(), mask.bits.clone()), (11, vec![0xff, 0x07]));
    mask.set(10, false);
    mask.set(11, true);
    assert_eq!((mask.get(9), mask.get(10), mask.get(11), mask.count_ones()), (true, false, false, 10));
    assert_eq!(Mask::filled(16).count_ones(), 16);
    assert_eq!(Mask::filled(0), masked(&[]));
    assert_eq!(masked(&[0.0, 2.0, -0.0, f32::NAN]).bits, [0b1010]);
}

/// Tensors that break one rule each, with the part that the error must name.
fn invalid_tensors() -> Vec<(Tensor, &'static str)> {
    let int4 = |packed, scales| Tensor { shape: vec![3], encoding: Encoding::Int4 { packed, scales } };
    let codebook =
        |centroids, packed| Tensor { shape: vec![3], encoding: Encoding::Codebook { centroids, packed } };
    let sparse = |mask, values| Tensor { shape: vec![3], encoding: Encoding::Sparse { mask, values } };
    vec![
        (Tensor::f32(vec![], vec![1.0]), "shape"),
        (Tensor::f32(vec![0], vec![]), "shape"),
        (Tensor::f32(vec![usize::MAX, 2], vec![]), "shape"),
        (Tensor::f32(vec![65_536, 65_536], vec![]), "shape"),
        (Tensor::f32(vec![1; 9], vec![1.0]), "shape"),
        (Tensor::f32(vec![2, 2], vec![1.0; 3]), "data"),
        (Tensor::f32(vec![1], vec![f32::NAN]), "data"),
        (Tensor { shape: vec![1], encoding: Encoding::F16(vec![f16::INFINITY]) }, "data"),
        (Tensor { shape: vec![1], encoding: Encoding::Bf16(vec![bf16::NAN]) }, "data"),
        (Tensor::int8(vec![2, 2], vec![1; 3], vec![1.0]), "data"),
        (Tensor::int8(vec![2, 2], vec![1; 4], vec![]), "scales"),
        (Tensor::int8(vec![2, 2], vec![1; 4], vec![1.0; 4]), "scales"),
        (Tensor::int8(vec![2, 2], vec![1; 4], vec![0.0]), "scales"),
        (Tensor::int8(vec![2, 2], vec![1; 4], vec![-1.0]), "scales"),
        (Tensor::int8(vec![2, 2], vec![1; 4], vec![f32::MAX]), "scales"),
        (int4(vec![0], vec![1.0]), "data"),
        (int4(vec![0, 0x10], vec![1.0]), "data"),
        (sparse(Mask { len: 3, bits: vec![0x07] }, vec![1.0; 2]), "data"),
        (sparse(Mask { len: 3, bits: vec![0x0f] }, vec![1.0; 4]), "mask.bits"),
        (sparse(Mask { len: 3, bits: vec![] }, vec![]), "mask.bits"),
        (sparse(Mask { len: 4, bits: vec![0] }, vec![]), "mask"),
        (sparse(Mask { len: 3, bits: vec![1] }, vec![f32::NAN]), "data"),
        (sparse(Mask { len: 3, bits: vec![3] }, vec![1.0, 0.0]), "data"),
        (sparse(Mask { len: 3, bits: vec![1] }, vec![-0.0]), "data"),
        (codebook(vec![], vec![]), "centroids"),
        (codebook(vec![0.0; 257], vec![0; 3]), "centroids"),
        (codebook(vec![0.0, -0.0], vec![0]), "centroids"),
        (codebook(vec![f32::INFINITY], vec![0]), "centroids"),
        (codebook(vec![0.0, 1.0], vec![0x08]), "data"),
        (codebook(vec![0.0, 1.0], vec![0, 0]), "data"),
        (codebook(vec![0.0, 1.0, 2.0], vec![0b11]), "data"),
    ]
}

#[test]
fn validation_names_what_is_wrong_and_nothing_panics_before_it() {
    for (tensor, expected) in invalid_tensors() {
        let error = tensor.validate().unwrap_err();
        assert!(matches!(&error, Error::Invalid { place, .. } if place == expected), "{tensor:?}: {error}");
        let _ = (tensor.to_f32(), tensor.nonzero(), tensor.byte_len(), tensor.is_empty());
    }
}

proptest! {
    #[test]
    fn packed_indices_come_back(
        (centroids, indices) in (1usize..=256).prop_flat_map(|centroids| {
            (Just(centroids), prop::collection::vec(0..centroids, 1..40))
        })
    ) {
        let values: Vec<f32> = (0..centroids).map(|index| index as f32 - 7.0).collect();
        let expected: Vec<f32> = indices.iter().map(|index| values[*index]).collect();
        let indices: Vec<u8> = indices.iter().map(|index| *index as u8).collect();
        let tensor = Tensor::codebook(vec![indices.len()], values, &indices).unwrap();
        tensor.validate().unwrap();
        prop_assert_eq!(tensor.to_f32(), expected);
    }

    #[test]
    fn packed_nibbles_come_back(codes in prop::collection::vec(-8i8..=7, 1..40)) {
        let tensor = Tensor::int4(vec![codes.len()], &codes, vec![1.0]).unwrap();
        tensor.validate().unwrap();
        prop_assert_eq!(tensor.to_f32(), codes.iter().map(|code| f32::from(*code)).collect::<Vec<_>>());
    }

    #[test]
    fn sparse_values_come_back(values in prop::collection::vec(prop_oneof![Just(0.0f32), -9.0f32..9.0], 1..40)) {
        let tensor = Tensor::sparse_from(vec![values.len()], &values);
        tensor.validate().unwrap();
        prop_assert_eq!(tensor.nonzero(), values.iter().filter(|value| **value != 0.0).count());
        prop_assert_eq!(tensor.to_f32(), values);
    }
}
