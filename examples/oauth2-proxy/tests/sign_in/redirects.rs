//! Where sign-in and sign-out may lead: the parent domain's hosts, and nowhere else.

use serde_json::{Value, json};

use crate::site::Site;

/// What somebody may put into a link, to have a user who signs in, or out, end at evil.test. The
/// last ones reach no other site, but are no URL of an application either.
const REFUSED: [&str; 33] = [
    "https://evil.test/",
    "http://evil.test/",
    "HTTPS://evil.test/",
    "//evil.test/",
    "///evil.test/",
    "/\\evil.test/",
    "\\\\evil.test/",
    "/\t/evil.test/",
    "/\n/evil.test/",
    "/ /evil.test/",
    "/./\\evil.test/",
    "/../\\evil.test/",
    "/x/..//evil.test/",
    "https:evil.test/",
    "https:/evil.test/",
    "https:///evil.test/",
    "https:\\\\evil.test/",
    " https://evil.test/",
    "\thttps://evil.test/",
    "https://login.example.com@evil.test/",
    "https://login.example.com:443@evil.test/",
    "https://evil.test\\.example.com/",
    "https://evil.test#.example.com/",
    "https://evil.test?.example.com/",
    "https://evil.test%2f.example.com/",
    "https://evilexample.com/",
    "https://login.example.com.evil.test/",
    "https://example.com.evil.test/",
    "https://ex\u{430}mple.com/",
    "javascript:alert(document.domain)",
    "data:text/html,evil",
    "ftp://prom.example.com/",
    "https://prom.example.com:8443/",
];

/// What an application's link may say.
const TAKEN: [&str; 3] = [
    "https://prom.example.com/graph?expr=up&range=1h#x",
    "https://alerts.example.com/?to=https://evil.test/&to=//evil.test/",
    "https://deep.below.example.com/",
];

pub fn lead_nowhere_else(site: &mut Site) {
    for to in REFUSED {
        for endpoint in ["start", "sign_out"] {
            let location = leads(site, endpoint, to);
            assert_stays(site, &location, &format!("{endpoint} with {to:?}"));
        }
    }
    // Twice encoded it is no URL; oauth2-proxy decodes once.
    let url = "https://login.example.com/oauth2/start?rd=%252F%252Fevil.test";
    let location = after_sign_in(site.curl(url, &[]).header("location").unwrap());
    assert_stays(site, &location, url);
    for to in TAKEN {
        assert_eq!(leads(site, "start", to), to);
        assert_eq!(leads(site, "sign_out", to), to);
    }
    // By headers, which whoever sends a request can set.
    for header in [
        "X-Auth-Request-Redirect: https://evil.test/",
        "X-Forwarded-Host: evil.test",
        "X-Forwarded-Uri: //evil.test/",
        "X-Forwarded-Proto: javascript",
        "Forwarded: host=evil.test",
    ] {
        let start = site.curl("https://login.example.com/oauth2/start", &["--header", header]);
        let location = after_sign_in(start.header("location").unwrap());
        assert_stays(site, &location, header);
        let asked = site.curl(crate::ASKED, &["--header", header]);
        assert_eq!(after_sign_in(asked.header("location").unwrap()), crate::ASKED, "{header}");
    }
    // The whole way, in a browser whose user is signed in at the provider.
    let url = "https://login.example.com/oauth2/start?rd=%2F%5Cevil.test";
    let seen = site.ask(json!({"do": "goto", "person": "alice", "url": url}));
    assert!(seen["url"].as_str().unwrap().starts_with("https://login.example.com/"), "{seen}");
}

/// Where the endpoint leads with `rd`: for a sign-in, after it.
fn leads(site: &Site, endpoint: &str, rd: &str) -> String {
    let url = format!("https://login.example.com/oauth2/{endpoint}");
    let answer = site.curl(&url, &["--get", "--data-urlencode", &format!("rd={rd}")]);
    let location = answer.header("location").unwrap_or_else(|| panic!("{rd:?}: {answer:?}"));
    if endpoint == "start" { after_sign_in(location) } else { location.to_owned() }
}

/// A browser that is told to go to `location` stays among the hosts of the domain.
fn assert_stays(site: &mut Site, location: &str, what: &str) {
    let base = "https://login.example.com/oauth2/callback";
    let gone = site.ask(json!({"do": "resolve", "base": base, "location": location}));
    let Value::String(gone) = gone else { panic!("{what}: {gone}") };
    assert!(gone.starts_with("https://login.example.com/"), "{what} leads to {gone}");
}

/// The URL to which a sign-in returns that begins at this Location of the provider: the second half
/// of the parameter `state`, which oauth2-proxy checks again at the callback.
pub fn after_sign_in(location: &str) -> String {
    let query = location.split_once('?').unwrap().1;
    let state = query.split('&').find_map(|pair| pair.strip_prefix("state=")).unwrap();
    // The value holds the URL escaped a second time.
    decode(decode(state).split_once(':').unwrap().1)
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, after) {
            (b'+', _) => b' ',
            (b'%', [high, low, after @ ..]) => {
                rest = after;
                let digits = [*high, *low];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            (byte, _) => *byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
