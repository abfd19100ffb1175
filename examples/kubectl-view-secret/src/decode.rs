//! From what the API holds to what was put in, by the secret's type.

use std::io::Read;

use anyhow::{Context, Result, anyhow, bail};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::MultiGzDecoder;

/// The most MiB a compressed value may grow to. Helm's releases are below 1 MiB
/// compressed, and text shrinks to a tenth: this leaves room, and ends a bomb.
const MAX_UNPACKED: usize = 64;

/// As lenient as Go's decoder, which wrote what is read here.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

/// Decodes `value`, base64 from a secret of type `kind`. The types and what
/// they hold: <https://kubernetes.io/docs/concepts/configuration/secret/#secret-types>.
pub fn decode(kind: &str, value: &str) -> Result<Vec<u8>> {
    match kind {
        "helm.sh/release.v1" => gunzip(&base64(&base64(value.as_bytes())?)?, MAX_UNPACKED),
        "kubernetes.io/dockercfg" | "kubernetes.io/dockerconfigjson" => {
            Ok(pretty(base64(value.as_bytes())?))
        }
        "Opaque"
        | "kubernetes.io/basic-auth"
        | "kubernetes.io/service-account-token"
        | "kubernetes.io/ssh-auth"
        | "kubernetes.io/tls"
        | "bootstrap.kubernetes.io/token" => base64(value.as_bytes()),
        _ => base64(value.as_bytes()).with_context(|| format!("unknown secret type {kind:?}")),
    }
}

/// Line breaks are no part of base64, and are skipped as Go does.
fn base64(text: &[u8]) -> Result<Vec<u8>> {
    let text: Vec<u8> =
        text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    BASE64.decode(text).map_err(|error| anyhow!("not base64: {error}"))
}

fn gunzip(bytes: &[u8], mebibytes: usize) -> Result<Vec<u8>> {
    let limit = mebibytes << 20;
    let mut unpacked = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes).take(limit as u64 + 1);
    reader.read_to_end(&mut unpacked).context("not a gzip stream")?;
    if unpacked.len() > limit {
        bail!("larger than {mebibytes} MiB when decompressed");
    }
    Ok(unpacked)
}

/// Indents JSON by two; what is not JSON is returned as it is.
fn pretty(bytes: Vec<u8>) -> Vec<u8> {
    let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&bytes);
    match parsed {
        Ok(json) => format!("{json:#}").into_bytes(),
        Err(_) => bytes,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn base64_is_read_as_go_reads_it() {
        for (text, expected) in [
            ("", Ok(&b""[..])),
            ("aGk=", Ok(b"hi")),
            ("aG\r\nk=\n", Ok(b"hi")),
            ("aGl=", Ok(b"hi")),
            ("/v8=", Ok(b"\xfe\xff")),
            ("aGk", Err("not base64: Invalid padding")),
            ("a b=", Err("not base64: Invalid symbol 32, offset 1.")),
        ] {
            let decoded = base64(text.as_bytes()).map_err(|error| error.to_string());
            assert_eq!(
                decoded.as_deref(),
                expected.map_err(str::to_owned).as_ref().copied(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn gunzip_stops_at_its_limit() {
        let pack = |text: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let text = vec![b'x'; (1 << 20) + 1];
        assert!(gunzip(&pack(&text[1..]), 1).unwrap() == text[1..], "the limit itself is allowed");
        let error = gunzip(&pack(&text), 1).unwrap_err().to_string();
        assert_eq!(error, "larger than 1 MiB when decompressed");
    }

    #[test]
    fn docker_configuration_is_indented_when_it_is_json() {
        for (text, expected) in
            [(r#"{"a":[1]}"#, "{\n  \"a\": [\n    1\n  ]\n}"), ("{oops", "{oops"), ("", "")]
        {
            assert_eq!(pretty(text.into()), expected.as_bytes());
        }
    }
}
