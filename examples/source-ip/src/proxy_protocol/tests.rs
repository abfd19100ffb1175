use arbtest::arbtest;

use super::*;

fn whole(text: &str) -> Result<Option<(Origin, usize)>, &'static str> {
    parse(text.as_bytes())
}

fn address(text: &str) -> Origin {
    Origin::Address(text.parse().unwrap())
}

/// A header of version 2: command, family, addresses and fields.
fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [&SIGNATURE[..], &[command, family], &length, rest].concat()
}

const INET: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 200, 34, 0, 80];

fn inet6(source: &str) -> Vec<u8> {
    let source: Ipv6Addr = source.parse().unwrap();
    [&source.octets()[..], &[0; 16], &[200, 34, 0, 80]].concat()
}

#[test]
fn version_1_names_the_client() {
    let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff \
                   ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    let padded = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_V1 - 16));
    assert_eq!(padded.len(), LONGEST_V1);
    let table = [
        ("PROXY TCP4 203.0.113.7 10.0.0.1 51234 80\r\n", address("203.0.113.7")),
        ("PROXY TCP4 203.0.113.7 10.0.0.1 0 65535\r\nGET / HTTP/1.1\r\n", address("203.0.113.7")),
        ("PROXY TCP6 2001:db8::7 ::1 51234 80\r\n", address("2001:db8::7")),
        ("PROXY TCP6 ::ffff:203.0.113.7 ::1 51234 80\r\n", address("203.0.113.7")),
        ("PROXY UNKNOWN\r\n", Origin::Unknown),
        ("PROXY UNKNOWN 203.0.113.7 10.0.0.1 51234 80\r\n", Origin::Unknown),
        (&*padded, Origin::Unknown),
        (longest, address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
    ];
    for (text, origin) in table {
        let length = text.find('\n').unwrap() + 1;
        assert_eq!(whole(text), Ok(Some((origin, length))), "{text}");
    }
}

#[test]
fn a_malformed_version_1_is_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_V1 - 15));
    let table = [
        ("GET / HTTP/1.1\r\n", "no PROXY header"),
        ("PROXYTCP4", "no PROXY header"),
        ("proxy TCP4 203.0.113.7 10.0.0.1 1 2\r\n", "no PROXY header"),
        (" PROXY TCP4 203.0.113.7 10.0.0.1 1 2\r\n", "no PROXY header"),
        ("PROXY \r\n", "too few words"),
        ("PROXY UDP4 203.0.113.7 10.0.0.1 1 2\r\n", "unknown family"),
        ("PROXY TCP4\r\n", "too few words"),
        ("PROXY TCP4 203.0.113.7 10.0.0.1 1\r\n", "too few words"),
        ("PROXY TCP4 203.0.113.7 10.0.0.1 1 2 3\r\n", "too many words"),
        ("PROXY TCP4 203.0.113.7 10.0.0.1 1 2 \r\n", "too many words"),
        ("PROXY TCP4  203.0.113.7 10.0.0.1 1 2\r\n", "too many words"),
        ("PROXY TCP4 2001:db8::7 10.0.0.1 1 2\r\n", "malformed address"),
        ("PROXY TCP6 203.0.113.7 ::1 1 2\r\n", "malformed address"),
        ("PROXY TCP4 203.0.113.7 ::1 1 2\r\n", "malformed address"),
        ("PROXY TCP4 203.0.113.7 10.0.0.1 1 65536\r\n", "malformed port"),
        ("PROXY TCP4 203.0.113.7 10.0.0.1 +1 2\r\n", "malformed port"),
        (&*long, "more than 107 bytes"),
    ];
    for (text, why) in table {
        let error = whole(text).unwrap_err();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn version_2_names_the_client() {
    let unix = [&b"/tmp/10.0.0.1"[..], &[0; 203]].concat();
    let with_field = [&INET[..], &[0x04, 0, 2, 1, 2]].concat();
    let table = [
        (header(0x21, 0x11, &INET), address("203.0.113.7")),
        (header(0x21, 0x11, &with_field), address("203.0.113.7")),
        (header(0x21, 0x21, &inet6("2001:db8::7")), address("2001:db8::7")),
        (header(0x21, 0x21, &inet6("::ffff:203.0.113.7")), address("203.0.113.7")),
        (header(0x21, 0x31, &unix), Origin::Unknown),
        (header(0x21, 0x00, &[]), Origin::Unknown),
        (header(0x21, 0x00, b"anything"), Origin::Unknown),
        // A LOCAL connection is the proxy's own, whatever the header says about addresses.
        (header(0x20, 0x00, &[]), Origin::Local),
        (header(0x20, 0x11, &INET), Origin::Local),
        (header(0x20, 0xff, b"anything"), Origin::Local),
        (header(0x20, 0x00, &[7; 65535]), Origin::Local),
    ];
    for (bytes, origin) in table {
        let followed = [&bytes[..], b"GET / HTTP/1.1\r\n"].concat();
        assert_eq!(parse(&followed), Ok(Some((origin, bytes.len()))), "{origin:?}");
    }
}

#[test]
fn a_malformed_version_2_is_refused() {
    let mut checked = [&INET[..], &[TYPE_CRC32C, 0, 4, 0, 0, 0, 0]].concat();
    let sum = crc32c(header(0x21, 0x11, &checked).into_iter());
    checked[15..].copy_from_slice(&sum.to_be_bytes());
    let right = header(0x21, 0x11, &checked);
    assert_eq!(parse(&right), Ok(Some((address("203.0.113.7"), right.len()))));
    checked[0] ^= 1;
    let fields = |fields: &[u8]| header(0x21, 0x11, &[&INET[..], fields].concat());
    let table = [
        (header(0x21, 0x11, &checked), "wrong checksum"),
        (header(0x11, 0x11, &INET), "unknown version or command"),
        (header(0x22, 0x11, &INET), "unknown version or command"),
        (header(0x21, 0x12, &INET), "unknown family, or of datagrams"),
        (header(0x21, 0x01, &INET), "unknown family, or of datagrams"),
        (header(0x21, 0x41, &INET), "unknown family, or of datagrams"),
        (header(0x21, 0x11, &INET[..11]), "too short for its family"),
        (header(0x21, 0x21, &INET), "too short for its family"),
        (header(0x21, 0x31, &[0; 215]), "too short for its family"),
        (fields(&[4]), "broken field"),
        (fields(&[4, 0, 1]), "broken field"),
        (fields(&[4, 255, 255, 0]), "broken field"),
        (fields(&[TYPE_CRC32C, 0, 3, 0, 0, 0]), "broken field"),
        ([&SIGNATURE[..11], b"x"].concat(), "no PROXY header"),
    ];
    for (bytes, why) in table {
        let error = parse(&bytes).unwrap_err();
        assert!(error.contains(why), "{bytes:?}: {error}");
    }
}

#[test]
fn the_checksum_is_crc32c() {
    assert_eq!(crc32c(b"123456789".iter().copied()), 0xe306_9283);
}

#[test]
fn a_header_may_come_byte_by_byte() {
    let headers = [b"PROXY TCP4 203.0.113.7 10.0.0.1 1 2\r\n".to_vec(), header(0x21, 0x11, &INET)];
    for bytes in headers {
        for length in 0..bytes.len() {
            assert_eq!(parse(&bytes[..length]), Ok(None), "{length} bytes of {bytes:?}");
        }
        assert_eq!(parse(&bytes), Ok(Some((address("203.0.113.7"), bytes.len()))));
    }
}

#[test]
fn any_bytes_are_a_header_or_refused_and_no_more_is_taken_than_there_is() {
    arbtest(|u| {
        let mut bytes: Vec<u8> = u.arbitrary()?;
        let start: &[u8] = u.choose(&[&b""[..], b"PROXY TCP4 ", b"PROXY TCP6 ", &SIGNATURE])?;
        bytes.splice(0..0, start.iter().copied());
        if let Ok(Some((_, length))) = parse(&bytes) {
            assert!(length <= bytes.len() && length <= FIXED + 65535, "{length}");
            // What follows a header does not change it.
            assert_eq!(parse(&bytes[..length]), parse(&bytes));
        }
        Ok(())
    })
    .budget_ms(300);
}
