//! A workspace: one business unit's part of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Kind, KmsKey, Residency};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace;

impl Kind for Workspace {
    const NAME: &'static str = "workspace";
    const PATH: &'static str = "/v1/workspaces/{name}";
    const LIST_PATH: &'static str = "/v1/workspaces";
    type Spec = WorkspaceSpec;
    type Status = WorkspaceStatus;
}

/// How strict the defaults are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    Development,
    Staging,
    Production,
}

impl Environment {
    pub const NAMES: [&'static str; 3] = ["development", "staging", "production"];
}

/// Who may do what: principals such as `group:ml-people` or `user:dpo@example.ae`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    pub platform: BTreeSet<String>,
    pub engineer: BTreeSet<String>,
    pub viewer: BTreeSet<String>,
    pub approver: BTreeSet<String>,
    pub auditor: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Per calendar month, in `currency`.
    pub monthly_limit: f64,
    /// ISO 4217.
    pub currency: String,
    pub on_exceeded: OnExceeded,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnExceeded {
    Warn,
    StopTraining,
}

impl OnExceeded {
    pub const NAMES: [&'static str; 2] = ["warn", "stop_training"];
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkspaceSpec {
    pub environment: Environment,
    #[serde(default)]
    pub access: Access,
    #[serde(default)]
    pub budget: Option<Budget>,
    /// Default: the cluster's.
    #[serde(default)]
    pub kms_key: Option<KmsKey>,
    /// Can only narrow the cluster's.
    #[serde(default)]
    pub residency: Option<Residency>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkspaceStatus {}
