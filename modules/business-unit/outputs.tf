output "workspace_id" {
  description = "Id of the workspace: where further stores and models of the business unit belong."
  value       = falaj_workspace.this.id
}

output "feature_store_id" {
  description = "Id of the feature store."
  value       = falaj_feature_store.this.id
}

output "model_id" {
  description = "Id of the model."
  value       = falaj_model.this.id
}

output "model_version" {
  description = "The version that the declared training made."
  value       = falaj_model.this.version
}

output "model_metrics" {
  description = "Held-out metrics of that version, by name."
  value       = falaj_model.this.metrics
}

output "endpoint_id" {
  description = "Id of the endpoint."
  value       = falaj_endpoint.this.id
}

output "endpoint_url" {
  description = "Base address of the Open Inference Protocol: `/v2/models/<endpoint>/infer` lies below it."
  value       = falaj_endpoint.this.url
}

output "ca_file" {
  description = "Certificate that the endpoint's own is signed with."
  value       = falaj_endpoint.this.ca_file
}

output "client_cert_file" {
  description = "Certificate of the application that may call this endpoint and nothing else."
  value       = falaj_endpoint.this.client_cert_file
}

output "client_key_file" {
  description = "Path of that application's private key. The key itself is not in the state."
  value       = falaj_endpoint.this.client_key_file
}

output "monitor_id" {
  description = "Id of the monitor."
  value       = falaj_monitor.this.id
}

output "drift_report_file" {
  description = "Where the newest report is, as a page with plots; a constant path. Null outside development."
  value       = falaj_monitor.this.report_file
}

output "posture" {
  description = "Region, classification, key and cost of each part, known at plan."
  value = {
    workspace     = falaj_workspace.this.posture
    feature_store = falaj_feature_store.this.posture
    model         = falaj_model.this.posture
    endpoint      = falaj_endpoint.this.posture
    monitor       = falaj_monitor.this.posture
  }
}
