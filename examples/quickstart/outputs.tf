output "endpoint_url" {
  description = "Base address of the Open Inference Protocol: /v2/models/employed/infer lies below it."
  value       = module.people.endpoint_url
}

output "ca_file" {
  description = "Certificate that the endpoint's own is signed with."
  value       = module.people.ca_file
}

output "client_cert_file" {
  description = "Certificate of an application that may call this endpoint and nothing else."
  value       = module.people.client_cert_file
}

output "client_key_file" {
  description = "Path of that application's private key."
  value       = module.people.client_key_file
}

output "model_metrics" {
  description = "Held-out metrics of the declared version."
  value       = module.people.model_metrics
}

output "drift_report_file" {
  description = "Where the newest drift report is, as a page with plots."
  value       = module.people.drift_report_file
}
