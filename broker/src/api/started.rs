//! What a node was started with, beside its broker settings.

use std::path::PathBuf;

use crate::cli::ServeOptions;
use crate::logging::LogFilter;

/// What the APIs tell of the process that they are part of.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    /// Where the node keeps everything, as an absolute path where that can be found out.
    pub(crate) data_dir: PathBuf,
    /// Where it listens for clients, in Kafka's notation.
    pub(crate) listeners: String,
    /// Where clients are told to connect, in Kafka's notation.
    pub(crate) advertised_listeners: String,
    /// What is logged.
    pub(crate) log: LogFilter,
}

impl Started {
    /// What `options` say.
    pub(crate) fn new(options: &ServeOptions, log: LogFilter) -> Self {
        let data_dir = &options.data_dir;
        let listeners = options.listeners.iter();
        let listening = listeners.clone().map(|listener| {
            let host = listener.bind.first().map_or("", String::as_str);
            format!("{}://{host}:{}", listener.name, listener.port)
        });
        let advertised = listeners.map(|listener| format!("{}://{}", listener.name, listener.advertised));
        Self {
            data_dir: std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.clone()),
            listeners: listening.collect::<Vec<_>>().join(","),
            advertised_listeners: advertised.collect::<Vec<_>>().join(","),
            log,
        }
    }
}
