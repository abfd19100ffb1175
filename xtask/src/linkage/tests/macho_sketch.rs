//! A writer of small Mach-O files, each of them a signed program unless it is told otherwise.

use sha2::{Digest as _, Sha256};

pub const PAGE: usize = 4096;

/// A small Mach-O file: headers and code in one segment, data in another, and what
/// the signature stands in in a third.
pub struct Sketch<'a> {
    pub cpu: (u32, u32),
    pub kind: u32,
    pub flags: u32,
    pub entry: Option<u64>,
    pub loader: Option<&'a str>,
    /// By the number of the load command.
    pub libraries: Vec<(u32, &'a str)>,
    pub paths: Vec<&'a str>,
    /// Words of a load command of each.
    pub systems: Vec<Vec<u32>>,
    pub code_protection: u32,
    pub data_protection: u32,
    pub signature: Option<Signing>,
    /// Bytes of the code's segment besides the headers.
    pub code: usize,
    /// Each byte of the data.
    pub data: u8,
}

/// How the file is signed.
pub struct Signing {
    pub magic: u32,
    pub flags: u32,
    /// Of each code directory; 2 is SHA-256.
    pub hashes: Vec<u8>,
    /// As a power of 2.
    pub page: u8,
    pub scatter: u32,
    pub slots: Option<u32>,
    /// Covered bytes fewer than there are.
    pub missing: usize,
    pub digest_size: u8,
    /// Of the program, once it was signed.
    pub changed: Option<usize>,
}

impl Sketch<'_> {
    pub fn of(target: &str) -> Sketch<'static> {
        let signing = Signing {
            magic: 0xfade_0cc0,
            flags: 0x2_0002,
            hashes: vec![2],
            page: 12,
            scatter: 0,
            slots: None,
            missing: 0,
            digest_size: 32,
            changed: None,
        };
        Sketch {
            cpu: if target.starts_with("aarch64") {
                (0x0100_000c, 0)
            } else {
                (0x0100_0007, 0x8000_0003)
            },
            kind: 2,
            flags: 0x20_0085,
            entry: Some(0x800),
            loader: Some("/usr/lib/dyld"),
            libraries: vec![(0xc, "/usr/lib/libSystem.B.dylib")],
            paths: Vec::new(),
            systems: vec![vec![0x32, 1, 0xb_0000, 0xc_0000, 0]],
            code_protection: 5,
            data_protection: 3,
            signature: Some(signing),
            code: 3 * PAGE,
            data: 0x90,
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let (code, data) = (self.code as u64, PAGE as u64);
        let signature = code + data;
        let size = self.signature.as_ref().map_or(0, |it| self.signature(it, &[]).len() as u64);
        let segment = |name: &str, offset: u64, size: u64, protection: u32| {
            let mut name = name.as_bytes().to_vec();
            name.resize(16, 0);
            let places = [0x1_0000_0000 + offset, size, offset, size].map(u64::to_le_bytes);
            [name, places.concat(), words(&[protection, protection, 0, 0])].concat()
        };
        let mut commands = vec![
            (0x19, segment("__TEXT", 0, code, self.code_protection)),
            (0x19, segment("__DATA", code, data, self.data_protection)),
            (0x19, segment("__LINKEDIT", signature, size, 1)),
        ];
        commands.extend(self.entry.map(|at| (0x8000_0028, [at, 0].map(u64::to_le_bytes).concat())));
        commands.extend(self.loader.map(|path| (0xe, string(&[12], path))));
        let library = |(kind, path): &(u32, &str)| (*kind, string(&[24, 0, 0, 0], path));
        commands.extend(self.libraries.iter().map(library));
        commands.extend(self.paths.iter().map(|path| (0x8000_001c, string(&[12], path))));
        commands.extend(self.systems.iter().map(|system| (system[0], words(&system[1..]))));
        if self.signature.is_some() {
            commands.push((0x1d, words(&[signature as u32, size as u32])));
        }
        let count = commands.len() as u32;
        let commands: Vec<u8> = commands
            .into_iter()
            .flat_map(|(kind, body)| {
                let size = (body.len() + 8).next_multiple_of(8);
                let mut command = [words(&[kind, size as u32]), body].concat();
                command.resize(size, 0);
                command
            })
            .collect();
        let (cpu, subtype) = self.cpu;
        let size = commands.len() as u32;
        let head = [0xfeed_facf, cpu, subtype, self.kind, count, size, self.flags, 0];
        let mut bytes = [words(&head), commands].concat();
        // Linkers leave room for more commands.
        bytes.resize(bytes.len().max(0x800), 0);
        bytes.resize(code as usize, 0x90);
        bytes.resize((code + data) as usize, self.data);
        if let Some(signing) = &self.signature {
            let signature = self.signature(signing, &bytes);
            bytes.extend(signature);
            if let Some(at) = signing.changed {
                bytes[at] ^= 1;
            }
        }
        bytes
    }

    /// The signature of the bytes; for none, one of the same size.
    fn signature(&self, signing: &Signing, bytes: &[u8]) -> Vec<u8> {
        let covered = self.code + PAGE - signing.missing;
        let page = 1 << signing.page;
        let mut digests = Vec::new();
        for at in (0..covered).step_by(page) {
            let page = bytes.get(at..covered.min(at + page)).unwrap_or(&[]);
            digests.extend(Sha256::digest(page));
        }
        let slots = signing.slots.unwrap_or(digests.len() as u32 / 32);
        let length = 56 + digests.len() as u32;
        let count = signing.hashes.len() as u32;
        let first = 12 + 8 * count;
        let mut index = big(&[signing.magic, first + count * length, count]);
        let mut directories = Vec::new();
        for (number, hash) in (0..).zip(&signing.hashes) {
            let slot = if number == 0 { 0 } else { 0xfff + number };
            index.extend(big(&[slot, first + number * length]));
            let head =
                [0xfade_0c02, length, 0x2_0200, signing.flags, 56, 52, 0, slots, covered as u32];
            directories.extend(big(&head));
            directories.extend([signing.digest_size, *hash, 0, signing.page]);
            directories.extend(big(&[0, signing.scatter, 0]));
            directories.extend(*b"app\0");
            directories.extend(&digests);
        }
        [index, directories].concat()
    }
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn big(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn string(head: &[u32], text: &str) -> Vec<u8> {
    [words(head), text.as_bytes().to_vec(), vec![0]].concat()
}

/// A universal file: each slice with its alignment, as a power of 2.
pub fn universal(slices: &[(&Sketch, u32)], wide: bool) -> Vec<u8> {
    let each = if wide { 32 } else { 20 };
    let mut head = big(&[0xcafe_babe + u32::from(wide), slices.len() as u32]);
    let mut body: Vec<u8> = Vec::new();
    let first = 8 + each * slices.len();
    for (slice, alignment) in slices {
        let bytes = slice.write();
        body.resize((first + body.len()).next_multiple_of(1 << alignment) - first, 0);
        let (cpu, subtype) = slice.cpu;
        let (offset, size) = ((first + body.len()) as u32, bytes.len() as u32);
        head.extend(match wide {
            true => big(&[cpu, subtype, 0, offset, 0, size, *alignment, 0]),
            false => big(&[cpu, subtype, offset, size, *alignment]),
        });
        body.extend(bytes);
    }
    [head, body].concat()
}
