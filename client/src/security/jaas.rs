//! `sasl.jaas.config`: the line by which Java's clients are told who they are.
//!
//! ```text
//! org.apache.kafka.common.security.scram.ScramLoginModule required username="alice" password="secret";
//! ```
//!
//! Of the login modules, those for PLAIN, SCRAM and OAUTHBEARER's unsecured tokens are known. No error shows a value.

use std::collections::BTreeMap;

use super::secret::Secret;

/// The options of an unsecured token, by the ends of their names.
const UNSECURED: &str = "unsecuredLogin";

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    /// `PlainLoginModule`.
    Plain(Account),
    /// `ScramLoginModule`.
    Scram(Account),
    /// `OAuthBearerLoginModule` with claims of an unsecured token.
    Unsecured(Claims),
}

/// A name and a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) username: String,
    pub(crate) password: Secret,
}

/// What an unsecured token claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claims {
    /// Claims that are texts. `sub` is the user.
    pub(crate) texts: BTreeMap<String, String>,
    /// Claims that are numbers, as they were written.
    pub(crate) numbers: BTreeMap<String, String>,
    /// Seconds until it expires.
    pub(crate) lifetime: u64,
    /// Extensions of the first message (KIP-342).
    pub(crate) extensions: BTreeMap<String, String>,
}

impl Login {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// What is expected.
    pub(crate) fn parse(line: &str) -> Result<Self, String> {
        let mut words = words(line)?.into_iter();
        let class = words.next().filter(|word| !word.is_equals).ok_or_else(expected)?.text;
        let flag = words.next().map(|word| word.text).unwrap_or_default();
        if !["required", "requisite", "sufficient", "optional"].contains(&flag.to_ascii_lowercase().as_str())
        {
            return Err(expected());
        }
        let mut options = BTreeMap::new();
        while let Some(name) = words.next() {
            let (equals, value) = (words.next(), words.next());
            let is_pair = !name.is_equals && equals.is_some_and(|word| word.is_equals);
            let value = value.filter(|word| is_pair && !word.is_equals).ok_or_else(expected)?;
            options.insert(name.text, value.text);
        }
        match class.rsplit('.').next().unwrap_or_default() {
            "PlainLoginModule" => account(options).map(Self::Plain),
            "ScramLoginModule" => account(options).map(Self::Scram),
            "OAuthBearerLoginModule" => claims(options).map(Self::Unsecured),
            _ => Err("one of Kafka's PlainLoginModule, ScramLoginModule and OAuthBearerLoginModule; \
                      others need a token callback, or are not supported"
                .to_owned()),
        }
    }
}

fn expected() -> String {
    "one line: LoginModule required name=\"value\" …;".to_owned()
}

fn account(mut options: BTreeMap<String, String>) -> Result<Account, String> {
    let (username, password) = (options.remove("username"), options.remove("password"));
    if let Some(name) = options.keys().next() {
        return Err(format!("a line with the options username and password; {name} is not supported"));
    }
    match (username, password) {
        (Some(username), Some(password)) if !username.is_empty() => {
            Ok(Account { username, password: Secret::new(password) })
        }
        _ => Err("a line with both options, username and password".to_owned()),
    }
}

fn claims(options: BTreeMap<String, String>) -> Result<Claims, String> {
    let mut claims = Claims {
        texts: BTreeMap::new(),
        numbers: BTreeMap::new(),
        lifetime: 3600,
        extensions: BTreeMap::new(),
    };
    for (name, value) in options {
        let unsecured = name.strip_prefix(UNSECURED);
        let claim = |kind: &str| unsecured.and_then(|rest| rest.strip_prefix(kind)).map(str::to_owned);
        if let Some(claim) = claim("StringClaim_") {
            claims.texts.insert(claim, value);
        } else if let Some(claim) = claim("NumberClaim_") {
            if !value.parse::<f64>().is_ok_and(f64::is_finite) {
                return Err(format!("a line in which {name} is a number"));
            }
            claims.numbers.insert(claim, value);
        } else if let Some(extension) = claim("Extension_") {
            claims.extensions.insert(extension, value);
        } else if unsecured == Some("LifetimeSeconds") {
            let wrong = |_| format!("a line in which {name} is a whole number");
            claims.lifetime = value.parse::<u32>().map_err(wrong)?.into();
        } else {
            return Err(format!(
                "a line with the options of an unsecured token; {name} is not supported, and tokens of a server need a token callback"
            ));
        }
    }
    if !claims.texts.contains_key("sub") {
        return Err("a line with the option unsecuredLoginStringClaim_sub, the user".to_owned());
    }
    Ok(claims)
}

/// A word, or the sign between a name and a value.
struct Word {
    text: String,
    is_equals: bool,
}

/// The words of a line up to its semicolon. Quotation marks enclose any characters; a backslash takes the next one as it is.
fn words(line: &str) -> Result<Vec<Word>, String> {
    let mut words = Vec::new();
    let mut chars = line.trim().chars().peekable();
    while let Some(first) = chars.next() {
        match first {
            c if c.is_whitespace() => {}
            ';' => {
                let rest: String = chars.collect();
                return if rest.trim().is_empty() { Ok(words) } else { Err(expected()) };
            }
            '=' => words.push(Word { text: String::new(), is_equals: true }),
            quote @ ('"' | '\'') => {
                let mut text = String::new();
                loop {
                    match chars.next().ok_or_else(expected)? {
                        '\\' => text.push(chars.next().ok_or_else(expected)?),
                        c if c == quote => break,
                        c => text.push(c),
                    }
                }
                words.push(Word { text, is_equals: false });
            }
            first => {
                let mut text = String::from(first);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !"=;\"'".contains(*c)) {
                    text.push(c);
                }
                words.push(Word { text, is_equals: false });
            }
        }
    }
    // Without its end it may have been cut off.
    Err(expected())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_lines_of_kafka_s_documentation_are_read() {
        let line = "org.apache.kafka.common.security.plain.PlainLoginModule required \\\n username=\"alice\" password=\"a \\\"b;=\";";
        let line = line.replace("\\\n", "");
        let account = Account { username: "alice".to_owned(), password: Secret::new("a \"b;=") };
        assert_eq!(Login::parse(&line), Ok(Login::Plain(account)));
        let line = "org.apache.kafka.common.security.scram.ScramLoginModule REQUIRED username=a password='';";
        assert!(matches!(Login::parse(line), Ok(Login::Scram(_))));
        let line = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required \
                    unsecuredLoginStringClaim_sub=\"alice\" unsecuredLoginNumberClaim_n=\"7\" \
                    unsecuredLoginLifetimeSeconds=\"60\" unsecuredLoginExtension_x=\"y\";";
        let Ok(Login::Unsecured(claims)) = Login::parse(line) else { panic!("{:?}", Login::parse(line)) };
        assert_eq!((claims.texts["sub"].as_str(), claims.lifetime), ("alice", 60));
        assert_eq!((claims.numbers["n"].as_str(), claims.extensions["x"].as_str()), ("7", "y"));
    }

    #[test]
    fn what_is_no_such_line_is_refused_without_showing_it() {
        for (line, said) in [
            ("", "LoginModule required"),
            ("PlainLoginModule username=hush password=hush;", "LoginModule required"),
            ("PlainLoginModule required username=hush password=hush", "LoginModule required"),
            ("PlainLoginModule required username=hush password=\"hush;", "LoginModule required"),
            ("PlainLoginModule required username hush;", "LoginModule required"),
            ("PlainLoginModule required username=hush;", "both options"),
            ("ScramLoginModule required username=hush password=hush tokenauth=true;", "tokenauth is not"),
            ("com.sun.security.auth.module.Krb5LoginModule required;", "are not supported"),
            ("OAuthBearerLoginModule required;", "unsecuredLoginStringClaim_sub"),
            ("OAuthBearerLoginModule required clientId=x clientSecret=hush;", "token callback"),
            ("PlainLoginModule required username=a password=hush; More required;", "one line"),
        ] {
            let error = Login::parse(line).unwrap_err();
            assert!(error.contains(said) && !error.contains("hush"), "{line}: {error}");
        }
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in "[a-zA-Z =;\"'\\\\é.]{0,60}") {
            let _ = Login::parse(&line);
        }

        #[test]
        fn any_password_can_be_quoted(password in any::<String>()) {
            let quoted = password.replace('\\', "\\\\").replace('"', "\\\"");
            let line = format!("ScramLoginModule required username=\"u\" password=\"{quoted}\";");
            let Ok(Login::Scram(account)) = Login::parse(&line) else { panic!("it is a line") };
            prop_assert_eq!(account.password.reveal(), password);
        }
    }
}
