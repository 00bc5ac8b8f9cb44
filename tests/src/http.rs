//! What a node's HTTP port answers, asked for by hand: a request, and everything until the connection ends.

use std::collections::BTreeMap;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::node::Node;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Its status.
    pub status: u16,
    /// Its header lines.
    pub head: String,
    /// Its body.
    pub body: String,
}

/// One sample of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name, that of a histogram's part with its suffix.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its value.
    pub value: f64,
}

/// Asks the HTTP port at `address`. None if it does not answer.
pub async fn request(address: &str, method: &str, path: &str, body: &str) -> Option<HttpAnswer> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(HttpAnswer { status, head: head.to_owned(), body: body.to_owned() })
}

impl Node {
    /// Asks its HTTP port. None if it does not answer.
    pub async fn get(&self, path: &str) -> Option<HttpAnswer> {
        request(self.http_address(), "GET", path, "").await
    }

    /// All samples of a scrape.
    ///
    /// # Panics
    /// If it does not answer, or not in Prometheus' format.
    pub async fn scrape(&self) -> Vec<Sample> {
        let answer = self.get("/metrics").await.expect("a running node is scraped");
        assert_eq!(answer.status, 200, "{answer:?}");
        parse(&answer.body)
    }
}

/// The sum of the samples called `name` that have all these labels.
pub fn sum(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let wanted = |sample: &&Sample| {
        sample.name == name
            && labels.iter().all(|(label, value)| sample.labels.get(*label).is_some_and(|it| it == value))
    };
    samples.iter().filter(wanted).map(|sample| sample.value).sum()
}

/// The samples of a scrape in Prometheus' text format 0.0.4, read strictly.
///
/// # Panics
/// If a line is none: a family without help or type or told twice, a sample that does not belong to the family above it or
/// comes twice, a label or value that cannot be read.
pub fn parse(text: &str) -> Vec<Sample> {
    assert!(text.ends_with('\n'), "the last line ends, too");
    let mut families: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut samples, mut family, mut helped) = (Vec::<Sample>::new(), "", "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split_once(' ').expect("a name and a text").0;
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a type");
            assert_eq!(name, helped, "a family has its help first");
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
            assert!(families.insert(name, kind).is_none(), "{name} is told once");
            family = name;
        } else {
            let sample = sample(line).unwrap_or_else(|| panic!("{line} is no sample"));
            let part = sample.name.strip_prefix(family).expect("it belongs to the family above it");
            match families.get(family) {
                Some(&"histogram") => assert!(matches!(part, "_bucket" | "_sum" | "_count"), "{line}"),
                Some(&"counter") => assert!(part.is_empty() && family.ends_with("_total"), "{line}"),
                _ => assert!(part.is_empty() && !family.ends_with("_total"), "{line}"),
            }
            let same = |other: &Sample| other.name == sample.name && other.labels == sample.labels;
            assert!(!samples.iter().any(same), "{line} comes twice");
            samples.push(sample);
        }
    }
    samples
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = line.rsplit_once(' ')?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, parse_labels(labels.strip_suffix('}')?)?),
        None => (series, BTreeMap::new()),
    };
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    (!name.is_empty() && name.bytes().all(legal)).then_some(())?;
    Some(Sample { name: name.to_owned(), labels, value: value.parse().ok()? })
}

/// `a="b",c="d"`, with backslashes before what would end a value.
fn parse_labels(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    loop {
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (at, '"') => break at,
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    escaped @ ('"' | '\\') => value.push(escaped),
                    _ => return None,
                },
                (_, plain) => value.push(plain),
            }
        };
        labels.insert(name.to_owned(), value).is_none().then_some(())?;
        match &rest[end + 1..] {
            "" => return Some(labels),
            more => text = more.strip_prefix(',')?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAPE: &str =
        "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\",y=\"a\\\"b\"} 2\na_total{x=\"2\"} 3\n";

    #[test]
    fn samples_are_read_with_their_labels() {
        let samples = parse(SCRAPE);
        assert_eq!(samples[0].labels["y"], "a\"b");
        assert_eq!((sum(&samples, "a_total", &[]), sum(&samples, "a_total", &[("x", "2")])), (5.0, 3.0));
    }

    #[test]
    #[should_panic(expected = "comes twice")]
    fn a_series_comes_once() {
        parse(&format!("{SCRAPE}a_total{{x=\"2\"}} 4\n"));
    }
}
