//! What must hold of every workflow, read from its text and its data.

use std::collections::{BTreeMap, BTreeSet};

use release_helper::domain::contract::Contract;

use crate::document::{Job, Names, Workflow, files, parse, workflow};

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

fn needs(workflow: &Workflow) -> BTreeMap<&str, BTreeSet<&str>> {
    workflow.jobs.iter().map(|(id, job)| (id.as_str(), job.needs.iter().map(String::as_str).collect())).collect()
}

#[test]
fn a_release_is_drafted_built_tested_and_only_then_published() {
    let release = workflow("release.yml");
    let all = [
        "helper",
        "create-draft-release",
        "build-rust",
        "integration-test",
        "finalize-release",
        "verify-published",
        "rebuild-published",
    ];
    let expected = BTreeMap::from([
        ("helper", BTreeSet::new()),
        ("create-draft-release", BTreeSet::from(["helper"])),
        ("build-rust", BTreeSet::from(["create-draft-release"])),
        ("integration-test", BTreeSet::from(["create-draft-release", "build-rust"])),
        ("finalize-release", BTreeSet::from(["helper", "create-draft-release", "build-rust", "integration-test"])),
        ("verify-published", BTreeSet::from(["create-draft-release", "finalize-release"])),
        ("rebuild-published", BTreeSet::from(["create-draft-release", "finalize-release"])),
        ("summary", BTreeSet::from(all)),
    ]);
    assert_eq!(needs(&release), expected);
    assert_eq!(release.jobs["build-rust"].called(), Some("build-rust.yml"));
    // An `if:` with a status function would let it publish although something before it failed.
    assert_eq!(release.jobs["finalize-release"].condition, None);
}

#[test]
fn what_is_attested_was_built_tested_and_cross_checked_by_the_same_workflow() {
    let build = workflow("build-rust.yml");
    let expected = BTreeMap::from([
        ("helper", BTreeSet::new()),
        ("build", BTreeSet::from(["helper"])),
        ("test", BTreeSet::from(["helper", "build"])),
        ("cross-check", BTreeSet::from(["helper", "build"])),
        ("attest", BTreeSet::from(["helper", "build", "test", "cross-check"])),
    ]);
    assert_eq!(needs(&build), expected);
    assert!(build.jobs.values().all(|job| job.condition.is_none()));
    let legs = &build.jobs["build"].steps;
    assert!(legs.iter().any(|step| step.run.iter().any(|run| run.contains("nix build") && run.contains(".#dltest-"))));
}

/// The permissions that each job on a runner may write with.
fn powers(workflow: &Workflow) -> BTreeMap<&str, Vec<&str>> {
    let mut powers = BTreeMap::new();
    for (id, job) in workflow.jobs.iter().filter(|(_, job)| job.uses.is_none()) {
        let written: Vec<_> =
            job.permissions.iter().filter(|(_, level)| *level == "write").map(|(name, _)| name.as_str()).collect();
        if !written.is_empty() {
            powers.insert(id.as_str(), written);
        }
    }
    powers
}

#[test]
fn three_jobs_of_a_release_can_write_and_one_can_sign() {
    let (release, build) = (workflow("release.yml"), workflow("build-rust.yml"));
    let expected = BTreeMap::from([("create-draft-release", vec!["contents"]), ("finalize-release", vec!["contents"])]);
    assert_eq!(powers(&release), expected);
    assert_eq!(powers(&build), BTreeMap::from([("attest", vec!["attestations", "contents", "id-token"])]));
}

/// What jobs of the called workflow ask for and `caller` does not grant: GitHub refuses to start such a run.
fn not_granted(caller: &Job, called: &Workflow) -> Vec<String> {
    let level = |permissions: &Names, name: &str| match permissions.get(name).map(String::as_str) {
        Some("write") => 2,
        Some("read") => 1,
        _ => 0,
    };
    let asked = called.jobs.values().flat_map(|job| job.permissions.keys().map(move |name| (job, name)));
    asked
        .filter(|(job, name)| level(&caller.permissions, name) < level(&job.permissions, name))
        .map(|(job, name)| format!("{}: {name}", job.name))
        .collect()
}

#[test]
fn a_caller_grants_what_the_called_workflow_asks_for_and_a_missing_permission_is_noticed() {
    let (mut release, build) = (workflow("release.yml"), workflow("build-rust.yml"));
    let caller = release.jobs.get_mut("build-rust").unwrap();
    assert_eq!(not_granted(caller, &build), Vec::<String>::new());
    caller.permissions.remove("id-token");
    assert_eq!(not_granted(caller, &build), ["attest: id-token"]);
}

#[test]
fn no_job_that_can_write_compiles_anything() {
    for (name, workflow) in workflows() {
        for (id, _) in powers(&workflow) {
            for step in &workflow.jobs[id].steps {
                let texts = step.run.iter().chain(&step.uses);
                let compiles = texts.into_iter().any(|text| {
                    ["cargo ", "nix ", "install-nix-action", "compile-helper", " build "]
                        .iter()
                        .any(|word| text.contains(word))
                });
                assert!(!compiles, "{name}: {id}: {}", step.name);
            }
        }
    }
}

#[test]
fn the_tools_of_the_called_workflow_are_those_of_its_own_repository_and_commit() {
    for (id, job) in &workflow("build-rust.yml").jobs {
        let checkouts =
            job.steps.iter().filter(|step| step.uses.iter().any(|uses| uses.starts_with("actions/checkout@")));
        for (number, checkout) in checkouts.enumerate() {
            let [repository, commit] =
                ["repository", "ref"].map(|name| checkout.with[name].as_str().unwrap_or_default());
            if number == 0 {
                // The first lies at the top of the workspace, where scripts are looked for.
                assert_eq!((repository, commit), ("${{ job.workflow_repository }}", "${{ job.workflow_sha }}"), "{id}");
                assert!(!checkout.with.contains_key("path"), "{id}");
            } else {
                assert_eq!(checkout.with["path"], "source", "{id}");
            }
        }
    }
}

#[test]
fn an_experiment_has_a_limit_and_everything_else_counts() {
    for (here, job) in jobs(&workflows()) {
        for step in job.steps.iter().filter(|step| step.experiment) {
            assert!(step.timeout.is_some_and(|minutes| minutes <= 5), "{here}: {}", step.name);
            assert!(step.run.iter().any(|run| run.contains("--quarantined")), "{here}: {}", step.name);
        }
    }
}

#[test]
fn a_release_starts_with_a_pushed_tag_and_a_dry_run_by_hand_alone() {
    let on = workflow("release.yml").on;
    assert_eq!(on.keys().collect::<Vec<_>>(), ["push", "workflow_dispatch"]);
    assert_eq!(on["push"], serde_json::json!({ "tags": ["v*"] }));
}

#[test]
fn nothing_is_attested_or_published_in_a_dry_run() {
    let release = workflow("release.yml");
    let attest = release.jobs["build-rust"].with["attest"].as_str().unwrap();
    let publish = release.jobs["finalize-release"].steps.iter().find(|step| step.name == "Publish").unwrap();
    for condition in [attest, publish.condition.as_deref().unwrap_or_default()] {
        assert!(condition.starts_with("${{ github.event_name == 'push'") && !condition.contains("||"), "{condition}");
    }
    for step in &workflow("build-rust.yml").jobs["attest"].steps {
        let attests = step.uses.iter().any(|uses| uses.contains("actions/attest@"));
        assert!(!attests || step.condition.as_deref() == Some("${{ inputs.attest }}"));
    }
}

#[test]
fn the_matrices_of_a_release_are_the_platforms_of_the_contract() {
    let contract = Contract::embedded().unwrap();
    let expected: BTreeSet<_> =
        contract.platforms().map(|platform| (platform.name.clone(), platform.runner.clone())).collect();
    let (release, build) = (workflow("release.yml"), workflow("build-rust.yml"));
    for (id, job) in [
        ("build", &build.jobs["build"]),
        ("test", &build.jobs["test"]),
        ("integration-test", &release.jobs["integration-test"]),
    ] {
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
fn ci_and_the_helper_run_on_every_runner_of_the_contract() {
    let contract = Contract::embedded().unwrap();
    let expected: BTreeSet<_> = contract.platforms().map(|platform| platform.runner.clone()).collect();
    let (ci, build) = (workflow("ci.yml"), workflow("build-rust.yml"));
    for (id, job) in [("native", &ci.jobs["native"]), ("flake", &ci.jobs["flake"]), ("helper", &build.jobs["helper"])] {
        let runners: BTreeSet<_> = job.matrix().into_iter().map(|row| row["runner"].clone()).collect();
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
    assert_eq!(takers, 1, "finalize takes it");
    assert_eq!(release.jobs["build-rust"].with["release_id"], "${{ needs.create-draft-release.outputs.release_id }}");
    let attest = &workflow("build-rust.yml").jobs["attest"];
    let upload = attest.steps.iter().find(|step| step.id.as_deref() == Some("upload")).unwrap();
    assert_eq!(upload.env["RELEASE_ID"], "${{ inputs.release_id }}");
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
fn every_action_is_pinned_to_a_commit_with_its_version_beside_it() {
    let mut pins = BTreeMap::new();
    for (name, text) in files() {
        for line in text.lines().filter(|line| line.trim_start().trim_start_matches("- ").starts_with("uses:")) {
            if line.contains("uses: ./") {
                // Of this very commit.
                continue;
            }
            let (action, version) = line.split_once(" # v").unwrap_or_else(|| panic!("{name}: no version: {line}"));
            let (action, commit) = action.split_once('@').unwrap_or_else(|| panic!("{name}: no commit: {line}"));
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}: {line}");
            assert_eq!(version.split('.').count(), 3, "{name}: {line}");
            let known = pins.entry(action.trim().to_owned()).or_insert_with(|| commit.to_owned());
            assert_eq!(known, commit, "{name}: two versions of {action}");
        }
    }
    assert!(pins.len() <= 5, "each action is somebody else's program with our token: {pins:?}");
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
        assert!(job.uses.is_some() || (1..=60).contains(&job.timeout_minutes), "{here}");
    }
    for (name, workflow) in workflows() {
        assert!(workflow.permissions.is_empty(), "{name}: permissions are given per job");
    }
}

#[test]
fn the_token_reaches_only_the_steps_that_need_it() {
    let may = ["preflight", "draft", "upload", "finalize"];
    let scripts = ["open-issue.sh", "latest-release.sh", "reverify.sh", "open-release-pull-request.sh"];
    for (name, workflow) in workflows() {
        for (id, job) in &workflow.jobs {
            assert!(!job.env.values().any(|value| value.contains("token")), "{name}: {id}");
            for step in job.steps.iter().filter(|step| step.env.values().any(|value| value.contains("github.token"))) {
                let run = step.run.as_deref().unwrap_or_default();
                let subcommand = run.strip_prefix("release-helper ").and_then(|rest| rest.split(' ').next());
                let script = scripts.iter().any(|script| run.contains(script));
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
    for (name, text) in
        files().into_iter().filter(|(name, _)| ["release.yml", "build-rust.yml"].contains(&name.as_str()))
    {
        assert!(!text.to_lowercase().contains("cache"), "{name}: what another run left must not reach a release");
    }
}

#[test]
fn nix_is_the_last_version_that_installs_on_intel_macs_by_a_script_of_known_digest() {
    for (here, job) in jobs(&workflows()) {
        for step in job.steps.iter().filter(|step| step.uses.iter().any(|uses| uses.contains("install-nix"))) {
            assert_eq!(step.with["install_url"], "file://${{ runner.temp }}/nix-installer", "{here}");
            let fetched =
                job.steps.iter().any(|step| step.run.iter().any(|run| run.ends_with("fetch-nix-installer.sh")));
            assert!(fetched, "{here}: nobody has compared its digest");
        }
    }
    let script =
        std::fs::read_to_string(crate::document::root().join(".github/scripts/fetch-nix-installer.sh")).unwrap();
    assert!(script.contains("version=2.35.2\nsha256="));
}

#[test]
fn a_new_version_of_an_action_waits_a_week() {
    let text = std::fs::read_to_string(crate::document::root().join(".github/dependabot.yml")).unwrap();
    for ecosystem in ["github-actions", "cargo", "nix", "pip"] {
        let entry = text.split("package-ecosystem: ").find(|entry| entry.starts_with(ecosystem)).unwrap();
        assert!(entry.contains("cooldown: { default-days: 7 }"), "{ecosystem}");
    }
}

#[test]
fn a_release_is_never_cancelled_by_another_and_a_person_may_have_the_last_word() {
    let release = workflow("release.yml");
    assert_eq!(release.concurrency["cancel-in-progress"], false);
    let environment = release.jobs["finalize-release"].environment.as_deref();
    assert_eq!(environment, Some("${{ github.event_name == 'push' && 'release' || 'dry-run' }}"));
    for (name, workflow) in workflows() {
        assert_eq!(format!("{}.yml", workflow.name), name);
    }
}

#[test]
fn a_stranger_verifies_the_release_without_any_permission() {
    for job in ["verify-published", "rebuild-published"] {
        assert!(workflow("release.yml").jobs[job].permissions.is_empty(), "{job}");
    }
}
