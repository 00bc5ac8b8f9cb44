use proptest::prelude::*;
use tokio::io::duplex;

use super::*;

fn identity(cluster: &str, node: u32, peers: &[u32]) -> Identity {
    let store = StoreId([u8::try_from(node).unwrap(); 16]);
    let members = peers.iter().chain([&node]).map(|node| (NodeId(*node), format!("host-{node}:1")));
    Identity::new(cluster.to_owned(), NodeId(node), store, Members::new(members.collect()))
}

type Dialled = Result<(Recognition, Members), HandshakeError>;
type Accepted = Result<Dialler, (Option<NodeId>, HandshakeError)>;

/// Both halves at once: what the dialler and the acceptor make of each other.
async fn meet(dialler: &Identity, to: u32, acceptor: &Identity) -> (Dialled, Accepted) {
    let (mut near, mut far) = duplex(64);
    let meet = async |_, _| Ok(Recognition::First);
    tokio::join!(dialler.dial(&mut near, NodeId(to)), acceptor.accept(&mut far, meet))
}

async fn assert_refused(dialler: Identity, to: u32, acceptor: Identity, expected: Refusal) {
    let (dialled, accepted) = meet(&dialler, to, &acceptor).await;
    let Err(HandshakeError::Refused(refusal, told)) = dialled else { panic!("{dialled:?}") };
    assert_eq!(refusal, expected);
    assert_eq!(told.is_empty(), !expected.is_about_members(), "{told}");
    let Err((Some(claimed), HandshakeError::Refused(refusal, told))) = accepted else {
        panic!("{accepted:?}");
    };
    assert_eq!((claimed, refusal), (dialler.node, expected));
    assert_eq!(told.is_empty(), !expected.is_about_members(), "{told}");
}

#[tokio::test]
async fn two_nodes_that_expect_each_other_agree() {
    let (dialled, accepted) = meet(&identity("c", 1, &[2]), 2, &identity("c", 2, &[1])).await;
    let (recognition, theirs) = dialled.unwrap();
    assert_eq!((recognition, theirs.to_string()), (Recognition::First, "1@host-1:1,2@host-2:1".to_owned()));
    let dialler = Dialler { node: NodeId(1), store: StoreId([1; 16]), members: theirs };
    assert_eq!(accepted.unwrap(), dialler);
}

#[tokio::test]
async fn a_dialler_learns_as_what_it_is_recognized_or_why_not() {
    let (one, two) = (identity("c", 1, &[2]), identity("c", 2, &[1]));
    for outcome in [Ok(Recognition::Successor), Err(Refusal::Retired), Err(Refusal::SecondStore)] {
        let (mut near, mut far) = duplex(64);
        let meet = async |_, _| outcome.map_err(|why| HandshakeError::Refused(why, Members::default()));
        let (dialled, _) = tokio::join!(one.dial(&mut near, NodeId(2)), two.accept(&mut far, meet));
        match outcome {
            Ok(recognition) => assert_eq!(dialled.unwrap().0, recognition),
            Err(why) => {
                assert!(
                    matches!(dialled, Err(HandshakeError::Refused(told, _)) if told == why),
                    "{dialled:?}"
                )
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
    assert_refused(identity("c", 1, &[2, 3]), 2, here(), Refusal::OtherMembers).await;
    assert_refused(identity("c", 1, &[2]), 2, identity("c", 2, &[1, 3]), Refusal::OtherMembers).await;
}

#[tokio::test]
async fn another_version_is_refused_on_both_sides() {
    let (store, members) = (StoreId::default(), Members::default());
    let hello =
        Hello { version: 9, from: NodeId(1), to: NodeId(2), store, cluster_id: b"c".to_vec(), members };
    assert_eq!(identity("c", 2, &[1]).judge(&hello), Err(Refusal::Version));
    let mut answer = encode_answer(Ok(Recognition::First), &Members::default());
    answer[5] = 9;
    // Others may end with the verdict.
    let refused = read_answer(&mut &answer[..VERDICT_LEN]).await;
    assert!(matches!(refused, Err(HandshakeError::Refused(Refusal::Version, _))), "{refused:?}");
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

#[tokio::test]
async fn every_refusal_has_a_code_of_its_own_and_names_a_remedy() {
    for refusal in Refusal::ALL {
        let answer = encode_answer(Err(refusal), &Members::default());
        let decoded = read_answer(&mut &answer[..]).await;
        assert!(matches!(decoded, Err(HandshakeError::Refused(back, _)) if back == refusal), "{decoded:?}");
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
    fn any_bytes_are_an_answer_or_an_error(rest in prop::collection::vec(any::<u8>(), 0..40)) {
        let answer = [&MAGIC[..], &PROTOCOL_VERSION.to_be_bytes(), &rest].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(read_answer(&mut &answer[..]));
    }

    #[test]
    fn a_hello_comes_back(from: u32, to: u32, store: [u8; 16], id in "[a-z]{0,255}") {
        let (from, to, version) = (NodeId(from), NodeId(to), PROTOCOL_VERSION);
        let members = Members::new([(from, "a:1".to_owned()), (to, String::new())].into());
        let hello = Hello { version, from, to, store: StoreId(store), cluster_id: id.into_bytes(), members };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = runtime.block_on(read_hello(&mut &hello.encode()[..])).unwrap();
        prop_assert_eq!(read, hello);
    }
}
