terraform {
  required_providers {
    falaj = { source = "falaj/falaj" }
  }
}

provider "falaj" {
  # Everything declared here, its keys too, stays in the Emirates.
  residency = {
    jurisdiction    = "AE"
    allowed_regions = ["onprem:ae-du:dubai-1", "aws:me-central-1"]
  }

  labels = { cost_center = "retail" }
}
