data "falaj_drift_report" "employed" {
  monitor_id = falaj_monitor.employed.id
}

output "drift" {
  value = data.falaj_drift_report.employed.summary
}
