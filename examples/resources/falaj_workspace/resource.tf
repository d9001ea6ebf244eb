resource "falaj_workspace" "people" {
  cluster_id  = falaj_cluster.this.id
  name        = "people"
  environment = "production"

  access = {
    engineer = ["group:ml-people"]
    approver = ["user:dpo@example.ae"]
    auditor  = ["group:audit"]
  }

  budget = { monthly_limit = 5000, currency = "AED", on_exceeded = "stop_training" }
}
