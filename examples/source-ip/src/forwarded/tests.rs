use arbtest::arbtest;

use super::*;

/// 10.0.0.0/8 and 2001:db8:aaaa::/48 are trusted in every row.
fn seen(header: Header, lines: &[&str]) -> Option<String> {
    let networks = ["10.0.0.0/8", "2001:db8:aaaa::/48"];
    let trusted = Trusted(networks.iter().map(|it| it.parse().unwrap()).collect());
    let lines = lines.iter().map(|line| line.as_bytes());
    client(lines, header, &trusted).map(|source| source.to_string())
}

#[test]
fn x_forwarded_for_is_read_from_right_to_left() {
    let table: &[(&[&str], Option<&str>)] = &[
        (&[], None),
        (&["203.0.113.7"], Some("203.0.113.7")),
        (&["198.51.100.1, 203.0.113.7"], Some("203.0.113.7")),
        (&["198.51.100.1, 203.0.113.7, 10.0.0.2"], Some("203.0.113.7")),
        (&["198.51.100.1", "203.0.113.7", "10.0.0.2,10.0.0.3"], Some("203.0.113.7")),
        // A client of the trusted network itself.
        (&["10.0.0.9, 10.0.0.2"], Some("10.0.0.9")),
        (&["203.0.113.7:51234"], Some("203.0.113.7")),
        (&["2001:db8::7"], Some("2001:db8::7")),
        (&["[2001:db8::7]"], Some("2001:db8::7")),
        (&["[2001:db8::7]:443"], Some("2001:db8::7")),
        (&["2001:DB8:0:0::7, 2001:db8:aaaa::1"], Some("2001:db8::7")),
        (&["::ffff:203.0.113.7"], Some("203.0.113.7")),
        (&["203.0.113.7, ::ffff:10.0.0.2"], Some("203.0.113.7")),
        (&["203.0.113.7, [::ffff:a00:2]:80"], Some("203.0.113.7")),
        // What cannot be read ends the walk: to skip it would believe the client's own text.
        (&["198.51.100.1, unknown, 10.0.0.2"], Some("unknown")),
        (&["198.51.100.1, "], Some("unknown")),
        (&["198.51.100.1,, 10.0.0.2"], Some("unknown")),
        (&[""], Some("unknown")),
        (&["198.51.100.1, _hidden"], Some("unknown")),
        (&["198.51.100.1, \"203.0.113.7\""], Some("unknown")),
        (&["198.51.100.1, 203.0.113.7:"], Some("unknown")),
        (&["198.51.100.1, 203.0.113.7:99999"], Some("unknown")),
        (&["198.51.100.1, 203.0.113"], Some("unknown")),
        (&["198.51.100.1, 203.0.113.07"], Some("unknown")),
        (&["198.51.100.1, [2001:db8::7"], Some("unknown")),
        (&["198.51.100.1, [203.0.113.7]"], Some("unknown")),
        (&["198.51.100.1, fe80::1%eth0"], Some("unknown")),
        (&["198.51.100.1, 203.0.113.7;10.0.0.2"], Some("unknown")),
        (&["198.51.100.1, 203.0.113.7\u{a0}"], Some("unknown")),
    ];
    for (lines, expected) in table {
        assert_eq!(seen(Header::XForwardedFor, lines).as_deref(), *expected, "{lines:?}");
    }
}

#[test]
fn forwarded_is_read_from_right_to_left() {
    let table: &[(&[&str], Option<&str>)] = &[
        (&[], None),
        (&["for=203.0.113.7"], Some("203.0.113.7")),
        (&["For=203.0.113.7;proto=http;by=10.0.0.1"], Some("203.0.113.7")),
        (&["proto=http ; FOR=\"203.0.113.7:80\""], Some("203.0.113.7")),
        (&["for=198.51.100.1, for=203.0.113.7, for=10.0.0.2"], Some("203.0.113.7")),
        (&["for=198.51.100.1", "for=203.0.113.7", "for=10.0.0.2"], Some("203.0.113.7")),
        (&["for=\"[2001:db8::7]\""], Some("2001:db8::7")),
        (&["for=\"[2001:db8::7]:4711\""], Some("2001:db8::7")),
        (&["for=\"[2001:db8::7]:_port\""], Some("2001:db8::7")),
        (&["for=\"[::ffff:203.0.113.7]\""], Some("203.0.113.7")),
        (&["for=\"203.0.113\\.7\""], Some("203.0.113.7")),
        (&["for=_hidden, for=10.0.0.2"], Some("_hidden")),
        (&["for=\"_SEVKISEK:_80\""], Some("_SEVKISEK")),
        (&["for=\"_gazonk:8080\""], Some("_gazonk")),
        (&["for=198.51.100.1, for=unknown, for=10.0.0.2"], Some("unknown")),
        (&["for=198.51.100.1, for=\"unknown:80\""], Some("unknown")),
        (&["for=\"_\""], Some("unknown")),
        (&["for=\"_a b\""], Some("unknown")),
        // Other parameters, and none.
        (&["for=198.51.100.1, by=10.0.0.1"], Some("unknown")),
        (&["host=\"a,b;for=198.51.100.1\";for=203.0.113.7"], Some("203.0.113.7")),
        (&["secret=\"\\\"\";for=203.0.113.7"], Some("203.0.113.7")),
        (&["for=203.0.113.7;;proto=http;"], Some("203.0.113.7")),
        // Outside the grammar nothing of the line is believed.
        (&["for=198.51.100.1, for=2001:db8::7"], Some("unknown")),
        (&["for=198.51.100.1, for=203.0.113.7;for=198.51.100.2"], Some("unknown")),
        (&["for=198.51.100.1, for = 203.0.113.7"], Some("unknown")),
        (&["for=198.51.100.1, for="], Some("unknown")),
        (&["for=198.51.100.1 for=203.0.113.7"], Some("unknown")),
        (&["for=\"198.51.100.1"], Some("unknown")),
        (&["for=\"198.51.100.1\\"], Some("unknown")),
        (&["203.0.113.7"], Some("unknown")),
        (&[""], Some("unknown")),
        // An open quote of the client's does not reach the proxy's own line.
        (&["for=\"198.51.100.1", "for=203.0.113.7"], Some("203.0.113.7")),
    ];
    for (lines, expected) in table {
        assert_eq!(seen(Header::Forwarded, lines).as_deref(), *expected, "{lines:?}");
    }
}

/// Text of a client, which likes the characters that mean something.
fn text(u: &mut arbtest::arbitrary::Unstructured<'_>) -> arbtest::arbitrary::Result<String> {
    const PIECES: [&str; 16] = [
        ",",
        ";",
        "\"",
        "\\",
        "=",
        "for=",
        "For=",
        " ",
        "[",
        "]",
        ":",
        "_x",
        "unknown",
        "10.0.0.1",
        "198.51.100.1",
        "2001:db8::1",
    ];
    let mut text = String::new();
    for _ in 0..u.int_in_range(0..=12)? {
        text.push_str(u.choose(&PIECES)?);
    }
    Ok(text)
}

#[test]
fn no_text_of_the_client_becomes_the_source() {
    arbtest(|u| {
        let text = text(u)?;
        let appended = format!("{text}, 203.0.113.7, 10.0.0.2");
        assert_eq!(seen(Header::XForwardedFor, &[&appended]).as_deref(), Some("203.0.113.7"));
        for proxy in ["for=203.0.113.7", "for=\"203.0.113.7:80\";proto=http"] {
            let own_line = seen(Header::Forwarded, &[&text, proxy, "for=10.0.0.2"]);
            assert_eq!(own_line.as_deref(), Some("203.0.113.7"), "{text}");
            // In one line an open quote can hide the client, but cannot name another one.
            let same_line = seen(Header::Forwarded, &[&format!("{text}, {proxy}, for=10.0.0.2")]);
            let same_line = same_line.unwrap();
            assert!(["203.0.113.7", "unknown"].contains(&&*same_line), "{text}: {same_line}");
        }
        Ok(())
    })
    .budget_ms(300);
}

#[test]
fn no_bytes_are_too_odd_to_read() {
    arbtest(|u| {
        let bytes: Vec<u8> = u.arbitrary()?;
        for header in [Header::XForwardedFor, Header::Forwarded] {
            client([&bytes[..]].into_iter(), header, &Trusted::default());
        }
        Ok(())
    })
    .budget_ms(200);
}
