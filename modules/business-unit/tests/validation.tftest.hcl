# What is refused before anything is asked of a provider, each with a variable at
# fault. The base is right; every run breaks one thing.
mock_provider "falaj" {}

variables {
  cluster_id  = "onprem:ae-du:dubai-1/retail/cluster/retail/0190b2c3d4e5"
  name        = "lending"
  entity      = { name = "customer_id" }
  source_data = { parquet = { path = "customers.parquet", event_time = "observed_at" } }
  features    = { income = { type = "float64" }, sex = { type = "string" } }
  model       = { inputs = ["income"], label = "repaid", logistic = {} }
}

run "a_name_with_capitals" {
  command = plan
  variables {
    name = "Lending"
  }
  expect_failures = [var.name]
}

run "an_environment_that_does_not_exist" {
  command = plan
  variables {
    environment = "prod"
  }
  expect_failures = [var.environment]
}

run "a_principal_without_its_kind" {
  command = plan
  variables {
    access = { engineer = ["ml-people"] }
  }
  expect_failures = [var.access]
}

run "a_budget_in_no_currency" {
  command = plan
  variables {
    budget = { monthly_limit = 100, currency = "dirham" }
  }
  expect_failures = [var.budget]
}

run "two_sources" {
  command = plan
  variables {
    source_data = {
      parquet = { path = "a.parquet", event_time = "t" }
      csv     = { path = "a.csv", event_time = "t" }
    }
  }
  expect_failures = [var.source_data]
}

run "a_source_that_is_nowhere" {
  command = plan
  variables {
    source_data = { parquet = { event_time = "t" } }
  }
  expect_failures = [var.source_data]
}

run "a_feature_of_no_known_type" {
  command = plan
  variables {
    features = { income = { type = "decimal" }, sex = { type = "string" } }
  }
  expect_failures = [var.features]
}

run "no_algorithm" {
  command = plan
  variables {
    model = { inputs = ["income"], label = "repaid" }
  }
  expect_failures = [var.model]
}

run "two_algorithms" {
  command = plan
  variables {
    model = { inputs = ["income"], label = "repaid", logistic = {}, mlp = {} }
  }
  expect_failures = [var.model]
}

run "an_input_that_is_not_declared" {
  command = plan
  variables {
    model = { inputs = ["incom"], label = "repaid", logistic = {} }
  }
  expect_failures = [var.model]
}

run "a_protected_feature_as_an_input" {
  command = plan
  variables {
    model = { inputs = ["income", "sex"], protected = ["sex"], label = "repaid", logistic = {} }
  }
  expect_failures = [var.model]
}

run "half_a_window" {
  command = plan
  variables {
    model = { inputs = ["income"], label = "repaid", logistic = {}, window = { from = "2015-01-01T00:00:00Z" } }
  }
  expect_failures = [var.model]
}

run "a_fairness_gate_on_what_is_not_protected" {
  command = plan
  variables {
    model = { inputs = ["income"], label = "repaid", logistic = {}, gates = { demographic_parity = { sex = { max_gap = 0.1 } } } }
  }
  expect_failures = [var.model]
}

run "more_than_all_of_the_traffic" {
  command = plan
  variables {
    endpoint = { sampling_percent = 101 }
  }
  expect_failures = [var.endpoint]
}

run "a_cron_of_four_fields" {
  command = plan
  variables {
    monitor = { cron = "* * * *" }
  }
  expect_failures = [var.monitor]
}
