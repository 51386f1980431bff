//! Runs a workflow's jobs on this machine, in the order of their `needs`, each step in a shell of its own with the
//! files and variables that GitHub's runner gives it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::document::{Job, Names, Step, Workflow};
use crate::github::Scope;
use crate::stand_ins::{self, Stage};

/// The token of the run. No step but those that ask for it may see it.
pub const TOKEN: &str = "ghs_1234_abcdefghijklmnopqrstuvwxyz.ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789_abcdef";
pub const REPOSITORY: &str = "tsukumogami/tsuku-dltest";

/// What starts a workflow.
#[derive(Clone)]
pub struct Event {
    pub name: &'static str,
    /// The name of the branch or tag.
    pub ref_name: String,
    pub inputs: Value,
}

impl Event {
    pub fn tag(name: &str) -> Self {
        Self { name: "push", ref_name: name.to_owned(), inputs: json!({}) }
    }

    pub fn dispatch(inputs: Value) -> Self {
        Self { name: "workflow_dispatch", ref_name: "main".to_owned(), inputs }
    }
}

/// Something that goes wrong after a step of one leg.
pub struct Mishap {
    /// The leg, as GitHub shows it: `build-rust (linux-arm64)`.
    pub leg: &'static str,
    /// The name of the step.
    pub after: &'static str,
    /// What happens, given the job's workspace.
    pub what: fn(&Stage, &Path),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    Skipped,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }
}

/// A job, or one row of its matrix, that is over.
pub struct Leg {
    pub name: String,
    pub outcome: Outcome,
    /// Every step's name and how it ended, in order.
    pub steps: Vec<(String, Outcome)>,
    /// What the steps said.
    pub log: String,
    /// What they wrote for people to read.
    pub summary: String,
    /// The files at the top of its workspace and its home.
    pub left_behind: Vec<String>,
    outputs: Map<String, Value>,
}

/// A run of a workflow, and of the attempts after it.
pub struct Run<'a> {
    pub workflow: &'a Workflow,
    pub event: Event,
    /// Where the checkout comes from, and the stand-ins.
    pub stage: &'a Stage,
    pub mishap: Option<Mishap>,
    /// The legs of each job in the newest attempt.
    pub jobs: BTreeMap<String, Vec<Leg>>,
}

impl<'a> Run<'a> {
    pub fn new(workflow: &'a Workflow, event: Event, stage: &'a Stage) -> Self {
        Self { workflow, event, stage, mishap: None, jobs: BTreeMap::new() }
    }

    /// Runs all jobs: a first attempt, or "Re-run all jobs".
    pub fn all(&mut self) {
        self.jobs.clear();
        self.failed();
    }

    /// Runs the jobs that have not succeeded, and those that need them: "Re-run failed jobs". The outputs of a leg
    /// that had succeeded stay.
    pub fn failed(&mut self) {
        let mut again = Vec::new();
        for id in self.order() {
            let job = &self.workflow.jobs[&id];
            let needed_again = job.needs.iter().any(|need| again.contains(need));
            let before = self.jobs.remove(&id).unwrap_or_default();
            if needed_again || before.is_empty() || before.iter().any(|leg| leg.outcome != Outcome::Success) {
                again.push(id.clone());
            }
            let mut before = before.into_iter();
            let this: &Run = self;
            let legs = std::thread::scope(|scope| {
                let start = |row: Names| match before.next() {
                    Some(leg) if leg.outcome == Outcome::Success && !needed_again => Ok(leg),
                    _ => Err(scope.spawn({
                        let id = &id;
                        move || this.leg(id, job, &row)
                    })),
                };
                let started: Vec<_> = job.matrix().into_iter().map(start).collect();
                let end = |leg: Result<_, std::thread::ScopedJoinHandle<'_, Leg>>| {
                    leg.unwrap_or_else(|running| {
                        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
                    })
                };
                started.into_iter().map(end).collect()
            });
            self.jobs.insert(id, legs);
        }
    }

    /// How a job ended: as GitHub sums up its legs.
    pub fn outcome(&self, job: &str) -> Outcome {
        let legs = self.jobs.get(job).map(Vec::as_slice).unwrap_or_default();
        let any = |outcome| legs.iter().any(|leg| leg.outcome == outcome);
        if any(Outcome::Failure) {
            Outcome::Failure
        } else if any(Outcome::Skipped) {
            Outcome::Skipped
        } else {
            Outcome::Success
        }
    }

    /// Everything the jobs wrote for people to read.
    pub fn summary(&self) -> String {
        self.jobs.values().flatten().map(|leg| leg.summary.as_str()).collect()
    }

    /// Everything the jobs said.
    pub fn log(&self) -> String {
        self.jobs.values().flatten().map(|leg| format!("=== {}: {:?}\n{}", leg.name, leg.outcome, leg.log)).collect()
    }

    /// The leg of that name.
    pub fn the(&self, name: &str) -> &Leg {
        self.jobs.values().flatten().find(|leg| leg.name == name).unwrap_or_else(|| panic!("no leg {name}"))
    }

    fn order(&self) -> Vec<String> {
        let mut order: Vec<String> = Vec::new();
        while order.len() < self.workflow.jobs.len() {
            let next = self
                .workflow
                .jobs
                .iter()
                .find(|(id, job)| !order.contains(id) && job.needs.iter().all(|need| order.contains(need)));
            order.push(next.expect("the needs of the jobs form no circle").0.clone());
        }
        order
    }

    fn needs(&self, job: &Job) -> Value {
        let need = |id: &String| {
            let mut outputs = Map::new();
            for leg in self.jobs.get(id).into_iter().flatten() {
                // An output that a leg leaves empty is not set.
                outputs.extend(leg.outputs.clone().into_iter().filter(|(_, value)| value != ""));
            }
            (id.clone(), json!({ "result": self.outcome(id).name(), "outputs": outputs }))
        };
        Value::Object(job.needs.iter().map(need).collect())
    }

    fn leg(&self, id: &str, job: &Job, row: &Names) -> Leg {
        let runner = Scope { contexts: json!({ "matrix": row }), success: true }.fill(&job.runs_on);
        let runner = runner.unwrap_or_else(|error| panic!("{id}: {error}"));
        let place = tempfile::tempdir().expect("a place for the job");
        let workspace = place.path().join("work");
        fs::create_dir(&workspace).expect("a workspace");
        let system = if runner.starts_with("macos") { "macOS" } else { "Linux" };
        let contexts = json!({
            "github": {
                "event_name": self.event.name,
                "ref": self.event.ref_name,
                "ref_name": self.event.ref_name,
                "token": TOKEN,
                "workspace": workspace,
            },
            "inputs": self.event.inputs,
            "matrix": row,
            "needs": self.needs(job),
            "runner": { "os": system },
            "steps": {},
            "env": {},
        });
        let success = job.needs.iter().all(|need| self.outcome(need) == Outcome::Success);
        let mut leg = Running {
            run: self,
            scope: Scope { contexts, success },
            place: place.path(),
            workspace,
            path: Vec::new(),
            environment: Names::new(),
            leg: Leg {
                name: String::new(),
                outcome: Outcome::Skipped,
                steps: Vec::new(),
                log: String::new(),
                summary: String::new(),
                left_behind: Vec::new(),
                outputs: Map::new(),
            },
        };
        leg.execute(job).unwrap_or_else(|error| panic!("{id}: {error}"));
        for directory in [leg.place, &leg.workspace] {
            let entries = directory.read_dir().expect("a readable directory").flatten();
            leg.leg.left_behind.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
        }
        leg.leg
    }
}

/// A leg under way.
struct Running<'a> {
    run: &'a Run<'a>,
    scope: Scope,
    place: &'a Path,
    workspace: PathBuf,
    /// What steps added to PATH, newest first.
    path: Vec<PathBuf>,
    environment: Names,
    leg: Leg,
}

impl Running<'_> {
    fn execute(&mut self, job: &Job) -> Result<(), String> {
        self.leg.name = self.scope.fill(&job.name)?;
        if !self.scope.holds(job.condition.as_deref())? {
            return Ok(());
        }
        self.scope.success = true;
        for (name, value) in self.run.workflow.env.iter().chain(&job.env) {
            let value = self.scope.fill(value)?;
            self.set_environment(name, value);
        }
        for step in &job.steps {
            let outcome =
                if self.scope.holds(step.condition.as_deref())? { self.step(step)? } else { Outcome::Skipped };
            self.scope.success &= outcome != Outcome::Failure;
            if let Some(id) = &step.id {
                let step = &mut self.scope.contexts["steps"][id];
                step["outcome"] = outcome.name().into();
                step["conclusion"] = outcome.name().into();
            }
            self.leg.steps.push((step.name.clone(), outcome));
        }
        for (name, value) in &job.outputs {
            let value = self.scope.fill(value)?;
            self.leg.outputs.insert(name.clone(), value.into());
        }
        self.leg.outcome = if self.scope.success { Outcome::Success } else { Outcome::Failure };
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<Outcome, String> {
        self.leg.log += &format!("--- {}\n", step.name);
        let mut environment = self.environment.clone();
        for (name, value) in &step.env {
            environment.insert(name.clone(), self.scope.fill(value)?);
        }
        let with: Names = step
            .with
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.scope.fill(value.as_str().unwrap_or_default())?)))
            .collect::<Result<_, String>>()?;
        let platform = self.scope.contexts["matrix"]["platform"].as_str().unwrap_or_default();
        let command = match (&step.uses, &step.run) {
            (Some(uses), None) => stand_ins::action(uses, &with)?,
            (None, Some(run)) => stand_ins::command(run, platform).unwrap_or_else(|| run.clone()),
            _ => return Err(format!("{}: a step either uses or runs something", step.name)),
        };
        let outcome = self.shell(step.id.as_deref(), &command, &environment);
        if let Some(mishap) = &self.run.mishap
            && (mishap.leg, mishap.after) == (self.leg.name.as_str(), step.name.as_str())
        {
            (mishap.what)(self.run.stage, &self.workspace);
        }
        Ok(outcome)
    }

    fn set_environment(&mut self, name: &str, value: String) {
        self.scope.contexts["env"][name] = value.clone().into();
        self.environment.insert(name.to_owned(), value);
    }

    /// Runs `command` as GitHub's runner does, and takes up what it wrote to the runner's files.
    fn shell(&mut self, id: Option<&str>, command: &str, environment: &Names) -> Outcome {
        let script = self.place.join("step.sh");
        fs::write(&script, command).expect("a writable place");
        let files = ["OUTPUT", "ENV", "PATH", "STEP_SUMMARY"].map(|name| (name, self.place.join(name)));
        let stage = self.run.stage;
        let path = self.path.iter().cloned().chain(stage.path());
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(&script);
        shell.current_dir(&self.workspace).env_clear().envs(stage.environment());
        shell.env("PATH", std::env::join_paths(path).expect("a PATH"));
        shell.env("HOME", self.place).env("RUNNER_TEMP", self.place).env("TMPDIR", self.place);
        shell.env("RUNNER_OS", self.scope.contexts["runner"]["os"].as_str().unwrap_or_default());
        shell.envs([("CI", "true"), ("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", REPOSITORY)]);
        shell.env("GITHUB_EVENT_NAME", self.run.event.name).env("GITHUB_REF_NAME", &self.run.event.ref_name);
        shell.env("GITHUB_RUN_ID", "1").env("GITHUB_WORKSPACE", &self.workspace);
        for (name, file) in &files {
            fs::write(file, "").expect("a writable place");
            shell.env(format!("GITHUB_{name}"), file);
        }
        let output = shell.envs(environment).output().expect("bash starts");
        for text in [&output.stdout, &output.stderr] {
            self.leg.log += &String::from_utf8_lossy(text);
        }
        let [set, exported, path, summary] =
            files.map(|(_, file)| fs::read_to_string(file).expect("the file was there before the step"));
        if let Some(id) = id {
            let outputs: Map<String, Value> =
                entries(&set).into_iter().map(|(name, value)| (name, value.into())).collect();
            self.scope.contexts["steps"][id] = json!({ "outputs": outputs });
        }
        for (name, value) in entries(&exported) {
            self.set_environment(&name, value);
        }
        self.path.splice(0..0, path.lines().map(PathBuf::from));
        self.leg.summary += &summary;
        if output.status.success() { Outcome::Success } else { Outcome::Failure }
    }
}

/// The entries of `GITHUB_OUTPUT` or `GITHUB_ENV`: `name=value`, or `name<<end`, lines and `end`.
fn entries(text: &str) -> Vec<(String, String)> {
    let mut lines = text.lines();
    let mut entries = Vec::new();
    while let Some(line) = lines.next() {
        let equals = line.find('=').unwrap_or(usize::MAX);
        match line.split_once("<<").filter(|(name, _)| name.len() < equals) {
            Some((name, end)) => {
                let value: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
                entries.push((name.to_owned(), value.join("\n")));
            }
            None => entries.extend(line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))),
        }
    }
    entries
}
