resource "falaj_model" "this" {
  workspace_id = falaj_workspace.this.id
  name         = local.model_name

  training = {
    features = {
      (var.name) = { feature_store_id = falaj_feature_store.this.id, names = var.model.inputs }
    }
    label      = { feature_store_id = falaj_feature_store.this.id, column = var.model.label }
    protected  = var.model.protected
    purpose    = var.model.purpose
    window     = var.model.window
    linear     = var.model.linear
    logistic   = var.model.logistic
    mlp        = var.model.mlp
    evaluation = var.model.evaluation
    seed       = var.model.seed
    triggers   = var.model.triggers
  }

  gates     = var.model.gates
  promotion = var.model.promotion
  labels    = var.labels
}
