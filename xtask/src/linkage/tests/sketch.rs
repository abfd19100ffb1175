//! A writer of small ELF files, each of them a static program unless it is told
//! otherwise, or one for glibc's loader.

use crate::linkage::machine::{CLibrary, Expected};
use crate::target::Target;

const PT_LOAD: u32 = 1;
const PT_GNU_STACK: u32 = 0x6474_e551;
const PT_GNU_RELRO: u32 = 0x6474_e552;

/// What is written: first the headers, then what is read-only, in one segment
/// with the code; then the data in another; then the section headers.
pub struct Sketch<'a> {
    pub wide: bool,
    pub big: bool,
    pub machine: u16,
    pub kind: u16,
    pub os_abi: u8,
    /// Where the headers are loaded.
    pub base: u64,
    /// Instead of the code's address.
    pub entry: Option<u64>,
    pub code_flags: u32,
    pub data_flags: u32,
    /// The flags of PT_GNU_STACK.
    pub stack: Option<u32>,
    pub relro: bool,
    pub interpreter: Option<&'a str>,
    /// Entries of the dynamic table besides those of the fields below; later ones count.
    pub dynamic: Option<Vec<(i64, u64)>>,
    pub needed: Vec<&'a str>,
    /// Paths of folders with libraries, by their tag.
    pub paths: Vec<(i64, &'a str)>,
    /// Versions of symbols that are asked for, all of one library.
    pub versions: Vec<Wanted<'a>>,
    /// Types of relocations, of which those of type 8 are counted as relative.
    pub relocations: Vec<u32>,
    pub addends: bool,
    /// Whether there is a note of glibc's start code.
    pub note: bool,
    /// Stands in the read-only data.
    pub text: &'a str,
}

/// A version, its flags, and a symbol that has it.
pub struct Wanted<'a> {
    pub version: &'a str,
    pub flags: u16,
    pub symbol: &'a str,
}

impl Sketch<'_> {
    /// A position-independent program for the target.
    pub fn of(target: &str) -> Sketch<'static> {
        let expected = Expected::of(&Target::parse(target).unwrap()).unwrap();
        let (interpreter, needed) = match expected.library {
            CLibrary::Musl => (None, vec![]),
            CLibrary::Glibc { loader } => (Some(loader), vec!["libc.so.6"]),
        };
        Sketch {
            wide: expected.is_64,
            big: expected.big_endian,
            machine: expected.machine.0,
            kind: 3,
            os_abi: 0,
            base: 0x10000,
            entry: None,
            code_flags: 5,
            data_flags: 6,
            stack: Some(6),
            relro: true,
            interpreter,
            dynamic: Some(vec![(30, 8), (0x6fff_fffb, 0x0800_0001)]),
            needed,
            paths: Vec::new(),
            versions: Vec::new(),
            relocations: Vec::new(),
            addends: true,
            note: false,
            text: "",
        }
    }

    pub fn write(&self) -> Vec<u8> {
        let word = if self.wide { 8 } else { 4 };
        let (header, program, section) = if self.wide { (64, 56, 64) } else { (52, 32, 40) };
        let optional = [
            self.interpreter.is_some(),
            self.dynamic.is_some(),
            self.note,
            self.stack.is_some(),
            self.relro,
        ];
        let count = 2 + optional.iter().filter(|there| **there).count();

        let mut bytes = vec![0; header + count * program];
        let code = append(&mut bytes, &[0x90; 16]);
        append(&mut bytes, self.text.as_bytes());
        let interpreter =
            self.interpreter.map(|path| append(&mut bytes, format!("{path}\0").as_bytes()));
        let mut strings = Strings(vec![0]);
        let mut entries: Vec<(i64, u64)> =
            self.needed.iter().map(|name| (1, strings.add(name))).collect();
        entries.extend(self.paths.iter().map(|(tag, path)| (*tag, strings.add(path))));
        let [versions, symbols, numbers] =
            self.version_tables(&mut strings).map(|it| (append(&mut bytes, &it), it.len() as u64));
        if !self.versions.is_empty() {
            entries.extend([(0x6fff_fffe, self.base + versions.0), (0x6fff_ffff, 1)]);
        }
        let strings = (append(&mut bytes, &strings.0), strings.0.len() as u64);
        let relocations = self.relocations();
        let relocations = (append(&mut bytes, &relocations), relocations.len() as u64);
        let note = self.note.then(|| {
            let words = [4, 16, 1, 0, 0, 3, 2, 0].map(|value| self.number(value, 4)).concat();
            append(&mut bytes, &[&words[..12], b"GNU\0", &words[12..28]].concat())
        });
        let dynamic = self.dynamic.as_ref().map(|more| {
            let table = self.table(more, entries, strings, relocations);
            (append(&mut bytes, &table), table.len() as u64)
        });
        let read_only = bytes.len() as u64;
        let data = append(&mut bytes, &[0; 32]);

        let mut segments = Vec::new();
        let mut segment = |kind: u32, flags: u32, offset: u64, size: u64, shift: u64| {
            segments.push((kind, flags, offset, self.base + shift + offset, size));
        };
        segment(PT_LOAD, self.code_flags, 0, read_only, 0);
        segment(PT_LOAD, self.data_flags, data, 32, 0x1000);
        if let (Some(at), Some(path)) = (interpreter, self.interpreter) {
            segment(3, 4, at, path.len() as u64 + 1, 0);
        }
        if let Some((at, size)) = dynamic {
            segment(2, 6, at, size, 0);
        }
        if let Some(at) = note {
            segment(4, 4, at, 32, 0);
        }
        if let Some(flags) = self.stack {
            segment(PT_GNU_STACK, flags, 0, 0, 0);
        }
        if self.relro {
            segment(PT_GNU_RELRO, 4, data, 32, 0x1000);
        }
        let headers: Vec<u8> = segments.iter().flat_map(|it| self.program_header(*it)).collect();
        bytes[header..header + headers.len()].copy_from_slice(&headers);

        let kind = if self.addends { 4 } else { 9 };
        let rows = [
            (0, 0, 0, 0),
            (kind, 2, relocations.0, relocations.1),
            (11, 2, symbols.0, symbols.1),
            (0x6fff_ffff, 2, numbers.0, numbers.1),
        ];
        let sections = bytes.len() as u64;
        for (kind, flags, offset, size) in rows {
            let fields =
                [(0, 4), (kind, 4), (flags, word), (0, word), (offset, word), (size, word)];
            let rest = [(0, 4), (0, 4), (0, word), (0, word)];
            bytes.extend(self.numbers(&fields).into_iter().chain(self.numbers(&rest)));
        }

        let ident = [
            0x7f,
            b'E',
            b'L',
            b'F',
            1 + u8::from(self.wide),
            1 + u8::from(self.big),
            1,
            self.os_abi,
        ];
        bytes[..8].copy_from_slice(&ident);
        let entry = self.entry.unwrap_or(self.base + code);
        let fields = [
            (self.kind.into(), 2),
            (self.machine.into(), 2),
            (1, 4),
            (entry, word),
            (header as u64, word),
            (sections, word),
            (0, 4),
            (header as u64, 2),
            (program as u64, 2),
            (count as u64, 2),
            (section, 2),
            (rows.len() as u64, 2),
            (0, 2),
        ];
        bytes[16..header].copy_from_slice(&self.numbers(&fields));
        bytes
    }

    /// The versions that are needed, the symbols, and the number of each one's version.
    fn version_tables(&self, strings: &mut Strings) -> [Vec<u8>; 3] {
        let count = self.versions.len() as u64;
        let library = strings.add("libc.so.6");
        let mut needs = self.numbers(&[(1, 2), (count, 2), (library, 4), (16, 4), (0, 4)]);
        let (mut symbols, mut numbers) = (self.symbol(0), self.number(0, 2));
        for (number, Wanted { version, flags, symbol }) in (2..).zip(&self.versions) {
            let next = if number == count + 1 { 0 } else { 16 };
            let version = strings.add(version);
            let fields = [(0, 4), (u64::from(*flags), 2), (number, 2), (version, 4), (next, 4)];
            needs.extend(self.numbers(&fields));
            symbols.extend(self.symbol(strings.add(symbol)));
            numbers.extend(self.number(number, 2));
        }
        [needs, symbols, numbers]
    }

    fn symbol(&self, name: u64) -> Vec<u8> {
        let rest = if self.wide { 20 } else { 12 };
        [self.number(name, 4), vec![0; rest]].concat()
    }

    fn relocations(&self) -> Vec<u8> {
        let word = if self.wide { 8 } else { 4 };
        let each = self.relocations.iter().flat_map(|kind| {
            let info = if self.wide || self.machine != 8 { u64::from(*kind) } else { 0 };
            let addend = if self.addends { word } else { 0 };
            self.numbers(&[(self.base, word), (info, word), (0, addend)])
        });
        each.collect()
    }

    fn table(
        &self,
        more: &[(i64, u64)],
        mut entries: Vec<(i64, u64)>,
        strings: (u64, u64),
        relocations: (u64, u64),
    ) -> Vec<u8> {
        entries.extend([(5, self.base + strings.0), (10, strings.1)]);
        let relative = self.relocations.iter().filter(|kind| **kind == 8).count() as u64;
        entries.extend(match self.addends {
            true => [(7, self.base + relocations.0), (8, relocations.1), (0x6fff_fff9, relative)],
            false => {
                [(17, self.base + relocations.0), (18, relocations.1), (0x6fff_fffa, relative)]
            }
        });
        entries.extend(more);
        entries.push((0, 0));
        let word = if self.wide { 8 } else { 4 };
        entries
            .iter()
            .flat_map(|(tag, value)| self.numbers(&[(*tag as u64, word), (*value, word)]))
            .collect()
    }

    fn program_header(
        &self,
        (kind, flags, offset, address, size): (u32, u32, u64, u64, u64),
    ) -> Vec<u8> {
        let (kind, flags) = (u64::from(kind), u64::from(flags));
        match self.wide {
            true => {
                let places =
                    [(offset, 8), (address, 8), (address, 8), (size, 8), (size, 8), (8, 8)];
                [self.numbers(&[(kind, 4), (flags, 4)]), self.numbers(&places)].concat()
            }
            false => {
                let places = [
                    (offset, 4),
                    (address, 4),
                    (address, 4),
                    (size, 4),
                    (size, 4),
                    (flags, 4),
                    (8, 4),
                ];
                [self.numbers(&[(kind, 4)]), self.numbers(&places)].concat()
            }
        }
    }

    fn numbers(&self, fields: &[(u64, usize)]) -> Vec<u8> {
        fields.iter().flat_map(|(value, size)| self.number(*value, *size)).collect()
    }

    fn number(&self, value: u64, size: usize) -> Vec<u8> {
        match self.big {
            true => value.to_be_bytes()[8 - size..].to_vec(),
            false => value.to_le_bytes()[..size].to_vec(),
        }
    }
}

/// A table of strings.
struct Strings(Vec<u8>);

impl Strings {
    /// Where the string stands.
    fn add(&mut self, text: &str) -> u64 {
        let at = self.0.len() as u64;
        self.0.extend([text.as_bytes(), b"\0"].concat());
        at
    }
}

/// Where the first program header of this type stands in a file of 64 bits, little endian.
pub fn program_header(bytes: &[u8], kind: u32) -> u64 {
    let mut headers = bytes[64..].chunks(56).zip((64..).step_by(56));
    headers.find(|(header, _)| header[..4] == kind.to_le_bytes()).unwrap().1
}

/// Appends at a multiple of 8, and says where.
fn append(bytes: &mut Vec<u8>, piece: &[u8]) -> u64 {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let at = bytes.len() as u64;
    bytes.extend_from_slice(piece);
    at
}
