use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::hostile::play_small;
use trilog_tests::http::request;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_is_answered_among_slow_clients() {
    play_small("slow-http").await;
}

/// Sends a request as it is written, and returns the status of the answer.
async fn status(address: &str, text: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .unwrap_or_else(|| panic!("{text:?}: {answer:?}"))
}

#[tokio::test]
async fn the_log_is_left_alone_by_web_pages_empty_bodies_and_ambiguous_requests() {
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let address = cluster.node(1).http_address();
    let filter = request(address, "GET", "/log", "").await.unwrap().body;
    let put = |head: &str, body: &str| format!("PUT /log HTTP/1.1\r\n{head}\r\n{body}");
    let here = format!("Host: {address}\r\n");
    for (head, body, refused) in [
        (format!("{here}Content-Length: 0\r\n"), "", 400),
        (format!("{here}Content-Length: 1\r\n"), "\n", 400),
        (here.clone(), "", 400),
        (format!("{here}Origin: http://{address}\r\nContent-Length: 3\r\n"), "off", 403),
        ("Host: rebound.example:80\r\nContent-Length: 3\r\n".to_owned(), "off", 403),
        (format!("{here}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"), "3\r\noff\r\n0\r\n\r\n", 400),
        (format!("{here}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"), "3\r\noff\r\n0\r\n\r\n", 400),
        (format!("{here}Content-Length: 3\r\nContent-Length: 3\r\n"), "off", 400),
    ] {
        assert_eq!(status(address, &put(&head, body)).await, refused, "{head}");
        assert_eq!(request(address, "GET", "/log", "").await.unwrap().body, filter, "{head}");
    }
    // Prometheus scrapes under any name.
    assert_eq!(status(address, "GET /metrics HTTP/1.1\r\nHost: scraped.example\r\n\r\n").await, 200);
    assert_eq!(status(address, &put(&format!("{here}Content-Length: 5\r\n"), "debug")).await, 200);
}
