resource "falaj_model" "employed" {
  workspace_id = falaj_workspace.people.id
  name         = "employed"

  training = {
    features = {
      people = {
        feature_store_id = falaj_feature_store.people.id
        names            = ["age", "schooling", "marital_status"]
      }
    }
    label      = { column = "employed", feature_store_id = falaj_feature_store.people.id }
    protected  = ["sex"] # compared for fairness, never an input
    purpose    = "employment_statistics"
    window     = { last = "365d" }
    mlp        = { hidden_layers = [32, 16], epochs = 20 }
    evaluation = { split = "time", holdout_percent = 20 }
    seed       = 7
  }

  # A version that misses one of these is kept, and not promoted.
  gates = {
    auc                = { min = 0.80 }
    demographic_parity = { sex = { max_gap = 0.10 } }
  }

  promotion = { alias = "champion", when = "gates" }
}
