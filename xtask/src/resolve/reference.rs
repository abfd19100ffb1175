//! References to the packages of a workspace: `dockless://PACKAGE[/BINARY]`.

use std::fmt;

/// How a reference begins.
pub const SCHEME: &str = "dockless://";

/// What a reference names: the image of a package, or the one that runs one of its programs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    pub package: String,
    pub bin: Option<String>,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.package)?;
        self.bin.iter().try_for_each(|bin| write!(f, "/{bin}"))
    }
}

/// Why a text with the scheme is no reference, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub why: &'static str,
    pub fix: &'static str,
}

const FORM: &str = "write dockless://PACKAGE, or dockless://PACKAGE/BINARY";

/// Why a template of a chart cannot be read, and what to do.
pub const TEMPLATE: &str = "`{{` begins a template of a chart, which is no YAML yet";
pub const RENDER: &str = "render the chart first: `helm template RELEASE CHART | cargo dockless \
                          resolve -f -`";

/// Parses a text that is a whole reference; `None` where the scheme is nowhere in it.
pub fn parse(text: &str) -> Option<Result<Named, Malformed>> {
    if !text.contains(SCHEME) {
        return None;
    }
    Some(named(text))
}

fn named(text: &str) -> Result<Named, Malformed> {
    let malformed = |why, fix| Err(Malformed { why, fix });
    if text.contains("{{") {
        return malformed("it is a template", RENDER);
    }
    let Some(rest) = text.strip_prefix(SCHEME) else {
        return malformed("there is more before it", FORM);
    };
    let (package, bin) = match rest.split_once('/') {
        Some((package, bin)) => (package, Some(bin)),
        None => (rest, None),
    };
    let plain = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    let is_name = |name: &str| !name.is_empty() && name.chars().all(plain);
    if is_name(package) && bin.is_none_or(is_name) {
        return Ok(Named { package: package.to_owned(), bin: bin.map(str::to_owned) });
    }
    if package.is_empty() {
        return malformed("it names no package", FORM);
    }
    if rest.contains([':', '@']) {
        let fix = "leave the tag or the digest out: the digest of the image replaces the reference";
        return malformed("a reference has neither a tag nor a digest", fix);
    }
    malformed("these are not the names of a package and a binary", FORM)
}
