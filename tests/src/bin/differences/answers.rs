//! Questions and answers: those that a scenario notes, and those of a file.
//!
//! ```text
//! # a comment
//! a question
//!   what Apache Kafka 4.3 answers
//!   ? why Trilog's answer is another one
//!   what Trilog answers
//! ```

use std::cell::RefCell;
use std::fmt::Write;
use std::path::Path;

/// What a scenario has asked, and what it was told, in order.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    noted: RefCell<Vec<(String, String)>>,
}

/// A question of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    question: String,
    kafka: String,
    /// The reason for another answer, and that answer.
    trilog: Option<(String, String)>,
}

/// A file: what it begins with, and its questions.
#[derive(Debug, Default)]
struct File {
    comment: String,
    expected: Vec<Expected>,
}

impl File {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let mut file = Self::default();
        for line in text.lines() {
            if line.starts_with('#') {
                writeln!(file.comment, "{line}").expect("a text takes lines");
            } else if let Some(reason) = line.strip_prefix("  ? ") {
                file.last().trilog = Some((reason.to_owned(), String::new()));
            } else if let Some(answer) = line.strip_prefix("  ") {
                let last = file.last();
                let place = last.trilog.as_mut().map_or(&mut last.kafka, |(_, answer)| answer);
                assert!(place.is_empty(), "{}: two answers to {:?}", path.display(), last.question);
                answer.clone_into(place);
            } else if !line.is_empty() {
                let question = line.to_owned();
                file.expected.push(Expected { question, kafka: String::new(), trilog: None });
            }
        }
        file
    }

    fn last(&mut self) -> &mut Expected {
        self.expected.last_mut().expect("an answer stands behind its question")
    }

    fn write(&self, path: &Path) {
        let mut text = self.comment.clone();
        for Expected { question, kafka, trilog } in &self.expected {
            writeln!(text, "{question}\n  {kafka}").expect("a text takes lines");
            if let Some((reason, answer)) = trilog {
                writeln!(text, "  ? {reason}\n  {answer}").expect("a text takes lines");
            }
        }
        std::fs::write(path, text).expect("the answers can be written");
    }
}

impl Answers {
    /// Notes a question and what was answered.
    ///
    /// # Panics
    /// If the question was asked before: the files tell questions by their words.
    pub(crate) fn note(&self, question: impl ToString, answer: impl ToString) {
        let (question, answer) = (question.to_string(), answer.to_string());
        let answer = if answer.is_empty() { "nothing".to_owned() } else { answer };
        let mut noted = self.noted.borrow_mut();
        assert!(noted.iter().all(|(asked, _)| *asked != question), "{question:?} is asked twice");
        noted.push((question, answer));
    }

    /// Compares what was noted with a file, or writes it there. A scenario that did not come to its end is only compared.
    ///
    /// # Errors
    /// What differs, in words.
    pub(crate) fn judge(&self, path: &Path, is_whole: bool) -> Result<(), String> {
        let is_kafka = std::env::var("COMPAT_CLUSTER").as_deref() == Ok("kafka");
        let noted = self.noted.borrow();
        let file = File::read(path);
        if is_kafka && is_whole && std::env::var_os("REWRITE_ANSWERS").is_some() {
            rewritten(file, &noted).write(path);
            return Ok(());
        }
        let expected: Vec<_> =
            file.expected.into_iter().map(|one| (one.question.clone(), one.of(is_kafka))).collect();
        if *noted == expected { Ok(()) } else { Err(difference(&expected, &noted)) }
    }
}

impl Expected {
    fn of(self, is_kafka: bool) -> String {
        match self.trilog {
            Some((_, answer)) if !is_kafka => answer,
            _ => self.kafka,
        }
    }
}

/// Kafka's answers with what the file had of Trilog's.
fn rewritten(file: File, noted: &[(String, String)]) -> File {
    let trilog = |question: &str| file.expected.iter().find(|old| old.question == question)?.trilog.clone();
    let expected = noted.iter().map(|(question, answer)| Expected {
        question: question.clone(),
        kafka: answer.clone(),
        trilog: trilog(question),
    });
    File { expected: expected.collect(), comment: file.comment.clone() }
}

/// Each question that was answered otherwise, and those that were not asked.
fn difference(expected: &[(String, String)], noted: &[(String, String)]) -> String {
    let mut text = String::new();
    for (question, answer) in noted {
        let wanted = expected.iter().find(|(asked, _)| asked == question);
        match wanted {
            Some((_, wanted)) if wanted == answer => continue,
            Some((_, wanted)) => writeln!(text, "{question}\n  expected: {wanted}\n  answered: {answer}"),
            None => {
                writeln!(text, "{question}\n  expected: the file has no such question\n  answered: {answer}")
            }
        }
        .expect("a text takes lines");
    }
    for (question, wanted) in
        expected.iter().filter(|(asked, _)| noted.iter().all(|(question, _)| question != asked))
    {
        writeln!(text, "{question}\n  expected: {wanted}\n  it was not asked").expect("a text takes lines");
    }
    if text.is_empty() { "the questions come in another order".to_owned() } else { text }
}
