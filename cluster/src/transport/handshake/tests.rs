use proptest::prelude::*;
use tokio::io::duplex;

use super::*;

fn identity(cluster: &str, node: u32, peers: &[u32]) -> Identity {
    let store = StoreId([u8::try_from(node).unwrap(); 16]);
    Identity::new(cluster.to_owned(), NodeId(node), store, peers.iter().copied().map(NodeId).collect())
}

type Dialled = Result<Recognition, HandshakeError>;
type Accepted = Result<(NodeId, StoreId), (Option<NodeId>, HandshakeError)>;

/// Both halves at once: what the dialler and the acceptor make of each other.
async fn meet(dialler: &Identity, to: u32, acceptor: &Identity) -> (Dialled, Accepted) {
    let (mut near, mut far) = duplex(64);
    let meet = async |_, _| Ok(Recognition::First);
    tokio::join!(dialler.dial(&mut near, NodeId(to)), acceptor.accept(&mut far, meet))
}

async fn assert_refused(dialler: Identity, to: u32, acceptor: Identity, expected: Refusal) {
    let (dialled, accepted) = meet(&dialler, to, &acceptor).await;
    assert!(matches!(dialled, Err(HandshakeError::Refused(refusal)) if refusal == expected), "{dialled:?}");
    let Err((Some(claimed), HandshakeError::Refused(refusal))) = accepted else {
        panic!("{accepted:?}");
    };
    assert_eq!((claimed, refusal), (dialler.node, expected));
}

#[tokio::test]
async fn two_nodes_that_expect_each_other_agree() {
    let (dialled, accepted) = meet(&identity("c", 1, &[2]), 2, &identity("c", 2, &[1])).await;
    assert_eq!(dialled.unwrap(), Recognition::First);
    assert_eq!(accepted.unwrap(), (NodeId(1), StoreId([1; 16])));
}

#[tokio::test]
async fn a_dialler_learns_as_what_it_is_recognized_or_why_not() {
    let (one, two) = (identity("c", 1, &[2]), identity("c", 2, &[1]));
    for outcome in [Ok(Recognition::Successor), Err(Refusal::Retired), Err(Refusal::SecondStore)] {
        let (mut near, mut far) = duplex(64);
        let meet = async |_, _| outcome.map_err(HandshakeError::Refused);
        let (dialled, _) = tokio::join!(one.dial(&mut near, NodeId(2)), two.accept(&mut far, meet));
        match outcome {
            Ok(recognition) => assert_eq!(dialled.unwrap(), recognition),
            Err(why) => {
                assert!(matches!(dialled, Err(HandshakeError::Refused(told)) if told == why), "{dialled:?}")
            }
        }
    }
}

#[tokio::test]
async fn each_mistake_has_its_own_refusal() {
    let here = || identity("c", 2, &[1]);
    assert_refused(identity("other", 1, &[2]), 2, here(), Refusal::Cluster).await;
    assert_refused(identity("c", 1, &[3]), 3, here(), Refusal::Node).await;
    assert_refused(identity("c", 4, &[2]), 2, here(), Refusal::UnknownPeer).await;
    assert_refused(identity("c", 2, &[1]), 1, here(), Refusal::DuplicateId).await;
}

#[test]
fn another_version_is_refused_on_both_sides() {
    let store = StoreId::default();
    let hello = Hello { version: 9, from: NodeId(1), to: NodeId(2), store, cluster_id: b"c".to_vec() };
    assert_eq!(identity("c", 2, &[1]).judge(&hello), Err(Refusal::Version));
    let mut answer = encode_answer(Ok(Recognition::First));
    answer[5] = 9;
    let refused = decode_answer(&answer);
    assert!(matches!(refused, Err(HandshakeError::Refused(Refusal::Version))), "{refused:?}");
}

#[tokio::test]
async fn the_longest_cluster_id_passes() {
    let name = "x".repeat(MAX_CLUSTER_ID_LEN);
    let (dialled, accepted) = meet(&identity(&name, 1, &[2]), 2, &identity(&name, 2, &[1])).await;
    dialled.unwrap();
    accepted.unwrap();
}

#[tokio::test]
async fn silence_ends_with_the_time_a_handshake_has() {
    let ((mut near, _near_silent), (mut far, _far_silent)) = (duplex(64), duplex(64));
    let (one, two) = (identity("c", 1, &[2]), identity("c", 2, &[1]));
    let meet = async |_, _| Ok(Recognition::First);
    let (dialled, accepted) = tokio::join!(one.dial(&mut near, NodeId(2)), two.accept(&mut far, meet));
    assert!(matches!(dialled, Err(HandshakeError::TimedOut)), "{dialled:?}");
    assert!(matches!(accepted, Err((None, HandshakeError::TimedOut))), "{accepted:?}");
}

#[test]
fn every_refusal_has_a_code_of_its_own_and_names_a_remedy() {
    for refusal in Refusal::ALL {
        let decoded = decode_answer(&encode_answer(Err(refusal)));
        assert!(matches!(decoded, Err(HandshakeError::Refused(back)) if back == refusal), "{decoded:?}");
        assert!(refusal.to_string().contains("--") || refusal == Refusal::Version);
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_hello_or_an_error(
        magic: bool,
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let bytes = if magic { [&MAGIC[..], &bytes].concat() } else { bytes };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(read_hello(&mut &bytes[..]));
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(answer: [u8; ANSWER_LEN]) {
        let _ = decode_answer(&answer);
    }

    #[test]
    fn a_hello_comes_back(from: u32, to: u32, store: [u8; 16], id in "[a-z]{0,255}") {
        let (from, to, version) = (NodeId(from), NodeId(to), PROTOCOL_VERSION);
        let hello = Hello { version, from, to, store: StoreId(store), cluster_id: id.into_bytes() };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(read_hello(&mut &hello.encode()[..])).unwrap();
        prop_assert_eq!(read, hello);
    }
}
