//! Runs a workflow's jobs on this machine, in the order of their `needs`: each in a leg of its own, or, where it calls
//! another workflow, by a run of that.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::document::{Job, Names, Workflow, workflow};
use crate::github::Scope;
use crate::leg::{Leg, run_leg};
use crate::stand_ins::Stage;

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

    pub fn dispatch(branch: &str, inputs: Value) -> Self {
        Self { name: "workflow_dispatch", ref_name: branch.to_owned(), inputs }
    }
}

/// Something that goes wrong before or after a step of one leg.
#[derive(Clone)]
pub struct Mishap {
    /// The leg, as GitHub shows it: `build-rust / build (linux-arm64)`.
    pub leg: &'static str,
    /// The name of the step.
    pub after: &'static str,
    /// What happens, given the job's workspace.
    pub what: fn(&Stage, &std::path::Path),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
    Skipped,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Skipped => "skipped",
        }
    }

    /// How a job ends whose parts end like this, as GitHub sums them up.
    fn of(parts: impl Iterator<Item = Self>) -> Self {
        parts.fold(Self::Success, |sum, part| match (sum, part) {
            (Self::Failure, _) | (_, Self::Failure) => Self::Failure,
            (Self::Skipped, _) | (_, Self::Skipped) => Self::Skipped,
            _ => Self::Success,
        })
    }
}

/// A job that is over.
enum Ended<'a> {
    /// One leg, or one for each row of its matrix.
    Legs(Vec<Leg>),
    /// The workflow that did it.
    Called(Box<Run<'a>>),
}

impl Ended<'_> {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Legs(legs) => Outcome::of(legs.iter().map(|leg| leg.outcome)),
            Self::Called(run) => run.ended(),
        }
    }

    fn outputs(&self) -> Map<String, Value> {
        match self {
            // An output that a leg leaves empty is not set.
            Self::Legs(legs) => {
                let all = legs.iter().flat_map(|leg| leg.outputs.clone());
                all.filter(|(_, value)| value != "").collect()
            }
            Self::Called(run) => run.called_outputs(),
        }
    }

    fn legs(&self) -> Vec<&Leg> {
        match self {
            Self::Legs(legs) => legs.iter().collect(),
            Self::Called(run) => run.legs().collect(),
        }
    }
}

/// A run of a workflow, and of the attempts after it.
pub struct Run<'a> {
    pub workflow: Workflow,
    pub event: Event,
    /// Where the checkout comes from, and the stand-ins.
    pub stage: &'a Stage,
    pub mishap: Option<Mishap>,
    /// What the workflow's `inputs` are.
    pub inputs: Value,
    /// The repository's variables.
    pub variables: Value,
    /// Before the names of its legs, if another workflow called it.
    pub prefix: String,
    jobs: BTreeMap<String, Ended<'a>>,
}

impl<'a> Run<'a> {
    pub fn new(file: &str, event: Event, stage: &'a Stage) -> Self {
        Self::of(workflow(file), event, stage)
    }

    pub fn of(workflow: Workflow, event: Event, stage: &'a Stage) -> Self {
        let (inputs, prefix) = (event.inputs.clone(), String::new());
        Self { workflow, event, stage, mishap: None, inputs, variables: json!({}), prefix, jobs: BTreeMap::new() }
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
            let before = self.jobs.remove(&id);
            if needed_again || before.as_ref().is_none_or(|before| before.outcome() != Outcome::Success) {
                again.push(id.clone());
            }
            let before = before.filter(|_| !needed_again);
            let ended = if job.uses.is_some() { self.call(&id, job, before) } else { self.legs_of(&id, job, before) };
            self.jobs.insert(id, ended);
        }
    }

    fn legs_of(&self, id: &str, job: &Job, before: Option<Ended<'a>>) -> Ended<'a> {
        let mut before = match before {
            Some(Ended::Legs(legs)) => legs.into_iter(),
            _ => Vec::new().into_iter(),
        };
        let legs = std::thread::scope(|scope| {
            let start = |row: Names| match before.next() {
                Some(leg) if leg.outcome == Outcome::Success => Ok(leg),
                _ => Err(scope.spawn(move || run_leg(self, id, job, &row))),
            };
            let started: Vec<_> = job.matrix().into_iter().map(start).collect();
            let end = |leg: Result<_, std::thread::ScopedJoinHandle<'_, Leg>>| {
                leg.unwrap_or_else(|running| running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            };
            started.into_iter().map(end).collect()
        });
        Ended::Legs(legs)
    }

    /// Has the workflow run that the job calls.
    fn call(&self, id: &str, job: &Job, before: Option<Ended<'a>>) -> Ended<'a> {
        let scope = self.scope(job, &Names::new());
        let skipped = Leg::skipped(&format!("{}{}", self.prefix, job.name));
        if !scope.holds(job.condition.as_deref()).unwrap_or_else(|error| panic!("{id}: {error}")) {
            return Ended::Legs(vec![skipped]);
        }
        if let Some(Ended::Called(mut run)) = before {
            run.mishap.clone_from(&self.mishap);
            run.failed();
            return Ended::Called(run);
        }
        let called = workflow(job.called().unwrap_or_else(|| panic!("{id}: {:?} is not here", job.uses)));
        let mut inputs = called.defaults();
        for (name, value) in &job.with {
            let text = value.as_str().map(|text| scope.fill(text).unwrap_or_else(|error| panic!("{id}: {error}")));
            // A boolean input is given as the text of one.
            let value = match (text, inputs.get(name)) {
                (Some(text), Some(Value::Bool(_))) => (text == "true").into(),
                (Some(text), _) => text.into(),
                (None, _) => value.clone(),
            };
            inputs.insert(name.clone(), value);
        }
        let prefix = format!("{}{} / ", self.prefix, job.name);
        let mut run = Run {
            mishap: self.mishap.clone(),
            inputs: inputs.into(),
            prefix,
            ..Run::of(called, self.event.clone(), self.stage)
        };
        run.all();
        Ended::Called(Box::new(run))
    }

    /// What the names in the expressions of a job stand for, before its first step.
    pub fn scope(&self, job: &Job, row: &Names) -> Scope {
        let contexts = json!({
            "github": {
                "event_name": self.event.name,
                "event": { "repository": { "default_branch": "main" } },
                "ref": self.event.ref_name,
                "ref_name": self.event.ref_name,
                "repository": REPOSITORY,
                "sha": self.stage.commit_of(&self.event.ref_name),
                "token": TOKEN,
            },
            "inputs": self.inputs,
            "secrets": { "GITHUB_TOKEN": TOKEN },
            "vars": self.variables,
            "matrix": row,
            "needs": self.needs(job),
            "env": {},
        });
        let success = job.needs.iter().all(|need| self.outcome(need) == Outcome::Success);
        Scope { contexts, success }
    }

    /// How a job ended.
    pub fn outcome(&self, job: &str) -> Outcome {
        self.jobs.get(job).unwrap_or_else(|| panic!("no job {job}")).outcome()
    }

    /// How all of it ended.
    fn ended(&self) -> Outcome {
        Outcome::of(self.jobs.values().map(Ended::outcome).filter(|outcome| *outcome != Outcome::Skipped))
    }

    /// The run of the workflow that a job called.
    pub fn called(&self, job: &str) -> &Run<'a> {
        match &self.jobs[job] {
            Ended::Called(run) => run,
            Ended::Legs(_) => panic!("{job} was not reached, or calls no workflow\n{}", self.log()),
        }
    }

    /// What a caller gets of this run.
    fn called_outputs(&self) -> Map<String, Value> {
        let job = |(id, ended): (&String, &Ended<'a>)| {
            (id.clone(), json!({ "result": ended.outcome().name(), "outputs": ended.outputs() }))
        };
        let jobs: Map<String, Value> = self.jobs.iter().map(job).collect();
        let scope = Scope { contexts: json!({ "jobs": jobs, "inputs": self.inputs }), success: true };
        let fill = |(name, value): (&String, &str)| {
            (name.clone(), scope.fill(value).unwrap_or_else(|error| panic!("{error}")).into())
        };
        self.workflow.outputs().map(fill).collect()
    }

    /// The legs of all jobs in the newest attempt.
    pub fn legs(&self) -> impl Iterator<Item = &Leg> {
        self.jobs.values().flat_map(Ended::legs)
    }

    /// Everything the jobs wrote for people to read.
    pub fn summary(&self) -> String {
        self.legs().map(|leg| leg.summary.as_str()).collect()
    }

    /// Everything the jobs said.
    pub fn log(&self) -> String {
        self.legs().map(|leg| format!("=== {}: {:?}\n{}", leg.name, leg.outcome, leg.log)).collect()
    }

    /// The leg of that name.
    pub fn the(&self, name: &str) -> &Leg {
        self.legs().find(|leg| leg.name == name).unwrap_or_else(|| panic!("no leg {name}"))
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
            let ended = &self.jobs[id];
            (id.clone(), json!({ "result": ended.outcome().name(), "outputs": ended.outputs() }))
        };
        Value::Object(job.needs.iter().map(need).collect())
    }
}
