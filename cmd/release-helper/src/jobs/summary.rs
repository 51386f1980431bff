//! What a run of the release workflow tells people: six rows and a verdict, or what failed and what that means.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::domain::contract::{Contract, Platform};
use crate::domain::releases::Sums;
use crate::plumbing::error::Hint;
use crate::plumbing::foreign::{code, markdown};

/// The jobs, under the names of `.github/workflows/release.yml` and, for those that it has `build-rust` do,
/// `build-rust.yml`.
mod job {
    pub(super) const DRAFT: &str = "create-draft-release";
    pub(super) const CALLED: &str = "build-rust";
    pub(super) const BUILD: &str = "build";
    pub(super) const TEST: &str = "test";
    pub(super) const CROSS_CHECK: &str = "cross-check";
    pub(super) const ATTEST: &str = "attest";
    pub(super) const INTEGRATION: &str = "integration-test";
    pub(super) const FINALIZE: &str = "finalize-release";
    pub(super) const VERIFY: &str = "verify-published";
    pub(super) const REBUILD: &str = "rebuild-published";
    /// In the order in which they run.
    pub(super) const ALL: [&str; 11] =
        ["helper", DRAFT, CALLED, BUILD, TEST, CROSS_CHECK, ATTEST, INTEGRATION, FINALIZE, VERIFY, REBUILD];
}

/// One entry of the `steps` context: a step that has an id, and is over.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// Not the outcome: an experiment (`continue-on-error`) fails without failing anything.
    conclusion: Outcome,
    #[serde(default)]
    outputs: BTreeMap<String, String>,
}

/// One entry of the `needs` context.
#[derive(Debug, Deserialize)]
pub struct Need {
    result: Outcome,
    #[serde(default)]
    outputs: BTreeMap<String, String>,
}

/// How a step or a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It did its work.
    Success,
    /// It did not.
    Failure,
    /// Somebody stopped it.
    Cancelled,
    /// It was not its turn: something before it failed, or its `if:` said no.
    Skipped,
}

/// What one leg of a matrix reports of its platform: the value of the output that is named after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Leg {
    /// The size of the artifact in bytes, if there is one.
    pub size: Option<u64>,
    /// Its SHA-256.
    pub sha256: Option<String>,
    /// The id of the step that failed.
    pub failed: Option<String>,
    /// Where it was run, and how that went.
    #[serde(default)]
    pub trials: Vec<String>,
    /// The digests of all that was handed on, in lines of `sha256sum`.
    #[serde(default)]
    pub records: String,
}

impl Leg {
    /// Reports from the `steps` context, the artifact's size and digest, and the digests of what is handed on.
    pub fn new(steps: &BTreeMap<String, Step>, artifact: Option<(u64, String)>, files: &Sums) -> Self {
        let failed = steps.iter().find(|(_, step)| step.conclusion == Outcome::Failure).map(|(id, _)| id.clone());
        let told = |name: &str| steps.values().find_map(|step| step.outputs.get(name));
        let trials = told("trials").and_then(|told| serde_json::from_str(told).ok()).unwrap_or_default();
        let records = files.to_string();
        let (size, sha256) = artifact.unzip();
        Self { size, sha256, failed, trials, records }
    }

    /// One line for the leg's own summary.
    pub fn line(&self, platform: &str) -> String {
        let artifact = match (&self.size, &self.sha256) {
            (Some(size), Some(sha256)) => format!("{size} bytes, sha256 {}", code(sha256)),
            _ => "no artifact".to_owned(),
        };
        let outcome =
            self.failed.as_ref().map_or("fine".to_owned(), |step| format!("**failed in step {}**", code(step)));
        format!("{platform}: {artifact}; {outcome}\n")
    }
}

/// The summary of the whole run, in Markdown, from the `needs` context of its last job.
pub fn release(contract: &Contract, needs: &BTreeMap<String, Need>) -> String {
    let run = Run::new(needs);
    let mut text = run.verdict(contract);
    text += "\n| platform | size | sha256 | contract | crane = naersk = cargo | tested on |\n";
    text += "| --- | ---: | --- | --- | --- | --- |\n";
    for platform in contract.platforms() {
        let built = run.leg(job::BUILD, platform);
        let size = built.as_ref().and_then(|leg| leg.size).map_or("–".to_owned(), |size| size.to_string());
        let sha256 = built.as_ref().and_then(|leg| leg.sha256.clone()).map_or("–".to_owned(), |sum| code(&sum));
        let cells = [
            platform.name.clone(),
            size,
            sha256,
            run.told(job::BUILD, built.as_ref(), "fulfilled".to_owned()),
            run.compared(),
            run.tested(platform, built.as_ref()),
        ];
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text
}

/// The digests of what an earlier job handed on, from the `needs` context of a job that runs after it: of `platform`, or
/// of all. They came by way of the workflow: whoever can replace an artifact of the run, or an asset of the draft, can't
/// change these.
pub fn records(contract: &Contract, needs: &BTreeMap<String, Need>, platform: Option<&Platform>) -> Result<Sums> {
    let run = Run::new(needs);
    let again = "choose \"Re-run all jobs\": what is uploaded already is kept";
    let wanted = |each: &&Platform| platform.is_none_or(|platform| platform.name == each.name);
    let mut records = Sums::default();
    if let Some(called) = needs.get(job::CALLED) {
        let told = called.outputs.get("records").map(String::as_str).unwrap_or_default();
        records = Sums::parse(told).context("the record of what was uploaded is damaged")?;
    } else {
        for platform in contract.platforms().filter(wanted) {
            let told = run.leg(job::BUILD, platform).map(|leg| leg.records).unwrap_or_default();
            let sums = Sums::parse(&told).with_context(|| format!("the record of {} is damaged", platform.name))?;
            records.merge(&sums)?;
        }
    }
    for platform in contract.platforms().filter(wanted) {
        records
            .get(&platform.asset)
            .with_context(|| format!("the job that built {} left no record of what it handed on", platform.name))
            .hint(again)?;
    }
    Ok(records)
}

struct Run<'a> {
    needs: &'a BTreeMap<String, Need>,
    /// The jobs of the called workflow, as its output `jobs` tells them.
    called: BTreeMap<String, Need>,
}

impl<'a> Run<'a> {
    fn new(needs: &'a BTreeMap<String, Need>) -> Self {
        let told = needs.get(job::CALLED).and_then(|need| need.outputs.get("jobs"));
        Self { needs, called: told.and_then(|told| serde_json::from_str(told).ok()).unwrap_or_default() }
    }

    fn need(&self, job: &str) -> Option<&Need> {
        self.needs.get(job).or_else(|| self.called.get(job))
    }

    fn result(&self, job: &str) -> Outcome {
        self.need(job).map_or(Outcome::Skipped, |need| need.result)
    }

    fn leg(&self, job: &str, platform: &Platform) -> Option<Leg> {
        let told = self.need(job)?.outputs.get(&platform.name)?;
        serde_json::from_str(told).ok()
    }

    /// What a leg says about its platform, or why it says nothing.
    fn told(&self, job: &str, leg: Option<&Leg>, fine: String) -> String {
        match (leg, self.result(job)) {
            (Some(Leg { failed: None, .. }), _) => fine,
            (Some(Leg { failed: Some(step), .. }), _) => format!("**failed in {}**", code(step)),
            (None, Outcome::Skipped) => "not reached".to_owned(),
            (None, _) => format!("**no report: see the log of `{job}`**"),
        }
    }

    fn compared(&self) -> String {
        match self.result(job::CROSS_CHECK) {
            Outcome::Success => "yes",
            Outcome::Skipped => "not reached",
            Outcome::Failure | Outcome::Cancelled => "**not shown: see the log of `cross-check`**",
        }
        .to_owned()
    }

    fn tested(&self, platform: &Platform, built: Option<&Leg>) -> String {
        let integrated = self.leg(job::INTEGRATION, platform);
        let tested = self.leg(job::TEST, platform);
        let digest = |leg: Option<&Leg>| leg.and_then(|leg| leg.sha256.clone());
        let later = [&tested, &integrated].map(|leg| digest(leg.as_ref()));
        if later.into_iter().flatten().any(|later| digest(built).is_some_and(|built| built != later)) {
            return "**what was tested is not what was built**".to_owned();
        }
        let trials =
            tested.as_ref().map(|leg| leg.trials.iter().map(|trial| markdown(trial)).collect::<Vec<_>>().join("<br>"));
        let trials = trials.unwrap_or_default();
        let trials = trials.replace("this machine", &platform.runner);
        self.told(job::TEST, tested.as_ref(), if trials.is_empty() { "no trial reported".to_owned() } else { trials })
    }

    /// The sentences above the table.
    fn verdict(&self, contract: &Contract) -> String {
        let tag = self.need(job::DRAFT).and_then(|need| need.outputs.get("tag"));
        let tag = tag.map_or("this tag".to_owned(), |tag| code(tag));
        let failures: Vec<String> = job::ALL
            .iter()
            .filter(|job| matches!(self.result(job), Outcome::Failure | Outcome::Cancelled))
            // Of the called workflow the job that failed is named, where that is known.
            .filter(|job| **job != job::CALLED || self.called.is_empty())
            .map(|job| self.failure(contract, job))
            .collect();
        let outside = match (self.result(job::VERIFY), self.result(job::REBUILD)) {
            (Outcome::Success, rebuilt) => rebuilt,
            (verified, _) => verified,
        };
        let state = match (self.result(job::FINALIZE), outside) {
            (Outcome::Success, Outcome::Success) => {
                format!("## {tag} is released\n\nComplete, public, and verified.\n")
            }
            (Outcome::Success, Outcome::Skipped) => format!(
                "## Dry run of {tag}\n\nEverything but the publication went well. The draft stays to be looked at.\n"
            ),
            (Outcome::Success, _) => format!(
                "## {tag} is public, but could not be verified from outside\n\n\
                 The release is complete; what failed is a stranger's view of it. See docs/releasing.md, \
                 \"verify-published\" and \"rebuild-published\".\n"
            ),
            (Outcome::Skipped, _) => format!(
                "## {tag} is not released\n\nNothing is public: whatever was uploaded is in a draft. Mend the cause, \
                 then choose \"Re-run failed jobs\"; docs/releasing.md says what to do for each job.\n"
            ),
            (Outcome::Failure | Outcome::Cancelled, _) => format!(
                "## {tag} could not be finalized\n\nThe log of `finalize-release` says what state the release is in. \
                 \"Re-run failed jobs\" continues from there, whatever it is.\n"
            ),
        };
        failures.iter().fold(state, |text, failure| text + "\n- " + failure)
            + if failures.is_empty() { "" } else { "\n" }
    }

    /// Which job failed, and for which platforms.
    fn failure(&self, contract: &Contract, job: &str) -> String {
        let result = match self.result(job) {
            Outcome::Cancelled => "was cancelled",
            _ => "failed",
        };
        let platforms: Vec<String> = contract
            .platforms()
            .filter_map(|platform| Some((platform, self.leg(job, platform)?.failed?)))
            .map(|(platform, step)| format!("{} in step {}", platform.name, code(&step)))
            .collect();
        if platforms.is_empty() {
            format!("`{job}` {result}")
        } else {
            format!("`{job}` {result}: {}", platforms.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn summary(needs: Value) -> String {
        release(&Contract::embedded().unwrap(), &serde_json::from_value(needs).unwrap())
    }

    /// The `needs` of a run in which everything went well.
    fn fine() -> Value {
        let leg =
            |sum: &str| json!({"size": 1234, "sha256": sum, "trials": ["this machine: ran, 9 libraries"]}).to_string();
        let contract = Contract::embedded().unwrap();
        let outputs: BTreeMap<_, _> =
            contract.platforms().map(|platform| (platform.name.clone(), leg(&platform.name))).collect();
        let called = json!({
            job::BUILD: {"result": "success", "outputs": outputs},
            job::TEST: {"result": "success", "outputs": outputs},
            job::CROSS_CHECK: {"result": "success", "outputs": {}},
            job::ATTEST: {"result": "success", "outputs": {}},
        });
        json!({
            job::DRAFT: {"result": "success", "outputs": {"tag": "v1.2.3", "release_id": "7"}},
            job::CALLED: {"result": "success", "outputs": {"jobs": called.to_string()}},
            job::INTEGRATION: {"result": "success", "outputs": outputs},
            job::FINALIZE: {"result": "success", "outputs": {}},
            job::VERIFY: {"result": "success", "outputs": {}},
            job::REBUILD: {"result": "success", "outputs": {}},
        })
    }

    /// Changes the jobs of the called workflow.
    fn change(needs: &mut Value, change: impl FnOnce(&mut Value)) {
        let told = needs[job::CALLED]["outputs"]["jobs"].as_str().unwrap().to_owned();
        let mut called = serde_json::from_str(&told).unwrap();
        change(&mut called);
        needs[job::CALLED]["outputs"]["jobs"] = called.to_string().into();
    }

    #[test]
    fn a_release_is_six_rows_without_a_doubt() {
        let text = summary(fine());
        assert!(text.starts_with("## `v1.2.3` is released\n"), "{text}");
        assert!(!text.contains("**"), "{text}");
        let row =
            "| linux-arm64-musl | 1234 | `linux-arm64-musl` | fulfilled | yes | ubuntu-24.04-arm: ran, 9 libraries |";
        assert!(text.lines().any(|line| line == row), "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("| fulfilled | yes |")).count(), 6);
    }

    #[test]
    fn what_a_job_reports_can_do_nothing_to_the_summary() {
        let mut needs = fine();
        let hostile = "x | y |\n\n## released\n<!-- `";
        needs[job::DRAFT]["outputs"]["tag"] = hostile.into();
        let leg = json!({"size": 1, "sha256": hostile, "failed": hostile, "trials": [hostile]}).to_string();
        needs[job::INTEGRATION]["outputs"]["linux-amd64"] = leg.clone().into();
        change(&mut needs, |called| {
            for job in [job::BUILD, job::TEST] {
                called[job]["outputs"]["linux-amd64"] = leg.clone().into();
            }
        });
        let text = summary(needs.clone());
        assert_eq!(text.lines().count(), summary(fine()).lines().count(), "{text}");
        assert!(!text.contains("\n## released") && !text.contains("x | y"), "{text}");
    }

    #[test]
    fn a_dry_run_is_called_one() {
        let mut needs = fine();
        needs[job::VERIFY]["result"] = "skipped".into();
        needs[job::REBUILD]["result"] = "skipped".into();
        assert!(summary(needs).starts_with("## Dry run of `v1.2.3`\n"));
    }

    #[test]
    fn a_failed_leg_is_named_with_its_step_and_nothing_is_public() {
        let mut needs = fine();
        let failed = json!({"size": 9, "sha256": "ab", "failed": "inspect"}).to_string();
        let skipped = json!({"result": "skipped", "outputs": {}});
        change(&mut needs, |called| {
            called[job::BUILD] = json!({"result": "failure", "outputs": {"linux-arm64": failed}});
            for job in [job::TEST, job::CROSS_CHECK, job::ATTEST] {
                called[job] = skipped.clone();
            }
        });
        needs[job::CALLED]["result"] = "failure".into();
        for job in [job::INTEGRATION, job::FINALIZE, job::VERIFY, job::REBUILD] {
            needs[job] = skipped.clone();
        }
        let text = summary(needs);
        assert!(text.starts_with("## `v1.2.3` is not released\n\nNothing is public"), "{text}");
        assert!(text.contains("- `build` failed: linux-arm64 in step `inspect`\n"), "{text}");
        assert!(
            text.contains("| linux-arm64 | 9 | `ab` | **failed in `inspect`** | not reached | not reached |"),
            "{text}"
        );
        assert!(text.contains("| darwin-amd64 | – | – | **no report: see the log of `build`** |"), "{text}");
    }

    #[test]
    fn a_test_of_what_was_not_built_is_noticed() {
        let other = Value::from(json!({"size": 1234, "sha256": "another"}).to_string());
        let mut needs = fine();
        change(&mut needs, |called| called[job::TEST]["outputs"]["linux-amd64"] = other.clone());
        assert!(summary(needs).contains("**what was tested is not what was built**"));
        let mut needs = fine();
        needs[job::INTEGRATION]["outputs"]["linux-amd64"] = other;
        assert!(summary(needs).contains("**what was tested is not what was built**"));
    }

    #[test]
    fn a_published_release_that_a_stranger_cannot_verify_is_not_called_unpublished() {
        let mut needs = fine();
        needs[job::VERIFY]["result"] = "failure".into();
        let text = summary(needs);
        assert!(text.starts_with("## `v1.2.3` is public, but"), "{text}");
        assert!(text.contains("- `verify-published` failed\n"), "{text}");
        let mut needs = fine();
        needs[job::REBUILD]["result"] = "failure".into();
        assert!(summary(needs).starts_with("## `v1.2.3` is public, but"));
    }

    #[test]
    fn the_records_of_all_builders_are_demanded_and_put_together() {
        let digest = "0".repeat(64);
        let contract = Contract::embedded().unwrap();
        let leg = |platform: &Platform| json!({"records": format!("{digest}  {}\n", platform.asset)}).to_string();
        let outputs: BTreeMap<_, _> =
            contract.platforms().map(|platform| (platform.name.clone(), leg(platform))).collect();
        let mut needs = json!({job::BUILD: {"result": "success", "outputs": outputs}});
        let records = |needs: &Value| records(&contract, &serde_json::from_value(needs.clone()).unwrap(), None);
        assert_eq!(records(&needs).unwrap().iter().count(), 6);
        needs[job::BUILD]["outputs"]["darwin-arm64"] = json!({"records": ""}).to_string().into();
        let error = records(&needs).unwrap_err();
        assert_eq!(format!("{error:#}"), "the job that built darwin-arm64 left no record of what it handed on");
        assert!(crate::plumbing::error::hint_of(&error).is_some());
        needs[job::BUILD]["outputs"]["darwin-arm64"] = json!({"records": "no digest"}).to_string().into();
        assert!(records(&needs).is_err());
    }

    #[test]
    fn a_leg_tells_the_step_that_failed_and_where_it_ran() {
        let steps = json!({
            "download": {"outcome": "success", "conclusion": "success", "outputs": {}},
            "an-experiment": {"outcome": "failure", "conclusion": "success", "outputs": {}},
            "exercise": {"conclusion": "failure", "outputs": {"trials": "[\"debian:10: ran, 1 libraries\"]"}},
            "protocol": {"conclusion": "skipped", "outputs": {}},
        });
        let files = Sums::parse(&format!("{}  a\n", "0".repeat(64))).unwrap();
        let leg = Leg::new(&serde_json::from_value(steps).unwrap(), Some((5, "ab".to_owned())), &files);
        assert_eq!(leg.records, files.to_string());
        assert_eq!(leg.failed.as_deref(), Some("exercise"));
        assert_eq!(leg.trials, ["debian:10: ran, 1 libraries"]);
        assert_eq!(leg.line("linux-amd64"), "linux-amd64: 5 bytes, sha256 `ab`; **failed in step `exercise`**\n");
    }
}
