//! An apply is killed at some point; the next one converges, the plan after it
//! is empty, and nothing is orphaned or made twice.

use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use falaj_api::{
    Kind,
    endpoint::Endpoint,
    feature_store::FeatureStore,
    model::{ListModelVersions, Model},
    monitor::Monitor,
    record::List,
    workspace::Workspace,
};
use falaj_tests::{Core, Project, kill};

const PLATFORM: &str = include_str!("platform.tf");

#[derive(Clone, Copy, Debug)]
enum Victim {
    Provider,
    Core,
    Runtime,
}

const VICTIMS: [Victim; 3] = [Victim::Provider, Victim::Core, Victim::Runtime];

/// Waits until the apply has come to a point; false when it ended before.
type Point<'a> = (&'a str, &'a dyn Fn(&Project) -> bool);

fn reached(project: &Project, apply: &mut Child, holds: &dyn Fn(&Project) -> bool) -> bool {
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(60) {
        if holds(project) {
            return true;
        }
        if apply.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    panic!("the apply did not come to the point");
}

/// Processes whose executable has this name and whose environment has this
/// project's data directory.
fn processes(project: &Project, name: &str) -> Vec<u32> {
    let data = format!("FALAJ_DATA_DIR={}", project.path("data").display());
    let ours = |pid: &u32| {
        let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        exe.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name))
            && environment.split(|byte| *byte == 0).any(|variable| variable == data.as_bytes())
    };
    let pids = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(ours).collect()
}

fn kill_the(victim: Victim, project: &Project, apply: &mut Child) {
    match victim {
        Victim::Core => apply.kill().unwrap(),
        Victim::Provider => processes(project, "terraform-provider-falaj").into_iter().for_each(kill),
        Victim::Runtime => project.processes().into_iter().for_each(kill),
    }
}

fn crash(victim: Victim, point: Point<'_>) {
    let (name, holds) = point;
    let project = Project::new(Core::Terraform, PLATFORM);
    let mut command = project.command(&["apply", "-auto-approve", "-no-color"]);
    let mut apply = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let at = reached(&project, &mut apply, holds);
    assert!(at, "{victim:?} at {name}: the apply ended before");
    kill_the(victim, &project, &mut apply);
    apply.wait().unwrap();
    // A killed core's provider notices that it is alone.
    let since = Instant::now();
    while !processes(&project, "terraform-provider-falaj").is_empty() {
        assert!(since.elapsed() < Duration::from_secs(20), "{victim:?} at {name}: the provider stays");
        std::thread::sleep(Duration::from_millis(20));
    }

    project.apply();
    project.assert_plan_is_empty();
    once::<Workspace>(&project, None);
    once::<FeatureStore>(&project, Some("people"));
    once::<Model>(&project, Some("people"));
    once::<Endpoint>(&project, Some("people"));
    once::<Monitor>(&project, Some("people"));
    let versions = project.call(&ListModelVersions { workspace: "people".into(), model: "employed".into() }).unwrap();
    assert_eq!(versions.len(), 1, "{victim:?} at {name}: {versions:?}");
    for chain in project.call(&falaj_api::audit::VerifyAudit {}).unwrap() {
        assert_eq!(chain.first_bad, None, "{victim:?} at {name}");
    }
    project.destroy();
    assert_eq!(project.processes(), Vec::<u32>::new(), "{victim:?} at {name}");
    assert!(project.clusters().is_empty(), "{victim:?} at {name}");
}

fn once<K: Kind>(project: &Project, workspace: Option<&str>) {
    let list = List::<K> { workspace: workspace.map(Into::into), kind: std::marker::PhantomData };
    assert_eq!(project.call(&list).unwrap().len(), 1, "{}", K::NAME);
}

fn exists_below(project: &Project, file: &str) -> bool {
    project.clusters().iter().any(|cluster: &std::path::PathBuf| Path::new(cluster).join(file).exists())
}

fn kill_at(point: Point<'_>) {
    for victim in VICTIMS {
        crash(victim, point);
    }
}

#[test]
fn an_apply_killed_while_the_runtime_starts_converges() {
    // No process of the runtime may be there yet, so only the other two are killed.
    let point: Point<'_> = ("the seed", &|project| exists_below(project, falaj_api::local::SEED_FILE));
    crash(Victim::Provider, point);
    crash(Victim::Core, point);
}

#[test]
fn an_apply_killed_when_the_runtime_answers_converges() {
    kill_at(("the server", &|project| exists_below(project, falaj_api::local::RUNNING_FILE)));
}

#[test]
fn an_apply_killed_while_the_model_trains_converges() {
    kill_at(("the training run", &|project| exists_below(project, "logs/train.log")));
}

#[test]
#[ignore = "make test-all"]
fn twenty_applies_killed_at_twenty_moments_converge() {
    let whole = Project::new(Core::Terraform, PLATFORM);
    let began = Instant::now();
    whole.apply();
    let took = began.elapsed();
    whole.destroy();
    // The last ones come before the end also on a day that is a little faster.
    for moment in 1..=20_u32 {
        let began = Instant::now();
        let after = took * moment / 24;
        let victim = VICTIMS[moment as usize % VICTIMS.len()];
        crash(victim, ("a moment", &|_| began.elapsed() >= after));
    }
}
