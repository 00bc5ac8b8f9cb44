//! The HTTP port: what operators and their machines ask a node.
//!
//! | path | method | answer |
//! | --- | --- | --- |
//! | `/metrics` | GET | all figures in [Prometheus' text format](crate::metrics) |
//! | `/health/live` | GET | 200 while the node makes progress, else 503: a restart may help |
//! | `/health/ready` | GET | 200 while the node serves clients as it should, else 503 with the reasons |
//! | `/log` | GET | what is logged |
//! | `/log` | PUT | has the body's filter say what is logged, as `--log` does; from a program on the same machine only |
//!
//! It has a thread and a runtime of its own. Whatever its clients do, it takes nothing from those who serve Kafka's: no
//! worker, no slot, no byte of their budget. What it asks of the node are reads of published state, and one
//! [survey](trilog_cluster::survey) of the driver, which is not waited for.
//!
//! # What is bounded, and what happens at the bound
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | connections | [`slots::MAX_CONNECTIONS`] | the oldest without a request is closed, else the oldest |
//! | requests of a connection | one | it is closed with the answer |
//! | the head of a request | [`server::HEAD_WITHIN`], [`head::MAX_HEAD_BYTES`] | closed; 431 |
//! | the body of a request | [`routes::BODY_WITHIN`], [`routes::MAX_BODY_BYTES`] | 408; 413 |
//! | a whole exchange | [`server::EXCHANGE_WITHIN`] | closed |
//! | scrapes | one at a time, and one is good for half a second | the others wait for it |

mod head;
mod health;
mod lifecycle;
mod routes;
mod same_machine;
mod server;
mod slots;

pub(crate) use self::lifecycle::Lifecycle;
pub(crate) use self::routes::Routes;
pub(crate) use self::server::{Alive, start};
pub(crate) use self::slots::MAX_CONNECTIONS;

/// The constants that `docs/bounds.md` lists.
#[cfg(test)]
pub(crate) mod bounds {
    pub(crate) use super::head::MAX_HEAD_BYTES;
    pub(crate) use super::routes::{BODY_WITHIN, MAX_BODY_BYTES};
    pub(crate) use super::server::{EXCHANGE_WITHIN, HEAD_WITHIN};
    pub(crate) use super::slots::{MAX_CONNECTIONS, TIME_TO_ASK};
}
