//! What must hold of every workflow, read from its text and its data.

use std::collections::{BTreeMap, BTreeSet};

use release_helper::contract::Contract;

use crate::document::{Job, Workflow, files, parse, workflow};

fn workflows() -> Vec<(String, Workflow)> {
    let parsed = |(name, text): (String, String)| {
        let workflow = parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, workflow)
    };
    files().into_iter().map(parsed).collect()
}

fn jobs(workflows: &[(String, Workflow)]) -> impl Iterator<Item = (String, &Job)> {
    workflows
        .iter()
        .flat_map(|(name, workflow)| workflow.jobs.iter().map(move |(id, job)| (format!("{name}: {id}"), job)))
}

/// The `${{ }}` expressions in a text.
fn expressions(text: &str) -> impl Iterator<Item = &str> {
    text.split("${{").skip(1).map(|rest| rest.split("}}").next().unwrap_or_default())
}

/// What an expression looks up in a context: the dotted names that begin with it.
fn lookups<'a>(text: &'a str, context: &'a str) -> impl Iterator<Item = Vec<&'a str>> {
    let names = |expression: &'a str| expression.split(|c: char| !c.is_ascii_alphanumeric() && !"_-.*".contains(c));
    expressions(text)
        .flat_map(names)
        .map(|name| name.split('.').collect::<Vec<_>>())
        .filter(move |path| path.len() > 1 && path[0] == context)
}

#[test]
fn a_release_is_drafted_built_tested_cross_checked_and_only_then_published() {
    let release = workflow("release.yml");
    let needs: BTreeMap<_, BTreeSet<_>> =
        release.jobs.iter().map(|(id, job)| (id.as_str(), job.needs.iter().map(String::as_str).collect())).collect();
    let expected = BTreeMap::from([
        ("create-draft-release", BTreeSet::new()),
        ("build-rust", BTreeSet::from(["create-draft-release"])),
        ("integration-test", BTreeSet::from(["create-draft-release", "build-rust"])),
        ("cross-check", BTreeSet::from(["create-draft-release", "build-rust"])),
        ("finalize-release", BTreeSet::from(["create-draft-release", "build-rust", "integration-test", "cross-check"])),
        ("verify-published", BTreeSet::from(["create-draft-release", "finalize-release"])),
        (
            "summary",
            BTreeSet::from([
                "create-draft-release",
                "build-rust",
                "integration-test",
                "cross-check",
                "finalize-release",
                "verify-published",
            ]),
        ),
    ]);
    assert_eq!(needs, expected);
    // An `if:` with a status function would let it publish although something before it failed.
    assert_eq!(release.jobs["finalize-release"].condition, None);
}

#[test]
fn a_release_starts_with_a_pushed_tag_and_a_dry_run_by_hand_alone() {
    let on = workflow("release.yml").on;
    assert_eq!(on.keys().collect::<Vec<_>>(), ["push", "workflow_dispatch"]);
    assert_eq!(on["push"], serde_json::json!({ "tags": ["v*"] }));
}

#[test]
fn nothing_is_attested_or_published_in_a_dry_run() {
    for (id, job) in &workflow("release.yml").jobs {
        for step in &job.steps {
            let mut texts = step.uses.iter().chain(&step.run);
            let is_public = texts.any(|text| text.contains("actions/attest@") || text.contains("finalize"));
            let condition = step.condition.as_deref().unwrap_or_default();
            let guarded = condition.starts_with("${{ github.event_name == 'push'") && !condition.contains("||");
            assert!(!is_public || guarded, "{id}: {} would run in a dry run", step.name);
        }
    }
}

#[test]
fn the_matrices_of_a_release_are_the_platforms_of_the_contract() {
    let contract = Contract::embedded().unwrap();
    let expected: BTreeSet<_> =
        contract.platforms().map(|platform| (platform.name.clone(), platform.runner.clone())).collect();
    let release = workflow("release.yml");
    for id in ["build-rust", "integration-test"] {
        let job = &release.jobs[id];
        let rows: Vec<_> =
            job.matrix().into_iter().map(|row| (row["platform"].clone(), row["runner"].clone())).collect();
        assert_eq!(rows.len(), 6, "{id}");
        assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), expected, "{id}");
        assert_eq!(job.runs_on, "${{ matrix.runner }}");
        assert_eq!(job.strategy.fail_fast, Some(false), "{id}: one failing leg must not hide the others");
        let outputs: BTreeSet<_> = job.outputs.keys().cloned().collect();
        assert_eq!(outputs, expected.iter().map(|(platform, _)| platform.clone()).collect(), "{id}");
    }
}

#[test]
fn ci_runs_on_every_runner_of_the_contract() {
    let contract = Contract::embedded().unwrap();
    let expected: BTreeSet<_> = contract.platforms().map(|platform| platform.runner.clone()).collect();
    let ci = workflow("ci.yml");
    for id in ["native", "flake"] {
        let runners: BTreeSet<_> = ci.jobs[id].matrix().into_iter().map(|row| row["runner"].clone()).collect();
        assert_eq!(runners, expected, "{id}");
    }
}

#[test]
fn the_required_check_of_ci_needs_every_other_job() {
    let ci = workflow("ci.yml");
    let others: BTreeSet<_> = ci.jobs.keys().filter(|id| *id != "all-green").collect();
    assert_eq!(ci.jobs["all-green"].needs.iter().collect::<BTreeSet<_>>(), others);
}

#[test]
fn the_release_id_comes_from_the_draft_and_reaches_every_command_that_takes_one() {
    let release = workflow("release.yml");
    assert_eq!(release.jobs["create-draft-release"].outputs["release_id"], "${{ steps.draft.outputs.release_id }}");
    let mut takers = 0;
    for (id, job) in &release.jobs {
        for step in job.steps.iter().filter(|step| step.run.iter().any(|run| run.contains("--release-id"))) {
            takers += 1;
            assert!(step.run.iter().any(|run| run.contains("--release-id \"$RELEASE_ID\"")), "{id}: {}", step.name);
            assert_eq!(step.env["RELEASE_ID"], "${{ needs.create-draft-release.outputs.release_id }}", "{id}");
        }
    }
    assert!(takers >= 4, "upload, download twice and finalize take it, found {takers}");
}

#[test]
fn the_tag_is_taken_from_outside_in_preflight_alone() {
    let release = workflow("release.yml");
    for (id, job) in &release.jobs {
        for step in &job.steps {
            let texts = step.env.values().chain(step.condition.as_ref());
            let outside = texts.flat_map(|text| expressions(text)).any(|expression| {
                expression.contains("github.ref")
                    || expression.contains("github.head")
                    || expression.contains("inputs.")
            });
            assert!(!outside || (id == "create-draft-release" && step.name == "Preflight"), "{id}: {}", step.name);
        }
    }
}

#[test]
fn every_name_in_an_expression_exists() {
    for (name, workflow) in &workflows() {
        for (id, job) in &workflow.jobs {
            let here = format!("{name}: {id}");
            let mut earlier: BTreeSet<&str> = BTreeSet::new();
            for step in &job.steps {
                let with: Vec<_> = step.with.values().filter_map(|value| value.as_str()).collect();
                let texts = step.env.values().chain(&step.condition).map(String::as_str).chain(with);
                for text in texts {
                    check_lookups(text, workflow, job, &earlier, &here);
                }
                earlier.extend(step.id.as_deref());
            }
            for text in job.env.values().chain(job.outputs.values()).chain(&job.condition).chain([&job.name]) {
                check_lookups(text, workflow, job, &earlier, &here);
            }
        }
    }
}

fn check_lookups(text: &str, workflow: &Workflow, job: &Job, earlier: &BTreeSet<&str>, here: &str) {
    for path in lookups(text, "needs").filter(|path| path[1] != "*") {
        assert!(job.needs.iter().any(|need| need == path[1]), "{here} does not need {}", path[1]);
        if let ["outputs", output] = path[2..] {
            assert!(workflow.jobs[path[1]].outputs.contains_key(output), "{here}: no output {output}");
        }
    }
    for path in lookups(text, "steps") {
        assert!(earlier.contains(path[1]), "{here}: no earlier step has the id {}", path[1]);
    }
    for path in lookups(text, "matrix") {
        assert!(job.matrix().iter().all(|row| row.contains_key(path[1])), "{here}: the matrix has no {}", path[1]);
    }
}

#[test]
fn every_action_is_pinned_to_a_commit_with_its_version_beside_it() {
    let mut pins = BTreeMap::new();
    for (name, text) in files() {
        for line in text.lines().filter(|line| line.trim_start().trim_start_matches("- ").starts_with("uses:")) {
            let (action, version) = line.split_once(" # v").unwrap_or_else(|| panic!("{name}: no version: {line}"));
            let (action, commit) = action.split_once('@').unwrap_or_else(|| panic!("{name}: no commit: {line}"));
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {line}");
            assert_eq!(version.split('.').count(), 3, "{name}: {line}");
            let known = pins.entry(action.trim().to_owned()).or_insert_with(|| commit.to_owned());
            assert_eq!(known, commit, "{name}: two versions of {action}");
        }
    }
    assert!(pins.len() <= 3, "each action is somebody else's program with our token: {pins:?}");
}

#[test]
fn no_expression_stands_in_a_command() {
    for (here, job) in jobs(&workflows()) {
        for step in &job.steps {
            assert!(!step.run.iter().any(|run| run.contains("${{")), "{here}: {}", step.name);
        }
    }
}

#[test]
fn a_step_is_one_command() {
    for (here, job) in jobs(&workflows()) {
        for run in job.steps.iter().filter_map(|step| step.run.as_deref()) {
            let joined = [";", "&&", "||", "|", "\n", "`", "$(", ">"].iter().any(|token| run.contains(token));
            assert!(!joined, "{here}: write a subcommand or a script for {run:?}");
        }
    }
}

#[test]
fn every_job_has_a_time_limit_and_only_the_permissions_it_gives_a_reason_for() {
    for (name, text) in files() {
        for line in text.lines().filter(|line| line.trim_end().contains(": write") || line.contains(": read")) {
            assert!(line.split_once(" # ").is_some_and(|(_, reason)| reason.len() > 8), "{name}: no reason: {line}");
        }
    }
    for (here, job) in jobs(&workflows()) {
        assert!((1..=60).contains(&job.timeout_minutes), "{here}");
    }
    for (name, workflow) in workflows() {
        assert!(workflow.permissions.is_empty(), "{name}: permissions are given per job");
    }
}

#[test]
fn the_token_reaches_only_the_steps_that_need_it() {
    let may = ["draft", "upload", "download", "finalize"];
    for (name, workflow) in workflows() {
        for (id, job) in &workflow.jobs {
            assert!(!job.env.values().any(|value| value.contains("token")), "{name}: {id}");
            for step in job.steps.iter().filter(|step| step.env.values().any(|value| value.contains("github.token"))) {
                let run = step.run.as_deref().unwrap_or_default();
                let subcommand = run.strip_prefix("release-helper ").and_then(|rest| rest.split(' ').next());
                let script = ["open-issue.sh", "latest-release.sh"].iter().any(|script| run.contains(script));
                let allowed = subcommand.is_some_and(|name| may.contains(&name)) || script;
                assert!(allowed, "{name}: {id}: {}", step.name);
            }
            for step in job.steps.iter().filter(|step| step.uses.iter().any(|uses| uses.contains("install-nix"))) {
                assert_eq!(step.with["github_access_token"], "none", "{name}: {id}: the token would stand in nix.conf");
            }
        }
    }
}

#[test]
fn a_release_uses_no_cache() {
    let (_, text) = files().into_iter().find(|(name, _)| name == "release.yml").unwrap();
    assert!(!text.to_lowercase().contains("cache"), "what another run left behind must not reach a release");
}

#[test]
fn nix_is_the_last_version_that_installs_on_intel_macs() {
    for (here, job) in jobs(&workflows()) {
        for step in job.steps.iter().filter(|step| step.uses.iter().any(|uses| uses.contains("install-nix"))) {
            let url = step.with["install_url"].as_str().unwrap_or_default();
            assert_eq!(url, "https://releases.nixos.org/nix/nix-2.35.2/install", "{here}");
        }
    }
}

#[test]
fn a_new_version_of_an_action_waits_a_week() {
    let text = std::fs::read_to_string(crate::document::root().join(".github/dependabot.yml")).unwrap();
    for ecosystem in ["github-actions", "cargo"] {
        let entry = text.split("package-ecosystem: ").find(|entry| entry.starts_with(ecosystem)).unwrap();
        assert!(entry.contains("cooldown: { default-days: 7 }"), "{ecosystem}");
    }
}

#[test]
fn a_release_is_never_cancelled_by_another_and_a_person_may_have_the_last_word() {
    let release = workflow("release.yml");
    assert_eq!(release.concurrency["cancel-in-progress"], false);
    assert_eq!(release.jobs["finalize-release"].environment.as_deref(), Some("release"));
    for (name, workflow) in workflows() {
        assert_eq!(format!("{}.yml", workflow.name), name);
    }
}

#[test]
fn a_stranger_verifies_the_release_without_any_permission() {
    assert!(workflow("release.yml").jobs["verify-published"].permissions.is_empty());
}
