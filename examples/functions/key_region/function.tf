variable "kms_key_uri" {
  type    = string
  default = "aws-kms://arn:aws:kms:me-central-1:111122223333:key/0e8f5a4c-6f1d-4a53-9b52-1f6f6f1f9c11"
}

output "key_region" {
  value = provider::falaj::key_region(var.kms_key_uri) # aws:me-central-1
}
