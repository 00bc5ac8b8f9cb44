use trilog_tests::binary;
use trilog_tests::cluster::{Cluster, ClusterOptions};
use trilog_tests::hostile::play_small;
use trilog_tests::ports::free_port;
use trilog_tests::scratch::Scratch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_take_all_files_leave_the_node_its_own() {
    play_small("descriptors").await;
}

#[tokio::test]
async fn the_log_says_that_fewer_clients_are_taken_than_the_setting_allows() {
    let cluster = Cluster::start(ClusterOptions::nodes(1).open_files(200)).await;
    let log = cluster.node(1).log();
    let said = log.lines().find(|line| line.contains("max.connections")).unwrap_or_else(|| panic!("{log}"));
    assert!(said.contains("WARN") && said.contains("4096") && said.contains("ulimit -n"), "{said}");
}

#[tokio::test]
async fn a_limit_that_leaves_nothing_for_clients_is_refused_in_one_line() {
    let scratch = Scratch::new("files");
    let trilog = tokio::task::spawn_blocking(binary::trilog).await.unwrap();
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", "ulimit -n 100 && exec \"$0\" \"$@\""]).arg(trilog).arg("serve");
    command.arg(format!("--data-dir={}", scratch.join("data").display()));
    command.arg(format!("--listeners=PLAINTEXT://127.0.0.1:{}", free_port()));
    let output = command.kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("trilog:")).collect();
    assert!(lines.len() == 1 && lines[0].contains("100 files") && lines[0].contains("ulimit -n"), "{said}");
    assert!(!scratch.join("data").exists(), "nothing was made");
}

#[tokio::test]
async fn an_address_has_its_share_of_the_connections() {
    let options = ClusterOptions::nodes(1)
        .set("max.connections.per.ip", "2")
        .set("max.connections.per.ip.overrides", "127.0.0.1:40,127.0.0.9:1");
    let cluster = Cluster::start(options).await;
    for (address, share) in [("127.0.0.5", 2), ("127.0.0.9", 1)] {
        let mut open = Vec::new();
        for number in 0..3 {
            let mut connection = from(address, cluster.node(1).address()).await;
            assert_eq!(is_kept(&mut connection).await, number < share, "{address}, connection {number}");
            open.push(connection);
        }
    }
    cluster.connect(1).await;
}

/// A connection from one of this machine's addresses.
async fn from(address: &str, to: &str) -> tokio::net::TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    socket.connect(to.parse().unwrap()).await.unwrap()
}

/// Whether the node answers an ApiVersions request rather than closing the connection.
async fn is_kept(connection: &mut tokio::net::TcpStream) -> bool {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let request = [0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff];
    connection.write_all(&request).await.is_ok()
        && connection.read(&mut [0; 4]).await.is_ok_and(|read| read > 0)
}
