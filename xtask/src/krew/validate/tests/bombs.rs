//! Archives that are small and unpack to what fills a disk. krew, which has no limits, is
//! not given them.

use super::archives::{FILE, FOLDER, TEXT, entry, gzip, header, members, zip};

/// Archives that are small, and unpack to more than any plugin: the zip has
/// one content that is named many times, and the last has deep paths.
pub fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let large = vec![0; 16 << 20];
    let zeros = gzip(&large);
    let head = gzip(&header("x", FILE, 0o644, 2 << 30, ""));
    let tar_bomb = [head, zeros.repeat(65)].concat();
    let mut zip_bomb = zip(&[entry("x", TEXT, &large)]);
    repeat_directory(&mut zip_bomb, 100);
    let long = |first: usize| format!("{first}/{}", "x/".repeat(1900));
    let paths: Vec<String> = (0..60).map(long).collect();
    let deep: Vec<u8> = paths
        .iter()
        .flat_map(|path| {
            members(&[("@LongLink", b'L', 0o644, path.as_bytes()), ("x", FOLDER, 0o755, b"")])
        })
        .collect();
    vec![("a large tar", tar_bomb), ("a large zip", zip_bomb), ("a deep tar", gzip(&deep))]
}

/// Names the one entry of a zip so many times.
fn repeat_directory(zip: &mut Vec<u8>, times: u16) {
    let end = zip.len() - 22;
    let mut record = zip.split_off(end);
    let begin = u32::from_le_bytes(record[16..20].try_into().unwrap()) as usize;
    let directory = zip.split_off(begin);
    zip.extend(directory.repeat(usize::from(times)));
    record[8..10].copy_from_slice(&times.to_le_bytes());
    record[10..12].copy_from_slice(&times.to_le_bytes());
    let size = (directory.len() * usize::from(times)) as u32;
    record[12..16].copy_from_slice(&size.to_le_bytes());
    zip.extend(record);
}
