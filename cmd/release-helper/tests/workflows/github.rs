//! GitHub's own packages from npm: its language service for the linter, its expressions for the runner.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{LazyLock, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::installed;
use crate::skipped::skipped;

/// All three are of one repository, actions/languageservices, and of one version.
const PACKAGES: [&str; 3] =
    ["@actions/expressions@0.3.61", "@actions/workflow-parser@0.3.61", "@actions/languageservice@0.3.61"];

/// The scripts beside this file, in a directory with the packages: Node.js looks for them from there.
static PLACE: LazyLock<Result<PathBuf, String>> = LazyLock::new(|| {
    let place = installed::npm("github-workflows-0.3.61", &PACKAGES)?;
    let version = Command::new("node").arg("--version").output().map_err(|error| format!("node: {error}"))?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < 20) {
        return Err(format!("GitHub's packages need Node.js 20, this is {version}"));
    }
    Ok(place)
});

/// Whether GitHub's packages can be had here, or why not.
pub fn available() -> Result<(), String> {
    PLACE.as_ref().map(drop).map_err(Clone::clone)
}

/// A call of one of the scripts in `github/`.
fn script(name: &str) -> Command {
    let place = PLACE.as_ref().expect("asked for by tests that have seen it to be available");
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workflows/github");
    for file in ["modules.mjs", name] {
        // Written beside it and renamed: tests run in parallel.
        let copy = tempfile::NamedTempFile::new_in(place).expect("a writable place");
        std::fs::copy(scripts.join(file), copy.path()).expect("the script is there");
        copy.persist(place.join(file)).expect("a writable place");
    }
    let mut node = Command::new("node");
    node.current_dir(place).args(["--no-warnings", "--import", "./modules.mjs", name]);
    node
}

/// What GitHub's language service finds in the workflows of the repository at `root`: a line for each finding.
pub fn lint(root: &Path) -> Output {
    let actions = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/workflows/github/actions.json");
    script("lint.mjs").arg(actions).arg(root).output().expect("node starts")
}

/// What the names in an expression stand for.
#[derive(Clone)]
pub struct Scope {
    /// `github`, `needs`, `steps` and so on.
    pub contexts: Value,
    /// What `success()` answers: all needed jobs or all earlier steps succeeded.
    pub success: bool,
}

impl Scope {
    /// Whether a job or step with this `if:` runs.
    pub fn holds(&self, condition: Option<&str>) -> Result<bool, String> {
        let Some(condition) = condition else { return Ok(self.success) };
        let answer = self.ask("condition", condition)?;
        answer.as_bool().ok_or(format!("{condition}: {answer}"))
    }

    /// `text` with every `${{ }}` in it replaced by its value.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        if !text.contains("${{") {
            return Ok(text.to_owned());
        }
        let answer = self.ask("text", text)?;
        answer.as_str().map(str::to_owned).ok_or(format!("{text}: {answer}"))
    }

    fn ask(&self, what: &str, text: &str) -> Result<Value, String> {
        let question = json!({ "contexts": self.contexts, "success": self.success, what: text });
        let mut evaluator = EVALUATOR.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = evaluator.ask(&question);
        answer.get("value").cloned().ok_or_else(|| format!("{text}: {}", answer["error"]))
    }
}

static EVALUATOR: LazyLock<Mutex<Evaluator>> = LazyLock::new(|| Mutex::new(Evaluator::start()));

/// `evaluate.mjs`, which answers questions until the tests are over.
struct Evaluator {
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Ends with its stdin.
    _node: Child,
}

impl Evaluator {
    fn start() -> Self {
        let node = script("evaluate.mjs").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut node = node.expect("node starts");
        let questions = node.stdin.take().expect("a pipe");
        let answers = BufReader::new(node.stdout.take().expect("a pipe"));
        Self { questions, answers, _node: node }
    }

    fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.questions, "{question}").expect("the evaluator reads");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("the evaluator answers");
        serde_json::from_str(&answer).expect("an answer")
    }
}

#[test]
fn expressions_mean_what_they_mean_to_github() {
    if let Err(reason) = available() {
        return skipped(&reason);
    }
    let contexts = json!({ "github": {"event_name": "push", "ref_name": "v1"}, "inputs": {}, "matrix": {"a": 1} });
    let [fine, failed] = [true, false].map(|success| Scope { contexts: contexts.clone(), success });
    let shows = |text: &str| fine.fill(text).unwrap();
    assert_eq!(shows("a ${{ github.ref_name }} b"), "a v1 b");
    assert_eq!(shows("${{ inputs.tag || github.ref_name }}"), "v1");
    assert_eq!(shows("${{ github.event_name == 'PUSH' && github.ref_name != 'v1' }}"), "false");
    assert_eq!(shows("${{ fromJSON('{\"b\": 2}').b }}${{ format('-{0}-', matrix.a) }}"), "2-1-");
    assert!(!failed.holds(None).unwrap());
    assert!(!failed.holds(Some("${{ github.event_name == 'push' }}")).unwrap());
    assert!(failed.holds(Some("${{ !cancelled() }}")).unwrap());
    assert!(failed.holds(Some("failure() && github.event_name == 'push'")).unwrap());
    assert!(!fine.holds(Some("${{ failure() }}")).unwrap());
    for text in ["${{ secrets.key }}", "${{ nothing('x') }}", "${{ github.ref_name", "${{ 'a }}", "${{ a b }}"] {
        assert!(fine.fill(text).is_err(), "{text}");
    }
}
