terraform {
  required_version = ">= 1.11"

  required_providers {
    falaj = {
      source  = "falaj/falaj"
      version = ">= 0.1.0"
    }
  }
}
