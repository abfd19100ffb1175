//! The symbol that an address belongs to.

use object::{File, Object, ObjectSymbol, SymbolKind};

use super::shown;

/// How many symbols are read. Large programs with debug information have some hundred thousand.
const SYMBOLS: usize = 4_000_000;

/// The functions and variables of a program, sorted by address.
pub struct Symbols<'a>(Vec<(u64, u64, &'a [u8])>);

impl<'a> Symbols<'a> {
    /// Those of the first program, or else of the second: one of them may be stripped.
    pub fn of(files: [&File<'a>; 2]) -> Symbols<'a> {
        let [first, second] = files;
        let symbols = read(first);
        Symbols(if symbols.is_empty() { read(second) } else { symbols })
    }

    /// The name of the symbol that has the address, with the distance from its beginning.
    pub fn at(&self, address: u64) -> Option<String> {
        let after = self.0.partition_point(|(begin, ..)| *begin <= address);
        let (begin, size, name) = *self.0[..after].last()?;
        let within = address - begin;
        // A symbol of assembly has no size.
        (size == 0 || within < size).then(|| match within {
            0 => shown(name),
            within => format!("{}+{within:#x}", shown(name)),
        })
    }

    /// Whether there is none, as in a program that was stripped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn read<'a>(file: &File<'a>) -> Vec<(u64, u64, &'a [u8])> {
    let is_place = |kind| matches!(kind, SymbolKind::Text | SymbolKind::Data | SymbolKind::Label);
    let symbols = file.symbols().take(SYMBOLS);
    let symbols = symbols.filter(|it| is_place(it.kind()) && !it.is_undefined());
    let named = symbols.filter_map(|it| {
        let name = it.name_bytes().ok().filter(|name| !name.is_empty())?;
        Some((it.address(), it.size(), name))
    });
    let mut symbols: Vec<_> = named.collect();
    symbols.sort_unstable();
    symbols
}
