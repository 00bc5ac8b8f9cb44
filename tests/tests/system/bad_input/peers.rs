//! Nodes whose flags contradict each other: each says so in one line that names the flag, and goes on.

use std::path::PathBuf;

use trilog_tests::binary;
use trilog_tests::node::Node;
use trilog_tests::ports::free_port;
use trilog_tests::scratch::Scratch;
use trilog_tests::waiting::wait_until;

/// The ports of two nodes that ought to know each other.
struct Ports {
    clients: [u16; 2],
    peers: [u16; 2],
}

impl Ports {
    fn new() -> Self {
        Self { clients: [free_port(), free_port()], peers: [free_port(), free_port()] }
    }
}

/// Starts a node with the ports of number `place` and these flags.
fn start(scratch: &Scratch, executable: &str, ports: &Ports, place: usize, flags: &[&str]) -> Node {
    let (client_port, peer_port) = (ports.clients[place], ports.peers[place]);
    let address = format!("127.0.0.1:{client_port}");
    let data_dir = scratch.join(&format!("data-{client_port}"));
    let mut arguments = vec![
        format!("--data-dir={}", data_dir.display()),
        format!("--listeners=PLAINTEXT://{address}"),
        format!("--peer-listener=127.0.0.1:{peer_port}"),
    ];
    arguments.extend(flags.iter().map(|flag| (*flag).to_owned()));
    let log = scratch.join(&format!("log-{client_port}"));
    let number = i32::try_from(place).unwrap() + 1;
    let mut node = Node::new(number, PathBuf::from(executable), arguments, address, data_dir, log);
    node.start();
    node
}

/// Waits until every node has warned with these words, and sees to it that none said it twice.
async fn assert_each_warns_once(nodes: &[&Node], words: &[&str]) {
    for node in nodes {
        let warnings = || {
            let is_it = |line: &&str| line.contains("WARN") && words.iter().all(|word| line.contains(word));
            node.log().lines().filter(is_it).map(str::to_owned).collect::<Vec<_>>()
        };
        wait_until(&format!("node {} warns of {words:?}", node.id()), async || warnings().first().cloned())
            .await;
        // Refused peers dial twice a second: a second refusal would be there by the time the other node has warned.
        let dialled = warnings().into_iter().filter(|line| line.contains("cannot reach")).count();
        let refused = warnings().into_iter().filter(|line| line.contains("refused a peer")).count();
        assert!(dialled <= 1 && refused <= 1, "node {} repeats itself: {:?}", node.id(), warnings());
        assert!(!node.has_died(), "node {} ended", node.id());
    }
}

#[tokio::test]
async fn lists_of_other_nodes_are_named_with_what_they_are() {
    let (scratch, ports, trilog) = (Scratch::new("other-nodes"), Ports::new(), executable().await);
    let two = format!("--peers=1@127.0.0.1:{},2@127.0.0.1:{}", ports.peers[0], ports.peers[1]);
    let three = format!("{two},3@127.0.0.1:{}", free_port());
    let smaller = start(&scratch, trilog, &ports, 0, &["--node-id=1", &two]);
    let larger = start(&scratch, trilog, &ports, 1, &["--node-id=2", &three]);
    let given = |flag: &str| format!("the other one was given {}", flag.trim_start_matches("--peers="));
    assert_each_warns_once(&[&smaller], &["--peers", &given(&three)]).await;
    assert_each_warns_once(&[&larger], &["--peers", &format!("{})", given(&two))]).await;
}

#[tokio::test]
async fn a_node_without_peers_is_named_by_those_it_belongs_to() {
    let (scratch, ports, trilog) = (Scratch::new("without-peers"), Ports::new(), executable().await);
    let peers = format!("--peers=1@127.0.0.1:{},2@127.0.0.1:{}", ports.peers[0], ports.peers[1]);
    let one = start(&scratch, trilog, &ports, 0, &["--node-id=1", &peers]);
    let alone = start(&scratch, trilog, &ports, 1, &["--node-id=2"]);
    assert_each_warns_once(&[&one, &alone], &["--peers", "is not a peer of the other"]).await;
}

#[tokio::test]
async fn lists_with_other_addresses_are_named_and_work_if_they_can() {
    let (scratch, ports, trilog) = (Scratch::new("other-addresses"), Ports::new(), executable().await);
    let peers = |first: &str| format!("--peers=1@{first}:{},2@127.0.0.1:{}", ports.peers[0], ports.peers[1]);
    let one = start(&scratch, trilog, &ports, 0, &["--node-id=1", &peers("127.0.0.1")]);
    let two = start(&scratch, trilog, &ports, 1, &["--node-id=2", &peers("localhost")]);
    for node in [&one, &two] {
        wait_until("the nodes serve clients", async || {
            node.log().contains("clients are served").then_some(())
        })
        .await;
        let is_it = |line: &&str| line.contains("WARN") && line.contains("different addresses");
        let log = node.log();
        let said = log.lines().filter(is_it).collect::<Vec<_>>();
        assert_eq!(said.len(), 1, "{log}");
        assert!(said[0].contains("nodes=[1]") && said[0].contains("--peers"), "{said:?}");
    }
}

async fn executable() -> &'static str {
    let path = tokio::task::spawn_blocking(binary::trilog).await.unwrap();
    path.to_str().expect("a path of plain characters")
}

#[tokio::test]
async fn another_cluster_is_named_with_its_flag() {
    let (scratch, ports, trilog) = (Scratch::new("clusters"), Ports::new(), executable().await);
    let peers = format!("--peers=1@127.0.0.1:{},2@127.0.0.1:{}", ports.peers[0], ports.peers[1]);
    let one = start(&scratch, trilog, &ports, 0, &["--node-id=1", "--cluster-id=east", &peers]);
    let two = start(&scratch, trilog, &ports, 1, &["--node-id=2", "--cluster-id=west", &peers]);
    assert_each_warns_once(&[&one, &two], &["--cluster-id"]).await;
}

#[tokio::test]
async fn two_nodes_with_one_id_are_named_with_the_flag() {
    let (scratch, ports, trilog) = (Scratch::new("twins"), Ports::new(), executable().await);
    let peers = format!("--peers=1@127.0.0.1:{},2@127.0.0.1:{}", ports.peers[0], ports.peers[1]);
    // The one at the address of node 2 was not told that it is node 2.
    let one = start(&scratch, trilog, &ports, 0, &["--node-id=1", &peers]);
    let twin = start(&scratch, trilog, &ports, 1, &["--node-id=1", &peers]);
    assert_each_warns_once(&[&one, &twin], &["--node-id"]).await;
}

#[tokio::test]
async fn a_wrong_address_of_a_peer_is_named_with_the_flag() {
    let (scratch, ports, trilog) = (Scratch::new("addresses"), Ports::new(), executable().await);
    let right = format!("--peers=1@127.0.0.1:{},2@127.0.0.1:{}", ports.peers[0], ports.peers[1]);
    let wrong = format!("--peers=1@127.0.0.1:{},3@127.0.0.1:{}", ports.peers[0], ports.peers[1]);
    let one = start(&scratch, trilog, &ports, 0, &["--node-id=1", &wrong]);
    let two = start(&scratch, trilog, &ports, 1, &["--node-id=2", &right]);
    assert_each_warns_once(&[&one, &two], &["--peers"]).await;
}

/// A file with this secret, and the flag that names it.
fn secret(scratch: &Scratch, name: &str, secret: &str) -> String {
    let path = scratch.join(name);
    std::fs::write(&path, secret).unwrap();
    format!("--cluster-secret-file={}", path.display())
}

#[tokio::test]
async fn secrets_that_differ_or_are_not_everywhere_are_named_with_the_flag() {
    let scratch = Scratch::new("secrets");
    let trilog = executable().await;
    let east = secret(&scratch, "east", "the secret of the cluster in the east");
    let west = secret(&scratch, "west", "the secret of the cluster in the west");
    for (flags, words) in [
        (vec![east.as_str(), west.as_str()], "the secrets of the two nodes differ"),
        (vec![east.as_str()], "started without --cluster-secret-file"),
    ] {
        let ports = Ports::new();
        let peers = format!("--peers=1@127.0.0.1:{},2@127.0.0.1:{}", ports.peers[0], ports.peers[1]);
        let run = |place: usize| {
            let id = format!("--node-id={}", place + 1);
            let all = [&id, &peers].map(String::as_str);
            let all = all.into_iter().chain(flags.get(place).copied()).collect::<Vec<_>>();
            start(&scratch, trilog, &ports, place, &all)
        };
        let (one, two) = (run(0), run(1));
        // Each of them dials the other, and is dialled by it.
        assert_each_warns_once(&[&one, &two], &["--cluster-secret-file", "cannot reach the peer"]).await;
        if flags.len() == 2 {
            assert_each_warns_once(&[&one, &two], &[words]).await;
        }
        for node in [&one, &two] {
            wait_until("both logs say it", async || node.log().contains(words).then_some(())).await;
        }
    }
}

#[tokio::test]
async fn a_stranger_is_not_let_in_for_a_silent_node() {
    trilog_tests::hostile::play_small("stranger").await;
}
