//! Paginated lists.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};

use super::{Http, Response, Url};

/// The pages of one list that were read so far.
pub struct Pages<'a> {
    http: &'a Http<'a>,
    /// The URLs that were requested.
    seen: BTreeSet<String>,
    /// In bytes.
    read: u64,
    most: usize,
    most_bytes: u64,
}

impl<'a> Pages<'a> {
    /// A list of no more than `most` pages and `most_bytes` bytes.
    pub fn new(http: &'a Http<'a>, most: usize, most_bytes: u64) -> Pages<'a> {
        Pages { http, seen: BTreeSet::new(), read: 0, most, most_bytes }
    }

    /// The URL of the page after this one; `None` after the last one. Fails if the list is
    /// too long, has a cycle, or continues at another server.
    pub fn next(&mut self, asked: &Url, page: &Response) -> Result<Option<Url>> {
        self.seen.insert(asked.target());
        self.read += page.body.len() as u64;
        let (most, bytes) = (self.most, self.most_bytes);
        ensure!(self.read <= bytes, "the list at {asked} has more than {bytes} bytes");
        let Some(next) = next_link(page.header("link").unwrap_or_default()) else {
            return Ok(None);
        };
        let url = self.http.resolve_url(&page.url, next);
        let url = url.with_context(|| format!("read the next page of the list at {}", page.url))?;
        // Another host would be asked without the login, and answer for this one.
        if url.origin != page.url.origin {
            bail!("the list at {} continues at another server: {}", page.url, url.origin);
        }
        ensure!(!self.seen.contains(&url.target()), "the list at {asked} leads back to itself");
        ensure!(self.seen.len() < most, "the list at {asked} has more than {most} pages");
        Ok(Some(url))
    }
}

/// The URL of the relation `next` in a header `Link`.
/// <https://www.rfc-editor.org/rfc/rfc8288#section-3>
fn next_link(links: &str) -> Option<&str> {
    links.split('<').skip(1).find_map(|link| {
        let (address, parameters) = link.split_once('>')?;
        let parameters = parameters.trim_end().trim_end_matches(',').split(';');
        let mut relations = parameters.filter_map(|it| it.trim().strip_prefix("rel="));
        let is_next = |it: &str| it.trim_matches('"').split(' ').any(|name| name == "next");
        relations.any(is_next).then_some(address)
    })
}

#[cfg(test)]
mod tests {
    use ureq::http::HeaderMap;

    use super::super::location::tests::offline;
    use super::super::{Proxies, Response, Url};
    use super::{Pages, next_link};

    fn page(url: &Url, next: &str, size: usize) -> Response {
        let mut headers = HeaderMap::new();
        headers.insert("link", format!("<{next}>; rel=\"next\"").parse().unwrap());
        Response { status: 200, headers, url: url.clone(), body: vec![b' '; size] }
    }

    /// The last page that is asked for, where each leads to another one.
    fn last(most: usize, bytes: u64, size: usize, next: fn(usize) -> String) -> (usize, String) {
        let http = offline(Proxies::default());
        let mut pages = Pages::new(&http, most, bytes);
        let mut url = Url::parse("https://r.test/list?page=0").unwrap();
        for at in 1.. {
            match pages.next(&url, &page(&url, &next(at), size)) {
                Ok(Some(next)) => url = next,
                Ok(None) => return (at, String::new()),
                Err(error) => return (at, format!("{error:#}")),
            }
        }
        unreachable!("the list has no end")
    }

    #[test]
    fn every_list_has_an_end() {
        let on = |at: usize| format!("?page={at}");
        for (ends, why, (at, said)) in [
            (5, "more than 5 pages", last(5, 1 << 30, 10, on)),
            (11, "more than 100 bytes", last(1000, 100, 10, on)),
            (1, "back to itself", last(1000, 1 << 30, 10, |_| "/list?page=0".to_owned())),
            (4, "back to itself", last(1000, 1 << 30, 10, |at| format!("?page={}", at % 4))),
            (1, "another server", last(1000, 1 << 30, 10, |_| "https://x.test/".to_owned())),
            (1, "next page", last(1000, 1 << 30, 10, |_| "http://r.test/".to_owned())),
        ] {
            assert!(at == ends && said.contains(why), "{why}: {at}: {said}");
        }
    }

    #[test]
    fn a_list_goes_on_where_it_says() {
        let both = "<https://x/a?page=2>; rel=\"next\", <https://x/a?page=9>; rel=\"last\"";
        for (links, expected) in [
            (both, Some("https://x/a?page=2")),
            ("<https://x/a?page=1>; rel=\"prev\"; title=x , </b>; rel=\"next\"", Some("/b")),
            ("</v2/a/referrers/x?n=1,2>; rel=next", Some("/v2/a/referrers/x?n=1,2")),
            ("</b>;rel=\"last next\",", Some("/b")),
            ("<>; rel=\"next\"", Some("")),
            ("<https://x/a?page=9>; rel=\"last\"", None),
            ("</b>; rel=\"nextish\"", None),
            ("https://x; rel=\"next\"", None),
            ("<https://x; rel=\"next\"", None),
            ("", None),
        ] {
            assert_eq!(next_link(links), expected, "{links}");
        }
        arbtest::arbtest(|u| {
            let text: String = u.arbitrary()?;
            if let Some(found) = next_link(&text) {
                assert!(text.contains(&format!("<{found}>")));
            }
            Ok(())
        });
    }
}
