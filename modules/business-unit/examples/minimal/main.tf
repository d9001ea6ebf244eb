# A business unit with nothing but what must be said: a source, its features and
# what to learn. Everything else has a default.
terraform {
  required_providers {
    falaj = { source = "falaj/falaj" }
  }
}

provider "falaj" {
  residency = { jurisdiction = "AE", allowed_regions = ["onprem:ae-du:dubai-1"] }
}

variable "cluster_id" {
  type        = string
  description = "Id of the platform's `falaj_cluster`."
}

module "lending" {
  source = "../.."

  cluster_id = var.cluster_id
  name       = "lending"

  entity      = { name = "customer_id" }
  source_data = { csv = { uri = "file:///srv/falaj/customers.csv", event_time = "observed_at" } }
  features = {
    income = { type = "float64", classification = "personal" }
    tenure = { type = "int64" }
  }
  model = {
    inputs   = ["income", "tenure"]
    label    = "repaid"
    logistic = {}
  }
}

output "endpoint_url" {
  description = "Where applications ask for predictions."
  value       = module.lending.endpoint_url
}
