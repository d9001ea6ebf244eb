# The cluster that the platform team would own, here for the length of a test.
terraform {
  required_providers {
    falaj = { source = "falaj/falaj" }
  }
}

variable "key_file" {
  type        = string
  description = "Absolute path of a key of 32 random bytes, mode 0600."
}

resource "falaj_cluster" "this" {
  name    = "module-test"
  region  = "onprem:ae-du:dubai-1"
  kms_key = { uri = "file://${var.key_file}", region = "onprem:ae-du:dubai-1" }
  local   = {}
}

output "id" {
  description = "Id of the cluster."
  value       = falaj_cluster.this.id
}
