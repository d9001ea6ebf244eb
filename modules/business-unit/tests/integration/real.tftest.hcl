# The module on a real cluster of this machine: it trains, serves and is destroyed
# at the end. Needs FALAJ_DATA_DIR and TF_VAR_key_file; scripts/test-modules sets both.
provider "falaj" {
  residency = { jurisdiction = "AE", allowed_regions = ["onprem:ae-du:dubai-1"] }
}

variables {
  name        = "people"
  environment = "development"
  entity      = { name = "person_id" }
  source_data = {
    parquet = {
      path         = "../../examples/quickstart/data/people.parquet"
      event_time   = "observed_at"
      created_time = "loaded_at"
    }
  }
  features = {
    age            = { type = "int64", column = "AGEP" }
    schooling      = { type = "int64", column = "SCHL" }
    marital_status = { type = "string", column = "MAR" }
    sex            = { type = "string", column = "SEX", classification = "special" }
  }
  model = {
    inputs    = ["age", "schooling", "marital_status"]
    label     = "employed"
    protected = ["sex"]
    window    = { from = "2015-01-01T00:00:00Z", until = "2016-01-01T00:00:00Z" }
    logistic  = {}
    gates     = { auc = { min = 0.75 }, demographic_parity = { sex = { max_gap = 0.20 } } }
  }
}

run "a_cluster" {
  module {
    source = "./tests/integration/cluster"
  }
}

run "a_business_unit_trains_and_serves" {
  variables {
    cluster_id = run.a_cluster.id
  }

  assert {
    condition     = output.model_version == 1 && output.model_metrics["auc"] > 0.75
    error_message = "The declared training makes version 1, which passes its gate."
  }

  assert {
    condition     = startswith(output.endpoint_url, "https://127.0.0.1:") && fileexists(output.client_cert_file)
    error_message = "The endpoint answers over TLS on this machine, and its application has a certificate."
  }

  assert {
    condition     = alltrue([for part in values(output.posture) : part.region == "onprem:ae-du:dubai-1" && part.jurisdiction == "AE"])
    error_message = "Every part is where the cluster is."
  }
}

run "nothing_changes_by_itself" {
  command = plan
  variables {
    cluster_id = run.a_cluster.id
  }

  assert {
    condition     = output.model_version == 1
    error_message = "A plan after an apply is empty, so what is known stays known."
  }
}
