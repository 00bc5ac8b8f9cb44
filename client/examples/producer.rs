//! Sends each line of standard input as a record: `KEY:VALUE`, or a value alone.
//!
//! ```text
//! cargo run -p trilog-client --example producer -- 127.0.0.1:9092 TOPIC < lines
//! ```

use std::error::Error;
use std::io::BufRead;
use std::time::Duration;

use trilog_client::{Codec, Producer, ProducerConfig, Record};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(brokers), Some(topic)) = (arguments.next(), arguments.next()) else {
        return Err("usage: producer HOST:PORT[,...] TOPIC".into());
    };
    let config = ProducerConfig::new(&brokers)?.compression(Codec::Lz4).linger(Duration::from_millis(20));
    let producer = Producer::new(config)?;
    producer.ready(Duration::from_secs(10)).await?;

    let mut deliveries = Vec::new();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let record = match line.split_once(':') {
            Some((key, value)) => Record::to(&topic).key(key.to_owned()).value(value.to_owned()),
            None => Record::to(&topic).value(line),
        };
        // Waits only while the producer's memory is full.
        deliveries.push(producer.send(record).await?);
    }
    producer.close().await;
    let total = deliveries.len();
    let mut failed = 0;
    for delivery in deliveries {
        if let Err(error) = delivery.await {
            eprintln!("{error}");
            failed += 1;
        }
    }
    eprintln!("{} of {total} records are delivered", total - failed);
    if failed == 0 { Ok(()) } else { Err("some records are not".into()) }
}
