use tempfile::TempDir;

use super::*;

const BYTES: usize = 1000;

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn cache(folder: &TempDir, blobs: usize) -> BlobCache {
    BlobCache::open(folder.path().join("blobs"), (blobs * BYTES) as u64, "w1").unwrap()
}

fn blob(number: u8) -> (Digest, Vec<u8>) {
    let bytes = vec![number; BYTES];
    (Digest::new(leat_model::Digest::of(&bytes).as_str()).unwrap(), bytes)
}

fn keep(cache: &BlobCache, number: u8) {
    let (digest, bytes) = blob(number);
    cache.keep(&digest, &bytes, &|| true);
}

fn has(cache: &BlobCache, number: u8) -> bool {
    let (digest, bytes) = blob(number);
    cache.get(&digest).is_some_and(|found| found == bytes)
}

/// As if a file had been loaded so long ago.
fn age(path: &Path, age: Duration) {
    File::options().write(true).open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

#[test]
fn what_was_kept_is_there_also_for_others_and_later() {
    let folder = folder();
    keep(&cache(&folder, 2), 1);
    let other = cache(&folder, 2);
    assert!(has(&other, 1) && !has(&other, 2));
    // Nothing but the blob is in the folder.
    assert_eq!(fs::read_dir(&other.folder).unwrap().count(), 1);
}

#[test]
fn a_damaged_file_is_none_and_goes() {
    let folder = folder();
    let cache = cache(&folder, 2);
    let (digest, bytes) = blob(1);
    for damaged in [&bytes[..BYTES - 1], &[2; BYTES], &[]] {
        fs::write(cache.path(&digest), damaged).unwrap();
        assert_eq!(cache.get(&digest), None);
        assert!(!cache.path(&digest).exists());
    }
    keep(&cache, 1);
    assert!(has(&cache, 1));
}

#[test]
fn those_loaded_least_recently_go_and_nothing_that_is_not_ours() {
    let folder = folder();
    let cache = cache(&folder, 2);
    let foreign = ["notes.txt", "film.partial"].map(|name| cache.folder.join(name));
    for path in &foreign {
        fs::write(path, [0; 10 * BYTES]).unwrap();
        age(path, PARTIAL_AGE_MAX * 2);
    }
    keep(&cache, 1);
    keep(&cache, 2);
    let hour = Duration::from_secs(3600);
    age(&cache.path(&blob(1).0), 2 * hour);
    age(&cache.path(&blob(2).0), hour);
    assert!(has(&cache, 1));
    keep(&cache, 3);
    assert!(has(&cache, 1) && !has(&cache, 2) && has(&cache, 3));
    assert!(foreign.iter().all(|path| path.exists()));
}

#[test]
fn what_is_larger_than_all_may_be_is_not_kept() {
    let folder = folder();
    let cache = cache(&folder, 1);
    keep(&cache, 1);
    let large = vec![7; BYTES + 1];
    let digest = Digest::new(leat_model::Digest::of(&large).as_str()).unwrap();
    cache.keep(&digest, &large, &|| true);
    assert_eq!(cache.get(&digest), None);
    assert!(has(&cache, 1));
}

#[test]
fn what_a_crash_left_half_written_goes_when_it_is_old() {
    let folder = folder();
    let cache = cache(&folder, 2);
    let [old, new] =
        ["w2", "w3"].map(|writer| cache.folder.join(format!("{}.{writer}.{PARTIAL}", blob(1).0)));
    for path in [&old, &new] {
        fs::write(path, [1; 10]).unwrap();
    }
    age(&old, PARTIAL_AGE_MAX * 2);
    keep(&cache, 2);
    assert!(!old.exists() && new.exists() && has(&cache, 2));
}

#[test]
fn an_entry_that_cannot_be_removed_does_not_stop_others_from_going() {
    let folder = folder();
    let cache = cache(&folder, 2);
    // It has the name of a blob, and unlinking does not remove it.
    fs::create_dir(cache.path(&blob(9).0)).unwrap();
    assert!(!has(&cache, 9));
    for number in 1..=5 {
        keep(&cache, number);
        age(&cache.path(&blob(number).0), Duration::from_secs(60 * (10 - u64::from(number))));
    }
    let here: Vec<u8> = (1..=9).filter(|&number| has(&cache, number)).collect();
    assert_eq!(here, [4, 5]);
}

#[cfg(unix)]
#[test]
fn a_link_is_not_followed_and_a_blob_takes_its_place() {
    let folder = folder();
    let cache = cache(&folder, 2);
    let (digest, bytes) = blob(1);
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, &bytes).unwrap();
    std::os::unix::fs::symlink(&elsewhere, cache.path(&digest)).unwrap();
    assert!(!has(&cache, 1));
    keep(&cache, 1);
    assert!(has(&cache, 1) && fs::symlink_metadata(cache.path(&digest)).unwrap().is_file());
}

#[test]
fn what_is_larger_than_all_may_be_is_not_read() {
    let folder = folder();
    keep(&cache(&folder, 2), 1);
    let (digest, _) = blob(1);
    let smaller = BlobCache { bytes_max: BYTES as u64 - 1, ..cache(&folder, 2) };
    assert_eq!(smaller.get(&digest), None);
    assert!(smaller.path(&digest).exists());
    // It goes when a worker starts with the new limit.
    BlobCache::open(smaller.folder.clone(), BYTES as u64 - 1, "w2").unwrap();
    assert!(!smaller.path(&digest).exists());
}

#[test]
fn what_must_not_go_on_leaves_nothing_behind() {
    let folder = folder();
    let cache = cache(&folder, 1000);
    let large: Vec<u8> = (0..300_000_u32).map(|place| place as u8).collect();
    let digest = Digest::new(leat_model::Digest::of(&large).as_str()).unwrap();
    let asked = std::cell::Cell::new(0);
    cache.keep(&digest, &large, &|| {
        asked.set(asked.get() + 1);
        asked.get() < 3
    });
    assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), 0);
    cache.keep(&digest, &large, &|| true);
    assert_eq!(cache.get(&digest), Some(large));
}

#[test]
fn a_folder_that_is_gone_is_made_again_and_one_that_cannot_be_made_is_refused() {
    let folder = folder();
    let cache = cache(&folder, 2);
    fs::remove_dir_all(&cache.folder).unwrap();
    keep(&cache, 1);
    assert!(has(&cache, 1));
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = BlobCache::open(file, 1, "w1").unwrap_err().to_string();
    assert!(error.contains("file") && error.contains("blob_cache_folder"), "{error}");
}

#[test]
fn there_are_never_too_many_files_to_look_through() {
    let folder = folder();
    let cache = cache(&folder, 2);
    for number in 0..FILES_MAX + 10 {
        fs::write(cache.folder.join(format!("sha256-{number:064x}")), "").unwrap();
    }
    keep(&cache, 1);
    assert!(has(&cache, 1));
    assert_eq!(fs::read_dir(&cache.folder).unwrap().count(), FILES_MAX);
}
