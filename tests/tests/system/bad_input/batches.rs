//! A record batch that unpacks to far more than it should. `tests/compat/differences` has those that are none.

use std::io::Write;

use bytes::{Bytes, BytesMut};
use trilog_tests::batch::{BatchBuilder, Codec, HEADER, Record, seal};
use trilog_tests::cluster::{Cluster, ClusterOptions};

/// A gzip batch of one record whose value is this many zeros, built without ever holding them in memory.
fn gzip_of_zeros(zeros: u32) -> Bytes {
    let varint = |value: u32| {
        let mut zigzag = u64::from(value) << 1;
        let mut bytes = Vec::new();
        while zigzag >= 0x80 {
            bytes.push(u8::try_from(zigzag & 0x7f).unwrap() | 0x80);
            zigzag >>= 7;
        }
        bytes.push(u8::try_from(zigzag).unwrap());
        bytes
    };
    // Attributes, timestamp delta, offset delta, no key, the value's length; behind the value, no headers.
    let inner = [&[0, 0, 0, 1][..], &varint(zeros)].concat();
    let length = u32::try_from(inner.len() + 1).unwrap() + zeros;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(&varint(length)).unwrap();
    encoder.write_all(&inner).unwrap();
    let chunk = vec![0; 1 << 20];
    for _ in 0..zeros >> 20 {
        encoder.write_all(&chunk).unwrap();
    }
    encoder.write_all(&[0]).unwrap();
    let model = BatchBuilder::new(vec![Record::new(1, "x")]).codec(Codec::Gzip).build();
    let mut batch = BytesMut::from(&model[..HEADER]);
    batch.extend_from_slice(&encoder.finish().unwrap());
    seal(&mut batch);
    batch.freeze()
}

#[tokio::test]
async fn a_batch_that_unpacks_to_half_a_gigabyte_does_not_grow_the_node() {
    let bomb = tokio::task::spawn_blocking(|| gzip_of_zeros(512 << 20)).await.unwrap();
    assert!(bomb.len() < 1 << 20, "it is small enough to be looked at");
    let cluster = Cluster::start(ClusterOptions::nodes(1)).await;
    let partition = cluster.new_partition("bad-bomb").await;
    let before = cluster.resident_bytes();
    // Whether it is taken or refused is the broker's choice.
    partition.try_produce(bomb).await;
    let grown = cluster.resident_bytes().saturating_sub(before);
    assert!(grown < 100 << 20, "the node has grown by {} MiB", grown >> 20);
    cluster.assert_alive();
}
