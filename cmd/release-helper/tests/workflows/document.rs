//! A workflow file, read into types that know just the keys this project uses: any other is an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::runner::REPOSITORY;

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

pub type Names = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    pub name: String,
    pub on: BTreeMap<String, Value>,
    pub permissions: Names,
    #[serde(default)]
    pub concurrency: Value,
    #[serde(default)]
    pub env: Names,
    pub jobs: BTreeMap<String, Job>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Job {
    pub name: String,
    #[serde(default, deserialize_with = "one_or_many")]
    pub needs: Vec<String>,
    #[serde(rename = "if")]
    pub condition: Option<String>,
    #[serde(default)]
    pub strategy: Strategy,
    /// Where it runs; nowhere if it calls another workflow.
    #[serde(default)]
    pub runs_on: String,
    /// None of its own if it calls another workflow.
    #[serde(default)]
    pub timeout_minutes: u32,
    pub environment: Option<String>,
    pub permissions: Names,
    #[serde(default)]
    pub outputs: Names,
    #[serde(default)]
    pub env: Names,
    #[serde(default)]
    pub steps: Vec<Step>,
    /// The workflow that does the job.
    pub uses: Option<String>,
    #[serde(default)]
    pub with: BTreeMap<String, Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Strategy {
    /// Whether the failure of one leg stops the others; GitHub's default is yes.
    pub fail_fast: Option<bool>,
    #[serde(default)]
    matrix: Matrix,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    #[serde(default)]
    include: Vec<Names>,
    #[serde(default)]
    runner: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub name: String,
    pub id: Option<String>,
    #[serde(rename = "if")]
    pub condition: Option<String>,
    pub uses: Option<String>,
    #[serde(default)]
    pub with: BTreeMap<String, Value>,
    #[serde(default)]
    pub env: Names,
    pub run: Option<String>,
    #[serde(rename = "working-directory")]
    pub directory: Option<String>,
    /// An experiment: its failure fails nothing.
    #[serde(default, rename = "continue-on-error")]
    pub experiment: bool,
    #[serde(rename = "timeout-minutes")]
    pub timeout: Option<u32>,
}

impl Workflow {
    /// What a caller gets: the outputs of `on.workflow_call`, name and expression.
    pub fn outputs(&self) -> impl Iterator<Item = (&String, &str)> {
        let declared = self.on.get("workflow_call").and_then(|call| call["outputs"].as_object());
        declared.into_iter().flatten().map(|(name, output)| (name, output["value"].as_str().unwrap_or_default()))
    }

    /// What a caller may leave out: the defaults of the inputs, by GitHub's rules.
    pub fn defaults(&self) -> serde_json::Map<String, Value> {
        let declared = self.on.get("workflow_call").and_then(|call| call["inputs"].as_object());
        let default = |input: &Value| match (&input["default"], input["type"].as_str()) {
            (Value::Null, Some("boolean")) => false.into(),
            (Value::Null, _) => "".into(),
            (value, _) => value.clone(),
        };
        declared.into_iter().flatten().map(|(name, input)| (name.clone(), default(input))).collect()
    }
}

impl Job {
    /// The file name of the workflow that does the job, if it is one of this repository, here or at a commit.
    pub fn called(&self) -> Option<&str> {
        let (repository, file) = self.uses.as_deref()?.split_once("/.github/workflows/")?;
        [".", REPOSITORY].contains(&repository).then_some(file.split('@').next()?)
    }

    /// The rows of the matrix; a job without one has a single, empty row.
    pub fn matrix(&self) -> Vec<Names> {
        let matrix = &self.strategy.matrix;
        let runners = matrix.runner.iter().map(|runner| Names::from([("runner".to_owned(), runner.clone())]));
        let rows: Vec<Names> = runners.chain(matrix.include.iter().cloned()).collect();
        if rows.is_empty() { vec![Names::new()] } else { rows }
    }
}

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// The workflow files: name and text.
pub fn files() -> Vec<(String, String)> {
    let directory = root().join(".github/workflows");
    let mut files: Vec<_> = directory
        .read_dir()
        .expect("there are workflows")
        .map(|entry| entry.expect("a readable directory").path())
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a readable file");
            (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text)
        })
        .collect();
    files.sort();
    files
}

/// The workflow in the file called `name`.
pub fn workflow(name: &str) -> Workflow {
    let (_, text) = files().into_iter().find(|(file, _)| file == name).unwrap_or_else(|| panic!("no {name}"));
    parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Reads the text of a workflow.
pub fn parse(text: &str) -> Result<Workflow, String> {
    let mut documents = Yaml::load_from_str(text).map_err(|error| error.to_string())?;
    let document = documents.pop().filter(|_| documents.is_empty()).ok_or("not exactly one document")?;
    serde_json::from_value(value(&document)?).map_err(|error| error.to_string())
}

fn value(yaml: &Yaml) -> Result<Value, String> {
    Ok(match yaml {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => (*value).into(),
        Yaml::Value(Scalar::Integer(value)) => (*value).into(),
        Yaml::Value(Scalar::String(value)) => value.as_ref().into(),
        Yaml::Sequence(items) => items.iter().map(value).collect::<Result<_, _>>()?,
        Yaml::Mapping(entries) => {
            let entry = |(key, item): (&Yaml, &Yaml)| {
                Ok::<_, String>((key.as_str().ok_or(format!("{key:?} is no name"))?.to_owned(), value(item)?))
            };
            Value::Object(entries.iter().map(entry).collect::<Result<_, _>>()?)
        }
        other => return Err(format!("{other:?} has no place in a workflow")),
    })
}

fn one_or_many<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(String),
        Many(Vec<String>),
    }
    Ok(match OneOrMany::deserialize(deserializer)? {
        OneOrMany::One(name) => vec![name],
        OneOrMany::Many(names) => names,
    })
}
