resource "falaj_endpoint" "this" {
  workspace_id = falaj_workspace.this.id
  name         = local.model_name

  # The variants follow aliases, so a promotion by the runtime is no change here.
  variants = merge(
    { champion = { model_id = falaj_model.this.id, alias = var.model.promotion.alias, weight = 100 } },
    { for name in ["challenger"] : name => { model_id = falaj_model.this.id, alias = "candidate", shadow = true } if var.endpoint.shadow_candidate },
  )

  invokers = var.endpoint.invokers
  capture  = { sampling_percent = var.endpoint.sampling_percent }
  labels   = var.labels
}

resource "falaj_monitor" "this" {
  endpoint_id = falaj_endpoint.this.id
  name        = local.model_name
  schedule    = var.monitor.cron == null ? null : { cron = var.monitor.cron, time_zone = var.monitor.time_zone }
  window      = var.monitor.window
  drift       = var.monitor.drift
  performance = var.monitor.performance
  on_alert    = var.monitor.retrain == null ? null : { retrain = var.monitor.retrain }
  labels      = var.labels
}
