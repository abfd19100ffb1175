//! SHA-256 digests.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read, Write};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// Hashes everything that a reader returns, with the memory of one buffer.
    pub fn of_reader(mut reader: impl Read) -> io::Result<Digest> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(Digest(hasher.finalize().into())),
                Ok(n) => hasher.update(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Parses `sha256:` and 64 lower-case hex digits, the form of OCI descriptors.
    /// <https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests>
    pub fn parse(text: &str) -> Result<Digest> {
        let form = "one looks like sha256: and 64 lower-case hex digits";
        let (algorithm, hex) =
            text.split_once(':').with_context(|| format!("{text:?} is not a digest; {form}"))?;
        ensure!(
            algorithm == "sha256",
            "{text:?} is a digest with {algorithm:?}, but only sha256 is supported; {form}"
        );
        Digest::from_hex(hex)
    }

    /// Parses 64 lower-case hex digits, as `sha256sum` prints them.
    pub fn from_hex(hex: &str) -> Result<Digest> {
        // Upper case is refused, as in OCI: with two spellings one blob would have two names.
        let nibble = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let read = || {
            let mut bytes = [0; 32];
            for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
                *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
            }
            Some(Digest(bytes)).filter(|_| hex.len() == 64)
        };
        read().with_context(|| {
            format!("{hex:?} is not a SHA-256 digest; one is 64 lower-case hex digits")
        })
    }

    /// The digest whose bytes these are; `None` if there are not 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Digest> {
        bytes.try_into().ok().map(Digest)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// 64 lower-case hex digits, as `sha256sum` prints them.
    pub fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// `sha256:` and the hex digits, the form of OCI descriptors.
impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).map_err(de::Error::custom)
    }
}

/// Hashes data that comes in parts.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// A writer that hashes what the inner writer accepts, so that the hashed bytes are the bytes
/// that are shipped.
pub struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    written: u64,
}

impl<W: Write> HashingWriter<W> {
    pub fn new(inner: W) -> HashingWriter<W> {
        HashingWriter { inner, hasher: Sha256::new(), written: 0 }
    }

    /// The inner writer, the digest of everything written, and its size in bytes.
    pub fn finish(self) -> (W, Digest, u64) {
        (self.inner, Digest(self.hasher.finalize().into()), self.written)
    }

    /// In bytes.
    pub fn written(&self) -> u64 {
        self.written
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        self.written += taken as u64;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// A reader that hashes what the inner reader returns, so that the hashed bytes are the bytes
/// that are used.
pub struct HashingReader<R> {
    inner: R,
    hasher: Sha256,
    read: u64,
}

impl<R: Read> HashingReader<R> {
    pub fn new(inner: R) -> HashingReader<R> {
        HashingReader { inner, hasher: Sha256::new(), read: 0 }
    }

    /// The inner reader, the digest of everything read, and its size in bytes. The rest of the
    /// inner reader is not included.
    pub fn finish(self) -> (R, Digest, u64) {
        (self.inner, Digest(self.hasher.finalize().into()), self.read)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let given = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..given]);
        self.read += given as u64;
        Ok(given)
    }
}

/// Hashes parts, each with its length before it, so that no two lists of parts have one digest.
pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    Digest(hasher.finalize().into())
}

/// The digests in a list as `sha256sum` writes it, by the names of files beside it.
pub fn listed(text: &[u8]) -> Result<BTreeMap<String, Digest>> {
    let text = std::str::from_utf8(text).context("it is no UTF-8")?;
    let mut digests = BTreeMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let number = at + 1;
        let parts = line.split_at_checked(64).and_then(|(hex, rest)| {
            let name = rest.strip_prefix("  ").or_else(|| rest.strip_prefix(" *"))?;
            Some((Digest::from_hex(hex).ok()?, name))
        });
        let (digest, name) = parts.with_context(|| format!("line {number} is no checksum"))?;
        let plain = !name.contains(['/', '\\']) && !["", ".", ".."].contains(&name);
        ensure!(plain, "line {number} names {name:?}, which is no file beside it");
        if digests.insert(name.to_owned(), digest).is_some_and(|other| other != digest) {
            bail!("it has two checksums of {name:?}");
        }
    }
    Ok(digests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = Digest::of(b"abc");
        assert_eq!(
            digest.hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(Digest::parse(&digest.to_string()).unwrap(), digest);
        assert_eq!(Digest::from_hex(&digest.hex()).unwrap(), digest);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let hex = "a".repeat(64);
        for (text, words) in [
            ("", "is not a digest"),
            (&*hex, "is not a digest"),
            (&format!("sha512:{hex}{hex}"), r#"with "sha512", but only sha256"#),
            (&format!("SHA256:{hex}"), r#"with "SHA256", but only sha256"#),
            (&format!("sha256:{}", "A".repeat(64)), "64 lower-case hex digits"),
            (&format!("sha256:{hex}a"), "64 lower-case hex digits"),
            (&format!("sha256:{}", "a".repeat(63)), "64 lower-case hex digits"),
            (&format!("sha256:{}é", "a".repeat(62)), "64 lower-case hex digits"),
            (&format!("sha256: {}", "a".repeat(63)), "64 lower-case hex digits"),
            ("sha256:", "64 lower-case hex digits"),
        ] {
            let error = Digest::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text:?}: {error}");
        }
        let error = serde_json::from_str::<Digest>("\"md5:00\"").unwrap_err().to_string();
        assert!(error.contains(r#"with "md5", but only sha256"#), "{error}");
    }

    #[test]
    fn what_passes_is_hashed() {
        let mut reader = HashingReader::new(&b"abcdef"[..]);
        let mut buffer = [0; 3];
        reader.read_exact(&mut buffer).unwrap();
        let (rest, digest, size) = reader.finish();
        assert_eq!((rest, digest, size), (&b"def"[..], Digest::of(b"abc"), 3));
    }

    #[test]
    fn lists_are_read_as_sha256sum_writes_them() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        let (a, b) = (a.hex(), b.hex());
        let read = |text: &str| {
            listed(text.as_bytes()).map(|it| it.into_keys().collect::<Vec<_>>().join(","))
        };
        assert_eq!(read(&format!("{a}  one\n{b} *two two\n\n")).unwrap(), "one,two two");
        assert_eq!(read(&format!("{a}  one\n{a}  one\n")).unwrap(), "one");
        for (text, why) in [
            (format!("{a}  one\n{b}  one\n"), "two checksums of \"one\""),
            (format!("{a} one\n"), "line 1 is no checksum"),
            (format!("{a}  one\n{}  two\n", &b[1..]), "line 2 is no checksum"),
            (format!("{}  one\n", a.to_uppercase()), "line 1 is no checksum"),
            (format!("{a}  ../one\n"), "no file beside it"),
            (format!("{a}  ..\n"), "no file beside it"),
            (format!("{a}  \n"), "no file beside it"),
            (format!("{a}  a\\b\n"), "no file beside it"),
            (format!("é{a}  one\n"), "line 1 is no checksum"),
        ] {
            let error = format!("{:#}", read(&text).unwrap_err());
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(listed(b"\xff").is_err());
    }
}
