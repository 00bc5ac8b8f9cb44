//! Golden scripts: what a group coordinator answers and writes down, request by request.
//!
//! A [script](crate::script) plays on a [stage](stage::Stage): one coordinator, whose records are committed at once, and
//! whose time passes only when the script says so. Clients are called by names of the script's choice (`m1`); each
//! remembers, as a real one does, the member id and the generation that it was last told, and the options of its last
//! join.
//!
//! | command | what it does |
//! | --- | --- |
//! | `coordinator [OPTION...]` | begins anew with other settings: `delay=` (`group.initial.rebalance.delay.ms`, here none), `max-size=`, `consumer-max-size=`, `min-session=`, `max-session=`, `metadata-max=`, `retention=`, `policy=` (`group.consumer.migration.policy`, bidirectional) |
//! | `topic NAME PARTITIONS`, `delete-topic NAME` | a topic is made or gets more partitions; is deleted |
//! | `advance TIME [GROUP CLIENT...]` | lets time pass (`500ms`, `10s`, `5m`), and what is due happen; classic clients that are named heartbeat every 3 s, and what they hear is shown when it is not `ok` or is something new |
//! | `failover [OPTION...]` | the coordinator is lost; the next one goes by what was written down, with other settings if the script says so |
//! | `restart CLIENT` | the client forgets its member id and generation |
//! | `waiting` | who waits for an answer |
//! | `join GROUP CLIENT [OPTION...]` | JoinGroup: `protocols=A,B` (range), `topics=T,U`, `metadata=TEXT`, `instance=`, `session=` (10s), `rebalance=` (60s), `type=` (consumer), `host=`, `version=` (from 4 on, a new member is first given an id; from 9 on, a static leader is told when not to assign) |
//! | `sync GROUP CLIENT [CLIENT=T-0,T-1...]` | SyncGroup: the leader says who gets what; `type=` and `protocol=` state what the member believes in |
//! | `heartbeat GROUP CLIENT` | Heartbeat |
//! | `leave GROUP CLIENT... [instance=I,J]` | LeaveGroup: of clients, and of instances that an administrator puts out |
//! | `describe GROUP` | DescribeGroups |
//! | `consumer-heartbeat GROUP CLIENT [OPTION...]` | ConsumerGroupHeartbeat. A client that is in no group joins: `topics=T,U`, `pattern=`, `instance=`, `assignor=`, `rack=`, `rebalance=` (60s), `version=0` (has no member id of its own). Later ones say what is new: these options, and what the client owns, if it was told something else by the answer before. `owned=T-0` says something else; `owned=?` and `topics=?` do not say; with `full` everything is said |
//! | `consumer-rounds GROUP CLIENT...` | the clients heartbeat in turn, until nobody hears anything new; shows what is new |
//! | `consumer-leave GROUP CLIENT...`, `consumer-away GROUP CLIENT...` | ConsumerGroupHeartbeat: leaves, or leaves for a while |
//! | `consumer-describe GROUP` | ConsumerGroupDescribe |
//! | `commit GROUP [CLIENT] T-0=OFFSET...` | OffsetCommit; of a consumer in no group without a client. An offset may have a leader epoch and metadata: `7@2:text`; `retention=TIME`, `version=` (9) |
//! | `fetch GROUP [T-0...] [as=CLIENT]` | OffsetFetch, of all offsets or some; with `as=` the request says who asks |
//! | `delete-offsets GROUP T-0...` | OffsetDelete |
//! | `sweep` | lets old offsets expire |
//! | `list [states=A,B] [types=A,B]`, `delete GROUP` | ListGroups; DeleteGroups |
//!
//! Where a client speaks, `member=` and `generation=` override what it remembers, and `instance=` who it says it is. `-`
//! stands for nothing. The member id `m1-00000000-0000-0000-0000-000000000007` reads `m1#7`.
//!
//! Of each command first what was written down is shown (`record`), then the answers, by who waited for them.
//!
//! Always checked along the way: records read back are the same; replaying them, one by one and all again from the
//! beginning, makes the coordinator's own state; so does reading it back from a checkpoint.

mod commands;
mod describe;
mod stage;

use self::stage::Stage;
use crate::script;

fn play(name: &str) {
    assert!(SCRIPTS.contains(&name), "{name} is not in the list of scripts");
    let mut stage = Stage::default();
    script::play("coordinator", name, |line| commands::run(&mut stage, line));
}

/// Every script, each of which has a test below.
const SCRIPTS: [&str; 27] = [
    "bad_input",
    "commit",
    "commit_fenced",
    "consumer_bad_input",
    "consumer_failover",
    "consumer_fencing",
    "consumer_patterns",
    "consumer_reconciliation",
    "consumer_static",
    "consumer_topics",
    "delete_group",
    "delete_offsets",
    "expiry",
    "failover",
    "fencing",
    "inspect",
    "join",
    "leave",
    "migration_down",
    "migration_up",
    "pending_member",
    "protocol_vote",
    "rebalance",
    "static_member",
    "sync_phase",
    "timeout",
    "topic_deleted",
];

#[test]
fn no_script_is_forgotten() {
    assert_eq!(script::names("coordinator"), SCRIPTS);
}

#[test]
fn bad_input() {
    play("bad_input");
}

#[test]
fn commit() {
    play("commit");
}

#[test]
fn commit_fenced() {
    play("commit_fenced");
}

#[test]
fn consumer_bad_input() {
    play("consumer_bad_input");
}

#[test]
fn consumer_failover() {
    play("consumer_failover");
}

#[test]
fn consumer_fencing() {
    play("consumer_fencing");
}

#[test]
fn consumer_patterns() {
    play("consumer_patterns");
}

#[test]
fn consumer_reconciliation() {
    play("consumer_reconciliation");
}

#[test]
fn consumer_static() {
    play("consumer_static");
}

#[test]
fn consumer_topics() {
    play("consumer_topics");
}

#[test]
fn delete_group() {
    play("delete_group");
}

#[test]
fn delete_offsets() {
    play("delete_offsets");
}

#[test]
fn expiry() {
    play("expiry");
}

#[test]
fn failover() {
    play("failover");
}

#[test]
fn fencing() {
    play("fencing");
}

#[test]
fn inspect() {
    play("inspect");
}

#[test]
fn join() {
    play("join");
}

#[test]
fn leave() {
    play("leave");
}

#[test]
fn migration_down() {
    play("migration_down");
}

#[test]
fn migration_up() {
    play("migration_up");
}

#[test]
fn pending_member() {
    play("pending_member");
}

#[test]
fn protocol_vote() {
    play("protocol_vote");
}

#[test]
fn rebalance() {
    play("rebalance");
}

#[test]
fn static_member() {
    play("static_member");
}

#[test]
fn sync_phase() {
    play("sync_phase");
}

#[test]
fn timeout() {
    play("timeout");
}

#[test]
fn topic_deleted() {
    play("topic_deleted");
}
