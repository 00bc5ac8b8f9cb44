use bytes::BufMut;
use proptest::prelude::*;
use tokio::io::duplex;

use super::message::{MAGIC, VERDICT_LEN};
use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn identity(cluster: &str, node: u32, peers: &[u32]) -> Identity {
    with_secret(cluster, node, peers, Some(SECRET))
}

fn with_secret(cluster: &str, node: u32, peers: &[u32], secret: Option<&[u8]>) -> Identity {
    let store = StoreId([u8::try_from(node).unwrap(); 16]);
    let members = peers.iter().chain([&node]).map(|node| (NodeId(*node), format!("host-{node}:1")));
    let (members, secret) = (Members::new(members.collect()), secret.map(ClusterSecret::from_bytes));
    Identity::new(cluster.to_owned(), NodeId(node), store, members, secret)
}

type Dialled = Result<(Recognition, Members), HandshakeError>;
type Accepted = Result<Dialler, (Option<NodeId>, HandshakeError)>;

/// Both halves at once: what the dialler and the acceptor make of each other.
async fn meet(dialler: &Identity, to: u32, acceptor: &Identity) -> (Dialled, Accepted) {
    let (mut near, mut far) = duplex(64);
    let meet = async |_, _| Ok(Recognition::First);
    tokio::join!(dialler.dial(&mut near, NodeId(to)), acceptor.accept(&mut far, true, meet))
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
    for secret in [Some(SECRET), None] {
        let (one, two) = (with_secret("c", 1, &[2], secret), with_secret("c", 2, &[1], secret));
        let (dialled, accepted) = meet(&one, 2, &two).await;
        let (recognition, theirs) = dialled.unwrap();
        let told = theirs.to_string();
        assert_eq!((recognition, told.as_str()), (Recognition::First, "1@host-1:1,2@host-2:1"));
        let dialler = Dialler { node: NodeId(1), store: StoreId([1; 16]), members: theirs };
        assert_eq!(accepted.unwrap(), dialler);
    }
}

#[tokio::test]
async fn a_dialler_learns_as_what_it_is_recognized_or_why_not() {
    let (one, two) = (identity("c", 1, &[2]), identity("c", 2, &[1]));
    for outcome in [Ok(Recognition::Successor), Err(Refusal::Retired), Err(Refusal::SecondStore)] {
        let (mut near, mut far) = duplex(64);
        let meet = async |_, _| outcome.map_err(refused);
        let (dialled, _) = tokio::join!(one.dial(&mut near, NodeId(2)), two.accept(&mut far, true, meet));
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
async fn nodes_with_different_secrets_refuse_each_other_before_all_else() {
    let other: &[u8] = b"0123456789abcdef0123456789abcdeF";
    let secret = |cluster, node, peer, secret| with_secret(cluster, node, &[peer], secret);
    let here = |it| secret("c", 2, 1, it);
    for cluster in ["c", "other"] {
        let there = |it| secret(cluster, 1, 2, it);
        assert_refused(there(Some(other)), 2, here(Some(SECRET)), Refusal::OtherSecret).await;
        assert_refused(there(None), 2, here(Some(SECRET)), Refusal::DiallerWithoutSecret).await;
        assert_refused(there(Some(SECRET)), 2, here(None), Refusal::AcceptorWithoutSecret).await;
    }
}

#[tokio::test]
async fn without_a_secret_nobody_from_another_machine_is_taken() {
    let (one, two) = (with_secret("c", 1, &[2], None), with_secret("c", 2, &[1], None));
    let (mut near, mut far) = duplex(64);
    let meet = async |_, _| panic!("it is not recognized as anybody");
    let (dialled, _) = tokio::join!(one.dial(&mut near, NodeId(2)), two.accept(&mut far, false, meet));
    let Err(error @ HandshakeError::Refused(Refusal::SecretNeeded, _)) = dialled else {
        panic!("{dialled:?}")
    };
    assert!(error.to_string().contains("--cluster-secret-file"), "{error}");
}

/// Plays the acceptor: what it says, one message after the other, and what the dialler makes of it.
async fn dialled_to(replies: Vec<Vec<u8>>) -> Dialled {
    let (mut near, mut far) = duplex(1 << 16);
    for reply in replies {
        far.write_all(&reply).await.unwrap();
    }
    identity("c", 1, &[2]).dial(&mut near, NodeId(2)).await
}

fn answer(verdict: Result<Recognition, Refusal>) -> Vec<u8> {
    [encode_answer(verdict, &Members::default()), NO_PROOF.to_vec()].concat()
}

#[tokio::test]
async fn an_acceptor_that_proves_nothing_is_believed_nothing() {
    let challenge = || encode_challenge(&[3; NONCE_LEN], StoreId([2; 16]));
    for verdict in [Ok(Recognition::First), Ok(Recognition::Successor), Err(Refusal::Retired)] {
        for replies in [vec![answer(verdict)], vec![challenge(), answer(verdict)]] {
            let dialled = dialled_to(replies).await;
            assert!(matches!(dialled, Err(HandshakeError::Unproven)), "{verdict:?}: {dialled:?}");
        }
    }
    let dialled = dialled_to(vec![challenge(), challenge()]).await;
    assert!(matches!(dialled, Err(HandshakeError::Foreign)), "{dialled:?}");
}

/// A dialler's whole conversation, heard on the way and said again: to the same acceptor, and back to the dialler.
#[tokio::test]
async fn what_was_overheard_is_worth_nothing() {
    let (one, two) = (identity("c", 1, &[2]), identity("c", 2, &[1]));
    let (mut near, mut tap_near) = duplex(1 << 16);
    let (mut tap_far, mut far) = duplex(1 << 16);
    let mut heard = Vec::new();
    let tap = async {
        let (mut from_dialler, mut from_acceptor) = ([0; 1 << 12], [0; 1 << 12]);
        loop {
            tokio::select! {
                read = tap_near.read(&mut from_dialler) => match read.unwrap() {
                    0 => break,
                    length => {
                        heard.extend_from_slice(&from_dialler[..length]);
                        tap_far.write_all(&from_dialler[..length]).await.unwrap();
                    }
                },
                read = tap_far.read(&mut from_acceptor) => {
                    let length = read.unwrap();
                    tap_near.write_all(&from_acceptor[..length]).await.unwrap();
                }
            }
        }
    };
    let talk = async {
        let meet = async |_, _| Ok(Recognition::First);
        let (dialled, accepted) =
            tokio::join!(one.dial(&mut near, NodeId(2)), two.accept(&mut far, true, meet));
        dialled.unwrap();
        accepted.unwrap();
        drop(near);
    };
    tokio::join!(tap, talk);
    for acceptor in [&two, &one] {
        let (mut near, mut far) = duplex(1 << 16);
        near.write_all(&heard).await.unwrap();
        let meet = async |_, _| panic!("it is not recognized as anybody");
        let accepted = acceptor.accept(&mut far, true, meet).await;
        let Err((_, HandshakeError::Refused(refusal, _))) = accepted else { panic!("{accepted:?}") };
        assert_eq!(refusal, Refusal::OtherSecret);
    }
}

/// The dialler's own hello and proof, reflected by an acceptor that has no secret, are no acceptor's proof.
#[tokio::test]
async fn a_proof_that_comes_back_is_none() {
    let one = identity("c", 1, &[2]);
    let (mut near, mut far) = duplex(1 << 16);
    let mirror = async {
        let (hello, _) = read_hello(&mut far).await.unwrap();
        far.write_all(&encode_challenge(&hello.nonce, hello.store)).await.unwrap();
        let mut proof = NO_PROOF;
        far.read_exact(&mut proof).await.unwrap();
        let answer = encode_answer(Ok(Recognition::First), &Members::default());
        far.write_all(&[&answer[..], &proof].concat()).await.unwrap();
    };
    let (dialled, ()) = tokio::join!(one.dial(&mut near, NodeId(2)), mirror);
    assert!(matches!(dialled, Err(HandshakeError::Unproven)), "{dialled:?}");
}

#[tokio::test]
async fn another_version_is_refused_on_both_sides() {
    // A hello of version 3, as it was: cluster "c", node 1 dials node 2.
    let hello = [
        &b"TRLG\x00\x03\x00\x2a\x00\x00\x00\x01\x00\x00\x00\x02"[..],
        &[1; 16],
        b"\x01c",
        b"1@host-1:1,2@host-2:1"[..16].as_ref(),
    ]
    .concat();
    let (mut near, mut far) = duplex(1 << 16);
    near.write_all(&hello).await.unwrap();
    let meet = async |_, _| panic!("it is not recognized as anybody");
    let accepted = identity("c", 2, &[1]).accept(&mut far, true, meet).await;
    assert!(
        matches!(accepted, Err((Some(NodeId(1)), HandshakeError::Refused(Refusal::Version, _)))),
        "{accepted:?}"
    );
    let mut answer = encode_answer(Ok(Recognition::First), &Members::default());
    answer[5] = 9;
    // Others may end with the verdict.
    let refused = read_reply(&mut &answer[..VERDICT_LEN]).await;
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
    let (dialled, accepted) = tokio::join!(one.dial(&mut near, NodeId(2)), two.accept(&mut far, true, meet));
    assert!(matches!(dialled, Err(HandshakeError::TimedOut)), "{dialled:?}");
    assert!(matches!(accepted, Err((None, HandshakeError::TimedOut))), "{accepted:?}");
}

#[tokio::test]
async fn every_refusal_has_a_code_of_its_own_and_names_a_remedy() {
    for refusal in Refusal::ALL {
        let Ok(Reply::Answer(decoded)) = read_reply(&mut &answer(Err(refusal))[..]).await else {
            panic!("{refusal:?}");
        };
        assert_eq!(decoded.verdict, Err(refusal));
        assert!(refusal.to_string().contains("--") || refusal == Refusal::Version);
    }
}

/// What version 5 says, byte for byte. A change is another version.
#[test]
fn the_bytes_of_this_version_stay_what_they_are() {
    let (from, to, store) = (NodeId(1), NodeId(2), StoreId([0xaa; 16]));
    let members = Members::decode(b"1@a:1,2@b:1").unwrap();
    let (nonce, cluster_id) = ([0xbb; NONCE_LEN], b"c".to_vec());
    let hello =
        Hello { version: PROTOCOL_VERSION, from, to, store, proves: true, nonce, cluster_id, members };
    let mut golden = b"TRLG\x00\x05\x00\x46\x00\x00\x00\x01\x00\x00\x00\x02".to_vec();
    golden.put_bytes(0xaa, 16);
    golden.put_u8(1);
    golden.put_bytes(0xbb, 32);
    golden.put_slice(b"\x01c1@a:1,2@b:1");
    assert_eq!(hello.encode(), golden);

    let mut golden = b"TRLG\x00\x05\xfe".to_vec();
    golden.put_bytes(0xbb, 32);
    golden.put_bytes(0xaa, 16);
    assert_eq!(encode_challenge(&nonce, store), golden);

    assert_eq!(encode_answer(Ok(Recognition::First), &hello.members), b"TRLG\x00\x05\x00\x00\x0b1@a:1,2@b:1");
    let refused = encode_answer(Err(Refusal::OtherSecret), &Members::default());
    assert_eq!(refused, b"TRLG\x00\x05\x0b\x00\x00");
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
    fn any_bytes_are_a_reply_or_an_error(rest in prop::collection::vec(any::<u8>(), 0..100)) {
        let answer = [&MAGIC[..], &PROTOCOL_VERSION.to_be_bytes(), &rest].concat();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _ = runtime.block_on(read_reply(&mut &answer[..]));
    }

    #[test]
    fn a_hello_comes_back(
        from in 0..=i32::MAX,
        to in 0..=i32::MAX,
        store: [u8; 16],
        nonce: [u8; 32],
        proves: bool,
        id in "[a-z]{0,255}",
    ) {
        let node = |number| NodeId::of_number(number).expect("a node's number");
        let (from, to, version) = (node(from), node(to), PROTOCOL_VERSION);
        let members = Members::new([(from, "a:1".to_owned()), (to, String::new())].into());
        let (store, cluster_id) = (StoreId(store), id.into_bytes());
        let hello = Hello { version, from, to, store, proves, nonce, cluster_id, members };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sent = hello.encode();
        let (read, bytes) = runtime.block_on(read_hello(&mut &sent[..])).unwrap();
        prop_assert_eq!(read, hello);
        prop_assert_eq!(bytes, sent);
    }
}
