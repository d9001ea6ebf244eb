resource "falaj_feature_store" "people" {
  workspace_id = falaj_workspace.people.id
  name         = "people"
  entity       = { name = "person_id", type = "string" }

  source = {
    parquet = {
      path         = "${path.module}/people.parquet"
      event_time   = "observed_at"
      created_time = "loaded_at"
    }
  }

  features = {
    age            = { type = "int64", column = "AGEP", classification = "personal", purposes = ["employment_statistics"] }
    schooling      = { type = "int64", column = "SCHL" }
    marital_status = { type = "string", column = "MAR" }
    sex            = { type = "string", column = "SEX", classification = "special" }
  }

  online    = { ttl = "30d" }
  retention = { offline = "365d", captures = "30d" }
}
