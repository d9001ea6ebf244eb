# The platform that the end-to-end tests apply: everything, with a model that
# trains in a second.
terraform {
  required_providers {
    falaj = { source = "falaj/falaj" }
  }
}

variable "key_file" { type = string }
variable "data" { type = string }

provider "falaj" {
  residency = { jurisdiction = "AE", allowed_regions = ["onprem:ae-du:dubai-1", "aws:me-central-1"] }
  labels    = { cost_center = "tests" }
}

resource "falaj_cluster" "this" {
  name    = "retail"
  region  = "onprem:ae-du:dubai-1"
  kms_key = { uri = "file://${var.key_file}", region = "onprem:ae-du:dubai-1" }
  local   = {}
}

resource "falaj_workspace" "people" {
  cluster_id  = falaj_cluster.this.id
  name        = "people"
  environment = "development"
}

resource "falaj_feature_store" "people" {
  workspace_id = falaj_workspace.people.id
  name         = "people"
  entity       = { name = "person_id", type = "string" }
  source       = { parquet = { path = var.data, event_time = "observed_at", created_time = "loaded_at" } }
  features = {
    age            = { type = "int64", column = "AGEP", classification = "personal", purposes = ["employment_statistics"] }
    schooling      = { type = "int64", column = "SCHL" }
    marital_status = { type = "string", column = "MAR" }
    sex            = { type = "string", column = "SEX", classification = "special" }
  }
}

resource "falaj_model" "employed" {
  workspace_id = falaj_workspace.people.id
  name         = "employed"
  training = {
    features  = { people = { feature_store_id = falaj_feature_store.people.id, names = ["age", "schooling", "marital_status"] } }
    label     = { column = "employed", feature_store_id = falaj_feature_store.people.id }
    protected = ["sex"]
    purpose   = "employment_statistics"
    logistic  = { l2 = 0.0001 }
    seed      = 7
  }
  gates     = { auc = { min = 0.5 } }
  promotion = { alias = "champion", when = "gates" }
}

resource "falaj_endpoint" "employed" {
  workspace_id = falaj_workspace.people.id
  name         = "employed"
  variants     = { champion = { model_id = falaj_model.employed.id, alias = "champion", weight = 100 } }
  capture      = { sampling_percent = 100 }
}

resource "falaj_monitor" "employed" {
  endpoint_id = falaj_endpoint.employed.id
  name        = "employed"
  window      = "24h"
  performance = { metric = "auc", min = 0.6 }
}

output "endpoint" { value = falaj_endpoint.employed }
output "version" { value = falaj_model.employed.version }
output "report_file" { value = falaj_monitor.employed.report_file }
