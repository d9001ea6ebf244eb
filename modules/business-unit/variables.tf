variable "cluster_id" {
  type        = string
  description = "Id of the `falaj_cluster` this business unit works on. Its region, residency rule and key hold for everything here."
  nullable    = false
}

variable "name" {
  type        = string
  description = "Name of the business unit. It names the workspace and the feature store, and the model, endpoint and monitor unless `model.name` says otherwise."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,61}[a-z0-9]$", var.name))
    error_message = "name must be 2 to 63 lower-case letters, digits and hyphens, starting with a letter and ending with a letter or digit, such as \"credit-risk\"."
  }
}

variable "environment" {
  type        = string
  description = "How strict the defaults are: `development`, `staging` or `production`."
  default     = "production"
  nullable    = false

  validation {
    condition     = contains(["development", "staging", "production"], var.environment)
    error_message = "environment must be development, staging or production."
  }
}

variable "access" {
  type = object({
    platform = optional(set(string), [])
    engineer = optional(set(string), [])
    viewer   = optional(set(string), [])
    approver = optional(set(string), [])
    auditor  = optional(set(string), [])
  })
  description = "Who may do what in the workspace: principals such as `group:ml-people` or `user:dpo@example.ae`, by role."
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for principal in flatten([for role in values(var.access) : tolist(role)]) : can(regex("^(user|group|service):.+$", principal))])
    error_message = "A principal in access is written user:NAME, group:NAME or service:NAME."
  }
}

variable "budget" {
  type = object({
    monthly_limit = number
    currency      = string
    on_exceeded   = optional(string, "warn")
  })
  description = "What the business unit may spend in a calendar month, and what happens beyond: `warn` or `stop_training`."
  default     = null

  validation {
    condition     = var.budget == null || try(var.budget.monthly_limit > 0 && can(regex("^[A-Z]{3}$", var.budget.currency)) && contains(["warn", "stop_training"], var.budget.on_exceeded), false)
    error_message = "budget needs a monthly_limit above 0, a currency as ISO 4217 writes it (such as AED), and on_exceeded of warn or stop_training."
  }
}

variable "kms_key" {
  type = object({
    uri    = string
    region = optional(string)
  })
  description = "The business unit's own key; unset: the cluster's. `region` may be left out where the URI carries it."
  default     = null
}

variable "labels" {
  type        = map(string)
  description = "Labels of everything here, over those of the provider."
  default     = {}
  nullable    = false
}
