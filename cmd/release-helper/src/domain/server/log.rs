//! What was asked and answered: for the page, for a file, and for observers.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::faults::Kind;
use super::http::Request;
use super::routes::Operation;

/// So many requests are kept for the page; the file has them all.
const KEPT: usize = 10_000;

/// Sees every request and its answer.
pub type Observer = Arc<dyn Fn(&Exchange) + Send + Sync>;

/// A request and its answer, as an observer sees them.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Which operation it was.
    pub operation: Operation,
    /// The head of the request.
    pub request: Request,
    /// The body of the request if it was JSON.
    pub body: Option<Value>,
    /// The status of the answer; 0 if there was none.
    pub status: u16,
    /// The body of the answer if it was JSON.
    pub answer: Option<Value>,
    /// What went wrong on purpose.
    pub fault: Option<Kind>,
}

/// A line of the log.
#[derive(Clone, Serialize)]
pub(super) struct Entry {
    pub(super) time: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) operation: Operation,
    pub(super) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
}

/// The log of requests, in memory for the page and in `requests.jsonl`. It never holds headers, so no token.
pub(super) struct Log {
    entries: Mutex<Vec<Entry>>,
    file: Mutex<File>,
}

impl Log {
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let path = directory.join("requests.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Self {
            entries: Mutex::default(),
            file: Mutex::new(file.with_context(|| format!("cannot write {}", path.display()))?),
        })
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests there were, as far as they are kept.
    pub(super) fn count(&self) -> u64 {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).len() as u64
    }

    pub(super) fn add(&self, entry: Entry) {
        if let Ok(mut line) = serde_json::to_vec(&entry) {
            line.push(b'\n');
            // The log is for people; a full disk must not change an answer.
            let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == KEPT {
            entries.remove(0);
        }
        entries.push(entry);
    }
}
