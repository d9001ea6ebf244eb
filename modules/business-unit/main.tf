locals {
  model_name = coalesce(var.model.name, var.name)
}

resource "falaj_workspace" "this" {
  cluster_id  = var.cluster_id
  name        = var.name
  environment = var.environment
  access      = var.access
  budget      = var.budget
  kms_key     = var.kms_key
  labels      = var.labels
}

resource "falaj_feature_store" "this" {
  workspace_id = falaj_workspace.this.id
  name         = var.name
  entity       = var.entity
  source       = var.source_data
  features     = var.features
  online       = var.online
  retention    = var.retention
  labels       = var.labels
}
