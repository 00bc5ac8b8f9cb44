//! Where the cluster is, and how it is spoken to: the options that every command has.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::task::JoinSet;
use tokio::time::timeout;
use trilog_client::wire::{ConnectError, Connection, ConnectionOptions};
use trilog_client::{AdminConfig, ConfigError, ConsumerConfig, ProducerConfig};

use crate::failure::Failure;
use crate::properties;

/// Where a cluster is looked for when nothing says where it is.
const DEFAULT_BROKERS: &str = "localhost:9092";

/// What brokers know this program by, unless a setting says otherwise.
const CLIENT_ID: &str = "trilog";

/// The longest file of settings that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The options by which a command finds its cluster.
#[derive(Clone, Debug, Args)]
pub struct ConnectionArgs {
    /// The brokers to begin with, separated by commas; the others are learnt from them [default: localhost:9092].
    #[arg(
        short,
        long,
        global = true,
        env = "TRILOG_BROKERS",
        value_name = "HOST:PORT",
        help_heading = "Cluster"
    )]
    brokers: Option<String>,

    /// A file of settings by Kafka's names, a name=value a line. Settings of other clients in it are skipped.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Cluster")]
    config: Option<PathBuf>,

    /// A setting by Kafka's name, such as linger.ms=20. It wins over the file. May be repeated.
    #[arg(short = 'X', global = true, value_name = "NAME=VALUE", value_parser = setting, help_heading = "Cluster")]
    settings: Vec<(String, String)>,

    /// How many seconds the cluster may take to answer at all.
    #[arg(
        long,
        global = true,
        default_value_t = 10,
        value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=3600),
        help_heading = "Cluster"
    )]
    timeout: u64,
}

/// A `name=value` of the command line.
fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it is not NAME=VALUE")?;
    // The setting itself knows whether blanks around its value count, as in a password.
    Ok((name.trim().to_owned(), value.to_owned()))
}

impl ConnectionArgs {
    /// The settings that the options come to. The file is read here.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the file cannot be read or is no file of settings.
    pub fn settings(self) -> Result<Settings, Failure> {
        let file = self.config.as_deref().map(read).transpose()?.unwrap_or_default();
        let mut given = self.settings;
        if let Some(brokers) = self.brokers {
            given.push(("bootstrap.servers".to_owned(), brokers));
        }
        Ok(Settings { file, given, patience: Duration::from_secs(self.timeout) })
    }
}

/// A setting of a file.
#[derive(Clone, Debug)]
struct FromFile {
    name: String,
    value: String,
    /// The file and the line, for messages.
    place: String,
}

fn read(path: &Path) -> Result<Vec<FromFile>, Failure> {
    let cannot = |error| Failure::file("read", path, &error);
    let is_long = fs::metadata(path).map_err(cannot)?.len() > MAX_FILE;
    if is_long {
        return Err(Failure::Usage(format!("{} is above 1 MiB: it is no file of settings", path.display())));
    }
    let text = fs::read_to_string(path).map_err(cannot)?;
    let wrong = |error| Failure::Usage(format!("{}, {error}", path.display()));
    let properties = properties::parse(&text).map_err(wrong)?;
    let place = |line: usize| format!("{}, line {line}", path.display());
    let from_file = |property: properties::Property| FromFile {
        place: place(property.line),
        name: property.name,
        value: property.value,
    };
    Ok(properties.into_iter().map(from_file).collect())
}

/// The settings of a command: from its file, and above them those of its flags.
#[derive(Clone, Debug)]
pub struct Settings {
    file: Vec<FromFile>,
    /// `-X` and `-b`, in the order in which they count.
    given: Vec<(String, String)>,
    /// How long the cluster may take to answer at all.
    pub patience: Duration,
}

/// A configuration that settings by name make.
pub trait Configuration: Default + Sized {
    /// Whether a setting of this name is one of this client's.
    fn knows(name: &str) -> bool;

    /// The configuration with one more setting.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if there is no such setting, or it cannot have the value.
    fn with(self, name: &str, value: &str) -> Result<Self, ConfigError>;
}

impl Configuration for ProducerConfig {
    fn knows(name: &str) -> bool {
        Self::knows(name)
    }

    fn with(self, name: &str, value: &str) -> Result<Self, ConfigError> {
        if name == "transactional.id" {
            return Err(ConfigError::Conflict("no command makes transactions: remove transactional.id"));
        }
        self.with_names([(name, value)])
    }
}

impl Configuration for ConsumerConfig {
    fn knows(name: &str) -> bool {
        Self::knows(name)
    }

    fn with(self, name: &str, value: &str) -> Result<Self, ConfigError> {
        self.with_names([(name, value)])
    }
}

impl Configuration for AdminConfig {
    fn knows(name: &str) -> bool {
        Self::knows(name)
    }

    fn with(self, name: &str, value: &str) -> Result<Self, ConfigError> {
        self.with_names([(name, value)])
    }
}

/// The clients that have a setting of this name.
fn owners(name: &str) -> Option<&'static str> {
    let owners = [
        (ProducerConfig::knows(name), "producers"),
        (ConsumerConfig::knows(name), "consumers"),
        (AdminConfig::knows(name), "admin clients"),
    ];
    owners.into_iter().find_map(|(knows, owner)| knows.then_some(owner))
}

impl Settings {
    /// Sets what a flag of the command says, above everything else.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        self.given.push((name.to_owned(), value.into()));
    }

    /// These settings for a client of another kind, to which those of its own do not matter.
    fn shared(&self) -> Self {
        let mut shared = self.clone();
        shared.share();
        shared
    }

    /// For a command of several clients: lets a flag set what only one of them has, as the file may.
    pub fn share(&mut self) {
        let given = std::mem::take(&mut self.given).into_iter();
        let place = || "the command line".to_owned();
        self.file.extend(given.map(|(name, value)| FromFile { name, value, place: place() }));
    }

    /// The configuration of a client. `own` are the command's own defaults, which the file and flags win over.
    ///
    /// # Errors
    ///
    /// [`Failure::Usage`] for a setting that no client has, or that cannot have its value.
    pub fn configure<C: Configuration>(&self, own: &[(&str, &str)]) -> Result<C, Failure> {
        let mut config = C::default().with("bootstrap.servers", DEFAULT_BROKERS)?;
        config = config.with("client.id", CLIENT_ID)?;
        for (name, value) in own {
            config = config.with(name, value)?;
        }
        for setting in &self.file {
            let is_another_s = !C::knows(&setting.name) && owners(&setting.name).is_some();
            if !is_another_s {
                let wrong = |error| Failure::Usage(format!("{}: {error}", setting.place));
                config = config.with(&setting.name, &setting.value).map_err(wrong)?;
            }
        }
        for (name, value) in &self.given {
            if let Some(owners) = owners(name).filter(|_| !C::knows(name)) {
                return Err(Failure::Usage(format!(
                    "{name} is a setting of {owners}, and this command has none of them"
                )));
            }
            config = config.with(name, value)?;
        }
        Ok(config)
    }

    /// Waits until a broker answers, so that a wrong address is told at once and not after a record's timeout.
    ///
    /// # Errors
    ///
    /// [`Failure::Failed`] with what is wrong with each address, once none is left, or with the first broker's reason not to accept
    /// this client.
    pub async fn reach(&self) -> Result<(), Failure> {
        // What is looked for is the same for every client.
        let addresses = self.bootstrap()?;
        let config: AdminConfig = self.shared().configure(&[])?;
        let options = ConnectionOptions { connect_timeout: self.patience, ..config.connection_options()? };
        let patience = self.patience;
        let mut attempts = JoinSet::new();
        for address in &addresses {
            let (address, options) = (address.clone(), options.clone());
            attempts.spawn(async move {
                match timeout(patience, Connection::connect(&address, &options)).await {
                    Ok(Ok(_)) => Ok(()),
                    Ok(Err(error)) => {
                        let is_refusal = matches!(error, ConnectError::Authentication { .. });
                        Err((error.to_string(), is_refusal))
                    }
                    Err(_) => Err((format!("{address} takes connections and does not answer"), false)),
                }
            });
        }
        let mut reasons = Vec::new();
        while let Some(attempt) = attempts.join_next().await {
            match attempt {
                Ok(Ok(())) => return Ok(()),
                // Another address would not help.
                Ok(Err((reason, true))) => {
                    return Err(Failure::Failed(format!("not authenticated: {reason}")));
                }
                Ok(Err((reason, false))) => reasons.push(reason),
                Err(error) => reasons.push(error.to_string()),
            }
        }
        let advice = "-b or TRILOG_BROKERS says where the brokers are";
        Err(Failure::Failed(format!("no broker can be reached: {}; {advice}", reasons.join("; "))))
    }

    /// The addresses to begin with.
    fn bootstrap(&self) -> Result<Vec<String>, Failure> {
        let named = |name: &str| name == "bootstrap.servers" || name == "metadata.broker.list";
        let file = self.file.iter().map(|setting| (&setting.name, &setting.value));
        let given = self.given.iter().map(|(name, value)| (name, value));
        let last = file.chain(given).rfind(|(name, _)| named(name));
        let brokers = last.map_or(DEFAULT_BROKERS, |(_, value)| value);
        Ok(ConsumerConfig::new(brokers)?.bootstrap_servers())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        connection: ConnectionArgs,
    }

    fn settings(line: &[&str]) -> Result<Settings, String> {
        let parsed = Alone::try_parse_from([&["test"], line].concat()).map_err(|error| error.to_string())?;
        parsed.connection.settings().map_err(|failure| failure.to_string())
    }

    fn producer(line: &[&str]) -> Result<ProducerConfig, String> {
        settings(line)?.configure(&[]).map_err(|failure| failure.to_string())
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    #[test]
    fn flags_win_over_the_file() {
        let file = file("bootstrap.servers=one:1\n");
        let path = file.path().to_str().unwrap();
        let found = |line: &[&str]| settings(line).unwrap().bootstrap().unwrap();
        assert_eq!(found(&["--config", path]), ["one:1"]);
        assert_eq!(found(&["--config", path, "-X", "bootstrap.servers=two:2"]), ["two:2"]);
        let all = ["--config", path, "-X", "bootstrap.servers=two:2", "-b", "three:3,four"];
        assert_eq!(found(&all), ["three:3", "four:9092"]);
        assert_eq!(found(&[]), ["localhost:9092"]);
    }

    #[test]
    fn a_file_may_have_settings_of_other_clients_and_a_flag_may_not() {
        let file = file("group.id=billing\nlinger.ms=20\n");
        assert!(producer(&["--config", file.path().to_str().unwrap()]).is_ok());
        let error = producer(&["-X", "group.id=billing"]).unwrap_err();
        assert_eq!(error, "group.id is a setting of consumers, and this command has none of them");
    }

    #[test]
    fn a_flag_of_a_command_with_several_clients_may_be_another_client_s() {
        let mut shared = settings(&["-X", "group.id=billing", "-b", "one:1"]).unwrap();
        shared.share();
        assert!(shared.configure::<ProducerConfig>(&[]).is_ok());
        assert_eq!(shared.bootstrap().unwrap(), ["one:1"]);
        let mut wrong = settings(&["-X", "lingr.ms=1"]).unwrap();
        wrong.share();
        let error = wrong.configure::<ProducerConfig>(&[]).unwrap_err().to_string();
        assert!(error.contains("the command line: there is no setting"), "{error}");
    }

    #[test]
    fn security_is_set_for_every_client_and_wrong_settings_show_no_secret() {
        let file = file(
            "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=SCRAM-SHA-512\n\
             sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required \\\n  \
             username=\"alice\" \\\n  password=\"hush\";\ngroup.id=g\n",
        );
        let path = file.path().to_str().unwrap();
        let secured = settings(&["--config", path, "-X", "linger.ms=5"]).unwrap();
        let admin: AdminConfig = secured.shared().configure(&[]).unwrap();
        let shown = format!("{:?}", admin.connection_options().unwrap());
        assert!(shown.contains("alice") && !shown.contains("hush"), "{shown}");
        for wrong in ["sasl.jaas.config=X required password=hush", "ssl.truststore.password=hush"] {
            let error = producer(&["-X", wrong]).unwrap_err();
            assert!(!error.contains("hush"), "{error}");
        }
    }

    #[test]
    fn a_wrong_setting_is_named_with_its_line_and_the_nearest_name() {
        let file = file("# mine\nlinger.ms=20\ncompresion.type=zstd\n");
        let error = producer(&["--config", file.path().to_str().unwrap()]).unwrap_err();
        assert!(error.contains("line 3: there is no setting \"compresion.type\""), "{error}");
        assert!(error.contains("did you mean \"compression.type\"?"), "{error}");
        let error = producer(&["-X", "linger.ms=soon"]).unwrap_err();
        assert!(error.contains("linger.ms cannot be \"soon\""), "{error}");
        assert!(producer(&["-X", "linger.ms"]).unwrap_err().contains("it is not NAME=VALUE"));
        assert!(producer(&["-b", "host:port"]).unwrap_err().contains("\"host:port\""));
        let error = producer(&["-X", "transactional.id=mine"]).unwrap_err();
        assert!(error.contains("no command makes transactions"), "{error}");
        assert!(settings(&["--config", "/nowhere/at/all"]).unwrap_err().contains("cannot read /nowhere"));
    }
}
