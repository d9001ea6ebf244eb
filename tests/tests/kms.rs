//! A production workspace under a key of AWS KMS, on a real server of its API.

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use falaj_tests::{Core, Project, tool};

const PLATFORM: &str = include_str!("platform.tf");

/// A `moto` server with one key; it ends with the test.
struct Kms {
    server: Child,
    url: String,
    arn: String,
}

impl Drop for Kms {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Kms {
    fn start(region: &str) -> Self {
        let python = tool("python");
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = format!("http://127.0.0.1:{port}");
        let mut server = Command::new(&python);
        server.args(["-c", "import sys; from moto.server import main; main(sys.argv[1:])"]);
        server.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let since = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(since.elapsed() < Duration::from_secs(60), "moto does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        let script = "import boto3, sys; print(boto3.client('kms', region_name=sys.argv[1], endpoint_url=sys.argv[2]).create_key()['KeyMetadata']['Arn'])";
        let mut create = Command::new(&python);
        create.args(["-c", script, region, &url]);
        let create = create.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
        let mut create = create.stdout(Stdio::piped()).spawn().unwrap();
        let mut arn = String::new();
        BufReader::new(create.stdout.take().unwrap()).read_line(&mut arn).unwrap();
        assert!(create.wait().unwrap().success());
        Self { server, url, arn: arn.trim().to_owned() }
    }

    fn reach(&self, project: &mut Project) {
        project.set("AWS_ENDPOINT_URL_KMS", &self.url);
        project.set("AWS_ACCESS_KEY_ID", "test");
        project.set("AWS_SECRET_ACCESS_KEY", "test");
        project.set("AWS_EC2_METADATA_DISABLED", "true");
        let file = "kms_key = { uri = \"file://${var.key_file}\", region = \"onprem:ae-du:dubai-1\" }";
        project.edit(file, &format!("kms_key = {{ uri = \"aws-kms://{}\" }}", self.arn));
    }
}

#[test]
fn a_production_workspace_lives_under_a_key_of_aws_kms() {
    let kms = Kms::start("me-central-1");
    let mut project = Project::new(Core::Terraform, PLATFORM);
    project.edit("environment = \"development\"", "environment = \"production\"");
    let refused = project.fail(&["apply", "-auto-approve", "-no-color"]);
    assert!(refused.contains("for development only"), "a key file is not enough for production: {refused}");
    project.destroy();

    kms.reach(&mut project);
    let plan = project.plan();
    let posture = &plan.change("falaj_workspace.people")["change"]["after"]["posture"];
    assert_eq!(posture["key_region"], "aws:me-central-1", "{posture}");
    project.apply();
    project.assert_plan_is_empty();
    // An output that is null is none.
    let report = project.run(&["output", "-json", "report_file"]);
    assert!(!report.status.success(), "production keeps no plain copy of a report");
    project.kill_server();
    project.assert_plan_is_empty();
    project.destroy();
}

#[test]
fn a_key_in_another_jurisdiction_is_an_error_at_plan() {
    let kms = Kms::start("eu-west-1");
    let mut project = Project::new(Core::OpenTofu, PLATFORM);
    kms.reach(&mut project);
    let said = project.fail(&["plan", "-no-color"]);
    assert!(said.contains("kms_key") && said.contains("aws:eu-west-1") && said.contains("IE"), "{said}");
    assert!(project.clusters().is_empty(), "a plan makes nothing");
}
