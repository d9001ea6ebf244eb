//! The real cores, and what each of them has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value as Json;
use tempfile::TempDir;

use crate::case::Need;

/// A core by the name that `tests/tools` or the PATH has for it.
#[derive(Debug, Clone)]
pub struct Core {
    pub name: &'static str,
    program: PathBuf,
    version: (u32, u32),
}

impl Core {
    /// Finds a core: an installed tool, or the `terraform` on the PATH. Where
    /// it is missing that is told, and in CI an error.
    pub fn find(name: &'static str, tool: Option<&str>) -> Option<Self> {
        let program = match tool {
            None => PathBuf::from("terraform"),
            Some(tool) => match installed(tool) {
                Some(program) => program,
                None => {
                    assert!(std::env::var_os("CI").is_none(), "CI must have {name}: tests/tools/install {tool}");
                    crate::say!("SKIPPED: no {name}; tests/tools/install {tool}");
                    return None;
                }
            },
        };
        let output = Command::new(&program).args(["version", "-json"]).env("TF_CLI_CONFIG_FILE", "/dev/null").output();
        let output = output.unwrap_or_else(|error| panic!("{name} does not run: {error}"));
        let version: Json = serde_json::from_slice(&output.stdout).expect("a version");
        let version = version["terraform_version"].as_str().unwrap_or_default().to_owned();
        let mut numbers = version.split('.').map_while(|number| number.parse().ok());
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        Some(Self { name, program, version })
    }

    pub fn has(&self, need: Need) -> bool {
        let tofu = self.name.contains("OpenTofu");
        match need {
            Need::Identity => self.version >= (1, 12),
            Need::Queries | Need::Actions => !tofu && self.version >= (1, 14),
        }
    }
}

/// The path of an installed tool.
pub fn installed(tool: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tools/path");
    let found = Command::new(path).arg(tool).output().ok().filter(|output| output.status.success())?;
    Some(PathBuf::from(String::from_utf8_lossy(&found.stdout).trim()))
}

/// A working directory of a core, with the provider and its world.
pub struct Workspace {
    core: Core,
    root: TempDir,
}

impl Workspace {
    pub fn new(core: Core, provider: &Path) -> Self {
        let root = tempfile::tempdir().expect("a temporary directory");
        for directory in ["bin", "work", "world"] {
            fs::create_dir(root.path().join(directory)).expect("a directory");
        }
        let bin = root.path().join("bin");
        std::os::unix::fs::symlink(provider, bin.join("terraform-provider-corner")).expect("a link");
        let settings =
            format!("provider_installation {{\n dev_overrides {{ \"example/corner\" = {bin:?} }}\n direct {{}}\n}}\n");
        fs::write(root.path().join("terraform.rc"), settings).expect("the CLI configuration");
        Self { core, root }
    }

    pub fn world(&self) -> PathBuf {
        self.root.path().join("world")
    }

    fn state_file(&self) -> PathBuf {
        self.root.path().join("work/terraform.tfstate")
    }

    /// The state file, if there is one.
    pub fn state(&self) -> Option<Vec<u8>> {
        fs::read(self.state_file()).ok()
    }

    /// Makes the state file what it was.
    pub fn restore(&self, state: Option<Vec<u8>>) {
        match state {
            Some(state) => fs::write(self.state_file(), state).expect("the state"),
            None if self.state_file().exists() => fs::remove_file(self.state_file()).expect("the state"),
            None => {}
        }
    }

    /// Writes the configuration, an attribute a line.
    pub fn write(&self, mut config: Json) {
        config["terraform"] = serde_json::json!({ "required_providers": { "corner": { "source": "example/corner" } } });
        config["provider"] = serde_json::json!({ "corner": { "directory": self.world() } });
        let text = serde_json::to_string_pretty(&config).expect("JSON");
        fs::write(self.root.path().join("work/main.tf.json"), text).expect("the configuration");
    }

    /// The configuration as it was written last.
    pub fn read(&self) -> Json {
        let text = fs::read(self.root.path().join("work/main.tf.json")).expect("the configuration");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// Writes a query, or removes it.
    pub fn write_query(&self, query: Option<&str>) {
        let file = self.root.path().join("work/all.tfquery.hcl");
        match query {
            Some(query) => fs::write(file, query).expect("the query"),
            None => fs::remove_file(file).expect("the query"),
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.core.program);
        command.args(arguments).current_dir(self.root.path().join("work"));
        command.env("TF_CLI_CONFIG_FILE", self.root.path().join("terraform.rc"));
        command.env("TF_IN_AUTOMATION", "1").env("CHECKPOINT_DISABLE", "1").env_remove("TF_LOG");
        command.output().unwrap_or_else(|error| panic!("{} does not run: {error}", self.core.name))
    }
}
