//! A job on this machine: each step in a shell of its own, with the files and variables that GitHub's runner gives it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::document::{Job, Names, Step};
use crate::github::Scope;
use crate::runner::{Outcome, REPOSITORY, Run};
use crate::stand_ins;

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
    pub outputs: Map<String, Value>,
}

impl Leg {
    /// One whose turn it was not.
    pub fn skipped(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            outcome: Outcome::Skipped,
            steps: Vec::new(),
            log: String::new(),
            summary: String::new(),
            left_behind: Vec::new(),
            outputs: Map::new(),
        }
    }
}

/// Runs the leg of the job called `id` for one `row` of its matrix.
pub fn run_leg(run: &Run, id: &str, job: &Job, row: &Names) -> Leg {
    let mut scope = run.scope(job, row);
    let runner = scope.fill(&job.runs_on).unwrap_or_else(|error| panic!("{id}: {error}"));
    let place = tempfile::tempdir().expect("a place for the job");
    let workspace = place.path().join("work");
    fs::create_dir(&workspace).expect("a workspace");
    let os = if runner.starts_with("macos") { "macOS" } else { "Linux" };
    let arch = if runner.ends_with("-arm") || runner == "macos-latest" { "ARM64" } else { "X64" };
    scope.contexts["github"]["workspace"] = json!(workspace);
    scope.contexts["runner"] = json!({ "os": os, "arch": arch, "temp": place.path() });
    scope.contexts["job"] = json!({
        "workflow_repository": REPOSITORY,
        "workflow_sha": run.stage.commit_of(&run.event.ref_name),
    });
    scope.contexts["steps"] = json!({});
    let leg = Leg::skipped("");
    let mut running =
        Running { run, scope, place: place.path(), workspace, path: Vec::new(), environment: Names::new(), leg };
    running.execute(job).unwrap_or_else(|error| panic!("{id}: {error}"));
    for directory in [running.place, &running.workspace] {
        let entries = directory.read_dir().expect("a readable directory").flatten();
        running.leg.left_behind.extend(entries.map(|entry| entry.file_name().to_string_lossy().into_owned()));
    }
    running.leg
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
        self.leg.name = format!("{}{}", self.run.prefix, self.scope.fill(&job.name)?);
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
            let conclusion = if step.experiment && outcome == Outcome::Failure { Outcome::Success } else { outcome };
            self.scope.success &= conclusion != Outcome::Failure;
            if let Some(id) = &step.id {
                let step = &mut self.scope.contexts["steps"][id];
                step["outcome"] = outcome.name().into();
                step["conclusion"] = conclusion.name().into();
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
        let directory = self.workspace.join(step.directory.as_deref().unwrap_or("."));
        let outcome = self.shell(step.id.as_deref(), &command, &environment, &directory);
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
    fn shell(&mut self, id: Option<&str>, command: &str, environment: &Names, directory: &Path) -> Outcome {
        let script = self.place.join("step.sh");
        fs::write(&script, command).expect("a writable place");
        let files = ["OUTPUT", "ENV", "PATH", "STEP_SUMMARY"].map(|name| (name, self.place.join(name)));
        let stage = self.run.stage;
        let path = self.path.iter().cloned().chain(stage.path());
        let mut shell = Command::new("bash");
        shell.args(["--noprofile", "--norc", "-e", "-o", "pipefail"]).arg(&script);
        shell.current_dir(directory).env_clear().envs(stage.environment());
        shell.env("PATH", std::env::join_paths(path).expect("a PATH"));
        shell.env("HOME", self.place).env("RUNNER_TEMP", self.place).env("TMPDIR", self.place);
        for name in ["os", "arch"] {
            let value = self.scope.contexts["runner"][name].as_str().unwrap_or_default();
            shell.env(format!("RUNNER_{}", name.to_uppercase()), value);
        }
        shell.envs([("CI", "true"), ("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", REPOSITORY)]);
        shell.env("GITHUB_EVENT_NAME", self.run.event.name).env("GITHUB_REF_NAME", &self.run.event.ref_name);
        shell.env("GITHUB_SHA", stage.commit_of(&self.run.event.ref_name));
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
