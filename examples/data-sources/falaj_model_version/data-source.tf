data "falaj_model_version" "champion" {
  model_id = falaj_model.employed.id
  alias    = "champion"
}

output "champion_metrics" {
  value = data.falaj_model_version.champion.metrics
}
