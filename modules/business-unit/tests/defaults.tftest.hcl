# What the module makes of the least it must be told. Nothing is created.
mock_provider "falaj" {}

variables {
  cluster_id  = "onprem:ae-du:dubai-1/retail/cluster/retail/0190b2c3d4e5"
  name        = "lending"
  entity      = { name = "customer_id" }
  source_data = { parquet = { path = "customers.parquet", event_time = "observed_at" } }
  features = {
    income = { type = "float64" }
    tenure = { type = "int64" }
    sex    = { type = "string", classification = "special" }
  }
  model = {
    inputs   = ["income", "tenure"]
    label    = "repaid"
    logistic = {}
  }
}

run "one_name_names_everything" {
  assert {
    condition     = alltrue([for name in [falaj_workspace.this.name, falaj_feature_store.this.name, falaj_model.this.name, falaj_endpoint.this.name, falaj_monitor.this.name] : name == "lending"])
    error_message = "Every resource is named after the business unit."
  }
}

run "the_defaults_are_those_of_production" {
  assert {
    condition     = falaj_workspace.this.environment == "production"
    error_message = "Strict unless told otherwise."
  }

  assert {
    condition     = falaj_workspace.this.kms_key == null && falaj_workspace.this.budget == null
    error_message = "Without a key of its own the workspace takes the cluster's, and no budget is made up."
  }
}

run "all_traffic_goes_to_the_promoted_version" {
  assert {
    condition     = keys(falaj_endpoint.this.variants) == tolist(["champion"]) && falaj_endpoint.this.variants["champion"].alias == "champion" && falaj_endpoint.this.variants["champion"].weight == 100
    error_message = "One variant, which follows the alias that the promotion sets."
  }

  assert {
    condition     = falaj_endpoint.this.capture.sampling_percent == 100
    error_message = "The monitor sees every request."
  }
}

run "a_shadow_gets_no_share_of_the_traffic" {
  variables {
    endpoint = { shadow_candidate = true }
  }

  assert {
    condition     = falaj_endpoint.this.variants["challenger"].shadow && falaj_endpoint.this.variants["challenger"].weight == null
    error_message = "The newest version sees the traffic and answers none of it."
  }
}

run "exactly_the_chosen_algorithm_is_declared" {
  variables {
    model = {
      name      = "repayment"
      inputs    = ["income"]
      label     = "repaid"
      mlp       = { hidden_layers = [8] }
      window    = { from = "2015-01-01T00:00:00Z", until = "2016-01-01T00:00:00Z" }
      gates     = { auc = { min = 0.7 }, demographic_parity = { sex = { max_gap = 0.1 } } }
      protected = ["sex"]
    }
  }

  assert {
    condition     = falaj_model.this.training.mlp != null && falaj_model.this.training.logistic == null && falaj_model.this.training.linear == null
    error_message = "One algorithm."
  }

  assert {
    condition     = falaj_model.this.name == "repayment" && falaj_endpoint.this.name == "repayment" && falaj_workspace.this.name == "lending"
    error_message = "A model's own name holds for what serves and watches it."
  }
}

run "on_demand_unless_a_schedule_is_given" {
  assert {
    condition     = falaj_monitor.this.schedule == null
    error_message = "No cron, no schedule."
  }
}
