variable "model" {
  type = object({
    name      = optional(string)
    inputs    = set(string)
    label     = string
    protected = optional(set(string), [])
    purpose   = optional(string)
    window = optional(object({
      last  = optional(string)
      from  = optional(string)
      until = optional(string)
    }))
    linear = optional(object({
      l2             = optional(number)
      max_iterations = optional(number)
    }))
    logistic = optional(object({
      l2             = optional(number)
      max_iterations = optional(number)
    }))
    mlp = optional(object({
      hidden_layers = optional(list(number))
      epochs        = optional(number)
      batch_size    = optional(number)
      learning_rate = optional(number)
      dropout       = optional(number)
      l2            = optional(number)
    }))
    evaluation = optional(object({
      split           = optional(string, "time")
      holdout_percent = optional(number, 20)
    }), {})
    seed     = optional(number, 7)
    triggers = optional(map(string), {})
    gates = optional(object({
      auc                = optional(object({ min = number }))
      log_loss           = optional(object({ max = number }))
      accuracy           = optional(object({ min = number }))
      rmse               = optional(object({ max = number }))
      demographic_parity = optional(map(object({ max_gap = number })))
    }))
    promotion = optional(object({
      alias = optional(string, "champion")
      when  = optional(string, "gates")
    }), {})
  })
  description = <<-TEXT
    How the model is made.
    `inputs` are the features it sees; `label` the column it learns; `protected` the features whose groups are compared for fairness and that it never sees.
    `window` is `{ last }`, a duration that ends when the run starts, or `{ from, until }` in UTC, `until` exclusive.
    Exactly one of `linear`, `logistic` and `mlp`. `gates` must hold on the held-out rows before `promotion` points its alias to a new version by itself (`when` is `gates`, `approval` or `manual`).
  TEXT
  nullable    = false

  validation {
    condition     = length([for algorithm in [var.model.linear, var.model.logistic, var.model.mlp] : true if algorithm != null]) == 1
    error_message = "model must name exactly one algorithm: linear, logistic or mlp."
  }

  validation {
    condition     = length(setsubtract(var.model.inputs, keys(var.features))) == 0
    error_message = "model.inputs names what features does not declare: ${join(", ", setsubtract(var.model.inputs, keys(var.features)))}."
  }

  validation {
    condition     = length(setsubtract(var.model.protected, keys(var.features))) == 0
    error_message = "model.protected names what features does not declare: ${join(", ", setsubtract(var.model.protected, keys(var.features)))}."
  }

  validation {
    condition     = length(setintersection(var.model.inputs, var.model.protected)) == 0
    error_message = "A protected feature is never an input; take out of one of the two: ${join(", ", setintersection(var.model.inputs, var.model.protected))}."
  }

  validation {
    condition     = var.model.window == null || try((var.model.window.last != null) != (var.model.window.from != null && var.model.window.until != null), false)
    error_message = "model.window is either { last } or { from, until }."
  }

  validation {
    condition     = alltrue([for group in keys(try(coalesce(var.model.gates.demographic_parity, {}), {})) : contains(var.model.protected, group)])
    error_message = "A gate on demographic_parity needs its feature among model.protected."
  }

  validation {
    condition     = contains(["gates", "approval", "manual"], var.model.promotion.when)
    error_message = "model.promotion.when is gates, approval or manual."
  }
}

variable "endpoint" {
  type = object({
    invokers         = optional(set(string), [])
    sampling_percent = optional(number, 100)
    shadow_candidate = optional(bool, false)
  })
  description = "How the model is served. `invokers` are further applications that may call it; `sampling_percent` is the share of requests kept for the monitor; `shadow_candidate` lets the newest version see the traffic, unanswered."
  default     = {}
  nullable    = false

  validation {
    condition     = var.endpoint.sampling_percent >= 0 && var.endpoint.sampling_percent <= 100
    error_message = "endpoint.sampling_percent is a number from 0 to 100."
  }
}

variable "monitor" {
  type = object({
    cron      = optional(string)
    time_zone = optional(string)
    window    = optional(string, "24h")
    drift = optional(object({
      default = optional(object({
        method    = optional(string)
        threshold = optional(number)
      }))
      features = optional(map(object({
        method    = optional(string)
        threshold = optional(number)
      })))
    }))
    performance = optional(object({
      metric = string
      min    = number
    }))
    retrain = optional(object({
      cooldown      = string
      max_per_month = number
    }))
  })
  description = "How the traffic is watched. `cron` runs it by itself (unset: on demand); `window` is how far back a run looks; `drift` overrides method and threshold, for all features or one; `performance` is a floor once labels arrive; `retrain` lets an alert train again."
  default     = {}
  nullable    = false

  validation {
    condition     = var.monitor.cron == null || can(regex("^\\S+( \\S+){4}$", var.monitor.cron))
    error_message = "monitor.cron has five fields, such as \"*/15 * * * *\"."
  }
}
