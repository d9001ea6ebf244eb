resource "falaj_cluster" "this" {
  name    = "retail"
  region  = "onprem:ae-du:dubai-1"
  kms_key = { uri = "aws-kms://arn:aws:kms:me-central-1:111122223333:key/0e8f5a4c-6f1d-4a53-9b52-1f6f6f1f9c11" }
  local   = {} # on the machine that runs Terraform
}
