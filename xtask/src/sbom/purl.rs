//! Package URLs, the names by which databases of vulnerabilities know packages.
//! <https://github.com/package-url/purl-spec/blob/main/PURL-SPECIFICATION.rst>

use std::fmt::Write as _;

/// A package URL in the making.
pub struct Purl(String);

impl Purl {
    /// `pkg:KIND/NAME@VERSION`
    pub fn new(kind: &str, name: &str, version: &str) -> Purl {
        Purl(format!("pkg:{kind}/{}@{}", encoded(name, ""), encoded(version, "")))
    }

    /// Adds qualifiers; they must be sorted by key.
    pub fn with<'a>(mut self, qualifiers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Purl {
        for (at, (key, value)) in qualifiers.into_iter().enumerate() {
            let sign = if at == 0 { '?' } else { '&' };
            self.0.push(sign);
            self.0.push_str(key);
            self.0.push('=');
            self.0.push_str(&encoded(value, "/"));
        }
        self
    }

    /// The finished text. `subpath` is the package's folder within what the qualifiers name.
    pub fn finish(mut self, subpath: Option<&str>) -> String {
        if let Some(path) = subpath.filter(|path| !path.is_empty()) {
            self.0.push('#');
            self.0.push_str(&encoded(path, "/"));
        }
        self.0
    }
}

/// Percent-encodes all but colons, which are never encoded, unreserved characters, and those of
/// `kept`.
fn encoded(text: &str, kept: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~:".contains(c) || (c.is_ascii() && kept.contains(c)) {
            encoded.push(c);
        } else {
            write!(encoded, "%{byte:02X}").expect("a string takes any text");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_encoded_in_its_own_way() {
        let plain = Purl::new("cargo", "serde", "1.0.0+b 1").finish(None);
        assert_eq!(plain, "pkg:cargo/serde@1.0.0%2Bb%201");
        let git = "git+https://example.com/a/b@0123abc";
        let purl = Purl::new("cargo", "b", "1.0.0").with([("vcs_url", git)]);
        let expected = "pkg:cargo/b@1.0.0?vcs_url=git%2Bhttps://example.com/a/b%400123abc";
        assert_eq!(purl.finish(None), expected);
        let purl = Purl::new("oci", "a", "sha256:00").with([("arch", "amd64"), ("tag", "a&b=ü")]);
        let expected = "pkg:oci/a@sha256:00?arch=amd64&tag=a%26b%3D%C3%BC#x/y%20z";
        assert_eq!(purl.finish(Some("x/y z")), expected);
    }
}
