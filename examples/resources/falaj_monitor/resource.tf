resource "falaj_monitor" "employed" {
  endpoint_id = falaj_endpoint.employed.id
  name        = "employed"
  schedule    = { cron = "*/15 * * * *", time_zone = "Asia/Dubai" }
  window      = "24h"

  drift = {
    features = { age = { method = "psi", threshold = 0.2 } }
  }

  performance = { metric = "auc", min = 0.78 }
  on_alert    = { retrain = { cooldown = "24h", max_per_month = 4 } }
}
