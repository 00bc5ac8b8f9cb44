//! The HTTP port: what operators and their machines ask a node.
//!
//! | path | method | answer |
//! | --- | --- | --- |
//! | `/metrics` | GET | all figures in [Prometheus' text format](crate::metrics) |
//! | `/health/live` | GET | 200 while the node makes progress, else 503: a restart may help |
//! | `/health/ready` | GET | 200 while the node serves clients as it should, else 503 with the reasons |
//! | `/log` | GET | what is logged |
//! | `/log` | PUT | has the body's filter say what is logged, as `--log` does; from the same machine only |
//!
//! It has a thread and a runtime of its own. Whatever its clients do, it takes nothing from those who serve Kafka's: no
//! worker, no slot, no byte of their budget. What it asks of the node are reads of published state, and one
//! [survey](trilog_cluster::survey) of the driver, which is not waited for.
//!
//! # What is bounded, and what happens at the bound
//!
//! | what | bound | beyond it |
//! | --- | --- | --- |
//! | connections | [`server::MAX_CONNECTIONS`] | closed at once |
//! | requests of a connection | one | it is closed with the answer |
//! | the head of a request | [`server::HEAD_WITHIN`], [`server::MAX_HEAD_BYTES`] | closed; 431 |
//! | the body of a request | [`routes::MAX_BODY_BYTES`] | 413 |
//! | a whole exchange | [`server::EXCHANGE_WITHIN`] | closed |
//! | scrapes | one at a time, and one is good for half a second | the others wait for it |

mod health;
mod lifecycle;
mod routes;
mod server;

pub(crate) use self::lifecycle::Lifecycle;
pub(crate) use self::routes::Routes;
pub(crate) use self::server::{Alive, start};
