//! A writer of small ELF programs with sections and symbols.

/// The sections, by their names, without those that are about others.
pub struct Sketch {
    pub sections: Vec<(String, Vec<u8>)>,
}

/// Where `.text` is loaded.
const TEXT: u64 = 0x1000;

impl Default for Sketch {
    /// A program of two functions of four bytes, `first` and `second`.
    fn default() -> Sketch {
        let sections: [(&str, &[u8]); 5] = [
            (".text", &[0x90; 8]),
            (".rodata", b"/home/me/app/src/main.rs and 2024-01-02."),
            (".comment", b"rustc version 1.95.0 (def 2026-04-04)\0"),
            (".note.gnu.build-id", b"x"),
            (".dep-v0", &super::list("0.1.0")),
        ];
        let owned = |(name, data): (&str, &[u8])| (name.to_owned(), data.to_vec());
        Sketch { sections: sections.map(owned).to_vec() }
    }
}

impl Sketch {
    /// The bytes of a section.
    pub fn section(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.sections.iter_mut().find(|section| section.0 == name).unwrap().1
    }

    /// The file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut symbols = vec![0; 24];
        for (name, value) in [(1_u32, TEXT), (7, TEXT + 4)] {
            symbols.extend(name.to_le_bytes());
            // A global function in the first section.
            symbols.extend([0x12, 0, 1, 0]);
            symbols.extend(value.to_le_bytes());
            symbols.extend(4_u64.to_le_bytes());
        }
        let mut sections = self.sections.clone();
        sections.push((".symtab".to_owned(), symbols));
        sections.push((".strtab".to_owned(), b"\0first\0second\0".to_vec()));
        sections.push((".shstrtab".to_owned(), Vec::new()));
        let mut names = vec![0];
        let mut places = Vec::new();
        for (name, _) in &sections {
            places.push(names.len() as u32);
            names.extend(name.bytes().chain([0]));
        }
        let last = sections.len() - 1;
        sections[last].1 = names;
        let mut file = vec![0; 64];
        let mut headers = vec![0; 64];
        for (at, (name, data)) in sections.iter().enumerate() {
            file.resize(file.len().next_multiple_of(8), 0);
            let (kind, link, entry): (u32, u32, u64) = match &**name {
                ".symtab" => (2, last as u32, 24),
                ".strtab" | ".shstrtab" => (3, 0, 0),
                _ => (1, 0, 0),
            };
            let address = if name == ".text" { TEXT } else { 0 };
            headers.extend(places[at].to_le_bytes());
            headers.extend(kind.to_le_bytes());
            headers.extend(0_u64.to_le_bytes());
            for number in [address, file.len() as u64, data.len() as u64] {
                headers.extend(number.to_le_bytes());
            }
            headers.extend(link.to_le_bytes());
            headers.extend(1_u32.to_le_bytes());
            headers.extend(1_u64.to_le_bytes());
            headers.extend(entry.to_le_bytes());
            file.extend(data);
        }
        file.resize(file.len().next_multiple_of(8), 0);
        let table = file.len() as u64;
        let count = sections.len() as u16 + 1;
        file.extend(headers);
        file[..16].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
        file[16..18].copy_from_slice(&2_u16.to_le_bytes());
        file[18..20].copy_from_slice(&62_u16.to_le_bytes());
        file[20..24].copy_from_slice(&1_u32.to_le_bytes());
        file[0x28..0x30].copy_from_slice(&table.to_le_bytes());
        file[0x34..0x36].copy_from_slice(&64_u16.to_le_bytes());
        file[0x3a..0x3c].copy_from_slice(&64_u16.to_le_bytes());
        file[0x3c..0x3e].copy_from_slice(&count.to_le_bytes());
        file[0x3e..0x40].copy_from_slice(&(count - 1).to_le_bytes());
        file
    }
}
