variable "entity" {
  type = object({
    name = string
    type = optional(string, "string")
  })
  description = "What the features describe: the column of the source that identifies it, and its type."
  nullable    = false
}

variable "source_data" {
  type = object({
    parquet = optional(object({
      path         = optional(string)
      uri          = optional(string)
      event_time   = string
      created_time = optional(string)
    }))
    csv = optional(object({
      path         = optional(string)
      uri          = optional(string)
      event_time   = string
      created_time = optional(string)
    }))
  })
  description = <<-TEXT
    Where the rows are: `parquet` or `csv`, and in it `path` (a file beside the configuration, uploaded sealed) or `uri` (what the runtime reads itself).
    `event_time` is the column that says when a row became true; `created_time` the one that says when it became known, so that training sees only what was known.
  TEXT
  nullable    = false

  validation {
    condition     = length([for format in [var.source_data.parquet, var.source_data.csv] : format if format != null]) == 1
    error_message = "source_data must hold exactly one of parquet and csv."
  }

  validation {
    condition = alltrue([
      for format in [var.source_data.parquet, var.source_data.csv] :
      (format.path == null) != (format.uri == null) if format != null
    ])
    error_message = "source_data must say exactly one of path and uri."
  }
}

variable "features" {
  type = map(object({
    type           = string
    column         = optional(string)
    classification = optional(string)
    purposes       = optional(set(string))
  }))
  description = "The features, by name. `column` defaults to the name; `classification` is `internal`, `personal` or `special`; `purposes` are what a feature may be used for (unset: anything)."
  nullable    = false

  validation {
    condition     = length(var.features) > 0
    error_message = "features must declare at least one."
  }

  validation {
    condition     = alltrue([for feature in values(var.features) : contains(["int64", "float64", "string", "bool"], feature.type)])
    error_message = "The type of a feature is int64, float64, string (a category) or bool."
  }

  validation {
    condition     = alltrue([for feature in values(var.features) : contains(["internal", "personal", "special"], coalesce(feature.classification, "internal"))])
    error_message = "The classification of a feature is internal, personal or special."
  }
}

variable "online" {
  type = object({
    ttl = optional(string)
  })
  description = "Serves features by entity; `ttl` is how old a value may be, in training too. Unset: offline only."
  default     = null
}

variable "retention" {
  type = object({
    offline  = optional(string)
    captures = optional(string)
  })
  description = "How long rows and captured requests are kept, such as `365d`. Unset: what the environment says."
  default     = null
}
