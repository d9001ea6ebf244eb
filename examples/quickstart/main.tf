# An ML platform on this machine: a cluster in Dubai under a residency rule for
# the Emirates, and on it a business unit that learns who has a job from a census,
# serves the model and watches who asks. `make quickstart` applies it.

terraform {
  required_version = ">= 1.11"

  required_providers {
    falaj = { source = "falaj/falaj" }
  }
}

locals {
  region = "onprem:ae-du:dubai-1"
}

provider "falaj" {
  residency = { jurisdiction = "AE", allowed_regions = [local.region] }
  labels    = { cost_center = "statistics" }
}

variable "key_file" {
  type        = string
  description = "Absolute path of a key of 32 random bytes that only its owner can read (mode 0600). Development only: production names a key service."

  validation {
    condition     = startswith(var.key_file, "/")
    error_message = "key_file must be an absolute path. Make one with: (umask 077; head -c 32 /dev/urandom > KEY_FILE)"
  }
}

resource "falaj_cluster" "this" {
  name    = "quickstart"
  region  = local.region
  kms_key = { uri = "file://${var.key_file}", region = local.region }
  local   = {}
}

module "people" {
  source = "../../modules/business-unit"

  cluster_id  = falaj_cluster.this.id
  name        = "people"
  environment = "development"

  entity = { name = "person_id", type = "string" }
  source_data = {
    parquet = {
      path         = "${path.module}/data/people.parquet"
      event_time   = "observed_at"
      created_time = "loaded_at"
    }
  }
  features = {
    age                  = { type = "int64", column = "AGEP", classification = "personal", purposes = ["employment_statistics"] }
    schooling            = { type = "int64", column = "SCHL" }
    marital_status       = { type = "string", column = "MAR", classification = "personal", purposes = ["employment_statistics"] }
    relationship         = { type = "string", column = "RELP" }
    disability           = { type = "string", column = "DIS", classification = "special", purposes = ["employment_statistics"] }
    parents_employment   = { type = "string", column = "ESP" }
    citizenship          = { type = "string", column = "CIT" }
    military_service     = { type = "string", column = "MIL" }
    cognitive_difficulty = { type = "string", column = "DREM", classification = "special", purposes = ["employment_statistics"] }
    sex                  = { type = "string", column = "SEX", classification = "special", purposes = ["employment_statistics"] }
  }

  model = {
    name      = "employed"
    inputs    = ["age", "schooling", "marital_status", "relationship", "disability", "parents_employment", "citizenship", "military_service", "cognitive_difficulty"]
    label     = "employed"
    protected = ["sex"]
    purpose   = "employment_statistics"
    window    = { from = "2015-01-01T00:00:00Z", until = "2016-01-01T00:00:00Z" }
    mlp       = { hidden_layers = [32, 16], epochs = 20 }
    gates     = { auc = { min = 0.80 }, demographic_parity = { sex = { max_gap = 0.10 } } }
  }

  # Drift thresholds are the defaults: nothing is tuned for the story.
  monitor = {
    window      = "24h"
    performance = { metric = "auc", min = 0.78 }
  }
}
