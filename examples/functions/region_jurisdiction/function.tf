output "jurisdiction" {
  value = provider::falaj::region_jurisdiction("gcp:me-central1") # QA
}
