//! Where the next page of a list is: a number, a cursor, a link.

use std::collections::HashSet;

use anyhow::{Result, ensure};
use reqwest::header::LINK;
use url::Url;

use crate::provider::reply::Reply;

/// Most pages of a list: half a million records where a page has a hundred.
const MOST: usize = 5_000;

/// Pages of a list that were read, so that no API can go on for ever.
#[derive(Default)]
pub(super) struct Pages {
    queries: HashSet<Option<String>>,
}

impl Pages {
    /// Notes the page at `url` before it is read; fails where it has been read already, and where
    /// there are too many.
    pub(super) fn note(&mut self, tried: &str, url: &Url) -> Result<()> {
        let is_new = self.queries.insert(url.query().map(str::to_owned));
        ensure!(is_new, "`{tried}` says that a page follows itself");
        ensure!(
            self.queries.len() <= MOST,
            "`{tried}` has more than {MOST} pages"
        );
        Ok(())
    }
}

/// `url` with one parameter of its query set to another value.
pub(super) fn with_parameter(url: &Url, name: &str, value: &str) -> Url {
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| key != name)
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    let mut url = url.clone();
    url.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair(name, value);
    url
}

/// The page after this one, by the parameter `page`, which counts from 1.
pub(super) fn page_after(url: &Url, parameter: &str) -> Url {
    let pages = url.query_pairs().find(|(key, _)| key == parameter);
    let page: u64 = pages.map_or(1, |(_, page)| page.parse().unwrap_or(1));
    with_parameter(url, parameter, &(page + 1).to_string())
}

/// The address with `rel="next"` of the Link header (RFC 8288 section 3).
pub(super) fn linked_next(reply: &Reply, url: &Url) -> Option<Url> {
    let links = reply.headers.get_all(LINK).into_iter();
    links
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|link| {
            let (target, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
            let mut parameters = parameters.split(';').map(str::trim);
            parameters
                .any(|parameter| parameter == "rel=\"next\"" || parameter == "rel=next")
                .then(|| url.join(target).ok())?
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn linked(header: &str) -> Option<String> {
        let reply = Reply::with_header(LINK, header);
        linked_next(&reply, &url("https://a.test/x?cursor=")).map(|url| url.to_string())
    }

    #[test]
    fn a_parameter_is_replaced() {
        let first = url("https://a.test/x?type=TXT&per_page=2");
        let second = page_after(&first, "page");
        assert_eq!(second.query(), Some("type=TXT&per_page=2&page=2"));
        assert_eq!(
            page_after(&second, "page").query(),
            Some("type=TXT&per_page=2&page=3")
        );
    }

    #[test]
    fn links_are_by_relation() {
        let header = "<https://a.test/x?cursor=>; rel=\"first\", <https://a.test/x?cursor=b%2C>; rel=\"next\"";
        assert_eq!(
            linked(header).as_deref(),
            Some("https://a.test/x?cursor=b%2C")
        );
        assert_eq!(
            linked("</x?cursor=c>; rel=next").as_deref(),
            Some("https://a.test/x?cursor=c")
        );
        assert_eq!(linked("<https://a.test/x?cursor=>; rel=\"prev\""), None);
    }

    #[test]
    fn a_list_ends() {
        let note = |pages: &mut Pages, query: &str| {
            let page = url(&format!("https://a.test/x?{query}"));
            pages
                .note("GET /x", &page)
                .map_err(|error| error.to_string())
        };
        let mut pages = Pages::default();
        assert_eq!(note(&mut pages, "page=1"), Ok(()));
        assert_eq!(note(&mut pages, "page=2"), Ok(()));
        let circle = "`GET /x` says that a page follows itself".to_owned();
        assert_eq!(note(&mut pages, "page=1"), Err(circle));
        let mut pages = Pages::default();
        let first = (1..).find_map(|number| note(&mut pages, &format!("page={number}")).err());
        assert_eq!(first.unwrap(), "`GET /x` has more than 5000 pages");
    }
}
