//! Golden scripts: what a cluster of shards does, command by command, with its full output.
//!
//! A [script](crate::script) plays on a [stage](stage::Stage) of real shards over real stores, in one thread, where no
//! message arrives and no time passes unless the script says so.
//!
//! | command | what it does |
//! | --- | --- |
//! | `boot N [TOPIC=REPLICAS...] [OPTION...]` | starts nodes 1 to N, runs until the controller leads and knows them, and makes topics; shows nothing of that |
//! | `cluster N [OPTION...]` | only starts the nodes, connected with each other |
//! | `tick N [NODE...]` | lets N ticks pass, for all nodes or some |
//! | `deliver [A->B] [GROUP]` | lets what is under way arrive, but not what is sent in answer |
//! | `settle` | delivers everything, answers included, until nothing is under way |
//! | `run N` | N times a tick and `settle` |
//! | `drop [A->B] [GROUP]` | loses what is under way, and says what that was |
//! | `cut A->B`, `cut-off NODE`, `heal` | what is sent on a link, or from and to a node, is lost from now on, until healed |
//! | `refused A B` | A's transport says that B's process is gone |
//! | `hold NODE`, `sync NODE`, `release NODE` | the node's disk syncs only when told to; syncs once; syncs by itself again, as it does at first |
//! | `fetch NODE` | carries out the reads of old entries that the node's groups asked for (as `settle` does) |
//! | `crash NODE`, `stop NODE`, `start NODE` | ends a node and loses what was not synced; ends it in order; starts it again |
//! | `power NODE` | ends a node's machine: as `crash`, and the node can tell when it starts again |
//! | `wipe NODE` | ends a node and loses its disk; it starts again on an empty one |
//! | `hand-over NODE` | hands all its leaderships over, as before a stop |
//! | `hand-to-preferred NODE GROUP...` | asks the node to hand leaderships to the groups' preferred replicas |
//! | `full NODE`, `room NODE` | the node's disk is nearly full; has room again |
//! | `stall NODE`, `move NODE` | the node's disk stands still; is trusted again |
//! | `register NODE BROKER`, `create-topic NODE NAME REPLICAS...`, `delete-topic NODE NAME`, `producer-ids NODE` | asks the controller at a node |
//! | `append NODE PARTITION VALUE... [as=NAME] [producer=ID seq=N] [replicas=N]` | hands the node batches of one record each, at once |
//! | `delete-records NODE PARTITION OFFSET [as=NAME]` | asks the node to delete the records below an offset, or `all` |
//! | `confirm NODE GROUP... [as=NAME]` | asks which of the groups the node leads, as their other voters say |
//! | `status GROUP`, `log NODE GROUP`, `network`, `unanswered` | shows the replicas, a log on disk, what is under way, and who still waits for an answer |
//!
//! Options of a cluster: `relaxed=true` durability, `tail=BYTES` of entries in memory, `checkpoint-every=N` entries, `keep=N` entries that stay
//! in a log though it may be cut there, and parts of `part=BYTES` in which longer snapshots travel. What is sent to a node that is down is lost, and its sender learns of it.
//!
//! A group is called by its partition (`t-0`), `controller`, or `group-N` while it has no name. In the output an entry
//! is `index/term [offset:value]`, a message `from->to group kind term: content`; *shows* is the log start
//! and the high watermark that readers see. `boot`, `settle` and `run` leave messages out. Heartbeats between nodes and news of leaders travel like
//! all messages but are never shown.

mod command;
mod describe;
mod hostile;
mod inspect;
mod network;
mod node;
mod stage;

use self::command::Interpreter;
use crate::script;

fn play(name: &str) {
    assert!(SCRIPTS.contains(&name), "{name} is not in the list of scripts");
    let mut interpreter = Interpreter::default();
    script::play("shard", name, |line| interpreter.run(line));
}

/// Every script, each of which has a test below.
const SCRIPTS: [&str; 38] = [
    "behind",
    "confirm",
    "conflict",
    "cut_log",
    "delete_records",
    "delete_topic",
    "deposed",
    "duplicate",
    "early_messages",
    "election",
    "forgetful",
    "forgetful_all",
    "full_disk",
    "hand_over",
    "hand_over_all",
    "hand_to_preferred",
    "in_sync",
    "lagging_follower",
    "lost_leadership",
    "lost_peer",
    "propose",
    "rejoin",
    "rejoin_five",
    "rejoin_pair",
    "rejoin_twice",
    "restart",
    "sleep",
    "slow_disks",
    "slow_driver",
    "slow_majority",
    "slow_start",
    "snapshot",
    "snapshot_parts",
    "snapshot_to_lead",
    "stale_answers",
    "stalled_disk",
    "start_led",
    "started_vote",
];

#[test]
fn no_script_is_forgotten() {
    assert_eq!(script::names("shard"), SCRIPTS);
}

#[test]
fn behind() {
    play("behind");
}

#[test]
fn confirm() {
    play("confirm");
}

#[test]
fn conflict() {
    play("conflict");
}

#[test]
fn cut_log() {
    play("cut_log");
}

#[test]
fn delete_records() {
    play("delete_records");
}

#[test]
fn delete_topic() {
    play("delete_topic");
}

#[test]
fn deposed() {
    play("deposed");
}

#[test]
fn duplicate() {
    play("duplicate");
}

#[test]
fn early_messages() {
    play("early_messages");
}

#[test]
fn election() {
    play("election");
}

#[test]
fn forgetful() {
    play("forgetful");
}

#[test]
fn forgetful_all() {
    play("forgetful_all");
}

#[test]
fn full_disk() {
    play("full_disk");
}

#[test]
fn stalled_disk() {
    play("stalled_disk");
}

#[test]
fn hand_over() {
    play("hand_over");
}

#[test]
fn hand_over_all() {
    play("hand_over_all");
}

#[test]
fn hand_to_preferred() {
    play("hand_to_preferred");
}

#[test]
fn in_sync() {
    play("in_sync");
}

#[test]
fn lagging_follower() {
    play("lagging_follower");
}

#[test]
fn lost_leadership() {
    play("lost_leadership");
}

#[test]
fn lost_peer() {
    play("lost_peer");
}

#[test]
fn propose() {
    play("propose");
}

#[test]
fn rejoin() {
    play("rejoin");
}

#[test]
fn rejoin_five() {
    play("rejoin_five");
}

#[test]
fn rejoin_pair() {
    play("rejoin_pair");
}

#[test]
fn rejoin_twice() {
    play("rejoin_twice");
}

#[test]
fn start_led() {
    play("start_led");
}

#[test]
fn restart() {
    play("restart");
}

#[test]
fn sleep() {
    play("sleep");
}

#[test]
fn slow_disks() {
    play("slow_disks");
}

#[test]
fn slow_driver() {
    play("slow_driver");
}

#[test]
fn slow_majority() {
    play("slow_majority");
}

#[test]
fn snapshot() {
    play("snapshot");
}

#[test]
fn snapshot_parts() {
    play("snapshot_parts");
}

#[test]
fn snapshot_to_lead() {
    play("snapshot_to_lead");
}

#[test]
fn stale_answers() {
    play("stale_answers");
}

#[test]
fn slow_start() {
    play("slow_start");
}

#[test]
fn started_vote() {
    play("started_vote");
}
